"""Tell rows that silver holds already, so that they are neither sent nor compared.

Silver keeps a hash of each row's values (`_hash`, 63 bits, `expressions.good_rows`). A row whose
hash is there is taken for unchanged: of 20 million changed rows against as many in silver one is
taken so wrongly once in 20,000 loads (20e6 * 20e6 / 2^63). A hash that is not there says nothing;
such a row is compared value by value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from psycopg import sql

from warehouse.database import connect

Hashes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
MOST = 20_000_000  # rows, of 9 bytes each in memory; those beyond are compared
PAGES = 65_536  # of the table, read at a time: 512 MB give some 30 MB of hashes
READ = """
select string_agg(int8send(_hash), '') from {table}
where ctid >= format('(%%s,0)', %(page)s::bigint)::tid
  and ctid < format('(%%s,0)', %(page)s::bigint + %(pages)s)::tid
"""


class Present:
    """The hashes of a table's rows, and which of them a file has met."""

    def __init__(self, hashes: Hashes | None = None) -> None:
        """Take the hashes in any order; they are sorted in place. None: nothing is present."""
        self._hashes = np.empty(0, np.int64) if hashes is None else hashes
        self._hashes.sort()
        self._met = np.zeros(len(self._hashes), np.bool_)

    def __call__(self, hashes: Hashes) -> Mask:
        """Which rows are in the table as they are; they count as met."""
        if not len(self._hashes):
            return np.zeros(len(hashes), np.bool_)
        at, there = self._find(hashes)
        self._met[at[there]] = True
        return there

    def met(self, hashes: Hashes) -> Hashes:
        """Those of the hashes that were met."""
        if not len(self._hashes):
            return hashes[:0]
        at, there = self._find(hashes)
        return hashes[there & self._met[at]]

    def _find(self, hashes: Hashes) -> tuple[npt.NDArray[np.int64], Mask]:
        """Where each hash would be, and whether it is."""
        order = np.argsort(hashes)  # in order, the search goes through memory once
        at = np.empty(len(hashes), np.int64)
        at[order] = np.searchsorted(self._hashes, hashes[order])
        at[at == len(self._hashes)] = 0
        return at, self._hashes[at] == hashes


def present(table: sql.Identifier) -> Present:
    """The rows of a table, at most `MOST` of them."""
    query = sql.SQL(READ).format(table=table)
    hashes, count = np.empty(MOST, np.int64), 0
    with connect() as connection, connection.cursor(binary=True) as cursor:
        cursor.execute("select pg_relation_size(%s::regclass)", [table.as_string(None)])
        ((size,),) = cursor.fetchall()
        for page in range(0, size // 8_192, PAGES):
            cursor.execute(query, {"page": page, "pages": PAGES})
            ((raw,),) = cursor.fetchall()
            part = np.frombuffer(raw or b"", ">i8")[: MOST - count]
            hashes[count : count + len(part)] = part
            count += len(part)
    return Present(hashes[:count])
