"""`carrel query`: at once, from a file of lines, and at a real prompt."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments import ready, sign_ins
from deployments.cli import app
from deployments.showing import Form, harmless, show
from tasks.asking import Answer, ask, asking
from tasks.writers import Field
from warehouse.access import Viewer
from warehouse.database import connect
from warehouse.errors import SpecError
from warehouse.settings import ROOT, settings

runner = CliRunner()
ADMIN = Viewer("ann@example.org", "admin")


def say(*arguments: str, lines: str | None = None, code: int = 0) -> str:
    done = runner.invoke(app, ["query", *arguments], input=lines)
    assert done.exit_code == code, (done.stdout, done.stderr)
    return done.stdout + (done.stderr if code else "")


def test_own_select_as_table_csv_and_json(shop: Path) -> None:
    query = "select branch_code, count(*) as n from silver.shop_loans group by 1 order by 1"
    table = say("--sql", query).splitlines()
    assert [line.split() for line in table[2:4]] == [["NORTH", "50"], ["SOUTH", "50"]]
    assert table[0].split() == ["branch_code", "n"]
    assert len(table[2]) == len(table[3])
    assert table[4].startswith("2 rows; ")
    rows = list(csv.reader(io.StringIO(say("--csv", "--sql", query))))
    assert rows == [["branch_code", "n"], ["NORTH", "50"], ["SOUTH", "50"]]
    lines = [json.loads(line) for line in say("--json", "--sql", query).splitlines()]
    assert lines == [{"branch_code": "NORTH", "n": 50}, {"branch_code": "SOUTH", "n": 50}]


def test_a_person_is_asked_as(shop: Path) -> None:
    sign_ins.add("lin@example.org", "Lin", "librarian", ["NORTH"], None)
    query = "select count(*) as n from silver.shop_loans"
    assert json.loads(say("--json", "--sql", query)) == {"n": 100}
    assert json.loads(say("--json", "--as", "LIN@example.org", "--sql", query)) == {"n": 50}
    refused = say("--sql", "select member_key from silver.shop_loans", code=2)
    assert "permission denied" in refused
    assert "no account" in say("--as", "bo@example.org", "--sql", query, code=2)


def test_refusals_have_a_remedy_and_a_code(shop: Path) -> None:
    for statement, code in (
        ("delete from silver.shop_loans", 2),
        ("select 1; select 2", 2),
        ("select nothing", 2),
        ("select count(*) from generate_series(1, 1000000000000)", 5),
    ):
        assert "remedy: " in say("--timeout", "1", "--sql", statement, code=code)
    assert "remedy: " in say("no_question", code=2)
    assert "remedy: " in say("--csv", "--json", code=2)
    assert "remedy: " in say("--list", "--sql", "select 1", code=2)


def test_each_question_is_on_record_without_its_words(shop: Path) -> None:
    say("--sql", "select 'secret words' as a")
    say("--sql", "select wrong", code=2)
    say("loads")
    say(lines="table shop_daily\n")
    with connect() as connection:
        found = connection.execute(
            "select subject, outcome, details ->> 'seen_by', details ->> 'rows'"
            " from audit.entries where act = 'query' and outcome <> 'begun' order by entry_id"
        ).fetchall()
        kept = connection.execute("select string_agg(e::text, '') from audit.entries e").fetchone()
    assert found == [
        ("a query", "done", "admin", "1"),
        ("a query", "failed", None, None),
        ("question loads", "done", "admin", "0"),
        ("gold.shop_daily", "done", "admin", "0"),
    ]
    assert kept
    assert "secret words" not in kept[0]


def test_tables_are_explored(shop: Path) -> None:
    listed = say(lines="tables shop\n")
    assert re.search(r"silver\.shop_loans +Loans +3\n", listed)  # not the pseudonym
    assert "gold.shop_total" in listed
    shown = say(lines="table silver.shop_loans 2\n")
    assert re.search(r"branch_code +text +Branch that lent it", shown)
    assert "member_key" not in shown
    assert "2 rows; " in shown
    assert shown.index("Number on the slip") < shown.index("SOUTH")
    assert "is no table here" in say(lines="table claim_key\n", code=2)


def test_lines_of_a_file_are_answered_one_by_one(shop: Path) -> None:
    told = say(
        lines="form csv\nselect loan_id\n from silver.shop_loans\n order by 1;\nlimit 2\n"
        "select loan_id from silver.shop_loans order by 1;\n-- a comment\n"
        "nonsense\nhelp\nquit\nloads\n",
        code=2,
    )
    assert told.startswith("loan_id\n1\n2\n")
    assert "\n100\nloan_id\n1\n2\n" in told
    assert "'nonsense' is neither a question nor a command" in told
    assert "Ctrl-D" in told
    assert "started_at" not in told


def test_a_cell_cannot_steer_a_terminal(shop: Path) -> None:
    evil = "chr(27) || '[2J' || chr(7) || chr(8238) || chr(155) || chr(10) || 'x'"
    shown = say("--sql", f'select {evil} as a, 1 as "\x1b[31mred"')
    assert shown.count("\n") == 4
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert r"\u001b[2J\u0007\u202e\u009b\u000ax" in shown
    line = say("--json", "--sql", f"select {evil} as a")
    assert all(c.isprintable() or c == "\n" for c in line)
    assert json.loads(line) == {"a": "\x1b[2J\x07\u202e\x9b\nx"}
    assert harmless("a\U000e0001") == "a\\U000e0001"


def test_csv_holds_no_formula_and_a_table_no_endless_cell() -> None:
    answer = Answer(
        (Field("a"), Field("n", "integer")), [("=1+1", "-1"), ("x" * 500, None)], True, 0
    )
    out = io.StringIO()
    show(answer, Form.csv, out)
    assert out.getvalue().splitlines()[1] == "'=1+1,-1"
    out = io.StringIO()
    show(answer, Form.table, out)
    assert max(map(len, out.getvalue().splitlines())) < 80
    assert "there are more" in out.getvalue()


def test_names_that_stand_twice_are_told_apart(shop: Path) -> None:
    assert json.loads(say("--json", "--sql", "select 1 as a, 2 as a, null as a_2")) == {
        "a": 1, "a_2": 2, "a_2_2": None,
    }  # fmt: skip


# Ready questions --------------------------------------------------------------------------------


def test_there_are_enough_and_each_is_documented() -> None:
    found = ready.questions().values()
    assert len(found) >= 12
    assert {"library", "retail", "house"} == {q.group for q in found}
    assert all(q.title and q.description for q in found)
    assert all(p.meaning and p.value(None) is not None for q in found for p in q.parameters)


MEMBERS = {"circulation_of_all", "popular_titles", "freshness"}


def test_all_that_are_offered_are_answered(database: str) -> None:
    """Each, for each role that it is offered to."""
    sign_ins.make_first()
    for role in ("admin", "librarian", "member"):
        viewer = sign_ins.viewer(f"{role}@example.org")
        offered = ready.offered(viewer)
        assert set(offered) == (MEMBERS if role == "member" else set(ready.questions()))
        for one in offered.values():
            ask(viewer, one.sql, one.values({}))


def test_only_what_is_there_is_offered(database: str) -> None:
    with connect() as connection:
        connection.execute("drop table gold.library_circulation cascade")
        connection.execute(
            "alter table silver.retail_sales_late rename column late_by to was_late_by"
        )
    gone = {"circulation_by_branch", "circulation_by_month", "busiest_hours", "late_events"}
    assert set(ready.offered(ADMIN)) == set(ready.questions()) - gone
    listed = say("--list")
    assert "circulation_of_all" in listed
    assert "circulation_by_branch" not in listed
    assert "is no ready question" in say("circulation_by_branch", code=2)


def test_own_questions_of_the_project_and_their_parameters(shop: Path) -> None:
    place = shop / "questions/shop/loans_of.sql"
    place.parent.mkdir(parents=True)
    place.write_text(
        "-- title: Loans of a branch\n-- description: How many\n"
        "-- parameter branch: text = NORTH: Code of the branch\n"
        "-- parameter most: integer = 9: Rows\n"
        "select count(*) as n from silver.shop_loans where branch_code = %(branch)s"
        " limit %(most)s\n"
    )
    assert json.loads(say("loans_of", "--json")) == {"n": 50}
    assert json.loads(say("loans_of", "branch=' or 1=1 --", "--json")) == {"n": 0}
    assert "no integer" in say("loans_of", "most=x", code=2)
    assert "no parameter 'a'" in say("loans_of", "a=1", code=2)
    assert "is no parameter" in say("loans_of", "a", code=2)
    for wrong in (
        "select 1",
        "-- title: x\ndelete from x",
        "-- title: x\n-- parameter a: b\nselect 1",
    ):
        place.write_text(wrong)
        with pytest.raises(SpecError):
            ready.questions()


# A real prompt ----------------------------------------------------------------------------------


# Ctrl-C reaches a program whose terminal it is.
IN_TERMINAL = """
import fcntl, runpy, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.argv = ["carrel", "query"]
runpy.run_module("deployments", run_name="__main__")
"""


class Prompt:
    """`carrel query` in a terminal of 80 columns."""

    def __init__(self) -> None:
        self.screen, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_TERMINAL], cwd=ROOT, start_new_session=True,
            stdin=slave, stdout=slave, stderr=slave, env=os.environ | {"TERM": "dumb"},
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    def until(self, text: str, seconds: float = 120) -> str:
        """What was written until a text came; it begins after the one before."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            left = end - time.monotonic()
            assert left > 0, f"no {text!r} in {self.seen!r}"
            if select.select([self.screen], [], [], left)[0]:
                self.seen += os.read(self.screen, 65536).decode()
        told, _, self.seen = self.seen.partition(text)
        return told

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C at the prompt, as often as it needs.

        CPython's readline does not notice one that comes after it has looked for signals and before
        it waits for keys; the next one wakes it.
        """
        for _ in range(30):
            self.type("\x03")
            with suppress(AssertionError):
                self.until("carrel> ", 3)
                return
        raise AssertionError("the prompt never came back")


def test_ctrl_c_stops_the_question_and_the_prompt_comes_back(shop: Path) -> None:
    prompt = Prompt()
    try:
        assert "You ask as" in prompt.until("carrel> ")
        prompt.type("select count(*) from generate_series(1, 1000000000000);\n")
        wait_until_asked()
        prompt.type("\x03")
        prompt.until("stopped")
        prompt.until("carrel> ")
        prompt.interrupt()
        prompt.type("select count(*) as n from silver.shop_l\t;\n")
        assert re.search(r"\b100\b", prompt.until("1 row; "))
        prompt.until("carrel> ")
        prompt.type("late_events\n")
        prompt.until("0 rows; ")
        prompt.until("carrel> ")
        prompt.type("\x04")
        assert prompt.process.wait(60) == 0
    finally:
        prompt.process.kill()
        prompt.process.wait()
        os.close(prompt.screen)
    history = settings().home / "query_history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert "late_events" in history.read_text()


def wait_until_asked() -> None:
    """Until the long question runs; the asker's login sees its own sessions."""
    with asking(ADMIN) as driver:
        for _ in range(900):
            row = driver.execute(
                "select 1 from pg_stat_activity where query like 'fetch%' and state = 'active'"
            ).fetchone()
            if row:
                return
            driver.execute("select pg_stat_clear_snapshot()")
            time.sleep(0.1)
    raise AssertionError("the question never ran")


# The daily review -------------------------------------------------------------------------------


def test_the_review_exits_with_a_code_that_says_whether_to_look(database: str) -> None:
    quiet = say("--batch")
    assert re.search(r"loads that failed +0 +0", quiet)
    with connect() as connection:
        connection.execute("insert into ops.loads (dataset, state) values ('broken', 'failed')")
    told = say("--batch", code=6)
    assert "wants a look: loads that failed: 1 (broken)" in told
    lines = [json.loads(line) for line in runner.invoke(
        app, ["query", "--batch", "--json"]
    ).stdout.splitlines()]  # fmt: skip
    assert {"part": "Loads of the last 24 hours", "figure": "loads that failed", "now": 1,
            "before": 0, "look": True, "note": "broken"} in lines  # fmt: skip
