"""The dirt that real exports hold: what is spoiled, how, and which rule must find it.

A fault with a rule ends in quarantine under that rule; one without is mended by cleaning, or is
for the quality contract to find. Each dirty row has exactly one fault, so that counts are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deployments.sample.world import Flags, Ints, Plan

Table = dict[str, pa.Array]  # text columns by header, null where blank

LINE = ""  # in place of a column: the fault spoils the whole line


@dataclass(frozen=True, eq=False)
class Fault:
    """One kind of dirt. `spoil` gets the good text and a random number."""

    kind: str
    column: str
    spoil: Callable[[str, int], str] | None
    rule: str | None = None
    weight: float = 1.0
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    contains: str | None = None
    since: Callable[[Plan], str] | None = None  # lowest value that may be spoiled


@dataclass(frozen=True)
class Spoiled:
    """A table as lines of its file, and how many rows have which fault."""

    lines: pa.Array
    counts: dict[str, int]


def either(*texts: str) -> Callable[[str, int], str]:
    """Put one of these in place of the value."""
    return lambda _, n: texts[n % len(texts)]


def british(value: str, n: int) -> str:
    """`2025-03-04 10:15:00` as `04/03/2025 10:15`, `2025-03-04` as `04/03/2025`."""
    day = f"{value[8:10]}/{value[5:7]}/{value[:4]}"
    return f"{day} {value[11:16]}" if len(value) > 10 else day


def padded(value: str, n: int) -> str:
    """Stray spaces, as fixed-width exports leave them."""
    return (f" {value}", f"{value}  ", f"  {value} ")[n % 3]


def other_case(value: str, n: int) -> str:
    """Lower case for codes, capitals for words."""
    return value.lower() if value.isupper() else value.upper()


def in_year(*years: int) -> Callable[[str, int], str]:
    """The same day in one of these years."""
    return lambda v, n: f"{years[n % len(years)]}{v[4:]}".replace("-02-29", "-02-28")


def no_such_day(value: str, n: int) -> str:
    """A date no calendar has, with the time of the good one."""
    day = (f"{value[:4]}-02-30", f"{value[:4]}-13-{value[8:10]}", "0000-00-00")[n % 3]
    return f"{day}{value[10:]}"


def year_before(value: str, n: int) -> str:
    """The same day one year earlier."""
    return in_year(int(value[:4]) - 1)(value, n)


def second_year(plan: Plan) -> str:
    """The day from which a year earlier still lies in the sample."""
    return (plan.start + timedelta(days=366)).isoformat()


def mojibake(value: str, n: int) -> str:
    """UTF-8 read as Latin-1 and written again."""
    return value.encode().decode("latin-1")


def hyphened(value: str, n: int) -> str:
    """An ISBN as printed on the cover."""
    return f"{value[:3]}-{value[3]}-{value[4:8]}-{value[8:12]}-{value[12]}"


ACCENTED = "[àáâãäçèéêëíîïñóôõöúûü]"
BAD_DAY = either("not known", "see card", "??/??/2025", "31.11.", "TBC")

# What is wrong with lines as a whole; every table has some.
LINE_FAULTS = (
    Fault("line_cut_short", LINE, None, "ragged", 0.6),
    Fault("field_too_many", LINE, None, "ragged", 0.6),
    Fault("row_twice", LINE, None, "duplicate_key", 1.2),
)
BAD_BYTE = Fault("byte_of_another_encoding", LINE, None, "encoding", 1.0, contains=ACCENTED)


def common_faults(key: str, day: str, branch: str | None, *rest: Fault) -> tuple[Fault, ...]:
    """The faults that every export has, for its key, its main date and its branch column."""
    faults = [
        Fault("key_blank", key, either("", "  "), "required", 0.8),
        Fault("no_such_date", day, no_such_day, "type", 0.8),
        Fault("words_for_a_date", day, BAD_DAY, "type", 0.5),
        Fault("second_date_format", day, british, None, 3.0),
    ]
    if branch:
        faults += [
            Fault("branch_unknown", branch, either("UNKNOWN", "N/A", "?"), "required", 1.2),
            Fault("branch_case", branch, other_case, None, 2.0),
            Fault("branch_padded", branch, padded, None, 2.0),
        ]
    return (*faults, *LINE_FAULTS, *rest)


LENT = {"kind": ("checkout", "renewal")}
FAULTS: dict[str, tuple[Fault, ...]] = {
    "loan_events": common_faults(
        "event_id",
        "occurred_at",
        "branch_code",
        Fault("item_blank", "item_code", either("", " "), "required", 0.8),
        Fault("kind_unknown", "kind", either("chkout", "X", "issue/return"), "allowed", 0.8),
        Fault("kind_case", "kind", other_case, None, 1.5),
        Fault("year_impossible", "occurred_at", in_year(1900, 1066, 1925), "implausible_time", 0.6),
        Fault("due_before_event", "due_on", year_before, "due_before_event", 0.8, LENT),
        Fault("member_blank", "member_id", either(""), "loan_without_member", 0.8, LENT),
        Fault("returned_before_checkout", "occurred_at", year_before, None, 0.2,
              {"kind": ("return",)}, since=second_year),
    ),
    "items": common_faults(
        "item_code",
        "acquired_on",
        "branch_code",
        BAD_BYTE,
        Fault("mojibake", "title", mojibake, "mojibake", 1.0, contains=ACCENTED),
        Fault("price_negative", "price_amount", lambda v, n: f"-{v}", "range", 1.0),
        Fault("price_in_words", "price_amount", either("n/a", "12,99", "£8.99", "gift"), "type"),
        Fault("year_impossible", "published_year", either("1066", "1189"), "range", 0.8),
        Fault("year_unreadable", "published_year", either("19--", "n.d.", "2919"), None),
        Fault("year_decorated", "published_year", lambda v, n: (f"c{v}", f"[{v}]")[n % 2], None),
        Fault("isbn_hyphened", "isbn", hyphened, None, 2.0),
        Fault("title_padded", "title", padded, None, 1.0),
        Fault("withdrawn_before_acquired", "withdrawn_on", in_year(1901),
              "withdrawn_before_acquired", 0.6),
        Fault("title_blank", "title", either(""), "required", 0.6),
    ),
    "members": common_faults(
        "member_id",
        "joined_on",
        None,
        Fault("type_unknown", "member_type", either("VIP", "9", "adult/junior"), "allowed"),
        Fault("type_case", "member_type", other_case, None, 1.5),
        Fault("expires_before_joined", "expires_on", in_year(1970),
              "expires_before_joined"),
        Fault("area_padded", "area_code", padded, None, 1.5),
    ),
    "holds": common_faults(
        "hold_id",
        "placed_at",
        "branch_code",
        Fault("status_unknown", "status", either("HELD", "-", "in transit?"), "allowed"),
        Fault("ended_before_placed", "ended_at", in_year(1999),
              "ended_before_placed"),
        Fault("frozen_unclear", "frozen", either("maybe", "since May"), "type", 0.6),
        Fault("member_blank", "member_id", either(""), "required", 0.8),
    ),
    "fines": common_faults(
        "fine_id",
        "charged_at",
        "branch_code",
        Fault("amount_negative", "amount", lambda v, n: f"-{v}", "range"),
        Fault("amount_in_words", "amount", either("2 pounds", "£1,20", "tbc"), "type"),
        Fault("kind_unknown", "kind", either("adj", "??"), "allowed", 0.8),
    ),
    "branches": (),
    "orders": common_faults(
        "order_id",
        "ordered_on",
        "branch_code",
        Fault("copies_impossible", "copies", either("0", "-1"), "range"),
        Fault("copies_in_words", "copies", either("two", "1 set"), "type", 0.6),
        Fault("price_negative", "price_amount", lambda v, n: f"-{v}", "range"),
        Fault("received_before_ordered", "received_on", in_year(1999),
              "received_before_ordered"),
        Fault("status_case", "status", other_case, None, 1.5),
    ),
}  # fmt: skip


def candidates(table: Table, fault: Fault, free: Flags, plan: Plan) -> Ints:
    """The rows that may have this fault: free ones with something to spoil."""
    mask = free.copy()
    for column, values in fault.where.items():
        mask &= as_mask(pc.is_in(table[column], pa.array(values)))
    if fault.column:
        mask &= as_mask(pc.is_valid(table[fault.column]))
    if fault.since:
        mask &= as_mask(pc.greater_equal(table[fault.column], fault.since(plan)))
    if fault.contains:
        mask &= as_mask(pc.match_substring_regex(table["title"], fault.contains))
    return np.flatnonzero(mask)


def as_mask(found: pa.Array) -> Flags:
    """A boolean arrow array for numpy; null counts as no."""
    flags: Flags = pc.fill_null(found, False).to_numpy(zero_copy_only=False)
    return flags


def allot(faults: tuple[Fault, ...], count: int) -> list[int]:
    """How many of `count` dirty rows each fault gets; small tables may go without some."""
    heaped = np.cumsum([fault.weight for fault in faults])
    ends = np.round(heaped / heaped[-1] * count).astype(int)
    return [int(n) for n in np.diff(np.concatenate([[0], ends]))]


def spoil(rng: np.random.Generator, name: str, table: Table, plan: Plan) -> Spoiled:
    """Spoil the plan's share of the rows of a table and write each row as a line."""
    faults, count = FAULTS[name], len(next(iter(table.values())))
    free = np.ones(count, bool)
    chosen: dict[Fault, Ints] = {}
    wanted = allot(faults, round(count * plan.dirty)) if faults else []
    for fault, number in zip(faults, wanted, strict=True):
        able = candidates(table, fault, free, plan)
        picked = np.sort(rng.choice(able, min(number, len(able)), replace=False))
        free[picked] = False
        chosen[fault] = picked
    spoiled = dict(table)
    for column in table:
        spoiled[column] = spoil_column(rng, table[column], column, chosen)
    lines = spoil_lines(as_lines(spoiled), chosen)
    lines = repeat_rows(rng, lines, chosen)
    return Spoiled(lines, {fault.kind: len(picked) for fault, picked in chosen.items()})


