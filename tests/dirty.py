"""Every real file through `add`, `migrate` and `ingest`: what became of it, counted twice.

`python -m tests.dirty` writes docs/dirty.md anew (some minutes); `tests/tasks/test_dirty.py` checks
that it is true. A record is counted by another library too (`csv`, `openpyxl`, `json`, DuckDB, the
ends of MARC records); what is not read must be explained by the spec: header, preamble, comments,
footer, rows above a sheet's table.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from psycopg import sql

from tests import conftest  # makes a home for this process before any setting is read
from tests.fix_warehouse import NONE, TEMPLATE, copied, forget, use

__all__ = ["FOLDERS", "Fate", "conftest", "document", "fates", "files", "stands_in"]

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "dirty.md"
FOLDERS = (
    "dirty/csv_spectrum",
    "dirty/frictionless",
    "dirty/messytables",
    "dirty/readxl",
    "marc_oai/pymarc",
    "marc_oai/sickle",
    "systems/evergreen",
    "systems/folio",
)
SECONDS = 20  # of CPU that a small file may take to be drafted, and to be loaded
PATIENCE = 120  # seconds in any case: a hang takes no CPU, a busy machine takes long
TOGETHER = 40  # datasets in one database
ALIKE, NAMED = 4, 6  # files of one folder and one fate that become one line, and are named there
DOMAIN = "sweep"


class TooSlow(BaseException):
    """A file took longer than it may; no handler of the product's may catch it."""


@dataclass(frozen=True)
class Fate:
    """What became of one file, whose path is relative to the folder of real data.

    `left_out` says what of it is no record, and `notes` what `add` told besides.
    """

    path: str
    kind: str
    records: int = 0
    loaded: int = 0
    quarantined: tuple[tuple[str, int], ...] = ()
    ignored: int = 0
    left_out: tuple[str, ...] = ()
    refused: str | None = None


def files(data: Path, folders: Iterable[str] = FOLDERS) -> list[Path]:
    """Every file of the folders, in order."""
    return [p for f in folders for p in sorted((data / f).rglob("*")) if p.is_file()]


@contextmanager
def in_time(path: Path) -> Iterator[None]:
    """Stop what takes longer than it may."""

    def stop(*_: object) -> None:
        raise TooSlow(f"{path} took more than {SECONDS} s of CPU, or {PATIENCE} s.")

    clocks = (
        (signal.ITIMER_PROF, signal.SIGPROF, SECONDS),
        (signal.ITIMER_REAL, signal.SIGALRM, PATIENCE),
    )
    before = [signal.signal(number, stop) for _, number, _ in clocks]
    for clock, _, seconds in clocks:
        signal.setitimer(clock, seconds)
    try:
        yield
    finally:
        for (clock, number, _), old in zip(clocks, before, strict=True):
            signal.setitimer(clock, 0)
            signal.signal(number, old)


def fates(data: Path, paths: list[Path]) -> Iterator[Fate]:
    """Bring each file in, some together in a database of their own; needs the template.

    Raises:
        AssertionError: counts do not add up, or differ from those of the other library.
    """
    kept = os.environ["CARREL_PROJECT"]
    for start in range(0, len(paths), TOGETHER):
        with tempfile.TemporaryDirectory() as project, copied(f"dirty_{start}", TEMPLATE) as name:
            os.environ["CARREL_PROJECT"] = project
            use(name)
            try:
                yield from _brought_in(data, paths[start : start + TOGETHER])
            finally:
                os.environ["CARREL_PROJECT"] = kept
                use(NONE)


def _brought_in(data: Path, paths: list[Path]) -> list[Fate]:
    from tasks.draft import Drafted, draft
    from warehouse.errors import CarrelError
    from warehouse.migrate import migrate

    drafts: list[Drafted | CarrelError] = []
    for i, path in enumerate(paths):
        try:
            with in_time(path):
                drafts.append(draft(path, domain=DOMAIN, name=f"f{i}"))
        except CarrelError as error:
            drafts.append(error)
    migrate()
    return [_fate(data, p, d) for p, d in zip(paths, drafts, strict=True)]


