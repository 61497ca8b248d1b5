"""Counts of people: small ones are withheld, with enough others that none can be worked out.

A gold file that counts people says so in its header, in one line:

    -- lattice: block=quarter, margin=dimension, cell=category, count=active

Each `block` (a whole period) is told once and stays as it was told. In a block, each value of
`margin` other than `all` is a one-way table: its cells add up to the row of `all`. `along` names
columns that are withheld with the count, `bound` a column that the count cannot exceed and that is
told for itself (a cohort's size), `unsafe` a true-or-false column that is not published: the row
must be withheld for a reason of the file's own. Terms and limits: docs/suppression.md.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from warehouse.errors import CarrelError, SpecError

TOTAL = "all"
MARK = "suppressed"
MEANING = "Whether the count is withheld: it is small, or would give a small one away"
Row = dict[str, Any]


@dataclass(frozen=True)
class Lattice:
    """Which columns of a gold table are what; texts are column names."""

    block: str
    count: str
    margin: str | None = None
    cell: str | None = None
    bound: str | None = None
    unsafe: str | None = None
    along: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """A number of a one-way table: persons counted, and the most that others know it can be."""

    count: int
    most: float = math.inf
    small: bool = False


def parse(path: Path, text: str) -> Lattice:
    """The lattice that a header states.

    Raises:
        SpecError: a part is unknown, or one that is needed lacks.
    """
    parts = dict(p.strip().partition("=")[::2] for p in text.split(","))
    known = {f.name for f in fields(Lattice)}
    if wrong := sorted(set(parts) - known):
        raise SpecError(path, f"lattice: {', '.join(wrong)} is none of {', '.join(sorted(known))}")
    if lost := [name for name in ("block", "count") if not parts.get(name)]:
        raise SpecError(path, f"lattice lacks {', '.join(lost)}")
    if ("margin" in parts) != ("cell" in parts):
        raise SpecError(path, "lattice: margin and cell go together")
    along = tuple(filter(None, parts.pop("along", "").split("+")))
    return Lattice(**parts, along=along)


def withhold(
    lattice: Lattice, rows: Sequence[Row], least: int, told: Sequence[Row] = ()
) -> list[Row]:
    """The rows as they may be published: `suppressed` is added, `unsafe` taken away.

    Args:
        lattice: what the columns are.
        rows: whole blocks with their true counts, zeros included.
        least: the smallest number of persons that may be told, above none.
        told: rows that were published before; a bound that they tell stays as it was told.

    Raises:
        CarrelError: a block has no total, or its cells do not add up to it.
    """
    blocks: dict[Any, list[Row]] = defaultdict(list)
    bounds = _bounds(lattice, told)
    for row in rows:
        blocks[row[lattice.block]].append({**row, **bounds.get(_cell_of(lattice, row), {})})
    usual = _usual(lattice, rows)
    return [
        _published(lattice, row, hidden, least)
        for block in blocks.values()
        for row, hidden in zip(block, _hidden_rows(lattice, block, least, usual), strict=True)
    ]


def _cell_of(lattice: Lattice, row: Mapping[str, Any]) -> tuple[Any, Any]:
    return (
        row[lattice.margin] if lattice.margin else TOTAL,
        row[lattice.cell] if lattice.cell else TOTAL,
    )


def _bounds(lattice: Lattice, told: Sequence[Row]) -> dict[tuple[Any, Any], Row]:
    """The bounds that were told, by margin and cell, as they were told first."""
    found: dict[tuple[Any, Any], Row] = {}
    if lattice.bound:
        for row in sorted(told, key=lambda r: r[lattice.block]):
            if row[lattice.bound] is not None:
                found.setdefault(_cell_of(lattice, row), {lattice.bound: row[lattice.bound]})
    return found


def _usual(lattice: Lattice, rows: Sequence[Row]) -> dict[tuple[Any, Any], int]:
    """How many persons each cell has over all blocks: in which order cells are withheld.

    The order must not follow the counts of the block itself: who knows that the least cell is
    taken would learn that the withheld ones are less than all that are told.
    """
    found: dict[tuple[Any, Any], int] = defaultdict(int)
    for row in rows:
        found[_cell_of(lattice, row)] += row[lattice.count]
    return found


def _hidden_rows(
    lattice: Lattice, block: list[Row], least: int, usual: Mapping[tuple[Any, Any], int]
) -> list[bool]:
    """Which rows of one block are withheld."""
    margins: dict[Any, list[int]] = defaultdict(list)
    for place, row in enumerate(block):
        margins[_cell_of(lattice, row)[0]].append(place)
    (total,) = margins.pop(TOTAL, [None]) or [None]
    if total is None:
        raise CarrelError(f"A lattice's block {block[0][lattice.block]} has no row of its total.")
    hidden = [False] * len(block)
    whole = block[total][lattice.count]
    if _small(whole, least) or (lattice.unsafe and block[total][lattice.unsafe]):
        return [True] * len(block)
    for margin, places in margins.items():
        cells = [_cell(lattice, block[p], least) for p in places]
        if sum(c.count for c in cells) != whole:
            raise CarrelError(
                f"The cells of {margin} in {block[total][lattice.block]} do not add up to the"
                f" total of {whole}.",
                remedy="Each person must be in one cell of a margin; correct the SELECT.",
            )
        order = sorted(
            range(len(places)), key=lambda n: (usual[_cell_of(lattice, block[places[n]])], n)
        )
        found = protect(cells, least, order)
        if found is None:
            return [True] * len(block)
        for n in found:
            hidden[places[n]] = True
    return hidden


def _cell(lattice: Lattice, row: Row, least: int) -> Cell:
    count = int(row[lattice.count])
    small = _small(count, least) or bool(lattice.unsafe and row[lattice.unsafe])
    bound = row[lattice.bound] if lattice.bound else None
    if bound is None:
        return Cell(count, small=small)
    if _small(bound, least):  # it is withheld itself, which tells how small it is
        return Cell(count, least - 1, small=True)
    return Cell(count, max(bound, count), small)


def _small(count: int, least: int) -> bool:
    return 0 < count < least


def protect(cells: Sequence[Cell], least: int, order: Sequence[int]) -> set[int] | None:
    """Places of the cells to withhold: the small ones (primary), and others (secondary).

    Others are taken in `order` until every small cell might, for all that is told, be one person
    or `least` persons; first those that hold somebody, then all at once with the empty ones.
    None: even that would give one away, so that the total must go as well.
    """
    small = {n for n, c in enumerate(cells) if c.small}
    if not small:
        return set()
    hidden = set(small)
    for n in order:
        if _holds(cells, small, hidden, least, floor=1):
            return hidden
        if cells[n].count:
            hidden.add(n)
    if _holds(cells, small, hidden, least, floor=1):
        return hidden
    everything = set(range(len(cells)))
    return everything if _holds(cells, small, everything, least, floor=0) else None


def _holds(
    cells: Sequence[Cell], small: set[int], hidden: set[int], least: int, *, floor: int
) -> bool:
    """Whether each small cell's feasible interval, given the others' sum, holds [1, least].

    `floor` is the least that a withheld cell can be: 1 as long as empty cells are told.
    """
    together = sum(cells[n].count for n in hidden)
    for n in small:
        others = sum(cells[m].most for m in hidden if m != n)
        lowest = max(floor, together - others)
        highest = min(cells[n].most, together - floor * (len(hidden) - 1))
        if lowest > 1 or highest < min(least, cells[n].most):
            return False
    return True


def _published(lattice: Lattice, row: Row, hidden: bool, least: int) -> Row:
    """A row without what is withheld."""
    made = {k: v for k, v in row.items() if k != lattice.unsafe}
    made[MARK] = hidden
    if hidden:
        made.update(dict.fromkeys((lattice.count, *lattice.along)))
    if lattice.bound and row[lattice.bound] is not None and _small(row[lattice.bound], least):
        made[lattice.bound] = None
    return made
