"""What the README says is what the code has: settings, commands, targets, links."""

from __future__ import annotations

import re

import pytest

from warehouse.settings import ROOT, Settings

DOCS = sorted((ROOT / "docs").glob("*.md"))
README = (ROOT / "README.md").read_text("utf-8")


def settings_rows() -> dict[str, str]:
    """Name and sentence of each row of the settings tables: of the README, else of a docs page."""
    found: dict[str, str] = {}
    for text in (*(path.read_text("utf-8") for path in DOCS), README):
        found |= re.findall(r"^\| `CARREL_(\w+)` \| .*? \| (.*?) \|$", text, re.M)
    return found


def test_the_settings_table_is_the_settings() -> None:
    wanted = {n.upper(): f.description for n, f in Settings.model_fields.items()}
    assert settings_rows() == wanted


def test_every_carrel_command_of_the_readme_exists() -> None:
    from typer.main import get_command

    from deployments.cli import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"`carrel ([a-z-]+)", README))
    assert named, "the README names commands"
    assert named <= known


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", README)) <= targets


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{p.name}" for p in DOCS)])
def test_links_resolve(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
