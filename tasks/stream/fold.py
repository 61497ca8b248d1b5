"""Events into sums by dimension and day: grouped by DuckDB, added to silver in one statement."""
# ruff: noqa: S608 - DuckDB in memory; names and expressions are the validated spec's

from __future__ import annotations

from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from tasks.bulk import copy_in
from tasks.duck import Duck
from warehouse.ddl import literal
from warehouse.streams import Stream

NONE = "(none)"


class Fold:
    """Folds the events of a stream; for one thread."""

    def __init__(self, stream: Stream) -> None:
        self._duck = Duck()
        self._query = _query(stream)

    def __call__(self, events: pa.Table) -> pa.Table:
        """Rows of `dimension, day, value, person` and the measures."""
        return self._duck.ask(self._query, events=events)


def _query(stream: Stream) -> str:
    """DuckDB: one pass that makes the columns, and a group-by a dimension."""
    zone = literal(stream.timezone)
    derived = "".join(f', {text} as "{name}"' for name, text in stream.derived.items())
    sums = ", ".join(f'sum({m.sum})::decimal(38,4) as "{m.name}"' for m in stream.measures)
    groups = " union all ".join(
        f"select {literal(d.name)} as dimension, day,"
        f" coalesce(({d.by})::varchar, '{NONE}') as value, {d.person} as person, {sums}"
        " from described group by day, value"
        for d in stream.dimensions
    )
    return (
        f'with described as materialized (select *, timezone({zone}, "{stream.time}") as local,'
        f" local::date as day{derived} from events) {groups}"
    )


def add(
    connection: psycopg.Connection[Any],
    stream: Stream,
    folded: pa.Table,
    into: tuple[str, str] | None = None,
    *,
    restated: bool = False,
) -> None:
    """Add sums to silver's, within the caller's transaction.

    `into`: other tables of the same columns, as (of all, of people). `restated`: stamp the rows.
    """
    measures = [m.name for m in stream.measures]
    columns = ["dimension", "day", "value", *measures]
    connection.execute(
        sql.SQL(
            "create temp table if not exists folded (dimension text, day date, value text,"
            " person boolean, {}) on commit delete rows"
        ).format(
            sql.SQL(", ").join(sql.SQL("{} numeric").format(sql.Identifier(m)) for m in measures)
        )
    )
    connection.execute("truncate folded")
    with connection.cursor() as cursor:
        copy_in(cursor, sql.Identifier("folded"), iter([folded]))
    targets = into or (f"silver.{stream.table}_by", f"silver.{stream.table}_by_person")
    stamp = sql.SQL(", restated_at = now()" if restated else "")
    for person, target in enumerate(targets):
        # In the order of the key, so that two consumers never wait for each other.
        connection.execute(
            sql.SQL(
                "insert into {target} as old ({columns}{stamped}) select {columns}{now} from folded"
                " where person = %s order by dimension, day, value"
                " on conflict (dimension, day, value) do update set {sums}{stamp}"
            ).format(
                target=sql.Identifier(*target.split(".")),
                columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
                stamped=sql.SQL(", restated_at" if restated else ""),
                now=sql.SQL(", now()" if restated else ""),
                sums=sql.SQL(", ").join(
                    sql.SQL("{0} = old.{0} + excluded.{0}").format(sql.Identifier(m))
                    for m in measures
                ),
                stamp=stamp,
            ),
            [bool(person)],
        )