def _fate(data: Path, path: Path, drafted: Any) -> Fate:
    from tasks.load import load
    from warehouse.errors import CarrelError

    short = str(path.relative_to(data))
    try:
        if isinstance(drafted, CarrelError):
            raise drafted
        with in_time(path):
            (loaded,) = load(drafted.dataset)
    except CarrelError as error:
        return _refused(data, path, error)
    rules = _rules(drafted.dataset.table, loaded.inserted)
    assert loaded.rows_in == loaded.inserted + loaded.quarantined + loaded.ignored, short
    assert sum(rules.values()) >= loaded.quarantined, short
    found, left_out = counted(path, drafted.dataset)
    assert loaded.rows_in == found, f"{short}: {loaded.rows_in} records, by the other {found}"
    kind = drafted.dataset.source.kind
    rest = (tuple(sorted(rules.items())), loaded.ignored, left_out)
    return Fate(short, kind, loaded.rows_in, loaded.inserted, *rest)


def _refused(data: Path, path: Path, error: Any) -> Fate:
    """A refusal must name the file and what to do."""
    assert error.remedy, f"{path} is refused without a remedy: {error}"
    assert str(path) in error.message, f"{path} is refused, and the message names no file"
    said = str(error).replace(f"{data}/", "")
    return Fate(str(path.relative_to(data)), _content(path), refused=said)


def _content(path: Path) -> str:
    """What a refused file is."""
    from tasks.contents import content_of
    from warehouse.errors import CarrelError

    with suppress(CarrelError):
        return str(content_of(path))
    return "archive"


def _rules(table: str, rows: int) -> Counter[str]:
    """Records in quarantine by rule; silver must hold as many rows as were loaded."""
    from warehouse.database import connect

    with connect() as connection:
        silver = sql.SQL("select count(*) from {}").format(sql.Identifier("silver", table))
        assert connection.execute(silver).fetchall() == [(rows,)], table
        query = sql.SQL("select rule, count(distinct record_no) from {} group by rule")
        return Counter(
            dict(connection.execute(query.format(sql.Identifier("quarantine", table))).fetchall())
        )


# Counting anew ----------------------------------------------------------------------------------


def counted(path: Path, dataset: Any) -> tuple[int, tuple[str, ...]]:
    """How many records another library finds in a file, and what is none, as the spec says."""
    count = {"csv": _csv, "excel": _excel, "json": _json, "parquet": _parquet, "marc": _marc}
    return count[dataset.source.kind](path, dataset)


def _csv(path: Path, dataset: Any) -> tuple[int, tuple[str, ...]]:
    from tasks.extract import arrival

    csv.field_size_limit(1 << 30)
    source, dialect = dataset.source, arrival(dataset, path).dialect
    text = _unpacked(path).decode(dialect.encoding, "replace").removeprefix("\ufeff")
    text = text.replace("\0", "?")
    text = text.replace("\r", "\n") if dialect.returns_only else text
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=source.delimiter)
    above = comments = footer = 0
    records, header, line = 0, source.header, 0
    for row in reader:
        line, first = reader.line_num, line + 1
        shown = row[0] if row else ""
        if first <= source.preamble or (header and not row):
            above += bool(row)
        elif source.comment and shown.startswith(source.comment):
            comments += 1
        elif header:
            header = False
        elif footer or (source.footer and re.match(f"(?:{source.footer})", shown)):
            footer += bool(row)
        else:
            records += 1
    named = (
        (above, "line", "above the table"),
        (comments, "comment line", ""),
        (footer, "footer line", ""),
    )
    return records, tuple(_many(n, what, where) for n, what, where in named if n)


def _many(count: int, what: str, where: str = "") -> str:
    return f"{count} {what}{'s' * (count > 1)} {where}".strip()


