"""What follows the COPY into staging, in its transaction: second keys, index, what has changed.

The rows are still in memory and not yet logged. Where silver is empty the staging table is given
silver's indexes, to take its place. Otherwise it is compared with silver, only the rows that
differ are kept (`staging.<table>_<load>_c`), and the staging table is dropped unwritten.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from tasks.present import Present
from tasks.standing import Standing
from warehouse import ddl
from warehouse.spec import Dataset

MOST_DAYS = 62
MEMORY = "set local work_mem = '512MB'"
INDEX_MEMORY = "set local maintenance_work_mem = '512MB'"
# Row estimates of a table that nobody has analysed make PostgreSQL shun a second process.
SPREAD = "set local parallel_tuple_cost = 0"
NO_HASH = "set local enable_hashjoin = off"
NO_MERGE = "set local enable_mergejoin = off"
RESET = ("set local enable_hashjoin = on", "set local enable_mergejoin = on")
INDEXES = """
select pg_get_indexdef(indexrelid) from pg_index
where indrelid = {silver}::regclass and not indisprimary order by indexrelid
"""
# Two statements, since PostgreSQL spreads the first over processes alone.
FIRST_THERE = """
create temp table there on commit drop as
select {join}, 1 as _found from {staging} s where exists (select from {side} m where {in_side})
"""
# Rows of the file that silver holds already were not sent: their hashes were met.
FIRST_HELD = """
create temp table held on commit drop as
select {join}, _hash from {target} s where exists (select from {side} m where {in_side})
    and _hash is not null
"""
ADD_HELD = "insert into there select {join}, 1 from held where _hash = any(%s)"
DECIDE = """
create temp table decided on commit drop as
select m.*, coalesce(_found, 0)
    + row_number() over (partition by {key} order by {earlier}m._record_no) as _occurrence
from {side} m left join there t using ({join})
"""
KEEP_FIRST = """
with kept as (
    insert into {staging} ({every}) select {every} from decided where _occurrence = 1 returning 1)
select count(*) from kept
"""
KEEP_ALL = """
with kept as (
    insert into {staging} (content_key, _hash, {plain})
    select case _occurrence when 1 then content_key else content_key || '-' || _occurrence end,
        case _occurrence when 1 then _hash end, {plain} from decided returning 1)
select count(*) from kept
"""
REJECT = """
insert into {findings} (load_id, file_id, record_no, line_no, rule, column_name, value)
select {load}, {file}, _record_no, _line_no, 'duplicate_key', {key_name}, {shown}
from decided where _occurrence > 1
"""
FIND = """
create unlogged table {changes} as
select {columns}, case when t._load_id is null then 'i' else 'u' end as _what, {old} as _was
from {staging} s left join {target} t on {same_key}
where t._load_id is null or {differs}
"""
FIND_GONE = """
insert into {changes} select {old_columns}, 'd', {old} from {target} t
where not exists (select from {staging} s where {same_key})
"""
DAYS = """
select distinct days._day::date from {changes}, lateral (values ({event}), (_was)) as days (_day)
where days._day is not null limit {most}
"""


class Settling:
    """The statements that follow a COPY. `target` is silver, or the table built in its stead."""

    def __init__(
        self, cursor: psycopg.Cursor[Any], dataset: Dataset, staging: str, target: sql.Identifier
    ) -> None:
        """Work in the cursor's transaction on `staging.<staging>`."""
        self._cursor, self._dataset, self._staging = cursor, dataset, staging
        self._names = names(dataset, staging, target)
        for setting in (MEMORY, INDEX_MEMORY, SPREAD):
            self._run(setting)

    def silver_is_empty(self) -> bool:
        """Whether there is nothing to compare with."""
        return not self._ask("select 1 from {target} limit 1")

    def index(self) -> None:
        """Give the staging table the key and indexes that silver has."""
        self._run(ddl.add_key(self._dataset, "staging", self._staging).split("\n")[0])
        for (definition,) in self._ask(INDEXES):
            place = f'INDEX ON staging."{self._staging}" USING'
            self._run(re.sub(r"INDEX \S+ ON (ONLY )?\S+ USING", place, definition, count=1))

    def decide(
        self, indexed: bool, load_id: int, file_id: int, known: Present | Standing
    ) -> tuple[int, int]:
        """Decide exactly about the rows set aside; return how many stay and how many do not.

        `known` knows the rows that were not sent, since silver holds them; or, of a replay, the
        keys that its source has brought in.
        """
        ((aside,),) = self._ask("select count(*) from {side}")
        if not aside:
            return 0, 0
        self._names |= {"load": sql.Literal(load_id), "file": sql.Literal(file_id)}
        self._run("analyze {side}")
        if isinstance(known, Standing):
            self._names["earlier"] = known.earlier
            known.find(self._cursor, self._names)
        else:
            self._find_first(indexed, known)
        self._run(DECIDE)
        content = self._dataset.key == "content"
        ((kept,),) = self._ask(KEEP_ALL if content else KEEP_FIRST)
        if kept < aside and self._dataset.duplicates == "quarantine":
            self._run(REJECT)
        return kept, aside - kept

    def _find_first(self, indexed: bool, present: Present) -> None:
        """Find the keys that an earlier row of the file has."""
        for switch in (NO_HASH, NO_MERGE) if indexed else ():
            self._run(switch)
        self._run(FIRST_THERE)
        self._run(FIRST_HELD)
        for switch in RESET:
            self._run(switch)
        held = np.array(self._ask("select _hash from held"), np.int64).ravel()
        self._run(ADD_HELD, [present.met(held).tolist()])

    def find_changes(self) -> list[dt.date] | None:
        """Keep what differs from the target; return the days it touches, None when too many."""
        self._run(FIND)
        if self._dataset.mode == "snapshot":
            self._run(FIND_GONE)
        self._run("drop table {staging}")
        if self._dataset.event is None:
            return None
        days = sorted(day for (day,) in self._ask(DAYS))
        return days if len(days) <= MOST_DAYS else None

    def finish(self) -> None:
        """Make the staging table what silver is."""
        self._run("alter table {staging} alter _load_id drop default")

    def _run(self, statement: str, values: Sequence[object] | None = None) -> None:
        self._cursor.execute(sql.SQL(statement).format(**self._names), values)

    def _ask(self, query: str) -> list[Any]:
        self._run(query)
        return self._cursor.fetchall()


