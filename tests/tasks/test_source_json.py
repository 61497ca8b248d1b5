"""JSON of every layout loads as it is written; what is broken is told."""

from __future__ import annotations

import bz2
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.load import load
from tasks.sources.json import rows as read_rows
from tests.tasks.conftest import Make, as_text, ask, counts, create, findings, rows
from warehouse.errors import SourceMalformed, SourceUnavailable
from warehouse.sources import JsonSource
from warehouse.spec import Dataset

RECORDS = [
    {"id": 9007199254740993, "name": {"first": "Ada", "last": "Löwe"}, "tags": ["a", 1.50]},
    {"id": 2, "name": {"first": "中国"}, "paid": True, "more": {"deep": {"er": None}}},
    {"id": 3, "name": None, "paid": False, "tags": [], "late": "x\ny"},
]
COLUMNS = {
    "id": "bigint",
    "first": {"type": "text", "from": "name.first"},
    "last": {"type": "text", "from": "name.last"},
    "tags": "text",
    "paid": "boolean",
    "late": {"type": "text", "clean": []},
}
KEPT = [
    (2, "中国", None, None, True, None),
    (3, None, None, "[]", False, "x\ny"),
    (9007199254740993, "Ada", "Löwe", '["a", 1.50]', None, None),
]


def text_of(records: list[Any]) -> str:
    return json.dumps(records, ensure_ascii=False).replace("1.5]", "1.50]")


def lines_of(records: list[Any]) -> str:
    return "\n".join(text_of([r])[1:-1] for r in records)


