"""What `carrel up` finds out (ports, place of the data), kept in `.carrel/stack.json`."""

from __future__ import annotations

import json
import os
from typing import Any

from warehouse.settings import settings


def note(**facts: Any) -> None:
    """Add facts to `stack.json`; None takes one away. The next `settings()` reads them."""
    path = settings().home / "stack.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    known = {k: v for k, v in (known | facts).items() if v is not None}
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(known, indent=1))
    draft.replace(path)
    settings.cache_clear()
