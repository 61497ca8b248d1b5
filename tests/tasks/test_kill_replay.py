"""Replays that are killed: what was held back is still so, and the same command again is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.load import load
from tasks.rebuild import rebuild
from tests.tasks.conftest import Make, ask, rows
from tests.tasks.fix_kill import Point, killed
from tests.tasks.test_quarantine import (
    adds_up,
    bring,
    edit,
    everything,
    exported,
    replay,
)
from warehouse.spec import Dataset

REPLAY = """
from tests.tasks.test_quarantine import replay
replay(read_spec(Path(given[0])), Path(given[1]))
"""
# Of two loads' records: the second call is in the second replay.
POINTS = [
    ("tasks.replay", "_text", 2),
    ("tasks.land", "paged", 1),
    ("tasks.clean", "_settle", 2),
    ("tasks.standing", "Standing.find", 1),
    ("tasks.merge", "merge_into", 1),
    ("tasks.merge", "note_replay", 2),
    ("tasks.merge", "quarantine", 1),
    ("tasks.merge", "_close", 2),
    ("tasks.merge", "drop_staging", 1),
    ("tests.tasks.test_quarantine", "begin", 2),
]
FEW = [p for p in POINTS if p[1] in ("_settle", "_close")]


@pytest.fixture
def things(make: Make, tmp_path: Path) -> Dataset:
    things = make(
        columns={"id": "bigint", "n": "integer"},
        key=["id"],
        source={"path": str(tmp_path / "in" / "*.csv")},
    )
    (tmp_path / "in").mkdir()
    bring(things, tmp_path / "in" / "a.csv", "id,n\n1,1\n2,x\n1,2\n3,y\n")
    bring(things, tmp_path / "in" / "b.csv", 'id,n\n4,1\n5,"x\n"\n6,"z\n')
    return things


@pytest.mark.parametrize(
    "point", [pytest.param(p, marks=() if p in FEW else pytest.mark.full) for p in POINTS]
)
def test_the_replay_after_a_kill_is_right(point: Point, things: Dataset, tmp_path: Path) -> None:
    path = edit(
        exported(things, tmp_path), lambda r: r.update(n="7") if r["n"] in {"x", "x\n"} else None
    )
    before = everything(things)
    assert killed(point, REPLAY, things.path, path)
    if point[2] == 1:
        assert everything(things) == before
    sent = replay(things, path)
    assert sum(read for read, *_ in sent) == (5 if point[2] == 1 or point[1] == "_text" else 2)
    adds_up()
    assert rows(things) == [(1, 1), (2, 7), (4, 1), (5, 7)]
    assert [(f[1], f[2]) for f in everything(things)[1]] == [
        (4, "duplicate_key"), (5, "type"), (5, "ragged"),
    ]  # fmt: skip
    after = everything(things)
    assert replay(things, path) == load(things) == []
    assert everything(things) == after
    assert ask("select count(*) from ops.replays") == [(5,)]
    assert rebuild(things) == 4
    assert everything(things) == after
