"""Gold: order by references, whole and partial refresh, all or nothing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import psycopg
import pytest

from warehouse import gold
from warehouse.database import connect
from warehouse.errors import SpecError

BOTH = ["shop_total", "shop_daily"]
DAY = dt.date(2024, 1, 2)


def publish(changed: dict[str, list[dt.date] | None], names: list[str] = BOTH) -> dict[str, int]:
    with connect(autocommit=True) as connection:
        return gold.publish(connection, names, changed=changed, run_id="r")


def rows(query: str) -> list[tuple[object, ...]]:
    with connect() as connection:
        return connection.execute(query).fetchall()


def test_tables_come_after_those_they_read(shop: Path) -> None:
    names = list(gold.tables())
    assert names.index("shop_daily") < names.index("shop_total")
    assert gold.tables()["shop_total"].sources == {"shop_loans"}


def test_a_table_that_nobody_makes_is_named(shop: Path) -> None:
    total = shop / "gold/shop/total.sql"
    total.write_text(total.read_text().replace("gold.shop_daily", "gold.shop_dayly"))
    with pytest.raises(SpecError, match=r"reads gold\.shop_dayly"):
        gold.tables()


def test_gold_is_there_and_empty_before_the_first_load(shop: Path) -> None:
    assert rows("select count(*) from gold.shop_daily") == [(0,)]
    assert rows("select count(*) from ops.publications") == [(0,)]


def test_a_rebuild_reads_the_shadow_of_what_it_rebuilds(shop: Path) -> None:
    assert publish({"shop_loans": None}) == {"shop_daily": 10, "shop_total": 5}
    assert rows("select sum(loans) from gold.shop_total") == [(100,)]


def test_a_changed_day_is_refreshed_alone_and_equals_a_rebuild(shop: Path) -> None:
    publish({"shop_loans": None})
    with connect() as connection:
        connection.execute(
            "insert into silver.shop_loans values (101, 'NORTH', 'm1', %s, 2)", [DAY]
        )
        connection.execute("delete from silver.shop_loans where lent_at::date = '2024-01-03'")
    oid = rows("select 'gold.shop_daily'::regclass::oid")
    publish({"shop_loans": [DAY]})
    assert rows("select 'gold.shop_daily'::regclass::oid") == oid
    third = "select count(*) from gold.shop_daily where day = '2024-01-03'"
    assert rows(third) == [(2,)], "a day that was not named stays"
    publish({"shop_loans": [DAY, dt.date(2024, 1, 3)]})
    partial = rows("select * from gold.shop_daily order by 1, 2")
    publish({"shop_loans": None})
    assert rows("select * from gold.shop_daily order by 1, 2") == partial


def test_no_changed_day_changes_nothing(shop: Path) -> None:
    publish({"shop_loans": None})
    assert publish({"shop_loans": []}) == {"shop_daily": 10, "shop_total": 5}


def test_a_failing_table_leaves_all_of_yesterdays_gold(shop: Path) -> None:
    publish({"shop_loans": None})
    with connect() as connection:
        connection.execute(
            "insert into silver.shop_loans values (101, 'NORTH', 'm1', %s, 2)", [DAY]
        )
    total = shop / "gold/shop/total.sql"
    total.write_text(total.read_text().replace("sum(loans)", "sum(loans) / 0"))
    with pytest.raises(psycopg.errors.DivisionByZero):
        publish({"shop_loans": None})
    assert rows("select sum(loans) from gold.shop_daily") == [(100,)]
    assert rows("select sum(loans) from gold.shop_total") == [(100,)]


def test_a_publication_says_how_fresh_it_is(shop: Path) -> None:
    with connect() as connection:
        connection.execute(
            "insert into ops.loads (dataset, state, started_at, rows_in, rows_inserted,"
            " rows_updated, rows_unchanged, rows_quarantined, rows_ignored)"
            " values ('shop_loans', 'done', '2026-01-02 03:04Z', 0, 0, 0, 0, 0, 0)"
        )
    publish({"shop_loans": None})
    fresh = rows("select distinct complete_to, run_id, sources from ops.publications")
    assert fresh == [(dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), "r", ["shop_loans"])]
