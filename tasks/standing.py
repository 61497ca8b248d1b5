"""Which keys of a replay its source has brought in already.

A record that was held back and is sent again is judged as if it still stood in its file: a second
row of its key is held back again, and an equal record where there is no key is one more. So the
rows that the file brought in are looked up, where silver has such a key at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
from psycopg import sql

from tasks.ahead import ahead
from tasks.arrays import mask, values
from tasks.bulk import copy_in
from tasks.duck import Duck
from tasks.expressions import good_rows
from tasks.extract import Again, Arrival, places
from tasks.firsts import Hashes
from tasks.held import as_sent, done, landed
from tasks.ledger import Load
from tasks.prepare import Preparing
from tasks.records import Numbers, among
from warehouse.database import connect
from warehouse.spec import Dataset

# Counted: for the first alone PostgreSQL would look through a table without an index row by row.
KNOWN = "select count(*) from {side} m join {target} t using ({join})"
BROUGHT = "create temp table brought on commit drop as select {join} from {side} where false"
# What is to replace the first row of its key leaves that uncounted.
THERE = """
create temp table there on commit drop as
select {columns}, count(*) as _found from brought s
where not exists (select from {side} m where m._line_no = any({replacing}::bigint[]) and {in_side})
group by {columns}
"""
FAMILY = """
select load_id from ops.loads
where (load_id = %(origin)s or origin = %(origin)s) and load_id < %(load)s and state = 'done'
order by load_id
"""
HELD = "select distinct record_no from {} where load_id = %s order by 1"


class Standing:
    """The keys that a replay's source, and earlier replays of it, have brought in."""

    def __init__(self, dataset: Dataset, load: Load, again: Again, *, anew: bool) -> None:
        """Look for the keys of a replay; `anew`: silver is made anew, and quarantine with it."""
        self._dataset, self._load, self._again, self._anew = dataset, load, again, anew
        self._hashes: list[Hashes] = []
        self._replacing = sql.Literal(again.starts[:-1][again.replaces].tolist())
        self.earlier = sql.SQL("m._line_no <> all({}::bigint[]), ").format(self._replacing)

    def none_certainly(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Which rows are certainly the first of their key: none, until the source is asked."""
        self._hashes.append(hashes)
        return np.zeros(len(hashes), np.bool_)

    def find(self, cursor: psycopg.Cursor[Any], names: dict[str, sql.Composable]) -> None:
        """Make `there`: the keys, and how many rows of each the source has brought in."""
        key = sql.SQL(", ").join(sql.Identifier("s", k) for k in self._dataset.key_columns)
        parts = names | {"replacing": self._replacing, "columns": key}
        cursor.execute(sql.SQL(KNOWN).format(**parts))
        known = cursor.fetchone()
        cursor.execute(sql.SQL(BROUGHT).format(**parts))
        if known and known[0]:
            wanted = np.unique(np.concatenate(self._hashes))
            copy_in(cursor, sql.Identifier("brought"), self._brought(wanted))
        cursor.execute(sql.SQL(THERE).format(**parts))

    def _brought(self, wanted: Hashes) -> Iterator[pa.Table]:
        """The wanted keys that the replay's family of loads has brought in, a row each."""
        facts = {"origin": self._again.origin, "load": self._load.load_id}
        with connect() as connection:
            family = [load for (load,) in connection.execute(FAMILY, facts).fetchall()]
        for one in done(self._dataset, family):
            if one.bronze:  # else retention let go of the lines
                arrival = landed(self._dataset, one)
                if one.load_id == self._again.source:
                    arrival = replace(arrival, without=self._left(arrival.without))
                dataset = as_sent(self._dataset, one.delimiter) if arrival.again else self._dataset
                yield from keys(dataset, arrival, wanted, self._held(one.load_id))

    def _left(self, without: Numbers | None) -> Numbers:
        """The records of the source that are in a replay, this one too."""
        mine = self._again.lines
        return np.unique(mine if without is None else np.concatenate((mine, without)))

    def _held(self, load: int) -> Numbers:
        """The numbers of a load's rows that are held back, in order.

        By the rules of today they may be good, but they are not in silver.
        """
        if self._anew:
            return np.empty(0, np.int64)
        table = sql.Identifier("quarantine", self._dataset.table)
        with connect() as connection:
            rows = connection.execute(sql.SQL(HELD).format(table), [load]).fetchall()
        return np.array(rows, np.int64).ravel()


def keys(dataset: Dataset, arrival: Arrival, wanted: Hashes, held: Numbers) -> Iterator[pa.Table]:
    """The keys of a file's good rows, where their hash is among the wanted ones."""
    found = places(dataset, arrival)
    duck, good = Duck(), cache(partial(good_rows, dataset, found))
    for block in ahead(Preparing(dataset, arrival, found).blocks()):
        duck.take_care(block.careful)
        rows = duck.ask(good(block.converted), block=block.ready)
        at = values(rows["_r"], np.int64)
        stays = among(values(rows["_h"], np.uint64), wanted) & ~among(block.record_no[at], held)
        yield rows.filter(mask(stays)).select(dataset.key_columns)
