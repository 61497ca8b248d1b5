"""Records into events: typed columns, and beside them the messages that are none, with the reason.

Whole blocks are parsed by Arrow. What it does not take (a number in quotes, a field that the
schema does not name, no JSON at all) is looked at record by record: converted where nothing is
lost by it, judged by the JSON schema, and then goes the way of the others.
"""
# ruff: noqa: S608 - DuckDB in memory; names and expressions are the validated spec's

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.arrays import numbers, values
from tasks.duck import Duck
from tasks.stream.log import Slice
from tasks.stream.lookups import Lookups
from warehouse.ddl import literal
from warehouse.pseudonyms import pseudonym
from warehouse.streams import Kind, Property, Stream

CLOSE_LOOK = 256  # records looked at one by one where Arrow does not take one of them
DECIMALS = Decimal("0.0001")
# DuckDB also takes 24:00 and +99:99.
HOURS, MINUTES = r"([01]\d|2[0-3])", r":[0-5]\d"
INSTANT = rf"\d{{4}}-\d\d-\d\dT{HOURS}{MINUTES}{MINUTES}(\.\d{{1,6}})?(Z|[+-]{HOURS}{MINUTES})"
# No calendar of PostgreSQL's, Arrow's and Python's fails on these, in any time zone; and a table by
# day, from the first sale on, stays a table that a page can hold.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
# What Arrow takes in quotes, too.
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
KNOWN_PEOPLE = 100_000  # pseudonyms kept in memory
ARROW: dict[Kind, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.decimal128(18, 4),
    "boolean": pa.bool_(),
}
Numbers = npt.NDArray[np.int64]


class NoEvent(Exception):
    """Why a message is no event; quotes no value."""


@dataclass(frozen=True)
class Refused:
    """A message that is no event."""

    partition: int
    offset: int
    logged_at: int
    reason: str
    message: bytes


@dataclass(frozen=True)
class Parsed:
    """Events of a batch in the order of its records, and what is none.

    `events` has the columns of the stream, `rest`, and `partition`, `offset`, `logged_at`, `_at`
    (the event's time; microseconds both), `_hash` (of the event's id) and `_record` (its number
    within the batch).
    """

    events: pa.Table
    refused: list[Refused]


class Records(NamedTuple):
    """Some records of a batch: the `numbers` they have in it, and a line for each."""

    numbers: Numbers
    block: bytes


class Fault(NamedTuple):
    """Why a record is no event."""

    number: int
    reason: str
    line: bytes


