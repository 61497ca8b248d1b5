"""Read what a query finds in another database: PostgreSQL, MySQL, MariaDB or SQLite.

The query is one `select` (or `with … select`), read-only. With a cursor, `:cursor` is the greatest
value of that silver column less `overlap`; silver itself is asked, so that a killed run leaves no
state behind. While silver is empty it is null, of the column's type, so that one query serves
both, on every database:

    select id, changed_at, … from loans
    where :cursor is null or changed_at >= :cursor

Write `\\:` for a colon before a word that is no parameter. Times with a zone arrive in UTC (from
MySQL: in the server's zone); on SQLite a time is bound as the text `YYYY-MM-DD HH:MM:SS`.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from psycopg.types.string import TextLoader
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    TextClause,
    bindparam,
    create_engine,
    event,
    make_url,
    text,
    types,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tasks.arrays import floats, integers, texts
from tasks.breaker import Unreachable, guarded
from tasks.remote import asked
from tasks.silver_cursor import cursor_type, greatest
from warehouse.errors import (
    ConfigurationError,
    SourceUnavailable,
    SpecError,
)
from warehouse.settings import secret
from warehouse.sources import DatabaseSource
from warehouse.spec import Dataset

ROWS = 10_000
CONNECT_S = 20
CASTS = {
    "text": "text",
    "integer": "bigint",
    "bigint": "bigint",
    "numeric": "numeric",
    "double": "double precision",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
}
BIT = 16  # what MySQL calls a column of bits
DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mysql+pymysql"}
QUOTED = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\""
MYSQL_QUOTED = r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`[^`]*`"
COMMENT = r"--[^\n]*|/\*.*?\*/"
MYSQL_COMMENT = r"--(?=\s)[^\n]*|#[^\n]*|/\*(?![!M]).*?\*/"
WRITES = re.compile(r"\b(insert|update|delete|merge|into)\b", re.IGNORECASE)
OVERLAP = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(second|minute|hour|day|week)?s?\s*")
REFUSED = re.compile(
    r"password authentication|access denied|no pg_hba|unknown database|does not exist"
    r"|role .* is not permitted|no password supplied",
    re.IGNORECASE,
)


def read(dataset: Dataset, path: Path | None) -> Iterator[pa.Table]:
    """The rows that the query finds now, some 10,000 a table.

    Raises:
        ConfigurationError: the URL is wrong, or the query is no single select.
        CircuitBreakerOpen: the host failed too often of late.
        SourceUnavailable: the database cannot be reached, or refuses the query.
    """
    source = dataset.source
    assert isinstance(source, DatabaseSource)
    engine, host = _engine(dataset.table, secret(source.url))
    try:
        query, values = _query(dataset, source, engine.dialect.name)
        connection = asked(host, lambda: _connected(engine, dataset.table, host))
        with connection, guarded(host):
            try:
                yield from _tables(dataset, connection, query, values)
            except SQLAlchemyError as error:
                raise _explained(dataset, host, error) from None
    finally:
        engine.dispose()


def columns(name: str, secret_name: str) -> dict[str, set[str]]:
    """The tables (PostgreSQL: `schema.table`) and their columns that the secret's user may read.

    Args:
        name: what messages call the database.
        secret_name: the secret that holds its URL: PostgreSQL, MySQL or MariaDB.

    Raises:
        ConfigurationError: the secret is not set or no URL.
        SourceUnavailable: the database cannot be reached or refuses.
    """
    engine, host = _engine(name, secret(secret_name))
    listed = "table_name" if engine.dialect.name == "mysql" else "table_schema || '.' || table_name"
    where = "where table_schema = database()" if engine.dialect.name == "mysql" else ""
    query = f"select {listed}, column_name from information_schema.columns {where}"  # noqa: S608
    found: dict[str, set[str]] = {}
    try:
        with asked(host, lambda: _connected(engine, name, host)) as connection:
            for table, column in connection.execute(text(query)):
                found.setdefault(table, set()).add(column)
    except SQLAlchemyError as error:
        raise SourceUnavailable(f"{name}: {host} refuses: {_plain(engine, error)}.") from None
    finally:
        engine.dispose()
    return found


# The connection ---------------------------------------------------------------------------------


def _engine(name: str, secret_url: str) -> tuple[Engine, str]:
    """An engine whose sessions can only read, and the name of its host for the breaker."""
    try:
        url = make_url(secret_url)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        url, backend = None, ""
    if url is None or backend not in (*DRIVERS, "sqlite"):
        raise ConfigurationError(
            f"{name}: the secret is no URL of a database that can be read.",
            remedy="Write it as postgresql://, mysql://, mariadb:// or sqlite:///file.",
        )
    if backend == "sqlite":
        engine = create_engine(_sqlite(url), poolclass=NullPool)
        event.listen(engine, "connect", _sqlite_session)
        return engine, f"sqlite:{url.database}"
    options: dict[str, Any] = {"connect_timeout": CONNECT_S}
    if backend == "postgresql":
        options["options"] = "-c timezone=UTC -c datestyle=ISO -c default_transaction_read_only=on"
    else:
        options["init_command"] = "set session transaction read only"
        options["conv"] = _mysql_converters()
    engine = create_engine(
        url.set(drivername=DRIVERS[backend]),
        poolclass=NullPool,
        connect_args=options,
        hide_parameters=True,
    )
    if backend == "postgresql":
        event.listen(engine, "connect", _postgres_session)
    return engine, f"{url.host or 'this machine'}{f':{url.port}' if url.port else ''}"


def _sqlite(url: URL) -> str:
    path = Path(url.database or "").absolute()
    if not path.is_file():
        raise SourceUnavailable(f"{path}: there is no such database.")
    return f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true"


def _sqlite_session(connection: Any, _: Any) -> None:
    connection.execute("pragma query_only = on")
    connection.text_factory = _text_or_bytes


def _text_or_bytes(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _mysql_converters() -> dict[Any, Any]:
    """Those of the driver, but numbers and times stay the text that the server writes."""
    from pymysql.constants import FIELD_TYPE as KIND
    from pymysql.converters import conversions

    text = (KIND.DATE, KIND.DATETIME, KIND.TIMESTAMP, KIND.DECIMAL, KIND.NEWDECIMAL)
    return {kind: made for kind, made in conversions.items() if kind not in text}


class _InUtc(TextLoader):
    """A time with a zone in a session of UTC, as text without it."""

    def load(self, data: Any) -> Any:
        """The text."""
        shown: Any = super().load(data)
        return shown.removesuffix("+00") if isinstance(shown, str) else shown


def _postgres_session(connection: Any, _: Any) -> None:
    """Numbers and times stay the text that the server writes; Python has no value for some."""
    for name in ("date", "timestamp", "numeric"):
        connection.adapters.register_loader(name, TextLoader)
    connection.adapters.register_loader("timestamptz", _InUtc)


def _connected(engine: Engine, name: str, host: str) -> Connection:
    """A connection; only this is tried again, what comes later has been partly read."""
    try:
        connection = engine.connect()
    except DBAPIError as error:
        said = _plain(engine, error)
        if REFUSED.search(said):
            raise SourceUnavailable(
                f"{name}: {host} refuses: {said}.", remedy="Check the secret's URL."
            ) from None
        raise Unreachable(f"{name}: {host} cannot be reached: {said}.") from None
    return connection.execution_options(stream_results=True, yield_per=ROWS)


def _plain(engine: Engine, error: Any) -> str:
    """What the driver said, on one line and without the password."""
    said = " ".join(str(error.orig or error).split()).rstrip(".")
    password = engine.url.password
    return said.replace(str(password), "***") if password else said


def _explained(dataset: Dataset, host: str, error: Any) -> SourceUnavailable:
    said = " ".join(str(getattr(error, "orig", None) or error).split()).rstrip(".")
    if getattr(error, "connection_invalidated", False):
        return Unreachable(f"{dataset.table}: {host} broke off: {said}.")
    return SourceUnavailable(
        f"{dataset.table}: {host} refuses the query: {said}.",
        remedy=f"Correct {dataset.sourced_at}.",
    )


# The query --------------------------------------------------------------------------------------


def one_select(query: str, dialect: str) -> str | None:
    """Why a text is not one select statement of that SQL dialect; None where it is."""
    mysql = dialect == "mysql"
    pattern = f"({MYSQL_QUOTED if mysql else QUOTED})|{MYSQL_COMMENT if mysql else COMMENT}"
    bare = re.sub(pattern, lambda m: "''" if m[1] else " ", query, flags=re.DOTALL).strip()
    bare = bare.removesuffix(";").strip()
    if ";" in bare:
        return "is more than one statement"
    if "/*" in bare:
        return "holds a comment that is run or does not end"
    if not re.match(r"\(*\s*(select|with)\b", bare, re.IGNORECASE):
        return "is no select"
    if word := WRITES.search(bare):
        return f"holds {word[0]!r}, which writes"
    return None


def _query(
    dataset: Dataset, source: DatabaseSource, dialect: str
) -> tuple[TextClause, dict[str, Any]]:
    """The statement and its values, each with its type, which PostgreSQL needs of a null."""
    if fault := one_select(source.query, dialect):
        raise SpecError(dataset.sourced_at, f"query {fault}.", remedy="Write one select statement.")
    statement = text(source.query.strip().removesuffix(";"))
    wanted = set(statement.compile().params)
    values: dict[str, Any] = dict(source.params)
    if source.cursor:
        values["cursor"] = _since(dataset, source)
    elif "cursor" in wanted:
        raise SpecError(dataset.sourced_at, "query has `:cursor`, but `cursor` names no column.")
    if missing := wanted - set(values):
        raise SpecError(dataset.sourced_at, f"params lacks {', '.join(sorted(missing))}.")
    if unused := set(values) - wanted:
        raise SpecError(dataset.sourced_at, f"query does not use :{', :'.join(sorted(unused))}.")
    if source.cursor and dialect == "postgresql":
        kind = Cast(CASTS[cursor_type(dataset, source.cursor)])
        statement = statement.bindparams(bindparam("cursor", type_=kind))
    elif source.cursor and dialect == "sqlite":
        values["cursor"] = _for_sqlite(values["cursor"])
    return statement, values


class Cast(types.UserDefinedType[Any]):
    """A parameter that is cast, since PostgreSQL cannot tell the type of a null."""

    cache_ok = True
    render_bind_cast = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in PostgreSQL."""
        return self.name