def spoil_column(
    rng: np.random.Generator, values: pa.Array, column: str, chosen: dict[Fault, Ints]
) -> pa.Array:
    """Replace the values of the rows whose fault is in this column."""
    changed: dict[int, str] = {}
    for fault, rows in chosen.items():
        if fault.column != column or fault.spoil is None:
            continue
        numbers = rng.integers(0, 1000, len(rows)).tolist()
        good = values.take(pa.array(rows)).to_pylist()
        changed.update(
            (row, fault.spoil(value, n))
            for row, value, n in zip(rows.tolist(), good, numbers, strict=True)
        )
    return replaced(values, changed)


def replaced(values: pa.Array, changed: dict[int, str] | dict[int, bytes]) -> pa.Array:
    """The array with new values at these places."""
    if not changed:
        return values
    mask = np.zeros(len(values), bool)
    places = sorted(changed)
    mask[places] = True
    new = pa.array([changed[place] for place in places], values.type)
    return pc.replace_with_mask(values, pa.array(mask), new)


def as_lines(table: Table) -> pa.Array:
    """Each row as one line of CSV with its line end, quoted where it must be."""
    columns = [pc.fill_null(quoted(column), "") for column in table.values()]
    lines = joined(*columns, by=",")
    return joined(lines, "\n").cast(pa.large_binary())


