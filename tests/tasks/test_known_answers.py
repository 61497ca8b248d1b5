"""Files whose answer is known: silver holds it, value by value, as `carrel add` drafted it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from tasks.draft import Drafted, draft
from tasks.load import load
from tests.tasks.conftest import as_text, create
from warehouse.database import connect
from warehouse.migrate import migrate

pytestmark = pytest.mark.shared
Rows = list[tuple[Any, ...]]
SPECTRUM = (
    *("comma_in_quotes", "empty", "empty_crlf", "escaped_quotes", "json", "location_coordinates"),
    *("newlines", "newlines_crlf", "quotes_and_newlines", "simple", "simple_crlf", "utf8"),
)


def silver(table: str, columns: list[str]) -> Rows:
    """Some columns of silver, in the order of the columns' values."""
    query = sql.SQL("select {} from {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier("silver", table)
    )
    with connect() as connection:
        return sorted(connection.execute(query).fetchall(), key=str)


def answer_of(folder: Path, name: str) -> list[dict[str, str]]:
    """The records that csv-spectrum gives."""
    answer = json.loads((folder / "json" / f"{name}.json").read_text("utf-8"))
    return answer if isinstance(answer, list) else [answer]


def corrected(name: str, answer: list[dict[str, str]]) -> list[dict[str, str]]:
    """The answer for the text files of this copy."""
    if name == "newlines_crlf":  # the copy has lost its carriage returns
        answer[1]["a"] = answer[1]["a"].replace("\r", "")
    if name == "location_coordinates":  # the answer was given for another number
        answer[0]["Contact Phone Number"] = "2095257564"
    return answer


def test_the_answers_of_csv_spectrum_are_in_silver(
    shared: Path, database: str, tmp_path: Path
) -> None:
    folder = shared / "dirty/csv_spectrum"
    for name in SPECTRUM:
        for kind, place in (("csv", "csvs"), ("json", "json")):
            answer = answer_of(folder, name)
            answer = corrected(name, answer) if kind == "csv" else answer
            headers = list(answer[0])
            source = {"kind": kind, "path": "*"}
            things = as_text(tmp_path, headers, name=f"{kind}_{name}", source=source)
            create(things)
            (loaded,) = load(things, folder / place / f"{name}.{kind}")
            found = silver(things.table, [f"t{i}" for i in range(1, len(headers) + 1)])
            assert found == sorted((tuple(r.values()) for r in answer), key=str), (kind, name)
            assert (loaded.inserted, loaded.quarantined) == (len(answer), 0)


class Adding:
    """Drafts datasets of several files, then loads them all."""

    def __init__(self, shared: Path) -> None:
        self._shared = shared
        self._drafted: dict[str, Drafted] = {}

    def add(self, *names: str) -> None:
        for name in names:
            made = draft(self._shared / "dirty" / name, name=f"f{len(self._drafted)}")
            self._drafted[name] = made

    def load(self) -> None:
        migrate()
        for name, made in self._drafted.items():
            (loaded,) = load(made.dataset)
            assert loaded.quarantined == 0, name

    def kept(self, name: str) -> dict[str, str]:
        """The headers of a file whose columns are kept, and the columns' names."""
        columns = self._drafted[name].dataset.columns
        return {c.header: c.name for c in columns if c.privacy != "drop"}

    def rows(self, name: str, *columns: str) -> Rows:
        """Silver's rows of a file: the named columns, or all."""
        dataset = self._drafted[name].dataset
        listed = list(columns) or [c.name for c in dataset.stored]
        return silver(dataset.table, listed)


@pytest.fixture
def adding(shared: Path, database: str, tmp_path: Path, setting: Callable[..., None]) -> Adding:
    setting(project=tmp_path / "project", landing=tmp_path)
    return Adding(shared)


def test_drafts_keep_the_answers_of_csv_spectrum(shared: Path, adding: Adding) -> None:
    folder = shared / "dirty/csv_spectrum"
    files = {name: f"csv_spectrum/csvs/{name}.csv" for name in SPECTRUM}
    adding.add(*files.values())
    adding.load()
    for name, file in files.items():
        kept = adding.kept(file)
        wanted = [
            tuple(r[h].strip() or "None" for h in kept)
            for r in corrected(name, answer_of(folder, name))
        ]
        found = [tuple(map(str, row)) for row in adding.rows(file, *kept.values())]
        assert found == sorted(wanted, key=str), name


ENGLISH = [(1, "english"), (2, "中国人")]
TABLES = (
    *("table.csv", "table.bad", "table.csv2k", "table.csv.gz", "table.csv.bz2", "table.csv.xz"),
    *("table.json", "table.jsonl", "table.ndjson", "table.keyed.json", "table.xls", "table.xlsx"),
    *("table.ods", "table.parquet", "table.parq", "bom.csv", "delimiter.csv", "skip-rows.csv"),
    "skip-rows-before-headers.csv",
)


