"""Held-back records: listed, exported, edited as a spreadsheet would, and sent again."""

from __future__ import annotations

import csv
import io
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.ledger import begin, only_run
from tasks.load import bring_in, load
from tasks.merge import Loaded
from tasks.quarantine import Chosen, export, found, held, totals
from tasks.rebuild import rebuild
from tasks.replay import sent_again
from tasks.retention import retain
from tests.tasks.conftest import Make, ask, counts, findings, rows
from tests.tasks.test_retention import age
from warehouse.database import connect
from warehouse.errors import ConfigurationError, LoadFailed, SourceMalformed, SourceUnavailable
from warehouse.pseudonyms import pseudonym
from warehouse.settings import settings
from warehouse.spec import Dataset

COLUMNS = {"id": "bigint", "name": "text", "n": "integer"}
# Every way a record may be bad, and what makes its text hard to keep: lines 2 to 17.
NASTY = (
    b"id;name;n\r\n"
    b"1;good;1\r\n"
    b'2;"two\nlines ""q"" ; =1+1";x\r\n'
    b"3;caf\xe9 \\xe9;3\r\n"  # 5: bytes that are no text
    b"4;short\r\n"
    b'5;long;5;more;"m;m"\r\n'
    b'6;"open;6\r\n'  # 8
    b"1;second of its key;1\r\n"
    b"x;=SUM(A1);'+7\r\n"
    b"7;'=quoted;-x\r\n"
    b'8;"still\r\nopen";1;1\r\n'  # 12, 13
    b"9;plain;\x00\r\n"
    b";;9\r\n"
    b'10;"open again;6\r\n'
    b"11;caf\xc3\xa9;y"
)


@pytest.fixture
def things(make: Make) -> Dataset:
    return make(columns=COLUMNS, key=["id"])


def bring(dataset: Dataset, path: Path, content: str | bytes) -> Loaded:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load(dataset, path)[0]


def replay(dataset: Dataset, path: Path | None = None, **chosen: Any) -> list[tuple[int, ...]]:
    """Send records again; the counts of each load, none where it was known."""
    with only_run(dataset):
        arrivals = sent_again(dataset, path, Chosen(**chosen)).arrivals
        begun = ((a, begin(dataset, a)) for a in arrivals)
        return [counts(bring_in(dataset, a, b)) for a, b in begun if b.state != "unchanged"]


def told(dataset: Dataset) -> list[Any]:
    """The findings by where the record first arrived, whatever load holds them now."""
    return sorted(
        (f.file, f.file_line, f.rule, f.column or "", f.value or "") for f in found(dataset)
    )


def exported(dataset: Dataset, folder: Path) -> Path:
    path = folder / "held.csv"
    export(dataset, path)
    return path


def edit(path: Path, change: Callable[[dict[str, str]], None], **dialect: Any) -> Path:
    """Change the rows of an export as a spreadsheet would, and save them in another dialect."""
    text = path.read_bytes().decode("utf-8-sig")
    records = list(csv.DictReader(io.StringIO(text, newline="")))
    for record in records:
        change(record)
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(records[0]), **{"lineterminator": "\r\n"} | dialect)
    writer.writeheader()
    writer.writerows(records)
    path.write_bytes(out.getvalue().encode("utf-8-sig"))
    return path


def nothing(record: dict[str, str]) -> None:
    """Change nothing."""


def everything(dataset: Dataset) -> Any:
    """What a load leaves, but for numbers of loads and where bad records are held."""
    return rows(dataset), told(dataset)


def adds_up() -> None:
    """Nothing is in two loads, and no load lost a record."""
    assert (
        ask(
            "select load_id from ops.loads where state = 'done' and rows_in <> rows_inserted"
            " + rows_updated + rows_unchanged + rows_quarantined + rows_ignored"
        )
        == []
    )
    assert ask("select 1 from ops.loads where state in ('landing', 'landed')") == []
    assert ask("select tablename from pg_tables where schemaname = 'staging'") == []