def read(path: Path, text: str | bytes, **options: Any) -> list[dict[str, Any]]:
    """What the reader makes of a text, without what is null."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = read_rows(JsonSource(kind="json", path="*", **options), path)
    return [{k: v for k, v in row.items() if v is not None} for row in found]


@pytest.fixture
def things(make: Make) -> Dataset:
    return make(source={"kind": "json", "path": "*"}, key=["id"], columns=COLUMNS)


FORMS: dict[str, tuple[str, bytes]] = {
    "array": ("t.json", text_of(RECORDS).encode()),
    "indented": ("t.json", json.dumps(RECORDS, indent=1).replace("1.5\n", "1.50\n").encode()),
    "lines": ("t.jsonl", lines_of(RECORDS).encode()),
    "lines by look": ("t.json", lines_of(RECORDS).encode()),
    "lines of windows": ("t.json", lines_of(RECORDS).replace("\n", "\r\n").encode() + b"\r\n\r\n"),
    "values": (
        "t.json",
        "\n\n".join(json.dumps(r, indent=2) for r in RECORDS).replace("1.5\n", "1.50\n").encode(),
    ),
    "bom": ("t.json", text_of(RECORDS).encode("utf-8-sig")),
    "utf-16": ("t.json", text_of(RECORDS).encode("utf-16")),
    "utf-16 without mark": ("t.jsonl", lines_of(RECORDS).encode("utf-16-le")),
    "gzip": ("t.json.gz", gzip.compress(text_of(RECORDS).encode())),
    "gzip of lines": ("t.jsonl.gz", gzip.compress(lines_of(RECORDS).encode())),
    "bz2 of utf-16 lines": ("t.bin", bz2.compress(lines_of(RECORDS).encode("utf-16"))),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_layout_loads_the_same(things: Dataset, tmp_path: Path, form: str) -> None:
    name, content = FORMS[form]
    path = tmp_path / name
    path.write_bytes(content)
    (loaded,) = load(things, path)
    assert rows(things) == KEPT
    assert counts(loaded) == (3, 3, 0, 0, 0, 0, 0)


DOCUMENT = """{"took": 12, "noise": [[{"a": {}}], {"items": 1}],
"result": {"total": 2, "items": [{"id": 1}, {"id": 2}], "next": null}}"""


@pytest.mark.parametrize(
    ("text", "records", "ids"),
    [
        (DOCUMENT, "result.items", ["1", "2"]),
        ('{"a.b": {"c": [{"id": 1}]}}', "a.b.c", ["1"]),
        ('[{"page": {"items": [{"id": 1}]}}, {"page": {"items": []}}, {"page": {"items": null}},'
         ' {"page": {"items": [{"id": 4}]}}]', "page.items", ["1", "4"]),
        ('{"items": {"id": 7}}', "items", ["7"]),
        ('{"id": 7}', None, ["7"]),
        ("[]", None, []),
        ('{"items": []}', "items", []),
    ],
)  # fmt: skip
def test_records_stand_at_a_path(
    tmp_path: Path, text: str, records: str | None, ids: list[str]
) -> None:
    assert [r["id"] for r in read(tmp_path / "x.json", text, records=records)] == ids


def test_a_path_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceMalformed, match=r"x\.json.*`users`.*It holds: took, noise, result"):
        read(tmp_path / "x.json", DOCUMENT, records="users")


@pytest.mark.parametrize(
    "number", ["1.10", "-0", "1E400", "0.1000000000000000055511151231257827", "1e5", "NaN",
               "-Infinity", "123456789012345678901234567890"]
)  # fmt: skip
def test_numbers_stay_as_they_are_written(tmp_path: Path, number: str) -> None:
    text = f'[{{"a": {number}, "b": [{number}, {{"c": {number}}}], "d": {{"e": {number}}}}}]'
    expected = {"a": number, "b": f'[{number}, {{"c": {number}}}]', "d.e": number}
    assert read(tmp_path / "x.json", text) == [expected]
    assert read(tmp_path / "x.jsonl", text[1:-1]) == [expected]


def test_an_exploded_list_makes_a_row_of_each_entry(tmp_path: Path) -> None:
    records = [
        {"id": 1, "loan": {"by": "p", "lines": [{"sku": "a", "n": 1}, {"sku": "b"}]}},
        {"id": 2, "loan": {"by": "q", "lines": []}},
        {"id": 3, "loan": {"by": "r", "lines": {"sku": "c"}}},
        {"id": 4, "loan": {"lines": ["d", 5, [6]]}},
        {"id": 5, "loan": [{"lines": []}]},
    ]
    found = read(tmp_path / "x.json", json.dumps(records), explode="loan.lines")
    assert found == [
        {"id": "1", "loan.by": "p", "loan.lines.sku": "a", "loan.lines.n": "1"},
        {"id": "1", "loan.by": "p", "loan.lines.sku": "b"},
        {"id": "2", "loan.by": "q"},
        {"id": "3", "loan.by": "r", "loan.lines.sku": "c"},
        {"id": "4", "loan.lines": "d"},
        {"id": "4", "loan.lines": "5"},
        {"id": "4", "loan.lines": "[6]"},
        {"_fault": "holds a list at 'loan', before the one to explode"},
    ]


def test_rows_of_lists_have_a_header(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert read(path, '[["id", "name"], [1, "a"], [2]]') == [
        {"id": "1", "name": "a"},
        {"_fault": "has 1 entries where the first row has 2"},
    ]
    assert read(path, '["id"]\n[1]\n["id"]') == [{"id": "1"}, {"id": "id"}]
    assert read(path, '[[1, "a"], ["b", "b"]]') == [{"c1": "1", "c2": "a"}, {"c1": "b", "c2": "b"}]
    assert read(path, '["a", 2]') == [{"value": "a"}, {"value": "2"}]


def test_bad_lines_go_to_quarantine_with_their_numbers(things: Dataset, tmp_path: Path) -> None:
    good = lines_of(RECORDS).split("\n")
    bad = ['{"id": 4,', "[1, 2", "12", '{"id": 5} {"id": 6}', '{"id": 7, "id": 8}',
           '{"id": 9, "late": "\\ud800"}', "[" * 100_000, '{"name.first": 1, "name": {"first": 2}}',
           '{"id": 1, "tags": [{"a": 1, "a": 2}]}']  # fmt: skip
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join([good[0], bad[0], "", *good[1:], *bad[1:], '{"id": 10, "la']))
    (loaded,) = load(things, path)
    assert rows(things) == KEPT
    assert counts(loaded) == (13, 3, 0, 0, 0, 10, 0)
    told = findings(things)
    assert {(f[2], f[3]) for f in told} == {("unreadable", None)}
    assert [(f[0], f[4].partition(":")[0]) for f in told] == [
        (2, "line 2"),
        *((n, f"line {n + 1}") for n in range(5, 14)),
    ]
    assert [f[4].partition(": ")[2].partition(" (")[0] for f in told] == [
        "is no JSON: Expecting property name enclosed in double quotes",
        "is no JSON: Expecting ',' delimiter",
        "is a single value and no record",
        "holds more than one value",
        "names a key twice",
        "holds half a character",
        "is nested too deeply",
        "has two values for 'name.first'",
        "names a key twice in 'tags'",
        "is no JSON: Unterminated string starting at",
    ]


def test_lines_of_which_none_can_be_read(things: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("{\n")
    (loaded,) = load(things, path)
    assert counts(loaded) == (1, 0, 0, 0, 0, 1, 0)


def test_broken_bytes_hold_their_record_back(things: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    good = text_of(RECORDS)
    path.write_bytes(
        good[:-1].encode() + b', {"id": 4, "late": "\xff"}, {"id": 5, "late": "\\u0000"}]'
    )
    (loaded,) = load(things, path)
    assert rows(things) == KEPT
    assert [(f[0], f[2]) for f in findings(things)] == [(4, "encoding"), (5, "encoding")]
    assert counts(loaded) == (5, 3, 0, 0, 0, 2, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"id": 1},\n{"id": 2}', "line 2.*ends where"),
        ('[{"id": 1},\n{"id": ', "line 2.*Expecting value"),
        ('[{"id": 1},\n{"id": "ab', "line 2.*Unterminated"),
        ('[\n{"id": 1}\n{"id": 2}\n]', "line 3.*']' should stand"),
        ('[{"id": 1}] x', "line 1.*more text"),
        ('[{"id": 1}]\n[]', "line 2.*more text"),
        ("{\n    'name': 'name',\n}", "line 2.*double quotes"),
        ('{"id": 1,\n "a": tru}', "line 2.*Expecting value"),
        ("12", "single value"),
        ("", "empty"),
        (" \n ", "empty"),
        ("\x00\x01\x02", "no JSON"),
        ("PK\x03\x04", "zip"),
        ("[" * 100_000, "nested too deeply|Expecting"),
    ],
)
def test_a_broken_document_changes_nothing(
    things: Dataset, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(SourceMalformed, match=rf"(?s)x\.json.*({said})"):
        load(things, path)
    assert ask("select 1 from ops.loads where state = 'done'") == []


def test_broken_compression_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(lines_of(RECORDS * 1000).encode())
    flipped = packed[:200] + bytes([packed[200] ^ 0xFF]) + packed[201:]
    for broken in (packed[:-20], flipped):
        with pytest.raises((SourceUnavailable, SourceMalformed), match=r"x\.jsonl"):
            read(tmp_path / "x.jsonl.gz", broken)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches and pieces so small that every seam is met."""
    from tasks import gathered, json_text

    monkeypatch.setattr(gathered, "ROWS", 2)
    monkeypatch.setattr(json_text, "SAMPLE", 40)
    monkeypatch.setattr(json_text, "PIECE", 7)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("form", ["array", "indented", "values", "utf-16", "lines", "gzip"])
