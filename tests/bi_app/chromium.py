"""The Chromium that journeys and benchmarks open pages with."""

from __future__ import annotations

import os
from typing import Any

CHROMIUM = os.environ.get("CARREL_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch(playwright: Any) -> Any:
    """A headless Chromium that fetches nothing on its own account."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
