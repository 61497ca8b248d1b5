"""Cancellations find the sale that they take back, and no other."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tasks.shop.cancelled import Found, Line, match

Made = tuple[int, int, bool]  # at, pieces, cancels


def found(*made: Made, customer: str | None = "ann") -> dict[int, tuple[str, int | None]]:
    """What became of the cancelling lines of one customer and product, by their place."""
    lines = [Line(n, customer, "cup", at, many, cancels) for n, (at, many, cancels) in
             enumerate(made)]  # fmt: skip
    random.Random(1).shuffle(lines)
    return {f.name: (f.outcome, f.sale) for f in match(lines)}


SALE, TAKE = False, True


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param([(1, 5, SALE), (2, 5, TAKE)], {1: ("matched", 0)}, id="the whole of it"),
        pytest.param([(1, 5, SALE), (2, 3, TAKE)], {1: ("matched", 0)}, id="a part of it"),
        pytest.param([(2, 5, SALE), (1, 5, TAKE)], {1: ("no earlier sale", None)}, id="too early"),
        pytest.param([(1, 5, SALE), (1, 5, TAKE)], {1: ("no earlier sale", None)}, id="at once"),
        pytest.param([(1, 5, SALE), (2, 6, TAKE)], {1: ("more than was sold", None)}, id="more"),
        pytest.param(
            [(1, 5, SALE), (2, 5, SALE), (3, 5, TAKE)], {2: ("matched", 1)}, id="the latest"
        ),
        pytest.param(
            [(1, 9, SALE), (2, 2, SALE), (3, 5, TAKE)], {2: ("matched", 0)}, id="one with enough"
        ),
        pytest.param(
            [(1, 5, SALE), (2, 5, TAKE), (3, 5, TAKE)],
            {1: ("matched", 0), 2: ("more than was sold", None)},
            id="not twice",
        ),
        pytest.param(
            [(1, 10, SALE), (2, 6, TAKE), (3, 4, TAKE), (4, 1, TAKE)],
            {1: ("matched", 0), 2: ("matched", 0), 3: ("more than was sold", None)},
            id="in parts until nothing is left",
        ),
        pytest.param(
            [(1, 5, SALE), (2, 5, TAKE), (3, 5, SALE), (4, 5, TAKE)],
            {1: ("matched", 0), 3: ("matched", 2)},
            id="sold again",
        ),
        pytest.param([], {}, id="nothing"),
    ],
)
def test_a_cancellation_finds(made: list[Made], expected: dict[int, Any]) -> None:
    assert found(*made) == expected


def test_without_a_customer_nothing_is_found() -> None:
    lines = ((1, 5, SALE), (2, 5, TAKE))
    assert found(*lines, customer=None) == {1: ("no customer", None)}


def test_another_customer_or_product_is_no_match() -> None:
    lines = [
        Line(0, "ann", "cup", 1, 5, SALE),
        Line(1, "bob", "cup", 2, 5, TAKE),
        Line(2, "ann", "mug", 2, 5, TAKE),
        Line(3, "ann", "cup", 2, 5, TAKE),
    ]
    assert sorted(match(lines), key=lambda f: f.name) == [
        Found(1, "no earlier sale"), Found(2, "no earlier sale"), Found(3, "matched", 0),
    ]  # fmt: skip


def test_no_sale_is_ever_taken_back_by_more_than_it_sold() -> None:
    chance = random.Random(7)
    lines = [
        Line(n, chance.choice(("a", "b", None)), chance.choice("xy"), chance.randrange(200),
             chance.randrange(1, 9), chance.random() < 0.4)
        for n in range(400)
    ]  # fmt: skip
    by_name = {line.name: line for line in lines}
    taken: dict[int, int] = {}
    outcomes = list(match(lines))
    assert {f.name for f in outcomes} == {line.name for line in lines if line.cancels}
    for one in outcomes:
        if one.sale is not None:
            sale, line = by_name[one.sale], by_name[one.name]
            assert (sale.customer, sale.product) == (line.customer, line.product)
            assert sale.at < line.at
            taken[one.sale] = taken.get(one.sale, 0) + line.pieces
    assert taken
    assert all(by_name[n].pieces >= pieces for n, pieces in taken.items())
