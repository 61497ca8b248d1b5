"""Held-back records sent again: by the flow, and by the command."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli import app
from flows.ingest import ingest
from flows.replay import replay
from tests.flows.fix_desk import Desk
from warehouse import alerts
from warehouse.database import connect
from warehouse.errors import ConfigurationError, QualityFailed

DAILY = "select day::text, loans from gold.desk_daily order by day"
runner = CliRunner()


@pytest.fixture
def loaded(desk: Desk) -> Desk:
    desk.file("loans", "1,a,2024-03-01 10:00:00", "2,b,\x1b[2Jnever", "x,b,2024-03-01 10:00:00")
    ingest.fn("desk_loans")
    return desk


def mended(path: Path) -> None:
    """Mend the record of loan 2."""
    records = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    for record in records:
        if record["loan_id"] == "2":
            record["lent_at"] = "2024-03-05 11:00:00"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)


def test_gold_gets_the_days_that_a_replay_touched(loaded: Desk, tmp_path: Path) -> None:
    path = tmp_path / "held.csv"
    done = runner.invoke(app, ["quarantine", "export", "desk_loans", "--to", str(path)])
    assert (done.exit_code, done.stdout) == (0, f"{path}: 2 records\n")
    assert "persons in clear" in done.stderr
    mended(path)
    result = replay.fn("desk_loans", path=str(path))
    assert [result.counts[n] for n in ("rows_in", "inserted", "quarantined")] == [2, 1, 1]
    assert loaded.rows(DAILY) == [("2024-03-01", 1), ("2024-03-05", 1)]
    again = replay.fn("desk_loans", path=str(path))
    assert (again.files_unchanged, again.counts["rows_in"]) == (1, 0)
    assert {p.state for p in again.published if p.table == "desk_daily"} == {"current"}
    steps = f"select step from ops.steps where run_id = '{result.run_id}' order by step"
    assert [step for (step,) in loaded.rows(steps)] == [
        "clean", "land", "merge", "observe", "publish", "sent_again", "verify",
    ]  # fmt: skip
    assert ingest.fn("desk_loans").files_unchanged == 1


def test_a_replay_is_observed_and_mends_the_figures_of_its_day(
    loaded: Desk, tmp_path: Path
) -> None:
    (before,) = loaded.rows("select distinct run_id from quality.metrics")
    path = tmp_path / "held.csv"
    runner.invoke(app, ["quarantine", "export", "desk_loans", "--to", str(path)])
    mended(path)
    result = replay.fn("desk_loans", path=str(path))
    figures = "select metric, value, size from quality.metrics where metric in ('volume', {})"
    assert sorted(loaded.rows(figures.format("'quarantined'"))) == [
        ("quarantined", pytest.approx(1 / 3), 3),
        ("volume", 3, None),
    ]
    assert loaded.rows("select distinct run_id from quality.metrics") == [before]
    profiled = "select measures -> 'rows' from quality.profiles where run_id = '{}'"
    assert loaded.rows(profiled.format(result.run_id)) == [(2,)] * 3


def test_an_unusual_day_that_a_replay_mends_is_unusual_no_more(desk: Desk, tmp_path: Path) -> None:
    with connect() as connection:
        connection.execute(
            "insert into quality.metrics (dataset, metric, day, at, run_id, value, size)"
            " select 'desk_loans', 'quarantined', d, d, d::text, 0.01, 100"
            " from generate_series(current_date - 100, current_date - 1, interval '1 day') d"
        )
    lines = [f"{i},a,{'never' if i < 60 else '2024-03-01 10:00:00'}" for i in range(100)]
    desk.file("loans", *lines)
    ingest.fn("desk_loans")
    unusual = "select metric from quality.anomalies"
    assert loaded_alerts() == {("anomaly", "quarantined")}
    assert desk.rows(unusual) == [("quarantined",)]
    path = tmp_path / "held.csv"
    runner.invoke(app, ["quarantine", "export", "desk_loans", "--to", str(path)])
    path.write_text(path.read_text("utf-8-sig").replace("never", "2024-03-02 10:00:00"))
    assert replay.fn("desk_loans", path=str(path)).counts["inserted"] == 60
    assert desk.rows(unusual) == []
    ingest.fn("desk_loans", force=True)
    assert loaded_alerts() == set()


def loaded_alerts() -> set[tuple[str, str]]:
    """The parts that stand of the alert of the loans' data."""
    found = alerts.inbox("the tests", dataset="desk_loans")
    shown = [p for one in found for p in alerts.shown("the tests", one.alert_id)[1]]
    return {(p.what, p.name) for p in shown if p.until is None}


