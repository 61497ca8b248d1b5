"""`carrel audit`, and the acts at the shell that it tells of."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.auditing import moment
from deployments.cli import app
from flows.retain import carry_out
from warehouse import audit
from warehouse.audit_chain import Wanted, entries, verify
from warehouse.database import connect, engine
from warehouse.errors import ConfigurationError

ANN = audit.By("ann@example.org", "page", "admin", "192.0.2.7")
runner = CliRunner()


@pytest.fixture
def log(database: str) -> Iterator[None]:
    audit.heads_file().unlink(missing_ok=True)
    engine("app")
    yield
    audit.heads_file().unlink(missing_ok=True)


def acts() -> list[tuple[str, str, str]]:
    return [(e["act"], e["subject"], e["outcome"]) for e in entries(Wanted())]


def test_verify_says_whether_and_where(log: None) -> None:
    for _ in range(3):
        audit.note(ANN, "view", "/overview")
    whole = runner.invoke(app, ["audit", "verify"])
    assert (whole.exit_code, whole.stdout[:22]) == (0, "3 entries, unbroken si")
    with connect() as db:
        db.execute("alter table audit.entries disable trigger user")
        db.execute("delete from audit.entries where entry_id = 2")
    broken = runner.invoke(app, ["audit", "verify"])
    assert broken.exit_code == 1
    assert "entry 2 is missing; 1 entries before it stand" in broken.stderr
    with connect() as db:
        db.execute("drop schema audit cascade")
    assert runner.invoke(app, ["audit", "verify"]).exit_code == 2


def test_list_and_export_filter_alike(log: None, tmp_path: Path) -> None:
    audit.note(ANN, "view", "=cmd()")
    audit.note(audit.By("bo@example.org", "api", "member"), "export", "loans", rows=3)
    told = runner.invoke(app, ["audit", "list", "--who", "bo"]).stdout
    assert "loans" in told
    assert "ann@" not in told
    place = tmp_path / "acts.csv"
    assert runner.invoke(app, ["audit", "export", "--to", "acts.doc"]).exit_code == 2
    made = runner.invoke(app, ["audit", "export", "--to", str(place), "--from", "1h"])
    assert (made.exit_code, made.stdout) == (0, f"{place}: 3 entries\n")
    assert place.stat().st_mode & 0o077 == 0
    with place.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["act"] for r in rows] == ["view", "export", "export"]
    assert rows[0]["subject"] == "'=cmd()"  # no spreadsheet runs it
    lines = runner.invoke(app, ["audit", "export", "--to", "-", "--act", "view"]).stdout
    assert [json.loads(line)["who"] for line in lines.splitlines()] == [ANN.who]
    assert acts()[-1] == ("export", "audit log", "done")
    assert runner.invoke(app, ["audit", "list", "--from", "soon"]).exit_code == 2


def test_times_are_days_moments_or_spans() -> None:
    now = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
    assert moment("2d", now=now) == dt.datetime(2026, 6, 29, 12, tzinfo=dt.UTC)
    assert moment("2026-07-01") == dt.datetime(2026, 6, 30, 23, tzinfo=dt.UTC)  # London
    assert moment("2026-07-01", whole_day=True) == dt.datetime(2026, 7, 1, 23, tzinfo=dt.UTC)
    assert moment("2026-07-01T08:00+02:00") == dt.datetime(2026, 7, 1, 6, tzinfo=dt.UTC)
    with pytest.raises(ConfigurationError):
        moment("9999-12-31", whole_day=True)


def test_acts_at_the_shell_are_on_record(log: None, tmp_path: Path) -> None:
    made = runner.invoke(app, ["users", "add", "zoe@example.org", "admin"])
    assert made.exit_code == 0, made.stderr
    query = "select * from app.accounts where email = 'zoe@example.org'"
    place = str(tmp_path / "x.csv")
    refused = runner.invoke(app, ["export", query, "--to", place, "--as", "zoe@example.org"])
    assert refused.exit_code != 0
    done = runner.invoke(app, ["export", "library_branches", "--to", place])
    assert done.exit_code == 0, done.stderr
    told = acts()
    assert told[:2] == [("account", "add", "begun"), ("account", "add", "done")]
    assert told[-4:] == [
        ("export", "a query", "begun"),
        ("export", "a query", "failed"),
        ("export", "library_branches", "begun"),
        ("export", "library_branches", "done"),
    ]
    everything = json.dumps(list(entries(Wanted())), default=str)
    assert "zoe@example.org" not in everything
    assert made.stdout.strip() not in everything
    assert all(e["who"] == audit.shell().who for e in entries(Wanted()))
    assert verify().unbroken


def test_nothing_is_exported_that_cannot_be_put_on_record(log: None, tmp_path: Path) -> None:
    with connect() as db:
        db.execute("alter table audit.entries rename to away")
    place = tmp_path / "x.csv"
    refused = runner.invoke(app, ["export", "library_branches", "--to", str(place)])
    assert refused.exit_code == 1
    assert "nothing was done" in refused.stderr
    assert not place.exists()


def test_retention_cuts_the_log(log: None, setting: Callable[..., None]) -> None:
    audit.note(ANN, "view")
    with connect() as db:
        db.execute("alter table audit.entries disable trigger user")
        db.execute(
            "update audit.entries set noted_at = noted_at - interval '40 days',"
            " at = at - interval '40 days'"
        )
        db.execute("update audit.entries e set hash = sha256(audit.canonical(e))")
        db.execute("update audit.chain c set hash = e.hash from audit.entries e")
        db.execute("alter table audit.heads disable trigger user")
        db.execute("delete from audit.heads")
        db.execute("alter table audit.entries enable trigger user")
    audit.heads_file().unlink()
    audit.note(ANN, "view")
    assert verify().unbroken
    setting(audit_days=30)
    carry_out([], "a run")
    assert verify().unbroken
    assert next(entries(Wanted()))["entry_id"] == 2
    cut = next(entries(Wanted(act="retain", outcome="done")))
    assert cut["details"] == {"entries": 1, "days": 30}
