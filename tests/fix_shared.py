"""The real data, at CARREL_SHARED: absent, tests skip, or fail with CARREL_STRICT=1."""

from __future__ import annotations

from pathlib import Path

import pytest

from warehouse.settings import settings


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data; its `library/...` is the layout that specs expect."""
    folder = (settings().shared / "data").resolve()  # a drafted spec names the file itself
    if folder.is_dir():
        return folder
    reason = f"no real data at {folder}; set CARREL_SHARED"
    if settings().strict:
        pytest.fail(reason)
    pytest.skip(reason)
