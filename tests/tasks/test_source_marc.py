"""MARC in all its dresses: good records load, bad ones are told by number and reason."""

from __future__ import annotations

import gzip
import io
import json
import unicodedata
from pathlib import Path
from typing import Any

import pymarc
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.load import load
from tasks.marc8 import decoded
from tasks.rebuild import rebuild
from tasks.sources.marc import Unfit, places, records, row
from tests.tasks.conftest import Make, ask, counts, create, findings, rows
from warehouse.errors import SourceMalformed, SourceUnavailable, SpecError
from warehouse.sources import MarcSource
from warehouse.spec import Dataset, read_spec

# What a library wants of its catalogue, ready to copy into a datasets folder.
CATALOGUE = """
title: Catalogue
grain: one row a bibliographic record
source:
  kind: marc
  path: catalogue/*.mrc
  fields:
    number: "001"
    title: 245$abnp
    author: 100$a, 110$a, 111$a
    isbn: 020$a
    year: 008[7:11]
    language: 008[35:38]
    subjects: 6xx$a
    kind: LDR[6:8]
key: content  # where every record has a number: [number]
columns:
  - {name: number, type: text, meaning: The record's number in the system that wrote it}
  - {name: title, type: text, required: true, meaning: Title and remainder of title}
  - {name: author, type: text, meaning: 'Person, body or meeting under which it is entered'}
  - {name: isbn, type: text, clean: [trim, first_isbn, isbn13], meaning: First valid ISBN}
  - {name: year, type: integer, clean: [trim, year], meaning: First date of publication}
  - {name: language, type: text, clean: [trim, lower], meaning: 'MARC code, as in eng'}
  - {name: subjects, type: text, meaning: 'Subject headings, with | between'}
  - {name: kind, type: text, meaning: 'Type of record and level, as in am: a printed book'}
access: {public: true}
"""
FIELDS = {"number": "001", "title": "245$ab", "isbn": "020$a"}


def of_spec(folder: Path, text: str) -> Dataset:
    path = folder / "datasets" / "library" / "catalogue.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8")
    return read_spec(path)


@pytest.fixture
def catalogue(database: str, tmp_path: Path) -> Dataset:
    dataset = of_spec(tmp_path, CATALOGUE)
    create(dataset)
    return dataset


@pytest.fixture
def things(make: Make) -> Dataset:
    columns = dict.fromkeys(FIELDS, "text")
    source = {"kind": "marc", "path": "*", "fields": FIELDS}
    return make(source=source, key="content", columns=columns)


def book(number: str, title: str = "Töne /", **fields: Any) -> pymarc.Record:
    found = pymarc.Record(force_utf8=True)
    found.add_field(pymarc.Field("001", data=number))
    for isbn in fields.get("isbns", []):
        found.add_field(pymarc.Field("020", subfields=[pymarc.Subfield("a", isbn)]))
    subfields = [pymarc.Subfield(*s) for s in (("a", title), ("c", "me"), ("b", "low"))]
    found.add_field(pymarc.Field("245", subfields=subfields))
    return found


def marc(count: int = 3) -> list[bytes]:
    return [book(str(i), isbns=["1", "2"]).as_marc() for i in range(1, count + 1)]


def xml(*numbers: int) -> list[str]:
    return [pymarc.record_to_xml(book(str(i))).decode() for i in numbers]


