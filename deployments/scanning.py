"""`carrel scan`: what is in a folder, what changed since, and which dataset would take it."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warehouse.errors import CarrelError, SourceUnavailable

if TYPE_CHECKING:
    from rich.table import Table

    from tasks.scan import Scan, Seen

PIPED = 80  # columns where there is no terminal


def scan(
    folder: Annotated[Path, typer.Argument(help="Every file below it is listed.")],
    pattern: Annotated[str, typer.Option(help="Which files: '*.csv', 'loans/*.csv'.")] = "*",
    add: Annotated[bool, typer.Option("--add", help="Draft what no dataset takes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    largest_mb: Annotated[int, typer.Option(min=1, help="Larger files are not read.")] = 16_384,
) -> None:
    """List the files of a folder: what they hold, what is new, which dataset takes them."""
    from tasks import scan as scanning

    seen = scanning.scan(folder, pattern=pattern, largest=largest_mb << 20)
    scanning.remember(seen)
    failed = _add(seen) if add else []
    seen = scanning.again(seen) if add else seen
    if as_json:
        typer.echo(json.dumps(_document(seen), indent=1, ensure_ascii=False))
    else:
        _show(seen)
    typer.echo(_summary(seen), err=True)
    if failed:
        raise SourceUnavailable(
            f"{len(failed)} files could not be drafted, as said above.",
            remedy="Add each by `carrel add FILE` when it is mended.",
        )


def _add(seen: Scan) -> list[str]:
    """Draft what no dataset takes; the paths of files for which that failed."""
    from tasks.adopt import adopt

    failed = []
    for outcome in adopt(seen):
        if isinstance(outcome.drafted, CarrelError):
            failed.append(outcome.path)
            typer.echo(f"not drafted: {plain(outcome.path)}: {outcome.drafted}", err=True)
            continue
        typer.echo(f"drafted: {outcome.drafted.spec}", err=True)
        for note in outcome.drafted.notes:
            typer.echo(f"  check: {note}", err=True)
    return failed


def _document(seen: Scan) -> dict[str, Any]:
    return {"folder": str(seen.folder), "files": [_fields(one) for one in seen.files]}


def _fields(one: Seen) -> dict[str, Any]:
    return {
        "path": one.path,
        "bytes": one.bytes,
        "modified": _time(one).isoformat(),
        "type": one.content.type,
        "compression": one.content.compression,
        "encoding": one.content.encoding,
        "sha256": one.sha256,
        "rows": one.rows,
        "rows_estimated": one.estimated,
        "columns": one.columns,
        "header": one.header,
        "state": one.state,
        "dataset": one.taker.dataset if one.taker else None,
        "taken_by": one.taker.by if one.taker else None,
        "reason": one.reason,
    }


def _time(one: Seen) -> dt.datetime:
    """When it was last changed; the ends of time where a file claims to be beyond them."""
    try:
        return dt.datetime.fromtimestamp(one.modified_ns / 1e9, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def _show(seen: Scan) -> None:
    """Two lines a file, in a table as wide as the terminal."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else PIPED, highlight=False, markup=False)
    console.print(_table(seen.files))


def _table(files: Iterable[Seen]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("file\n  dataset or remark", ratio=1, overflow="fold")
    table.add_column("size\nmodified, UTC", justify="right", no_wrap=True)
    table.add_column("type\nencoding", no_wrap=True)
    table.add_column("rows\ncolumns", justify="right", no_wrap=True)
    table.add_column("state\nsha256", no_wrap=True)
    for one in files:
        table.add_row(*(Text("\n".join(cell)) for cell in _cells(one)))
    return table


def _cells(one: Seen) -> Iterator[tuple[str, str]]:
    yield plain(one.path), f"  {plain(_remark(one))}"
    yield _size(one.bytes), f"{_time(one):%Y-%m-%d %H:%M}"
    yield str(one.content), one.content.encoding or ""
    rows = "" if one.rows is None else f"{'~' if one.estimated else ''}{one.rows:,}"
    yield rows, "" if one.columns is None else str(one.columns)
    yield one.state, (one.sha256 or "")[:8]


def _remark(one: Seen) -> str:
    if one.reason:
        return one.reason
    if one.taker:
        return f"{one.taker.dataset}{' (by its header)' if one.taker.by == 'header' else ''}"
    return "-"


def plain(text: str) -> str:
    """Text that cannot steer a terminal: what is not printable is shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _summary(seen: Scan) -> str:
    states = [one.state for one in seen.files]
    counts = ", ".join(f"{states.count(s):,} {s}" for s in ("new", "changed", "same", "gone"))
    untaken = sum(one.taker is None and one.state != "gone" for one in seen.files)
    guessed = ", ~ is an estimate" if any(one.estimated for one in seen.files) else ""
    return f"{len(states):,} files: {counts}; no dataset takes {untaken:,}{guessed}"
