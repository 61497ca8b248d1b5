"""Find the table in a file that nobody has described: where it starts and ends, and its header."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.dialect import Unclosed, opened, record_at
from tasks.extract import Arrival, arrival
from warehouse.errors import SourceMalformed
from warehouse.sources import CsvSource, Source
from warehouse.spec import Dataset

Row = tuple[int, list[str]]  # the number of a record's first line, and its cells
GUESSED = "The encoding cp1252 is a guess: look at letters with accents."
NO_HEADER = "No header was found, so columns are named by place (c1, c2, …)."
POOR_HEADER = "Headers are blank or stand twice, so columns are named by place (c1, c2, …)."
LOOKED_AT = 200  # records at the start of a file that decide where its header is
SHORT = 1 << 20
FOOTER = 8  # records at the end that may be a footer
FOOTER_WORD = re.compile(
    r"\W*(totals?|grand total|sources?|notes?|footnotes?|fuentes?|quellen?|bron|copyright|"
    r"generated|printed|end of|report)\b|\(?\d+ rows",
    re.IGNORECASE,
)
HEADERS = frozenset({"id", "name", "date", "year", "month", "code", "title", "email", "type"})
ONE_COLUMN = "Only one column was found: does another character part the cells?"
MARKUP = re.compile(r"\s*<[!a-zA-Z?]")
HTML = re.compile(r"<(!doctype html|html|head|body|table|div|p)\b", re.IGNORECASE)
JSON = re.compile(r'\s*(\{|\[\s*[\[{"\]])\s*["\[{}\]]?')
YEAR = re.compile(r"(19|20)\d\d")  # names a column of figures, where none of them is a year
YAML = re.compile(r"\s*(---\s+|)- (\[|[\w-]+: )|\s*---[ \t]*\r?\n[\w-]+:")
HARVEST = "openarchives.org/OAI/2.0"
WIDEST = 1500  # PostgreSQL takes 1,600 columns; a load adds a few


@dataclass(frozen=True)
class Shape:
    """How to read the file, its headers (blank where there are none), and what is doubtful."""

    arrival: Arrival
    source: CsvSource
    headers: tuple[str, ...]
    notes: tuple[str, ...]
    kind: Source | None = None  # what the file is, where a reader made the text


def shape(file: Path) -> Shape:
    """Look at the start and the end of a file.

    Raises:
        SourceUnavailable: it is not there or cannot be read.
        SourceMalformed: it is no text or holds no table.
    """
    raw = arrival(provisional(CsvSource(path=str(file), header=False)), file)
    rows, comment = _without_comments(_rows(raw))
    if not any(cell.strip() for _, row in rows for cell in row):
        raise SourceMalformed(file, "holds no table: it is empty.", remedy="Is it the right file?")
    place = _header_place(rows)
    headers = [" ".join(c.replace("\ufeff", "").split()) for c in rows[place][1]]
    first, note = _first_line(rows, place, headers)
    if note:
        headers = headers if _is_header(rows, place) else [""] * len(headers)
    source = CsvSource(
        path=str(file),
        delimiter=raw.dialect.delimiter,
        encoding=raw.dialect.encoding,
        header=not note,
        preamble=first - 1 if place or note else 0,
        comment=comment,
        footer=_footer(raw, rows, len(headers)),
    )
    _not_too_wide(file, len(headers))
    notes = (
        note,
        GUESSED if raw.dialect.encoding == "cp1252" else "",
        _not_read([line for line, row in rows[:place] if any(cell.strip() for cell in row)]),
        f"Lines that start with {comment!r} are taken for comments: not read." if comment else "",
        ONE_COLUMN if len(headers) == 1 else "",
    )
    found = arrival(provisional(source), file)
    if not source.header and len(found.dialect.header) != len(headers):
        raise _unlike_header(found, rows[place][0], len(headers))
    return Shape(found, source, tuple(headers), tuple(n for n in notes if n))


def _rows(found: Arrival) -> list[Row]:
    """The first records of the file.

    Raises:
        SourceMalformed: it is text of another kind.
    """
    text = _start(found)
    _refuse_others(found.path, text.lstrip("\ufeff"))
    return list(_numbered(text, found.dialect.delimiter, found.dialect.quote, LOOKED_AT))


def _refuse_others(path: Path, text: str) -> None:
    """Refuse text that is written for other programs, naming the way that leads on."""
    if JSON.match(text):
        raise _no_json(path, text)
    if YAML.match(text):
        raise SourceMalformed(path, "is YAML.", remedy="Save it as CSV or JSON.")
    if not MARKUP.match(text):
        return
    if HTML.search(text[:2000]):
        raise SourceMalformed(
            path,
            "is HTML, a web page.",
            remedy="Open it in Excel or LibreOffice, and save its table as .csv or .xlsx.",
        )
    if HARVEST in text[:2000]:
        raise SourceMalformed(
            path,
            "is XML, an answer of an OAI-PMH repository.",
            remedy="Write a spec of `kind: oai_pmh` with the repository's URL.",
        )
    raise SourceMalformed(path, "is XML, and no MARCXML.", remedy="Save it as CSV or JSON.")


def _no_json(path: Path, text: str) -> SourceMalformed:
    """Where what starts like JSON is broken."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        message, line = f"is broken JSON: {error.msg}.", error.lineno
        return SourceMalformed(path, message, line=line, remedy="Mend it, or fetch it again.")
    except RecursionError:
        return SourceMalformed(path, "is JSON nested too deeply.", remedy="Save it as CSV.")
    return SourceMalformed(path, "is JSON without records.", remedy="Save it as CSV.")


