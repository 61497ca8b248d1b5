"""Draft datasets for the files of a scan that none takes; files of one header make one dataset."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from tasks.draft import LONGEST_TABLE, Drafted, draft
from tasks.kinds import KINDS
from tasks.names import snake
from tasks.scan import Scan, Seen
from warehouse.errors import CarrelError
from warehouse.spec import datasets


class Outcome(NamedTuple):
    """What became of a file, or of the first of several that share a header."""

    path: str
    drafted: Drafted | CarrelError


def adopt(scanned: Scan, domain: str = "local") -> Iterator[Outcome]:
    """Draft a dataset for each untaken file that holds a table, or say why that cannot be done.

    Files of a folder that share type and header become one dataset, where a glob names just them.
    """
    for group in _groups(scanned):
        first = group[0]
        path = scanned.folder / first.path
        try:
            name = _name(first.path, domain)
            outcome = draft(path, domain=domain, name=name, pattern=_glob(scanned, group))
            yield Outcome(first.path, outcome)
        except CarrelError as error:
            yield Outcome(first.path, error)


def _groups(scanned: Scan) -> list[list[Seen]]:
    """The untaken files that may hold tables, those of one folder, type and header together."""
    groups: dict[tuple[object, ...], list[Seen]] = {}
    for one in scanned.files:
        table = one.content.type == "csv" or one.content.type in KINDS
        if table and one.taker is None and one.state != "gone":
            alone = one.path if one.header is None else None
            mark = (os.path.dirname(one.path), one.content.type, one.header, alone)
            groups.setdefault(mark, []).append(one)
    return [part for group in groups.values() for part in _together(scanned, group)]


def _together(scanned: Scan, group: list[Seen]) -> list[list[Seen]]:
    """The group as a whole where a glob names its files and no other, else each file alone."""
    if len(group) > 1 and _glob(scanned, group) is None:
        return [[one] for one in group]
    return [group]


def _glob(scanned: Scan, group: list[Seen]) -> Path | None:
    """A pattern that the group's files match and no other file of their folder."""
    if len(group) < 2:
        return None
    folder = os.path.dirname(group[0].path)
    names = [os.path.basename(one.path) for one in group]
    start = _shared(names)
    shortest = min(map(len, names)) - len(start)
    end = _shared([n[::-1][:shortest] for n in names])[::-1]
    pattern = f"{glob.escape(start)}*{glob.escape(end)}"
    beside = [s.path for s in scanned.files if os.path.dirname(s.path) == folder]
    matched = sum(fnmatch(os.path.basename(path), pattern) for path in beside)
    return scanned.folder / folder / pattern if matched == len(group) else None


def _shared(names: list[str]) -> str:
    """What all names start with."""
    columns = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in columns)


def _name(path: str, domain: str) -> str:
    """A name that is free: the file's, then with its folders', then with a number."""
    taken = {d.name for d in datasets().values() if d.domain == domain}
    room = LONGEST_TABLE - len(domain) - 1
    parts = path.split("/")
    parts[-1] = parts[-1].split(".")[0] or parts[-1]
    for count in range(1, len(parts) + 1):
        name = snake(" ".join(parts[-count:]), "file")[:room].rstrip("_")
        if name not in taken:
            return name
    numbered = (f"{name[: room - 5].rstrip('_')}_{i}" for i in range(2, 9999))
    return next(n for n in numbered if n not in taken)