def test_the_tables_of_frictionless(adding: Adding) -> None:
    """The rows that frictionless-py's own tests expect of these files."""
    folder = "frictionless"
    others = {
        "latin1.csv": [(1, "english"), (2, "©")],
        "table.tsv": [*ENGLISH, (3, "\\N")],
        "table-with-booleans.xls": [(1, True), (2, False)],
        "table-with-booleans.ods": [(1, True), (2, False)],
        "without-headers.csv": [*ENGLISH, (3, "german")],
        "blank-headers.csv": [(1101, "John", 30), (1102, "Julie", 26)],
        "matrix-with-comment.csv": [tuple(range(n, n + 4)) for n in (11, 21, 31, 41)],
        "table.csvformat": [("london", 8787892), ("paris", 2244000), ("rome", 2877215)],
        "escaping.csv": [
            (1, '"Test line 1"'),
            (2, '"Test "" line 2"'),
            (3, '"Test \\" line 3"'),
        ],
        "without-rows.csv": [],
    }
    adding.add(*(f"{folder}/{name}" for name in (*TABLES, *others)))
    adding.load()
    for name in TABLES:
        assert adding.rows(f"{folder}/{name}") == ENGLISH, name
    for name, rows in others.items():
        assert adding.rows(f"{folder}/{name}") == sorted(rows, key=str), name


def test_the_weather_of_messytables_whatever_it_is_written_in(adding: Adding) -> None:
    days = [dt.date(2011, 1, day) for day in (1, 2, 3)]
    places = {"Galway": (1, -1, 0), "Berkeley": (6, 8, 5)}
    weather = [
        (day, degrees, place)
        for place, found in places.items()
        for day, degrees in zip(days, found, strict=True)
    ]
    names = [f"messytables/simple.{ending}" for ending in ("csv", "ssv", "xls", "xlsx")]
    adding.add(*names, "messytables/skip_initials.csv", "messytables/utf8bom.csv")
    adding.load()
    for name in names:
        assert adding.rows(name) == sorted(weather, key=str), name
    assert adding.rows("messytables/skip_initials.csv") == [
        ("hello", "goodbye"),
        ("hello2", "goodbye2"),
    ]
    assert adding.rows("messytables/utf8bom.csv", "kitten", "win") == []


def test_sheets_of_readxl_that_tell_their_own_answer(adding: Adding) -> None:
    """A column holds a value, the one beside it what the value should be read as."""
    sheets = "readxl/sheets/"
    twice = [f"{sheets}datetime-rounding{e}" for e in (".xls", ".xlsx")]
    texts = [f"{sheets}big-texty-numbers-{e[1:]}{e}" for e in (".xls", ".xlsx")]
    years = [f"{sheets}dates-leap-year-1900-{e[1:]}{e}" for e in (".xls", ".xlsx")]
    day = [
        f"{sheets}{n}" for n in ("dates-1904.xls", "dates-1900.xls", "dates-1900-LibreOffice.xlsx")
    ]
    adding.add(*twice, *texts, *years, *day)
    adding.load()
    for name in twice:
        found = adding.rows(name, "dttm", "dttm_string")
        assert len(found) == 4
        assert all(one == other for one, other in found)
    for name in texts:
        found = adding.rows(name, "number", "number_as_text")
        assert len(found) == 6
        assert all(one == other for one, other in found)
    for name in years:
        found = adding.rows(name, "dttm", "dttm_string", "expect_success")
        good = [(str(at), text) for at, text, right in found if right]
        assert len(good) == 6
        assert all(one == other for one, other in good)
    for name in day:
        assert adding.rows(name) == [(dt.date(2000, 1, 1),) * 5], name


def test_the_irises_are_all_there(adding: Adding) -> None:
    """The sums of the best-known table there is, from three programs' files."""
    names = [
        f"readxl/sheets/iris-{e}" for e in ("excel-xls.xls", "excel-xlsx.xlsx", "google-doc.xlsx")
    ]
    adding.add(*names)
    adding.load()
    for name in names:
        found = adding.rows(name)
        sums = [
            round(Decimal(str(sum(map(float, column)))), 1)
            for column in list(zip(*found, strict=True))[:4]
        ]
        assert sums == [Decimal(s) for s in ("876.5", "458.6", "563.7", "179.9")], name
        kinds = [row[4] for row in found]
        assert {k: kinds.count(k) for k in kinds} == dict.fromkeys(
            ("setosa", "versicolor", "virginica"), 50
        )