def _without_comments(rows: list[Row]) -> tuple[list[Row], str | None]:
    """The rows that are no comments, and the sign of a comment.

    A first line that starts with # and is as wide as the others is a header, not a comment.
    """
    marked = [row[0].lstrip("\ufeff").startswith("#") for _, row in rows]
    plain = [r for r, is_so in zip(rows, marked, strict=True) if not is_so]
    if not rows or not marked[0]:
        return rows, None
    if plain and len(rows[0][1]) == len(plain[0][1]) > 1:
        return rows, None
    return plain, "#"


def _first_line(rows: list[Row], place: int, headers: list[str]) -> tuple[int, str]:
    """The line on which reading starts, and why columns are named by place, where they are."""
    line = rows[place][0]
    if not _is_header(rows, place):
        return line if place else 1, NO_HEADER
    if _unusable(headers):
        return rows[place + 1][0] if place + 1 < len(rows) else line + 1, POOR_HEADER
    return line, ""


def _unlike_header(found: Arrival, line: int, width: int) -> SourceMalformed:
    """Columns without names have no number where the first line below is not as wide."""
    below = len(found.dialect.header)
    return SourceMalformed(
        found.path,
        f"names no columns and has {width} cells, "
        + (f"the line below {below}." if below else "and no line is below."),
        line=line,
        remedy="Give each column a name of its own, and as many cells to each line.",
    )


def _not_read(lines: list[int]) -> str:
    """A sentence on the lines above the table that hold something."""
    if not lines:
        return ""
    said = f"Line {lines[0]} stands" if len(lines) == 1 else f"{len(lines)} lines stand"
    return f"{said} above the table (up to line {lines[-1]}): not read."


def _not_too_wide(file: Path, width: int) -> None:
    if width > WIDEST:
        raise SourceMalformed(
            file,
            f"has {width} columns; a table takes {WIDEST}.",
            remedy="Turn columns into rows first, or write a spec with source.unpivot.",
        )


def provisional(source: Source) -> Dataset:
    """A dataset without columns, so that a file can be read before it is described."""
    return Dataset.model_validate(
        {
            "domain": "local",
            "name": "draft",
            "path": Path("draft.yml"),
            "title": "draft",
            "grain": "a line",
            "source": source,
            "key": "content",
            "access": {},
            "columns": (),
        }
    )


def _start(found: Arrival) -> str:
    """The file's first text."""
    dialect = found.dialect
    with opened(found.path, dialect.compression) as stream:
        text: str = stream.read(1 << 20).decode(dialect.encoding, "replace")
    return text.replace("\r", "\n") if dialect.returns_only else text


def _numbered(text: str, delimiter: str, quote: str | None, limit: int) -> Iterator[Row]:
    """The first records that are no blank lines, each with the number of its first line."""
    at, line, count = 0, 1, 0
    while at < len(text) and count < limit:
        try:
            fields, end = record_at(text, at, delimiter, quote)
        except Unclosed:
            return
        if fields != [""]:
            count += 1
            yield line, fields
        line += text.count("\n", at, end)
        at = end


def _header_place(rows: list[Row]) -> int:
    """Which record is the first of the table: those before it have fewer cells filled."""
    widths = [len(r) for _, r in rows]
    usual = max(set(widths), key=lambda w: (widths.count(w), w == widths[0], w))
    for place, (_, row) in enumerate(rows[: LOOKED_AT // 2]):
        filled = sum(bool(c.strip()) for c in row)
        if len(row) == usual and filled * 2 >= usual:
            return place
    return next(i for i, w in enumerate(widths) if w == usual)


def _is_header(rows: list[Row], place: int) -> bool:
    """Whether the first record names columns: its cells do not look like the numbers below."""
    head = rows[place][1]
    body = [r for _, r in rows[place + 1 :] if len(r) == len(head)]
    if {c.strip().casefold() for c in head} & HEADERS:
        return True
    if not body:
        return not any(_is_number(c) for c in head)
    votes = 0
    for i, cell in enumerate(head):
        below = [r[i] for r in body if r[i].strip()]
        if below and all(_is_number(c) for c in below):
            year = YEAR.fullmatch(cell.strip()) and not any(
                YEAR.fullmatch(c.strip()) for c in below
            )
            votes += 1 if year or _digits(cell) not in map(_digits, below) else -1
    return votes >= 0


def _digits(cell: str) -> str:
    """The shape of a cell: a 9 for each run of digits."""
    return re.sub(r"\d+", "9", cell.strip())


def _is_number(cell: str) -> bool:
    return any(c.isdigit() for c in cell) and not any(c.isalpha() for c in cell)


def _unusable(headers: list[str]) -> bool:
    """Whether headers are too poor to find columns by."""
    folded = [h.casefold() for h in headers]
    return "" in folded or len(set(folded)) < len(folded)


def _footer(found: Arrival, rows: list[Row], width: int) -> str | None:
    """A pattern for the line that ends the data, where the last lines are plainly no data.

    They have not as many cells as the rest, and start with a word that footers start with and
    that starts no line before. Only short files are looked at: their text is read as a whole.
    """
    if found.dialect.compression or found.bytes > SHORT or width < 3:
        return None
    dialect = found.dialect
    every = [r for _, r in _numbered(_start(found), dialect.delimiter, dialect.quote, 1 << 20)]
    tail = every[-FOOTER:]
    odd = [r for r in tail if len(r) != width or sum(bool(c.strip()) for c in r) <= 1]
    words = [w for r in odd if (w := FOOTER_WORD.match(r[0]))]
    if not words or odd[-1] != every[-1]:
        return None
    word = words[0].group()
    starts = [i for i, r in enumerate(every) if r[0].startswith(word)]
    return f'"?{_escaped(word)}' if starts[0] >= len(every) - FOOTER else None


def _escaped(word: str) -> str:
    return "".join(f"\\{c}" if not c.isalnum() else c for c in word)
