"""Rows that silver holds already are known by their hash, and told from all others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from tasks import present as present_module
from tasks.present import Present, present
from warehouse.database import connect

HASHES = st.lists(st.sampled_from([-(2**62), -3, 0, 1, 2, 5, 8, 2**62]), max_size=12)


@given(HASHES, st.lists(HASHES, max_size=4))
def test_hashes_are_found_and_remembered(there: list[int], blocks: list[list[int]]) -> None:
    known, met = Present(np.array(there, np.int64)), set[int]()
    for block in blocks:
        assert known(np.array(block, np.int64)).tolist() == [h in there for h in block]
        met |= {*block} & {*there}
    asked = np.array([-3, 1, 4, 9, 5], np.int64)
    assert known.met(asked).tolist() == [h for h in asked.tolist() if h in met]


@pytest.mark.parametrize(("most", "found"), [(30_000, 20_000), (7_000, 7_000)])
def test_hashes_of_a_table_are_read_in_parts(
    database: str, monkeypatch: pytest.MonkeyPatch, most: int, found: int
) -> None:
    monkeypatch.setattr(present_module, "PAGES", 20)
    monkeypatch.setattr(present_module, "MOST", most)
    with connect() as connection:
        connection.execute(
            "create table staging.hashed as select"
            " nullif(i, 0) * (1 - i % 2 * 2)::bigint as _hash from generate_series(0, 20000) i"
        )
    known = present(sql.Identifier("staging", "hashed"))
    asked = np.array([i * (1 - i % 2 * 2) for i in range(1, 30_000)], np.int64)
    assert int(known(asked).sum()) == found