def test_records_that_nobody_edits_stay_as_they_are(things: Dataset, tmp_path: Path) -> None:
    before_load = bring(things, tmp_path / "a.csv", NASTY)
    before = everything(things)
    assert len(held(things)[1]) == before_load.quarantined == 14
    with_file = exported(things, tmp_path)
    assert replay(things, with_file) == [(14, 0, 0, 0, 0, 14, 0)]
    assert everything(things) == before
    assert list(held(things)) == [2]
    again = exported(things, tmp_path)
    for dialect in ({"delimiter": ";"}, {"lineterminator": "\n"}, {"quoting": csv.QUOTE_ALL}):
        again = edit(exported(things, tmp_path), nothing, **dialect)
        assert replay(things, again)[0][5] == 14
        assert everything(things) == before
    assert replay(things) == [(14, 0, 0, 0, 0, 14, 0)]
    assert everything(things) == before
    assert {r for (r,) in ask("select edited from ops.replays")} == {False}
    assert rebuild(things) == 1
    assert everything(things) == before
    adds_up()


def by_line(**changes: dict[str, str]) -> Callable[[dict[str, str]], None]:
    """Change the cells of some records, named by the line of their file: `l5={"n": "1"}`."""

    def change(record: dict[str, str]) -> None:
        line = record["_file"].rpartition(":")[2]
        record |= changes.get(f"l{line}", {})

    return change


def test_mended_records_load_and_the_others_stay(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path / "a.csv", NASTY)
    mended = by_line(
        l3={"n": "2"},
        l5={"n": "33"},  # the broken byte is still there
        l6={"n": "4"},
        l7={"_more": ""},
        l8={"name": '"closed", now', "n": "6"},
        l9={"name": "in its stead"},
        l10={"id": "12", "n": "7"},
        l11={"n": "'-7"},
        l14={"n": "9"},
        l17={"id": "1", "n": "11"},  # a second row of a key that was no fault of it
    )
    sent = edit(exported(things, tmp_path), mended, delimiter=";")
    assert replay(things, sent) == [(14, 7, 1, 0, 0, 6, 0)]
    assert rows(things) == [
        (1, "in its stead", 1),
        (12, "=SUM(A1)", 7),
        (2, 'two\nlines "q" ; =1+1', 2),
        (4, "short", 4),
        (5, "long", 5),
        (6, '"closed", now', 6),
        (7, "'=quoted", -7),
        (9, "plain", 9),
    ]
    assert [(line, rule) for _, line, rule, *_ in told(things)] == [
        (5, "encoding"), (12, "ragged"), (13, "type"), (15, "required"), (16, "ragged"),
        (17, "duplicate_key"),
    ]  # fmt: skip
    done = everything(things)
    assert replay(things, sent) == []  # known, as it stands there
    assert everything(things) == done
    second = edit(exported(things, tmp_path), by_line(l5={"name": "café"}, l17={"n": "12"}))
    assert replay(things, second) == [(6, 1, 1, 0, 0, 4, 0)]
    assert (1, "café", 12) in rows(things)
    assert (3, "café", 33) in rows(things)
    done = everything(things)
    assert rebuild(things) == 9
    assert everything(things) == done
    assert ask("select count(*) from ops.replays where edited") == [(12,)]
    adds_up()


def test_a_changed_spec_lets_records_in(make: Make, things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path / "a.csv", "id,name,n\n1,a,1\n2,b,1_000\n3,c,2_000\n1,d,3_000\n3,e,4\n")
    assert [f[1:3] for f in findings(things)] == [(3, "type"), (4, "type"), (5, "type")]
    mended = _with(things, n={"clean": ("trim", "digits")})
    assert replay(mended, rule="required") == []
    assert replay(mended, rule="type", load=1) == [(3, 1, 0, 0, 0, 2, 0)]
    assert rows(mended) == [(1, "a", 1), (2, "b", 1000), (3, "e", 4)]
    assert [f[1:] for f in findings(mended)] == [
        (3, "duplicate_key", "id", "3"),
        (4, "duplicate_key", "id", "1"),
    ]
    done = everything(mended)
    assert rebuild(mended) == 3
    assert everything(mended) == done
    wide = "id,name,n\n2,B,x\n3,E,5\n"
    bring(mended, tmp_path / "b.csv", wide)
    assert (3, "E", 5) in rows(mended)
    adds_up()


