"""The seeded sample library: CSV files as seven exports of a library system would be.

The same plan writes the same bytes. `make_sample` tells which rows are dirty and which rule of
the specs must find them, so that tests can hold quarantine against it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from deployments.sample.dirt import FAULTS, spoil
from deployments.sample.files import tables, write_lines
from deployments.sample.world import CODES, Plan

__all__ = ["CODES", "Plan", "Sample", "make_sample"]

PLACE = Path("library") / "sample"
FORMAT = 1  # of the files; raise it when the same plan writes other bytes


@dataclass(frozen=True)
class Sample:
    """What was made: records in the files by dataset, and the dirt among them."""

    folder: Path
    end: date
    rows: dict[str, int]
    dirty: dict[str, dict[str, int]]
    reader: str
    """Card number of a member with many loans, for a first sign-in as a member."""

    @property
    def quarantined(self) -> dict[str, dict[str, int]]:
        """Records by dataset and rule that quarantine must hold; no other record belongs there."""
        return {
            name: dict(
                sum(
                    (Counter({f.rule: counts.get(f.kind, 0)}) for f in FAULTS[name] if f.rule),
                    Counter(),
                )
            )
            for name, counts in self.dirty.items()
        }


def make_sample(  # noqa: PLR0913 - what to make, each with its default
    folder: Path,
    *,
    seed: int = 1,
    checkouts: int = 200_000,
    dirty: float = 0.02,
    end: date | None = None,
    items: int | None = None,
    members: int | None = None,
) -> Sample:
    """Write the sample below `folder` (the landing folder), as `library/sample/<name>/*.csv`.

    Three years that end on `end`, by default yesterday. Items and members follow `checkouts`
    (20,000 and 8,000 for 200,000). A sample of the same plan is kept as it is; without `end`, so
    is one that ended on another day. `dirty` is the share of rows with a fault.
    """
    place = folder / PLACE
    plan = Plan(
        seed,
        end or datetime.now(UTC).date() - timedelta(days=1),
        checkouts,
        items or max(checkouts // 10, 200),
        members or max(checkouts // 25, 100),
        dirty,
    )
    kept = existing(place, plan, any_end=end is None)
    return kept or write_sample(place, plan)


def existing(place: Path, plan: Plan, *, any_end: bool) -> Sample | None:
    """The sample that stands there, if it is of this plan."""
    note = place / "sample.json"
    if not note.exists():
        return None
    found = json.loads(note.read_text())
    asked = plan_note(plan)
    if any_end:
        asked["end"] = found["plan"].get("end")
    if found["plan"] != asked:
        return None
    return Sample(
        place, date.fromisoformat(found["plan"]["end"]), found["rows"], found["dirty"],
        found["reader"],
    )  # fmt: skip


def plan_note(plan: Plan) -> dict[str, object]:
    """The plan as it is noted beside the files."""
    return asdict(plan) | {"end": plan.end.isoformat(), "format": FORMAT}


def write_sample(place: Path, plan: Plan) -> Sample:
    """Make every file in a folder aside, then put it in place of the old one."""
    draft = place.with_name(f".sample-{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    made = tables(plan)
    rows: Counter[str] = Counter()
    dirt: dict[str, Counter[str]] = {name: Counter() for name in made.names}
    for number, name in enumerate(made.names):
        rng = np.random.default_rng([plan.seed, 100 + number])
        (draft / name).mkdir(parents=True)
        for stem, columns in made.parts(name):
            spoiled = spoil(rng, name, columns, plan)
            write_lines(draft / name / f"{stem}.csv", columns, spoiled.lines)
            rows[name] += len(spoiled.lines)
            dirt[name].update(spoiled.counts)
    note = {"plan": plan_note(plan), "rows": rows, "dirty": dirt, "reader": made.reader}
    (draft / "sample.json").write_text(json.dumps(note, indent=1, default=str))
    shutil.rmtree(place, ignore_errors=True)
    draft.rename(place)
    counts = {name: dict(kinds) for name, kinds in dirt.items()}
    return Sample(place, plan.end, dict(rows), counts, made.reader)
