"""The small parts that keep cleaning fast: first keys, persons met before, making ahead."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import known as known_module
from tasks.ahead import ahead
from tasks.firsts import Firsts
from tasks.known import Known


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 60), max_size=60), max_size=5), st.booleans())
def test_a_certain_first_never_came_before(blocks: list[list[int]], far: bool) -> None:
    firsts, seen, certain = Firsts(1), set[int](), set[int]()
    for block in blocks:
        hashes = np.array([h << 58 if far else h for h in block], np.uint64)
        for key, first in zip(block, firsts(hashes), strict=True):
            assert not (first and key in seen)
            seen.add(key)
            certain |= {key} if first else set()
    assert not far or certain == seen


def test_few_of_many_keys_are_uncertain() -> None:
    firsts = Firsts(1_000_000)
    numbers = np.random.default_rng(7).integers(0, 2**64, 1_000_000, np.uint64)
    certain = sum(int(firsts(part).sum()) for part in np.array_split(numbers, 10))
    assert certain > 990_000


def test_each_person_is_made_once_until_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def make(persons: pa.Array) -> pa.Array:
        asked.extend(persons.to_pylist())
        return pa.array([p and p.upper() for p in persons.to_pylist()], pa.string())

    known = Known()
    for block in (["a", "b", "a", ""], ["b", "c"], []):
        found = known.of(pa.array(block, pa.string()), make)
        assert found.to_pylist() == [p.upper() for p in block]
    assert asked == ["a", "b", "", "c"]
    monkeypatch.setattr(known_module, "MOST", 5)
    assert known.of(pa.array(["d", "a", "e"]), make).to_pylist() == ["D", "A", "E"]
    assert asked[4:] == ["d", "a", "e"]


def test_items_made_ahead_come_in_order_and_errors_are_raised() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise KeyError("made")

    taking = ahead(items())
    assert [next(taking) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="made"):
        next(taking)


def test_the_maker_stops_when_nobody_takes() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(1000):
            made.append(i)
            yield i

    taking = ahead(items())
    assert next(taking) == 0
    taking.close()  # type: ignore[attr-defined]
    before = len(made)
    time.sleep(0.3)
    assert len(made) == before < 10
