"""Drafting a dataset from a file: what is found, what is guessed, what is never copied."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from quality.verdict import judge
from tasks.draft import Drafted, draft
from tasks.load import load
from tasks.names import header_names, snake
from tasks.privacy import guess_privacy, is_iban, luhn
from tasks.profile import Profile, profile
from tests.tasks.conftest import ask, findings, rows
from warehouse.errors import ConfigurationError, SourceMalformed, SourceUnavailable
from warehouse.migrate import migrate
from warehouse.spec import Access, Column, datasets

SEED = 20261121


@pytest.fixture
def project(tmp_path: Path, setting: Callable[..., None]) -> Path:
    """An empty project folder."""
    folder = tmp_path / "project"
    setting(project=folder, landing=tmp_path)
    return folder


def write(folder: Path, content: str | bytes, name: str = "things.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def looked(folder: Path, content: str | bytes) -> Profile:
    return profile(write(folder, content))


def kinds(found: Profile) -> dict[str, str]:
    return {c.name: c.kind.type for c in found.columns}


def drafted(folder: Path, content: str | bytes, **options: Any) -> Drafted:
    return draft(write(folder, content), **options)


def column(of: Drafted, name: str) -> Column:
    return next(c for c in of.dataset.columns if c.name == name)


# Names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Invoice No", "invoice_no"),
        ("InvoiceNo", "invoice_no"),
        ("CustomerID", "customer_id"),
        ("  Größe (cm) ", "grosse_cm"),
        ("Año", "ano"),
        ("Łódź", "lodz"),
        ("% paid", "percent_paid"),
        ("price in £", "price_in_gbp"),
        ("2008-04", "n_2008_04"),
        ("order", "order_"),
        ("User", "user_"),
        ("ctid", "ctid_"),
        ("record_no", "record_no_"),
        ("名前", "otherwise"),
        ("", "otherwise"),
        ("x" * 80, "x" * 48),
        ("_load_id", "load_id_"),
        ("a'b", "ab"),
        ('"; drop table x; --', "drop_table_x"),
    ],
)
def test_snake(header: str, name: str) -> None:
    assert snake(header, "otherwise") == name


def test_names_differ() -> None:
    names = header_names(["id", "", "ID", "Id ", "x" * 60, "x" * 61, "", "column_2"])
    assert names[:4] == ["id", "column_2", "id_2", "id_3"]
    assert len(set(names)) == len(names)
    assert all(len(n) <= 48 for n in names)


# Types ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "kind", "formats"),
    [
        (["1", "-2", "+3"], "integer", ()),
        (["1", "2", "3000000000"], "bigint", ()),
        (["2008.0", "1997.0"], "integer", ()),
        (["2008.5", "1997.0"], "numeric", ()),
        (["1.5e3", "2"], "double", ()),
        (["0.123456789012345", "1"], "double", ()),
        (["01234", "98765"], "text", ()),
        (["9" * 25, "1"], "text", ()),
        (["true", "FALSE"], "boolean", ()),
        (["Yes", "no", ""], "boolean", ()),
        (["0", "1"], "integer", ()),
        (["2024-01-31", "2023-12-05"], "date", ("%Y-%m-%d",)),
        (["2024-01-31", "2023-1-5"], "date", None),
        (["31/01/2024", "05/02/2024"], "date", ("%d/%m/%Y",)),
        (["01/31/2024", "02/05/2024"], "date", ("%m/%d/%Y",)),
        (["31.01.2024 10:15", "05.02.2024 09:00"], "timestamp", ("%d.%m.%Y %H:%M",)),
        (["2024-01-31 10:15:00", "2024-02-05 09:00:01"], "timestamp", ("%Y-%m-%d %H:%M:%S",)),
        (["2024-01-31T10:15:00Z", "2024-02-05T09:00:01Z"], "timestamp", ("%Y-%m-%dT%H:%M:%SZ",)),
        (["2024-01-31T10:15:00+02:00", "2024-02-05T09:00:01+01:00"], "timestamp", ()),
        (["14-MAR-00", "01-FEB-15"], "date", ("%d-%b-%y",)),
        (["3 March 2024", "14 May 2023"], "date", ("%d %B %Y",)),
        (["Mar 3, 2024", "Dec 14, 2023"], "date", ("%b %d, %Y",)),
        (["2022-12", "2023-1"], "date", ("%Y-%m",)),
        (["31/01/2024", "2024-02-05"], "date", None),
        (["31/01/2024", "13/02/24"], "date", None),
        (["1/31/2024 1:05 PM", "2/1/2024 11:59 AM"], "timestamp", ("%m/%d/%Y %I:%M %p",)),
        (["31/01/2024", "01/31/2024"], "text", ()),
        (["2024-01-31", "soon"], "text", ()),
        (["2024-02-30", "2024-01-01"], "text", ()),
        (["09:00", "17:30"], "text", ()),
        (["1,234.50", "2,000.00"], "text", ()),
        (["£1.20", "£3.40"], "text", ()),
        (["NA", "N/A"], "text", ()),
        (["", ""], "text", ()),
    ],
)
def test_type(tmp_path: Path, cells: list[str], kind: str, formats: tuple[str, ...] | None) -> None:
    lines = "".join(f'r{i},"{c}"\n' for i, c in enumerate(cells))
    found = looked(tmp_path, f"label,x\n{lines}").columns[1].kind
    assert found.type == kind
    if formats is not None:
        assert found.formats == formats


@pytest.mark.parametrize(
    ("header", "cell", "kind"),
    [
        ("isbn", "9780439023481", "text"),
        ("barcode", "30012345678905", "text"),
        ("post_code", "12345", "text"),
        ("date", "20240131", "date"),
        ("size", "20240131", "integer"),
    ],
)
def test_header_tells_what_digits_are(tmp_path: Path, header: str, cell: str, kind: str) -> None:
    found = looked(tmp_path, f"label,{header}\na,{cell}\nb,{cell}\n")
    assert found.columns[1].kind.type == kind


def test_type_is_of_all_rows_not_of_the_first(tmp_path: Path) -> None:
    cells = [str(i) for i in range(50_000)] + ["B7"]
    found = looked(tmp_path, "x,y\n" + "".join(f"{c},1\n" for c in cells))
    assert found.columns[0].kind.type == "text"
    assert "1 of 50001 values are no numbers" in found.columns[0].kind.notes[0]


def test_tokens_mean_nothing_where_the_rest_has_a_type(tmp_path: Path) -> None:
    found = looked(tmp_path, "x,y\n1,de\nN/A,NA\n3,fr\n")
    number, text = (c.kind for c in found.columns)
    assert (number.type, number.nulls) == ("integer", ("N/A",))
    assert (text.type, text.nulls) == ("text", ())
    assert "'NA' may mean nothing" in text.notes[0]


def test_open_day_and_month_are_said(project: Path, tmp_path: Path) -> None:
    found = drafted(tmp_path, "id,on\n1,03/04/2024\n2,05/06/2024\n")
    assert column(found, "on_").formats == ("%d/%m/%Y",)
    assert "Day or month first?" in found.spec.read_text()
    assert any("Day or month first?" in n for n in found.notes)


def test_another_column_shows_the_order(tmp_path: Path) -> None:
    found = looked(tmp_path, "a,b\n03/04/2024,12/31/2024\n05/06/2024,11/30/2024\n")
    assert [c.kind.formats for c in found.columns] == [("%m/%d/%Y",)] * 2
    assert not found.columns[0].kind.ambiguous


# Shape ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "source"),
    [
        ("a;b\n1;2\n", {"delimiter": ";", "header": True}),
        ("a\tb\n1\t2\n", {"delimiter": "\t"}),
        ("a|b\n1|2\n3|4\n", {"delimiter": "|"}),
        ("1,x\n2,y\n3,z\n", {"header": False}),
        ("# made by us\na,b\n1,2\n", {"comment": "#", "header": True}),
        ("#id,b\n1,2\n", {"comment": None, "header": True}),
        ("Report of May,,\n,,\nid,b,c\n1,2,3\n4,5,6\n", {"preamble": 2, "header": True}),
        ("id,b,id\n1,2,3\n", {"header": False, "preamble": 1}),
        ("id,,c\n1,2,3\n", {"header": False, "preamble": 1}),
        ("id,b,c\n1,2,3\n4,5,6\nTotal: 2\n", {"footer": '"?Total'}),
        ("id,b,c\n1,2,3\n4,5,6\n", {"footer": None, "preamble": 0}),
        ("area,2019,2020\nNord,12,14\nWest,1999,7\n", {"header": True, "preamble": 0}),
        (",1985,1993\nNord,12,14\nWest,199,7\n", {"header": False, "preamble": 1}),
        ("2019,2020\n2021,2022\n", {"header": False, "preamble": 0}),
        ("\ufeffid,b\n1,2\n", {"header": True}),
    ],
)
def test_shape(tmp_path: Path, content: str, source: dict[str, Any]) -> None:
    found = looked(tmp_path, content).source
    assert {k: getattr(found, k) for k in source} == source


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    found = looked(tmp_path, "id,Straße\n1,Köln\n2,Zürich\n".encode(encoding))
    assert list(kinds(found)) == ["id", "strasse"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n\n\n", "empty"),
        (b"# one\n# two\n", "empty"),
        (b"<html><body>", "HTML, a web page"),
        (b"<?xml version='1.0'?><a><b/></a>", "XML, and no MARCXML"),
        (b'<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"></OAI-PMH>', "OAI-PMH repos"),
        (b"{\n 'name': 1}", r"things\.csv, line 2: is broken JSON: Expecting property"),
        (b"- id: 1\n  name: a\n", "is YAML"),
        (b"---\nid: 1\n", "is YAML"),
        (b"id,", "line 1: names no columns and has 2 cells, and no line is below"),
        (b"id,a,\n1,2\n", "line 1: names no columns and has 3 cells, the line below 2"),
        (b"a,b,c\n1,2\n1,2,3,4\n", "line 1: holds no table: the header has 3 cells, 2 of 2 lines"),
        (b"One.\nTwo, three.\nFour, five, six.\nTen.\n", "line 1: .* 1 cell, 2 of 3 lines"),
        (b"a\tb\n" + b"\x01\x02\t3\n" * 40, "line 2: holds bytes that are no text"),
        (b"PK\x03\x04rest", "Excel"),
        (bytes(range(256)) * 40, "no text"),
        (",".join(f"h{i}" for i in range(2000)).encode() + b"\n", "2000 columns"),
    ],
)
def test_no_table(project: Path, tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(SourceMalformed, match=says) as caught:
        drafted(tmp_path, content)
    assert caught.value.remedy
    assert not project.exists() or not list(project.rglob("*"))


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        ("Report\nof May\n\nid,b\n1,2\n3,4\n", ["2 lines stand above the table (up to line 2)"]),
        ("Report\nid,b\n1,2\n3,4\n", ["Line 1 stands above the table"]),
        ("# ours\nid,b\n1,2\n", ["Lines that start with '#' are taken for comments"]),
        ("id,b\n", ["No row was found"]),
        ("name\nEmma\nPersuasion\n", ["Only one column was found"]),
        ("id,b\n1,2\n3,4\n", []),
    ],
)
def test_what_is_not_read_is_said(
    project: Path, tmp_path: Path, content: str, notes: list[str]
) -> None:
    said = [n for n in drafted(tmp_path, content).notes if not n.startswith(("No key", "name: "))]
    assert len(said) == len(notes)
    assert all(one.startswith(note) for one, note in zip(said, notes, strict=True))


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r"])
def test_a_header_is_no_row_whether_its_line_ends_or_not(
    project: Path, database: str, tmp_path: Path, end: str
) -> None:
    found = drafted(tmp_path, f'id,"a\nb"{end}' if end != "\r" else "id,b\r")
    migrate()
    assert load(found.dataset)[0].rows_in == 0


def test_names_that_yaml_takes_for_something_else(
    project: Path, database: str, tmp_path: Path
) -> None:
    found = drafted(tmp_path, "No.,Yes,off,Y,n\n1,a,b,c,d\n2,e,f,g,h\n")
    assert [c.name for c in found.dataset.columns] == ["no", "yes", "off", "y", "n"]
    assert found.dataset.key == ("no",)
    migrate()
    assert load(found.dataset)[0].inserted == 2
    assert judge(found.dataset, load_id=None, run_id=None).publishes


def test_no_file(project: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="is no file"):
        draft(tmp_path / "absent.csv")


@pytest.mark.parametrize("name", ["2024", "Über", "a b", "../x", "x" * 60])
def test_bad_name(project: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError):
        drafted(tmp_path, "a,b\n1,2\n", name=name)


def test_never_over_another(project: Path, tmp_path: Path) -> None:
    first = drafted(tmp_path, "a,b\n1,2\n")
    text = first.spec.read_text()
    with pytest.raises(ConfigurationError, match="already there"):
        drafted(tmp_path, "c,d\n1,2\n")
    first.spec.unlink()
    with pytest.raises(ConfigurationError, match="already there"):
        drafted(tmp_path, "c,d\n1,2\n")
    assert not first.spec.exists()
    assert first.contract.exists()
    assert text


def test_path_with_signs_of_a_pattern(project: Path, tmp_path: Path) -> None:
    found = draft(write(tmp_path, "a,b\n1,2\n", "loans [2024]*?.csv"))
    assert found.dataset.source.path == "loans [[]2024][*][?].csv"
    assert found.dataset.name == "loans_2024"


def test_a_file_name_is_no_statement(project: Path, tmp_path: Path) -> None:
    found = draft(write(tmp_path, "a,b\n1,2\n", "May 2024\ndrop schema silver; --.csv"))
    assert found.dataset.title == "May 2024 drop schema silver --"
    lines = found.migration.read_text().splitlines()
    assert not [line for line in lines if line.startswith("drop")]


# Keys -------------------------------------------------------------------------------------------


def table(header: str, *lines: Callable[[int], str], count: int = 60) -> str:
    return f"{header}\n" + "".join(",".join(f(i) for f in lines) + "\n" for i in range(count))


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("id,x\n1,a\n2,a\n", ("id",)),
        ("x,item_no\na,1\na,2\n", ("item_no",)),
        ("x,price\na,1.5\na,2.5\n", ()),
        ("id,x\n1,a\n1,a\n", ()),
        ("id,x\n1,a\n,b\n", ()),
        (table("month,branch,loans", lambda i: f"2024-{i % 12 + 1:02}", lambda i: f"b{i // 12}",
               str), ("month", "branch")),
        (table("month,branch,kind,n", lambda i: f"2024-{i % 5 + 1:02}", lambda i: f"b{i // 5 % 4}",
               lambda i: f"k{i // 20}", str), ("month", "branch", "kind")),
        (table("x,loans", lambda i: "a", str), ()),
    ],
)  # fmt: skip
def test_key(tmp_path: Path, content: str, key: tuple[str, ...]) -> None:
    assert looked(tmp_path, content).key == key


# Privacy ----------------------------------------------------------------------------------------

CARDS = ["4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009"]


@pytest.mark.parametrize(
    ("name", "cells", "privacy"),
    [
        ("email", [], "drop"),
        ("contact", ["a@b.org", "c.d@e.co.uk"], "drop"),
        ("phone", ["0191 277 4100", "01912774100"], "drop"),
        ("info", ["+44 191 277 4100", "+49 30 123456"], "drop"),
        ("date_of_birth", ["1990-01-01"], "drop"),
        ("dob", [], "drop"),
        ("surname", ["Lovelace"], "drop"),
        ("borrower_name", [], "drop"),
        ("name", ["Paul", "John", "George"], "personal"),
        ("name", ["Blakelaw", "Fenham", "Gosforth"], None),
        ("branch_name", ["Blakelaw"], None),
        ("author", ["Smith, John", "Jones, Mary"], None),
        ("member_id", ["17"], "pseudonym"),
        ("customer_id", ["17850.0"], "pseudonym"),
        ("borrower", ["1", "2"], "pseudonym"),
        ("card", CARDS, "drop"),
        ("x", CARDS, "drop"),
        ("isbn", ["9780439023481", "9780306406157"], None),
        ("reader_code", ["21234000012349"], "pseudonym"),
        ("account", ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000"], "drop"),
        ("address", ["1 High Street"], "drop"),
        ("x", ["12 Acacia Avenue", "221b Baker Street"], "drop"),
        ("ip", ["10.0.0.1"], "personal"),
        ("national_insurance_number", [], "drop"),
        ("quantity", ["1", "2", "3"], None),
        ("stock_area", ["ADULT FICTION"], None),
        ("lat", ["54.97", "55.01"], None),
        ("loans", ["1234567", "2345678"], None),
    ],
)
def test_privacy_guess(name: str, cells: list[str], privacy: str | None) -> None:
    guess = guess_privacy([name], [cells])[0]
    assert (guess.privacy if guess else None) == privacy


def test_check_digits() -> None:
    assert all(map(luhn, CARDS))
    assert not luhn("4111 1111 1111 1112")
    assert not luhn("1")
    assert is_iban("GB82WEST12345698765432")
    assert not is_iban("GB83WEST12345698765432")


PERSONS = """card_no,Full Name,E-Mail,Phone,Birth date,Branch,Fee
2123400001234,Ada Lovelace,ada@example.org,+44 191 277 4100,10/12/1985,NORTH,1.50
2123400001235,Grace Hopper,grace@example.org,+44 191 277 4101,09/12/1986,SOUTH,2.00
2123400001236,Alan Turing,alan@example.org,+44 191 277 4102,23/06/1982,NORTH,0.75
"""
SECRETS = ("Ada", "Hopper", "example.org", "277", "1985", "23/06", "2123400")


def test_no_personal_cell_in_what_is_written(project: Path, tmp_path: Path) -> None:
    found = drafted(tmp_path, PERSONS)
    for path in (found.spec, found.contract, found.migration):
        text = path.read_text()
        assert not [s for s in SECRETS if s in text], path
    assert not [s for s in SECRETS if any(s in n for n in found.notes)]
    privacy = {c.name: c.privacy for c in found.dataset.columns}
    assert privacy == {
        "card_no": "pseudonym",
        "full_name": "drop",
        "e_mail": "drop",
        "phone": "drop",
        "birth_date": "drop",
        "branch": None,
        "fee": None,
    }
    assert "Guess: an e-mail address" in found.spec.read_text()


def test_nobody_but_an_admin_sees_a_draft(project: Path, tmp_path: Path) -> None:
    access = drafted(tmp_path, PERSONS).dataset.access
    assert access == Access()


def test_free_text_is_not_copied(project: Path, tmp_path: Path) -> None:
    found = drafted(tmp_path, "id,remark\n1,lives next to the mill\n2,moved to Leeds in May\n")
    assert found.dataset.examples[0]["remark"] == "xxxxx xxxx xx xxx xxxx"
    assert "mill" not in found.spec.read_text()


# The whole way ----------------------------------------------------------------------------------


def test_draft_migrate_ingest(database: str, project: Path, tmp_path: Path) -> None:
    found = drafted(tmp_path, PERSONS + "ragged line\n")
    assert migrate() == ["local/things.sql"]
    loaded = load(found.dataset)[0]
    assert (loaded.rows_in, loaded.inserted, loaded.quarantined) == (4, 3, 1)
    kept = rows(found.dataset)
    assert sorted(r[1:] for r in kept)[0][0] == "NORTH"
    shown = str([row[1:] for row in kept])  # not the pseudonyms: any digits may stand in one
    assert not [s for s in SECRETS if s in shown]
    assert {len(str(row[0])) for row in kept} == {32}
    assert [f[2] for f in findings(found.dataset)] == ["ragged"]
    assert not [s for s in SECRETS if s in str(findings(found.dataset))]
    assert judge(found.dataset, load_id=None, run_id=None).publishes
    entry = ask("select title, key_columns from ops.catalogue where name = 'local_things'")
    assert entry == [("Things", ["card_no"])]
    assert load(found.dataset) == []


def test_explore_page_lists_it(database: str, project: Path, tmp_path: Path) -> None:
    from bi_app.models import explore
    from warehouse.access import Viewer

    found = drafted(tmp_path, PERSONS)
    migrate()
    load(found.dataset)
    seen = explore.catalogue(Viewer("a", "admin"))
    assert "silver.local_things" in [e.table_name for e in seen.values()]
    unseen = explore.catalogue(Viewer("m", "member", member_key="m1"))
    assert "silver.local_things" not in [e.table_name for e in unseen.values()]


def test_spec_reads_like_a_text(project: Path, tmp_path: Path) -> None:
    text = drafted(tmp_path, PERSONS).spec.read_text()
    assert all(len(line) <= 120 for line in text.splitlines())
    assert yaml.safe_load(text)["title"] == "Things"
    assert text.startswith("# Drafted from things.csv by `carrel add`.")


# Random files -----------------------------------------------------------------------------------

CELLS: list[Callable[[random.Random], str]] = [
    lambda r: str(r.randint(-5, 5)),
    lambda r: str(r.randint(10**8, 10**11)),
    lambda r: f"{r.random() * 1000:.{r.randint(0, 6)}f}",
    lambda r: f"{r.randint(1, 28):02}/{r.randint(1, 12):02}/{r.randint(1950, 2030)}",
    lambda r: (
        f"{r.randint(1950, 2030)}-{r.randint(1, 12):02}-{r.randint(1, 28):02} 10:1{r.randint(0, 9)}"
    ),
    lambda r: f"{r.randint(1, 28)}-{r.choice(['jan', 'FEB', 'Mar'])}-{r.randint(0, 99):02}",
    lambda r: r.choice(["yes", "no", "Yes"]),
    lambda r: f"{r.randint(0, 99999):05}",
    lambda r: f"{r.randint(-999, 999)}e{r.randint(-5, 5)}",
    lambda r: r.choice(
        ["Straße", 'naïve, "quoted"', "two\nlines", "tab\there", " padded ", "é\u00a0"]
    ),
    lambda r: f"{r.choice('abc')}@example.org",
]
NOTHING = ["", "NA", "null", "-", " "]


def random_file(seed: int) -> bytes:
    """A table of random columns, sometimes with gaps, ragged lines and odd line ends."""
    r = random.Random(seed)
    makers = [r.choice(CELLS) for _ in range(r.randint(1, 6))]
    gaps = [r.choice([0, 0, 0.2]) for _ in makers]
    delimiter = r.choice(",;\t|")
    lines = [
        [f"{r.choice(['Ort', 'no', 'Wert %', 'order', 'd at e'])} {i}" for i in range(len(makers))]
    ]
    for _ in range(r.choice([0, 1, 3, 80])):
        lines.append(
            [
                r.choice(NOTHING) if r.random() < g else m(r)
                for m, g in zip(makers, gaps, strict=True)
            ]
        )
        if len(lines) > 3 and r.random() < 0.02:
            lines[-1].append("extra")
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=r.choice(["\n", "\r\n"])).writerows(lines)
    return out.getvalue().encode(r.choice(["utf-8", "utf-8-sig", "utf-16"]))


def random_files_go_in(folder: Path, seeds: range) -> None:
    found = {}
    for seed in seeds:
        found[seed] = draft(write(folder, random_file(seed), f"random{seed}.csv"))
    migrate()
    for seed, one in found.items():
        loaded = load(one.dataset)[0]
        assert loaded.rows_in == loaded.inserted + loaded.quarantined + loaded.ignored, seed
        rules = {f[2] for f in findings(one.dataset)}
        assert rules <= {"ragged", "encoding"}, (seed, rules)


def test_random_files(database: str, project: Path, tmp_path: Path) -> None:
    random_files_go_in(tmp_path, range(7))


@pytest.mark.full
def test_many_random_files(database: str, project: Path, tmp_path: Path) -> None:
    random_files_go_in(tmp_path, range(1000, 1100))


# Files nobody here wrote ------------------------------------------------------------------------

READABLE = (".csv", ".tsv", ".psv", ".ssv", ".csv2k", ".csvformat", ".bad", ".gz", ".bz2", ".xz")


def strange_files() -> list[Path]:
    """Every file of the dirty sets and the other CSVs; nothing where the data is absent."""
    from warehouse.settings import settings

    data = settings().shared / "data"
    folders = ("dirty", "library", "prices/uk_house_prices")
    found = [p for f in folders for p in sorted((data / f).rglob("*")) if p.is_file()]
    rest = [p for p in found if p.suffix in READABLE or "dirty" in p.parts]
    retail = sorted((data / "retail").rglob("*.csv"))
    return [*rest, *random.Random(SEED).sample(retail, min(10, len(retail)))]


STRANGE = strange_files()
CSVS = [p for p in STRANGE if p.suffix in READABLE]
OTHERS = [p for p in STRANGE if p.suffix not in READABLE]
SHORT = [p for p in CSVS if p.stat().st_size < 1 << 20]
SOME = random.Random(SEED).sample(SHORT, min(8, len(SHORT)))


def named(path: Path) -> str:
    return "/".join(path.parts[-2:])


def drafted_or_refused(path: Path) -> Drafted | None:
    """A draft of the file; nothing where it was refused with a remedy and nothing was left."""
    try:
        return draft(path, name="strange")
    except SourceUnavailable as error:
        if not error.remedy or "local_strange" in datasets():
            raise
    return None


def goes_in_whole(path: Path) -> None:
    """Draft, migrate and ingest a file: every record is in silver, quarantine or ignored."""
    found = drafted_or_refused(path)
    if found is None:
        return
    migrate()
    loaded = load(found.dataset)[0]
    assert loaded.rows_in == loaded.inserted + loaded.quarantined + loaded.ignored
    typed = ask("select count(*) from quarantine.local_strange where rule not in"
                " ('ragged', 'encoding', 'required')")  # fmt: skip
    assert typed == [(0,)], "a type was inferred that a value does not have"
    assert load(found.dataset, force=True)[0].unchanged == loaded.inserted
    verdict = judge(found.dataset, load_id=None, run_id=None)
    assert verdict.publishes or not loaded.inserted, verdict


@pytest.mark.shared
@pytest.mark.parametrize("path", SOME, ids=named)
def test_some_strange_files(shared: Path, database: str, project: Path, path: Path) -> None:
    goes_in_whole(path)


@pytest.mark.full
@pytest.mark.shared
@pytest.mark.parametrize("path", CSVS, ids=named)
def test_every_strange_file(shared: Path, database: str, project: Path, path: Path) -> None:
    goes_in_whole(path)


KINDS = dict.fromkeys((".xls", ".xlsx", ".xlsm", ".ods"), "excel") | dict.fromkeys(
    (".parquet", ".parq"), "parquet"
)


@pytest.mark.full
@pytest.mark.shared
@pytest.mark.parametrize("path", OTHERS, ids=named)
def test_other_kinds_are_refused_or_read(shared: Path, project: Path, path: Path) -> None:
    found = drafted_or_refused(path)
    if found and (kind := KINDS.get(path.suffix)):
        assert found.dataset.source.kind == kind


@pytest.mark.shared
def test_there_are_strange_files(shared: Path) -> None:
    assert (len(CSVS) > 100, len(OTHERS) > 100) == (True, True)
