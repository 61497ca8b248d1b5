"""OAI-PMH: the real answers of sickle's tests, served by a real server, into silver."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tasks.load import load
from tasks.sources.marc import read as read_marc
from tasks.sources.oai_pmh import DC, HEAD, read
from tests.tasks.conftest import Make, counts, findings, rows
from tests.tasks.fix_web import Asked, Reply, Web
from warehouse.errors import SourceMalformed, SourceUnavailable, SpecError
from warehouse.spec import Dataset

Source = Callable[..., Dataset]
COLUMNS = {
    "id": {"type": "text", "from": "identifier"},
    "changed_at": {"type": "timestamp", "from": "datestamp", "formats": ["%Y-%m-%dT%H:%M:%SZ"]},
    "deleted": {"type": "boolean", "from": "_deleted"},
    "creator": "text",
}


@pytest.fixture
def source(make: Make, web: Web) -> Source:
    def made(name: str = "things", mode: str = "merge", **changes: Any) -> Dataset:
        settings_of = {"kind": "oai_pmh", "url": f"{web.url}/oai", "path": None} | changes
        return make(name, source=settings_of, key=["id"], columns=COLUMNS, mode=mode)

    return made


def xml(body: str) -> Reply:
    head = '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
    return 200, {"Content-Type": "text/xml"}, f"{head}{body}</OAI-PMH>".encode()


def record(n: int, day: str, *, deleted: bool = False, inner: str = "") -> str:
    status = ' status="deleted"' if deleted else ""
    metadata = "" if deleted else f"<metadata><dc>{inner}</dc></metadata>"
    return (
        f"<record><header{status}><identifier>oai:{n}</identifier>"
        f"<datestamp>{day}T10:00:00Z</datestamp></header>{metadata}</record>"
    )


def table(dataset: Dataset) -> list[dict[str, Any]]:
    return [found for part in read(dataset, None) for found in part.to_pylist()]


@pytest.fixture
def sickle(web: Web, shared: Path) -> Callable[[str], None]:
    folder = shared / "marc_oai/sickle/sample_data"

    def serve(first: str) -> None:
        def page(asked: Asked) -> Reply:
            name = asked.params.get("resumptionToken", first)
            return 200, {"Content-Type": "text/xml"}, (folder / name).read_bytes()

        web.pages["/oai"] = page

    return serve


@pytest.mark.shared
def test_the_pages_of_a_real_list(source: Source, web: Web, sickle: Any) -> None:
    sickle("ListRecords.xml")
    dataset = source(set="all")
    found = table(dataset)
    assert len(found) == 8
    assert web.asked[0].params == {
        "verb": "ListRecords",
        "metadataPrefix": "oai_dc",
        "set": "all",
    }
    assert web.asked[1].params == {"verb": "ListRecords", "resumptionToken": "ListRecords2.xml"}
    deleted, kept = found[:2]
    assert {k: v for k, v in deleted.items() if v} == {
        "identifier": "oai:test.example.com:1585310",
        "datestamp": "2011-07-18T16:31:00Z",
        "_deleted": "true",
    }
    assert kept["_deleted"] == "false"
    assert kept["identifier"] == "oai:test.example.com:1585322"
    assert kept["dc.identifier"] == "http://test.example.com/publication/1585322"
    assert kept["creator"] == " | ".join(["John Doe"] * 4)
    assert kept["publisher"] == "Sample Publisher"
    assert kept["type"] == "info:eu-repo/semantics/article | doc-type:article | text"
    assert found[6]["_fault"] == "The record's header has no identifier."
    assert list(kept)[: len(HEAD)] == list(HEAD)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("badArgument.xml", "error badArgument"),
        ("cannotDisseminateFormat.xml", "error cannotDisseminateFormat"),
        ("noSetHierarchy.xml", "noSetHierarchy: This repository does not support sets"),
        ("undefinedError.xml", "error undefinedError"),
        ("ListRecordsBroken.xml", "line 1: answers broken XML at column 1"),
        ("Identify.xml", "no list of OAI-PMH records"),
    ],
)
def test_errors_are_named(answer: str, message: str, source: Source, sickle: Any) -> None:
    sickle(answer)
    with pytest.raises(SourceMalformed, match=message):
        table(source())


@pytest.mark.shared
def test_a_token_that_expired_is_named(source: Source, sickle: Any) -> None:
    sickle("badResumptionToken.xml")
    with pytest.raises(SourceUnavailable, match=r"badResumptionToken.*run again"):
        table(source())


@pytest.mark.shared
def test_that_nothing_matches_is_no_error(source: Source, sickle: Any) -> None:
    sickle("noRecordsMatch.xml")
    dataset = source()
    assert [counts(r)[0] for r in load(dataset)] == [0]
    (empty,) = read(dataset, None)
    assert empty.column_names == [*HEAD, *DC.split()]


def test_a_token_that_comes_again_is_noticed(source: Source, web: Web) -> None:
    body = f"<ListRecords>{record(1, '2024-01-01')}<resumptionToken>t</resumptionToken>"
    web.pages["/oai"] = lambda _: xml(f"{body}</ListRecords>")
    with pytest.raises(SourceMalformed, match="never end"):
        table(source())
    assert len(web.asked) == 2


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><OAI-PMH>&b;</OAI-PMH>'
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><OAI-PMH>&a;</OAI-PMH>'


@pytest.mark.parametrize("body", [BOMB, OUTSIDE])
def test_entities_are_refused(body: bytes, source: Source, web: Web) -> None:
    web.pages["/oai"] = lambda _: (200, {}, body)
    with pytest.raises(SourceMalformed, match="document type"):
        table(source())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<OAI-PMH>",
        b"<a>\xff</a>",
        b'<?xml version="1.0" encoding="klingon"?><a/>',
        b"<a>\x01",
    ],
)
def test_broken_xml_is_named(body: bytes, source: Source, web: Web) -> None:
    web.pages["/oai"] = lambda _: (200, {}, body)
    with pytest.raises(SourceMalformed, match=r"/oai.*(broken XML|no list)"):
        table(source())


def test_only_what_changed_is_asked_for(source: Source, web: Web) -> None:
    dataset = source(cursor="changed_at")
    first = [record(1, "2024-03-01"), record(2, "2024-03-02", inner="<creator>A</creator>")]
    web.pages["/oai"] = lambda _: xml(f"<ListRecords>{''.join(first)}</ListRecords>")
    load(dataset)
    assert "from" not in web.asked[-1].params
    later = [record(2, "2024-03-09", deleted=True)]
    web.pages["/oai"] = lambda _: xml(f"<ListRecords>{''.join(later)}</ListRecords>")
    assert [counts(r)[:3] for r in load(dataset)] == [(1, 0, 1)]
    assert web.asked[-1].params["from"] == "2024-03-02"
    assert rows(dataset) == [
        ("oai:1", dt.datetime(2024, 3, 1, 10), False, None),
        ("oai:2", dt.datetime(2024, 3, 9, 10), True, None),
    ]


def test_a_list_that_breaks_off_changes_nothing(source: Source, web: Web) -> None:
    def page(asked: Asked) -> Reply:
        if "resumptionToken" in asked.params:
            return 503, {"Retry-After": "0"}, b""
        token = "<resumptionToken>t</resumptionToken>"
        return xml(f"<ListRecords>{record(1, '2024-03-01')}{token}</ListRecords>")

    web.pages["/oai"] = page
    dataset = source(cursor="changed_at")
    with pytest.raises(SourceUnavailable, match="503"):
        load(dataset)
    assert rows(dataset) == []


def test_a_cursor_that_cannot_work_is_named(source: Source, web: Web) -> None:
    with pytest.raises(SpecError, match="no column of silver"):
        table(source(cursor="datestamp"))
    with pytest.raises(SpecError, match="snapshot"):
        table(source("others", mode="snapshot", cursor="changed_at"))
    assert web.asked == []


MARC = {"control": "001", "title": "245$ab", "subject": "6xx$a", "language": "008[35:38]"}


def marc_page(inner: Iterable[str], deleted: Iterable[int] = ()) -> Reply:
    listed = "".join(
        record(n, "2024-01-01", inner=body, deleted=n in deleted) for n, body in enumerate(inner)
    )
    return xml(f"<ListRecords>{listed}</ListRecords>")


@pytest.mark.shared
def test_marcxml_gives_what_the_kind_marc_gives(
    source: Source, make: Make, web: Web, shared: Path
) -> None:
    file = shared / "marc_oai/pymarc/test/batch.xml"
    text = file.read_text("utf-8").replace("marc:", "")
    inner = re.findall(r"<record>.*?</record>", text, re.DOTALL)
    marc = make("books", source={"kind": "marc", "path": "*", "fields": MARC},
                key=["title"], columns={"title": "text"})  # fmt: skip
    wanted = [r for part in read_marc(marc, file) for r in part.to_pylist()]
    web.pages["/oai"] = lambda _: marc_page([*inner, ""], deleted=[len(inner)])
    *found, deleted = table(source(prefix="marc21", fields=MARC))
    assert web.asked[0].params["metadataPrefix"] == "marc21"
    assert len(found) == len(wanted) == 2
    assert [{k: r[k] for k in MARC} for r in found] == [{k: r[k] for k in MARC} for r in wanted]
    assert all(r["title"] and r["language"] for r in found)
    assert (deleted["_deleted"], deleted["title"]) == ("true", None)


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        ("<title>no MARC</title>", "holds no MARCXML"),
        ("<datafield><subfield code='a'>x</subfield></datafield>", "a datafield has no tag"),
        ("<datafield tag='245'><subfield>x</subfield></datafield>", "a subfield has no code"),
    ],
)
def test_a_record_without_marc_is_held_back(
    inner: str, reason: str, source: Source, web: Web
) -> None:
    good = "<datafield tag='100'><subfield code='a'>A</subfield></datafield>"
    web.pages["/oai"] = lambda _: marc_page([good, inner])
    dataset = source(prefix="marc21", fields={"creator": "100$a"})
    assert [counts(r)[:2] for r in load(dataset)] == [(2, 1)]
    ((number, _, rule, _, value),) = findings(dataset)
    assert (number, rule) == (2, "unreadable")
    assert reason in value
    assert rows(dataset, "id creator") == [("oai:0", "A")]


def test_a_field_may_not_take_a_name_of_the_header(source: Source) -> None:
    with pytest.raises(SpecError, match="datestamp is a column of every record's header"):
        source(fields={"datestamp": "005"})