def joined(*parts: pa.Array | str, by: str = "") -> pa.Array:
    """Join texts element by element."""
    large = [pa.scalar(p, pa.large_string()) if isinstance(p, str) else p for p in (*parts, by)]
    return pc.binary_join_element_wise(*large)


def quoted(column: pa.Array) -> pa.Array:
    """Quote the values that hold a comma, a quote or a line break."""
    column = column.cast(pa.large_string())
    special = pc.fill_null(pc.match_substring_regex(column, '[,"\n]'), False)
    if not pc.any(special).as_py():
        return column
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(special, joined('"', doubled, '"'), column)


def spoil_lines(lines: pa.Array, chosen: dict[Fault, Ints]) -> pa.Array:
    """Cut lines short, add a field, or break a character's bytes."""
    how = {
        "line_cut_short": lambda line: line.rsplit(b",", 3)[0] + b"\n",
        "field_too_many": lambda line: line.rstrip(b"\n") + b",see note\n",
        "byte_of_another_encoding": latin,
    }
    changed: dict[int, bytes] = {}
    for fault, rows in chosen.items():
        if fault.kind in how:
            good = lines.take(pa.array(rows)).to_pylist()
            changed.update(
                (row, how[fault.kind](line)) for row, line in zip(rows.tolist(), good, strict=True)
            )
    return replaced(lines, changed)


def latin(line: bytes) -> bytes:
    """The line in Windows' code page, as one pasted from another program; always invalid UTF-8."""
    return line.decode().encode("cp1252", errors="replace")


def repeat_rows(rng: np.random.Generator, lines: pa.Array, chosen: dict[Fault, Ints]) -> pa.Array:
    """Put the rows that stand twice in the file a second time, some lines further down."""
    twice = next((rows for f, rows in chosen.items() if f.kind == "row_twice"), np.array([], int))
    everything = np.arange(len(lines))
    if not len(twice):
        return lines
    later = twice + 0.5 + rng.integers(0, 40, len(twice))
    order = np.argsort(np.concatenate([everything, later]), kind="stable")
    rows = np.concatenate([everything, twice])[order]
    return lines.take(pa.array(rows))