def read(path: Path, content: bytes | str, **options: Any) -> list[str]:
    """The numbers of the good records, and the reasons of the bad ones."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source = MarcSource(kind="marc", path="*", fields=FIELDS, **options)
    shown = {name: places(written) for name, written in FIELDS.items()}
    return [
        str(r) if isinstance(r, Unfit) else row(r, shown)["number"] or ""
        for r in records(source, path)
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("001", "ab 12"),
        ("001[1:4]", "b 1"),
        ("LDR[6:8]", "am"),
        ("245$ab", "One : two"),
        ("245$ba", "One : two"),
        ("245", "One : two by me"),
        ("020$a", "1 | 2"),
        ("6xx$a", "Cats | Dogs"),
        ("650$ax", "Cats Food | Dogs"),
        ("100$a, 110$a,700$a", "Body | Person"),
        ("999$a", None),
        ("245$z", None),
        ("CAT$a", "tag of letters"),
        ("001[50:60]", None),
    ],
)
def test_a_place_tells_what_is_shown(written: str, expected: str | None) -> None:
    record = [
        ("LDR", "00000cam a2200000 a 4500"),
        ("001", "ab 12"),
        ("020", [("a", "1"), ("z", "9")]),
        ("020", [("a", " 2")]),
        ("020", [("a", " ")]),
        ("245", [("a", "One : "), ("b", "two"), ("c", "by me")]),
        ("110", [("a", "Body")]),
        ("650", [("a", "Cats"), ("x", "Food")]),
        ("651", [("a", "Dogs"), ("b", "not")]),
        ("650", [("a", "Dogs")]),
        ("700", [("a", "Person")]),
        ("CAT", [("a", "tag of letters")]),
    ]
    assert row(record, {"x": places(written)}) == {"x": expected}


@pytest.mark.parametrize(
    "written", ["", "24", "245$", "245$a b", "008[35]", "245 ab", "LDRx", "001,"]
)
def test_a_place_that_is_none_is_refused(make: Make, written: str) -> None:
    source = {"kind": "marc", "path": "*", "fields": {"a": written}}
    with pytest.raises(SpecError, match="fields"):
        make(source=source, key="content", columns={"a": "text"})


def test_good_records_load_and_bad_ones_are_told(things: Dataset, tmp_path: Path) -> None:
    one, two, three = marc()
    broken = [
        b"abcde" + two[5:],
        two[:40] + b"\x1d",
        two[:12] + b"99999" + two[17:],
        two[:30] + b"xx" + two[32:],
        b"hm\x1d",
        two[:-20],
    ]
    path = tmp_path / "x.mrc"
    path.write_bytes(one + b"\r\n" + b"".join(broken[:5]) + b"\n" + broken[5] + three + three[:50])
    (loaded,) = load(things, path)
    assert rows(things) == [("1", "Töne / low", "1 | 2"), ("3", "Töne / low", "1 | 2")]
    assert counts(loaded) == (9, 2, 0, 0, 0, 7, 0)
    assert [(f[0], f[2], f[4]) for f in findings(things)] == [
        (2, "unreadable", "does not tell its length in the first 5 bytes"),
        (3, "unreadable", f"should have {len(two)} bytes and has 41"),
        (4, "unreadable", "does not tell where its fields start"),
        (5, "unreadable", "has a broken directory"),
        (6, "unreadable", "has no leader of 24 characters"),
        (7, "unreadable", "is cut short: the next record starts within it"),
        (9, "unreadable", "is cut short: the file ends before its end"),
    ]
    kept = rows(things)
    assert rebuild(things) == 2
    assert rows(things) == kept


def test_marc_is_unpacked(tmp_path: Path) -> None:
    assert read(tmp_path / "x.mrc.gz", gzip.compress(b"".join(marc()))) == ["1", "2", "3"]
    with pytest.raises(SourceUnavailable, match=r"x\.mrc\.gz"):
        read(tmp_path / "x.mrc.gz", gzip.compress(b"".join(marc(50)))[:-9])


def test_bytes_that_are_no_text_hold_back_what_shows_them(things: Dataset, tmp_path: Path) -> None:
    one, two, three = marc()
    path = tmp_path / "x.mrc"
    two, three = two.replace("ö".encode(), b"\xff\xfe"), three.replace(b"me", b"\xff\xff")
    path.write_bytes(one + two + three)
    (loaded,) = load(things, path)
    assert [r[0] for r in rows(things)] == ["1", "3"]  # the author is in no column
    assert [(f[0], f[2]) for f in findings(things)] == [(2, "encoding")]
    assert counts(loaded) == (3, 2, 0, 0, 0, 1, 0)


def test_the_encoding_may_be_told(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    raw = book("1", "XX").as_marc().replace(b"XX", "Аб".encode("cp1251"))
    path.write_bytes(raw[:9] + b" " + raw[10:])
    source = MarcSource(kind="marc", path="*", fields=FIELDS, encoding="cp1251")
    (found,) = records(source, path)
    assert not isinstance(found, Unfit)
    assert row(found, {"t": places("245$a")}) == {"t": "Аб"}
    with pytest.raises(SourceMalformed, match="'klingon' is no encoding"):
        read(path, raw, encoding="klingon")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"plain", "plain"),
        (b"Gr\xe8un", "Grün"),
        (b"\xe8\xe5u", unicodedata.normalize("NFC", "u\u0308\u0304")),
        (b"end\xe8", "end\u0308"),
        (b"\x1b(Nabc\x1b(B d", "АБЦ d"),
        (b"\x1b)!E\xe8u", "ü"),
        (b"\x1bb2\x1bs2", "₂2"),
        (b"\x1b$1!0! !0!\x1b(Bx", "一 一x"),
        (b"\x1b$1!0!!!\x1b(Bx", "一\U0010ff21\U0010ff21x"),
        (b"\x88The \x89end", "The end"),
        (b"a\x1b?b", "a\U0010ff1b?b"),
        (b"a\xffb", "a\U0010ffffb"),
        (b"\x1b$1!0", "\U0010ff21\U0010ff30"),
    ],
)
def test_marc_8_becomes_unicode(text: bytes, expected: str) -> None:
    assert decoded(text) == expected


COLLECTION = (
    '<?xml version="1.0"?>\n<collection xmlns="http://www.loc.gov/MARC21/slim">\n{}\n</collection>'
)
CUT = '<record><controlfield tag="001">9</controlfield>'
MARCXML = {
    "whole": (COLLECTION.format("\n".join(xml(1, 2))), ["1", "2"]),
    "prefixed": (
        COLLECTION.format(xml(1)[0].replace("<", "<marc:").replace("<marc:/", "</marc:"))
        .replace("xmlns=", "xmlns:marc="), ["1"],
    ),
    "one record": (xml(1)[0], ["1"]),
    "none": (COLLECTION.format(""), []),
    "several roots": ("\n".join(xml(1, 2)), ["1", "2"]),
    "several documents": ("\n".join(COLLECTION.format(xml(i)[0]) for i in (1, 2)), ["1", "2"]),
    "within OAI-PMH": (
        "<OAI-PMH><ListRecords><record><header/><metadata>{}</metadata></record>"
        "<record><metadata>{}</metadata></record></ListRecords></OAI-PMH>".format(*xml(1, 2)),
        ["1", "2"],
    ),
    "commented": (COLLECTION.format(f"<!-- {xml(1)[0]} -->{xml(2)[0]}"), ["2"]),
    "broken record": (
        COLLECTION.format("\n".join([xml(1)[0], CUT + "<leader></record>", *xml(2, 3)])),
        ["1", "line 4: the XML is broken: mismatched tag", "2", "3"],
    ),
    "bad character": (
        COLLECTION.format("\n".join([xml(1)[0], CUT + "\x02</record>", xml(2)[0]])),
        ["1", "line 4: the XML is broken: not well-formed (invalid token)", "2"],
    ),
    "open record": (
        COLLECTION.format("\n".join([xml(1)[0], CUT, *xml(2, 3)])),
        ["1", "2", "3", "line 7: the XML is broken: mismatched tag"],
    ),
    "cut": (
        COLLECTION.format("\n".join([xml(1)[0], CUT]))[:-14],
        ["1", "line 4: the XML is broken: no element found; what follows is not read"],
    ),
    "junk between": (
        COLLECTION.format("\n".join([xml(1)[0], "a < b", xml(2)[0]])),
        ["1", "line 4: the XML is broken: not well-formed (invalid token)", "2"],
    ),
    "odd parts": (
        "<collection><record/>" + CUT + "<subfield code='a'/></record>"
        "<record><controlfield>1</controlfield></record>"
        "<record><datafield tag='245'><subfield>x</subfield></datafield></record></collection>",
        ["line 1: the record has no fields", "line 1: a subfield stands in no datafield",
         "line 1: a controlfield has no tag", "line 1: a subfield has no code"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MARCXML)
@pytest.mark.parametrize("piece", [1 << 20, 7])
def test_marcxml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, piece: int) -> None:
    from tasks import json_text

    monkeypatch.setattr(json_text, "PIECE", piece)
    monkeypatch.setattr(json_text, "SAMPLE", max(piece, 40))
    text, expected = MARCXML[case]
    assert read(tmp_path / "x.xml", text) == expected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_marcxml_in_other_encodings(things: Dataset, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "x.xml"
    text = COLLECTION.format(xml(1)[0]).replace('"1.0"', f'"1.0" encoding="{encoding}"', 1)
    path.write_bytes(text.replace("utf-8-sig", "utf-8").encode(encoding))
    load(things, path)
    assert rows(things) == [("1", "Töne / low", None)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("number,title\n1,a\n", "holds no MARC"),
        ("12345,title\n1,a\n", "holds no MARC"),
        ("<html><p>x</p></html>", "no <record>"),
        ("<html><p>x</html>", "no MARCXML: line 1.*mismatched"),
        ('<!DOCTYPE r [<!ENTITY a "b">]><collection><record>&a;</record></collection>', "entities"),
        ('<?xml version="1.0" encoding="klingon"?><collection/>', "'klingon' is no encoding"),
        ("PK\x03\x04", "zip"),
    ],
)  # fmt: skip
def test_what_is_no_marc_is_refused(things: Dataset, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.mrc"
    path.write_text(text)
    with pytest.raises(SourceMalformed, match=rf"x\.mrc.*{said}"):
        load(things, path)
    assert ask("select 1 from ops.loads where state = 'done'") == []


BINARY = b"".join(marc())
XML = COLLECTION.format("\n".join(xml(1, 2, 3))).encode()


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    content=st.sampled_from([BINARY, XML]),
    cut=st.integers(0, 4000),
    flips=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=4),
)
def test_any_bytes_are_read_or_refused(
    tmp_path: Path, content: bytes, cut: int, flips: list[tuple[int, int]]
) -> None:
    """Broken bytes give an error, a reason or a record; what is whole before the break is read."""
    broken = bytearray(content[:cut])
    for place, byte in flips:
        if place < len(broken):
            broken[place] = byte
    try:
        found = read(tmp_path / "x", bytes(broken))
    except SourceUnavailable:
        assert bytes(broken) != content
        return
    if bytes(broken) == content:
        assert found == ["1", "2", "3"]
    elif not flips and cut:
        whole = broken.count(b"\x1d") if content is BINARY else broken.count(b"</record>")
        assert found[:whole] == ["1", "2", "3"][:whole]
        assert len(found) > whole or whole == 3


# Real files


@pytest.mark.shared
@pytest.mark.parametrize("name", ["jazz_1k.mrc", "lul_fre_100.mrc", "oss.marc"])
def test_catalogues_of_evergreen_load(catalogue: Dataset, shared: Path, name: str) -> None:
    figures = json.loads((shared / "FIGURES.json").read_text())[f"systems/evergreen/{name}"]
    (loaded,) = load(catalogue, shared / "systems/evergreen" / name)
    assert loaded.rows_in == figures["record_terminators_0x1D"]
    assert loaded.quarantined == figures["pymarc_failed"]
    assert loaded.inserted + loaded.ignored == figures["pymarc_ok"]
    kept = rows(catalogue, "number title language year")
    assert len(kept) == loaded.inserted
    assert all(r[1] for r in kept)
    if not loaded.ignored:
        languages = [r[2] for r in kept]
        assert languages.count("eng") == dict(figures["top5_lang"]).get("eng", 0)
        years = [str(r[3]) for r in kept]
        for year, count in figures["top3_year"]:
            assert not year.strip() or years.count(year) == count


@pytest.mark.shared
@pytest.mark.parametrize(("name", "count"), [("serials_marc21.xml", 7), ("badisbns.xml", 10)])
def test_marcxml_of_evergreen_loads(
    catalogue: Dataset, shared: Path, name: str, count: int
) -> None:
    (loaded,) = load(catalogue, shared / "systems/evergreen" / name)
    assert counts(loaded) == (count, count, 0, 0, 0, 0, 0)


@pytest.mark.shared
def test_every_file_of_pymarc_is_read(shared: Path) -> None:
    """The same records as pymarc reads, and each other one told."""
    figures = json.loads((shared / "FIGURES.json").read_text())
    source = MarcSource(kind="marc", path="*", fields=FIELDS)
    for name, figure in figures.items():
        if "pymarc_ok" not in figure:
            continue
        found = list(records(source, shared / name))
        good = [r for r in found if not isinstance(r, Unfit)]
        assert len(good) == figure["pymarc_ok"], name
        assert len(found) == figure["record_terminators_0x1D"], name
        assert sum(any(t == "245" for t, _ in r) for r in good) == figure["with_245"], name
        assert sum(any(t == "020" for t, _ in r) for r in good) == figure["with_020"], name


@pytest.mark.shared
def test_texts_are_those_that_pymarc_reads(shared: Path) -> None:
    source = MarcSource(kind="marc", path="*", fields=FIELDS)
    for name in ("jazz_1k.mrc", "lul_fre_100.mrc", "oss.marc"):
        path = shared / "systems/evergreen" / name
        theirs = [r for r in pymarc.MARCReader(io.BytesIO(path.read_bytes())) if r]
        ours = [r for r in records(source, path) if not isinstance(r, Unfit)]
        for mine, other in zip(ours, theirs, strict=True):
            shown = [f.data if f.control_field else [tuple(s) for s in f.subfields] for f in other]
            assert [value for _, value in mine[1:]] == shown


@pytest.mark.shared
@pytest.mark.parametrize("name", ["bad_eacc_encoding.dat", "bad_marc8_escape.dat"])
def test_broken_marc_8_is_no_silent_loss(catalogue: Dataset, shared: Path, name: str) -> None:
    path = shared / "marc_oai/pymarc/test" / name
    (found,) = records(MarcSource(kind="marc", path="*", fields=FIELDS), path)
    assert not isinstance(found, Unfit)
    parts = [
        v for _, value in found for _, v in ([("", value)] if isinstance(value, str) else value)
    ]
    assert any(c >= "\U0010ff00" for part in parts for c in part)


def test_the_ready_spec_is_whole(tmp_path: Path) -> None:
    dataset = of_spec(tmp_path, CATALOGUE)
    assert [c.name for c in dataset.columns] == list(yaml.safe_load(CATALOGUE)["source"]["fields"])
