"""Buckets fill by the minute and do not grow without end."""

from __future__ import annotations

from bi_app.api.rest.limits import KEPT, Buckets


def test_a_bucket_empties_and_fills() -> None:
    rates = Buckets(60, 3)
    assert [rates.take("a", now=0) for _ in range(4)] == [0, 0, 0, 1]
    assert rates.take("b", now=0) == 0
    assert rates.take("a", now=0.5) == 1
    assert rates.take("a", now=1.0) == 0
    assert [rates.take("a", now=100) for _ in range(4)] == [0, 0, 0, 1]


def test_the_oldest_bucket_is_forgotten() -> None:
    rates = Buckets(60, 1)
    for number in range(KEPT + 50):
        rates.take(number, now=0)
    assert len(rates._kept) == KEPT
    assert rates.take(KEPT + 49, now=0) > 0
