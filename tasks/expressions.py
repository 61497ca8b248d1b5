"""DuckDB SQL made from a dataset spec: cells become typed columns, findings and a key hash.

The block of cells is a view `block` with `_r` (row within the block), a text column `c<position>`
for each header position read, where columns are turned into rows `wide_name` and `wide_value`,
`p_<column>` with the pseudonyms of each column of persons, and `_v_<column>` with the values of
each column that is converted already (`convert`).
A view `cleaned` holds the cleaned text of each column, `_s<i>`; `typed` the typed columns under
their own names. Keys of pseudonyms are DuckDB variables, so that no statement contains them.
"""
# ruff: noqa: S608 - every name comes from a validated spec, every text is quoted as a literal

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tasks.extract import UNPIVOT_NAME, Places
from warehouse.ddl import literal
from warehouse.sources import FAULT
from warehouse.spec import Column, Dataset, Derived

TYPES = {
    "text": "varchar",
    "integer": "integer",
    "bigint": "bigint",
    "double": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
}
SPACE = "' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(160) || chr(65279)"
NUMBER = "[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?"
YEARS = "between '1000-01-01' and '9999-12-31'"
ISO = {"%Y-%m-%d": 10, "%Y-%m-%d %H:%M:%S": 19, "%Y-%m-%dT%H:%M:%S": 19, "%Y-%m-%d %H:%M": 16}
MACROS = (Path(__file__).parent / "sql" / "cleaning.sql").read_text("utf-8")
EDGE = "regexp_matches(x, '^\\s|\\s$|^[\\x{a0}\\x{feff}]|[\\x{a0}\\x{feff}]$')"
# Two ways to trim: where only blanks can stand at a cell's edges, and where more can.
TRIM = {
    False: "create or replace temp macro trimmed(x) as"
    " case when x < '!' or ends_with(x, ' ') then trim(x) else x end;"
    "create or replace temp macro filled(x) as"
    " case when x < '!' or ends_with(x, ' ') then nullif(trim(x), '') else x end",
    True: "create or replace temp macro trimmed(x) as"
    f" case when {EDGE} then trim(x, {SPACE}) else x end;"
    "create or replace temp macro filled(x) as"
    f" case when x = '' or {EDGE} then nullif(trim(x, {SPACE}), '') else x end",
}
EMPTYING = {"digits", "first_isbn", "isbn13", "year"}
STEPS = {
    "trim": "trimmed({})",
    "squeeze": "squeezed({})",
    "upper": "upper({})",
    "lower": "lower({})",
    "title": "titled({})",
    "digits": "digits({})",
    "isbn13": "isbn13({})",
    "first_isbn": "first_isbn({})",
    "year": "year_in({})",
}


def kind(column: Column | Derived) -> str:
    """The DuckDB type of a column; a numeric that fits 64 bits is faster."""
    if column.type != "numeric":
        return TYPES[column.type]
    scale = column.scale if isinstance(column, Column) else 4
    return f"decimal({18 if scale <= 4 else 38}, {scale})"


def cell(column: Column, places: Places) -> str:
    """The column's text as it stands in the block."""
    place = places.columns[column.name]
    if place is None:
        return "cast(null as varchar)"
    if place < 0:
        return "wide_name" if place == UNPIVOT_NAME else "wide_value"
    return f"c{place}"


def stand_in(column: Column) -> str:
    """The block's column that holds the pseudonyms of a column of persons."""
    return f"p_{column.name}"


def converted(column: Column) -> str:
    """The block's column that holds a column's values where they are converted already."""
    return f"_v_{column.name}"


def cleaned_text(column: Column, places: Places, cells: str | None = None) -> str:
    """The text of a column's cells after its cleaning steps; null where it means nothing."""
    text, steps, nulls = cells or cell(column, places), column.clean, column.nulls
    if steps[:1] == ("trim",) and "" in nulls:  # in one go, since nearly every column does so
        text, steps = f"filled({text})", steps[1:]
        if not set(steps) & EMPTYING:
            nulls = tuple(n for n in nulls if n)
    for step in steps:
        text = STEPS[step].format(text)
    for null in nulls:
        text = f"nullif({text}, {literal(null)})"
    return text


def typed_value(column: Column, text: str) -> str:
    """The typed value of a cleaned text; null where it does not have the type."""
    if column.privacy == "pseudonym":
        return text
    value = _converted(column, text)
    if column.default is not None:
        value = f"case when {text} is null then {column.default} else {value} end"
    return f"cast({value} as {kind(column)})"


def _converted(column: Column, text: str) -> str:
    value = f"try_cast({text} as {kind(column)})"
    if column.type in ("integer", "bigint"):
        return f"whole({text}, {value})"
    if column.type in ("numeric", "double"):
        return f"case when regexp_full_match({text}, {literal(_number(column))}) then {value} end"
    if column.type == "boolean":
        return f"yes_or_no({text})"
    return text if column.type == "text" else _moment(column, text)


