"""Read what is to be handed out: one select, read-only, as its viewer sees it, in flat memory."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import psycopg
from psycopg import IsolationLevel, errors, sql
from sqlalchemy import text

from tasks.writers import Field
from warehouse import gold, spec, streams
from warehouse.access import Viewer, acting_as, claim
from warehouse.database import connect
from warehouse.errors import ConfigurationError, LoadFailed

Connection = psycopg.Connection[Any]
TYPES = {
    16: "boolean", 21: "integer", 23: "integer", 20: "bigint", 700: "real", 701: "double",
    1700: "numeric", 1082: "date", 1114: "timestamp", 1184: "timestamptz", 114: "json",
    3802: "json",
}  # fmt: skip
SETTINGS = "set local datestyle = 'ISO, YMD'; set local timezone = 'UTC'; {}"
MOST_DIGITS = 76  # of Arrow's widest decimal
# What Parquet's columns hold: how PostgreSQL makes it, and psycopg's name for its type.
NATIVE = {
    "boolean": ("{}", "bool"),
    "integer": ("{}::int4", "int4"),
    "bigint": ("{}", "int8"),
    "real": ("{}", "float4"),
    "double": ("{}", "float8"),
    "numeric": ("{}", "numeric"),
    "date": ("{} - date '1970-01-01'", "int4"),
    "timestamp": ("(extract(epoch from {}) * 1000000)::int8", "int8"),
    "timestamptz": ("(extract(epoch from {}) * 1000000)::int8", "int8"),
}
SHOWN = {"json": "{}::jsonb::text"}  # on one line
FIT = {
    "numeric": (
        "coalesce(max(length(trunc(abs(nullif({0} * 0, 'NaN') + {0}))::text)), 1),"
        " coalesce(max(scale({0})), 0), coalesce(bool_or({0} * 0 <> 0), false)"
    ),
    "date": "0, 0, coalesce(bool_or(not isfinite({0})), false)",
    "timestamp": "0, 0, coalesce(bool_or(not isfinite({0})), false)",
    "timestamptz": "0, 0, coalesce(bool_or(not isfinite({0})), false)",
}
SEEN = """
select attname from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped and attname !~ '^_'
  and has_column_privilege(attrelid, attnum, 'select')
