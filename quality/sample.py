"""A sample of silver, in memory: what is too dear to ask of every row.

Up to `ENOUGH` rows are the whole table. Of more, every so many-th page is read and every tenth row
of it taken (PostgreSQL's `tablesample system`, with a fixed seed), so that neighbours, which are
often alike, weigh less. A share then lies within 0.8 points of its true value, and the quantile `q`
between the true `q - 0.008` and `q + 0.008` (19 times of 20, were rows in random order).

Persons stay behind: of a personal column only a hash of each value is read, to count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from warehouse.ddl import is_private
from warehouse.pseudonyms import NOBODY
from warehouse.spec import Column, Dataset, Derived

ENOUGH = 15_000
OF_A_PAGE = 0.1
LONGEST = 200
NUMBERS = ("integer", "bigint", "numeric", "double")
DAYS = ("date", "timestamp")
# As SQL: a value as the sample holds it. A day is the number of days since 1970.
HELD = {
    "text": "left({column}, {longest})",
    "integer": "{column}::double precision",
    "bigint": "{column}::double precision",
    "numeric": "case when abs({column}) < 1e300 then {column}::double precision end",  # no NaN
    "double": "case when abs({column}) < 1e300 then {column} end",
    "boolean": "{column}::text",
    "date": "case when {column} between '0001-01-01' and '9999-12-31'"
    " then {column} - date '1970-01-01' end",
    "timestamp": "case when {column} between '0001-01-01' and '9999-12-31'"
    " then {column}::date - date '1970-01-01' end",
}
HASHED = "hashtextextended({column}::text, 0)"
PERSON = "hashtextextended(nullif({column}, {nobody}), 0)"
READ = "select {columns} from {table}{sampled}"
ESTIMATE = """
select case when reltuples > 0 and relpages > 0
    then reltuples / relpages * pg_relation_size(oid) / current_setting('block_size')::int end