def _number(column: Column) -> str:
    """What a number looks like; a numeric has no more decimals than it keeps."""
    if column.type == "double":
        return NUMBER
    decimals = f"[0-9]{{0,{column.scale}}}0*"
    return f"[+-]?([0-9]+([.]{decimals})?|[.]{decimals})([eE][+]?[0-9]+)?"


def _moment(column: Column, text: str) -> str:
    """A date or timestamp: ISO where no format is stated; two-digit years by the pivot.

    Formats with two-digit years are tried before those with four, which would take them too.
    """
    if not column.formats:
        return f"day_of({text})" if column.type == "date" else f"try_cast({text} as timestamp)"
    tries = [
        f"case when length({text}) = {ISO[f]} then try_cast({text} as timestamp) end"
        for f in column.formats
        if f in ISO
    ]
    if short := [f for f in column.formats if "%y" in f]:
        found = f"try_strptime({text}, [{', '.join(map(literal, short))}])"
        tries.append(found if column.pivot is None else f"century({found}, {column.pivot})")
    if long := [f for f in column.formats if f not in ISO and "%y" not in f]:
        tries.append(f"try_strptime({text}, [{', '.join(map(literal, long))}])")
    return f"coalesce({', '.join(tries)}, null)"


def faults(dataset: Dataset) -> list[tuple[str, str, str, str]]:
    """Every way a row may be bad: (rule, column, condition, value shown)."""
    found = []
    for i, column in enumerate(dataset.columns):
        name, text = f'"{column.name}"', f"_s{i}"
        shown = text if column.privacy is None else "null"
        tests = [("type", f"{text} is not null and {name} is null{_beyond(column)}")]
        if column.required or column.name in dataset.key_columns:
            tests.append(("required", f"{text} is null and {name} is null"))
        if column.allowed is not None:
            listed = ", ".join(literal(v) for v in column.allowed)
            tests.append(("allowed", f"{text} not in ({listed})"))
        bounds = [(column.min, "<"), (column.max, ">")]
        beyond = [f"{name} {sign} {bound}" for bound, sign in bounds if bound is not None]
        if beyond:
            tests.append(("range", " or ".join(beyond)))
        if column.type == "text" and column.privacy != "pseudonym":
            tests = tests[1:]
        found += [(rule, column.name, condition, shown) for rule, condition in tests]
    private = {c.name for c in dataset.columns if c.privacy}
    for rule in dataset.rules:
        shown = f'cast("{rule.column}" as varchar)' if rule.column else "null"
        if rule.column in private:
            shown = "null"
        found.append((rule.name, rule.column or "", rule.reject_if, shown))
    return found


class Converted(NamedTuple):
    """The columns of a block that are converted already, all cells or some."""

    wholly: frozenset[str] = frozenset()
    in_part: frozenset[str] = frozenset()


def views(dataset: Dataset, places: Places, source: str, done: Converted) -> str:
    """`with cleaned, typed, rows` over a block."""
    texts = [f"{_text(c, places, done)} as _s{i}" for i, c in enumerate(dataset.columns)]
    ready = [converted(c) for c in dataset.columns if c.name in done.wholly | done.in_part]
    values = [f'{_value(c, f"_s{i}", done)} as "{c.name}"' for i, c in enumerate(dataset.columns)]
    derived = [f'cast({d.sql} as {kind(d)}) as "{d.name}"' for d in dataset.derived]
    if places.fault is not None:
        ready.append(f"nullif(c{places.fault}, '') as {FAULT}")
    return (
        f"with cleaned as (select {', '.join(['_r', *ready, *texts])} from {source}),\n"
        f"typed as (select *, {', '.join(values)} from cleaned),\n"
        f"rows as (select {', '.join(['*', *derived])} from typed)"
    )


def _text(column: Column, places: Places, done: Converted) -> str:
    """A column's text; where it is converted, only whether there is any."""
    if column.name in done.wholly:
        return f"case when {converted(column)} is not null then '' end"
    return stand_in(column) if column.privacy == "pseudonym" else cleaned_text(column, places)


def _value(column: Column, text: str, done: Converted) -> str:
    if column.name in done.wholly:
        return converted(column)
    value = typed_value(column, text)
    return f"coalesce({converted(column)}, {value})" if column.name in done.in_part else value


def pseudonyms(column: Column, places: Places) -> str:
    """What stands for the cells in the view `persons` (`person`, as it is), in order of `i`."""
    made = f"pseudonym({cleaned_text(column, places, 'person')})"
    return f"select {made} as stands from persons order by i"


def blank(dataset: Dataset) -> str:
    """Whether every cell of the row is blank."""
    return f"coalesce({', '.join(f'_s{i}' for i in range(len(dataset.columns)))}, null) is null"


