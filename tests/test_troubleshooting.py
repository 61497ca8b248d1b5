"""docs/troubleshooting.md quotes what the code says, and its remedies name what there is."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from warehouse.settings import ROOT, Settings

TEXT = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| (.+) \|(?: <!--.*-->)?$", TEXT, re.M)
PACKAGES = ("warehouse", "tasks", "quality", "flows", "deployments", "bi_app")


@cache
def said() -> list[str]:
    """Every text of the code, a value in it as an ellipsis; and the shell scripts."""
    found = [path.read_text("utf-8") for path in (ROOT / "deployments").glob("*.sh")]
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
                elif isinstance(node, ast.JoinedStr):
                    found.append("".join(map(_part, node.values)))
    return found


def _part(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "…"


def test_there_are_enough() -> None:
    assert len(ROWS) >= 25
    assert len({message for message, _ in ROWS}) == len(ROWS)
    assert TEXT.count("\n| `") == len(ROWS)
    assert all(len(remedy) > 40 for _, remedy in ROWS)


@pytest.mark.parametrize("message", [message for message, _ in ROWS])
def test_each_message_is_one_of_the_code(message: str) -> None:
    parts = [re.escape(part) for part in message.split("…")]
    assert len("".join(parts)) > 10
    pattern = re.compile("(?:…|`[^`]*`)".join(parts))
    assert any(pattern.search(one) for one in said())


def test_remedies_name_settings_and_commands_that_exist() -> None:
    from typer.main import get_command

    from deployments.cli import app

    beside = {"CARREL_PYTHON", "CARREL_SETTINGS", "CARREL_SECRET_NAME"}
    known = {f"CARREL_{name.upper()}" for name in Settings.model_fields} | beside
    assert set(re.findall(r"\bCARREL_[A-Z_]+\b", TEXT)) <= known
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"`carrel ([a-z-]+)", TEXT)) <= commands