def _for_sqlite(value: Any) -> Any:
    """SQLite keeps times as text and has no decimals."""
    if isinstance(value, dt.date):
        return str(value)
    return float(value) if isinstance(value, Decimal) else value


def _since(dataset: Dataset, source: DatabaseSource) -> Any:
    """The cursor's value less the overlap; None while silver is empty."""
    assert source.cursor
    kind = cursor_type(dataset, source.cursor)
    found = OVERLAP.fullmatch(source.overlap)
    if not found:
        raise SpecError(
            dataset.sourced_at, f"overlap {source.overlap!r} is no span such as `2 days`."
        )
    number, unit = float(found[1]), found[2]
    value = greatest(dataset, source.cursor)
    if value is None or not number:
        return value
    if kind in ("date", "timestamp") and unit:
        span = dt.timedelta(**{f"{unit}s": number})
        # A day that is only begun counts whole: less would be read otherwise.
        return value - (
            dt.timedelta(days=-(-span // dt.timedelta(days=1))) if kind == "date" else span
        )
    if kind in ("integer", "bigint", "numeric", "double") and not unit:
        return value - type(value)(number)
    raise SpecError(
        dataset.path,
        f"overlap {source.overlap!r} does not suit the cursor, a {kind}.",
        remedy="A time needs a unit (`2 days`), a number none (`100`).",
    )


# The rows ---------------------------------------------------------------------------------------


def _tables(
    dataset: Dataset, connection: Connection, query: TextClause, values: dict[str, Any]
) -> Iterator[pa.Table]:
    with connection.execute(query, values) as result:
        names = list(result.keys())
        mysql = connection.dialect.name == "mysql"
        if twice := {n for n in names if names.count(n) > 1}:
            raise SpecError(
                dataset.sourced_at,
                f"query finds {', '.join(sorted(twice))} twice.",
                remedy="Use `as`.",
            )
        bits = {i for i, d in enumerate(result.cursor.description) if d[1] == BIT} if mysql else ()
        yield pa.table([texts([])] * len(names), names)
        for rows in result.partitions(ROWS):
            columns = [
                [v and int.from_bytes(v) for v in column] if i in bits else column
                for i, column in enumerate(zip(*rows, strict=True))
            ]
            yield pa.table([_column(c) for c in columns], names)


def _column(values: Sequence[Any]) -> pa.Array:
    """Values in their type, or as the text that a load makes of them; of several types, as text."""
    kinds = set(map(type, values)) - {type(None)}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is str or not (kind or kinds):
        return texts(values)
    with suppress(OverflowError):
        if kind in TYPED:
            return TYPED[kind](values)
    if show := AS_TEXT.get(kind):
        return texts([None if v is None else show(v) for v in values])
    plain = [v if type(v) in KEPT else _simple(v) for v in values]
    try:
        return pa.array(plain)  # which imports pandas: half a second
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return texts([None if v is None else _as_text(v) for v in plain])


TYPED: dict[Any, Callable[[Any], pa.Array]] = {int: integers, float: floats}
AS_TEXT: dict[Any, Callable[[Any], str]] = {
    int: str,
    bool: lambda value: "true" if value else "false",
    dt.date: dt.date.isoformat,
    Decimal: "{:f}".format,
}
KEPT = (type(None), str, int, float, bool, bytes, dt.date, dt.datetime)


def _simple(value: Any) -> Any:
    """A value that Arrow would not take, or take for another thing."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, dt.timedelta):
        minutes, rest = divmod(abs(value), dt.timedelta(minutes=1))
        sign = "-" if value < dt.timedelta() else ""
        shown = f"{sign}{minutes // 60:02}:{minutes % 60:02}:{rest.total_seconds():09.6f}"
        return shown.removesuffix(".000000")
    return value if isinstance(value, (*KEPT, Decimal)) else str(value)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
