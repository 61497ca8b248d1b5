"""A stream's tables follow its spec: made where they lack, grown by what it has grown by.

Only what `carrel migrate` lets a schema grow by is done here: columns are added, may be null, or
become wider. Nothing is taken away.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql

from warehouse.stream_values import measured

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
BRONZE: LiteralString = """
create table {bronze} (
    arrived_on date not null,
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    logged_at timestamptz not null,
    ingested_at timestamptz not null,
    late boolean not null,
    {columns},
    rest text,
    primary key (partition, "offset", arrived_on)
) partition by range (arrived_on);
comment on table {bronze} is
    'Each valid event once; one partition a day of arrival (UTC), made by the consumer';
comment on column {bronze}.rest is 'Fields that the schema does not name, as JSON';
"""
SUMS: LiteralString = """
create table {sums} (
    dimension text not null,
    day date not null,
    value text not null,
    {measures},
    restated_at timestamptz,
    primary key (dimension, day, value)
) with (fillfactor = 70);
"""
ABOUT_SUMS: tuple[LiteralString, LiteralString] = (
    "Sums by dimension and day, folded as events arrive: one row a value of a dimension and day",
    "The same by dimensions whose values are pseudonyms of people",
)
OTHERS: dict[tuple[LiteralString, LiteralString], LiteralString] = {
    ("silver", "_late"): """
create table {table} (
    partition integer not null,
    "offset" bigint not null,
    arrived_on date not null,
    {id} text not null,
    {time} timestamptz not null,
    late_by interval not null,
    arrived_at timestamptz not null,
    folded_at timestamptz,
    primary key (partition, "offset")
);
comment on table {table} is
    'Events too far behind their partition''s newest to be in the figures, unless folded in since';
""",
    ("silver", "_duplicates"): """
create table {table} (day date primary key, events bigint not null);
comment on table {table} is
    'Events that were dropped because their id had counted already, by the day of the event';
""",
    ("quarantine", ""): """
create table {table} (
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    logged_at timestamptz not null,
    quarantined_at timestamptz not null,
    reason text not null,
    message bytea not null,
    primary key (topic, partition, "offset")
);
comment on table {table} is 'Messages that are no event, as they came, and why';
""",
}


def grow(connection: psycopg.Connection[Any], stream: Stream) -> None:
    """Give the tables what they lack.

    Raises:
        SpecError: an expression of the spec cannot be worked out.
    """
    for change in lacking(connection, stream):
        connection.execute(change)


def lacking(connection: psycopg.Connection[Any], stream: Stream) -> list[sql.Composed]:
    """The statements that give a stream's tables what its spec says and they lack.

    Raises:
        SpecError: an expression of the spec cannot be worked out.
    """
    return [*_bronze(connection, stream), *_sums(connection, stream), *_others(connection, stream)]


def columns(connection: psycopg.Connection[Any], table: str) -> dict[str, tuple[str, bool]]:
    """The columns of a table in their order: PostgreSQL's type, and whether none may be null."""
    rows = connection.execute(COLUMNS, [table]).fetchall()
    return {name: (kind, not_null) for name, kind, not_null in rows}


def _bronze(connection: psycopg.Connection[Any], stream: Stream) -> Iterator[sql.Composed]:
    table, nullable = sql.Identifier("bronze", stream.table), _nullable(stream)
    there = columns(connection, f"bronze.{stream.table}")
    if not there:
        declared = [
            sql.SQL("{} {}{}").format(
                sql.Identifier(name),
                sql.SQL(TYPES[kind]),
                sql.SQL("" if name in nullable else " not null"),
            )
            for name, kind in stream.columns.items()
        ]
        yield sql.SQL(BRONZE).format(bronze=table, columns=sql.SQL(",\n    ").join(declared))
        return
    for name, kind in stream.columns.items():
        known, not_null = there.get(name, (None, False))
        if known is None:
            yield _altered(table, f"add column {{}} {TYPES[kind]}", name)
        elif (known, TYPES[kind]) == ("bigint", "numeric"):
            yield _altered(table, "alter column {} type numeric", name)
        if not_null and name in nullable:
            yield _altered(table, "alter column {} drop not null", name)


def _sums(connection: psycopg.Connection[Any], stream: Stream) -> Iterator[sql.Composed]:
    kinds = measured(stream)
    for name, about in zip(stream.sums, ABOUT_SUMS, strict=True):
        table = sql.Identifier("silver", name)
        if there := columns(connection, f"silver.{name}"):
            yield from _grown(table, there, kinds)
            continue
        declared = [
            sql.SQL("{} {} not null").format(sql.Identifier(measure), sql.SQL(kind))
            for measure, kind in kinds.items()
        ]
        yield sql.SQL(SUMS).format(sums=table, measures=sql.SQL(",\n    ").join(declared))
        yield sql.SQL("comment on table {} is {}").format(table, sql.Literal(about))
    for name in ("kept_by", "kept_by_person"):
        kept = f"{stream.table}_{name}"
        if there := columns(connection, f"bronze.{kept}"):
            yield from _grown(sql.Identifier("bronze", kept), there, kinds)


def _grown(
    table: sql.Identifier, there: dict[str, tuple[str, bool]], kinds: dict[str, LiteralString]
) -> Iterator[sql.Composed]:
    """What a table of sums lacks of the measures."""
    for name, kind in kinds.items():
        known, _ = there.get(name, (None, False))
        if known is None:
            yield _altered(table, f"add column {{}} {kind} not null default 0", name)
        elif (known, kind) == ("bigint", "numeric"):  # it may have fractions now
            yield _altered(table, "alter column {} type numeric", name)


def _others(connection: psycopg.Connection[Any], stream: Stream) -> Iterator[sql.Composed]:
    for (schema, name), statement in OTHERS.items():
        if not columns(connection, f"{schema}.{stream.table}{name}"):
            yield sql.SQL(statement).format(
                table=sql.Identifier(schema, f"{stream.table}{name}"),
                id=sql.Identifier(stream.id),
                time=sql.Identifier(stream.time),
            )


def _altered(table: sql.Identifier, change: LiteralString, column: str) -> sql.Composed:
    return sql.SQL("alter table {} {}").format(
        table, sql.SQL(change).format(sql.Identifier(column))
    )


def _nullable(stream: Stream) -> set[str]:
    """Columns of fields that an event may lack."""
    lacked = {
        name: field
        for name, field in stream.event.properties.items()
        if field.nullable or name not in stream.event.required
    }
    return {
        *(field.pseudonym or name for name, field in lacked.items()),
        *(f"{name}_text" for name, field in lacked.items() if field.format),
        *(name for one in stream.lookups for name in one.columns),
    }
