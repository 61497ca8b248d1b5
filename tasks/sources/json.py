"""Read JSON: a document with its records at a path, or lines, or values one after another.

Nested objects become columns `a.b`; lists stay JSON text, but for the one that the spec explodes.
A list of lists is a table, whose first row is the header if it is distinct texts. Keys of later
records are columns too, so a large file's records are gathered on disk. Numbers stay as they are
written.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.gathered import Gathered
from tasks.json_text import BLANKS, DECODER, Doubled, Number, Text, dumps, lines, pieces
from tasks.sources import FAULT
from warehouse.errors import SourceMalformed
from warehouse.sources import JsonSource
from warehouse.spec import Dataset

MOST_COLUMNS = 5_000
SHOWN = 10  # keys that an error lists
LOOKED_AT = 100  # lines that decide whether a broken text is JSON lines
COMPRESSED, LINES = {".gz", ".bz2", ".xz"}, {".jsonl", ".ndjson", ".jsonlines"}
PLAIN = {str, Number, type(None)}
Row = dict[str, str | None]


class Unfit(ValueError):
    """Why a record makes no row."""


def read(dataset: Dataset, path: Path | None) -> Iterator[pa.Table]:
    """The file's records, as text.

    Raises:
        SourceUnavailable: it cannot be read.
        SourceMalformed: it is a document and broken, or holds no list at `source.records`, or its
            records have more than 5,000 different keys.
    """
    source = dataset.source
    assert path
    assert isinstance(source, JsonSource)
    with Gathered() as gathered:
        for row in rows(source, path):
            gathered.add(row)
            if len(gathered.columns) > MOST_COLUMNS:
                raise SourceMalformed(
                    path,
                    f"its records have more than {MOST_COLUMNS:,} different keys.",
                    remedy="Are ids used as keys? Then change how it is written.",
                )
        columns = gathered.columns
        if not columns.keys() - {FAULT}:
            columns.update(dict.fromkeys(c.header for c in dataset.columns))
        columns[FAULT] = columns.pop(FAULT, None)
        yield from gathered.tables(dataset)


def rows(source: JsonSource, path: Path) -> Iterator[Row]:
    """The file's rows: column to text, in order.

    Raises:
        SourceUnavailable: it cannot be read.
        SourceMalformed: it is a document and broken, or holds no list at `source.records`.
    """
    header: list[str] | None = None
    for place, record in _records(source, path):
        if isinstance(record, list) and header is None:
            header, is_data = _header(record)
            if not is_data:
                continue
        fit = record if header is None else _entry(record, header)
        yield from rows_of(fit, source.explode, place)


def rows_of(record: Any, explode: str | None = None, place: str = "") -> list[Row]:
    """The rows of one record; one with a `_fault` where it makes none."""
    try:
        return _flattened(record, explode)
    except Unfit as error:
        return [{FAULT: f"{place}{error}"}]
    except RecursionError:
        return [{FAULT: f"{place}is nested too deeply"}]


def _header(record: list[Any]) -> tuple[list[str], bool]:
    """The columns of a table of lists, and whether its first row is data."""
    texts = [v for v in record if isinstance(v, str) and not isinstance(v, Number) and v.strip()]
    if record and len(set(texts)) == len(record):
        return texts, False
    return [f"c{i}" for i in range(1, len(record) + 1)], True


def _entry(record: Any, header: list[str]) -> Any:
    if not isinstance(record, list):
        return record
    if len(record) == len(header):
        return dict(zip(header, record, strict=True))
    return Unfit(f"has {len(record)} entries where the first row has {len(header)}")


def _records(source: JsonSource, path: Path) -> Iterator[tuple[str, Any]]:
    """The records, each with its place as an error tells it; an `Unfit` where one is none."""
    text = pieces(path)
    head = next(text, "")
    layout = "document" if source.records else _layout(path, head)
    text = itertools.chain([head], text)
    if layout == "lines":
        for number, line in lines(path, text):
            yield f"line {number}: ", _of_line(line)
        return
    place = Text(path, text)
    if not place.peek():
        raise SourceMalformed(path, "is empty, so it is no JSON.", remedy="Is it whole?")
    yield from (("", record) for record in of_document(path, place, source.records))


def _of_line(line: str) -> Any:
    try:
        record, end = DECODER.raw_decode(line)
    except json.JSONDecodeError as error:
        return Unfit(f"is no JSON: {error.msg} (column {error.pos + 1})")
    except RecursionError:
        return Unfit("is nested too deeply")
    if end < len(line):
        return Unfit(f"holds more than one value (column {end + 1})")
    if not isinstance(record, dict | list):
        return Unfit("is a single value and no record")
    return record


def of_document(path: Path | str, place: Text, records: str | None) -> Iterator[Any]:
    """The records of a document: those at the path `records`, else its entries, or itself.

    Raises:
        SourceMalformed: it is broken, or holds nothing at `records`; the error names `path`.
    """
    keys: dict[str, None] = {}
    found = False
    if records is None and place.peek() not in ("{", "["):
        place.value()
        raise SourceMalformed(
            path, "is a single value and no record.", remedy="Is it the right file?"
        )
    for record in _at(place, records or "", keys):
        found = True
        if record is not None:
            yield record[0]
    while records is None and place.peek() == "{":  # documents one after another
        yield place.value()
    if place.peek():
        raise place.broken("is no JSON: there is more text after its end.")
    if records and not found:
        held = ", ".join(list(keys)[:SHOWN]) or "no object"
        raise SourceMalformed(path, f"holds nothing at `{records}`.", remedy=f"It holds: {held}.")


def _at(place: Text, path: str, keys: dict[str, None]) -> Iterator[tuple[Any] | None]:
    """The records at a path, and None once it is found; lists on the way are walked through."""
    first = place.peek()
    if first == "[":
        if not path:
            yield None
        for _ in place.items():
            if path:
                yield from _at(place, path, keys)
            else:
                yield (place.value(),)
    elif not path:
        yield from _alone(place.value())
    elif first == "{":
        for key in place.members():
            if len(keys) < SHOWN:
                keys[key] = None
            if path == key or path.startswith(f"{key}."):
                yield from _at(place, path[len(key) + 1 :], {})
            else:
                place.skip()
    else:
        place.skip()


def _alone(value: Any) -> list[tuple[Any] | None]:
    """A value that stands where a list should: an object is the only record, null is no record."""
    if value is None:
        return [None]
    return [(value,)] if isinstance(value, dict) else []


def _layout(path: Path, head: str) -> str:
    """How a text is laid out that starts so: `document` or `lines`."""
    kinds = [s.lower() for s in path.suffixes if s.lower() not in COMPRESSED]
    if kinds and kinds[-1] in LINES:
        return "lines"
    text = head.lstrip(BLANKS)
    try:
        first, end = DECODER.raw_decode(text)
    except (json.JSONDecodeError, RecursionError):
        found = [line for line in text.split("\n")[:LOOKED_AT] if line.strip(BLANKS)]
        whole = [v for v in map(_of_line, (s.strip(BLANKS) for s in found)) if _is_record(v)]
        return "lines" if len(whole) * 2 > len(found) else "document"
    rest = text[end:].lstrip(" \t\r\ufeff\x1e")
    if not rest.strip(BLANKS) or not _is_record(first):
        return "document"
    if rest.startswith("\n") and "\n" not in text[:end]:
        return "lines"
    return "document"


def _is_record(value: Any) -> bool:
    """Whether a value is an object, or a row of a table of lists."""
    if isinstance(value, list):
        return not any(isinstance(v, dict | list) for v in value)
    return isinstance(value, dict)


def _flattened(record: Any, explode: str | None) -> list[Row]:
    """The rows of one record; without entries to explode one row, so that it is not lost.

    Raises:
        Unfit: why it makes no row.
    """
    if isinstance(record, Unfit):
        raise record
    entries = _taken(record, explode) if explode and isinstance(record, dict) else []
    base: Row = {}
    _flat(record, "" if isinstance(record, dict) else "value", base)
    found = [base]
    if entries:
        found = [dict(base) for _ in entries]
        for row, entry in zip(found, entries, strict=True):
            _flat(entry, explode or "", row)
    for row in found:
        _whole(row)
    return found


def _taken(record: dict[str, Any], path: str) -> list[Any]:
    """Take the entries at a path out of a record; one that is no list is the only entry."""
    if path in record:
        entries = record.pop(path)
        if isinstance(entries, list):
            return entries
        return [] if entries is None else [entries]
    for key, value in record.items():
        if path.startswith(f"{key}."):
            if isinstance(value, list):
                raise Unfit(f"holds a list at {key!r}, before the one to explode")
            if isinstance(value, dict):
                return _taken(value, path[len(key) + 1 :])
    return []


def _flat(value: Any, name: str, row: Row) -> None:
    """Put a value into a row: the leaves of an object each under its own name."""
    if isinstance(value, dict):
        _spread(value, f"{name}." if name else "", row)
    elif name in row:
        raise Unfit(f"has two values for {name!r}")
    elif value is None or isinstance(value, str):
        row[name] = value
    else:
        try:
            row[name] = dumps(value)
        except ValueError as error:
            raise Unfit(f"{error} in {name!r}") from None


def _spread(value: dict[str, Any], prefix: str, row: Row) -> None:
    if isinstance(value, Doubled):
        raise Unfit(f"names a key twice{f' in {prefix[:-1]!r}' if prefix else ''}")
    for key, inner in value.items():
        name = prefix + key
        if type(inner) in PLAIN and name not in row:  # nearly all are, and it is much faster
            row[name] = inner
        else:
            _flat(inner, name, row)


def _whole(row: Row) -> None:
    """Refuse half characters (`\\ud800` alone), which no text can hold."""
    text = "".join(filter(None, itertools.chain(row, row.values())))
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        raise Unfit("holds half a character (a lone surrogate)") from None
