"""The examples of docs/api.md do what they say, one shell for all of them."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.bi_app.fix_app import EMAILS, PASSWORD, Served
from warehouse.settings import ROOT


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")
def test_the_examples_of_the_docs(api: Served) -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    assert len(blocks) == 5
    script = "set -euo pipefail\n" + "\n".join(blocks)
    for sample, real in (
        ("http://127.0.0.1:5080", api.base), ("librarian@example.org", EMAILS["librarian"]),
        ("admin@example.org", EMAILS["admin"]), ('"password": "…"', f'"password": "{PASSWORD}"'),
    ):  # fmt: skip
        assert sample in script
        script = script.replace(sample, real)
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Checkouts: " in done.stdout
