"""The ledger of files and loads: who runs, what arrived, what was left unfinished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import errors, sql

from tasks.extract import Again, Arrival, extra
from warehouse.database import connect
from warehouse.errors import Busy, LoadFailed, category, said
from warehouse.settings import settings
from warehouse.spec import Dataset

LOCKS = 1_127_301  # first half of the advisory locks that guard datasets


@dataclass(frozen=True)
class Load:
    """One load of one file. `bronze` is the load whose partition holds the file's lines.

    `again` is set where its records were held back before.
    """

    load_id: int
    file_id: int
    dataset: str
    path: Path
    run_id: str | None
    forced: bool
    state: Literal["landing", "unchanged"]
    bronze: int
    landed: bool
    again: Again | None = None

    @property
    def partition(self) -> str:
        """Name of the bronze partition of the file's lines."""
        return f"{self.dataset}_l{self.bronze}"

    @property
    def staging(self) -> str:
        """Name of the staging table of the good rows."""
        return f"{self.dataset}_{self.load_id}"


@contextmanager
def only_run(dataset: Dataset) -> Iterator[None]:
    """Hold the dataset's lock: `begin` to `merge` happen inside.

    Raises:
        Busy: another run held it for longer than the setting lock_wait_s.
    """
    with connect(autocommit=True) as connection:
        wait = int(settings().lock_wait_s * 1000) or 1
        connection.execute("select set_config('lock_timeout', %s, false)", [f"{wait}ms"])
        try:
            connection.execute("select pg_advisory_lock(%s, hashtext(%s))", [LOCKS, dataset.table])
        except errors.LockNotAvailable:
            raise Busy(
                f"{dataset.table}: another run is under way.",
                remedy="Wait for it, or raise CARREL_LOCK_WAIT_S.",
            ) from None
        yield


def check_lock(connection: psycopg.Connection[Any], dataset: Dataset) -> None:
    """Refuse to go on where nobody holds the dataset's lock."""
    held = connection.execute(
        "select 1 from pg_locks where locktype = 'advisory' and granted and classid = %s"
        " and objid = hashtext(%s)::bit(32)::bigint and database ="
        " (select oid from pg_database where datname = current_database())",
        [LOCKS, dataset.table],
    ).fetchone()
    if not held:
        raise LoadFailed(f"{dataset.table}: not inside only_run(dataset).")


def begin(
    dataset: Dataset, arrival: Arrival, *, run_id: str | None = None, force: bool = False
) -> Load:
    """Open a load: note the file, tidy up what killed loads left, recognise what is known.

    A file whose content was the last one loaded from its path is `unchanged` unless `force`.
    Content that was landed before is not landed twice.

    Raises:
        LoadFailed: called outside `only_run`.
    """
    with connect() as connection:
        check_lock(connection, dataset)
        _tidy(connection, dataset)
        file_id = _file_id(connection, arrival)
        known = not force and _is_newest(connection, dataset, arrival, file_id)
        state: Literal["landing", "unchanged"] = "unchanged" if known else "landing"
        facts = {"dataset": dataset.table, "file_id": file_id, "state": state, "run_id": run_id}
        facts |= {"forced": force, "note": _note(dataset, arrival)}
        facts["origin"] = arrival.again and arrival.again.origin
        row = connection.execute(OPEN, facts).fetchone()
        assert row
        load_id = int(row[0])
        bronze = arrival.bronze or _landed(connection, dataset, file_id)
    return Load(
        load_id,
        file_id,
        dataset.table,
        arrival.path,
        run_id,
        force,
        state,
        bronze or load_id,
        bronze is not None,
        arrival.again,
    )


def _tidy(connection: psycopg.Connection[Any], dataset: Dataset) -> None:
    """Close what killed loads left open, and drop what any load left in staging."""
    connection.execute(
        "update ops.loads set state = 'failed', error = 'interrupted',"
        " category = 'infrastructure', done_at = clock_timestamp()"
        " where dataset = %s and state in ('landing', 'landed')",
        [dataset.table],
    )
    left = connection.execute(
        "select tablename from pg_tables where schemaname = 'staging' and tablename ~ %s",
        [f"^{dataset.table}_([0-9]+(_[qmc])?|anew)$"],
    ).fetchall()
    for (name,) in left:
        drop_table(connection, name)


