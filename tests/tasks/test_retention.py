"""Retention: what is too old goes, what silver hangs on stays, and a dry run changes nothing."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from deployments.cli import app
from tasks.extract import extract
from tasks.land import land
from tasks.ledger import begin, only_run
from tasks.load import load
from tasks.rebuild import rebuild
from tasks.retention import NOBODY, drop_strays, plan, retain, strays, unaged
from tasks.stages import stages
from tests.tasks.conftest import Make, ask, findings, rows
from warehouse.database import connect
from warehouse.errors import Busy, ConfigurationError, SpecError
from warehouse.pseudonyms import pseudonym
from warehouse.settings import settings
from warehouse.spec import Dataset, Retention

COLUMNS = {"id": "bigint", "value": "text"}
DAY = dt.date.today()
OLD, YOUNG = DAY - dt.timedelta(days=500), DAY - dt.timedelta(days=5)


def bring(dataset: Dataset, path: Path, content: str) -> None:
    """Write a file and load it."""
    path.write_text(content)
    load(dataset, path)


def age(dataset: Dataset, load_id: int, days: int) -> None:
    """Make a load older."""
    with connect() as db:
        db.execute(
            "update ops.loads set started_at = started_at - %(d)s * interval '1 day',"
            " landed_at = landed_at - %(d)s * interval '1 day',"
            " done_at = done_at - %(d)s * interval '1 day'"
            " where load_id = %(id)s and dataset = %(dataset)s",
            {"d": days, "id": load_id, "dataset": dataset.table},
        )
        db.execute("update ops.files set first_seen_at = first_seen_at - %s * interval '1 day'"
                   " where file_id = (select file_id from ops.loads where load_id = %s)",
                   [days, load_id])  # fmt: skip


def bronze() -> list[str]:
    """The partitions there are."""
    found = ask("select tablename from pg_tables where schemaname = 'bronze'")
    return sorted(name for (name,) in found if re.search(r"^test_\w+_l\d+$", name))


def gone(dataset: Dataset) -> list[tuple[str, str]]:
    """What retention let go of."""
    return [(due.what, due.name) for due in retain(dataset)]


@pytest.fixture
def things(make: Make) -> Dataset:
    return make(columns=COLUMNS, key=["id"])


def test_the_last_content_of_a_path_stays_and_older_ones_go(
    things: Dataset, tmp_path: Path
) -> None:
    bring(things, tmp_path / "a.csv", "id,value\n1,one\n2,two\nx,bad\n")
    bring(things, tmp_path / "a.csv", "id,value\n2,zwei\n3,three\n")
    bring(things, tmp_path / "b.csv", "id,value\n4,four\ny,bad\n")
    for load_id in (1, 2):
        age(things, load_id, 31)
    before, told = rows(things), findings(things)
    assert [(d.name, d.rows, d.load_id) for d in plan(things)] == [("test_things_l1", 4, 1)]
    assert (plan(things)[0].bytes or 0) >= 8192
    assert bronze() == ["test_things_l1", "test_things_l2", "test_things_l3"]
    assert gone(things) == [("bronze", "test_things_l1")]
    assert bronze() == ["test_things_l2", "test_things_l3"]
    assert gone(things) == []
    assert (rows(things), findings(things)) == (before, told)
    assert ask("select dataset, what, load_id, rows from ops.removals") == [
        ("test_things", "bronze", 1, 4)
    ]
    assert rebuild(things) == 4
    assert (rows(things), findings(things)) == (before, told)


def test_a_rebuild_keeps_the_order_of_loads_whose_lines_are_gone(
    things: Dataset, tmp_path: Path
) -> None:
    bring(things, tmp_path / "a.csv", "id,value\n1,first\n2,first\n")
    bring(things, tmp_path / "b.csv", "id,value\n1,second\n2,second\n")  # goes
    bring(things, tmp_path / "b.csv", "id,value\n2,third\n")
    age(things, 2, 40)
    assert gone(things) == [("bronze", "test_things_l2")]
    before = ask("select * from silver.test_things order by id")
    assert [row[1] for row in before] == ["second", "third"]
    assert rebuild(things) == 2
    assert ask("select * from silver.test_things order by id") == before


def test_content_that_came_back_is_the_newest(things: Dataset, tmp_path: Path) -> None:
    for value in ("one", "two", "one"):
        bring(things, tmp_path / "a.csv", f"id,value\n1,{value}\n")
    for load_id in (1, 2, 3):
        age(things, load_id, 90)
    assert gone(things) == [("bronze", "test_things_l2")]
    assert rebuild(things) == 1
    assert rows(things) == [(1, "one")]


def test_versions_beyond_the_newest_go_before_their_days(make: Make, tmp_path: Path) -> None:
    things = make(columns=COLUMNS, key=["id"], retention={"versions": 2})
    for value in ("one", "two", "three", "four"):
        bring(things, tmp_path / "a.csv", f"id,value\n1,{value}\n")
    bring(things, tmp_path / "b.csv", "id,value\n2,other\n")
    assert gone(things) == [("bronze", "test_things_l1"), ("bronze", "test_things_l2")]


def test_of_a_snapshot_the_newest_file_alone_counts(make: Make, tmp_path: Path) -> None:
    things = make(columns=COLUMNS, key=["id"], mode="snapshot")
    bring(things, tmp_path / "a.csv", "id,value\n1,one\n")
    bring(things, tmp_path / "b.csv", "id,value\n2,two\n")
    for load_id in (1, 2):
        age(things, load_id, 31)
    assert gone(things) == [("bronze", "test_things_l1")]


def test_what_a_killed_run_landed_stays(things: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,value\n1,one\n")
    with only_run(things):
        arrival = extract(things, path)[0]
        land(things, arrival, begin(things, arrival))
    age(things, 1, 400)
    assert gone(things) == []
    path.unlink()
    load(things)
    assert rows(things) == [(1, "one")]


PERSONS = {
    "id": "bigint",
    "member": {"type": "text", "privacy": "pseudonym"},
    "area": {"type": "text", "privacy": "personal"},
    "on_day": {"type": "date", "formats": ["%Y-%m-%d"]},
}


def visits(make: Make, **changes: Any) -> Dataset:
    """A dataset of persons."""
    facts = {
        "columns": PERSONS,
        "key": ["id"],
        "event": "on_day",
        "retention": {"bronze": "30 days", "personal": "12 months"},
        "access": {"member": "member"},
    }
    return make("visits", **(facts | changes))


FILE = f"id,member,area,on_day\n1,m1,N,{OLD}\n2,m2,S,{YOUNG}\n3,,,{OLD}\nx,m9,N,{OLD}\n"


def test_lines_that_hold_persons_go_by_their_days(make: Make, tmp_path: Path) -> None:
    people = visits(make, retention={"bronze": "30 days"})
    bring(people, tmp_path / "a.csv", FILE)
    assert gone(people) == []
    age(people, 1, 31)
    before = rows(people)
    assert gone(people) == [("bronze", "test_visits_l1"), ("quarantine", "test_visits")]
    assert bronze() == []
    assert findings(people) == []
    assert rebuild(people) == 3
    assert rows(people) == before


def test_persons_of_old_rows_are_forgotten(make: Make, tmp_path: Path) -> None:
    people = visits(make)
    bring(people, tmp_path / "a.csv", FILE)
    due = plan(people)
    assert [(d.what, d.rows) for d in due] == [("personal", 1)]
    assert rows(people)[0][1] == pseudonym("m1")
    assert gone(people) == [("personal", "silver.test_visits")]
    assert rows(people) == [
        (1, NOBODY, None, OLD),
        (2, pseudonym("m2"), "S", YOUNG),
        (3, None, None, OLD),
    ]
    query = "select id, _hash is null from silver.test_visits order by 1"
    assert ask(query) == [(1, True), (2, False), (3, False)]  # the hash was of the person too
    assert gone(people) == []
    assert rebuild(people) == 3
    assert rows(people)[0] == (1, NOBODY, None, OLD)  # bronze still has the person


LOANS = PERSONS | {"loan": "bigint", "kind": "text"}
OPEN = {"personal": "12 months", "personal_unless": {"by": ["loan"], "until": {"kind": ["back"]}}}
LOANED = f"""id,member,area,on_day,loan,kind
1,m1,,{OLD},1,out
2,m1,,{OLD},1,again
3,m2,,{OLD},2,out
4,m2,,{YOUNG},2,back
5,m3,,{OLD},,out
6,m4,,{OLD},3,
"""


@pytest.mark.parametrize("key", [["id"], ["id", "member"]], ids=["emptied", "deleted"])
def test_who_has_a_loan_out_is_remembered(make: Make, tmp_path: Path, key: list[str]) -> None:
    loans = visits(make, columns=LOANS, key=key, retention=OPEN)
    bring(loans, tmp_path / "a.csv", LOANED)
    assert [(d.what, d.rows) for d in plan(loans)] == [("personal", 2)]
    retain(loans)
    known = [(1, "m1"), (2, "m1"), (4, "m2"), (6, "m4")]
    kept = [(i, pseudonym(m)) for i, m in known]
    emptied = [(3, NOBODY), (5, NOBODY)] if key == ["id"] else []
    assert rows(loans, "id member") == sorted(kept + emptied)
    assert rebuild(loans) == len(kept + emptied)
    assert rows(loans, "id member") == sorted(kept + emptied)


def test_a_matter_of_columns_that_are_not_there_is_refused(make: Make) -> None:
    with pytest.raises(SpecError, match="retention names 'loan'"):
        visits(make, retention=OPEN)


def test_lines_go_at_the_persons_age_where_that_is_less(make: Make, tmp_path: Path) -> None:
    people = visits(make, retention={"bronze": "10 years", "personal": "1 month"})
    bring(people, tmp_path / "a.csv", f"id,member,area,on_day\n2,m2,S,{DAY}\n")
    age(people, 1, 40)
    assert gone(people) == [("bronze", "test_visits_l1")]


def test_a_row_that_is_the_person_goes_whole(make: Make, tmp_path: Path) -> None:
    people = visits(make, key=["member"])
    bring(people, tmp_path / "a.csv", f"id,member,area,on_day\n1,m1,N,{OLD}\n2,m2,S,{YOUNG}\n")
    assert "deleted" in plan(people)[0].reason
    retain(people)
    assert rows(people) == [(2, pseudonym("m2"), "S", YOUNG)]


def test_gold_that_reads_forgotten_rows_is_behind(make: Make, tmp_path: Path) -> None:
    people = visits(make)
    bring(people, tmp_path / "a.csv", FILE)
    with connect() as db:
        db.execute(
            "insert into ops.publications values ('x', now(), now(), null, 1, %s, '{}', 'abc'),"
            " ('y', now(), now(), null, 1, '{other}', '{}', 'abc')",
            [["test_visits"]],
        )
    retain(people)
    assert ask("select table_name, sql_sha256 from ops.publications order by 1") == [
        ("x", None),
        ("y", "abc"),
    ]


def test_without_a_column_of_age_persons_stay_and_it_is_told(make: Make, tmp_path: Path) -> None:
    people = visits(make, event=None)
    bring(people, tmp_path / "a.csv", FILE)
    assert plan(people) == []
    assert unaged(people)
    by = people.model_copy(update={"retention": Retention(personal="1 year", personal_by="on_day")})
    assert not unaged(by)
    assert [d.what for d in plan(by)] == ["personal"]


def test_kept_files_go_with_their_lines(make: Make, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    things = make(columns=COLUMNS, key=["id"], source={"kind": "parquet", "path": "*.parquet"})
    path = tmp_path / "a.parquet"
    for value in ("one", "two"):
        pq.write_table(pa.table({"id": [1], "value": [value]}), path)
        load(things, path)
    kept = {p.name for p in (settings().home / "files").iterdir()}
    digests = [d for (d,) in ask("select sha256 from ops.files order by file_id")]
    assert set(digests) <= kept
    age(things, 1, 31)
    assert [(d.what, d.name) for d in plan(things)] == [
        ("bronze", "test_things_l1"),
        ("file", digests[0]),
    ]
    assert (settings().home / "files" / digests[0]).exists()
    retain(things)
    assert not (settings().home / "files" / digests[0]).exists()
    assert (settings().home / "files" / digests[1]).exists()


def test_a_kept_file_of_no_load_goes_after_a_while(database: str) -> None:
    folder = settings().home / "files"
    folder.mkdir(exist_ok=True)
    for name, days in (("e" * 64, 40), ("f" * 64, 1)):
        (folder / name).write_text("?")
        at = (dt.datetime.now() - dt.timedelta(days=days)).timestamp()
        os.utime(folder / name, (at, at))
    assert "e" * 64 in {due.name for due in strays()}
    drop_strays()
    assert not (folder / ("e" * 64)).exists()
    assert (folder / ("f" * 64)).exists()
    (folder / ("f" * 64)).unlink()


def test_old_answers_go(make: Make) -> None:
    things = make(columns=COLUMNS, key=["id"])
    people = visits(make, retention={"bronze": "90 days", "personal": "1 month"})
    folder = settings().home / "answers"
    shutil.rmtree(folder, ignore_errors=True)
    for dataset, days in (("things", 29), ("things", 31), ("visits", 29), ("visits", 40)):
        path = folder / f"test_{dataset}" / f"{days}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("?")
        at = (dt.datetime.now() - dt.timedelta(days=days)).timestamp()
        os.utime(path, (at, at))
    assert [(d.name, d.bytes) for d in plan(things)] == [("answers/test_things/31", 1)]
    assert gone(things) == [("file", "answers/test_things/31")]
    assert gone(people) == [("file", "answers/test_visits/40")]
    assert sorted(p.name for p in folder.glob("*/*")) == ["29", "29"]
    assert [d.name for d in strays(28)] == ["answers/test_things/29", "answers/test_visits/29"]
    assert strays() == []


def test_what_a_killed_run_spooled_goes(things: Dataset) -> None:
    spool = settings().home / "spool"
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir()
    names = [f"test_things_{'a' * 64}.csv", "test_things.123", f"test_things_more_{'a' * 64}.csv"]
    for name in names:
        (spool / name).write_text("?")
        os.utime(spool / name, (0, 0))
    (spool / f"test_things_{'b' * 64}.csv").write_text("young")
    retain(things)
    assert sorted(p.name for p in spool.glob("test_things*")) == [
        f"test_things_{'b' * 64}.csv",
        names[2],
    ]


def test_it_waits_for_a_run_of_the_dataset(things: Dataset, setting: Any) -> None:
    setting(lock_wait_s=0.2)
    with only_run(things), pytest.raises(Busy, match="another run"):
        retain(things)
    done = threading.Thread(target=retain, args=[things])
    done.start()
    done.join(10)
    assert not done.is_alive()


@pytest.mark.parametrize("span", ["30", "0 days", "a month", "1 day; drop table x", "-3 days"])
def test_a_wrong_span_is_refused(span: str) -> None:
    with pytest.raises(ValidationError):
        Retention(bronze=span)


def test_stages_tell_of_each_load(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path / "a.csv", "id,value\n1,one\n2,two\nx,bad\n")
    with connect() as db:
        db.execute("create table staging.test_things_1 (id bigint)")
    raw, staged, processed = stages(things)
    assert (raw.layer, raw.rows, raw.load_id, raw.state) == ("bronze", 4, 1, "done")
    assert raw.source == str(tmp_path / "a.csv")
    assert raw.sha256 == ask("select sha256 from ops.files")[0][0]
    assert (raw.bytes or 0) > 0
    assert (staged.layer, staged.rows, staged.schema) == ("staging", 0, "id bigint")
    assert (processed.layer, processed.rows) == ("silver", 2)
    assert processed.schema.startswith("id bigint, value text")
    assert processed.age is not None
    assert dt.timedelta() < processed.age < dt.timedelta(minutes=5)


def test_stages_of_a_dataset_without_tables_say_so(things: Dataset) -> None:
    with pytest.raises(ConfigurationError, match="no tables"):
        stages(things.model_copy(update={"name": "others"}))


def test_the_commands(database: str, tmp_path: Path) -> None:
    runner = CliRunner()
    path = tmp_path / "b.csv"
    from warehouse.spec import dataset

    branches = dataset("library_branches")
    header = ",".join(c.header for c in branches.columns)
    example = branches.examples[0]
    line = ",".join(example.get(c.header) or "" for c in branches.columns)
    for end in ("", "\n"):
        path.write_text(f"{header}\n{line}\n{end}")
        load(branches, path)
    age(branches, 1, 31)
    dry = runner.invoke(app, ["retain", "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "library_branches_l1: 2 rows" in dry.stdout
    assert "would go" in dry.stderr
    assert ask("select count(*) from ops.removals") == [(0,)]
    assert runner.invoke(app, ["retain", "branches"]).stdout == dry.stdout
    assert ask("select dataset, what from ops.removals") == [("library_branches", "bronze")]
    assert ask("select step, state from ops.steps") == [("retain", "done")]
    shown = runner.invoke(app, ["stages", "branches"])
    assert "silver.library_branches" in shown.stdout.replace('"', "")
    assert runner.invoke(app, ["stages", "branches", "--json"]).stdout.count("\n") == 2
