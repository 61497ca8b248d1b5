"""Contracts and shared checks as written: YAML whose every key counts, none from outside."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from warehouse.errors import SpecError
from warehouse.written import parsed

OUTSIDE = re.compile(r"\$\{(?!soda\.)")  # ${env.X}, ${var.X}: text put in from outside


def read(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        SpecError: it is no YAML, a key is written twice, or a variable of Soda's is in it.
    """
    text = path.read_text("utf-8")
    if OUTSIDE.search(text):
        raise SpecError(path, "takes a variable from outside (`${…}`), which is raw SQL text")
    return parsed(text, path)
