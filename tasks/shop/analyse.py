"""Gold of a stream of sales: orders, cancellations and baskets out of bronze, then gold's own SQL.

All of it is one transaction on one snapshot, so that the tables agree with each other; consumers do
not wait for it. What an event is worth (a sale, an amount, a product) stands in the stream's YAML.
"""
# ruff: noqa: S608 - DuckDB in memory; names and expressions are the validated spec's

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import IsolationLevel, sql

from tasks.bulk import copy_in
from tasks.duck import Duck
from tasks.shop.cancelled import Line, match
from tasks.stream.bronze import counting, pieces
from tasks.stream.forget import before, forget_rows
from warehouse import gold
from warehouse.database import connect
from warehouse.ddl import literal
from warehouse.errors import ConfigurationError
from warehouse.pseudonyms import NOBODY
from warehouse.shop import Analysis
from warehouse.stream_values import described
from warehouse.streams import Stream

log = logging.getLogger(__name__)
HERE = Path(__file__).parent
PLACE = {"partition": "bigint", "offset": "bigint"}
KEPT = {  # what stays when bronze lets its rows go: the key, and when a newer row is better
    "orders": (("invoice",), "excluded.lines >= old.lines"),
    "cancellations": (("partition", "offset"),
                      "excluded.outcome = 'matched' or old.outcome <> 'matched'"),
    "products": (("stock_code",), "true"),  # their names: the sums go back further
}  # fmt: skip
ANEW = ("pairs", "analysed")


@dataclass(frozen=True)
class Analysed:
    """`lines` that were looked at, all sales before `complete_to`, and gold's rows by table."""

    lines: int
    complete_to: dt.datetime | None
    rows: dict[str, int]
    seconds: float


def is_due(stream: Stream) -> bool:
    """Whether events have come since gold was made, or it never was."""
    if stream.gold is None:
        return False
    tables = [t.table for t in gold.tables().values() if t.domain == stream.domain]
    with connect() as connection:
        row = connection.execute(
            "select max(moved_at) > coalesce((select min(published_at) from ops.publications"
            " where table_name = any(%s)), '-infinity') from ops.stream_partitions"
            " where stream = %s",
            [tables, stream.table],
        ).fetchone()
    return bool(row and row[0])


def analyse(stream: Stream) -> Analysed:
    """Make gold of all sales so far.

    Raises:
        ConfigurationError: the stream's YAML says nothing of gold.
    """
    if stream.gold is None:
        raise ConfigurationError(
            f"{stream.table} has no gold.", remedy=f"Write `gold:` in {stream.path}."
        )
    began = time.monotonic()
    with connect(autocommit=True) as connection:
        connection.execute("set application_name = 'carrel analyse'")
        connection.execute("select pg_advisory_lock(hashtext('carrel analyse'))")
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            complete_to, told_to = _read_to(connection, stream)
            lines = _silver(connection, stream, stream.gold, told_to)
            rows = _gold(connection, stream, complete_to)
    done = Analysed(lines, complete_to, rows, round(time.monotonic() - began, 2))
    log.info("%s analysed", stream.table, extra={"lines": lines, "seconds": done.seconds})
    return done


def _read_to(
    connection: psycopg.Connection[Any], stream: Stream
) -> tuple[dt.datetime | None, dt.datetime | None]:
    """To when all partitions are read: of those that have events, and None before each has one.

    Counts of people are told once, so they wait for the stricter one.
    """
    row = connection.execute(
        "select min(newest_at), count(newest_at) from ops.stream_partitions"
        " where stream = %s and topic = %s",
        [stream.table, stream.topic],
    ).fetchone()
    assert row
    if row[0] is None:
        return None, None
    watermark = row[0] - dt.timedelta(seconds=stream.lateness)
    return watermark, watermark if row[1] >= stream.partitions else None


# Silver ------------------------------------------------------------------------------------------


def _silver(
    connection: psycopg.Connection[Any],
    stream: Stream,
    analysis: Analysis,
    told_to: dt.datetime | None,
) -> int:
    """Write what gold is made of; how many lines were looked at."""
    duck = Duck()
    count = 0
    with pieces(connection, stream, _recent(stream, analysis.days), PLACE) as found:
        for piece in found:
            _add(duck, stream, piece, count)
            count += piece.num_rows
    if not count:
        return 0
    asked = vars(analysis.baskets)
    duck.do(_text("baskets").format(**asked))
    tables = {
        "orders": duck.ask(_text("orders")),
        "cancellations": duck.ask(_text("cancellations"), found=_found(duck)),
        "products": duck.ask(_text("products")),
        "pairs": duck.ask(_text("pairs").format(**asked)),
        "analysed": duck.ask(_analysed(stream, told_to)),
    }
    products = sql.Identifier("silver", f"{stream.table}_products")
    connection.execute(sql.SQL("update {} set baskets = 0 where baskets > 0").format(products))
    for name, (key, better) in KEPT.items():
        _keep(connection, f"{stream.table}_{name}", tables[name], key, better)
    if day := before(connection, stream):
        forget_rows(connection, stream, day)
    for name in ANEW:
        _replace(connection, f"{stream.table}_{name}", tables[name])
    return count


