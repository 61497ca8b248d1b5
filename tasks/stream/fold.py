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
from warehouse.stream_values import values_query
from warehouse.streams import Stream


class Fold:
    """Folds the events of a stream; for one thread."""

    def __init__(self, stream: Stream) -> None:
        self._duck = Duck(threads=1)
        self._query = _query(stream)

    def __call__(self, events: pa.Table) -> pa.Table:
        """Rows of `dimension, day, value, person` and the measures."""
        return self._duck.ask(self._query, events=events)


def _query(stream: Stream) -> str:
    """DuckDB: each event once for each dimension, and one group-by over all."""
    names = ", ".join(literal(d.name) for d in stream.dimensions)
    people = ", ".join(str(d.person) for d in stream.dimensions)
    measures = [f'"{m.name}"' for m in stream.measures]
    sums = ", ".join(f"coalesce(sum({m}), 0)::decimal(38,4) as {m}" for m in measures)
    return (
        f"with valued as ({values_query(stream)}),"
        " apart as (select day, unnest(members) as value, unnest(range(1, len(members) + 1)) as n,"
        f" {', '.join(measures)} from valued),"
        f" summed as (select n, day, value, {sums} from apart group by n, day, value)"
        f" select [{names}][n] as dimension, [{people}][n] as person, day, value,"
        f" {', '.join(measures)} from summed"
    )


def added(stream: Stream) -> sql.Composed:
    """For `insert … as old … on conflict do update set`: each measure added to what is there."""
    return sql.SQL(", ").join(
        sql.SQL("{0} = old.{0} + excluded.{0}").format(sql.Identifier(m.name))
        for m in stream.measures
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
    targets = into or tuple(f"silver.{name}" for name in stream.sums)
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
                sums=added(stream),
                stamp=stamp,
            ),
            [bool(person)],
        )