def _with(dataset: Dataset, **changes: dict[str, Any]) -> Dataset:
    """The dataset with other columns."""
    columns = [c.model_copy(update=changes.get(c.name, {})) for c in dataset.columns]
    return dataset.model_copy(update={"columns": tuple(columns)})


def test_a_later_row_of_the_key_is_no_second_one(things: Dataset, tmp_path: Path) -> None:
    """A record that changes what an older file brought in is no duplicate."""
    bring(things, tmp_path / "a.csv", "id,name,n\n1,a,1\n2,b,2\n")
    bring(things, tmp_path / "a.csv", "id,name,n\n1,a,1_0\n2,b,2\n")
    assert replay(_with(things, n={"clean": ("digits",)})) == [(1, 0, 1, 0, 0, 0, 0)]
    assert rows(things) == [(1, "a", 10), (2, "b", 2)]


def test_equal_records_without_a_key_are_one_more(make: Make, tmp_path: Path) -> None:
    visits = make("visits", columns={"door": "text", "hour": "integer"}, key="content")
    bring(visits, tmp_path / "a.csv", "door,hour\nA,1\nA,x\nB,1\nA,y\nC,z\n")
    sent = edit(exported(visits, tmp_path), lambda r: r.update(hour="1"))
    assert replay(visits, sent) == [(3, 3, 0, 0, 0, 0, 0)]
    assert rows(visits) == [("A", 1), ("A", 1), ("A", 1), ("B", 1), ("C", 1)]
    bring(visits, tmp_path / "b.csv", "door,hour\nA,1\nA,q\nA,1\n")
    sent = edit(exported(visits, tmp_path), lambda r: r.update(hour="1"))
    assert replay(visits, sent) == [(1, 0, 0, 0, 1, 0, 0)]  # three of them stand there already
    done = ask("select content_key, door, hour from silver.test_visits order by 1")
    assert rebuild(visits) == 5
    assert ask("select content_key, door, hour from silver.test_visits order by 1") == done
    assert found(visits) == []
    adds_up()


def test_wide_records(make: Make, tmp_path: Path) -> None:
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
    content = "Branch,2024-1,2024-02,2024-03,note\nA,1, ,3,x\nB,-5,6,,y\n\nC,7\nA,,x,9,z\n"
    assert counts(bring(issues, tmp_path / "a.csv", content)) == (11, 3, 0, 0, 0, 4, 4)
    before = everything(issues)
    # Good cells of the records go along; those that silver has are unchanged.
    assert replay(issues) == [(7, 0, 0, 0, 1, 4, 2)]
    assert everything(issues) == before
    mend = by_line(l3={"2024-1": "5"}, l5={"2024-02": "8", "2024-03": "9"}, l6={"2024-02": "2"})
    sent = edit(exported(issues, tmp_path), mend)
    assert [f.column for f in found(issues, Chosen("ragged"))] == ["2024-02"]
    assert replay(issues, sent) == [(9, 5, 0, 0, 1, 1, 2)]
    assert len(rows(issues)) == 8
    assert [(f.rule, f.file_line, f.value) for f in found(issues)] == [
        ("duplicate_key", 6, "A, 2024-03-01")
    ]
    done = everything(issues)
    assert rebuild(issues) == 8
    assert everything(issues) == done
    adds_up()


def test_a_snapshot_gains_rows_and_loses_none(make: Make, tmp_path: Path) -> None:
    shelf = make("shelf", columns={"code": "text", "n": "integer"}, key=["code"], mode="snapshot")
    path = tmp_path / "a.csv"
    bring(shelf, path, "code,n\nold,x\n")
    bring(shelf, tmp_path / "b.csv", "code,n\na,1\nb,x\nc,3\nd,y\n")
    with_file = exported(shelf, tmp_path)
    (arrival,) = _sending(shelf).arrivals  # not those of the snapshot before
    assert arrival.again
    assert arrival.again.source == 2
    with pytest.raises(SourceMalformed, match=r"line 2.*load 1.*newer snapshot"):
        replay(shelf, with_file)
    sent = tmp_path / "sent.csv"
    export(shelf, sent, Chosen(load=2))
    assert replay(shelf, edit(sent, by_line(l3={"n": "2"}))) == [(2, 1, 0, 0, 0, 1, 0)]
    assert rows(shelf) == [("a", 1), ("b", 2), ("c", 3)]
    assert load(shelf, tmp_path / "b.csv") == []  # still known
    assert rows(shelf) == [("a", 1), ("b", 2), ("c", 3)]
    done = everything(shelf)
    assert rebuild(shelf) == 3
    assert everything(shelf) == done
    bring(shelf, tmp_path / "b.csv", "code,n\na,1\n")
    assert rows(shelf) == [("a", 1)]
    assert [f.file for f in found(shelf)] == [str(path)]
    adds_up()


