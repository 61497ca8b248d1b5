"""Tell rows that are certainly the first of their key from those that may not be.

Bounded memory: a set of bits over key hashes. A row whose bit was free is certainly the first
with its key; one whose bit was taken may be a duplicate or a chance collision, and is decided
exactly by the database. With 2^30 bits (128 MB) 20 million keys leave about 1 % to decide.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
BITS = 30
SLOTS = 20


class Firsts:
    """The keys seen in one file, by hash."""

    def __init__(self, rows: int) -> None:
        """Size the bits for an expected number of rows (a guess; more rows stay correct)."""
        bits = min(BITS, max(16, int(rows).bit_length() + 6))
        self._shift = np.uint64(64 - bits)
        self._bits = np.zeros(1 << (bits - 3), np.uint8)

    def __call__(self, hashes: Hashes) -> Mask:
        """Which rows, given in file order, are certainly the first with their key."""
        first = _first_here(hashes)
        places = (hashes >> self._shift).astype(np.int64)
        bytes_, bits = places >> 3, (1 << (places & 7)).astype(np.uint8)
        first &= (self._bits[bytes_] & bits) == 0
        np.bitwise_or.at(self._bits, bytes_[first], bits[first])
        return first


def _first_here(hashes: Hashes) -> Mask:
    """Which rows are the first with their hash among these."""
    slots = (hashes & np.uint64((1 << SLOTS) - 1)).astype(np.int64)
    order = np.arange(len(hashes), dtype=np.int32)
    winner = np.full(1 << SLOTS, -1, np.int32)
    winner[slots[::-1]] = order[::-1]
    won = winner[slots] == order
    lost = np.flatnonzero(~won)
    again = hashes[lost] == hashes[winner[slots[lost]]]
    rest = lost[~again]
    _, index = np.unique(hashes[rest], return_index=True)
    won[rest[index]] = True
    return np.asarray(won)
