"""The daily review: figures of the last day, and what wants a look."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from tasks.daily import Figure, daily, wants_a_look
from tests.fix_stream import message, send
from tests.tasks.fix_daily import FILLED
from warehouse.access import Viewer
from warehouse.database import connect
from warehouse.streams import Stream

ADMIN = Viewer("ann@example.org", "admin")
MEMBER = Viewer("mo@example.org", "member", (), "m1")
TODAY = dt.date(2026, 3, 3)


def by_name(figures: list[Figure]) -> dict[str, Figure]:
    return {f.name: f for f in figures}


def test_each_figure_is_what_it_says(filled: str) -> None:
    found = by_name(daily(ADMIN, TODAY))
    told = {name: (f.value, f.earlier) for name, f in found.items()}
    minutes = told.pop("retail_sales: minutes since the last event")
    assert minutes[0] is not None
    assert 5 <= minutes[0] <= 7
    expected = {
        "loads that went well": (2, 1),
        "loads that failed": (1, 0),
        "rows taken in": (7, 4),
        "rows put into quarantine": (3, 0),
        "datasets held back": (1, None),
        "alerts open": (1, None),
        "alerts nobody has taken up": (1, None),
        "retail_sales: events so far": (15, None),
        "retail_sales: late": (1, None),
        "retail_sales: duplicates dropped": (1, None),
        "retail_sales: in quarantine": (1, None),
        "retail_sales: partitions nobody reads": (1, None),
        "retail_sales: records waiting": (0, None),
        "late sales not folded in": (2, None),
        "checkouts": (50, 100),
        "renewals": (1, 2),
        "returns": (2, 2),
        "sales": (8, 4),
        "net revenue": (Decimal("110.25"), 100),
    }
    assert told == expected
    assert (found["checkouts"].change, found["net revenue"].change) == ("-50 %", "+10 %")
    assert found["net revenue"].shown == ("110.25", "100")
    assert {f.name: f.note for f in wants_a_look([*found.values()])} == {
        "loads that failed": "broken",
        "datasets held back": "a",
        "alerts open": "A fails",
        "late sales not folded in": "`carrel stream restate` folds them in",
    }


def test_figures_that_stopped_say_what_their_newest_day_is(filled: str) -> None:
    found = by_name(daily(ADMIN, TODAY + dt.timedelta(days=2)))
    assert found["checkouts"].value == 0
    assert {found[n].note for n in ("checkouts", "sales")} == {"newest day: 2026-03-02"}


def test_an_empty_house_wants_no_look_and_a_member_sees_little(database: str) -> None:
    assert wants_a_look(daily(ADMIN, TODAY)) == []
    with connect() as connection:
        connection.execute(FILLED)
    assert set(by_name(daily(MEMBER, TODAY))) == {"checkouts", "renewals", "returns"}


def test_a_table_that_is_not_there_leaves_its_part_out(filled: str) -> None:
    with connect() as connection:
        connection.execute("drop table silver.retail_sales_by cascade")
    found = by_name(daily(ADMIN, TODAY))
    assert "sales" not in found
    assert "checkouts" in found


def test_what_waits_in_the_log_wants_a_look_where_nobody_reads(
    database: str, sales: Stream
) -> None:
    send(sales, message(1), message(2), partition=0)
    send(sales, message(3), partition=1)
    with connect() as connection:
        connection.execute(
            "insert into ops.stream_partitions (stream, topic, partition, next_offset, held_until)"
            " values ('retail_sales', 'retail_sales', 0, 1, now() + interval '1 min')"
        )
    found = by_name(daily(ADMIN, TODAY))["retail_sales: records waiting"]
    assert (found.value, found.look) == (2, True)
    assert found.note == "1 of them in partitions that nobody reads"
    with connect() as connection:
        connection.execute(
            "insert into ops.stream_partitions (stream, topic, partition, next_offset)"
            " values ('retail_sales', 'retail_sales', 1, 1)"
        )
    found = by_name(daily(ADMIN, TODAY))["retail_sales: records waiting"]
    assert (found.value, found.look) == (1, False)