class Parser:
    """Parses the records of a stream; for one thread."""

    def __init__(self, stream: Stream, duck: Duck) -> None:
        from jsonschema import Draft202012Validator, FormatChecker

        self._fields = stream.event.properties
        self._schema = pa.schema([(n, ARROW[f.kind]) for n, f in self._fields.items()])
        self._rows = self._schema.append(pa.field("rest", pa.string()))
        formats = FormatChecker(formats=())
        formats.checks("date-time", ValueError)(_is_instant)
        self._schema_says = Draft202012Validator(stream.event.json_schema, format_checker=formats)
        self._query, self._judged_query = _query(stream), _query(stream, judged=True)
        self._duck, self._look_up = duck, Lookups(stream)
        self._people: dict[str, str] = {}

    def __call__(self, slices: Sequence[Slice]) -> Parsed:
        """The events of a batch: one slice or more."""
        faults: list[Fault] = []
        records = Records(
            np.arange(sum(len(one.offsets) for one in slices)),
            b"".join(one.block for one in slices),
        )
        events = self._typed(*self._parsed(records, faults))
        if not pc.all(events["_fit"]).as_py():
            fit = events.filter(events["_fit"])
            rows = self._one_by_one(_only(records, _unfit(events)), faults)
            closer = self._typed(*rows, query=self._judged_query)
            odd = _only(records, _unfit(closer))
            lines = odd.block.split(b"\n")
            faults += map(Fault, odd.numbers.tolist(), repeat("cannot be converted"), lines)
            events = pa.concat_tables([fit, closer.filter(closer["_fit"])]).sort_by("_record")
        return _placed(self._look_up(events.drop_columns("_fit")), faults, slices)

    # The quick way ---------------------------------------------------------------------------

    def _parsed(self, records: Records, faults: list[Fault]) -> tuple[pa.Table, Numbers]:
        """Fields as they were sent, and the numbers of their records."""
        table = self._taken(records.block, len(records.numbers))
        if table is not None:
            return table, records.numbers
        if len(records.numbers) <= CLOSE_LOOK:
            return self._one_by_one(records, faults)
        tables, numbers = zip(
            *(self._parsed(part, faults) for part in _parts(records)), strict=True
        )
        return pa.concat_tables(tables), np.concatenate(numbers)

    def _taken(self, block: bytes, count: int) -> pa.Table | None:
        """The block as a table with `rest`; None where a record of it needs a closer look."""
        import pyarrow.json as pj

        # Each line begins and ends an object, and there are as many rows as lines: so each line
        # is exactly one object.
        lines = block.startswith(b"{") and block.endswith(b"}\n")
        if not lines or block.count(b"}\n{") != count - 1 or _has_zero(block):
            return None
        try:
            if not block.isascii():
                block.decode()
            table = pj.read_json(
                pa.BufferReader(block),
                read_options=pj.ReadOptions(use_threads=False, block_size=len(block) + 1),
                parse_options=pj.ParseOptions(
                    explicit_schema=self._schema, unexpected_field_behavior="error"
                ),
            )
        except (pa.ArrowInvalid, UnicodeDecodeError):
            return None
        if table.num_rows != count:
            return None
        return table.append_column("rest", pa.nulls(count, pa.string()))

    def _typed(self, table: pa.Table, records: Numbers, query: str = "") -> pa.Table:
        """Types, the event's time in UTC, pseudonyms, and which rows are `_fit`."""
        table = table.append_column("_record", numbers(records))
        for name, field in self._fields.items():
            if field.pseudonym:
                table = table.append_column(f"_of_{name}", self._pseudonyms(table[name]))
        return self._duck.ask(query or self._query, parsed=table)

    def _pseudonyms(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """What stands for each value; a person is worked out once."""
        coded = column.combine_chunks().dictionary_encode()
        if len(self._people) > KNOWN_PEOPLE:
            self._people.clear()
        found: list[str | None] = []
        for value in coded.dictionary.to_pylist():
            known = self._people.get(value)
            # Without a name there is nobody.
            found.append(known or (self._keep(value) if value else None))
        return pa.chunked_array([pa.array(found, pa.string()).take(coded.indices)])

    def _keep(self, value: str) -> str:
        return self._people.setdefault(value, pseudonym(value))

    # The close look --------------------------------------------------------------------------

    def _one_by_one(self, records: Records, faults: list[Fault]) -> tuple[pa.Table, Numbers]:
        rows, kept = [], []
        for number, line in zip(records.numbers.tolist(), records.block.split(b"\n"), strict=False):
            try:
                rows.append(self._row(line))
                kept.append(number)
            except NoEvent as fault:
                faults.append(Fault(number, str(fault), line))
        return pa.Table.from_pylist(rows, self._rows), np.array(kept, np.int64)

    def _row(self, line: bytes) -> dict[str, Any]:
        """The fields of one message, converted and judged; unknown ones as JSON in `rest`."""
        event = _object(line)
        for name, field in self._fields.items():
            if name in event:
                event[name] = _converted(field.kind, event[name])
        # Of several faults the same one is told each time.
        fault = min(self._schema_says.iter_errors(event), key=_told, default=None)
        if fault:
            raise NoEvent(_told(fault))
        known = {name: _storable(name, event.get(name)) for name in self._fields}
        for name, field in self._fields.items():
            if field.format and known[name] is not None:
                _check_within(name, datetime.fromisoformat(known[name]))
        others = {name: value for name, value in event.items() if name not in known}
        return known | {"rest": json.dumps(others, default=str) if others else None}


def _has_zero(block: bytes) -> bool:
    """Whether a zero character may stand in a text; most blocks escape nothing."""
    return b"\\" in block and b"\\u0000" in block


def _query(stream: Stream, *, judged: bool = False) -> str:
    """DuckDB: the stream's columns of `parsed`, and whether a row is what the schema says.

    `judged`: the schema was asked before, so that a null is one that may be.
    """
    named, fit = [], []
    for name, field in stream.event.properties.items():
        if field.format:
            named += [
                f'try_cast("{name}" as timestamptz) as "{name}"',
                f'"{name}" as "{name}_text"',
            ]
        elif field.pseudonym:
            named.append(f'"_of_{name}" as "{field.pseudonym}"')
        else:
            named.append(f'"{name}"')
        needed = not judged and (name in stream.event.required or not field.nullable)
        condition = f"({_condition(name, field)})"
        fit.append(condition if needed else f'{condition} or "{name}" is null')
    time, key = f'try_cast("{stream.time}" as timestamptz)', f'"{stream.id}"'
    conditions = " and ".join(f"coalesce({one}, false)" for one in fit)
    return (
        f"select {', '.join(named)}, rest, epoch_us({time}) as _at, hash({key}) as _hash, _record,"
        f" {conditions} as _fit from parsed"
    )


def _condition(name: str, field: Property) -> str:
    """What a value that is there must meet."""
    column, found = f'"{name}"', [f'"{name}" is not null']
    if field.format:
        found.append(f"regexp_full_match({column}, {literal(INSTANT)})")
        span = " and ".join(literal(at.isoformat()) for at in (EARLIEST, LATEST))
        found.append(f"try_cast({column} as timestamptz) between {span}")
    if field.minLength is not None:
        found.append(f"length({column}) >= {field.minLength}")
    if field.maxLength is not None:
        found.append(f"length({column}) <= {field.maxLength}")
    if field.minimum is not None:
        found.append(f"{column} >= {field.minimum}")
    if field.maximum is not None:
        found.append(f"{column} <= {field.maximum}")
    if field.pattern is not None:
        found.append(f"regexp_matches({column}, {literal(field.pattern)})")
    if field.enum is not None:
        values = ", ".join(literal(value) for value in field.enum if value is not None)
        found.append(f"{column} in ({values})")
    return " and ".join(found)


def _object(line: bytes) -> dict[str, Any]:
    """One JSON object, its fractions exact."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise NoEvent("a field stands twice")
        return dict(pairs)

    def constant(_: str) -> None:
        raise NoEvent("is no JSON: NaN or Infinity")

    try:
        found = json.loads(
            line.decode(),
            parse_int=_whole,
            parse_float=_fraction,
            parse_constant=constant,
            object_pairs_hook=unique,
        )
    except UnicodeDecodeError:
        raise NoEvent("is no UTF-8") from None
    except (ValueError, RecursionError):
        raise NoEvent("is no JSON" if line.strip() else "is empty") from None
    if not isinstance(found, dict):
        raise NoEvent("is no JSON object")
    return found


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # Python reads 4,300 digits at the most
        raise NoEvent("a number has too many digits") from None


def _fraction(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent of more than 18 digits
        raise NoEvent("a number is beyond all bounds") from None


def _converted(kind: Kind, value: Any) -> Any:
    """A value as the type that the schema wants, where nothing is lost; else as it is."""
    if isinstance(value, bool) or value is None:
        return value
    if kind == "string" and isinstance(value, int | Decimal):
        return str(value)
    if kind == "integer" and isinstance(value, str) and WHOLE.fullmatch(value):
        return int(value)
    if kind == "number" and isinstance(value, str) and NUMBER.fullmatch(value):
        return _fraction(value)
    if (
        kind == "integer"
        and isinstance(value, Decimal)
        and -(10**18) < value < 10**18
        and value == int(value)
    ):
        return int(value)
    return Decimal(value) if kind == "number" and isinstance(value, int) else value


def _storable(name: str, value: Any) -> Any:
    """A value as Arrow and PostgreSQL hold it; refused where they cannot."""
    if isinstance(value, str):
        if "\0" in value:
            raise NoEvent(f"{name}: holds a zero character")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NoEvent(f"{name}: holds half a character") from None
    elif isinstance(value, Decimal):
        if value != (rounded := value.quantize(DECIMALS)):
            raise NoEvent(f"{name}: has more than 4 decimals")
        return rounded  # however many zeros it came with
    return value


def _check_within(name: str, at: datetime) -> None:
    """Refuse a time that no calendar should hold: a clock that was never set, or a slip."""
    if not EARLIEST <= at <= LATEST:
        raise NoEvent(f"{name}: is not between {EARLIEST.year} and {LATEST.year}")


def _told(error: Any) -> str:
    """A fault that the schema found, without the value."""
    if error.validator == "required":
        return str(error.message)
    field = ".".join(map(str, error.path)) or "event"
    return f"{field}: must have {error.validator} {json.dumps(error.validator_value)}"[:300]


def _is_instant(value: object) -> bool:
    if not isinstance(value, str):
        return True
    return bool(re.fullmatch(INSTANT, value, re.ASCII)) and bool(datetime.fromisoformat(value))


def _parts(records: Records) -> Iterator[Records]:
    """The records in pieces of CLOSE_LOOK."""
    lines = records.block.split(b"\n")
    for at in range(0, len(records.numbers), CLOSE_LOOK):
        here = slice(at, min(at + CLOSE_LOOK, len(records.numbers)))
        yield Records(records.numbers[here], b"".join(line + b"\n" for line in lines[here]))


def _only(records: Records, numbers: Numbers) -> Records:
    """Those of a whole batch's records that have the numbers."""
    lines = records.block.split(b"\n")
    return Records(numbers, b"".join(lines[number] + b"\n" for number in numbers))


def _unfit(events: pa.Table) -> Numbers:
    """The records whose events are not as the schema says."""
    return values(events.filter(pc.invert(events["_fit"]))["_record"], np.int64)


def _placed(events: pa.Table, faults: list[Fault], slices: Sequence[Slice]) -> Parsed:
    """Each event and each fault with its place in the log."""
    counts = [len(one.offsets) for one in slices]
    partition = np.repeat(np.array([one.partition for one in slices], np.int64), counts)
    offset = np.concatenate([one.offsets for one in slices])
    logged_at = np.concatenate([one.logged_at for one in slices])
    at = values(events["_record"], np.int64)
    for name, column in (("partition", partition), ("offset", offset), ("logged_at", logged_at)):
        events = events.append_column(name, numbers(column[at]))
    refused = [
        Refused(int(partition[n]), int(offset[n]), int(logged_at[n]), reason, line)
        for n, reason, line in faults
    ]
    return Parsed(events, refused)