order by attnum
"""


@dataclass(frozen=True)
class Subject:
    """What is handed out: a dataset, a gold table, or the rows of a query (`table` is None)."""

    name: str
    table: tuple[str, str] | None = None
    query: str = ""
    title: str = ""
    grain: str = ""
    licence: str | None = None
    key: tuple[str, ...] = ()
    event: str | None = None
    meanings: Mapping[str, str] | None = None
    scales: Mapping[str, int] | None = None


def subject(what: str) -> Subject:
    """The dataset, table of a stream, gold table (`gold.x` or `x`) or query that is meant.

    Raises:
        ConfigurationError: there is none of that name.
    """
    if len(what.split(None, 1)) > 1:
        return Subject("query", query=what.strip().rstrip("; \n"))
    schema, _, name = what.rpartition(".")
    for one in streams.streams().values():
        if schema in ("", "silver") and name in one.tables:
            return Subject(f"silver.{name}", ("silver", name), title=one.title,
                           licence=one.licence, meanings=one.meanings)  # fmt: skip
    tables = gold.tables()
    named = [t for t in tables.values() if name in (t.table, t.name)]
    if schema != "gold" and (schema == "silver" or not named or name in spec.datasets()):
        try:
            return _of_dataset(spec.dataset(name))
        except ConfigurationError as error:
            known = f"{error.remedy} Gold: {', '.join(tables)}."
            raise ConfigurationError(error.message, remedy=known) from None
    if len(named) != 1:
        raise ConfigurationError(f"{what!r} is no table.", remedy=f"Gold: {', '.join(tables)}.")
    table = named[0]
    return Subject(
        f"gold.{table.table}", ("gold", table.table), "", table.title, table.grain, None,
        table.key, table.refresh, table.meanings,
    )  # fmt: skip


def _of_dataset(dataset: spec.Dataset) -> Subject:
    return Subject(
        dataset.table,
        ("silver", dataset.table),
        "",
        dataset.title,
        dataset.grain,
        dataset.licence,
        () if dataset.key == "content" else dataset.key,
        dataset.event,
        {c.name: c.meaning for c in dataset.stored},
        {c.name: getattr(c, "scale", 0) for c in dataset.stored},
    )


@contextmanager
def reading(viewer: Viewer | None, seconds: int) -> Iterator[Connection]:
    """A read-only transaction of the viewer's, or of the owner's; a statement may take `seconds`.

    Raises:
        ConfigurationError: the query is wrong, or asks for what the viewer may not see.
        LoadFailed: it took too long.
    """
    try:
        with _transaction(viewer, seconds) as connection:
            limit = f"set local statement_timeout = '{int(seconds)}s'"
            connection.execute(SETTINGS.format(limit).encode())
            yield connection
    except errors.QueryCanceled:
        raise LoadFailed(f"The query took longer than {seconds} s.", remedy=SLOWER) from None
    except (psycopg.OperationalError, errors.AdminShutdown):
        raise
    except psycopg.Error as error:
        reason = error.diag.message_primary or type(error).__name__
        raise ConfigurationError(f"The query is refused: {reason}.", remedy=ONLY) from None


SLOWER = "Ask for less, or give it more time: --timeout."
ONLY = "One select statement is run, which changes nothing and reads what its viewer may see."


@contextmanager
def _transaction(viewer: Viewer | None, seconds: int) -> Iterator[Connection]:
    if viewer is None:
        with connect() as connection:
            connection.read_only = True
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            yield connection
        return
    with acting_as(viewer) as shared:
        # A claim that ended before the query would hide the rest of the rows without a word.
        lasting = claim(viewer, now=time.time() + seconds)
        shared.execute(text("select set_config('carrel.claim', :claim, true)"), {"claim": lasting})
        yield cast(Connection, shared.connection.driver_connection)


@dataclass(frozen=True)
class Rows:
    """The rows to hand out: their columns, and the query that yields them."""

    fields: tuple[Field, ...]
    query: sql.Composable

    def as_text(
        self, connection: Connection, first: str = "", order: str = ""
    ) -> Generator[tuple[Any, ...], None, None]:
        """Each value as PostgreSQL writes it, dates and moments by ISO 8601."""
        columns = [_as(SHOWN.get(f.type, "{}::text"), f) for f in self.fields]
        return self._copied(connection, columns, None, first, order)

    def as_values(
        self, connection: Connection, first: str = "", order: str = ""
    ) -> Generator[tuple[Any, ...], None, None]:
        """Python values; dates as days, moments as microseconds since 1970."""
        ways = [NATIVE.get(f.type, (SHOWN.get(f.type, "{}::text"), "text")) for f in self.fields]
        columns = [_as(way, f) for (way, _), f in zip(ways, self.fields, strict=True)]
        return self._copied(connection, columns, [kind for _, kind in ways], first, order)

    def _copied(
        self,
        connection: Connection,
        columns: list[sql.Composable],
        types: list[str] | None,
        first: str,
        order: str,
    ) -> Generator[tuple[Any, ...], None, None]:
        if first:
            columns = [_sql(first), *columns]
        statement = sql.SQL("copy (select {} from ({}\n) as q {}) to stdout {}").format(
            sql.SQL(", ").join(columns),
            self.query,
            _sql(order),
            sql.SQL("(format binary)" if types else ""),
        )
        with connection.cursor().copy(statement) as copy:
            if types:
                copy.set_types(["text", *types] if first else types)
            yield from copy.rows()


def rows(connection: Connection, what: Subject) -> Rows:
    """The columns and the query of a subject, as the connection's login may see it.

    Raises:
        ConfigurationError: two columns have one name, or none may be seen.
    """
    query = _table_query(connection, what) if what.table else _sql(what.query)
    # Binary results are asked for by the protocol that takes one statement alone.
    probe = connection.execute(
        sql.SQL("select * from ({}\n) as q limit 0").format(query), binary=True
    )
    names = [c.name for c in probe.description or ()]
    if twice := {n for n in names if names.count(n) > 1}:
        raise ConfigurationError(
            f"Two columns are called {', '.join(sorted(twice))}.", remedy="Name them with `as`."
        )
    meanings = what.meanings or {}
    fields = [
        Field(c.name, TYPES.get(c.type_code, "text"), meanings.get(c.name, ""))
        for c in probe.description or ()
    ]
    if not fields:
        raise ConfigurationError(f"{what.name}: there is no column to be seen.")
    return Rows(tuple(fields), query)


def _table_query(connection: Connection, what: Subject) -> sql.Composable:
    """All rows of a table, in order of its key, and the columns that may be seen."""
    assert what.table
    table = sql.Identifier(*what.table)
    seen = [name for (name,) in connection.execute(SEEN, [table.as_string(connection)])]
    if not seen:
        raise ConfigurationError(f"{what.name}: there is no column that the viewer may see.")
    key = [sql.Identifier(k) for k in what.key if k in seen]
    return sql.SQL("select {} from {} {} {}").format(
        sql.SQL(", ").join(map(sql.Identifier, seen)),
        table,
        sql.SQL("order by" if key else ""),
        sql.SQL(", ").join(key),
    )


def fitted(connection: Connection, found: Rows, scales: Mapping[str, int] | None) -> Rows:
    """The same with the digits that each numeric needs; what no Arrow type holds becomes text."""
    special = [f for f in found.fields if f.type in FIT]
    if not special:
        return found
    asked = sql.SQL(", ").join(_as(FIT[f.type], f) for f in special)
    measured = connection.execute(
        sql.SQL("select {} from ({}\n) as q").format(asked, found.query)
    ).fetchone()
    assert measured
    fits = {f.name: measured[i * 3 : i * 3 + 3] for i, f in enumerate(special)}
    fields = [
        _fitted(f, fits[f.name], (scales or {}).get(f.name, 0)) if f.name in fits else f
        for f in found.fields
    ]
    return Rows(tuple(fields), found.query)


def _fitted(field: Field, needs: tuple[int, int, bool], scale: int) -> Field:
    whole, decimals, beyond = needs
    decimals = max(decimals, scale)
    if beyond or whole + decimals > MOST_DIGITS:
        return replace(field, type="text")
    wide = whole + decimals > 38
    return replace(field, digits=(MOST_DIGITS if wide else 38, decimals))


def _as(pattern: str, field: Field) -> sql.Composable:
    return _sql(pattern).format(sql.Identifier(field.name))


def _sql(query: str) -> sql.SQL:
    return sql.SQL(query)