def _unpacked(path: Path) -> bytes:
    import bz2
    import gzip
    import lzma

    content = path.read_bytes()
    for start, unpack in (
        (b"\x1f\x8b", gzip.decompress),
        (b"BZh", bz2.decompress),
        (b"\xfd7zXZ", lzma.decompress),
    ):
        if content.startswith(start):
            return unpack(content)
    return content


def _excel(path: Path, dataset: Any) -> tuple[int, tuple[str, ...]]:
    """Rows from the first below the header to the last that is filled."""
    from tasks.sources.excel import Wanted, _heads
    from tasks.sources.workbook import opened

    with opened(path) as book:
        ((name, head),) = _heads(book, dataset.source, Wanted.of(dataset)).items()
        others = [n for n in book.names() if n != name and book.sheet(n).start]
    filled = _filled_rows(path, name)
    below = filled[head.row :]
    while below and not below[-1]:
        below.pop()
    above = sum(filled[: head.row]) - (0 if head.headless else 1)
    left_out = [_many(above, "row", "above the table")] * bool(above)
    left_out += [_many(len(others), "more sheet", "not read")] * bool(others)
    left_out += ["no row names the columns"] * head.headless
    return len(below), tuple(left_out)


def _filled_rows(path: Path, name: str) -> list[bool]:
    """Which rows of a sheet hold something: by openpyxl where it can, else cell by cell."""
    from openpyxl import load_workbook
    from python_calamine import CalamineWorkbook

    with warnings.catch_warnings(action="ignore"), suppress(Exception):
        made = load_workbook(io.BytesIO(path.read_bytes()), data_only=True)
        rows = made[name].iter_rows()
        return [any(_is_filled(c.value, c.data_type == "e") for c in row) for row in rows]
    with CalamineWorkbook.from_path(path) as calamine:
        rows = calamine.get_sheet_by_name(name).iter_rows()
        return [any(_is_filled(value) for value in row) for row in rows]


def _is_filled(value: Any, error: bool = False) -> bool:
    return not error and value is not None and bool(str(value).strip())


def _json(path: Path, _: Any) -> tuple[int, tuple[str, ...]]:
    text = _unpacked(path).decode("utf-8-sig")
    try:
        found = json.loads(text, strict=False)
    except json.JSONDecodeError:
        found = [json.loads(line, strict=False) for line in text.splitlines() if line.strip()]
    if not isinstance(found, list):
        return 1, ()
    header = bool(found) and isinstance(found[0], list)
    return len(found) - header, ()


def _parquet(path: Path, _: Any) -> tuple[int, tuple[str, ...]]:
    import duckdb

    query = "select count(*) from read_parquet(?)"
    (row,) = duckdb.connect().execute(query, [str(path)]).fetchall()
    return row[0], ()


def _marc(path: Path, _: Any) -> tuple[int, tuple[str, ...]]:
    content = _unpacked(path)
    if content.lstrip().startswith(b"<"):
        return len(re.findall(rb"<(?:\w+:)?record[\s>](?=(?s:.)*?leader)", content)), ()
    return content.count(b"\x1d"), ()


# The document -----------------------------------------------------------------------------------

INTRO = """# What becomes of dirty files

Every file of the dirty sets, of MARC and OAI-PMH and of two library systems (`../shared/data`) was
given to `carrel add`, `carrel migrate` and `carrel ingest` as it is, nobody reading the draft. Each
record is loaded, quarantined under a rule, or ignored because it is blank; a file that holds no
table is refused with the message below. Records were counted a second time by another library;
what of a file is no record stands under remarks. The answers of OAI-PMH repositories are no files
to add: `tests/tasks/test_source_oai.py` serves them and reads them as a source of that kind.

`python -m tests.dirty` writes this page, and `make test-full` checks every line of it.
"""
HEAD = """| file | kind | records | loaded | quarantined | ignored | remarks |
|---|---|--:|--:|---|--:|---|
"""