def _recent(stream: Stream, days: int) -> sql.Composed:
    """The condition on bronze that an event counts and is not too old."""
    return sql.SQL(
        "{time} >= (select max({time}) from {bronze}) - {days} * interval '1 day' and {counting}"
    ).format(
        time=sql.Identifier(stream.time),
        bronze=sql.Identifier("bronze", stream.table),
        days=sql.Literal(days),
        counting=counting(stream),
    )


def _add(duck: Duck, stream: Stream, piece: pa.Table, after: int) -> None:
    """Add events to DuckDB's table `lines`, numbered, with what the YAML derives of them."""
    select = (
        f'select partition, "offset", {after} + row_number() over () as number, sold_at, day,'
        " invoice, stock_code, description, quantity,"
        f" nullif(customer_key, '{NOBODY}') as customer_key, country, amount, cancelled, sale,"
        f" product from ({described(stream)})"
    )
    duck.do(f"insert into lines {select}" if after else f"create temp table lines as {select}",
            events=piece)  # fmt: skip


def _found(duck: Duck) -> pa.Table:
    rows = duck.ask(_text("taken_back")).to_pylist()
    found = list(match(
        Line(r["number"], r["customer_key"], r["stock_code"], r["at"], r["pieces"], r["cancelled"])
        for r in rows
    ))  # fmt: skip
    return pa.table({
        "number": pa.array([f.name for f in found], pa.int64()),
        "outcome": pa.array([f.outcome for f in found], pa.string()),
        "sale": pa.array([f.sale for f in found], pa.int64()),
    })  # fmt: skip


def _analysed(stream: Stream, told_to: dt.datetime | None) -> str:
    """DuckDB: to which day of the shop all is read, and the baskets that were analysed."""
    at = f"{literal(told_to.isoformat())}::timestamptz" if told_to else "null::timestamptz"
    return (
        f"select timezone({literal(stream.timezone)}, {at})::date as told_to,"
        " count(distinct basket) filter (where not too_many) as baskets,"
        " count(distinct basket) filter (where too_many) as left_out,"
        " min(day) as first_day, max(day) as last_day from basket_lines"
    )


def _keep(
    connection: psycopg.Connection[Any],
    name: str,
    rows: pa.Table,
    key: tuple[str, ...],
    better: str,
) -> None:
    """Add rows to a silver table, or put them in place of those of their key."""
    target = sql.Identifier("silver", name)
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
    anew = sql.Identifier(f"{name}_anew")
    connection.execute(
        sql.SQL("create temp table {} (like {}) on commit drop").format(anew, target)
    )
    with connection.cursor() as cursor:
        copy_in(cursor, anew, iter([_as_stored(rows)]))
    changes = (sql.SQL("{0} = excluded.{0}").format(sql.Identifier(c)) for c in rows.column_names)
    connection.execute(
        sql.SQL(
            "insert into {} as old ({}) select {} from {} on conflict ({}) do update set {}"
            " where ({}) and (old.*) is distinct from (excluded.*)"
        ).format(
            target, columns, columns, anew,
            sql.SQL(", ").join(map(sql.Identifier, key)),
            sql.SQL(", ").join(changes), sql.SQL(better),
        )
    )  # fmt: skip


def _replace(connection: psycopg.Connection[Any], name: str, rows: pa.Table) -> None:
    """Put rows in place of all that a silver table holds."""
    target = sql.Identifier("silver", name)
    connection.execute(sql.SQL("delete from {}").format(target))
    with connection.cursor() as cursor:
        copy_in(cursor, target, iter([rows]))


def _as_stored(rows: pa.Table) -> pa.Table:
    """Whole numbers as wide as the tables have them."""
    place = rows.schema.get_field_index("partition")
    if place < 0:
        return rows
    return rows.set_column(place, "partition", rows["partition"].cast(pa.int32()))


def _text(name: str) -> str:
    return (HERE / f"{name}.sql").read_text("utf-8")


# Gold --------------------------------------------------------------------------------------------


def _gold(
    connection: psycopg.Connection[Any], stream: Stream, complete_to: dt.datetime | None
) -> dict[str, int]:
    """Publish the gold tables of the stream's domain; a changed definition is told anew."""
    tables = [t for t in gold.tables().values() if t.domain == stream.domain]
    digests = {t.table: hashlib.sha256(gold.filled(t).encode()).hexdigest() for t in tables}
    known = dict(connection.execute(
        "select table_name, sql_sha256 from ops.publications where table_name = any(%s)",
        [list(digests)],
    ))  # fmt: skip
    for table in tables:
        if table.lattice and known.get(table.table) not in (None, digests[table.table]):
            connection.execute(sql.SQL("truncate {}").format(sql.Identifier("gold", table.table)))
    rows = gold.publish(connection, list(digests), changed={})
    for name, digest in digests.items():
        connection.execute(
            "update ops.publications set sql_sha256 = %s,"
            " complete_to = coalesce(%s, complete_to) where table_name = %s",
            [digest, complete_to, name],
        )
    return rows
