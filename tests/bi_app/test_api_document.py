"""The API keeps to its own document: made-up requests by the thousand, and a generated client."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.bi_app.fix_api import PREFIX
from tests.bi_app.fix_app import EMAILS, PASSWORD, Served

Caller = Callable[..., httpx.Client]
# What JSON schema cannot say (end before start, a cursor of another list, a filter on a column that
# is not there) is refused with 422 or 429, documented for every call.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "409", "422"]
[checks.negative_data_rejection]
expected-statuses = ["4xx"]
[warnings]
enabled = false
"""
# Sign-out and the own sessions would end the run's own session.
LEFT_OUT = ("sign_out_delete", "end_session_delete", "sign_in_post")


def explore(api: Served, token: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run schemathesis over the whole document."""
    document = httpx.get(
        f"{api.base}{PREFIX}/openapi.json", headers={"Authorization": f"Bearer {token}"}
    )
    (folder / "openapi.json").write_text(document.text)
    (folder / "schemathesis.toml").write_text(CONFIG)
    left_out = [part for name in LEFT_OUT for part in ("--exclude-operation-id", name)]
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "--config-file", "schemathesis.toml",
        "run", "openapi.json", "--url", api.base, "-H", f"Authorization: Bearer {token}",
        "--checks", "all", "--exclude-checks", "object_level_authorization", "--no-color",
        "--suppress-health-check", "all", "--seed", "1", *left_out, *more,
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=1200, check=False,
        env=os.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": str(folder)},
    )  # fmt: skip


def test_made_up_requests_find_nothing(
    api: Served, tokens: dict[str, str], tmp_path: Path
) -> None:
    phases = ("--phases", "examples,coverage,fuzzing", "--max-examples", "3", "--no-shrink")
    done = explore(api, tokens["librarian"], tmp_path, *phases)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.full
@pytest.mark.parametrize("role", ["admin", "librarian", "member"])
def test_many_made_up_requests_find_nothing(
    api: Served, tokens: dict[str, str], tmp_path: Path, role: str
) -> None:
    left_out = () if role != "admin" else ("--exclude-operation-id", "end_sessions_delete",
                                           "--exclude-operation-id", "change_user_patch")  # fmt: skip
    done = explore(api, tokens[role], tmp_path, "--max-examples", "60", *left_out)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