def document(found: list[Fate]) -> str:
    """The page."""
    parts = [INTRO, _totals(found)]
    for folder in FOLDERS:
        mine = [f for f in found if f.path.startswith(f"{folder}/")]
        parts.append(f"## {folder}\n\n{HEAD}" + "".join(_table(mine, folder)))
    return "\n".join(parts)


def _totals(found: list[Fate]) -> str:
    went_in = [f for f in found if f.refused is None]
    whole = sum(not f.quarantined for f in went_in)
    rows = {n: sum(getattr(f, n) for f in went_in) for n in ("records", "loaded", "ignored")}
    bad = rows["records"] - rows["loaded"] - rows["ignored"]
    return (
        f"{len(found)} files: {whole} loaded whole, {len(went_in) - whole} loaded with records in"
        f" quarantine, {len(found) - len(went_in)} refused. {rows['records']:,} records:"
        f" {rows['loaded']:,} loaded, {bad:,} in quarantine, {rows['ignored']:,} ignored.\n"
    )


def _table(found: list[Fate], folder: str) -> Iterator[str]:
    """A line a file; one for those of a folder that share their fate, where they are many."""
    for (parent, told), group in groupby(found, lambda f: (os.path.dirname(f.path), _told(f))):
        alike = list(group)
        where = os.path.relpath(parent, folder)
        place = "" if where == "." else f" in {where}"
        if len(alike) > NAMED:
            yield f"| {len(alike)} files{place}, each | {told}\n"
        elif len(alike) >= ALIKE:
            names = ", ".join(os.path.basename(f.path) for f in alike)
            yield f"| {names}{place}, each | {told}\n"
        else:
            yield from (f"| {os.path.relpath(f.path, folder)} | {told}\n" for f in alike)


def _told(fate: Fate) -> str:
    """A file's line without its name."""
    if fate.refused is not None:
        said = fate.refused.replace(f"{fate.path}: ", "").replace(fate.path, "the file")
        return f"{fate.kind} | | | | | refused: {_escaped(said)} |"
    rules = ", ".join(f"{n} {rule}" for rule, n in fate.quarantined)
    cells = [fate.kind, fate.records, fate.loaded, rules, fate.ignored or ""]
    return " | ".join(map(str, cells)) + f" | {_escaped('; '.join(fate.left_out))} |"


def _escaped(text: str) -> str:
    for sign in "\\|*_<`":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def stands_in(fate: Fate, text: str) -> bool:
    """Whether the page says so of this file, alone or together with others."""
    folder = next(f for f in FOLDERS if fate.path.startswith(f"{f}/"))
    part = text.partition(f"## {folder}\n")[2].partition("\n## ")[0]
    where = os.path.relpath(os.path.dirname(fate.path), folder)
    place = "" if where == "." else f" in {where}"
    alone = f"| {os.path.relpath(fate.path, folder)} | {_told(fate)}"
    name = re.escape(os.path.basename(fate.path))
    together = re.compile(
        rf"\| (\d+ files|(.*, )?{name}(, .*)?){re.escape(place)}, each \| {re.escape(_told(fate))}"
    )
    return any(line == alone or together.fullmatch(line) for line in part.splitlines())


def main(arguments: list[str]) -> None:
    """Write the page, or with paths of files say what becomes of them."""
    from deployments.postgres import server
    from warehouse.migrate import migrate
    from warehouse.settings import settings

    data = settings().shared.resolve() / "data"
    chosen = [Path(a).resolve() for a in arguments] or files(data)
    running = replace(server(), durable=False)
    running.start()
    try:
        use(TEMPLATE)
        running.make_database()
        migrate()
        use(NONE)
        found = list(fates(data, chosen))
    finally:
        forget()
        running.stop()
    if arguments:
        sys.stdout.writelines(f"{f}\n" for f in found)
    else:
        DOCUMENT.write_text(document(found), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