def test_a_replay_counts_as_a_pass_of_the_check(loaded: Desk, tmp_path: Path) -> None:
    loaded.contract(
        "loans", more="  - row_count: {qualifier: least, threshold: {must_be_greater_than: 1}}\n"
    )
    ingest.fn("desk_loans", force=True)
    (opened,) = alerts.inbox("the tests", dataset="desk_loans")
    path = tmp_path / "held.csv"
    runner.invoke(app, ["quarantine", "export", "desk_loans", "--to", str(path)])
    mended(path)
    replay.fn("desk_loans", path=str(path))
    (still,) = alerts.inbox("the tests", dataset="desk_loans")
    assert still.alert_id == opened.alert_id, "one pass may be chance"
    replay.fn("desk_loans")
    assert alerts.inbox("the tests", dataset="desk_loans") == []
    (closed,) = alerts.inbox("the tests", dataset="desk_loans", resolved=True)
    assert (closed.state, closed.reason) == ("resolved", "passed")


def test_a_contract_holds_a_replay_back(loaded: Desk, tmp_path: Path) -> None:
    path = tmp_path / "held.csv"
    runner.invoke(app, ["quarantine", "export", "desk_loans", "--to", str(path)])
    mended(path)
    loaded.contract("loans", most=2)
    done = runner.invoke(app, ["quarantine", "replay", "desk_loans", str(path)])
    assert done.exit_code == QualityFailed.exit_code
    assert loaded.rows(DAILY) == [("2024-03-01", 1)]
    loaded.contract("loans")
    done = runner.invoke(app, ["quarantine", "replay", "desk_loans", str(path)])
    assert done.exit_code == 0, done.output
    assert loaded.rows(DAILY) == [("2024-03-01", 1), ("2024-03-05", 1)]


def test_nothing_held_back_is_no_error(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="has not been loaded"):
        replay.fn("desk_loans")
    desk.files()
    ingest.fn("desk_loans")
    assert replay.fn("desk_loans").files == 0
    assert "current" in {p.state for p in ingest.fn("desk_loans").published}
    done = runner.invoke(app, ["quarantine", "list", "desk_loans"])
    assert (done.exit_code, done.stdout) == (0, "Nothing is held back.\n")


def test_the_list(loaded: Desk) -> None:
    done = runner.invoke(app, ["quarantine", "list", "desk_loans"])
    assert done.stdout.splitlines() == [
        "load 1 line 3  type  lent_at  \\x1b[2Jnever  loans.csv:3",
        "load 1 line 4  type  loan_id  x  loans.csv:4",
        "type: 2 records",
    ]
    done = runner.invoke(app, ["quarantine", "list", "desk_loans", "--limit", "1"])
    assert len(done.stdout.splitlines()) == 2
    assert "--limit" in done.stderr
    done = runner.invoke(app, ["quarantine", "list", "desk_loans", "--rule", "ragged"])
    assert done.stdout == "Nothing is held back.\n"


def test_errors_have_their_exit_codes(loaded: Desk, tmp_path: Path) -> None:
    for command, code in (
        (["list", "nothing"], 2),
        (["export", "desk_loans", "--to", str(tmp_path / "a.xlsx")], 2),
        (["export", "desk_loans", "--to", str(tmp_path / "no" / "a.csv")], 2),
        (["replay", "desk_loans", str(tmp_path / "absent.csv")], 3),
        (["replay", "desk_loans", str(loaded.landing / "desk" / "loans.csv")], 3),
    ):
        done = runner.invoke(app, ["quarantine", *command])
        assert done.exit_code == code, done.output
        assert "error: " in done.stderr
