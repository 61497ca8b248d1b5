"""The landing folder is watched: what arrives is loaded, once, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.watch import watch
from tests.flows.fix_desk import Desk
from warehouse.errors import LoadFailed, SourceMalformed

RUNS = "select count(distinct run_id) from ops.steps"


def loads(desk: Desk) -> list[tuple[str, str]]:
    return desk.rows("select dataset, state from ops.loads order by load_id")


def test_what_arrives_is_loaded_once(desk: Desk) -> None:
    assert watch.fn(settle_s=0).done == {}
    desk.files()
    assert set(watch.fn(settle_s=0).done) == {
        "desk_titles", "desk_loans", "desk_copies", "desk_totals",
    }  # fmt: skip
    assert desk.rows("select count(*) from gold.desk_daily") == [(2,)]
    before = loads(desk), desk.rows(RUNS)
    assert watch.fn(settle_s=0).done == {}
    assert (loads(desk), desk.rows(RUNS)) == before


def test_only_what_changed_is_loaded_again(desk: Desk) -> None:
    desk.files()
    watch.fn(settle_s=0)
    desk.file("loans", "3,a,2024-03-05 10:00:00", part="-more")
    desk.file("titles", "a,Emma", "b,Ulysses", "c,Dune")
    result = watch.fn(settle_s=0)
    assert set(result.done) == {"desk_titles", "desk_loans"}
    assert desk.rows("select count(*) from silver.desk_loans") == [(3,)]
    assert desk.rows("select count(*) from silver.desk_titles") == [(3,)]


def test_a_file_that_is_still_written_waits(desk: Desk) -> None:
    desk.files()
    assert watch.fn(settle_s=3600).done == {}
    assert loads(desk) == []
    assert len(watch.fn(settle_s=0).done) == 4


def test_a_malformed_file_is_tried_once(desk: Desk) -> None:
    desk.files()
    path = desk.landing / "desk" / "titles.csv"
    path.write_text("wrong,header\n1,2\n")
    with pytest.raises(SourceMalformed):
        watch.fn(settle_s=0)
    path_of_loans = "select path from ops.scans where path = 'desk/loans.csv'"
    assert desk.rows(path_of_loans) == []  # held, so looked at again
    result = watch.fn(settle_s=0)
    assert (result.done, result.failed) == ({}, {})
    assert "desk_titles" not in result.held
    desk.file("titles", "a,Emma", "b,Ulysses")
    assert len(watch.fn(settle_s=0).done) == 4


def test_a_load_that_failed_is_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.files()

    def refuse(*_: object) -> None:
        raise LoadFailed("no room")

    with monkeypatch.context() as patch:
        patch.setattr("flows.ingest.land.beside", refuse)
        with pytest.raises(LoadFailed):
            watch.fn(settle_s=0)
    assert len(watch.fn(settle_s=0).done) == 4


def test_no_folder_is_nothing_new(desk: Desk, tmp_path: Path) -> None:
    assert not desk.landing.exists()
    assert watch.fn().done == {}


def test_under_prefect(desk: Desk, prefect_server: None) -> None:
    desk.files()
    assert set(watch(settle_s=0).done) >= {"desk_titles", "desk_loans"}
    assert watch(settle_s=0).done == {}
