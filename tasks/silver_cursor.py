"""Where to go on reading: the greatest value of a silver column, so that a kill needs no state."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from warehouse.database import connect
from warehouse.errors import SpecError
from warehouse.spec import ColumnType, Dataset


def cursor_type(dataset: Dataset, column: str) -> ColumnType:
    """The type of the column that is the cursor.

    Raises:
        SpecError: silver has no such column, or the dataset is a snapshot, which needs every row.
    """
    types = {c.name: c.type for c in dataset.stored}
    if column not in types:
        raise SpecError(dataset.path, f"cursor names {column!r}, which is no column of silver.")
    if dataset.mode == "snapshot":
        raise SpecError(
            dataset.path,
            "a snapshot needs every row, a cursor reads only new ones.",
            remedy="Leave out `cursor`, or use the mode merge.",
        )
    return types[column]


def greatest(dataset: Dataset, column: str) -> Any:
    """The column's greatest value in silver, of the type that psycopg gives; None while empty."""
    query = sql.SQL("select max({}) from {}").format(
        sql.Identifier(column), sql.Identifier("silver", dataset.table)
    )
    with connect() as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None
