"""Counts of people: what is withheld cannot be worked out of what is told."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.warehouse.attack import Knowledge, given_away, learn_blocks
from warehouse import gold, lattice
from warehouse.errors import CarrelError, SpecError
from warehouse.lattice import Cell, Lattice, parse, protect, withhold

Connection = psycopg.Connection[Any]
Row = dict[str, Any]
SHAPE = Lattice(
    block="block", margin="margin", cell="cell", count="count", bound="bound", unsafe="unsafe"
)
EVENTS, MEMBERS = "library_loan_events", "library_members"
PEOPLE = ["library_member_months", "library_member_groups"]


# By hand ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "hidden"),
    [
        ([20, 30, 40], set()),
        ([20, 0, 40], set()),  # nobody is no person
        ([3, 30, 40], {0, 1}),  # one alone would be total less the others
        ([2, 3, 40], {0, 1, 2}),  # two that are 5 together are at most 4 each
        ([4, 4, 40], {0, 1}),
        ([1, 1, 1, 0, 40], {0, 1, 2, 4}),
        ([1, 1, 1, 0, 0, 2], {0, 1, 2, 3, 4, 5}),  # a total of 5: the empty ones go too
    ],
)
def test_small_cells_take_others_with_them(counts: list[int], hidden: set[int]) -> None:
    cells = [Cell(n, small=0 < n < 5) for n in counts]
    order = sorted(range(len(counts)), key=lambda n: counts[n])
    assert protect(cells, 5, order) == hidden


def test_a_bound_that_is_told_counts_as_knowledge() -> None:
    # 20 of 20 are active, so 3 + 20 withheld would leave 3 for the first.
    cells = [Cell(3, 10, small=True), Cell(20, 20), Cell(30, 90)]
    assert protect(cells, 5, [0, 1, 2]) == {0, 1, 2}
    assert protect([*cells[:2], Cell(30, 30)], 5, [0, 1, 2]) is None, "the total must go"


def test_a_block_below_the_least_is_withheld_whole() -> None:
    block = rows_of("b", {"kind": {"adult": 3, "junior": 1}})
    assert all(r["suppressed"] and r["count"] is None for r in withhold(SHAPE, block, 5))


def test_cells_that_do_not_add_up_are_refused() -> None:
    block = rows_of("b", {"kind": {"adult": 30, "junior": 10}})
    block[1]["count"] += 1
    with pytest.raises(CarrelError, match=r"kind in b do not add up to the total of 40"):
        withhold(SHAPE, block, 5)
    with pytest.raises(CarrelError, match="no row of its total"):
        withhold(SHAPE, block[1:], 5)


def test_the_file_s_own_reason_withholds_a_row() -> None:
    block = rows_of("b", {"kind": {"adult": 30, "junior": 10, "senior": 12}})
    block[1]["unsafe"] = True
    found = {r["cell"]: r["suppressed"] for r in withhold(SHAPE, block, 5)}
    assert found["adult"]
    assert sum(found.values()) == 2
    assert "unsafe" not in withhold(SHAPE, block, 5)[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("block=month", "lacks count"),
        ("block=month, count=n, cel=x", "cel is none of"),
        ("block=month, count=n, cell=x", "margin and cell go together"),
    ],
)
def test_a_header_that_is_wrong_is_named(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse(Path("x.sql"), text)


# Any counts ---------------------------------------------------------------------------------------


def rows_of(
    block: str, margins: dict[str, dict[str, int]], bounds: dict[str, int] | None = None
) -> list[Row]:
    """A block's rows with true counts; the margin `joined` has bounds."""
    whole = sum(next(iter(margins.values())).values())
    made = [row_of(block, "all", "all", whole)]
    for margin, cells in margins.items():
        for cell, count in cells.items():
            bound = (bounds or {}).get(cell) if margin == "joined" else None
            made.append(row_of(block, margin, cell, count) | {"bound": bound})
    return made


def row_of(block: str, margin: str, cell: str, count: int) -> Row:
    return {
        "block": block, "margin": margin, "cell": cell, "count": count, "bound": None,
        "unsafe": False,
    }  # fmt: skip


