"""A file's whole way into bronze, silver and quarantine, on a real PostgreSQL."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import logging
import lzma
import subprocess
import sys
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tasks import blocks as blocks_module
from tasks.draft import draft
from tasks.extract import extract
from tasks.ledger import begin, only_run
from tasks.load import load
from tasks.merge import Loaded
from tests.tasks.conftest import Make, ask, counts, findings, rows
from warehouse.database import connect
from warehouse.errors import CarrelError, LoadFailed, SourceMalformed, SourceUnavailable
from warehouse.pseudonyms import pseudonym
from warehouse.spec import Dataset

ROOT = Path(__file__).parents[2]
LOANS = {
    "loan_id": {"type": "bigint", "from": "id"},
    "member_key": {"type": "text", "from": "member", "privacy": "pseudonym", "required": True},
    "branch_code": {"type": "text", "from": "branch", "clean": ["trim", "upper"],
                    "allowed": ["N", "S"]},
    "out_at": {"type": "timestamp", "from": "out", "required": True,
               "formats": ["%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M"]},
    "back_on": {"type": "date", "from": "back"},
    "fine_amount": {"type": "numeric", "from": "fine", "min": 0},
}  # fmt: skip
HEADER = "id,member,branch,out,back,fine\n"
GOOD = (
    "1,m1, n ,2024-03-01 10:00:00,2024-03-05,0.50\n"
    "2,m2,S,02/03/2024 11:30,,\n"
    "3,m1,s,2024-03-03 09:15:00,2024-03-04,12\n"
)


@pytest.fixture
def loans(make: Make) -> Dataset:
    return make(
        "loans",
        columns=LOANS,
        key=["loan_id"],
        event="out_at",
        access={"branch": "branch_code", "member": "member_key"},
        rules=[{"name": "back_before_out", "reject_if": "back_on < out_at", "column": "back_on"}],
    )


def bring(dataset: Dataset, path: Path, content: str | bytes, **options: Any) -> Loaded:
    """Write a file and load it."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load(dataset, path, **options)[0]


def test_good_rows_become_typed(loans: Dataset, tmp_path: Path) -> None:
    loaded = bring(loans, tmp_path / "a.csv", HEADER + GOOD)
    assert counts(loaded) == (3, 3, 0, 0, 0, 0, 0)
    day = dt.date(2024, 3, 1)
    assert rows(loans) == [
        (1, pseudonym("m1"), "N", dt.datetime(2024, 3, 1, 10), dt.date(2024, 3, 5), Decimal("0.5")),
        (2, pseudonym("m2"), "S", dt.datetime(2024, 3, 2, 11, 30), None, None),
        (3, pseudonym("m1"), "S", dt.datetime(2024, 3, 3, 9, 15), dt.date(2024, 3, 4), 12),
    ]
    assert loaded.changed_days == [day, day + dt.timedelta(1), day + dt.timedelta(2)]


def test_bad_rows_say_why_and_where(loans: Dataset, tmp_path: Path) -> None:
    content = (
        HEADER
        + GOOD
        + "x,m1,N,2024-03-01 10:00:00,,\n"  # 5
        + "5,,N,2024-03-01 10:00:00,,\n"
        + "6,m1,Q,soon,31/12/2024,-1\n"
        + "\n"  # 8
        + "7,m1,N\n"
        + "8,m1,N,2024-03-09 10:00:00,2024-03-01,\n"
        + "2,m9,N,2024-03-09 10:00:00,,\n"
        + " ,,,,,\n"  # 12
        + "9,m1,N,2024-03-09 10:00:00,,1.23456\n"
        + "10,m1,N,05/03/24 10:00,,\n"
    )
    loaded = bring(loans, tmp_path / "a.csv", content)
    assert counts(loaded) == (13, 3, 0, 0, 0, 8, 2)
    assert findings(loans) == [
        (4, 5, "type", "loan_id", "x"),
        (5, 6, "required", "member_key", None),
        (6, 7, "allowed", "branch_code", "Q"),
        (6, 7, "range", "fine_amount", "-1"),
        (6, 7, "type", "back_on", "31/12/2024"),
        (6, 7, "type", "out_at", "soon"),
        (8, 9, "ragged", "out_at", None),
        (9, 10, "back_before_out", "back_on", "2024-03-01"),
        (10, 11, "duplicate_key", "loan_id", "2"),
        (12, 13, "type", "fine_amount", "1.23456"),
        (13, 14, "type", "out_at", "05/03/24 10:00"),
    ]


