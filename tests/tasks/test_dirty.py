"""What docs/dirty.md says of every dirty file is true."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from tests.dirty import DOCUMENT, FOLDERS, document, fates, files, stands_in

pytestmark = pytest.mark.shared
SEED, EACH = 20261121, 2


def chosen(shared: Path) -> list[Path]:
    """Some files of each folder, the larger ones left to the whole run."""
    pick = random.Random(SEED)
    small = [[p for p in files(shared, [f]) if p.stat().st_size < 1 << 19] for f in FOLDERS]
    return [p for found in small for p in pick.sample(found, min(len(found), EACH))]


def test_what_the_page_says_of_some_files_is_true(template: str, shared: Path) -> None:
    page = DOCUMENT.read_text("utf-8")
    for fate in fates(shared, chosen(shared)):
        assert stands_in(fate, page), fate


def test_the_page_tells_of_every_file(shared: Path) -> None:
    page = DOCUMENT.read_text("utf-8")
    assert f"\n{len(files(shared))} files: " in page
    tables = page.split("\n## ")[1:]
    assert len(tables) == len(FOLDERS)
    for folder, table in zip(FOLDERS, tables, strict=True):
        lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
        many = [int(m[1]) for m in (re.match(r"\| (\d+) files", line) for line in lines) if m]
        named = [m[1].count(", ") for m in (re.match(r"\| (.*), each \|", s) for s in lines) if m]
        alone = len(lines) - len(named)
        few = [n + 1 for n in named if n]
        assert alone + sum(many) + sum(few) == len(files(shared, [folder]))


@pytest.mark.full
def test_the_page_is_true(template: str, shared: Path) -> None:
    assert document(list(fates(shared, files(shared)))) == DOCUMENT.read_text("utf-8")