@st.composite
def blocks(draw: st.DrawFn) -> list[Row]:
    """Some blocks of persons who are each in one cell of each margin, with cohorts of a size."""
    cohorts = {f"q{n}": draw(st.integers(0, 30)) for n in range(draw(st.integers(1, 4)))}
    areas = draw(st.integers(2, 5))
    made: list[Row] = []
    for block in range(draw(st.integers(1, 2))):
        active = {
            q: draw(st.one_of(st.integers(0, min(6, size)), st.just(size)))
            for q, size in cohorts.items()
        }
        active["earlier"] = draw(st.one_of(st.integers(0, 6), st.integers(0, 60)))
        whole = sum(active.values())
        cuts = sorted(draw(st.integers(0, whole)) for _ in range(areas - 1))
        parts = [b - a for a, b in zip([0, *cuts], [*cuts, whole], strict=True)]
        area = {f"a{n}": part for n, part in enumerate(parts)}
        made += rows_of(f"b{block}", {"area": area, "joined": active}, cohorts)
    return made


def attacked(rows: list[Row], least: int = 5) -> list[Any]:
    """What is given away of these blocks once they are published."""
    told = withhold(SHAPE, rows, least)
    for row in told:
        row["sized"] = row["margin"] == "joined" and row["cell"] != "earlier"
    truth = {(r["block"], r["margin"], r["cell"]): r["count"] for r in rows}
    knowledge = Knowledge()
    learn_blocks(knowledge, told, least)
    hidden = [(r["block"], r["margin"], r["cell"]) for r in told if r["suppressed"]]
    return given_away(knowledge, truth, least, hidden)


@given(blocks(), st.integers(3, 8))
@examples(max_examples=15, deadline=None)
def test_no_count_of_any_block_is_given_away(rows: list[Row], least: int) -> None:
    assert attacked(rows, least) == []