def _sending(dataset: Dataset) -> Any:
    with only_run(dataset):
        return sent_again(dataset)


def test_persons_are_pseudonyms_again(make: Make, tmp_path: Path) -> None:
    loans = make(
        "loans",
        columns={
            "loan_id": "bigint",
            "member_key": {"type": "text", "from": "member", "privacy": "pseudonym",
                           "required": True},
            "note": {"type": "text", "privacy": "drop"},
            "day": "date",
        },
        key=["loan_id"],
        access={"member": "member_key"},
        retention={"bronze": "30 days"},
    )  # fmt: skip
    bring(loans, tmp_path / "a.csv", "loan_id,member,note,day\n1,SECRET1,n,soon\n2,SECRET2\n3,,,\n")
    assert "SECRET" not in str(found(loans))
    path = exported(loans, tmp_path)
    assert "SECRET1" in path.read_text("utf-8-sig")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    sent = edit(path, by_line(l2={"day": "2024-01-01"}, l3={"day": "2024-01-02"}))
    assert replay(loans, sent) == [(3, 2, 0, 0, 0, 1, 0)]
    assert [row[1] for row in rows(loans)] == [pseudonym("SECRET1"), pseudonym("SECRET2")]
    said = f"{found(loans)}{ask('select note, error from ops.loads')}{ask('table ops.files')}"
    assert "SECRET" not in said
    assert stat.S_IMODE((settings().home / "spool").stat().st_mode) == 0o700


def test_rows_of_a_workbook(make: Make, tmp_path: Path) -> None:
    from openpyxl import Workbook

    columns = {"id": "bigint", "on_day": {"type": "date", "from": "on day"}, "n": "integer"}
    book = make("book", columns=columns, key=["id"], source={"kind": "excel", "path": "*.xlsx"})
    made = Workbook()
    assert made.active
    for row in (["Report"], ["id", "on day", "n"], [1, "2024-01-01", 1], [2, "never", 'a,"b"\nc']):
        made.active.append(row)
    made.save(tmp_path / "a.xlsx")
    load(book, tmp_path / "a.xlsx")
    before = everything(book)
    assert replay(book, exported(book, tmp_path))[0][5] == 1
    assert everything(book) == before
    sent = edit(exported(book, tmp_path), lambda r: r.update({"on day": "2024-01-02", "n": "2"}))
    assert replay(book, sent) == [(1, 1, 0, 0, 0, 0, 0)]
    assert len(rows(book)) == 2 == rebuild(book)
    assert found(book) == []


def test_json_and_what_its_reader_could_not_read(make: Make, tmp_path: Path) -> None:
    lines = make(
        "lines",
        columns={"id": "bigint", "place": {"type": "text", "from": "at.place"}, "n": "integer"},
        key=["id"],
        source={"kind": "json", "path": "*.jsonl"},
    )
    content = (
        '{"id": 1, "at": {"place": "N"}, "n": 1}\n'
        '{"id": 2, "at": {"place": "S;,\\"q\\"\\n2"}, "n": "x"}\n'
        "{broken\n"
    )
    bring(lines, tmp_path / "a.jsonl", content)
    before = everything(lines)
    assert len(before[1]) == 2
    assert replay(lines) == [(2, 0, 0, 0, 0, 2, 0)]
    assert everything(lines) == before

    def mend(record: dict[str, str]) -> None:
        if record["_fault"]:
            record |= {"_fault": "", "id": "3"}
        record["n"] = "2"

    assert replay(lines, edit(exported(lines, tmp_path), mend)) == [(2, 2, 0, 0, 0, 0, 0)]
    assert rows(lines) == [(1, "N", 1), (2, 'S;,"q"\n2', 2), (3, None, 2)]
    assert rebuild(lines) == 3
    adds_up()


