"""Gold for weeding, buying, holds and fines, computed a second way from the rows of silver."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

import pytest

from tests.warehouse.fix_gold import Connection, publish, rows

Row = dict[str, Any]
CREW = {  # Dewey number: years since publication and without use; None for X
    4: (3, None), 150: (10, 3), 318: (2, None), 332: (5, 3), 512: (10, 3), 613: (5, 3),
    641: (5, 3), 759: (None, 3), 914: (5, 2), 929: (None, 3), 942: (15, 3),
}  # fmt: skip


def silver(connection: Connection, table: str) -> list[Row]:
    cursor = connection.execute(f"select * from silver.library_{table}".encode())
    names = [c.name for c in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def newest_of(connection: Connection) -> dt.date:
    return max(e["occurred_at"] for e in silver(connection, "loan_events")).date()


def last_loans(connection: Connection) -> dict[tuple[str, str], dt.date]:
    last: dict[tuple[str, str], dt.date] = {}
    for event in silver(connection, "loan_events"):
        if event["kind"] == "checkout":
            copy = (event["source_code"], event["item_code"])
            last[copy] = max(last.get(copy, dt.date.min), event["occurred_at"].date())
    return last


def test_weeding_follows_the_rule_of_the_class(sample: Connection) -> None:
    newest, last = newest_of(sample), last_loans(sample)
    found = {
        (r[0], r[1]): r[2:]
        for r in rows(sample, "weeding_list", "source_code, item_code, formula, too_old,"
                      " too_long_unused, unused_years")
    }  # fmt: skip
    checked: Counter[str] = Counter()
    for item in silver(sample, "items"):
        if item["withdrawn_on"] and item["withdrawn_on"] <= newest:
            continue
        rule = rule_of(item)
        if rule is None:
            continue
        copy = (item["source_code"], item["item_code"])
        used = last.get(copy, item["acquired_on"])
        unused = None if used is None else round((newest - used).days / 365.25 + 1e-9, 1)
        year = item["published_year"]
        old = None if rule[0] is None or year is None else newest.year - year > rule[0]
        idle = None if rule[1] is None or unused is None else unused > rule[1]
        formula = "/".join("X" if n is None else str(n) for n in rule) + "/MUSTIE"
        if old or idle:
            assert found[copy][:3] == (formula, old, idle), item
            assert float(found[copy][3]) == pytest.approx(unused, abs=0.051)
        else:
            assert copy not in found
        checked[formula] += 1
    assert len(checked) > 4
    assert {"X/2/MUSTIE", "X/3/MUSTIE"} <= checked.keys()


def rule_of(item: Row) -> tuple[int | None, int | None] | None:
    """The rule of a copy, where this test knows it."""
    words = item["collection_code"].split("_")
    number = re.search("[0-9]{3}", item["dewey"] or "")
    if "fiction" in words:
        return (None, 2)
    if number is None:
        return (3, None) if "periodical" in words else (None, 3)
    return CREW.get(int(number[0]))


def test_a_rule_that_does_not_apply_meets_nothing(sample: Connection) -> None:
    sample.execute(
        "insert into silver.library_items (source_code, item_code, title_code, title, dewey,"
        " dewey_class, collection_code, branch_code, published_year, acquired_on, _load_id) values"
        " ('here', 'W1', 'W1', 'Old computers', '004.1', 0, 'adult_nonfiction', 'CEN', 2020,"
        " '2026-01-01', 1), ('here', 'W2', 'W2', 'Of no known year', '004', 0, 'adult_nonfiction',"
        " 'CEN', null, '2001-01-01', 1), ('here', 'W3', 'W3', 'New', '613', 600,"
        " 'adult_nonfiction', 'CEN', 2025, '2026-01-01', 1)"
    )
    publish(sample, {"library_items": None})
    columns = "item_code, source_code, formula, too_old, too_long_unused"
    found = [r for r in rows(sample, "weeding_list", columns) if r[1] == "here"]
    assert found == [("W1", "here", "3/X/MUSTIE", True, None)]


def test_acquisitions_are_the_orders_beside_the_loans(sample: Connection) -> None:
    newest = newest_of(sample)
    first = newest - dt.timedelta(days=364)
    collections = {r[0]: r[1] for r in rows(sample, "titles", "title_code, collection_code")}
    expected: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [0, 0, 0, 0, Decimal(0), 0, 0])
    for order in silver(sample, "orders"):
        if not first <= order["ordered_on"] <= newest:
            continue
        title = f"{order['source_code']}:{order['title_code']}"
        cell = expected[order["branch_code"], collections.get(title, "unknown")]
        if order["status"] == "cancelled":
            cell[3] += 1
            continue
        cell[0] += 1
        cell[1] += order["copies"]
        cell[2] += order["copies"] * (order["status"] == "ordered")
        cell[4] += order["copies"] * (order["price_amount"] or 0)
        if order["received_on"]:
            cell[5] += 1
            cell[6] += (order["received_on"] - order["ordered_on"]).days
    columns = (
        "branch_code, collection_code, orders, copies, copies_open, orders_cancelled, spent,"
        " orders_received, delivery_days"
    )
    found = {r[:2]: list(r[2:]) for r in rows(sample, "acquisitions", columns)}
    assert {k: v for k, v in found.items() if any(v)} == dict(expected)
    lent = {r[:2]: r[2] for r in rows(sample, "acquisitions",
                                      "branch_code, collection_code, circulation")}  # fmt: skip
    use = {r[:2]: r[2] for r in rows(sample, "collection_use",
                                     "branch_code, collection_code, circulation")}  # fmt: skip
    assert {k: n for k, n in lent.items() if n} == {k: n for k, n in use.items() if n}


def test_holds_by_day_and_their_waits(sample: Connection) -> None:
    days: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    waits: Counter[tuple[Any, ...]] = Counter()
    for hold in silver(sample, "holds"):
        state = hold["status"]
        if state == "waiting":
            state = "frozen" if hold["frozen"] else "active"
        days[hold["branch_code"], hold["placed_at"].date()].update(["placed", state])
        if hold["shelved_at"]:
            shelved = hold["shelved_at"].date()
            waited = (shelved - hold["placed_at"].date()).days
            waits[hold["branch_code"], shelved.replace(day=1), max(waited, 0)] += 1
    states = ("placed", "active", "frozen", "on_shelf", "collected", "expired", "cancelled")
    expected = [(*cell, *(n[s] for s in states)) for cell, n in days.items()]
    assert rows(sample, "hold_days", f"branch_code, placed_on, {', '.join(states)}") == sorted(
        expected, key=repr
    )
    assert rows(sample, "hold_waits") == sorted(((*k, n) for k, n in waits.items()), key=repr)


def test_the_purchase_alert_counts_holds_over_all_branches(sample: Connection) -> None:
    holds: dict[str, list[Row]] = defaultdict(list)
    for hold in silver(sample, "holds"):
        if hold["status"] == "waiting" and not hold["frozen"]:
            holds[f"{hold['source_code']}:{hold['title_code']}"].append(hold)
    copies: Counter[str] = Counter()
    for item in silver(sample, "items"):
        copies[f"{item['source_code']}:{item['title_code']}"] += item["withdrawn_on"] is None
    ordered: Counter[str] = Counter()
    for order in silver(sample, "orders"):
        if order["status"] == "ordered":
            ordered[f"{order['source_code']}:{order['title_code']}"] += order["copies"]
    columns = "title_code, holds, branches, copies, on_order, ratio, oldest_on"
    found = {r[0]: r[1:] for r in rows(sample, "purchase_alert", columns)}
    assert found.keys() == holds.keys()
    for title, waiting in holds.items():
        there = copies[title] + ordered[title]
        ratio = None if not there else round(Decimal(len(waiting)) / there, 4)
        assert found[title] == (
            len(waiting), len({h["branch_code"] for h in waiting}), copies[title], ordered[title],
            ratio, min(h["placed_at"] for h in waiting).date(),
        )  # fmt: skip
    by_branch: Counter[str] = Counter()
    for title, n in rows(sample, "hold_titles", "title_code, holds"):
        by_branch[title] += n
    assert by_branch == {title: len(h) for title, h in holds.items()}


def test_fines_are_summed_and_name_no_one(sample: Connection) -> None:
    months: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [Decimal(0), 0])
    owed: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for fine in silver(sample, "fines"):
        cell = months[
            fine["branch_code"], fine["charged_at"].date().replace(day=1), fine["kind"]
        ]  # fmt: skip
        cell[0] += fine["amount"]
        cell[1] += 1
        account = (fine["source_code"], fine["loan_id"] or fine["fine_id"])
        owed[account] += fine["amount"] * (1 if fine["kind"] == "charged" else -1)
    expected = [(*key, *cell) for key, cell in months.items()]
    assert rows(sample, "fine_months") == sorted(expected, key=repr)
    standing = [amount for amount in owed.values() if amount > 0]
    found = rows(sample, "fines_owed", "owed, loans, months")
    assert sum(r[0] for r in found) == sum(standing)
    assert sum(r[1] for r in found) == len(standing)
    assert all(r[2] >= 0 for r in found)


def test_returns_and_loans_out_by_lateness(sample: Connection) -> None:
    newest = newest_of(sample)
    types = {(i["source_code"], i["item_code"]): i["item_type"] for i in silver(sample, "items")}
    returned: Counter[tuple[Any, ...]] = Counter()
    loans: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for event in silver(sample, "loan_events"):
        if event["loan_id"]:
            loans[event["source_code"], event["loan_id"]].append(event)
        if event["kind"] == "return":
            day = event["occurred_at"].date()
            kind = types.get((event["source_code"], event["item_code"])) or "unknown"
            returned[
                event["branch_code"], day.replace(day=1), kind, late(event["due_on"], day)
            ] += 1
    assert rows(sample, "return_months") == sorted(
        ((*cell, n) for cell, n in returned.items()), key=repr
    )
    out: Counter[tuple[Any, ...]] = Counter()
    for events in loans.values():
        kinds = {e["kind"] for e in events}
        if "checkout" in kinds and "return" not in kinds:
            lent = next(e for e in events if e["kind"] == "checkout")
            due = max((e["due_on"] for e in events if e["due_on"]), default=None)
            kind = types.get((lent["source_code"], lent["item_code"])) or "unknown"
            out[lent["branch_code"], kind, late(due, newest)] += 1
    expected = sorted(((*cell, n, newest) for cell, n in out.items()), key=repr)
    assert rows(sample, "loans_out") == expected
    assert any(cell[2] > 30 for cell in out)


def late(due: dt.date | None, day: dt.date) -> int:
    return -1 if due is None else min(max((day - due).days, 0), 400)


def test_stock_by_year(sample: Connection) -> None:
    days = [e["occurred_at"].date() for e in silver(sample, "loan_events")]
    expected: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for item in silver(sample, "items"):
        for year in range(min(days).year, max(days).year + 1):
            end = min(dt.date(year, 12, 31), max(days))
            cell = expected[item["branch_code"], item["collection_code"], year]
            came, left = item["acquired_on"], item["withdrawn_on"]
            cell[0] += bool(came and came.year == year)
            cell[1] += bool(left and left.year == year)
            cell[2] += (came is None or came <= end) and (left is None or left > end)
    assert rows(sample, "stock_years") == sorted(
        ((*key, *cell) for key, cell in expected.items()), key=repr
    )
