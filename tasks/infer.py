"""Infer a column's type from all its values.

A type is taken only when every value has it, by the very expressions that a load cleans with.
Values are held in a DuckDB table `found (x, n)`: each distinct text, trimmed, and how often.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from tasks.expressions import YEARS, typed_value
from warehouse.ddl import literal
from warehouse.spec import Column, ColumnType

TOKENS = (
    "NA", "N/A", "#N/A", "NULL", "NONE", "NAN", "NIL", "\\N", "-", "--", "---", "?", ".", "..",
    "-  -", "*", "#REF!", "#VALUE!", "#DIV/0!", "MISSING", "NOT AVAILABLE",
)  # fmt: skip
TEXT_HEADERS = re.compile(
    r"(^|[^a-z])(isbn|issn|ean|upc|barcode|phone|tel|telephone|mobile|fax|zip|post_?code|plz|iban|"
    r"account|card|ssn|sku)([^a-z]|$)",
    re.IGNORECASE,
)
DATE_HEADERS = re.compile(r"date|day|time|datum|fecha|month", re.IGNORECASE)
TRUTHS = ({"true", "false"}, {"yes", "no"}, {"y", "n"}, {"t", "f"}, {"on", "off"})
SIZES = """
    select coalesce(sum(n), 0), coalesce(sum(n) filter (where x <> ''), 0),
        count(*) filter (where x <> ''), coalesce(max(length(x)), 0)
    from found
"""
FACTS = """
    select coalesce(sum(n), 0), coalesce(max(length(x)), 0), count(*),
        coalesce(bool_and(regexp_full_match(x, '[+-]?[0-9]+([.]0*)?')), false),
        coalesce(bool_and(regexp_full_match(
            x, '[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?')), false),
        coalesce(bool_or(regexp_full_match(x, '[+-]?0[0-9]+')), false),
        coalesce(bool_or(contains(lower(x), 'e')), false),
        coalesce(max(length(regexp_extract(x, '[.]([0-9]*)', 1))), 0),
        coalesce(max(length(regexp_replace(x, '[^0-9]', '', 'g'))), 0),
        coalesce(max(abs(try_cast(x as double))), 0),
        coalesce(sum(n) filter (where try_cast(x as double) is not null), 0),
        coalesce(sum(n) filter (where regexp_full_match(
            x, '[^0-9]{0,2}-?[0-9]{1,3}([., ][0-9]{3})*[.,][0-9]{1,2}[^0-9]{0,2}')), 0)
    from found
"""


@dataclass(frozen=True)
class Kind:
    """What a column's values are. `rows` counts all cells, `filled` those that are not blank."""

    type: ColumnType
    rows: int = 0
    filled: int = 0
    distinct: int = 0
    longest: int = 0
    nulls: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    pivot: int | None = None
    scale: int | None = None
    day_first: bool | None = None
    ambiguous: bool = False
    notes: tuple[str, ...] = ()

    def as_text(self) -> Kind:
        """The same column kept as text."""
        return Kind("text", self.rows, self.filled, self.distinct, self.longest)

    def in_order(self, day_first: bool) -> Kind:
        """The column with day and month in this order, where they were open."""
        formats = self.formats
        if day_first != self.day_first:
            formats = tuple(_turned(f) for f in formats)
        note = f"Day or month first? Another column shows: {'day' if day_first else 'month'}."
        return replace(self, formats=formats, day_first=day_first, ambiguous=False, notes=(note,))


@dataclass(frozen=True)
class Facts:
    """Numbers about the distinct values, without tokens that mean nothing."""

    filled: int
    longest: int
    distinct: int
    whole: bool
    number: bool
    noughts: bool
    exponent: bool
    scale: int
    digits: int
    largest: float
    numbers: int
    money: int


def infer(connection: duckdb.DuckDBPyConnection, column: str, header: str) -> Kind:
    """The type of a column of the table `cells`, from every value."""
    connection.execute(f"""
        create or replace temp table found as
        select trimmed({column}) as x, count(*) as n from cells group by 1
    """)  # noqa: S608
    sizes = map(int, _one(connection, SIZES))
    tokens = _tokens(connection)
    connection.execute("delete from found where x = ''")
    if tokens:
        listed = ", ".join(literal(t) for t in tokens)
        connection.execute(f"delete from found where x in ({listed})")  # noqa: S608
    kind = _typed(connection, header)
    if kind.type == "text" and tokens:
        note = f"{_quoted(tokens)} may mean nothing; if so, add to nulls."
        kind = replace(kind, notes=(*kind.notes, note))
    nulls = () if kind.type == "text" else tuple(tokens)
    rows, filled, distinct, longest = sizes
    return replace(kind, rows=rows, filled=filled, distinct=distinct, longest=longest, nulls=nulls)


def _quoted(texts: list[str]) -> str:
    return ", ".join(repr(t) for t in texts)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row
    return row