@pytest.mark.parametrize(
    ("content", "source"),
    [
        (b"# note\r\n\r\na|b\r\n1|x\r\n# 2|3\r\n3|y,z\r\nTotal|9\r\n",
         {"preamble": 0, "comment": "#", "footer": "Total"}),
        ("Käse\n\na;b\n1;ü\n3;ö\n".encode("utf-16"), {"preamble": 1}),
        (b"a\tb\r1\tx\r3\ty\r", {}),
        (b"a,b\n1,\"x\n3,y\"\n", {"quote": None}),
    ],
    ids=["footer", "utf-16", "returns", "no quotes"],
)  # fmt: skip
def test_however_the_file_is_written(
    content: bytes, source: dict[str, Any], make: Make, tmp_path: Path
) -> None:
    things = make(columns={"a": "bigint", "b": "bigint"}, key=["a"], source=source)
    assert bring(things, tmp_path / "a.csv", content).quarantined == 2
    before = everything(things)
    assert replay(things, edit(exported(things, tmp_path), nothing))[0][5] == 2
    assert everything(things) == before
    sent = edit(exported(things, tmp_path), lambda r: r.update(b="5"), delimiter="\t")
    assert replay(things, sent) == [(2, 2, 0, 0, 0, 0, 0)]
    assert rows(things) == [(1, 5), (3, 5)]
    assert rebuild(things) == 2


def test_a_file_without_header(make: Make, tmp_path: Path) -> None:
    columns = {"a": {"type": "bigint", "from": "c1"}, "b": {"type": "bigint", "from": "c2"}}
    things = make(columns=columns, key=["a"], source={"header": False})
    bring(things, tmp_path / "a.csv", "1,1,z\n2,x,z\n3,y\n")
    before = everything(things)
    assert replay(things)[0][5] == 2
    assert everything(things) == before
    sent = edit(exported(things, tmp_path), lambda r: r.update(c2="5"))
    assert replay(things, sent) == [(2, 2, 0, 0, 0, 0, 0)]
    assert rows(things) == [(1, 1), (2, 5), (3, 5)]
    assert rebuild(things) == 3


def test_a_cell_that_no_quotes_can_hold(make: Make, tmp_path: Path) -> None:
    things = make(columns={"a": "bigint", "b": "text"}, key=["a"], source={"quote": None})
    bring(things, tmp_path / "a.csv", "a,b\nx,1\n")
    sent = edit(exported(things, tmp_path), lambda r: r.update(b="1,2"))
    with pytest.raises(SourceMalformed, match=r"column 'b': load 1, line 2: .*no quotes"):
        replay(things, sent)


def test_files_of_several_headers_in_one_export(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path / "a.csv", "id,name,n\n1,a,x\n")
    bring(things, tmp_path / "b.csv", "note;n;name;id;note\nfirst;x;b;2;second\n")
    path = exported(things, tmp_path)
    assert path.read_text("utf-8-sig").splitlines() == [
        "_load,_line,_file,_faults,id,name,n,note,note,_more",
        '1,2,a.csv:2,type n «x»,1,a,x,"","",""',
        '2,2,b.csv:2,type n «x»,2,b,x,first,second,""',
    ]
    text = path.read_text("utf-8-sig")
    path.write_text(text.replace('x,"",""', 'x,"",lost'))
    with pytest.raises(SourceMalformed, match=r"line 2, column 'note': load 1, line 2: .*no such"):
        replay(things, path)
    path.write_text(text.replace("a,x", "a,1").replace("b,x", "b,2"))
    assert replay(things, path) == [(1, 1, 0, 0, 0, 0, 0)] * 2
    assert rows(things) == [(1, "a", 1), (2, "b", 2)]
    assert rebuild(things) == 2


