"""Flows called as plain functions, without a Prefect server, on a real PostgreSQL."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.ingest import ingest, ingest_group
from flows.refresh import refresh
from tests.flows.fix_desk import Desk
from warehouse.database import connect
from warehouse.errors import (
    ConfigurationError,
    LoadFailed,
    QualityFailed,
    SourceMalformed,
    SourceUnavailable,
    SpecError,
)

DAILY = "select day::text, loans from gold.desk_daily order by day"


def test_a_file_becomes_gold(desk: Desk) -> None:
    desk.files()
    ingest.fn("desk_titles")
    result = ingest.fn("desk_loans").require_quality()
    assert result.counts["rows_in"] == result.counts["inserted"] == 2
    assert desk.rows(DAILY) == [("2024-03-01", 1), ("2024-03-02", 1)]
    assert {p.table: (p.state, p.rows) for p in result.published} == {
        "desk_daily": ("published", 2),
        "desk_popular": ("published", 2),
    }


def test_every_step_is_recorded(desk: Desk) -> None:
    desk.files()
    result = ingest.fn("desk_loans")
    steps = desk.rows(
        "select step, dataset, state, rows, ended_at >= started_at from ops.steps"
        f" where run_id = '{result.run_id}' order by step"
    )
    assert [s[:3] for s in steps] == [
        ("clean", "desk_loans", "done"),
        ("extract", "desk_loans", "done"),
        ("land", "desk_loans", "done"),
        ("merge", "desk_loans", "done"),
        ("observe", "desk_loans", "done"),
        ("publish", None, "done"),
        ("verify", "desk_loans", "done"),
    ]
    assert {s[0]: s[3] for s in steps}["land"] == 3  # lines, with the header
    assert {s[0]: s[3] for s in steps}["merge"] == 2
    assert all(s[4] for s in steps)


def test_a_second_run_changes_nothing(desk: Desk) -> None:
    desk.files()
    ingest.fn("desk_titles")
    ingest.fn("desk_loans")
    before = desk.rows("select * from ops.publications where table_name = 'desk_daily'")
    again = ingest.fn("desk_loans").require_quality()
    assert again.files_unchanged == 1
    assert [p.state for p in again.published] == ["current", "current"]
    after = desk.rows("select * from ops.publications where table_name = 'desk_daily'")
    assert before[0][1] == after[0][1], "published_at stays"
    assert before[0][2] < after[0][2], "but all changes up to now are in"


def test_a_corrected_file_updates_gold_day_by_day(desk: Desk) -> None:
    desk.files()
    ingest.fn("desk_loans")
    desk.file("loans", "1,a,2024-03-01 10:00:00", "2,b,2024-03-05 11:00:00")
    result = ingest.fn("desk_loans")
    assert (result.counts["updated"], result.counts["unchanged"]) == (1, 1)
    assert desk.rows(DAILY) == [("2024-03-01", 1), ("2024-03-05", 1)]


def test_a_failed_contract_leaves_yesterdays_gold(desk: Desk) -> None:
    desk.files()
    ingest.fn("desk_titles")
    ingest.fn("desk_loans")
    yesterday = desk.rows(DAILY)
    desk.contract("loans", most=3)
    desk.file("loans", *(f"{i},a,2024-04-01 10:00:00" for i in range(3, 8)))
    result = ingest.fn("desk_loans")
    assert result.verdict.outcome == "failed"
    assert {p.state for p in result.published} == {"held"}
    assert "desk_loans has the verdict 'failed'" in str(result.published[0].reason)
    assert desk.rows("select count(*) from silver.desk_loans") == [(7,)]
    assert desk.rows(DAILY) == yesterday
    with pytest.raises(QualityFailed, match="not too many rows") as error:
        result.require_quality()
    assert error.value.exit_code == 4


def test_a_mended_contract_publishes_without_a_new_file(desk: Desk) -> None:
    desk.files()
    desk.contract("loans", most=1)
    assert not ingest.fn("desk_loans").verdict.publishes
    desk.contract("loans")
    result = ingest.fn("desk_loans")
    assert result.files_unchanged == 1
    assert desk.rows(DAILY) == [("2024-03-01", 1), ("2024-03-02", 1)]


def test_what_another_source_lacks_holds_a_table(desk: Desk) -> None:
    desk.files()
    result = ingest.fn("desk_loans")
    states = {p.table: (p.state, p.reason) for p in result.published}
    assert states["desk_daily"][0] == "published"
    assert states["desk_popular"] == ("held", "desk_titles has not been loaded")


def test_bad_rows_are_counted(desk: Desk) -> None:
    desk.file("loans", "1,a,2024-03-01 10:00:00", "2,b,never", "x,b,2024-03-01 10:00:00")
    result = ingest.fn("desk_loans")
    assert (result.counts["inserted"], result.counts["quarantined"]) == (1, 2)


def test_several_files(desk: Desk) -> None:
    desk.file("loans", "1,a,2024-03-01 10:00:00", part="_2024_03")
    desk.file("loans", "2,a,2024-04-01 10:00:00", part="_2024_04")
    assert ingest.fn("desk_loans").files == 2
    desk.file("loans", "3,a,2024-05-01 10:00:00", part="_2024_05")
    result = ingest.fn("desk_loans")
    assert (result.files, result.files_unchanged, result.counts["inserted"]) == (3, 2, 1)


def test_a_named_file_and_force(desk: Desk, tmp_path: Path) -> None:
    desk.files()
    other = tmp_path / "other loans.csv"
    other.write_text("loan_id,title_code,lent_at\n7,a,2024-03-01 10:00:00\n")
    assert ingest.fn("desk_loans", path=str(other)).counts["inserted"] == 1
    assert ingest.fn("desk_loans", path=str(other)).files_unchanged == 1
    forced = ingest.fn("desk_loans", path=str(other), force=True)
    assert (forced.files_unchanged, forced.counts["unchanged"]) == (0, 1)


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [("nothing", ConfigurationError, 2), ("desk_loans", SourceUnavailable, 3)],
)
def test_errors_have_their_exit_codes(
    desk: Desk, name: str, error: type[Exception], code: int
) -> None:
    with pytest.raises(error) as raised:
        ingest.fn(name)
    assert raised.value.exit_code == code  # type: ignore[attr-defined]


def test_a_wrong_contract_stops_before_anything_is_written(desk: Desk) -> None:
    desk.files()
    desk.contract("loans", more="  - rowcount:\n")
    with pytest.raises(SpecError, match="rowcount"):
        ingest.fn("desk_loans")
    assert desk.rows("select count(*) from ops.loads") == [(0,)]


def test_a_failed_step_is_recorded(desk: Desk) -> None:
    path = desk.file("loans", "1,a,2024-03-01 10:00:00")
    path.write_text(path.read_text().replace("lent_at", "left_at"))
    with pytest.raises(SourceMalformed):
        ingest.fn("desk_loans")
    ((state, message, category),) = desk.rows("select state, message, category from ops.steps")
    assert (state, category) == ("failed", "schema")
    assert "lent_at" in message


def test_what_the_database_refuses_is_a_failed_load(desk: Desk) -> None:
    desk.files()
    with connect() as connection:
        connection.execute(
            "alter table silver.desk_loans add constraint short check (title_code <> 'b')"
        )
        connection.execute("insert into silver.desk_loans values (9, 'a', now(), 0)")
    with pytest.raises(LoadFailed) as error:
        ingest.fn("desk_loans")
    assert error.value.exit_code == 5
    assert "2024" not in str(error.value), "no row's values"
    ((message, category),) = desk.rows(
        "select message, category from ops.steps where step = 'merge'"
    )
    assert "2024" not in message
    assert category == "load"
    assert desk.rows("select category from ops.loads where state = 'failed'") == [("load",)]
    assert desk.rows("select count(*) from silver.desk_loans") == [(1,)]
    with connect() as connection:
        connection.execute("alter table silver.desk_loans drop constraint short")
    assert ingest.fn("desk_loans").verdict.publishes


def test_no_database_is_a_failed_load(desk: Desk, setting: Callable[..., None]) -> None:
    desk.files()
    setting(database="no_such_database")
    with pytest.raises(LoadFailed, match="no_such_database"):
        ingest.fn("desk_loans")


def test_a_diamond_runs_once_and_in_order(desk: Desk) -> None:
    desk.files()
    result = ingest_group.fn("desk").require_success()
    order = desk.rows("select dataset from ops.steps where step = 'merge' order by step_id")
    names = [name for (name,) in order]
    assert sorted(names) == ["desk_copies", "desk_loans", "desk_titles", "desk_totals"]
    assert (names[0], names[-1]) == ("desk_titles", "desk_totals")
    assert {p.state for p in result.published} == {"published"}
    assert desk.rows("select count(*) from ops.steps where step = 'publish'") == [(1,)]


def test_a_failed_one_holds_those_after_it_and_says_so(desk: Desk) -> None:
    desk.files()
    path = desk.landing / "desk" / "loans.csv"
    path.write_text(path.read_text().replace("lent_at", "left_at"))
    with pytest.raises(SourceMalformed):
        ingest_group.fn("desk")
    held = desk.rows("select dataset, message from ops.steps where state = 'held'")
    ((dataset, message),) = held
    assert dataset == "desk_totals"
    assert message.startswith("desk_loans failed: ")
    assert desk.rows("select count(*) from silver.desk_copies") == [(2,)], "others go on"


def test_a_failed_contract_holds_those_after_it(desk: Desk) -> None:
    desk.files()
    desk.contract("titles", most=1)
    result = ingest_group.fn("desk")
    assert result.quality_failed == ["desk_titles"]
    assert set(result.held) == {"desk_loans", "desk_copies", "desk_totals"}
    with pytest.raises(QualityFailed):
        result.require_success()


def test_what_is_held_holds_those_after_it(desk: Desk) -> None:
    desk.files()
    ingest_group.fn("desk")
    desk.contract("titles", most=1)
    result = ingest_group.fn("desk")
    assert set(result.held) == {"desk_loans", "desk_copies", "desk_totals"}
    assert result.held["desk_totals"].startswith("desk_loans is held: desk_titles failed its")


def test_a_file_that_is_gone_holds_only_itself(desk: Desk) -> None:
    desk.files()
    ingest_group.fn("desk")
    (desk.landing / "desk" / "titles.csv").unlink()
    result = ingest_group.fn("desk")
    assert set(result.held) == {"desk_titles"}
    assert set(result.done) == {"desk_loans", "desk_copies", "desk_totals"}


def test_refresh_waits_for_files_that_are_not_there(desk: Desk) -> None:
    desk.file("titles", "a,Emma")
    desk.file("copies", "1,a")
    result = refresh.fn()
    assert {"desk_titles", "desk_copies"} == set(result.done)
    assert "no file at" in result.held["desk_loans"]
    assert result.held["desk_totals"] == "desk_loans has not been loaded"
    assert not result.failed


def test_a_circle_is_refused(desk: Desk) -> None:
    path = desk.folder / "datasets" / "desk" / "titles.yml"
    path.write_text(path.read_text().replace("after: []", "after: [desk_totals]"))
    with pytest.raises(
        SpecError, match=r"circle: .*(desk_totals -> desk_titles|desk_titles -> desk_totals)"
    ):
        ingest_group.fn("desk")


def test_a_group_that_nobody_is_in(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="group of no dataset"):
        ingest_group.fn("nobody")
