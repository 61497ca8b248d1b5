"""Arrays made without `pa.array` are what it would make."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks import arrays

TEXTS: list[list[Any]] = [
    [],
    [None],
    ["a", "", "bc"],
    ["ä", None, "", "\U0001f4a1 x", "plain"],
    [None, "a", None],
]


@pytest.mark.parametrize("values", TEXTS)
def test_texts(values: list[str | None]) -> None:
    made = arrays.texts(values)
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.string()))


def test_texts_refuse_half_characters() -> None:
    with pytest.raises(UnicodeEncodeError):
        arrays.texts(["a", "\ud800"])


def test_texts_too_long_for_one_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MOST_BYTES", 3)
    assert arrays.texts(["ab", None, "cd"]).to_pylist() == ["ab", None, "cd"]


@pytest.mark.parametrize("values", [[], [None], [1, -(2**63), None, 2**63 - 1]])
def test_integers(values: list[int | None]) -> None:
    made = arrays.integers(values)
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.int64()))


def test_integers_refuse_what_is_too_large() -> None:
    with pytest.raises(OverflowError):
        arrays.integers([1, 2**63])


@pytest.mark.parametrize("values", [[], [None], [1.5, None, float("inf"), -0.0]])
def test_floats(values: list[float | None]) -> None:
    made = arrays.floats(values)
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.float64()))


def test_numbers_and_masks() -> None:
    assert arrays.numbers(np.array([3, 1])).to_pylist() == [3, 1]
    assert arrays.mask(np.array([True, False])).to_pylist() == [True, False]
