"""Convert whole columns of cells by Arrow's casts, at a fifth of what DuckDB takes.

A column is converted only where every cell of the block is written so plainly that DuckDB
(`expressions.typed_value`) gives the same values; any other is left to DuckDB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.arrays import lengths, mask, texts
from tasks.expressions import ISO, Converted, converted
from warehouse.spec import Column

TRIES = 3  # blocks in which a column may fail before it is left to DuckDB for good
STEPS = {"trim", "squeeze"}  # do nothing to a cell that Arrow takes
HOUR_ONLY = 13  # length of a timestamp that Arrow takes and DuckDB does not
CASTS: dict[str, Callable[[Column], pa.DataType]] = {
    "integer": lambda _: pa.int32(),
    "bigint": lambda _: pa.int64(),
    "double": lambda _: pa.float64(),
    "numeric": lambda c: pa.decimal128(18 if c.scale <= 4 else 38, c.scale),
    "date": lambda _: pa.date32(),
    "timestamp": lambda _: pa.timestamp("us"),
}
REFUSED = {"integer": b"xX", "bigint": b"xX", "numeric": b"eE"}  # 0x1F, 1E-2


class Converter:
    """Converts the columns of block after block."""

    def __init__(self, columns: Iterable[tuple[str, Column]]) -> None:
        """Take the names of cells in the block, and the columns that they are for."""
        self._columns = [(cells, column) for cells, column in columns if _plain(column)]
        self._failures = Counter[str]()

    def __call__(self, block: pa.Table) -> tuple[pa.Table, Converted]:
        """The block with a column `_v_<name>` for each that was converted, and which those are.

        A null in a column that was converted `in_part` says nothing.
        """
        wholly, in_part = set[str](), set[str]()
        for cells, column in self._columns:
            if self._failures[column.name] == TRIES:
                continue
            fit = _fitting(column, block[cells])
            values = convert(column, block[cells], fit)
            if values is None:
                self._failures[column.name] += 1
            else:
                block = block.append_column(converted(column), values)
                (wholly if fit.all() else in_part).add(column.name)
        return block, Converted(frozenset(wholly), frozenset(in_part))


def _plain(column: Column) -> bool:
    """Whether there is nothing to do but to cast, at least in some of the cells."""
    if column.type not in CASTS or column.privacy or column.default is not None:
        return False
    if column.type == "date" and set(column.formats) - {"%Y-%m-%d"}:
        return False
    if column.type == "timestamp" and column.formats and not set(column.formats) & set(ISO):
        return False
    return column.allowed is None and set(column.clean) <= STEPS


def _fitting(column: Column, cells: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """The cells that Arrow would not read otherwise than DuckDB; timestamps tell by their length.

    Empty cells fit too.
    """
    if column.type != "timestamp":
        return np.ones(len(cells), np.bool_)
    found = lengths(cells)
    if not column.formats:
        return np.asarray(found != HOUR_ONLY)
    return np.isin(found, [0, *(ISO[f] for f in column.formats if f in ISO)])


def convert(
    column: Column, cells: pa.ChunkedArray, fit: npt.NDArray[np.bool_]
) -> pa.ChunkedArray | None:
    """The values of the fitting cells; None where one of them needs a closer look."""
    if any(byte in part for part in _bytes(cells) for byte in REFUSED.get(column.type, b"")):
        return None
    nulls = pc.is_in(cells, texts(column.nulls))
    if not fit.all():
        nulls = pc.or_(nulls, mask(~fit))
    if pc.any(nulls).as_py():
        cells = pc.if_else(nulls, pa.NA, cells)  # None would import pandas
    try:
        values = cells.cast(CASTS[column.type](column))
    except pa.ArrowInvalid:
        return None
    infinite = column.type == "double" and pc.any(pc.invert(pc.is_finite(values))).as_py()
    return None if infinite else values


def _bytes(cells: pa.ChunkedArray) -> list[bytes]:
    """The bytes of the texts, and perhaps of others beside them."""
    return [part.buffers()[2].to_pybytes() for part in cells.chunks if part.buffers()[2]]