def test_late_keys_are_columns_and_seams_do_not_show(
    things: Dataset, tmp_path: Path, form: str
) -> None:
    name, content = FORMS[form]
    path = tmp_path / name
    path.write_bytes(content)
    assert [r.inserted for r in load(things, path)] == [3]
    assert rows(things) == KEPT


@pytest.mark.usefixtures("small")
def test_what_is_skipped_is_walked_through(tmp_path: Path) -> None:
    assert [r["id"] for r in read(tmp_path / "x.json", DOCUMENT, records="result.items")] == [
        "1",
        "2",
    ]


def test_ids_used_as_keys_are_refused(things: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{f"k{i}": 1 for i in range(5_001)}]))
    with pytest.raises(SourceMalformed, match="5,000 different keys"):
        load(things, path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    records=st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=4), max_size=5),
    lines=st.booleans(),
    cut=st.integers(0, 400),
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3),
)
def test_any_bytes_are_read_or_refused(
    tmp_path: Path, records: list[Any], lines: bool, cut: int, flips: list[tuple[int, int]]
) -> None:
    """Whole text gives every record; broken text an error or a row for each line."""
    whole = "\n".join(map(json.dumps, records)) if lines else json.dumps(records)
    content = bytearray(whole.encode()[:cut])
    for place, byte in flips:
        if place < len(content):
            content[place] = byte
    name = "x.jsonl" if lines else "x.json"
    intact = bytes(content) == whole.encode()
    try:
        found = read(tmp_path / name, bytes(content))
    except SourceUnavailable:
        if intact:
            raise
        return
    if intact:
        assert len(found) == len(records)
    for row in found:
        "".join(row.values()).encode()