def _tokens(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Texts in the column that often mean nothing, as they are written there."""
    listed = ", ".join(literal(t) for t in TOKENS)
    query = f"select x from found where upper(x) in ({listed}) order by x"  # noqa: S608
    return [x for (x,) in connection.execute(query).fetchall()]


def _typed(connection: duckdb.DuckDBPyConnection, header: str) -> Kind:
    facts = Facts(*_one(connection, FACTS))
    if not facts.filled:
        return Kind("text", notes=("No value in this file.",))
    if _is_truth(connection, facts):
        return Kind("boolean")
    if facts.number:
        return _number(connection, facts, header)
    return _moment(connection, facts) or _text(facts)


def _is_truth(connection: duckdb.DuckDBPyConnection, facts: Facts) -> bool:
    if facts.distinct > 6 or facts.longest > 5:
        return False
    words = {x for (x,) in connection.execute("select distinct lower(x) from found").fetchall()}
    return words in TRUTHS or words in ({"true"}, {"false"})


def _number(connection: duckdb.DuckDBPyConnection, facts: Facts, header: str) -> Kind:
    """Whole numbers, decimals, dates of eight digits, or digits that name something."""
    if why := _no_quantity(facts, header):
        return Kind("text", notes=(why,))
    if facts.whole and facts.digits == 8 and DATE_HEADERS.search(header):
        day = Column(name="x", type="date", formats=("%Y%m%d",), meaning="")
        if _all(connection, day):
            return Kind("date", formats=day.formats)
    if facts.whole:
        return Kind("integer" if facts.largest < 2**31 and facts.digits < 12 else "bigint")
    exact = not facts.exponent and facts.scale <= 10 and facts.digits <= 27
    if exact and _all(connection, Column(name="x", type="numeric", scale=facts.scale, meaning="")):
        return Kind("numeric", scale=max(facts.scale, 2))
    return Kind("double")


def _no_quantity(facts: Facts, header: str) -> str | None:
    """Why digits are kept as text, where they are."""
    if facts.noughts:
        return "Digits with leading noughts: a code, kept as text."
    if TEXT_HEADERS.search(header):
        return "Digits that name something: kept as text."
    if facts.whole and (facts.largest >= 2**62 or facts.digits > 21):
        return "Longer than a number can be: kept as text."
    return None


def _text(facts: Facts) -> Kind:
    notes: tuple[str, ...] = ()
    if facts.numbers * 10 >= facts.filled * 9 and facts.filled > facts.numbers:
        other = facts.filled - facts.numbers
        notes = (
            f"{other} of {facts.filled} values are no numbers; as a number type they would"
            " go to quarantine.",
        )
    elif facts.money * 10 >= facts.filled * 9:
        notes = ("Looks like amounts with signs or decimal commas; kept as text.",)
    return Kind("text", notes=notes)


# Dates -----------------------------------------------------------------------------------------

MONTH, NAME = r"[A-Za-z]{3}", r"[A-Za-z]{3,9}"
DAYS: list[tuple[str, str]] = [
    (r"\d{4}-\d{1,2}-\d{1,2}", "%Y-%m-%d"),
    (r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", "%Y.%m.%d"),
    *((rf"\d{{1,2}}{re.escape(s)}\d{{1,2}}{re.escape(s)}{year}", f"{order[0]}{s}{order[1]}{s}{y}")
      for s in "/-." for year, y in ((r"\d{4}", "%Y"), (r"\d{2}", "%y"))
      for order in (("%d", "%m"), ("%m", "%d"))),
    *((rf"\d{{1,2}}{s}{MONTH}{s}{year}", f"%d{s}%b{s}{y}")
      for s in "- /" for year, y in ((r"\d{4}", "%Y"), (r"\d{2}", "%y"))),
    (rf"\d{{1,2}} {NAME} \d{{4}}", "%d %B %Y"),
    (rf"{MONTH} \d{{1,2}}, \d{{4}}", "%b %d, %Y"),
    (rf"{NAME} \d{{1,2}}, \d{{4}}", "%B %d, %Y"),
    (r"\d{4}-\d{1,2}", "%Y-%m"),
    (r"\d{1,2}/\d{4}", "%m/%Y"),
    (rf"{MONTH}-\d{{2}}", "%b-%y"),
    (rf"{MONTH}[ -]\d{{4}}", "%b %Y"),
    (rf"{NAME} \d{{4}}", "%B %Y"),
]  # fmt: skip
TIMES = [
    ("", ""),
    *((sep + clock + zone, mark + code + zone)
      for sep, mark in ((" ", " "), ("T", "T"))
      for clock, code in ((r"\d{1,2}:\d{2}", "%H:%M"), (r"\d{1,2}:\d{2}:\d{2}", "%H:%M:%S"),
                          (r"\d{1,2}:\d{2}:\d{2}\.\d+", "%H:%M:%S.%f"))
      for zone in ("", "Z")),
    (r" \d{1,2}:\d{2} ?[AaPp][Mm]", " %I:%M %p"),
    (r" \d{1,2}:\d{2}:\d{2} ?[AaPp][Mm]", " %I:%M:%S %p"),
]  # fmt: skip
PATTERNS = [(re.compile(day + time), form + clock) for day, form in DAYS for time, clock in TIMES]
WANTED = 3  # formats a column, at most


def _moment(connection: duckdb.DuckDBPyConnection, facts: Facts) -> Kind | None:
    """Dates or times, in up to three formats; None where some value is neither."""
    if facts.longest > 40:
        return None
    query = "select x from found order by hash(x) limit 300"
    sample = [x for (x,) in connection.execute(query).fetchall()]
    if not any(any(c.isdigit() for c in x) for x in sample):
        return None
    if not _candidates(sample):
        return _iso(connection, sample)
    found = [(f, _count(connection, f)) for f in _candidates(sample)]
    best = sorted((f for f in found if f[1]), key=lambda f: -f[1])
    chosen, open_order = _cover(connection, best, facts)
    if not chosen:
        return _iso(connection, sample)
    return _kind_of(chosen, open_order)


def _candidates(sample: list[str]) -> list[str]:
    """The formats that the shape of some value allows."""
    return [form for pattern, form in PATTERNS if any(pattern.fullmatch(x) for x in sample)]


def _iso(connection: duckdb.DuckDBPyConnection, sample: list[str]) -> Kind | None:
    """ISO dates of any length and times with offsets, which need no format."""
    if not all(re.match(r"\d{4}-\d{1,2}-\d{1,2}", x) for x in sample):
        return None
    if _all(connection, Column(name="x", type="date", meaning="")):
        return Kind("date")
    if not _all(connection, Column(name="x", type="timestamp", meaning="")):
        return None
    return Kind("timestamp", notes=("Times with an offset are turned into UTC.",))


def _cover(
    connection: duckdb.DuckDBPyConnection, best: list[tuple[str, int]], facts: Facts
) -> tuple[list[str], bool]:
    """The fewest formats that read every value; and whether day and month are open."""
    for size in range(1, WANTED + 1):
        for start in range(len(best)):
            chosen = _with_others([f for f, _ in best[start:]], size)
            if len(chosen) == size and _all(connection, _column(chosen)):
                turned = [_turned(f) for f in chosen]
                open_order = turned != chosen and _all(connection, _column(turned))
                return sorted(chosen, key=_steadiness), open_order
    return [], False


def _with_others(forms: list[str], size: int) -> list[str]:
    """The first formats that do not contradict each other on day and month."""
    chosen: list[str] = []
    for form in forms:
        if _turned(form) not in chosen or _turned(form) == form:
            chosen.append(form)
        if len(chosen) == size:
            break
    return chosen


def _steadiness(form: str) -> tuple[bool, str]:
    """Four-digit years are tried before two-digit ones."""
    return "%y" in form, form


def _turned(form: str) -> str:
    """The format with day and month exchanged, where both are plain numbers."""
    turned = re.sub(
        r"^%([dm])([/.-])%([dm])",
        lambda m: f"%{m[3]}{m[2]}%{m[1]}" if m[1] != m[3] else m[0],
        form,
    )
    return turned


def _kind_of(chosen: list[str], open_order: bool) -> Kind:
    kind: ColumnType = "timestamp" if any("%H" in f or "%I" in f for f in chosen) else "date"
    pivot = 68 if any("%y" in f for f in chosen) else None
    order = [f.startswith("%d") for f in chosen if _turned(f) != f]
    notes = []
    if open_order:
        notes.append("Day or month first? Every value fits both; day first is assumed.")
        chosen = [f if f.startswith("%d") else _turned(f) for f in chosen]
        order = [True]
    if pivot is not None:
        notes.append(f"Two-digit years above {pivot} are read as 19xx, others as 20xx.")
    return Kind(
        kind,
        formats=tuple(chosen),
        pivot=pivot,
        day_first=order[0] if order else None,
        ambiguous=open_order,
        notes=tuple(notes),
    )


def _column(formats: list[str]) -> Column:
    timed = any("%H" in f or "%I" in f for f in formats)
    return Column(
        name="x", type="timestamp" if timed else "date", formats=tuple(formats), meaning=""
    )


def _count(connection: duckdb.DuckDBPyConnection, form: str) -> int:
    query = f"select coalesce(sum(n), 0) from found where {_read(_column([form]))}"  # noqa: S608
    return int(_one(connection, query)[0])


def _all(connection: duckdb.DuckDBPyConnection, column: Column) -> bool:
    """Whether a load would read every value as the column says."""
    query = f"select 1 from found where not {_read(column)} limit 1"  # noqa: S608
    return connection.execute(query).fetchone() is None


def _read(column: Column) -> str:
    """Whether a load would read the value x, as an SQL condition that is never null."""
    value = typed_value(column, "x")
    if column.type not in ("date", "timestamp"):
        return f"(({value}) is not null)"
    return f"coalesce(({value}) {YEARS}, false)"
