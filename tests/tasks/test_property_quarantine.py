"""Whatever records are held back: sent again as they are they stay so, and mended they load.

A load costs more than its records, so `make test` tries few files of many; `-m full` many files.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tasks import blocks as blocks_module
from tasks.load import load
from tasks.rebuild import rebuild
from tests.tasks.conftest import Make, ask, rows
from tests.tasks.test_quarantine import adds_up, edit, everything, exported, nothing, replay
from warehouse.database import connect

PIECES = st.sampled_from(
    [b'"', b",", b",", b"\n", b"\n", b"1", b"2", b"x", b" ", b"\r\n", b'""', b'","', b"\xff",
     b"\0", b"\xc3\xa9", b"=1", b"'+", b"\\xff", b"\r", b'"\n'],
)  # fmt: skip
VISIT = st.tuples(st.sampled_from("AB"), st.sampled_from("12x"))
EMPTY = """
truncate silver.test_things, quarantine.test_things, bronze.test_things_pages, ops.replays;
delete from ops.loads where origin is not null; delete from ops.loads
"""


def examples(count: int) -> settings:
    unfit = [HealthCheck.function_scoped_fixture]
    return settings(max_examples=count, deadline=None, suppress_health_check=unfit)


def empty() -> None:
    with connect() as connection:
        connection.execute(EMPTY)


def nothing_edited(make: Make, folder: Path, count: int, least: int) -> None:
    things = make(
        columns={"a": "integer", "b": "text"},
        key=["a"],
        source={"delimiter": ",", "encoding": "utf-8"},
    )
    path = folder / "a.csv"

    @examples(count)
    @given(st.lists(PIECES, min_size=least, max_size=60), st.integers(8, 60), st.booleans())
    def check(pieces: list[bytes], size: int, by_file: bool) -> None:
        empty()
        blocks_module.BLOCK = size
        path.write_bytes(b"a,b\n" + b"".join(pieces))
        load(things, path, force=True)
        before = everything(things)
        for _ in range(2):
            if before[1]:
                held = edit(exported(things, folder), nothing) if by_file else None
                ((read, *_, bad, _ignored),) = replay(things, held)
                assert read == bad
                assert everything(things) == before
        rebuild(things)
        assert everything(things) == before
        adds_up()

    before, blocks_module.BLOCK = blocks_module.BLOCK, 0
    try:
        check()
    finally:
        blocks_module.BLOCK = before


def test_nothing_edited_changes_nothing(make: Make, tmp_path: Path) -> None:
    nothing_edited(make, tmp_path, 3, least=20)


@pytest.mark.full
def test_nothing_edited_changes_nothing_in_many_files(make: Make, tmp_path: Path) -> None:
    nothing_edited(make, tmp_path, 80, least=1)


def mended(make: Make, folder: Path, count: int, least: int) -> None:
    visits = make("things", columns={"door": "text", "hour": "integer"}, key="content")
    path = folder / "a.csv"

    visits_of_a_file = st.lists(VISIT, min_size=least, max_size=20)

    @examples(count)
    @example([], [("A", "x")])
    @given(visits_of_a_file, visits_of_a_file)
    def check(first: list[tuple[str, str]], second: list[tuple[str, str]]) -> None:
        empty()
        most: dict[tuple[str, int], int] = {}
        for records in (first, second):
            path.write_text("door,hour\n" + "".join(f"{d},{h}\n" for d, h in records))
            load(visits, path, force=True)
            good = [(d, int(h.replace("x", "2"))) for d, h in records]
            most |= {r: max(good.count(r), most.get(r, 0)) for r in good}
            bad = [h for _, h in records if h == "x"]
            if bad:
                sent = edit(exported(visits, folder), lambda r: r.update(hour="2"))
                assert len(replay(visits, sent)) == 1
        assert rows(visits) == sorted([r for r, n in most.items() for _ in range(n)], key=str)
        rebuild(visits)
        assert rows(visits) == sorted([r for r, n in most.items() for _ in range(n)], key=str)
        assert ask("select 1 from quarantine.test_things") == []
        adds_up()

    check()


def test_mended_records_are_as_if_they_had_been_good(make: Make, tmp_path: Path) -> None:
    mended(make, tmp_path, 3, least=8)


@pytest.mark.full
def test_mended_records_of_many_files(make: Make, tmp_path: Path) -> None:
    mended(make, tmp_path, 80, least=0)
