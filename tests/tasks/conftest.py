"""Datasets made for one test: a spec, its tables, and what is in them afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from psycopg import sql

from tests.tasks.fix_daily import filled
from tests.tasks.fix_smtp import post
from tests.tasks.fix_web import web
from tests.warehouse.fix_shop import shop
from warehouse import ddl
from warehouse.database import connect
from warehouse.spec import Dataset, read_spec

__all__ = ["filled", "post", "shop", "web"]
Make = Callable[..., Dataset]
BASE = {
    "title": "Things",
    "grain": "one row a thing",
    "source": {"kind": "csv", "path": "things/*.csv"},
    "access": {"public": True},
}


def spec(folder: Path, name: str = "things", **changes: Any) -> Dataset:
    """A dataset `test_<name>`; columns are given as `{name: type or dict}`."""
    columns = [
        {"name": n, "meaning": "a thing", **({"type": c} if isinstance(c, str) else c)}
        for n, c in changes.pop("columns").items()
    ]
    source = BASE["source"] | changes.pop("source", {})  # type: ignore[operator]
    if source["path"] is None:  # of a kind that reads no files
        del source["path"]
    data = BASE | {"source": source, "columns": columns} | changes
    path = folder / "datasets" / "test" / f"{name}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), "utf-8")
    return read_spec(path)


def as_text(folder: Path, headers: list[str], **changes: Any) -> Dataset:
    """A dataset whose columns are all text, untrimmed, named t1, t2, …"""
    columns = {
        f"t{i}": {"type": "text", "from": header, "clean": [], "nulls": []}
        for i, header in enumerate(headers, 1)
    }
    return spec(folder, **{"columns": columns, "key": "content"} | changes)


@pytest.fixture
def make(database: str, tmp_path: Path) -> Make:
    """Make a dataset and its tables: `make(columns={"id": "bigint"}, key=["id"])`."""

    def made(*args: Any, **changes: Any) -> Dataset:
        dataset = spec(tmp_path, *args, **changes)
        create(dataset)
        return dataset

    return made


def create(dataset: Dataset) -> None:
    """Make the tables of a dataset."""
    with connect() as connection:
        connection.execute(ddl.migration(dataset).encode())
        connection.execute(ddl.access(dataset).encode())


def rows(dataset: Dataset, columns: str = "*") -> list[tuple[Any, ...]]:
    """Silver, without `_load_id` and `content_key`, sorted."""
    names = [c.name for c in dataset.stored]
    listed = sql.SQL(", ").join(map(sql.Identifier, names if columns == "*" else columns.split()))
    query = sql.SQL("select {} from {}").format(listed, sql.Identifier("silver", dataset.table))
    with connect() as connection:
        return sorted(connection.execute(query).fetchall(), key=str)


def findings(dataset: Dataset) -> list[tuple[Any, ...]]:
    """Quarantine as (record, line, rule, column, value), in order."""
    table = sql.Identifier("quarantine", dataset.table)
    query = "select record_no, line_no, rule, column_name, value from {} order by 1, 3, 4"
    with connect() as connection:
        return connection.execute(sql.SQL(query).format(table)).fetchall()


def ask(query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of any query."""
    with connect() as connection:
        return connection.execute(query.encode(), values or None).fetchall()


def counts(loaded: Any) -> tuple[int, ...]:
    """(in, inserted, updated, deleted, unchanged, quarantined, ignored)."""
    return (
        loaded.rows_in,
        loaded.inserted,
        loaded.updated,
        loaded.deleted,
        loaded.unchanged,
        loaded.quarantined,
        loaded.ignored,
    )