def test_the_attack_succeeds_where_only_small_cells_are_withheld(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So the test above would fail, were the others not withheld with them."""
    rows = rows_of("b", {"area": {"a": 3, "b": 30, "c": 40}, "kind": {"x": 4, "y": 69}})
    assert attacked(rows) == []
    monkeypatch.setattr(
        lattice, "protect", lambda cells, *_: {n for n, c in enumerate(cells) if c.small}
    )
    assert [(name[2], low, high) for name, _, low, high in attacked(rows)] == [
        ("a", 3, 3),
        ("x", 4, 4),
    ]


def test_the_order_does_not_tell_the_block_s_own_counts() -> None:
    """The partner is the one that is least over all blocks, the same each time."""
    first = rows_of("b1", {"area": {"a": 3, "b": 60, "c": 20}})
    second = rows_of("b2", {"area": {"a": 4, "b": 10, "c": 30}})
    found = [r for r in withhold(SHAPE, first + second, 5) if r["suppressed"]]
    assert {(r["block"], r["cell"]) for r in found} == {
        (b, c) for b in ("b1", "b2") for c in ("a", "c")
    }


# The library's own tables -------------------------------------------------------------------------
# Eight quarters of a small library: a member alone in an area and of a kind, a small first month
# of 2025, and a cohort of three.

FIRST, QUARTERS = dt.date(2024, 1, 1), 8
AREAS, KINDS, BRANCHES = ("A1", "A2", "A3", "A4"), ("adult", "junior", "senior"), ("N", "S", "W")
SMALL = dt.date(2025, 1, 1)
NUMBERS = itertools.count(1)
ALONE = "alone".ljust(32, "x")


def month_of(number: int) -> dt.date:
    return dt.date(FIRST.year + number // 12, number % 12 + 1, 1)


def people(rng: random.Random) -> list[tuple[str, str | None, str, dt.date]]:
    """Key, area, kind and day of joining of each member."""
    made: list[tuple[str, str | None, str, dt.date]] = [
        (ALONE, "A9", "institution", dt.date(2024, 2, 3))
    ]
    for number in range(160):
        joined = FIRST + dt.timedelta(days=rng.randrange(-900, 700))
        if number < 3:
            joined = dt.date(2025, 5, 5 + number)
        elif dt.date(2025, 4, 1) <= joined < dt.date(2025, 7, 1):
            joined = dt.date(2025, 3, 1)
        area = rng.choices((*AREAS, None), (40, 30, 20, 5, 3))[0]
        made.append((f"{number:032d}x"[1:], area, rng.choices(KINDS, (60, 30, 6))[0], joined))
    return made


def lend(connection: Connection, loans: list[tuple[str, dt.datetime, str]]) -> None:
    """Checkouts: who, when, where."""
    columns = "source_code, event_id, loan_id, kind, occurred_at, branch_code, item_code"
    into = f"copy silver.{EVENTS} ({columns}, member_key, _load_id) from stdin"
    with connection.cursor() as cursor, cursor.copy(into.encode()) as copy:
        for key, at, branch in loans:
            number = next(NUMBERS)
            copy.write_row(
                ("here", f"E{number}", f"L{number}", "checkout", at, branch, "I1", key, 1)
            )


@pytest.fixture
def town(connection: Connection) -> Connection:
    """Silver of the small library, nothing published yet."""
    return settled(connection)


def settled(connection: Connection) -> Connection:
    """Fill silver with the small library."""
    rng = random.Random(11)
    members = people(rng)
    columns = "source_code, member_key, area_code, member_type, joined_on, _load_id"
    into = f"copy silver.{MEMBERS} ({columns}) from stdin".encode()
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        for member in members:
            copy.write_row(("here", *member, 1))
    loans = [  # where the data reach
        (ALONE, dt.datetime(2024, 1, 2, 9), "N"),
        (ALONE, dt.datetime(2026, 1, 12, 9), "N"),
    ]
    for first in map(month_of, range(QUARTERS * 3)):
        for key, _, _, joined in members:
            if joined > first or rng.random() < 0.5 or (first == SMALL and key != ALONE):
                continue
            for _ in range(rng.choice((1, 1, 2, 5))):
                day = first + dt.timedelta(days=rng.randrange(28))
                branch = rng.choices(BRANCHES, (60, 30, 2))[0]
                loans.append((key, dt.datetime.combine(day, dt.time(10)), branch))
    loans.append((ALONE, dt.datetime.combine(SMALL, dt.time(11)), "N"))
    lend(connection, loans)
    return connection


def tell(connection: Connection) -> None:
    names = ["library_circulation", "library_branch_names", *PEOPLE]
    gold.publish(connection, names, changed={EVENTS: None, MEMBERS: None})


def table(connection: Connection, name: str) -> list[Row]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(f"select * from gold.{name} order by 1, 2".encode()).fetchall()


def loans_of(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select member_key, occurred_at, branch_code from silver.library_loan_events"
        " where kind = 'checkout' and member_key <> repeat('0', 32)"
    ).fetchall()


def true_groups(connection: Connection) -> dict[tuple[Any, str, str], int]:
    """Every cell of the groups, counted a second way."""
    known = {
        key: rest
        for key, *rest in connection.execute(
            "select member_key, area_code, member_type, joined_on from silver.library_members"
        )
    }
    where: dict[tuple[dt.date, str], Counter[str]] = defaultdict(Counter)
    for key, at, branch in loans_of(connection):
        where[quarter_of(at.date()), key][branch] += 1
    counted: Counter[tuple[Any, str, str]] = Counter()
    for (quarter, key), branches in where.items():
        area, kind, joined = known[key]
        cohort = quarter_of(joined)
        months = (quarter.year - cohort.year) * 12 + quarter.month - cohort.month
        branch = min(branches, key=lambda b: (-branches[b], b))
        for margin, cell in (
            ("all", "all"), ("branch", branch), ("area", area or "unknown"), ("kind", kind),
            ("joined", cohort.isoformat() if 0 <= months <= 33 else "earlier"),
        ):  # fmt: skip
            counted[quarter, margin, cell] += 1
    return counted


def quarter_of(day: dt.date) -> dt.date:
    return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)


def true_months(connection: Connection) -> tuple[dict[dt.date, int], dict[dt.date, int]]:
    """Borrowers of each month, and of the twelve that end with it."""
    by_month: dict[dt.date, set[str]] = defaultdict(set)
    for key, at, _ in loans_of(connection):
        by_month[at.date().replace(day=1)].add(key)
    order = sorted(by_month)
    trailing = {
        m: len(set().union(*(by_month[x] for x in order[n - 11 : n + 1])))
        for n, m in enumerate(order)
        if n >= 11
    }
    return {m: len(keys) for m, keys in by_month.items()}, trailing


def test_what_is_told_is_true(town: Connection) -> None:
    tell(town)
    truth = true_groups(town)
    told = table(town, "library_member_groups")
    assert {r["quarter"] for r in told} == {month_of(3 * n) for n in range(QUARTERS)}
    for row in told:
        count = truth[row["quarter"], row["dimension"], row["category"]]
        assert (row["active"] is None) == row["suppressed"]
        assert row["suppressed"] or row["active"] == count, row
    keys = {(r["quarter"], r["dimension"], r["category"]) for r in told}
    assert {k for k in truth if k[0] < dt.date(2026, 1, 1)} <= keys
    by_month, trailing = true_months(town)
    for row in table(town, "library_member_months"):
        assert row["suppressed"] or row["borrowers"] == by_month[row["month"]]
        assert row["active_12_months"] in (None, trailing.get(row["month"]))
    shares = [r["suppressed"] for r in told if r["dimension"] == "area"]
    assert 0 < sum(shares) < len(shares) * 0.7, "what is told is worth reading"


def test_core_customers_are_the_fifth_that_borrows_most(town: Connection) -> None:
    tell(town)
    (row,) = [r for r in table(town, "library_member_months") if r["month"] == dt.date(2024, 12, 1)]
    lent = Counter(k for k, at, _ in loans_of(town) if at.year == 2024)
    core = -(-len(lent) // 5)
    checkouts = sum(n for _, n in lent.most_common(core))
    assert (row["active_12_months"], row["core_members"]) == (len(lent), core)
    assert row["core_share"] == round(100 * checkouts / lent.total())


def learned(connection: Connection, least: int = 5) -> tuple[Knowledge, dict[Any, int], list[Any]]:
    """All that both tables tell, the truth, and what is withheld."""
    groups = [
        {
            "block": r["quarter"], "margin": r["dimension"], "cell": r["category"],
            "count": r["active"], "bound": r["members"], "suppressed": r["suppressed"],
            "sized": r["dimension"] == "joined" and r["category"] != "earlier",
        }
        for r in table(connection, "library_member_groups")
    ]  # fmt: skip
    knowledge = Knowledge()
    learn_blocks(knowledge, groups, least)
    truth: dict[Any, int] = dict(true_groups(connection))
    hidden = [(r["block"], r["margin"], r["cell"]) for r in groups if r["suppressed"]]
    months = table(connection, "library_member_months")
    by_month, trailing = true_months(connection)
    for row in months:
        month, name = row["month"], ("month", row["month"])
        truth[name] = by_month[month]
        knowledge.know(name, row["borrowers"] or 1, row["borrowers"] or float("inf"))
        hidden += [name] if row["suppressed"] else []
        knowledge.know(("year", month))
        truth["year", month] = trailing.get(month, 0)
        if row["active_12_months"] is not None:
            knowledge.told(("year", month), row["active_12_months"])
        if row["core_members"] is not None:
            knowledge.know(("year", month), 5 * row["core_members"] - 4, 5 * row["core_members"])
    _relate(knowledge, [r["month"] for r in months], {r["block"] for r in groups})
    return knowledge, defaultdict(int, truth), hidden


def _relate(knowledge: Knowledge, months: list[dt.date], quarters: set[dt.date]) -> None:
    """A longer span has no fewer members than a shorter one in it, and no more than all of them."""
    for n, month in enumerate(months):
        window = months[max(0, n - 11) : n + 1]
        if len(window) == 12:
            parts = {("month", m): -1.0 for m in window}
            knowledge.at_most.append(({("year", month): 1.0} | parts, 0))
            longer = [("month", m) for m in window]
            longer += [(q, "all", "all") for q in quarters if window[0] <= q <= window[9]]
            for name in longer:
                knowledge.at_most.append(({name: 1.0, ("year", month): -1.0}, 0))
    for quarter in quarters:
        inside = [("month", m) for m in months if quarter_of(m) == quarter]
        whole = (quarter, "all", "all")
        knowledge.at_most.append(({whole: 1.0} | dict.fromkeys(inside, -1.0), 0))
        for name in inside:
            knowledge.at_most.append(({name: 1.0, whole: -1.0}, 0))


def test_nobody_is_given_away_by_all_that_is_told(town: Connection) -> None:
    """Both tables, every margin, every month and quarter together; a person alone is in them."""
    tell(town)
    knowledge, truth, hidden = learned(town)
    alone = [n for n in hidden if n[-1] in ("A9", "institution") and truth[n] == 1]
    assert len(alone) > 8
    assert ("month", SMALL) in hidden
    assert any(n[-1] == "2025-04-01" for n in hidden)
    assert given_away(knowledge, truth, 5, hidden) == []


def test_the_person_alone_is_found_where_only_small_cells_are_withheld(
    town: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        lattice, "protect", lambda cells, *_: {n for n, c in enumerate(cells) if c.small}
    )
    tell(town)
    knowledge, truth, hidden = learned(town)
    alone = [n for n in hidden if n[-1] in ("A9", "institution") and truth[n] == 1]
    assert [n for n, *_ in given_away(knowledge, truth, 5, alone)]


# Told once ----------------------------------------------------------------------------------------


def test_what_was_told_stays_and_new_blocks_are_added(town: Connection) -> None:
    tell(town)
    before = {name: table(town, name) for name in PEOPLE}
    keys = [f"{number:032d}x"[1:] for number in range(40)]
    late = [(key, dt.datetime(2024, 5, 6, 9), "W") for key in keys]
    new = [(key, dt.datetime(2026, month, 14, 9), "N") for key in keys for month in (1, 2, 3)]
    lend(town, [*late, *new, (ALONE, dt.datetime(2026, 4, 8, 9), "N")])
    tell(town)
    for name, rows in before.items():
        after = table(town, name)
        assert [r for r in after if r in rows] == rows
        assert len(after) > len(rows)
    added = {r["quarter"] for r in table(town, "library_member_groups")} - {
        r["quarter"] for r in before["library_member_groups"]
    }
    assert added == {dt.date(2026, 1, 1)}


def test_a_cohort_s_size_stays_as_it_was_told(town: Connection) -> None:
    tell(town)
    town.execute("delete from silver.library_members where joined_on = '2025-03-01'")
    keys = [f"{number:032d}x"[1:] for number in range(60)]
    lend(town, [(key, dt.datetime(2026, 2, 2, 9), "N") for key in keys])
    lend(town, [(ALONE, dt.datetime(2026, 4, 8, 9), "N")])
    tell(town)
    sizes: dict[str, set[int]] = defaultdict(set)
    for row in table(town, "library_member_groups"):
        if row["members"] is not None:
            sizes[row["category"]].add(row["members"])
    assert sizes
    assert {len(s) for s in sizes.values()} == {1}


def test_a_forgotten_person_is_not_counted_nor_a_quarter_that_lost_many(town: Connection) -> None:
    town.execute(
        "update silver.library_loan_events set member_key = repeat('0', 32)"
        " where occurred_at < '2024-04-01'"
    )
    tell(town)
    quarters = {r["quarter"] for r in table(town, "library_member_groups")}
    assert min(quarters) == dt.date(2024, 4, 1)
    assert min(r["month"] for r in table(town, "library_member_months")) == dt.date(2024, 4, 1)


def test_a_sample_that_gives_way_takes_its_blocks_with_it(town: Connection) -> None:
    tell(town)
    gold.forget_blocks(town, EVENTS)
    assert [table(town, name) for name in PEOPLE] == [[], []]
    town.execute("delete from silver.library_loan_events where occurred_at < '2025-01-01'")
    tell(town)
    assert min(r["month"] for r in table(town, "library_member_months")).year == 2025