def test_records_of_two_files_that_look_alike(things: Dataset, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        bring(things, tmp_path / name, "id,name,n\n1,a,x\n")
    before = everything(things)
    assert replay(things) == [(1, 0, 0, 0, 0, 1, 0)] * 2
    assert everything(things) == before
    assert len(before[1]) == 2


def test_a_new_file_of_the_path_takes_the_place_of_its_records(
    things: Dataset, tmp_path: Path
) -> None:
    bring(things, tmp_path / "a.csv", "id,name,n\n1,a,x\n2,b,y\n")
    bring(things, tmp_path / "b.csv", "id,name,n\n3,c,z\n")
    replay(things)
    replay(things, load=3)
    assert len(found(things)) == 3
    bring(things, tmp_path / "a.csv", "id,name,n\n1,a,1\n2,b,q\n")
    assert [(f.value, Path(f.file).name) for f in found(things)] == [("z", "b.csv"), ("q", "a.csv")]
    done = everything(things)
    assert rebuild(things) == 1
    assert everything(things) == done


def test_the_ledger_tells_that_it_is_a_replay(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path / "a.csv", "id,name,n,extra\n1,a,1,e\n2,b,x,e\n3,c,x,e\n")
    sent = edit(exported(things, tmp_path), by_line(l3={"n": "2"}))
    replay(things, sent)
    ((path, note, origin, read),) = ask(
        "select f.path, l.note, l.origin, l.rows_in from ops.loads l join ops.files f"
        " using (file_id) where origin is not null"
    )
    assert path.startswith("quarantine:test_things/1/")
    assert note == (
        "replay of 2 records held back in load 1, 1 edited; columns not in the spec: extra"
    )
    assert (origin, read) == (1, 2)
    assert ask(
        "select line_no, from_load, from_line, first_load, first_line, edited from ops.replays"
        " order by 1"
    ) == [(2, 1, 3, 1, 3, True), (3, 1, 4, 1, 4, False)]
    assert ask("select rows_quarantined from ops.loads where load_id = 1") == [(2,)]  # history
    replay(things)
    assert ask("select first_load, first_line from ops.replays where from_load = 2") == [(1, 4)]
    assert ask("select origin from ops.loads order by 1") == [(1,), (1,), (None,)]


def test_rows_that_are_no_held_back_records_are_named(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path / "a.csv", "id,name,n\n1,a,1\n2,b,x\n3,c,x\n")
    fresh = exported(things, tmp_path).read_text("utf-8-sig")
    path = tmp_path / "sent.csv"
    before = everything(things), ask("select count(*) from ops.loads")
    for was, now, said in (
        ("1,3,", "1,2,", r"sent\.csv, line 2: load 1, line 2: is not held back"),
        ("1,4,", "9,4,", r"line 3: load 9, line 4: is not held back"),
        ("1,4,", "1,3,", r"line 3: load 1, line 3: stands on line 2 too"),
        ("1,3,", "1,3 x,", r"line 2, column '_line': '3 x' is no number"),
        ("_faults", "faults", r"no export of quarantine"),
        ("id,name", "id,nam", r"column 'name': the column is gone"),
        (',x,""\n', "\n", r"line 2: cannot be read as a row"),
        (fresh.partition("\n")[2], "", r"holds no row"),
    ):
        path.write_text(fresh.replace(was, now), "utf-8", newline="")
        assert fresh.replace(was, now) != fresh, was
        with pytest.raises(SourceMalformed, match=said):
            replay(things, path)
    path.write_bytes(b"PK\x03\x04...")
    with pytest.raises(SourceMalformed, match="Save it as CSV"):
        replay(things, path)
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        replay(things, tmp_path / "absent.csv")
    with pytest.raises(ConfigurationError, match="by itself"):
        replay(things, path, rule="type")
    assert (everything(things), ask("select count(*) from ops.loads")) == before


def test_a_record_is_sent_again_once(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path / "a.csv", "id,name,n\n2,b,x\n3,c,x\n")
    one = exported(things, tmp_path).rename(tmp_path / "one.csv")
    other = exported(things, tmp_path)
    assert replay(things, edit(one, by_line(l2={"n": "1"}))) == [(2, 1, 0, 0, 0, 1, 0)]
    with pytest.raises(SourceMalformed, match="line 2: load 1, line 2: was sent again already"):
        replay(things, edit(other, by_line(l2={"n": "5"})))
    assert rows(things) == [(2, "b", 1)]


def test_a_spreadsheet_may_sort_drop_and_pad(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path / "a.csv", "id,name,n\n2,b,x\n3,c,x\n4,é,x\n")
    path = exported(things, tmp_path)
    head, *records = path.read_text("utf-8-sig").replace(",x,", ",5,").splitlines()
    text = "\n".join([f"{head},comment", ",,,,,,,,", f"{records[2]},mine", f"{records[0]},", ""])
    path.write_bytes(text.replace(",", ";").encode("cp1252"))
    assert replay(things, path) == [(2, 2, 0, 0, 0, 0, 0)]
    assert rows(things) == [(2, "b", 5), (4, "é", 5)]
    assert [f.file_line for f in found(things)] == [3]


def test_a_spec_that_reads_other_records_is_told(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path / "a.csv", 'id,name,n\n1,"a\nb",x\n2,c,1\n')
    source = things.source.model_copy(update={"quote": None})
    other = things.model_copy(update={"source": source})
    with pytest.raises(LoadFailed, match=r"3 instead of 2.*--force"):
        replay(other)
    with pytest.raises(LoadFailed, match="3 instead of 2"):
        export(other, tmp_path / "held.csv")
    assert not (tmp_path / "held.csv").exists()


def test_what_is_listed(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path / "a.csv", "id,name,n\nx,b,x\n3,c,x\n4\n")
    assert totals(things) == [("type", 2), ("ragged", 1)]
    assert totals(things, Chosen("ragged")) == [("ragged", 1)]
    assert totals(things, Chosen(load=7)) == []
    assert [(f.line, f.rule, f.column, f.value) for f in found(things, limit=2)] == [
        (2, "type", "id", "x"),
        (2, "type", "n", "x"),
    ]
    assert list(held(things, Chosen("ragged"))[1]) == [4]
    assert held(things, Chosen("no_such_rule")) == {}


def test_retention_lets_go_of_replays_with_their_file(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path / "a.csv", "id,name,n\n1,a,1\n2,b,x\n3,c,x\n")
    replay(things, edit(exported(things, tmp_path), by_line(l3={"n": "2"})))
    age(things, 1, 40)
    assert retain(things) == []  # the last content of its path, and what belongs to it
    done = everything(things)
    bring(things, tmp_path / "a.csv", "id,name,n\n1,a,1\n9,q,1\n")
    assert [due.name for due in retain(things)] == ["test_things_l1", "test_things_l2"]
    done = everything(things)
    assert rebuild(things) == 3
    assert everything(things) == done == ([(1, "a", 1), (2, "b", 2), (9, "q", 1)], [])


def test_records_whose_lines_are_gone_stay(things: Dataset, tmp_path: Path) -> None:
    bring(things, tmp_path / "a.csv", "id,name,n\n2,b,x\n")
    sent = exported(things, tmp_path)
    with connect() as connection:
        connection.execute("drop table bronze.test_things_l1")
    assert _sending(things).notes == [
        "1 records of load 1 stay: its lines are no longer in bronze."
    ]
    with pytest.raises(SourceMalformed, match=r"line 2: load 1, line 2: .*no longer in bronze"):
        replay(things, sent)
    made = export(things, tmp_path / "none.csv")
    assert (made.records, made.without_lines) == (0, 1)
    assert len(found(things)) == 1


def test_stray_quotes_join_no_records(things: Dataset, tmp_path: Path) -> None:
    """Between the two stands a good record in the file, but not in the replay."""
    bring(things, tmp_path / "a.csv", 'id,name,n\n6,x,"open\n5,"g",5\n7"\n')
    before = everything(things)
    assert len(before[1]) == 2
    for _ in range(2):
        assert replay(things) == [(2, 0, 0, 0, 0, 2, 0)]
        assert everything(things) == before
    assert rebuild(things) == 1
    assert everything(things) == before
