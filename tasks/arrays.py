"""Arrow arrays made without `pa.array`, which imports pandas: half a second a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

MOST_BYTES = (1 << 31) - 1  # of an array of texts


def numbers(values: npt.NDArray[np.int64], filled: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """64-bit integers; null where not `filled`."""
    data = np.ascontiguousarray(values, np.int64)
    bits = None if filled is None else pa.py_buffer(np.packbits(filled, bitorder="little"))
    return pa.Array.from_buffers(pa.int64(), len(data), [bits, pa.py_buffer(data)])


def mask(values: npt.NDArray[np.bool_]) -> pa.Array:
    """Booleans."""
    bits = np.packbits(values, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])


def integers(values: Sequence[int | None]) -> pa.Array:
    """64-bit integers; None is null.

    Raises:
        OverflowError: one is too large.
    """
    data = np.array([0 if value is None else value for value in values], np.int64)
    return pa.Array.from_buffers(pa.int64(), len(data), [_filled(values), pa.py_buffer(data)])


def floats(values: Sequence[float | None]) -> pa.Array:
    """64-bit floats; None is null."""
    data = np.array([0.0 if value is None else value for value in values], np.float64)
    return pa.Array.from_buffers(pa.float64(), len(data), [_filled(values), pa.py_buffer(data)])


def texts(values: Sequence[str | None]) -> pa.Array:
    """Texts; None is null.

    Raises:
        UnicodeEncodeError: one holds half a character (a lone surrogate).
    """
    filled = _filled(values)
    plain = [value or "" for value in values]
    data = "".join(plain).encode()
    # Where no character takes two bytes, their lengths are those of the texts.
    parts = plain if len(data) == sum(map(len, plain)) else [value.encode() for value in plain]
    if len(data) > MOST_BYTES:
        return pa.array(values, pa.string())
    ends = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, parts), np.int32, len(values)), out=ends[1:])
    buffers = [filled, pa.py_buffer(ends), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def _filled(values: Sequence[Any]) -> pa.Buffer | None:
    """Which values there are, as bits; None where all are."""
    if None not in values:
        return None
    found = np.fromiter((value is not None for value in values), np.bool_, len(values))
    return pa.py_buffer(np.packbits(found, bitorder="little"))


def values(column: pa.ChunkedArray, kind: type[np.int64] | type[np.uint64]) -> npt.NDArray[Any]:
    """A column of 64-bit integers, none of them null."""
    parts = [
        np.frombuffer(chunk.buffers()[1], kind)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(parts) if parts else np.empty(0, kind)


def lengths(column: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """The bytes of each text."""
    parts = [
        np.diff(np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset :][: len(chunk) + 1])
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.int32)
