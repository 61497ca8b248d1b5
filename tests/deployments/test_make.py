"""What `make up` and `make bench` do before anything of ours can run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from warehouse.settings import ROOT


@pytest.mark.parametrize("command", [["carrel", "status"], ["bench"], ["env"], ["env", "dev"]])
def test_packages_that_do_not_come_end_it(tmp_path: Path, command: list[str]) -> None:
    home = tmp_path / "a clone"
    (home / "deployments").mkdir(parents=True)
    script = Path(shutil.copy(ROOT / "deployments/make.sh", home / "deployments"))
    for name in ("requirements.lock", "requirements-dev.lock"):
        (home / name).write_text("nothing==1\n")
    stub(home / ".venv/bin/python", "exit 0")
    stub(home / ".venv/bin/uv", "echo 'error: no network' >&2; exit 2")
    stub(home / ".venv/bin/carrel", "echo it went on")
    done = subprocess.run(
        ["/bin/sh", str(script), *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "the packages were not installed" in done.stderr
    assert "went on" not in done.stdout
    assert not list((home / ".venv").glob("stamp*"))


def stub(path: Path, does: str) -> None:
    """A program that does one thing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{does}\n")
    os.chmod(path, 0o755)
