"""Join several sources by a query in DuckDB SQL: APIs and files that tell one thing in parts.

Each input is read by the reader of its kind and becomes a table of texts with the columns that the
spec names. No more is kept of it than these, in a folder of the run's own that goes with it, so
that names and addresses that an API sends along are never written to the desk. Memory is bounded:
DuckDB spills what is larger. A record that an input cannot read is passed on as unreadable.
"""
# ruff: noqa: S608 - names are validated by the spec, columns are quoted

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tasks.extract import place, within
from tasks.remote import Client, Refused
from tasks.sources import FAULT, reader
from tasks.spool import plain
from warehouse.ddl import literal
from warehouse.errors import SourceUnavailable, SpecError
from warehouse.settings import settings
from warehouse.sources import FileSource, HttpSource, Input, JoinedSource
from warehouse.spec import Dataset

if TYPE_CHECKING:
    import duckdb

ROWS = 10_000
NOT_FOUND = 404


def read(dataset: Dataset, path: Path | None) -> Iterator[pa.Table]:
    """What the query finds in the inputs as they are now.

    Raises:
        SourceUnavailable, SourceMalformed, ConfigurationError: an input cannot be read.
        SpecError: DuckDB refuses the query.
    """
    source = dataset.source
    assert isinstance(source, JoinedSource)
    home = settings().home / "joined" / dataset.table
    shutil.rmtree(home, ignore_errors=True)  # of a killed run; two never run at once
    home.mkdir(parents=True, mode=0o700)
    with (
        tempfile.TemporaryDirectory(dir=home) as folder,
        _opened(Path(folder)) as duck,
    ):
        faults = [
            fault
            for name, one in source.inputs.items()
            for fault in _fill(duck, dataset, name, one)
        ]
        names: list[str] = []
        for table in _answer(duck, dataset, source):
            names = table.column_names
            yield table
        for start in range(0, len(faults), ROWS):
            yield _unreadable(names, faults[start : start + ROWS])


def _opened(folder: Path) -> duckdb.DuckDBPyConnection:
    """A database in the folder that reads no other file and fetches nothing."""
    import duckdb

    duck = duckdb.connect(
        str(folder / "inputs.duckdb"),
        config={
            "memory_limit": f"{settings().load_memory_mb}MB",
            "threads": 2,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    duck.execute("set timezone = 'UTC'")
    duck.execute(f"set temp_directory = {literal(str(folder))}")  # no more once access is off
    duck.execute("set enable_external_access = false")
    duck.execute("set lock_configuration = true")
    return duck


def _fill(
    duck: duckdb.DuckDBPyConnection, dataset: Dataset, name: str, one: Input
) -> Iterator[str]:
    """Make an input's table; yields why records of it cannot be read."""
    columns = ", ".join(f"{_quoted(c)} varchar" for c in one.columns)
    duck.execute(f"create table {_quoted(name)} ({columns})")
    for table in _tables(dataset, one):
        part, faults = _part(table, one.columns)
        yield from (f"{name}: {fault}" for fault in faults)
        if part.num_rows:
            duck.register("part", part)
            duck.execute(f"insert into {_quoted(name)} select * from part")
            duck.unregister("part")


def _tables(dataset: Dataset, one: Input) -> Iterator[pa.Table]:
    """What an input's reader finds, in all of its files."""
    inner = dataset.model_copy(update={"source": one.source})
    read_one = reader(one.source.kind)
    if not isinstance(one.source, FileSource):
        try:
            yield from read_one(inner, None)
        except Refused as error:
            if not (one.optional and error.status == NOT_FOUND):
                raise
        return
    for path in _files(inner, one.source, optional=one.optional):
        yield from read_one(inner, path)


def _files(dataset: Dataset, source: FileSource, *, optional: bool) -> list[Path]:
    root, pattern = place(dataset, source)
    found = within(root, pattern)
    if not found and not optional:
        where = root / pattern
        raise SourceUnavailable(f"{dataset.table}: no file at {where}.", remedy="Put it there.")
    return found


def peek(dataset: Dataset, one: Input) -> str:
    """In a few words, whether an input is there: its files are, or its host answers.

    Raises:
        SourceUnavailable, ConfigurationError: it is not, and is not optional.
    """
    source = one.source
    if isinstance(source, HttpSource):
        return _peek_http(source, optional=one.optional)
    if not isinstance(source, FileSource):
        return "not looked at"
    count = len(_files(dataset, source, optional=one.optional))
    return f"{count} files" if count else "no files; none are needed"


def _peek_http(source: HttpSource, *, optional: bool) -> str:
    from tasks.sources.http import json_records, sign_in

    size = {source.size_param: 1} if source.size_param else {}
    with Client(source.url, source.timeout_s, source.headers) as client:
        sign_in(client, source)
        try:
            answer = client.get(source.url, dict(source.params) | size)
        except Refused as error:
            if optional and error.status == NOT_FOUND:
                return "not there; left empty"
            raise
        with answer.body:
            next(json_records(answer.body, str(client.home), source.records), None)
    return "answers"


def _part(table: pa.Table, wanted: tuple[str, ...]) -> tuple[pa.Table, list[str]]:
    """The wanted columns of the records that could be read, as text; and the other records."""
    faults: list[str] = []
    if FAULT in table.column_names:
        said = table[FAULT]
        faults = [f for f in said.drop_null().to_pylist() if f]
        table = table.filter(said.is_null())
    nothing = pa.nulls(table.num_rows, pa.string())
    cells = [table[c] if c in table.column_names else nothing for c in wanted]
    return plain(pa.table(cells, list(wanted))), faults


def _answer(
    duck: duckdb.DuckDBPyConnection, dataset: Dataset, source: JoinedSource
) -> Iterator[pa.Table]:
    """The query's rows, and a column for what cannot be read."""
    import duckdb

    try:
        kinds = [statement.type for statement in duck.extract_statements(source.query)]
        if kinds != [duckdb.StatementType.SELECT]:
            raise SpecError(dataset.sourced_at, "query is no single select.")
        found: Any = duck.sql(source.query, params=dict(source.params) or None)
        batches: pa.RecordBatchReader = found.to_arrow_reader(ROWS)
        empty = batches.schema.empty_table()
        if twice := {n for n in empty.column_names if empty.column_names.count(n) > 1}:
            raise SpecError(dataset.sourced_at, f"query finds {', '.join(sorted(twice))} twice.")
        yield _with_fault(empty)
        for batch in batches:
            yield _with_fault(pa.Table.from_batches([batch]))
    except (duckdb.Error, pa.ArrowException) as error:
        said = str(error).partition("\n")[0]
        raise SpecError(dataset.sourced_at, f"query: {said}") from None


def _with_fault(table: pa.Table) -> pa.Table:
    return plain(table).append_column(FAULT, pa.nulls(table.num_rows, pa.string()))


def _unreadable(names: list[str], faults: list[str]) -> pa.Table:
    """Rows of nothing but why a record cannot be read, which stands in the last column."""
    nothing = [pa.nulls(len(faults), pa.string()) for _ in names[:-1]]
    return pa.table([*nothing, pa.array(faults, pa.string())], names)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
