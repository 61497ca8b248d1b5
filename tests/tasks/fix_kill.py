"""A process that kills itself with signal 9 where a named function is called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
Point = tuple[str, str, int]  # module, function or method, which of its calls; ("", "", 0): none
STAND_IN = """
import importlib, os, sys
from pathlib import Path
from warehouse.spec import read_spec
module, name, call, *given = sys.argv[1:]
if module:
    place = importlib.import_module(module)
    *owner, name = name.split(".")
    place = getattr(place, owner[0]) if owner else place
    real, calls = getattr(place, name), []
    def stand_in(*args, **kwargs):
        calls.append(1)
        if len(calls) == int(call):
            os.kill(os.getpid(), 9)
        return real(*args, **kwargs)
    setattr(place, name, stand_in)
"""


def started(point: Point, code: str, *given: object) -> subprocess.Popen[str]:
    """Run code that is to be killed at the point; `given` are texts in its list of that name."""
    command = [sys.executable, "-c", STAND_IN + code, *map(str, (*point, *given))]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def killed(point: Point, code: str, *given: Any) -> bool:
    """Whether the code was killed at the point; it may take a minute."""
    with started(point, code, *given) as running:
        return running.wait(60) == -9
