"""What the expressions of a stream's spec make of its events: one DuckDB query.

No event can stop a stream: where an expression fails on one, its dimension says NONE there, and its
measure adds nothing. An expression that can never work is refused by `measured`.
"""
# ruff: noqa: S608 - DuckDB in memory; names and expressions are the validated spec's

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from warehouse.ddl import literal
from warehouse.errors import SpecError

if TYPE_CHECKING:
    from warehouse.streams import Stream

NONE = "(none)"
AMOUNT = "decimal(18,4)"  # of one event; sums of it are exact, in whatever pieces they are made
WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}


def values_query(stream: Stream) -> str:
    """DuckDB: of `events` the `day`, a list `members` (one of each dimension), and the measures."""
    members = ", ".join(f"coalesce(try({d.by})::varchar, '{NONE}')" for d in stream.dimensions)
    measures = ", ".join(
        f'try_cast(try({m.sum}) as {AMOUNT}) as "{m.name}"' for m in stream.measures
    )
    return f"select day, [{members}] as members, {measures} from ({described(stream)})"


def described(stream: Stream) -> str:
    """DuckDB: `events` with local time, its day, and what the spec derives, one upon another."""
    query = (
        f'select *, timezone({literal(stream.timezone)}, "{stream.time}") as local,'
        " local::date as day from events"
    )
    for name, text in stream.derived.items():
        query = f'select *, try({text}) as "{name}" from ({query})'
    return query


def measured(stream: Stream) -> dict[str, LiteralString]:
    """PostgreSQL's type of the sums of each measure: bigint where all it adds are whole numbers.

    Raises:
        SpecError: an expression names no column of an event, or is none; the message says which.
    """
    import duckdb

    columns = ", ".join(f'null::{kind} as "{name}"' for name, kind in stream.columns.items())
    sums = ", ".join(f'{m.sum} as "{m.name}"' for m in stream.measures)
    with duckdb.connect(config={"enable_external_access": False}) as duck:
        duck.execute(f"create view events as select {columns}, null::varchar as rest limit 0")
        try:
            duck.execute(values_query(stream))
            kinds = duck.execute(f"describe select {sums} from ({described(stream)})").fetchall()
        except duckdb.Error as error:
            raise SpecError(
                stream.path,
                f"an expression cannot be worked out: {str(error).partition(chr(10))[0]}.",
                remedy="Expressions are DuckDB's, over an event's columns, what is derived before,"
                " and local: its time in the stream's zone.",
            ) from error
    return {name: "bigint" if kind in WHOLE else "numeric" for name, kind, *_ in kinds}
