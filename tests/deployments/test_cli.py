"""The command line: instant help, distinct exit codes, remedies."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
from typer.testing import CliRunner

from deployments import cli, doctor, ingestion, sign_ins
from deployments.cli import EXIT_CODES, app
from warehouse import errors
from warehouse.database import connect

runner = CliRunner()
COMMANDS = (
    "up", "down", "status", "doctor", "sample", "migrate", "datasets", "ingest", "add", "scan",
    "export", "backup", "restore", "retain", "stages", "users", "invite", "quarantine",
    "quality", "alerts", "audit", "api", "api-key", "reports", "produce", "consume", "stream",
    "query", "settings",
)  # fmt: skip


def test_help_is_quick() -> None:
    def seconds() -> float:  # of CPU: other programs may keep this machine busy
        began = psutil.Process().cpu_times()
        command = [sys.executable, "-m", "deployments", "--help"]
        subprocess.run(command, check=True, capture_output=True)
        ended = psutil.Process().cpu_times()
        return sum(ended[2:4]) - sum(began[2:4])

    assert min(seconds() for _ in range(3)) < 0.5


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert command in result.output


def test_help_documents_the_exit_codes() -> None:
    text = " ".join(runner.invoke(app, ["--help"]).output.split())
    assert all(f" {code} " in text for code in (0, 1, 2, 3, 4, 5, 6, 130))
    assert EXIT_CODES.split(";")[0] in text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CarrelError("x"), 1),
        (errors.ConfigurationError("x"), 2),
        (errors.SpecError(Path("a.yml"), "x"), 2),
        (errors.SourceUnavailable("x"), 3),
        (errors.SourceMalformed("a.csv", "x"), 3),
        (errors.QualityFailed("x"), 4),
        (errors.LoadFailed("x"), 5),
        (errors.Busy("x"), 5),
        (psycopg.OperationalError("connection refused"), 5),
    ],
)
def test_exit_codes(error: Exception, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(ingestion, "run_ingest", fail)
    result = runner.invoke(app, ["ingest", "anything"])
    assert result.exit_code == code
    assert "error: " in result.stderr


def test_a_bug_is_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ingestion, "run_ingest", fail)
    assert isinstance(runner.invoke(app, ["ingest", "x"]).exception, ZeroDivisionError)


def test_a_wrong_setting_is_named(setting) -> None:
    setting(pg_port="many")
    result = runner.invoke(app, ["status"])
    assert result.exit_code == 2
    assert "CARREL_PG_PORT" in result.stderr


def test_unknown_command_and_missing_argument_are_usage_errors() -> None:
    assert runner.invoke(app, ["nonsense"]).exit_code == 2
    assert runner.invoke(app, ["ingest"]).exit_code == 2


def test_unknown_dataset_names_the_known() -> None:
    result = runner.invoke(app, ["ingest", "nonsense"])
    assert result.exit_code == 2
    assert "library_loan_events" in result.stderr


def test_without_a_database_there_is_a_remedy(tmp_path: Path, setting) -> None:
    setting(home=tmp_path)
    result = runner.invoke(app, ["migrate"])
    assert result.exit_code == 2
    assert "carrel up" in result.stderr


def test_schema_and_migration_are_printed() -> None:
    schema = json.loads(runner.invoke(app, ["datasets", "--schema"]).stdout)
    assert "columns" in schema["required"]
    made = runner.invoke(app, ["datasets", "--migration", "library_branches"]).stdout
    assert re.search(r'create table "?silver"?."library_branches"', made)


def test_status_of_nothing(tmp_path: Path, setting) -> None:
    setting(home=tmp_path)
    result = runner.invoke(app, ["status"])
    assert (result.exit_code, result.stdout) == (1, "Nothing runs; start it with `carrel up`.\n")
    assert runner.invoke(app, ["down"]).exit_code == 0


def test_ingest_without_prefect(database: str, tmp_path: Path) -> None:
    file = tmp_path / "branches.csv"
    file.write_text("branch_code,name,area_code,latitude,longitude,opened_on\n"
                    "CEN,Central,A01,52.9,-1.2,1990-05-01\n")  # fmt: skip
    result = runner.invoke(app, ["ingest", "library_branches", str(file)])
    assert result.exit_code in (0, 4, 6), result.stderr
    with connect() as db:
        assert db.execute("select branch_code from silver.library_branches").fetchall() == [
            ("CEN",)
        ]
    assert runner.invoke(app, ["ingest", "library_branches", str(file) + "x"]).exit_code == 3


def test_users(database: str) -> None:
    made = runner.invoke(app, ["users", "add", "ann@example.org", "librarian", "--branch", "CEN"])
    assert made.exit_code == 0
    password = made.stdout.strip()
    with connect() as db:
        (hashed,) = db.execute("select password_hash from app.accounts").fetchone()
    assert hashed.startswith("$argon2id$")
    assert password not in hashed
    assert "ann@example.org" in runner.invoke(app, ["users", "list"]).stdout
    told = "correct horse battery\n"
    given = runner.invoke(app, ["users", "set-password", "ann@example.org", "--stdin"], input=told)
    assert (given.exit_code, given.stdout) == (0, "")
    short = runner.invoke(app, ["users", "set-password", "ann@example.org", "--stdin"], input="x\n")
    assert short.exit_code == 2
    assert runner.invoke(app, ["users", "add", "bo@example.org", "owner"]).exit_code == 2
    brought = ["users", "add", "cy@example.org", "admin", "--old-hash"]
    assert runner.invoke(app, brought, input="no hash\n").exit_code == 2
    kept = runner.invoke(app, brought, input="pbkdf2_sha256$10000$seasalt$YWJj\n")
    assert (kept.exit_code, kept.stdout) == (0, "")


def test_first_sign_ins_are_made_once_and_hashed(database: str) -> None:
    made = sign_ins.make_first()
    assert [one.role for one in made] == ["admin", "librarian", "member"]
    assert sign_ins.make_first() == []
    with connect() as db:
        rows = db.execute("select a::text from app.accounts a").fetchall()
    assert not [one for one in made if any(one.password in row for (row,) in rows)]


def test_demo_sign_ins_stop_a_start_without_demo(database: str) -> None:
    sign_ins.refuse_demo()
    assert len(sign_ins.make_demo()) == len(sign_ins.make_demo()) == 3
    with pytest.raises(errors.ConfigurationError, match=r"admin@library\.com"):
        sign_ins.refuse_demo()
    for email in sign_ins.DEMO:
        sign_ins.reset(email)
    sign_ins.refuse_demo()


def test_doctor_passes_what_is_there(database: str) -> None:
    found = {f.subject: f for f in doctor.examine()}
    assert set(found) == {
        "Python",
        "packages",
        "disk",
        "permissions",
        "port",
        "database",
        "Prefect",
        "stream",
        "browser",
        "exposure",
    }
    assert found["Python"].ok
    assert found["database"].ok
    assert not found["Prefect"].ok
    assert all(f.remedy for f in found.values() if not f.ok)


def test_doctor_fails_with_a_remedy(tmp_path: Path, setting) -> None:
    (tmp_path / "file").touch()
    setting(home=tmp_path, project=tmp_path / "file/local", chromium="/no/such/browser")
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert f"FAIL  permissions  project at {tmp_path}/file/local cannot be written" in result.stdout
    assert result.stdout.count("FAIL") >= 3
    assert result.stdout.count("FAIL") == result.stdout.count("remedy:")


def test_main_is_the_console_script() -> None:
    text = (Path(cli.__file__).parent.parent / "pyproject.toml").read_text("utf-8")
    assert 'carrel = "deployments.cli:main"' in text


def test_an_admin_at_the_shell_invites_and_changes_accounts(database: str) -> None:
    def say(*arguments: str) -> str:
        result = runner.invoke(app, [*arguments])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    link = say("invite", "ann@example.org", "librarian", "--branch", "CEN")
    assert "/link/" in link
    say("users", "set-role", "ann@example.org", "member")
    say("users", "link-member", "ANN@example.org", "C100")
    say("users", "disable", "ann@example.org")
    assert "(disabled)" in say("users", "list")
    say("users", "enable", "ann@example.org")
    assert say("users", "end-sessions", "ann@example.org") == "0 sessions ended.\n"
    for wrong in (
        ["invite", "ann@example.org", "member"],
        ["invite", "bo@example.org", "owner"],
        ["users", "approve", "ann@example.org"],
        ["users", "disable", "nobody@example.org"],
        ["users", "remove-second-factor", "ann@example.org"],
    ):
        assert runner.invoke(app, wrong).exit_code == 2
