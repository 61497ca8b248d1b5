"""The DuckDB that cleans: in memory, reading and writing no file, fetching nothing."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from tasks.expressions import MACROS, TRIM
from warehouse.pseudonyms import pads
from warehouse.settings import settings


class Duck:
    """One connection, for one thread."""

    def __init__(self, threads: int = 2) -> None:
        """Make the macros, and the keys of pseudonyms as variables."""
        self._duck = duckdb.connect(
            config={
                "memory_limit": f"{settings().load_memory_mb}MB",
                "threads": threads,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "enable_external_access": False,
            }
        )
        self._duck.execute("set timezone = 'UTC'")
        self._careful = True
        self._duck.execute(TRIM[True])
        self._duck.execute(MACROS)
        inner, outer = pads()
        self._duck.execute("set variable inner_pad = ?::blob", [inner])
        self._duck.execute("set variable outer_pad = ?::blob", [outer])

    def take_care(self, careful: bool) -> None:
        """Choose how cells are trimmed; most blocks need no great care."""
        if careful is not self._careful:
            self._duck.execute(TRIM[careful])
            self._careful = careful

    def ask(self, query: str, **views: pa.Table) -> pa.Table:
        """The rows of a query on tables."""
        for name, table in views.items():
            self._duck.register(name, table)
        return self._duck.sql(query).to_arrow_table()

    def do(self, statement: str, **views: pa.Table) -> None:
        """Run a statement that has no rows."""
        for name, table in views.items():
            self._duck.register(name, table)
        self._duck.execute(statement)
