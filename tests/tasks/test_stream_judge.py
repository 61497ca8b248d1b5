"""Duplicates: the quick way gives what a plain loop gives, whatever the batches."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.stream.judge import Recent


def plain(ids: list[int], within: int) -> list[bool]:
    """Record by record: fresh unless the id counted at most so many records ago."""
    counted, fresh = dict[int, int](), []
    for offset, one in enumerate(ids):
        before = counted.get(one)
        fresh.append(before is None or offset - before > within)
        if fresh[-1]:
            counted[one] = offset
    return fresh


@given(
    st.lists(st.integers(0, 12), max_size=80), st.integers(0, 30),
    st.lists(st.integers(1, 20), min_size=1),
)  # fmt: skip
def test_batches_make_no_difference(ids: list[int], within: int, sizes: list[int]) -> None:
    none = np.empty(0, np.int64), np.empty(0, np.uint64)
    recent, at, found = Recent(within, *none), 0, list[bool]()
    while at < len(ids):
        size = sizes[at % len(sizes)]
        part = np.array(ids[at : at + size], np.uint64)
        found += recent.fresh(np.arange(at, at + len(part)), part).tolist()
        at += size
    assert found == plain(ids, within)
