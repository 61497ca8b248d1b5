"""A stream's tables follow its spec: what the schema of events grows by, they grow by, too.

Only what `carrel migrate` lets a schema grow by is done here: columns are added, may be null, or
become wider. Nothing is taken away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from warehouse.streams import Stream

TYPES: dict[str, LiteralString] = {
    "varchar": "text", "bigint": "bigint", "decimal(18,4)": "numeric", "boolean": "boolean",
    "timestamptz": "timestamp with time zone",
}  # fmt: skip
COLUMNS = """
select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute
where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
order by attnum
"""


def grow(connection: psycopg.Connection[Any], stream: Stream) -> None:
    """Give bronze the columns of the event, and the sums those of the measures."""
    wider = _bronze(connection, stream)
    for schema, name in (("silver", "by"), ("silver", "by_person"),
                         ("bronze", "kept_by"), ("bronze", "kept_by_person")):  # fmt: skip
        table = f"{stream.table}_{name}"
        there = columns(connection, f"{schema}.{table}")
        for measure in stream.measures if there else ():
            known, _ = there.get(measure.name, (None, False))
            change = None
            if known is None:
                change = "add column {} numeric not null default 0"
            elif wider and known == "bigint":  # it may have fractions now
                change = "alter column {} type numeric"
            if change:
                column = sql.Identifier(measure.name)
                _alter(connection, sql.Identifier(schema, table), sql.SQL(change).format(column))


def _bronze(connection: psycopg.Connection[Any], stream: Stream) -> bool:
    """Whether a whole number became one with fractions."""
    table, wider = sql.Identifier("bronze", stream.table), False
    there = columns(connection, f"bronze.{stream.table}")
    for name, kind in stream.columns.items() if there else ():
        type_, column = TYPES[kind], sql.Identifier(name)
        known, not_null = there.get(name, (None, False))
        if known is None:
            _alter(connection, table, sql.SQL(f"add column {{}} {type_}").format(column))
        elif (known, type_) == ("bigint", "numeric"):
            _alter(connection, table, sql.SQL("alter column {} type numeric").format(column))
            wider = True
        if not_null and name in _nullable(stream):
            _alter(connection, table, sql.SQL("alter column {} drop not null").format(column))
    return wider


def columns(connection: psycopg.Connection[Any], table: str) -> dict[str, tuple[str, bool]]:
    """The columns of a table in their order: PostgreSQL's type, and whether none may be null."""
    rows = connection.execute(COLUMNS, [table]).fetchall()
    return {name: (kind, not_null) for name, kind, not_null in rows}


def _alter(
    connection: psycopg.Connection[Any], table: sql.Identifier, change: sql.Composed
) -> None:
    connection.execute(sql.SQL("alter table {} {}").format(table, change))


def _nullable(stream: Stream) -> set[str]:
    """Columns of fields that an event may lack."""
    lacked = {
        name: field
        for name, field in stream.event.properties.items()
        if field.nullable or name not in stream.event.required
    }
    return {field.pseudonym or name for name, field in lacked.items()} | {
        f"{name}_text" for name, field in lacked.items() if field.format
    }