from pg_class where oid = {table}::regclass
"""
SAMPLED = " tablesample system ({percent}) repeatable (7) where random() < {part}"


# Letters become A or a (a run of them one), digits 9, all else stays: `Ab-123` is `Aa-999`.
SHAPES = ((r"\p{Lu}+", "A"), (r"[\p{Ll}\p{Lo}\p{Lm}\p{Lt}]+", "a"), (r"\p{Nd}", "9"))
LONGEST_SHAPE = 40


class Groups(NamedTuple):
    """The values of a column, how many rows have each, and how many holders (arrays).

    Numbers and days come in order. `codes` is the group of each row of the sample, -1 for null.
    """

    values: Any
    rows: Any
    holders: Any
    codes: Any


@dataclass(frozen=True)
class Sample:
    """Rows of silver as an Arrow table, and a number for each row's person.

    A row without a person has a number of its own. `total` is the rows of silver, or about.
    """

    table: Any
    total: int
    who: Any = None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.table.num_rows)

    @property
    def whole(self) -> bool:
        """Whether it is the table itself."""
        return self.rows == self.total

    @property
    def persons(self) -> bool:
        """Whether a row tells of a person."""
        return self.who is not None

    def groups(self, column: str) -> Groups:
        """Each value of a column, its rows, and the persons (or rows without one) that have it."""
        import numpy as np

        coded = self.table[column].combine_chunks().dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        values = coded.dictionary.to_numpy(zero_copy_only=False)
        if values.dtype != object:
            order = np.argsort(values, kind="stable")
            place = np.empty(len(order) + 1, np.int64)  # the last one is for null, code -1
            place[order], place[-1] = np.arange(len(order)), -1
            values, codes = values[order], place[codes]
        return self._counted(values, codes)

    def shapes(self, groups: Groups) -> Groups:
        """The texts of a column, grouped by their shape."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        shapes = pa.array(groups.values, pa.string())
        for pattern, letter in SHAPES:
            shapes = pc.replace_substring_regex(shapes, pattern, letter)
        coded = pc.utf8_slice_codeunits(shapes, 0, LONGEST_SHAPE).dictionary_encode()
        place = np.append(coded.indices.to_numpy(zero_copy_only=False).astype(np.int64), -1)
        return self._counted(coded.dictionary.to_numpy(zero_copy_only=False), place[groups.codes])

    def _counted(self, values: Any, codes: Any) -> Groups:
        import numpy as np

        filled = codes >= 0
        rows = holders = np.bincount(codes[filled], minlength=len(values))
        if self.persons and len(values):
            most = int(self.who.max(initial=0)) + 1
            pairs = np.unique(codes[filled] * most + self.who[filled])
            holders = np.bincount(pairs // most, minlength=len(values))
        return Groups(values, rows, holders, codes)


def about_persons(dataset: Dataset) -> bool:
    """Whether a row tells of a person."""
    return any(c.privacy for c in dataset.columns)


def sample(connection: psycopg.Connection[Any], dataset: Dataset) -> Sample:
    """Take the sample of a dataset's silver; how many rows that has is estimated."""
    total = _estimated(connection, dataset)
    table = _read(connection, dataset, total)
    who = _persons(table["_who"].combine_chunks()) if about_persons(dataset) else None
    return Sample(table, total, who)


def _estimated(connection: psycopg.Connection[Any], dataset: Dataset) -> int:
    """About how many rows silver has, as the planner reckons; counted where it does not know."""
    table = sql.Identifier("silver", dataset.table)
    name = sql.Literal(table.as_string(None))
    (rows,) = connection.execute(sql.SQL(ESTIMATE).format(table=name)).fetchone() or (None,)
    if rows is None:
        count = sql.SQL("select count(*) from {}").format(table)
        (rows,) = connection.execute(count).fetchone() or (0,)
    return round(rows)


def _persons(hashes: Any) -> Any:
    """A number for each row's person, from 0; a row without one has a number that no other has."""
    import numpy as np

    coded = hashes.dictionary_encode()
    numbers = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    alone = numbers < 0
    numbers[alone] = len(coded.dictionary) + np.arange(int(alone.sum()))
    return numbers


def _read(connection: psycopg.Connection[Any], dataset: Dataset, total: int) -> Any:
    """The sampled rows as an Arrow table.

    Each column comes as one array, in binary: a row at a time costs several times as much.
    """
    import pyarrow as pa

    connection.execute("select setseed(0.5)")
    percent = 100 * ENOUGH / max(total, 1) / OF_A_PAGE
    sampled = sql.SQL(SAMPLED).format(percent=sql.Literal(percent), part=sql.Literal(OF_A_PAGE))
    arrays = [*map(_held, dataset.stored), _person(dataset)]
    statement = sql.SQL(READ).format(
        columns=sql.SQL(", ").join(sql.SQL("array_agg({})").format(one) for one in arrays),
        table=sql.Identifier("silver", dataset.table),
        sampled=sampled if percent < 100 else sql.SQL(""),
    )
    found = connection.cursor(binary=True).execute(statement).fetchone() or ()
    types = {c.name: _arrow(pa, c) for c in dataset.stored} | {"_who": pa.int64()}
    columns = zip(types.items(), found, strict=True)
    return pa.table({name: pa.array(values or [], kind) for (name, kind), values in columns})


def _held(column: Column | Derived) -> sql.Composable:
    pattern = HASHED if is_private(column) else HELD[column.type]
    return sql.SQL(pattern).format(column=sql.Identifier(column.name), longest=sql.Literal(LONGEST))


def _person(dataset: Dataset) -> sql.Composable:
    """Who a row is about: the column that members see their rows by, else the first pseudonym."""
    pseudonyms = [c.name for c in dataset.columns if c.privacy == "pseudonym"]
    names = [n for n in pseudonyms if n == dataset.access.member] or pseudonyms
    if not names:
        return sql.SQL("null::bigint")
    return sql.SQL(PERSON).format(column=sql.Identifier(names[0]), nobody=sql.Literal(NOBODY))


def _arrow(pa: Any, column: Column | Derived) -> Any:
    if is_private(column):
        return pa.int64()
    if column.type in NUMBERS:
        return pa.float64()
    return pa.int32() if column.type in DAYS else pa.string()
