"""Ports for the programs that tests and benchmarks start."""

from __future__ import annotations

import random
from itertools import count

from deployments.ports import is_free

# Below those that the kernel gives to outgoing connections (Linux: 32768 on), which would take one
# between our look and the program's start; from a number of its own in each process, as others
# look at the same time; and none twice.
NEXT = count(random.SystemRandom().randrange(20_000, 31_000))


def free_port() -> int:
    """A port that nothing listens on, and that this process has not given away before."""
    return next(port for port in NEXT if is_free(port))
