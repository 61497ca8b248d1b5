"""Cancellations and the sales that they take back.

A line of a cancelling invoice takes back a sale of the same customer and product, made earlier, of
which at least as many pieces are left: the latest such. What it takes back is left no more, so that
a sale is not taken back twice. All else is counted under the reason why no sale was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

Outcome = Literal["matched", "no customer", "no earlier sale", "more than was sold"]


@dataclass(frozen=True)
class Line:
    """A line that sells or cancels. `at` is in microseconds, `pieces` above zero either way."""

    name: int
    customer: str | None
    product: str
    at: int
    pieces: int
    cancels: bool


@dataclass(frozen=True)
class Found:
    """What became of a cancelling line: how it went, and the sale that it takes back."""

    name: int
    outcome: Outcome
    sale: int | None = None


def match(lines: Iterable[Line]) -> Iterator[Found]:
    """The cancelling lines; `lines` come by customer, product and time, in any order within that.

    Of lines of one moment, those that cancel come first: a sale must be earlier.
    """
    ordered = sorted(
        lines, key=lambda one: (one.customer or "", one.product, one.at, not one.cancels, one.name)
    )
    for _, group in groupby(ordered, key=lambda one: (one.customer, one.product)):
        yield from _of_one(group)


def _of_one(lines: Iterable[Line]) -> Iterator[Found]:
    """The cancelling lines of one customer and product, in order of time."""
    left: list[list[int]] = []  # of each sale its name and the pieces not taken back, by time
    sold = False
    for line in lines:
        if not line.cancels:
            left.append([line.name, line.pieces])
            sold = True
        elif line.customer is None:
            yield Found(line.name, "no customer")
        else:
            place = next(
                (n for n in range(len(left) - 1, -1, -1) if left[n][1] >= line.pieces), None
            )
            if place is None:
                yield Found(line.name, "more than was sold" if sold else "no earlier sale")
                continue
            yield Found(line.name, "matched", left[place][0])
            left[place][1] -= line.pieces
            if not left[place][1]:
                del left[place]
