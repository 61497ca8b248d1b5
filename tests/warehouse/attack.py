"""What can be worked out of published counts: bounds by linear programming.

An attacker knows every published number and every rule: cells add up to totals, empty cells are
told, a small cohort is withheld for its size, a quarter has no more members than its months
together and no fewer than any of them. For each withheld number the attacker asks for the least
and the greatest value that fits all of it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

Name = Hashable
Sum = Mapping[Name, float]


@dataclass
class Knowledge:
    """Numbers with bounds, and linear relations among them."""

    bounds: dict[Name, tuple[float, float]] = field(default_factory=dict)
    equal: list[tuple[Sum, float]] = field(default_factory=list)
    at_most: list[tuple[Sum, float]] = field(default_factory=list)

    def know(self, name: Name, low: float = 0, high: float = math.inf) -> None:
        """The number is within bounds, and within those that were known before."""
        before = self.bounds.get(name, (0.0, math.inf))
        self.bounds[name] = (max(before[0], low), min(before[1], high))

    def told(self, name: Name, value: float) -> None:
        """The number is published."""
        self.know(name, value, value)

    def ranges(self, wanted: Iterable[Name]) -> Iterator[tuple[Name, int, int]]:
        """The least and greatest whole value of each that fits; a billion stands for no bound."""
        place = {n: i for i, n in enumerate(self.bounds)}
        asked = {
            "A_ub": _matrix(self.at_most, place), "b_ub": [b for _, b in self.at_most] or None,
            "A_eq": _matrix(self.equal, place), "b_eq": [b for _, b in self.equal] or None,
            "bounds": [(low, min(high, 1e9)) for low, high in self.bounds.values()],
        }  # fmt: skip
        for name in wanted:
            found = []
            for sign in (1, -1):
                cost = np.zeros(len(place))
                cost[place[name]] = sign
                done = linprog(cost, **asked)
                assert done.status == 0, done.message
                found.append(sign * done.fun)
            yield name, math.ceil(found[0] - 1e-6), math.floor(found[1] + 1e-6)


def _matrix(sums: Sequence[tuple[Sum, float]], place: Mapping[Name, int]) -> Any:
    if not sums:
        return None
    cells = [(r, place[n], f) for r, (parts, _) in enumerate(sums) for n, f in parts.items()]
    row, column, factor = zip(*cells, strict=True)
    return csr_array((factor, (row, column)), shape=(len(sums), len(place)))


def learn_blocks(knowledge: Knowledge, rows: Iterable[Mapping[str, Any]], least: int) -> None:
    """What rows of `block, margin, cell, count, bound, suppressed` tell."""
    margins: dict[tuple[Any, Any], list[Mapping[str, Any]]] = defaultdict(list)
    sizes: dict[Any, int] = {}
    for row in rows:
        margins[row["block"], row["margin"]].append(row)
        if row["bound"] is not None:
            sizes[row["margin"], row["cell"]] = row["bound"]
    for (block, margin), cells in margins.items():
        whole = all(r["suppressed"] for r in cells)  # then empty cells may be among them
        for row in cells:
            name = (block, margin, row["cell"])
            if not row["suppressed"]:
                knowledge.told(name, row["count"])
                continue
            cohort = (margin, row["cell"]) in sizes or row.get("sized")
            small = cohort and row["bound"] is None
            knowledge.know(name, 0 if whole or small else 1, least - 1 if small else math.inf)
            if not small:
                knowledge.know(name, 0, sizes.get((margin, row["cell"]), math.inf))
        if margin != "all":
            parts = {(block, margin, r["cell"]): 1.0 for r in cells}
            knowledge.equal.append((parts | {(block, "all", "all"): -1.0}, 0))


def given_away(
    knowledge: Knowledge, truth: Mapping[Name, int], least: int, hidden: Iterable[Name]
) -> list[tuple[Name, int, int, int]]:
    """Withheld numbers that are pinned, and small ones bounded tighter than 1 to `least`.

    As name, value and bounds. That a cell is empty may be known.
    """
    found = []
    for name, low, high in knowledge.ranges(hidden):
        assert low <= truth[name] <= high, (name, truth[name], low, high)
        most = min(least, knowledge.bounds[name][1])
        value = truth[name]
        if value and (low == high or (value < least and (low > 1 or high < most))):
            found.append((name, value, low, high))
    return found