def names(dataset: Dataset, staging: str, target: sql.Identifier) -> dict[str, sql.Composable]:
    """The parts of the statements here and in merge."""
    key = list(dataset.key_columns)
    stored = [c.name for c in dataset.stored]
    plain = [*stored, "_load_id"]
    every = [*(["content_key"] if dataset.key == "content" else []), *plain, "_hash"]
    values = [c for c in stored if c not in key] if dataset.key != "content" else []
    silver = sql.Identifier("silver", dataset.table)
    event = sql.Identifier(dataset.event) if dataset.event else None
    return {
        "target": target,
        "silver": sql.Literal(silver.as_string(None)),
        "staging": sql.Identifier("staging", staging),
        "side": sql.Identifier("staging", f"{staging}_m"),
        "findings": sql.Identifier("staging", f"{staging}_q"),
        "changes": sql.Identifier("staging", f"{staging}_c"),
        "key": _listed(key, "m"),
        "join": _listed(key),
        "key_name": sql.Literal(", ".join(key)),
        "shown": _shown(dataset),
        "plain": _listed(plain),
        "every": _listed(every),
        "columns": _listed(every, "s"),
        "old_columns": _listed(every, "t"),
        "same_key": _pairs(key, "{} = {}", " and "),
        "in_side": _pairs(key, "{} = {}", " and ", "m"),
        "differs": _pairs(values, "{} is distinct from {}", " or ") if values else sql.SQL("false"),
        "set": sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(c), sql.Identifier("s", c))
            for c in every
            if c not in key
        ),
        "earlier": sql.SQL(""),
        "event": event or sql.SQL("null"),
        "old": sql.SQL("t.{}").format(event) if event else sql.SQL("null::date"),
        "most": sql.Literal(MOST_DAYS + 1),
    }


def _listed(columns: list[str], table: str | None = None) -> sql.Composable:
    parts = [[table, c] if table else [c] for c in columns]
    return sql.SQL(", ").join(sql.Identifier(*part) for part in parts)


def _pairs(columns: list[str], pattern: str, between: str, table: str = "t") -> sql.Composable:
    """The pattern for each column of the table and of `s`."""
    return sql.SQL(between).join(
        sql.SQL(pattern).format(sql.Identifier(table, c), sql.Identifier("s", c)) for c in columns
    )


def _shown(dataset: Dataset) -> sql.Composable:
    """The key's value as quarantine shows it; nothing of a person."""
    private = {c.name for c in dataset.columns if c.privacy}
    return sql.SQL(" || ', ' || ").join(
        sql.SQL("'…'")
        if c in private
        else sql.SQL("coalesce({}::text, '')").format(sql.Identifier(c))
        for c in dataset.key_columns
    )
