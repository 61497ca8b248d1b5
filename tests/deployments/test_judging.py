"""`carrel quality` and the exit codes that tell the four outcomes apart."""

from __future__ import annotations

import json
import re

from typer.testing import CliRunner

from deployments import sign_ins
from deployments.cli import app
from tests.flows.fix_desk import Desk

runner = CliRunner()


def run(*words: str) -> tuple[int, str]:
    result = runner.invoke(app, [*words])
    return result.exit_code, result.output


def test_the_exit_code_says_which_outcome(desk: Desk) -> None:
    desk.files()
    run("ingest", "desk_titles")
    code, said = run("ingest", "desk_loans")
    assert (code, "desk_loans: trusted" in said) == (0, True), said
    assert run("quality", "check", "desk_loans")[0] == 0
    warn = "  - row_count: {qualifier: w, name: few, threshold: {must_be_less_than: 1},"
    desk.contract("loans", more=f"{warn} attributes: {{severity: warning}}}}\n")
    code, said = run("quality", "check", "desk_loans")
    assert code == 6
    assert re.search(r"failed +warning +volume +few +2 ", said), said
    code, said = run("ingest", "desk_loans")
    assert (code, "desk_loans: warnings" in said) == (6, True)
    assert "contract     warning: few: 2, must be less than: 1" in said
    assert "gold.desk_daily: current" in said
    desk.contract("loans", most=1)
    code, said = run("ingest", "desk_loans")
    assert (code, "desk_loans: held back" in said) == (4, True)
    assert run("quality", "check", "desk_loans")[0] == 4
    desk.contract("loans", more="  - rowcount:\n")
    code, said = run("ingest", "desk_loans")
    assert code == 2
    assert "schema       refused: nothing was loaded" in said
    assert run("quality", "check", "desk_loans")[0] == 2
    assert run("quality", "check", "nothing")[0] == 2


def test_a_check_leaves_what_is_published_as_it_is(desk: Desk) -> None:
    """A verdict without a load must not make publishing wait for a judgement."""
    desk.files()
    run("ingest", "desk_titles")
    run("ingest", "desk_loans")
    before = desk.rows("select table_name, published_at from ops.publications order by 1")
    assert run("quality", "check", "desk_loans")[0] == 0
    assert desk.rows("select count(*) from quality.verdicts where load_id is null") == [(0,)]
    code, said = run("ingest", "desk_loans")
    assert (code, "gold.desk_daily: current" in said) == (0, True)
    assert desk.rows("select table_name, published_at from ops.publications order by 1") == before


def test_publishing_anyway_is_on_record(desk: Desk) -> None:
    desk.files()
    run("ingest", "desk_titles")
    desk.contract("loans", most=1)
    assert run("ingest", "desk_loans")[0] == 4
    assert run("quality", "publish", "desk_loans")[0] == 2
    assert run("quality", "publish", "desk_loans", "--reason", " ")[0] == 2
    nobody = run("quality", "publish", "desk_loans", "--reason", "x", "--as", "no@example.org")
    assert (nobody[0], "no account" in nobody[1]) == (2, True)
    sign_ins.add("lib@example.org", "Lib", "librarian", ["CEN"], None)
    sign_ins.add("ann@example.org", "Ann", "admin", [], None)
    told = run("quality", "publish", "desk_loans", "--reason", "x", "--as", "lib@example.org")
    assert (told[0], "no admin" in told[1]) == (2, True)
    assert desk.rows("select count(*) from quality.overrides") == [(0,)]
    code, said = run(
        "quality", "publish", "desk_loans", "--reason", "counted", "--as", "ann@example.org"
    )
    assert code == 0, said
    assert "gold.desk_daily: published" in said
    assert desk.rows("select who, reason from quality.overrides") == [
        ("ann@example.org", "counted")
    ]
    desk.file("loans", *(f"{i},a,2024-04-01 10:00:00" for i in range(3, 6)))
    assert run("ingest", "desk_loans")[0] == 4
    assert run("quality", "publish", "desk_loans", "--reason", "again")[0] == 0
    assert desk.rows("select count(*), count(distinct who) from quality.overrides") == [(2, 2)]


def test_scores_are_shown_with_their_formula(desk: Desk) -> None:
    code, said = run("quality", "score")
    assert (code, "Nothing has been judged" in said) == (0, True)
    desk.files()
    run("ingest", "desk_titles")
    desk.contract("loans", most=1)
    run("ingest", "desk_loans")
    code, said = run("quality", "score")
    assert code == 0
    assert re.search(r"^ *75\.00  whole    all$", said, re.M), said
    assert re.search(r"^ *50\.00  dataset  desk_loans  held back$", said, re.M)
    assert "weight 1  volume; does not hold: not too many rows" in said
    assert said.count("formula: ") == 2
    scores = json.loads(run("quality", "score", "--json")[1])
    assert [s["level"] for s in scores] == ["whole", "pipeline", "dataset", "dataset"]