def drop_table(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a staging table if it is there."""
    table = sql.Identifier("staging", name)
    connection.execute(sql.SQL("drop table if exists {}").format(table))


def drop_staging(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a load's staging tables."""
    for suffix in ("", "_q", "_m", "_c"):
        drop_table(connection, name + suffix)


def _file_id(connection: psycopg.Connection[Any], arrival: Arrival) -> int:
    values = [arrival.dataset, arrival.sha256, str(arrival.path)]
    row = connection.execute(
        "select file_id from ops.files where dataset = %s and sha256 = %s and path = %s", values
    ).fetchone()
    row = (
        row
        or connection.execute(
            "insert into ops.files (dataset, sha256, path, bytes, encoding, delimiter)"
            " values (%s, %s, %s, %s, %s, %s) returning file_id",
            [*values, arrival.bytes, arrival.dialect.encoding, arrival.dialect.delimiter],
        ).fetchone()
    )
    assert row
    return int(row[0])


def _is_newest(
    connection: psycopg.Connection[Any], dataset: Dataset, arrival: Arrival, file_id: int
) -> bool:
    """Whether this very content was the last loaded from its path (snapshot: from any path).

    A replay adds to what its file said, and is no other content.
    """
    row = connection.execute(
        "select file_id from ops.loads l join ops.files f using (file_id)"
        " where l.dataset = %s and l.state = 'done'"
        " and (f.path = %s or %s and l.origin is null)"
        " order by load_id desc limit 1",
        [dataset.table, str(arrival.path), dataset.mode == "snapshot" and arrival.again is None],
    ).fetchone()
    return row is not None and row[0] == file_id


OPEN = """
insert into ops.loads (dataset, file_id, state, run_id, forced, note, origin, done_at) values
    (%(dataset)s, %(file_id)s, %(state)s, %(run_id)s, %(forced)s, %(note)s, %(origin)s,
     case when %(state)s = 'unchanged' then clock_timestamp() end)
returning load_id
"""


def _note(dataset: Dataset, arrival: Arrival) -> str | None:
    """What is left aside on purpose, and of a replay what it is."""
    ignored = extra(dataset, arrival)
    notes = [f"replay of {arrival.again}"] if arrival.again else []
    notes += [f"columns not in the spec: {', '.join(ignored)}"] if ignored else []
    return "; ".join(notes) or None


def _landed(connection: psycopg.Connection[Any], dataset: Dataset, file_id: int) -> int | None:
    """The load whose bronze partition holds this content, if it is still there."""
    row = connection.execute(
        "select load_id from ops.loads where dataset = %s and file_id = %s"
        " and landed_at is not null"
        " and to_regclass(format('bronze.%%I', dataset || '_l' || load_id)) is not null"
        " order by load_id limit 1",
        [dataset.table, file_id],
    ).fetchone()
    return None if row is None else int(row[0])


def left_in_bronze(dataset: Dataset) -> list[tuple[int, Path, str, int]]:
    """What was landed but never merged because the run was killed: (load, path, sha256, bytes).

    Not replays: their records are still in quarantine.
    """
    with connect() as connection:
        rows = connection.execute(LEFT, {"dataset": dataset.table}).fetchall()
    return [(row[0], Path(row[1]), row[2], row[3]) for row in rows]


LEFT = """
select l.load_id, f.path, f.sha256, f.bytes
from ops.loads l join ops.files f using (file_id)
where l.dataset = %(dataset)s and l.landed_at is not null and l.origin is null
  and (l.state = 'landed' or l.error = 'interrupted')
  and to_regclass(format('bronze.%%I', l.dataset || '_l' || l.load_id)) is not null
  and not exists (
      select from ops.loads later join ops.files g using (file_id)
      where later.dataset = l.dataset and later.load_id > l.load_id and g.path = f.path
        and (later.state in ('done', 'unchanged') or later.error <> 'interrupted'))
order by l.load_id
"""


@contextmanager
def closing(load: Load) -> Iterator[None]:
    """Close the load as failed where the block fails; silver is as it was."""
    try:
        yield
    except BaseException as error:
        with suppress(psycopg.Error):
            _fail(load, error)
        raise


def _fail(load: Load, error: BaseException) -> None:
    """Note the failure; drop what is in staging unless a step beside this one still uses it."""
    with connect(autocommit=True) as connection:
        connection.execute(
            "update ops.loads set state = 'failed', error = %s, category = %s,"
            " done_at = clock_timestamp() where load_id = %s and state in ('landing', 'landed')",
            [said(error), category(error), load.load_id],
        )
        connection.execute("set lock_timeout = '1s'")
        with suppress(errors.LockNotAvailable):
            drop_staging(connection, load.staging)
