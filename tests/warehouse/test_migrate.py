"""Migrations: applied once, in order, checked; drift is named."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from warehouse.database import connect
from warehouse.errors import ConfigurationError, SpecError
from warehouse.migrate import migrate, migration_path
from warehouse.spec import dataset, datasets


def test_a_second_run_applies_nothing(shop: Path) -> None:
    assert migrate() == []


def test_a_changed_migration_is_refused(shop: Path) -> None:
    path = migration_path(dataset("shop_loans"))
    path.write_text(path.read_text() + "\n-- afterthought\n")
    with pytest.raises(ConfigurationError, match="was changed after it was applied"):
        migrate()


def test_drift_names_the_column_and_what_to_do(shop: Path) -> None:
    spec = dataset("shop_loans").path
    spec.write_text(
        spec.read_text().replace("name: loan_id, type: bigint", "name: loan_id, type: text")
    )
    with pytest.raises(
        ConfigurationError, match=r"loan_id is bigint, should be text.*loans\.2\.sql"
    ):
        migrate()


def test_a_second_migration_of_a_dataset_mends_drift(shop: Path) -> None:
    spec = dataset("shop_loans").path
    spec.write_text(
        spec.read_text().replace("name: loan_id, type: bigint", "name: loan_id, type: text")
    )
    later = migration_path(dataset("shop_loans")).with_name("loans.2.sql")
    later.write_text("alter table silver.shop_loans alter loan_id type text;")
    assert migrate() == ["shop/loans.2.sql"]


def test_a_failing_migration_leaves_nothing(shop: Path) -> None:
    later = migration_path(dataset("shop_loans")).with_name("loans.2.sql")
    later.write_text("create table silver.half (); select 1 / 0;")
    with pytest.raises(Exception, match="division by zero"):
        migrate()
    with connect() as connection:
        assert connection.execute("select to_regclass('silver.half')").fetchone() == (None,)


def test_a_dataset_without_migration_says_how_to_print_one(shop: Path) -> None:
    migration_path(dataset("shop_loans")).unlink()
    with pytest.raises(ConfigurationError, match="carrel datasets --migration shop_loans"):
        migrate()


def test_a_wrong_gold_header_is_named(shop: Path) -> None:
    daily = shop / "gold/shop/daily.sql"
    daily.write_text(daily.read_text().replace("-- access", "-- acess"))
    with pytest.raises(SpecError, match="header lacks access"):
        migrate()


def test_the_catalogue_holds_datasets_and_gold_with_meanings(shop: Path) -> None:
    with connect() as connection:
        rows = dict(
            connection.execute(
                "select table_name, columns from ops.catalogue where domain = 'shop'"
            ).fetchall()
        )
    assert set(rows) == {"silver.shop_loans", "gold.shop_daily", "gold.shop_total"}
    assert rows["gold.shop_daily"][2] == {
        "name": "loans",
        "type": "bigint",
        "meaning": "Loans that day",
        "privacy": None,
    }
    assert rows["silver.shop_loans"][2]["privacy"] == "pseudonym"


def test_a_deadlock_with_a_reader_is_tried_again(database: str) -> None:
    """The reader holds what is altered last, then asks for what is altered first."""
    tables = [dataset.table for dataset in datasets().values()]
    waits = "select count(*) from pg_locks where not granted and relation = %s::regclass"
    with ThreadPoolExecutor(1) as pool, connect() as reader, connect(autocommit=True) as watcher:
        reader.execute(f"lock table silver.{tables[-1]} in access share mode".encode())
        migrating = pool.submit(migrate)
        end = time.monotonic() + 20
        while watcher.execute(waits, [f"silver.{tables[-1]}"]).fetchone() == (0,):
            assert time.monotonic() < end
            time.sleep(0.02)
        reader.execute(f"select count(*) from silver.{tables[0]}".encode())
        reader.commit()
        assert migrating.result(30) == []