def _beyond(column: Column) -> str:
    """The condition, after another, that a date has no year of four digits."""
    return f' or "{column.name}" not {YEARS}' if column.type in ("date", "timestamp") else ""


def _unfit(dataset: Dataset, done: Converted) -> list[str]:
    """The faults again, told in fewer words: whether the row is bad, not why."""
    needed = {c.name for c in dataset.columns if c.required} | set(dataset.key_columns)
    types = {c.name: _beyond(c).removeprefix(" or ") for c in dataset.columns}
    short = {name: text for name, text in types.items() if name in needed | done.wholly}
    unfit = [f'"{c.name}" is null' for c in dataset.columns if c.name in needed]
    for rule, name, condition, _ in faults(dataset):
        if rule != "required":
            unfit.append(short.get(name, condition) if rule == "type" else condition)
    return [f"({condition})" for condition in unfit if condition]


def good_rows(dataset: Dataset, places: Places, done: Converted) -> str:
    """Rows without a fault: `_r`, `_h` (key hash), then silver's columns but `_load_id`.

    The last, `_hash`, is of all values, and of what they are.
    """
    bad = _unfit(dataset, done)
    if not any(rule == "required" for rule, *_ in faults(dataset)):
        bad.append(f"({blank(dataset)})")
    if places.fault is not None:
        bad.append(f"{FAULT} is not null")
    columns = [f'"{c.name}"' for c in dataset.stored]
    key = ", ".join(f'"{c}"' for c in dataset.key_columns)
    if dataset.key == "content":
        columns.insert(0, f"{content_hash(dataset)} as content_key")
        key = content_hash(dataset)
    kinds = literal(", ".join(f"{c.name} {kind(c)}" for c in dataset.stored))
    values = ", ".join([kinds, *(c.removesuffix(" as content_key") for c in columns)])
    columns.append(f"(hash({values}) >> 1)::bigint as _hash")
    return (
        f"{views(dataset, places, 'block', done)}\n"
        f"select _r, hash({key}) as _h, {', '.join(columns)}\n"
        f"from rows where not coalesce({' or '.join(bad) or 'false'}, false)"
    )


def content_hash(dataset: Dataset) -> str:
    """A digest of the record: its cleaned texts, pseudonyms in place of persons."""
    parts = []
    for i, column in enumerate(dataset.columns):
        if column.privacy != "drop":
            value = f'"{column.name}"' if column.privacy == "pseudonym" else f"_s{i}"
            parts.append(f"coalesce({value}, chr(30))")
    return f"md5(concat_ws(chr(31), {', '.join(parts)}))"


def bad_rows(dataset: Dataset, places: Places) -> str:
    """A row a finding, of the rows in the view `suspects`; rule `blank` where all is blank.

    Of a record that its reader could not read, that alone is told: the rule `unreadable`.
    """
    cases = [
        f"case when {condition} then {{'rule': {literal(rule)}, 'column_name': "
        f"{f'cast({literal(column)} as varchar)' if column else 'cast(null as varchar)'}, "
        f"'value': cast({shown} as varchar)}} end"
        for rule, column, condition, shown in faults(dataset)
    ]
    nothing = (
        "[{'rule': 'blank', 'column_name': cast(null as varchar), 'value': cast(null as varchar)}]"
    )
    listed = f"list_filter([{', '.join(cases)}], lambda f: f is not null)" if cases else nothing
    unreadable = ""
    if places.fault is not None:
        told = f"[{{'rule': 'unreadable', 'column_name': null, 'value': {FAULT}}}]"
        unreadable = f" when {FAULT} is not null then {told}"
    return (
        f"{views(dataset, places, 'suspects', Converted())},\n"
        f"found as (select _r, unnest(case{unreadable} when {blank(dataset)} then {nothing}"
        f" else {listed} end) as f from rows)\n"
        "select _r, f.rule = 'blank' as blank, f.rule, f.column_name, left(f.value, 500) as value"
        " from found"
    )


def unpivoted(dataset: Dataset, places: Places, header: tuple[str, ...]) -> str:
    """The block with a row for each wide cell: `_r` (of the wide row), `cell` (from 0), …

    A record that its reader could not read makes one row.
    """
    plain = [f"c{p}" for p in places.used if p not in places.wide]
    names = ", ".join(literal(header[p]) for p in places.wide)
    values = ", ".join(f"c{p}" for p in places.wide)
    cells = (
        f"select {', '.join(['_r', *plain])}, unnest(range({len(places.wide)})) as cell,"
        f" unnest([{names}]) as wide_name, unnest([{values}]) as wide_value from block"
    )
    unpivot = dataset.text.unpivot
    kept = "trimmed(wide_value) <> ''" if unpivot and unpivot.skip_blank else "true"
    if places.fault is not None:
        kept = f"case when c{places.fault} <> '' then cell = 0 else {kept} end"
    return f"select * from ({cells}) where {kept} order by _r, cell"
