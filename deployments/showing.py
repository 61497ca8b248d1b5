"""An answer on the screen or for programs: an aligned table, CSV, or JSON lines.

What a terminal would obey (control characters, marks that turn the direction of writing) is
written as a number there, whatever a row holds.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import IO

from tasks.asking import Answer
from tasks.writers import NUMBERS, TEXTS, json_value
from warehouse.sheets import safe_text

LONGEST = 60  # characters of a cell in a table


class Form(StrEnum):
    """How an answer is written."""

    table = "table"
    csv = "csv"
    json = "json"


def show(answer: Answer, form: Form, out: IO[str] | None = None, *, counted: bool = True) -> None:
    """Write an answer; a table says at its end how many rows it has, if it is `counted`."""
    out = out or sys.stdout
    if form is Form.csv:
        _csv(answer, out)
    elif form is Form.json:
        _json(answer, out)
    else:
        _table(answer, out)
        out.write(_counted(answer) if counted else "")


def harmless(text: str) -> str:
    r"""A text on one line that no terminal obeys: what is not printable is written as \uXXXX."""
    return "".join(c if c.isprintable() else _number(c) for c in text)


def _number(c: str) -> str:
    return f"\\u{ord(c):04x}" if ord(c) <= 0xFFFF else f"\\U{ord(c):08x}"


def _csv(answer: Answer, out: IO[str]) -> None:
    """As `carrel export` writes it; on a terminal without what it would obey."""
    plain = harmless if out.isatty() else str
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([plain(safe_text(f.name)) for f in answer.fields])
    texts = [f.type in TEXTS for f in answer.fields]
    for row in answer.rows:
        cells = zip(row, texts, strict=True)
        writer.writerow(
            [None if v is None else plain(safe_text(v) if text else v) for v, text in cells]
        )


def _json(answer: Answer, out: IO[str]) -> None:
    """An object a line; a name that stands twice gets a number."""
    keys = [json.dumps(name) + ": " for name in _once(f.name for f in answer.fields)]
    ways = [json_value(f.type) for f in answer.fields]
    for row in answer.rows:
        cells = zip(keys, ways, row, strict=True)
        line = ", ".join(key + ("null" if v is None else way(v)) for key, way, v in cells)
        out.write("{" + _escaped(line) + "}\n")


def _once(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        own, number = name, 1
        while own in found:
            number += 1
            own = f"{name}_{number}"
        found.append(own)
    return found


def _escaped(line: str) -> str:
    """JSON in which unprintable characters stand as escapes, which a reader takes back."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _table(answer: Answer, out: IO[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for field in answer.fields:
        right = "right" if field.type in NUMBERS else "left"
        shown.add_column(Text(_cell(field.name)), justify=right, no_wrap=True)  # type: ignore[arg-type]
    for row in answer.rows:
        shown.add_row(*(Text("" if v is None else _cell(v)) for v in row))
    screen = Console(file=out, highlight=False, markup=False)
    wide = Console(file=out, highlight=False, markup=False, width=100_000)
    if out.isatty() and wide.measure(shown).maximum > screen.width:
        _records(answer, out)
        return
    with wide.capture() as drawn:
        wide.print(shown)
    out.writelines(f"{line.rstrip()}\n" for line in drawn.get().splitlines())


def _cell(text: str) -> str:
    shown = harmless(text[: LONGEST + 1])
    return shown if len(text) <= LONGEST else f"{shown[:LONGEST]}…"


def _records(answer: Answer, out: IO[str]) -> None:
    """A line a column, for answers that are wider than the terminal."""
    width = max((len(_cell(f.name)) for f in answer.fields), default=0)
    for number, row in enumerate(answer.rows, start=1):
        out.write(f"-- {number} --\n")
        for field, value in zip(answer.fields, row, strict=True):
            name = _cell(field.name).ljust(width)
            out.write(f"{name}  {'' if value is None else _cell(value)}\n")


def _counted(answer: Answer) -> str:
    count = len(answer.rows)
    rows = f"{count:,} row{'' if count == 1 else 's'}"
    more = "; there are more: --limit, or `limit` at the prompt" if answer.more else ""
    return f"{rows}{more}; {answer.seconds:.2f} s\n"
