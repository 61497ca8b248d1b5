"""The library's gold tables against the definitions of KPIS.md, computed a second way.

First on a shelf small enough to check by hand, then on a sample library loaded through the
pipeline, where plain Python over the silver rows must agree with gold to the unit.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter, defaultdict
from decimal import Decimal
from fractions import Fraction
from itertools import count
from statistics import median
from typing import Any, NamedTuple

import pytest

from tests.warehouse.fix_gold import NEWEST, TABLES, Connection, publish, rows
from warehouse import gold

EVENTS, ITEMS = "library_loan_events", "library_items"
NUMBERS = count(1)
BY_DAY = [name for name in TABLES if gold.tables()[name].refresh]


# By hand ------------------------------------------------------------------------------------------
# The newest event is on 2026-06-30, so the last 365 days begin on 2025-07-01.

SHELF = [
    # item, title, collection, dewey class, home, published, acquired, withdrawn
    ("I1", "T1", "fiction", 800, "NORTH", 2016, "2020-01-01", None),
    ("I2", "T1", "fiction", 800, "SOUTH", 2016, "2020-01-01", None),
    ("I3", "T2", "fiction", None, "NORTH", 1996, "2019-05-05", None),  # never lent
    ("I4", "T3", "facts", 500, "NORTH", None, "2025-01-10", None),  # lent once: dead on arrival
    ("I5", "T3", "facts", 500, "NORTH", None, "2020-01-01", "2026-01-01"),  # withdrawn, lent before
    ("I6", "T4", "facts", 900, "NORTH", 2006, "2026-06-01", None),  # new and not yet lent
    ("I7", "T5", "facts", 500, "NORTH", 1986, "2010-01-01", None),  # last lent four years ago
]
HAPPENED = [
    # kind, when, where, item
    ("checkout", "2026-06-30 10:59:59", "NORTH", "I1"),
    ("checkout", "2026-06-30 10:00:00", "NORTH", "I2"),  # lent away from home
    ("renewal", "2026-06-30 22:15:00", "NORTH", "I1"),
    ("return", "2026-06-29 09:00:00", "SOUTH", "I1"),
    ("in_house_use", "2026-06-29 09:30:00", "SOUTH", "I4"),
    ("checkout", "2025-07-01 00:00:00", "NORTH", "I1"),  # first day of the 365
    ("checkout", "2025-06-30 23:59:59", "NORTH", "I1"),  # the day before it, a year ago
    ("checkout", "2025-05-01 12:00:00", "SOUTH", "I4"),
    ("checkout", "2025-09-09 12:00:00", "NORTH", "I5"),
    ("checkout", "2022-06-30 12:00:00", "NORTH", "I7"),
    ("checkout", "2026-06-30 12:00:00", "SOUTH", "LOST"),  # not in the catalogue
]


@pytest.fixture
def shelf(connection: Connection) -> Connection:
    """Seven copies and eleven events, published."""
    insert(connection, HAPPENED)
    for item, title, collection, dewey, home, year, acquired, withdrawn in SHELF:
        connection.execute(
            "insert into silver.library_items (source_code, item_code, title_code, title,"
            " collection_code, dewey_class, branch_code, published_year, acquired_on,"
            " withdrawn_on, price_amount, _load_id)"
            " values ('here', %s, %s, %s, %s, %s, %s, %s, %s, %s, 9.99, 1)",
            [item, title, f"Title of {item}", collection, dewey, home, year, acquired, withdrawn],
        )
    publish(connection, {EVENTS: None, ITEMS: None})
    return connection


def insert(connection: Connection, happened: list[tuple[str, str, str, str]]) -> None:
    for kind, at, branch, item in happened:
        connection.execute(
            "insert into silver.library_loan_events (source_code, event_id, kind, occurred_at,"
            " branch_code, item_code, _load_id) values ('here', %s, %s, %s, %s, %s, 1)",
            [f"new {next(NUMBERS)}", kind, at, branch, item],
        )


def test_circulation_keeps_renewals_apart(shelf: Connection) -> None:
    june = [r for r in rows(shelf, "circulation") if r[1] >= dt.date(2026, 6, 29)]
    day, before = dt.date(2026, 6, 30), dt.date(2026, 6, 29)
    assert june == [
        ("NORTH", day, 10, 2, 0, 0, 0),
        ("NORTH", day, 22, 0, 1, 0, 0),
        ("SOUTH", before, 9, 0, 0, 1, 1),
        ("SOUTH", day, 12, 1, 0, 0, 0),
    ]
    everywhere = [r for r in rows(shelf, "circulation_public") if r[1] == day]
    assert everywhere == [
        ("all", day, 10, 2, 0, 0, 0),
        ("all", day, 12, 1, 0, 0, 0),
        ("all", day, 22, 0, 1, 0, 0),
    ]


def test_popular_titles_count_copies_together_where_they_were_lent(shelf: Connection) -> None:
    june = dt.date(2026, 6, 1)
    found = [r for r in rows(shelf, "title_months") if r[1] == june]
    assert found == [("NORTH", june, "here:T1", 2, 1)]
    assert [r for r in rows(shelf, "title_months_public") if r[1] == june] == [
        ("all", june, "here:T1", 2, 1)
    ]
    titles = {r[0]: r[1:] for r in rows(shelf, "titles", "title_code, title, copies")}
    assert titles["here:T1"] == ("Title of I1", 2)
    assert titles["here:T3"] == ("Title of I4", 1), "a withdrawn copy is no copy"


def test_turnover_and_relative_use(shelf: Connection) -> None:
    columns = "branch_code, collection_code, holdings, circulation, renewals, turnover"
    assert rows(shelf, "collection_use", columns) == [
        ("NORTH", "facts", 3, 1, 0, Decimal("0.3333")),
        ("NORTH", "fiction", 2, 2, 1, Decimal("1.0000")),
        ("SOUTH", "fiction", 1, 1, 0, Decimal("1.0000")),
    ]
    shares = "branch_code, collection_code, share_holdings, share_circulation, relative_use"
    assert rows(shelf, "collection_use", shares)[0] == (
        "NORTH", "facts", Decimal("0.600000"), Decimal("0.333333"), Decimal("0.5556"),
    )  # fmt: skip


def test_use_within_years_never_and_dead_on_arrival(shelf: Connection) -> None:
    columns = "used_1y, used_3y, used_5y, never_used, arrived_1y_2y, dead_on_arrival, as_of_on"
    facts = rows(shelf, "collection_use", f"branch_code, collection_code, {columns}")[0]
    assert facts == ("NORTH", "facts", 0, 1, 2, 1, 1, 1, NEWEST)
    by_class = rows(shelf, "dewey_use", f"branch_code, dewey_class, holdings, {columns}")
    assert by_class == [
        ("NORTH", 500, 2, 0, 1, 2, 0, 1, 1, NEWEST),
        ("NORTH", 800, 1, 1, 1, 1, 0, 0, 0, NEWEST),
        ("NORTH", 900, 1, 0, 0, 0, 1, 0, 0, NEWEST),
        ("SOUTH", 800, 1, 1, 1, 1, 0, 0, 0, NEWEST),
    ], "copies without a Dewey number are left out"


def test_dead_stock_says_why(shelf: Connection) -> None:
    found = rows(shelf, "dead_stock", "item_code, reason, checkouts, days_unused, title")
    assert found == [
        ("I3", "never_used", 0, (NEWEST - dt.date(2019, 5, 5)).days, "Title of I3"),
        ("I4", "dead_on_arrival", 1, (NEWEST - dt.date(2025, 5, 1)).days, "Title of I4"),
        ("I7", "not_used_3y", 1, (NEWEST - dt.date(2022, 6, 30)).days, "Title of I7"),
    ]


def test_age_of_the_collection_shows_unknown_years_as_such(shelf: Connection) -> None:
    found = rows(shelf, "collection_age", "branch_code, collection_code, decade, items, median_age")
    assert found == [
        ("NORTH", "facts", "1980s", 1, 30.0),
        ("NORTH", "facts", "2000s", 1, 30.0),
        ("NORTH", "facts", "unknown", 1, 30.0),
        ("NORTH", "fiction", "1990s", 1, 20.0),
        ("NORTH", "fiction", "2010s", 1, 20.0),
        ("SOUTH", "fiction", "2010s", 1, 10.0),
    ]


def test_titles_of_two_systems_are_two_titles(shelf: Connection) -> None:
    shelf.execute(
        "insert into silver.library_items (source_code, item_code, title_code, title,"
        " collection_code, branch_code, _load_id)"
        " values ('there', 'I1', 'T1', 'Another', 'fiction', 'NORTH', 1)"
    )
    publish(shelf, {ITEMS: None})
    titles = dict(rows(shelf, "titles", "title_code, title"))
    assert (titles["here:T1"], titles["there:T1"]) == ("Title of I1", "Another")
    lent = [r for r in rows(shelf, "title_months") if r[2] == "there:T1"]
    assert lent == [], "its namesake's loans are not its own"


def test_without_a_single_event_gold_is_empty_but_there(connection: Connection) -> None:
    publish(connection, {EVENTS: None, ITEMS: None})
    for name in TABLES:
        assert rows(connection, name.removeprefix("library_")) == []


# On a sample --------------------------------------------------------------------------------------


class Event(NamedTuple):
    source: str
    kind: str
    at: dt.datetime
    branch: str
    item: str


class Item(NamedTuple):
    source: str
    code: str
    title: str
    collection: str
    dewey: int | None
    branch: str
    year: int | None
    acquired: dt.date | None
    withdrawn: dt.date | None


def events_of(connection: Connection) -> list[Event]:
    query = "select source_code, kind, occurred_at, branch_code, item_code from silver."
    return [Event(*row) for row in connection.execute((query + EVENTS).encode())]


def items_of(connection: Connection) -> list[Item]:
    query = (
        "select source_code, item_code, title_code, collection_code, dewey_class, branch_code,"
        " published_year, acquired_on, withdrawn_on from silver."
    )
    return [Item(*row) for row in connection.execute((query + ITEMS).encode())]


def years_before(day: dt.date, years: int) -> dt.date:
    return day.replace(year=day.year - years)


def test_circulation_is_the_count_of_events(sample: Connection) -> None:
    counted: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for event in events_of(sample):
        counted[event.branch, event.at.date(), event.at.hour][event.kind] += 1
    kinds = ("checkout", "renewal", "return", "in_house_use")
    expected = [(*cell, *(counts[k] for k in kinds)) for cell, counts in counted.items()]
    assert rows(sample, "circulation") == sorted(expected, key=repr)
    together: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 4)
    for _, day, hour, *counts in expected:
        together[day, hour] = [a + b for a, b in zip(together[day, hour], counts, strict=True)]
    public = [("all", *cell, *counts) for cell, counts in together.items()]
    assert rows(sample, "circulation_public") == sorted(public, key=repr)


def test_circulation_by_kind_is_the_count_of_events(sample: Connection) -> None:
    kinds = ("checkout", "renewal", "return", "in_house_use")
    query = "select source_code, item_code, item_type, dewey_class from silver.library_items"
    known = {(s, i): (t, d) for s, i, t, d in sample.execute(query.encode())}
    counted: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for event in events_of(sample):
        material, dewey = known.get((event.source, event.item), (None, None))
        dewey = "none" if dewey is None else f"{dewey:03}"
        cell = (event.branch, event.at.date(), material or "unknown", dewey)
        counted[cell][event.kind] += 1
    expected = [(*cell, *(counts[k] for k in kinds)) for cell, counts in counted.items()]
    assert rows(sample, "circulation_kinds") == sorted(expected, key=repr)
    assert {cell[2] for cell in counted} > {"unknown", "book"}


def test_title_months_are_the_loans_of_catalogued_copies(sample: Connection) -> None:
    title_of = {(i.source, i.code): f"{i.source}:{i.title}" for i in items_of(sample)}
    counted: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for event in events_of(sample):
        title = title_of.get((event.source, event.item))
        if title and event.kind in ("checkout", "renewal"):
            counted[event.branch, event.at.date().replace(day=1), title][event.kind] += 1
    expected = [(*c, n["checkout"], n["renewal"]) for c, n in counted.items()]
    assert rows(sample, "title_months") == sorted(expected, key=repr)
    assert sum(r[3] for r in rows(sample, "title_months_public")) == sum(r[3] for r in expected)


@pytest.mark.parametrize("by", ["collection", "dewey"])
def test_use_of_the_stock(sample: Connection, by: str) -> None:
    items, events = items_of(sample), events_of(sample)
    newest = max(e.at for e in events).date()
    lent: dict[tuple[str, str], list[dt.date]] = defaultdict(list)
    renewed: Counter[tuple[str, str]] = Counter()
    first_day = newest - dt.timedelta(days=364)
    for event in events:
        if event.kind == "checkout":
            lent[event.source, event.item].append(event.at.date())
        elif event.kind == "renewal" and event.at.date() >= first_day:
            renewed[event.source, event.item] += 1
    groups: dict[tuple[str, Any], list[Item]] = defaultdict(list)
    for item in items:
        if getattr(item, by) is not None:
            groups[item.branch, getattr(item, by)].append(item)
    column = "collection_code" if by == "collection" else "dewey_class"
    found = {(r[0], r[1]): r[2:] for r in rows(sample, f"{by}_use")}
    assert found.keys() == groups.keys(), column
    held = {g: [i for i in members if is_held(i, newest)] for g, members in groups.items()}
    loans = {
        group: sum(d >= first_day for i in members for d in lent[i.source, i.code])
        for group, members in groups.items()
    }
    for group, members in groups.items():
        kept = held[group]
        dates = [lent[i.source, i.code] for i in kept]
        young = [
            i for i in kept
            if i.acquired and years_before(newest, 2) < i.acquired <= years_before(newest, 1)
        ]  # fmt: skip
        all_held = sum(len(h) for g, h in held.items() if g[0] == group[0])
        all_loans = sum(n for g, n in loans.items() if g[0] == group[0])
        share = Fraction(len(kept), all_held)
        of_loans = Fraction(loans[group], all_loans) if all_loans else None
        assert found[group] == (
            len(kept),
            loans[group],
            sum(renewed[i.source, i.code] for i in members),
            rounded(Fraction(loans[group], len(kept)) if kept else None, 4),
            rounded(share, 6),
            rounded(of_loans, 6),
            rounded(of_loans / share if kept and of_loans is not None else None, 4),
            *(sum(bool(d) and max(d) >= years_before(newest, n) for d in dates) for n in (1, 3, 5)),
            sum(not d for d in dates),
            len(young),
            sum(len(lent[i.source, i.code]) <= 1 for i in young),
            newest,
        ), group


def is_held(item: Item, day: dt.date) -> bool:
    return item.withdrawn is None or item.withdrawn > day


def rounded(value: Fraction | None, places: int) -> Decimal | None:
    """As PostgreSQL rounds: half away from zero."""
    if value is None:
        return None
    return Decimal(int(value * 10**places + Fraction(1, 2))).scaleb(-places)


def test_dead_stock_is_what_was_held_and_not_lent_for_a_year(sample: Connection) -> None:
    events = events_of(sample)
    newest = max(e.at for e in events).date()
    last: dict[tuple[str, str], dt.date] = {}
    for event in events:
        if event.kind == "checkout":
            copy = (event.source, event.item)
            last[copy] = max(last.get(copy, dt.date.min), event.at.date())
    ago = years_before(newest, 1)
    expected = {
        i.code
        for i in items_of(sample)
        if is_held(i, newest)
        and (i.acquired is None or i.acquired <= ago)
        and last.get((i.source, i.code), dt.date.min) < ago
    }
    assert expected
    assert {r[0] for r in rows(sample, "dead_stock", "item_code")} == expected


def test_age_of_the_collection(sample: Connection) -> None:
    newest = max(e.at for e in events_of(sample)).date()
    ages: dict[tuple[str, str], list[int]] = defaultdict(list)
    decades: Counter[tuple[str, str, str]] = Counter()
    for item in items_of(sample):
        if is_held(item, newest):
            known = item.year is not None
            decade = f"{item.year // 10 * 10}s" if item.year is not None else "unknown"
            decades[item.branch, item.collection, decade] += 1
            ages[item.branch, item.collection] += [newest.year - item.year] if known else []
    found = rows(
        sample, "collection_age", "branch_code, collection_code, decade, items, median_age"
    )
    expected = [
        (*group, n, float(median(ages[group[:2]])) if ages[group[:2]] else None)
        for group, n in decades.items()
    ]
    assert found == sorted(expected, key=repr)


def test_sums_agree_between_the_tables(sample: Connection) -> None:
    lent = sum(e.kind == "checkout" for e in events_of(sample))
    assert sum(r[3] for r in rows(sample, "circulation")) == lent
    unknown = lent - sum(r[3] for r in rows(sample, "title_months"))
    assert 0 < unknown < lent * 0.05, "loans of copies whose catalogue row is in quarantine"
    used = sum(r[9] for r in rows(sample, "item_use"))
    assert used == lent - unknown


@pytest.mark.parametrize("seed", range(4))
def test_a_refresh_of_changed_days_equals_a_rebuild(sample: Connection, seed: int) -> None:
    rng = random.Random(seed)
    days = [NEWEST - dt.timedelta(days=rng.randrange(1000)) for _ in range(rng.randrange(1, 5))]
    days.append(NEWEST + dt.timedelta(days=1))
    for day in days:
        change(sample, rng, day)
    before = [rows(sample, name.removeprefix("library_")) for name in BY_DAY]
    publish(sample, {EVENTS: days}, BY_DAY)
    partial = [rows(sample, name.removeprefix("library_")) for name in BY_DAY]
    assert all(new != old for new, old in zip(partial, before, strict=True))
    publish(sample, {EVENTS: None}, BY_DAY)
    assert partial == [rows(sample, name.removeprefix("library_")) for name in BY_DAY]


def change(connection: Connection, rng: random.Random, day: dt.date) -> None:
    """Take away some of a day's events, change some, add some."""
    same_day = "occurred_at::date = %s and abs(hashtext(event_id)) %% 5 = %s"
    connection.execute(
        f"delete from silver.library_loan_events where {same_day}", [day, rng.randrange(5)]
    )
    connection.execute(
        f"update silver.library_loan_events set kind = 'return' where {same_day}",
        [day, rng.randrange(5)],
    )
    branches = [row[0] for row in rows(connection, "branch_names", "branch_code")]
    kinds = ("checkout", "renewal", "return", "in_house_use")
    new = [
        (rng.choice(kinds), f"{day} {rng.randrange(24):02}:00:00", rng.choice(branches), "I0000001")
        for _ in range(20)
    ]
    insert(connection, new)


# For every table ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_every_column_says_what_it_means(sample: Connection, name: str) -> None:
    table = gold.tables()[name]
    columns = [
        c.name
        for c in sample.execute(f"select * from gold.{name} limit 0".encode()).description or ()
    ]
    assert set(table.meanings) == set(columns)
    assert table.description
    assert rows(sample, table.name), "the sample fills it"


@pytest.mark.parametrize("name", TABLES)
def test_no_table_names_a_member(sample: Connection, name: str) -> None:
    """Who reads members counts them, and only a lattice may."""
    table = gold.tables()[name]
    assert "member_key" not in table.meanings
    assert bool(table.lattice) == ("member_key" in table.body)