def test_bronze_holds_every_line_as_it_arrived(loans: Dataset, tmp_path: Path) -> None:
    content = HEADER.replace("\n", "\r\n") + GOOD + "4,\\N,tab\there \\ \\.,\x1f,\n\\.\nlast"
    loaded = bring(loans, tmp_path / "a.csv", content)
    lines = ask("select load_id, line_no, line from bronze.test_loans order by line_no")
    assert [line for _, _, line in lines] == content.split("\n")
    assert [(i, n) for i, n, _ in lines] == [(loaded.load_id, n) for n in range(1, 8)]


def test_running_a_file_again_changes_nothing(loans: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    bring(loans, path, HEADER + GOOD + "4,,,,,\n")
    before = ask("select *, xmin from silver.test_loans"), findings(loans)
    assert load(loans, path) == []
    forced = load(loans, path, force=True)[0]
    assert counts(forced) == (4, 0, 0, 0, 3, 1, 0)
    assert forced.changed_days == []
    assert (ask("select *, xmin from silver.test_loans"), findings(loans)) == before
    states = ask("select state, forced from ops.loads order by load_id")
    assert states == [("done", False), ("unchanged", False), ("done", True)]
    assert ask("select count(*) from bronze.test_loans") == [(5,)]


def test_a_corrected_file_updates(loans: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    bring(loans, path, HEADER + GOOD + "4,,,,,\n")
    corrected = GOOD.replace("02/03/2024", "09/03/2024") + "4,m4,N,2024-04-01 08:00:00,,\n"
    loaded = bring(loans, path, HEADER + corrected)
    assert counts(loaded) == (4, 1, 1, 0, 2, 0, 0)
    assert loaded.changed_days == [dt.date(2024, 3, 2), dt.date(2024, 3, 9), dt.date(2024, 4, 1)]
    assert (loaded.rows_before, loaded.rows_after) == (3, 4)
    assert findings(loans) == []
    assert [r[0] for r in rows(loans)] == [1, 2, 3, 4]


def test_rows_that_silver_holds_are_neither_sent_nor_compared(make: Make, tmp_path: Path) -> None:
    things = make(columns={"id": "bigint", "n": "integer"}, key=["id"])
    path = tmp_path / "a.csv"
    bring(things, path, "id,n\n1,1\n2,2\n3,3\n")
    with connect() as connection:
        connection.execute("update silver.test_things set n = 7 where id = 2")
        connection.execute("update silver.test_things set n = 8, _hash = null where id = 3")
    assert counts(load(things, path, force=True)[0]) == (3, 0, 1, 0, 2, 0, 0)
    assert rows(things, "n") == [(1,), (3,), (7,)]
    assert counts(bring(things, path, "id,n\n1,1\n2,3\n1,4\n2,2\n")) == (4, 0, 1, 0, 1, 2, 0)
    assert rows(things, "n") == [(1,), (3,), (3,)]


def test_a_spec_that_cleans_otherwise_updates(make: Make, tmp_path: Path) -> None:
    things = make(columns={"id": "bigint", "word": "text"}, key=["id"])
    path = tmp_path / "a.csv"
    bring(things, path, "id,word\n1,a\n2,B\n")
    upper = things.columns[1].model_copy(update={"clean": ("trim", "upper")})
    changed = things.model_copy(update={"columns": (things.columns[0], upper)})
    assert counts(load(changed, path, force=True)[0]) == (2, 0, 1, 0, 1, 0, 0)
    assert rows(things, "word") == [("A",), ("B",)]


def test_another_files_findings_stay(loans: Dataset, tmp_path: Path) -> None:
    bring(loans, tmp_path / "a.csv", HEADER + "1,,N,2024-03-01 10:00:00,,\n")
    bring(loans, tmp_path / "b.csv", HEADER + "2,,N,2024-03-01 10:00:00,,\n")
    bring(loans, tmp_path / "a.csv", HEADER + GOOD)
    assert [f[2:4] for f in findings(loans)] == [("required", "member_key")]


def test_personal_values_stay_out_of_silver_quarantine_and_logs(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    people = make(
        "people",
        columns={
            "member_key": {"type": "text", "from": "card", "privacy": "pseudonym"},
            "born_on": {"type": "date", "privacy": "drop", "required": True},
            "area": {"type": "text", "privacy": "personal", "allowed": ["A"]},
            "kind": {"type": "text", "optional": True},
        },
        key=["member_key"],
    )
    content = "card,born_on,area\nSECRET1,1970-01-01,A\nSECRET2,SECRETDAY,SECRETAREA\nSECRET3,x\n"
    loaded = bring(people, tmp_path / "a.csv", content + "SECRET1,1970-01-01,A\n")
    assert counts(loaded) == (4, 1, 0, 0, 0, 3, 0)
    assert rows(people) == [(pseudonym("SECRET1"), "A", None)]
    said = f"{findings(people)}{caplog.text}{ask('select error, note from ops.loads')}"
    assert "SECRET" not in said
    assert [f[2] for f in findings(people)] == ["allowed", "type", "ragged", "duplicate_key"]


def test_a_missing_column_changes_nothing(loans: Dataset, tmp_path: Path) -> None:
    bring(loans, tmp_path / "a.csv", HEADER + GOOD)
    before = rows(loans), ask("select * from ops.loads")
    with pytest.raises(SourceMalformed, match="column 'branch'"):
        bring(loans, tmp_path / "b.csv", HEADER.replace("branch", "office") + GOOD)
    assert (rows(loans), ask("select * from ops.loads")) == before


def test_unknown_columns_are_ignored_and_noted(loans: Dataset, tmp_path: Path) -> None:
    content = "extra,id,member,branch,out,back,fine\nz,1,m,N,2024-03-01 10:00:00,,\n"
    assert counts(bring(loans, tmp_path / "a.csv", content)) == (1, 1, 0, 0, 0, 0, 0)
    assert ask("select note from ops.loads") == [("columns not in the spec: extra",)]


@pytest.mark.parametrize("content", ["", HEADER, HEADER + "\n\n"])
def test_a_file_without_rows_loads_none(content: str, loans: Dataset, tmp_path: Path) -> None:
    bring(loans, tmp_path / "a.csv", HEADER + GOOD)
    blank = max(content.count("\n") - 1, 0)
    assert counts(bring(loans, tmp_path / "b.csv", content)) == (blank, 0, 0, 0, 0, 0, blank)
    assert len(rows(loans)) == 3


@pytest.mark.parametrize("start", ["\n", "\r\n", "# a note\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_file_whose_header_stands_far_below_is_not_taken_for_empty(
    start: str, encoding: str, make: Make, tmp_path: Path
) -> None:
    things = make(columns={"id": "text"}, key=["id"], source={"comment": "#"})
    path = tmp_path / "a.csv"
    for length in (100_000, 1_200_000):
        path.write_bytes((start * (length // len(start)) + "id\na\n").encode(encoding))
        if length < 1_000_000:
            assert [r.inserted for r in load(things, path)] == [1]
            continue
        with pytest.raises(SourceMalformed, match=r"a\.csv: has nothing but blank lines"):
            load(things, path)
        with pytest.raises(SourceMalformed, match=r"a\.csv: (has nothing|holds no table)"):
            draft(path)


def test_a_snapshot_is_the_whole_truth(make: Make, tmp_path: Path) -> None:
    shelf = make("shelf", columns={"code": "text", "n": "integer"}, key=["code"], mode="snapshot")
    path = tmp_path / "a.csv"
    assert counts(bring(shelf, path, "code,n\na,1\nb,2\nc,3\n")) == (3, 3, 0, 0, 0, 0, 0)
    assert counts(bring(shelf, path, "code,n\na,1\nb,5\nd,4\n")) == (3, 1, 1, 1, 1, 0, 0)
    assert rows(shelf) == [("a", 1), ("b", 5), ("d", 4)]
    with pytest.raises(SourceMalformed, match="would empty silver"):
        bring(shelf, path, "code,n\n")
    with pytest.raises(SourceMalformed, match="would empty silver"):
        bring(shelf, path, "code,n\na,x\n")
    assert rows(shelf) == [("a", 1), ("b", 5), ("d", 4)]
    assert ask("select state from ops.loads order by load_id desc limit 1") == [("failed",)]
    assert ask("select tablename from pg_tables where schemaname = 'staging'") == []


def test_a_snapshot_takes_the_last_file_only(make: Make, tmp_path: Path) -> None:
    shelf = make("shelf", columns={"code": "text"}, key=["code"], mode="snapshot",
                 source={"path": str(tmp_path / "*.csv")})  # fmt: skip
    (tmp_path / "2024-01.csv").write_text("code\na\n")
    (tmp_path / "2024-02.csv").write_text("code\nb\n")
    assert [a.path.name for a in extract(shelf)] == ["2024-02.csv"]


def test_equal_records_are_kept_where_there_is_no_key(make: Make, tmp_path: Path) -> None:
    visits = make("visits", columns={"door": "text", "hour": "integer"}, key="content")
    path = tmp_path / "a.csv"
    assert counts(bring(visits, path, "door,hour\nA,1\nB,2\nA,1\nA, 1\n")) == (4, 4, 0, 0, 0, 0, 0)
    assert rows(visits) == [("A", 1), ("A", 1), ("A", 1), ("B", 2)]
    assert counts(load(visits, path, force=True)[0]) == (4, 0, 0, 0, 4, 0, 0)
    assert counts(bring(visits, path, "door,hour\nA,1\nA,1\nA,1\nA,1\n")) == (4, 1, 0, 0, 3, 0, 0)
    keys = [k for (k,) in ask("select content_key from silver.test_visits where door = 'A'")]
    assert sorted(len(k) for k in keys) == [32, 34, 34, 34]
    with connect() as connection:
        connection.execute("delete from silver.test_visits where length(content_key) = 32")
    assert counts(load(visits, path, force=True)[0]) == (4, 1, 0, 0, 3, 0, 0)


def test_duplicates_may_be_ignored(make: Make, tmp_path: Path) -> None:
    things = make(columns={"id": "text", "n": "integer"}, key=["id"], duplicates="ignore")
    loaded = bring(things, tmp_path / "a.csv", "id,n\na,1\na,2\nb,1\na,3\n")
    assert counts(loaded) == (4, 2, 0, 0, 0, 0, 2)
    assert rows(things) == [("a", 1), ("b", 1)]


def test_duplicates_are_found_across_blocks_and_chance_collisions_are_not(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks_module, "BLOCK", 4000)
    monkeypatch.setattr("tasks.clean.Firsts", lambda rows: _narrow())
    things = make(columns={"id": "bigint", "n": "integer"}, key=["id"])
    lines = [f"{i % 3000},{i}" for i in range(3500)]
    loaded = bring(things, tmp_path / "a.csv", "id,n\n" + "\n".join(lines))
    assert counts(loaded) == (3500, 3000, 0, 0, 0, 500, 0)
    assert rows(things, "n") == sorted([(i,) for i in range(3000)], key=str)
    assert {f[0] for f in findings(things)} == set(range(3001, 3501))


def _narrow() -> Any:
    from tasks.firsts import Firsts

    return Firsts(1)


def test_wide_columns_become_rows(make: Make, tmp_path: Path) -> None:
    issues = make(
        "issues",
        columns={
            "branch": {"type": "text", "from": "Branch"},
            "month_on": {"type": "date", "from": "month", "formats": ["%Y-%m"]},
            "issues": {"type": "integer", "from": "issues", "min": 0},
        },
        key=["branch", "month_on"],
        source={"unpivot": {"columns": r"\d{4}-\d+", "name": "month", "value": "issues"}},
    )
    content = "Branch,2024-1,2024-02,2024-13,note\nA,1, ,3,x\nB,-5,6,,y\n\nC,7\n"
    loaded = bring(issues, tmp_path / "a.csv", content)
    assert counts(loaded) == (8, 2, 0, 0, 0, 3, 3)
    assert rows(issues) == [("A", dt.date(2024, 1, 1), 1), ("B", dt.date(2024, 2, 1), 6)]
    assert findings(issues) == [
        (3, 2, "type", "month_on", "2024-13"),
        (4, 3, "range", "issues", "-5"),
        (10, 5, "ragged", "2024-02", "C,7"),
    ]


def test_values_of_every_type(make: Make, tmp_path: Path) -> None:
    day = {"type": "date", "formats": ["%d/%m/%Y", "%d/%m/%y", "%d-%b-%y"], "pivot": 30}
    every = make(
        "every",
        columns={
            "id": "integer", "whole": "bigint", "part": "double", "yes": "boolean", "on": day,
            "at": "timestamp", "money": {"type": "numeric", "scale": 2},
        },
        key=["id"],
    )  # fmt: skip
    good = [
        ("1", "+5", "1e3", "Y", "01/02/2024", "2024-01-02T03:04:05", "1.50"),
        ("2.0", "-7.00", ".5", "false", "01/02/31", "2024-01-02 03:04", "-3"),
        ("3", "9223372036854775807", "-2.", "0", "01-FEB-30", "2024-01-02", "1e2"),
    ]
    bad = [
        ("1e3", "1_000", "nan", "maybe", "30/02/2024", "infinity", "1.505"),
        ("2147483648", "1.5", "0x1", "2", "2024-02-01", "24:00", "1,5"),
        ("", "9223372036854775808", "inf", "yess", "01/02/0024", "now", "NaN"),
    ]
    lines = [";".join(row) for row in good]
    for row in bad:
        for i, value in enumerate(row):
            ok = [str(100 + len(lines)), *good[0][1:]]
            lines.append(";".join([*ok[:i], value, *ok[i + 1 :]]))
    names = "id;whole;part;yes;on;at;money\n"
    loaded = bring(every, tmp_path / "a.csv", names + "\n".join(lines))
    assert counts(loaded) == (24, 3, 0, 0, 0, 21, 0), rows(every)
    at = dt.datetime(2024, 1, 2)
    assert rows(every) == [
        (1, 5, 1000.0, True, dt.date(2024, 2, 1), at.replace(hour=3, minute=4, second=5),
         Decimal("1.5")),
        (2, -7, 0.5, False, dt.date(1931, 2, 1), at.replace(hour=3, minute=4), -3),
        (3, 2**63 - 1, -2.0, False, dt.date(2030, 2, 1), at, 100),
    ]  # fmt: skip


def test_cleaning_steps(make: Make, tmp_path: Path) -> None:
    steps = {
        "plain": {"clean": []}, "trim": {"clean": ["trim"]}, "squeeze": {"clean": ["squeeze"]},
        "title": {"clean": ["trim", "title"]}, "digits": {"clean": ["digits"]},
        "isbn": {"clean": ["isbn13"]}, "first": {"clean": ["first_isbn", "isbn13"]},
        "year": {"clean": ["year"]}, "nulls": {"nulls": ["", "NA", "-"]},
        "fixed": {"default": "'none'"},
    }  # fmt: skip
    cleaned = make(columns={n: {"type": "text"} | s for n, s in steps.items()}, key="content")
    cells = [
        "' x '", "'\t\u00a0y z\u00a0 '", "'a  b\u00a0c'", "'the OLD man'", "'(0191) 12-3'",
        "'0-306-40615-2'", "'978-0-306-40615-7 (hbk.)~0789454165'", "'c1998, repr.'", "'NA'", "''",
    ]  # fmt: skip
    content = ",".join(steps) + "\n" + ",".join(cells).replace("'1998, ", "'1998 ") + "\n"
    content = content.replace("c1998, repr", "c1998 repr").replace("'", '"')
    bring(cleaned, tmp_path / "a.csv", content)
    assert rows(cleaned) == [
        (" x ", "y z", "a b c", "The Old Man", "0191123", "9780306406157", "9780306406157", "1998",
         None, "none")
    ]  # fmt: skip


def test_no_such_file(loans: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="no file at"):
        load(loans, tmp_path / "absent.csv")


def test_begin_needs_the_lock(loans: Dataset, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER)
    (arrived,) = extract(loans, tmp_path / "a.csv")
    with pytest.raises(LoadFailed, match="only_run"):
        begin(loans, arrived)
    with only_run(loans):
        assert begin(loans, arrived).state == "landing"


def test_the_ledger_refuses_lost_records(loans: Dataset, tmp_path: Path) -> None:
    from tasks.clean import clean
    from tasks.land import land
    from tasks.merge import merge

    (tmp_path / "a.csv").write_text(HEADER + GOOD)
    (arrived,) = extract(loans, tmp_path / "a.csv")
    with only_run(loans):
        opened = begin(loans, arrived)
        land(loans, arrived, opened)
        cleaned = clean(loans, arrived, opened)
        cleaned.records += 1
        with pytest.raises(LoadFailed, match="nothing_lost"):
            merge(loans, opened, cleaned)
    assert rows(loans) == []
    assert ask("select state from ops.loads") == [("failed",)]


def test_swapping_keeps_indexes_policies_grants_and_comments(
    loans: Dataset, tmp_path: Path
) -> None:
    def facts() -> list[Any]:
        return [
            sorted(r[0].partition(" ON ")[2] for r in ask(
                "select indexdef from pg_indexes where schemaname='silver' and tablename=%s",
                "test_loans")),
            ask("select policyname, roles::text, qual from pg_policies where tablename=%s"
                " order by 1",
                "test_loans"),
            ask("select attname, attacl::text, attnotnull, format_type(atttypid, atttypmod),"
                " col_description(attrelid, attnum) from pg_attribute where attnum > 0 and"
                " attrelid = 'silver.test_loans'::regclass order by attnum"),
            ask("select relrowsecurity, obj_description(oid) from pg_class"
                " where oid = 'silver.test_loans'::regclass"),
        ]  # fmt: skip

    with connect() as connection:
        connection.execute("create index on silver.test_loans (branch_code)")
    before = facts()
    oid = ask("select 'silver.test_loans'::regclass::oid")
    bring(loans, tmp_path / "a.csv", HEADER + GOOD)
    assert ask("select 'silver.test_loans'::regclass::oid") != oid
    assert facts() == before


def test_a_table_that_a_view_reads_is_filled_in_place(loans: Dataset, tmp_path: Path) -> None:
    with connect() as connection:
        connection.execute("create view gold.seen as select loan_id from silver.test_loans")
    bring(loans, tmp_path / "a.csv", HEADER + GOOD)
    assert ask("select count(*) from gold.seen") == [(3,)]


def test_a_load_does_not_import_pandas(loans: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + GOOD + "x,m1,N,2024-03-01 10:00:00,,\n1,m1\n\n")
    script = (
        "import sys; from pathlib import Path; from tasks.load import load;"
        "from warehouse.spec import read_spec;"
        "load(read_spec(Path(sys.argv[1])), Path(sys.argv[2]));"
        "sys.exit('pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(loans.path), str(path)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_a_column_may_have_any_name(make: Make, tmp_path: Path) -> None:
    """No name of a spec is one that loading needs for itself."""
    names = [
        "r",
        "h",
        "s0",
        "s1",
        "c0",
        "v_r",
        "p_r",
        "record_no",
        "line_no",
        "line",
        "what",
        "was",
    ]
    names += [
        "day",
        "occurrence",
        "rule",
        "value",
        "block",
        "cell",
        "wide_value",
        "there",
        "t",
        "m",
    ]
    columns = {"s": "bigint"} | dict.fromkeys(names, "text") | {"at": "date"}
    things = make(key=["s"], columns=columns, event="at")
    header = ",".join(columns)
    row = ",".join(f"{n}1" for n in names)
    content = f"{header}\n1,{row},2024-01-01\n1,{row},2024-01-01\n2,{row},2024-01-02\nx,{row},\n"
    assert counts(bring(things, tmp_path / "a.csv", content)) == (4, 2, 0, 0, 0, 2, 0)
    changed = content.replace("h1", "h2").replace("2024-01-02", "2024-01-03")
    loaded = bring(things, tmp_path / "a.csv", changed)
    assert counts(loaded) == (4, 0, 2, 0, 0, 2, 0)
    assert loaded.changed_days == [dt.date(2024, 1, d) for d in (1, 2, 3)]
    assert {r[2] for r in rows(things)} == {"h2"}


def test_a_held_back_line_names_its_column(make: Make, tmp_path: Path) -> None:
    columns = {"number": "bigint", "word": {"type": "text", "from": "Wort"}, "more": "text"}
    things = make(key=["number"], columns=columns)
    lines = ["number,Wort,more,spare", "1,a", "2,a,b,c,d", '3,"a,b",c', "4,\xff,b,c", '5,"a"']
    lines.append("6,a,b,\xff")
    path = tmp_path / "a.csv"
    path.write_bytes("\n".join(lines).encode("latin-1"))
    things = things.model_copy(
        update={"source": things.source.model_copy(update={"encoding": "utf-8"})}
    )
    load(things, path)
    named = [(line, rule, column) for _, line, rule, column, _ in findings(things)]
    assert named == [
        (2, "ragged", "more"),
        (3, "ragged", "field 5"),
        (4, "ragged", "spare"),
        (5, "encoding", "word"),
        (6, "ragged", "more"),
        (7, "encoding", "spare"),
    ]


@pytest.mark.parametrize("module", [gzip, bz2, lzma], ids=["gzip", "bz2", "xz"])
def test_a_broken_archive_is_refused_or_read(make: Make, tmp_path: Path, module: Any) -> None:
    """Whichever byte is wrong, the run says so or has the rows; nothing else is raised."""
    things = make(key=["number"], columns={"number": "bigint", "word": "text"})
    lines = "".join(f"{n},{n * 7919 % 10007}\n" for n in range(2_000))
    whole = module.compress(f"number,word\n{lines}".encode())
    path = tmp_path / "a.csv.packed"
    for at in [*range(0, 40, 3), *range(40, len(whole), len(whole) // 25)]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        with suppress(CarrelError):
            load(things, path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceUnavailable, match=r"a\.csv\.packed"):
        load(things, path)
    path.write_bytes(whole)
    load(things, path)
    assert ask("select count(*) from silver.test_things where number < 2000") >= [(2_000,)]