# Real files


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """The leaves of an object, by the answer of the standard library."""
    if not isinstance(value, dict):
        return {name: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= flat(inner, f"{name}.{key}" if name else key)
    return found


def as_value(text: str | None, like: Any) -> Any:
    if text is None or isinstance(like, str):
        return text
    return json.loads(text)


@pytest.mark.shared
def test_every_file_of_folio_is_read_as_it_is(shared: Path) -> None:
    files = sorted((shared / "systems/folio").rglob("*.json"))
    assert len(files) == 440
    for path in files:
        answer = json.loads(path.read_bytes())
        expected = [flat(r) for r in (answer if isinstance(answer, list) else [answer])]
        found = list(read_rows(JsonSource(kind="json", path="*"), path))
        assert len(found) == len(expected)
        for row, like in zip(found, expected, strict=True):
            assert {k: as_value(v, like[k]) for k, v in row.items()} == like


@pytest.mark.shared
def test_users_of_folio_load(make: Make, shared: Path, tmp_path: Path) -> None:
    users = make(
        source={"kind": "json", "path": "*", "records": "users"},
        key=["id"],
        columns={
            "id": "text",
            "barcode": "text",
            "active": "boolean",
            "city": {"type": "text", "from": "personal.addresses.city", "optional": True},
            "mail": {"type": "text", "from": "personal.email"},
            "created": {"type": "text", "from": "enrollmentDate", "optional": True},
        },
    )
    files = sorted((shared / "systems/folio/users").glob("users-*/*.json"))
    records = [json.loads(p.read_bytes()) for p in files]
    path = tmp_path / "users.json"
    path.write_text(json.dumps({"totalRecords": len(records), "users": records}))
    (loaded,) = load(users, path)
    assert loaded.rows_in == len(records) == 303
    ids = Counter(r["id"] for r in records)
    assert loaded.inserted == len(ids)
    assert loaded.inserted + loaded.quarantined + loaded.ignored == loaded.rows_in
    kept = {r[0]: r[1:] for r in rows(users, "id barcode active mail")}
    assert kept == {
        r["id"]: (r.get("barcode") or None, r["active"], r["personal"].get("email"))
        for r in records
    }


@pytest.mark.shared
def test_the_addresses_of_a_folio_user_are_exploded(shared: Path) -> None:
    path = next((shared / "systems/folio/users/users-15.4.0").glob("*.json"))
    user = json.loads(path.read_bytes())
    source = JsonSource(kind="json", path="*", explode="personal.addresses")
    found = list(read_rows(source, path))
    assert [r["personal.addresses.city"] for r in found] == [
        a["city"] for a in user["personal"]["addresses"]
    ]
    assert {r["id"] for r in found} == {user["id"]}


@pytest.mark.shared
@pytest.mark.parametrize("name", ["table.json", "table.keyed.json", "table.jsonl", "table.ndjson"])
def test_tables_of_frictionless(make: Make, shared: Path, name: str) -> None:
    things = make(
        source={"kind": "json", "path": "*"}, key=["id"], columns={"id": "bigint", "name": "text"}
    )
    (loaded,) = load(things, shared / "dirty/frictionless" / name)
    assert rows(things) == [(1, "english"), (2, "中国人")]
    assert counts(loaded) == (2, 2, 0, 0, 0, 0, 0)


@pytest.mark.shared
def test_what_is_no_json_of_frictionless(make: Make, shared: Path) -> None:
    things = make(source={"kind": "json", "path": "*"}, key=["id"], columns={"id": "bigint"})
    with pytest.raises(SourceMalformed, match=r"invalid\.json, line 2.*double quotes"):
        load(things, shared / "dirty/frictionless/invalid.json")


SPECTRUM = ["comma_in_quotes", "empty", "empty_crlf", "escaped_quotes", "json", "newlines",
            "newlines_crlf", "quotes_and_newlines", "simple", "simple_crlf", "utf8"]  # fmt: skip


@pytest.mark.shared
def test_the_answers_of_csv_spectrum(shared: Path) -> None:
    for name in SPECTRUM:
        path = shared / f"dirty/csv_spectrum/json/{name}.json"
        answer = json.loads(path.read_bytes())
        found = list(read_rows(JsonSource(kind="json", path="*"), path))
        assert found == (answer if isinstance(answer, list) else [answer])


@pytest.mark.shared
@pytest.mark.parametrize("name", ["newlines_crlf", "quotes_and_newlines", "empty", "json", "utf8"])
def test_an_answer_of_csv_spectrum_loads(
    database: str, shared: Path, tmp_path: Path, name: str
) -> None:
    path = shared / f"dirty/csv_spectrum/json/{name}.json"
    answer = json.loads(path.read_bytes())
    headers = list(answer[0])
    things = as_text(tmp_path, headers, source={"kind": "json", "path": "*"})
    create(things)
    load(things, path)
    columns = " ".join(f"t{i}" for i in range(1, len(headers) + 1))
    assert rows(things, columns) == sorted((tuple(r[h] for h in headers) for r in answer), key=str)


@pytest.mark.shared
def test_marc_in_json_is_read(shared: Path) -> None:
    for path in sorted((shared / "marc_oai/pymarc/test").glob("*.json")):
        answer = json.loads(path.read_bytes(), strict=False)
        records = answer if isinstance(answer, list) else [answer]
        found = list(read_rows(JsonSource(kind="json", path="*"), path))
        assert [r["leader"] for r in found] == [r["leader"] for r in records]
        assert [json.loads(r["fields"] or "", strict=False) for r in found] == [
            r["fields"] for r in records
        ]
