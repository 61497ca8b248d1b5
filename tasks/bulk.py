"""One PostgreSQL transaction that takes Arrow tables through binary COPY (ADBC).

The driver's own DB-API layer is left out: it imports pandas, which costs half a second a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import adbc_driver_manager
import adbc_driver_postgresql
import pyarrow as pa

from warehouse.settings import settings

Refused = adbc_driver_manager.Error


class Bulk:
    """A transaction as the owner; rolled back unless `commit` is called."""

    def __enter__(self) -> Self:
        """Connect."""
        url = settings().url().set(drivername="postgresql")
        self._database = adbc_driver_postgresql.connect(url.render_as_string(hide_password=False))
        try:
            self._connection = adbc_driver_manager.AdbcConnection(self._database)
        except Refused:
            self._database.close()
            raise
        self._connection.set_autocommit(False)
        return self

    def __exit__(self, *_: object) -> None:
        """Close; what was not committed is undone."""
        self._connection.close()
        self._database.close()

    def execute(self, statement: str, /) -> None:
        """Run one statement and keep its rows for `fetchall`."""
        with adbc_driver_manager.AdbcStatement(self._connection) as run:
            run.set_sql_query(statement)
            stream, _ = run.execute_query()
            self._rows: pa.Table = pa.RecordBatchReader.from_stream(stream).read_all()

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows of the last statement."""
        columns = [column.to_pylist() for column in self._rows.columns]
        return list(zip(*columns, strict=True))

    def copy(self, schema: str, table: str, tables: Iterator[pa.Table]) -> None:
        """COPY Arrow tables of one schema into a table with the same columns."""
        first = next(tables, None)
        if first is None:
            return
        rows = pa.RecordBatchReader.from_batches(first.schema, _batches(first, tables))
        options = adbc_driver_manager.StatementOptions
        with adbc_driver_manager.AdbcStatement(self._connection) as run:
            run.set_options(
                **{
                    options.INGEST_TARGET_TABLE.value: table,
                    options.INGEST_TARGET_DB_SCHEMA.value: schema,
                    options.INGEST_MODE.value: adbc_driver_manager.INGEST_OPTION_MODE_APPEND,
                }
            )
            run.bind_stream(rows.__arrow_c_stream__())
            run.execute_update()

    def commit(self) -> None:
        """Make it last."""
        self._connection.commit()


def _batches(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    yield from first.to_batches()
    for table in rest:
        yield from table.to_batches()
