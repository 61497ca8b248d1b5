"""A folder is listed as it is: types by content, what changed, and nothing outside of it."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import contents, kinds
from tasks.scan import Scan, Seen, remember, scan
from tests.tasks.conftest import Make, ask
from warehouse.errors import ConfigurationError, SourceUnavailable

pytestmark = pytest.mark.usefixtures("database")
CSV = "id,name,price\n1,Anna,2.5\n2,Bert,3\n"
RECORD = b"00045nam a2200037 a 4500001000300000\x1e12\x1e\x1d"


@pytest.fixture
def folder(tmp_path: Path, setting: Callable[..., None]) -> Path:
    """An empty landing folder beside a secret that nobody may see."""
    place = tmp_path / "landing"
    place.mkdir()
    (tmp_path / "secret.csv").write_text("password,name\nhunter2,x\n")
    setting(landing=place)
    return place


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def looked(folder: Path, **options: object) -> dict[str, Seen]:
    """The files by path; the scan is remembered."""
    found = scan(folder, **options)  # type: ignore[arg-type]
    remember(found)
    return {one.path: one for one in found.files}


def states(folder: Path, **options: object) -> dict[str, str]:
    return {path: one.state for path, one in looked(folder, **options).items()}


# What a file is -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "is_", "encoding"),
    [
        (CSV, "csv", "utf-8"),
        (CSV.replace(",", ";").encode("utf-16"), "csv", "utf-16"),
        ("id\tname\n1\tZoë\n".encode("cp1252"), "csv", "cp1252"),
        (gzip.compress(CSV.encode(), mtime=0), "csv (gzip)", "utf-8"),
        (b"", "empty", None),
        ("Dear reader,\n\nthis is a letter.\nIt holds no table.\nYours\n", "text", "utf-8"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n", "text", "utf-8"),
        ('[{"a": 1}, {"a": 2}]', "json", "utf-8"),
        ('{\n "a": [1,\n 2]}\n', "json", "utf-8"),
        ('{"a": 1}\n{"a": 2}\n', "json lines", "utf-8"),
        (gzip.compress(b'{"a": 1}\n{"a": 2}\n', mtime=0), "json lines (gzip)", "utf-8"),
        ("[1] A note, with commas,\nno more\n", "text", "utf-8"),
        (RECORD * 2, "marc", "utf-8"),
        (b'<?xml version="1.0"?><collection xmlns="http://www.loc.gov/MARC21/slim"/>', "marcxml",
         "utf-8"),
        ("<a><b>1</b></a>", "xml", "utf-8"),
        ("<!DOCTYPE html><html><table><tr><td>a,b</td></tr></table></html>", "html", "utf-8"),
        (b"%PDF-1.7\n%\xe2\xe3", "pdf", None),
        (bytes(range(256)) * 20, "binary", None),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 900, "binary", None),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "binary", None),
    ],
)  # fmt: skip
def test_content_not_ending_tells_the_type(
    folder: Path, content: str | bytes, is_: str, encoding: str | None
) -> None:
    path = put(folder, "file.xlsx", content)
    (seen,) = looked(folder).values()
    assert (str(seen.content), seen.content.encoding) == (is_, encoding)
    assert seen.sha256 == sha256(path.read_bytes()).hexdigest()
    assert (seen.bytes, seen.modified_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
    assert seen.state == "new"


def test_rows_and_columns(folder: Path) -> None:
    put(folder, "plain.csv", CSV)
    put(folder, "banner.csv", "Report of March\n\nid,name,price\n1,a,2\n2,b,3\n")
    put(folder, "lines.csv", 'id,note\n1,"two\nlines"\n2,x\n3,x,ragged\n')
    put(folder, "packed.gz", gzip.compress(CSV.encode()))
    pq.write_table(pa.table({"a": [1, 2, 3], "b": [1, 2, 3]}), folder / "p")
    found = {p: (s.rows, s.columns, s.estimated) for p, s in looked(folder).items()}
    assert found == {
        "plain.csv": (2, 3, False),
        "banner.csv": (2, 3, False),
        "lines.csv": (3, 2, False),
        "packed.gz": (2, 3, False),
        "p": (3, 2, False),
    }


def test_large_files_are_estimated_and_that_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.scan.CSV", kinds.Kind("csv", most=1 << 20, cut=b"\n"))
    rows = [f"{i:07},name {i * 7919:010},{i % 13}\n" for i in range(120_000)]
    put(folder, "large.csv", "id,name,n\n" + "".join(rows))
    put(folder, "large.csv.gz", gzip.compress(("id,name,n\n" + "".join(rows)).encode()))
    for one in looked(folder).values():
        assert one.estimated
        assert one.columns == 3
        assert one.rows == pytest.approx(120_000, rel=0.1)


# What changed -------------------------------------------------------------------------------------


def test_new_same_changed_gone(folder: Path) -> None:
    put(folder, "a.csv", CSV)
    put(folder, "sub/b.csv", CSV)
    assert states(folder) == {"a.csv": "new", "sub/b.csv": "new"}
    put(folder, "a.csv", CSV + "3,C,1\n")
    os.utime(folder / "sub/b.csv", ns=(1, 1))
    assert states(folder) == {"a.csv": "changed", "sub/b.csv": "same"}
    (folder / "a.csv").unlink()
    assert states(folder) == {"a.csv": "gone", "sub/b.csv": "same"}
    assert states(folder) == {"sub/b.csv": "same"}


def test_each_scanner_and_pattern_has_its_own_memory(folder: Path) -> None:
    put(folder, "a.csv", CSV)
    put(folder, "b.txt", "words\n")
    assert states(folder, pattern="*.csv") == {"a.csv": "new"}
    assert states(folder) == {"a.csv": "same", "b.txt": "new"}
    assert states(folder, scanner="watch", counting=False) == {"a.csv": "new", "b.txt": "new"}
    (folder / "b.txt").unlink()
    assert states(folder, pattern="*.csv") == {"a.csv": "same"}
    assert states(folder) == {"a.csv": "same", "b.txt": "gone"}


def test_an_unchanged_file_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "a.csv", CSV)
    put(folder, "wide.csv", ",".join(f"c{i}" for i in range(2000)) + "\n")
    before = looked(folder)
    monkeypatch.setattr("tasks.scan.opened_entry", None)
    after = looked(folder)
    assert set(map(str, states(folder).values())) == {"same"}
    assert {p: (s.sha256, s.rows, s.header, s.reason) for p, s in after.items()} == {
        p: (s.sha256, s.rows, s.header, s.reason) for p, s in before.items()
    }


def test_a_scan_that_is_not_remembered_changes_nothing(folder: Path) -> None:
    put(folder, "a.csv", CSV)
    scan(folder)
    assert states(folder) == {"a.csv": "new"}
    assert ask("select scanner, path, rows from ops.scans") == [("scan", "a.csv", 2)]


# Who takes it -------------------------------------------------------------------------------------


def test_the_path_or_else_the_header_tells_the_dataset(
    folder: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make(key=["id"], columns={"id": "bigint", "name": "text", "price": "numeric"})
    monkeypatch.setattr("tasks.scan.datasets", lambda: {dataset.table: dataset})
    put(folder, "things/a.csv", "nonsense,header\n1,2\n")
    put(folder, "elsewhere/b.txt", CSV)
    put(folder, "elsewhere/more.csv", "ID,Name,price,colour\n1,a,2,red\n")
    put(folder, "elsewhere/less.csv", "id,name\n1,a\n")
    found = {p: s.taker for p, s in looked(folder).items()}
    assert found == {
        "things/a.csv": ("test_things", "path"),
        "elsewhere/b.txt": ("test_things", "header"),
        "elsewhere/more.csv": ("test_things", "header"),
        "elsewhere/less.csv": None,
    }


# Attacks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["../*", "/etc/*", "a/../../*", ""])
def test_no_pattern_leads_out(folder: Path, pattern: str) -> None:
    with pytest.raises(ConfigurationError):
        scan(folder, pattern=pattern)


def test_no_link_leads_out_and_nothing_special_is_opened(folder: Path) -> None:
    put(folder, "inside/a.csv", CSV)
    (folder / "file").symlink_to(folder.parent / "secret.csv")
    (folder / "relative").symlink_to("../secret.csv")
    (folder / "folder").symlink_to(folder.parent)
    (folder / "nowhere").symlink_to("no such file")
    (folder / "circle").symlink_to("circle")
    (folder / "loop").symlink_to(folder)
    (folder / "near").symlink_to("inside/a.csv")
    (folder / "twice").symlink_to("file")
    os.mkfifo(folder / "pipe")
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as door:
        door.bind(f"{short}/door")
        os.rename(f"{short}/door", folder / "door")
        found = looked(folder)
    assert {p: s.reason for p, s in found.items()} == {
        "inside/a.csv": None,
        "near": None,
        "file": "is a link that leads out of the folder",
        "relative": "is a link that leads out of the folder",
        "twice": "is a link that leads out of the folder",
        "folder": "is a link that leads out of the folder",
        "nowhere": "is a link that leads nowhere",
        "circle": "is a link that leads nowhere",
        "loop": "is a link to what is no file: not followed",
        "pipe": "is a pipe",
        "door": "is a socket",
    }
    assert found["near"].sha256 == found["inside/a.csv"].sha256
    assert all(s.sha256 is None and s.header is None for s in found.values() if s.reason)
    assert "password" not in str(found)


def test_a_folder_that_becomes_a_link_is_not_entered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between listing and opening somebody puts a link in the folder's place."""
    from tasks import walk

    put(folder, "sub/secret.csv", CSV)
    (entry,) = walk.walk(folder)
    (folder / "sub").rename(folder / "was")
    (folder / "sub").symlink_to(folder.parent)
    with pytest.raises(OSError, match=r"."), walk.opened_entry(folder, entry):
        pass
    (folder / "sub").unlink()
    (folder / "was").rename(folder / "sub")
    (folder / "sub/secret.csv").unlink()
    (folder / "sub/secret.csv").symlink_to(folder.parent / "secret.csv")
    with pytest.raises(OSError, match=r"."), walk.opened_entry(folder, entry):
        pass


def test_bombs_are_refused_unopened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "SMALL", 1 << 20)
    with zipfile.ZipFile(folder / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr("xl/workbook.xml", "")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (4 << 20))
    with zipfile.ZipFile(folder / "many.zip", "w") as archive:
        for i in range(contents.MOST_ENTRIES + 1):
            archive.writestr(f"{i}", "")
    put(folder, "bomb.csv.gz", gzip.compress(b"0,0\n" * (1 << 20)))
    for one in looked(folder).values():
        assert one.reason is not None
        assert one.reason.endswith("a bomb."), one
        assert one.sha256
        assert one.rows is None


def test_limits_and_broken_archives_are_listed(folder: Path) -> None:
    put(folder, "long.csv", CSV * 100)
    put(folder, "cut.csv.gz", gzip.compress(os.urandom(5000) + CSV.encode())[:-900])
    put(folder, "cut.zip", b"PK\x03\x04 and no more")
    put(folder, "cut.parquet", b"PAR1 and no more")
    found = {p: s.reason or "" for p, s in looked(folder, largest=6000).items()}
    small = looked(folder, largest=2000)["long.csv"]
    assert (small.reason, small.sha256) == ("is larger than 2,000 bytes: not read", None)
    assert "broken gzip" in found["cut.csv.gz"]
    assert "broken zip" in found["cut.zip"]
    assert "Parquet" in found["cut.parquet"]
    assert not [reason for reason in found.values() if "carrel-" in reason or "/proc/" in reason]


def test_what_cannot_be_read_is_listed_with_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.csv", CSV)
    put(folder, "closed.csv", CSV)
    real = os.open

    def refuse(path: str, *rest: int, **more: int) -> int:  # root may read anything
        if path == "closed.csv":
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    found = looked(folder)
    assert found["closed.csv"].reason == "cannot be read: Permission denied"
    assert found["a.csv"].rows == 2
    monkeypatch.undo()


def test_strange_names(folder: Path) -> None:
    deep = folder / "/".join(["d"] * 70)
    deep.mkdir(parents=True)
    put(folder, "new\nline.csv", CSV)
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff.csv"))).write_text(CSV)
    found = looked(folder)
    assert {"new\nline.csv", "\\xff.csv"} < set(found)
    assert [s.reason for s in found.values() if s.reason] == ["lies deeper than 64 folders"]
    assert all(s.rows == 2 for s in found.values() if not s.reason)


def test_no_folder(folder: Path) -> None:
    for path in (folder / "none", put(folder, "file", "x")):
        with pytest.raises(SourceUnavailable, match=path.name):
            scan(path)


# Real files ---------------------------------------------------------------------------------------


def test_real_files(shared: Path) -> None:
    """What `find` counts is what the scan lists, and types are what the files are."""
    found: Scan = scan(shared, counting=False)
    listed = subprocess.run(
        ["find", str(shared), "-type", "f", "-printf", "%P\\n"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert sorted(s.path for s in found.files) == sorted(listed)
    types = Counter(str(s.content) for s in found.files)
    sheets = (".xls", ".xlsx", ".xlsm", ".ods")
    assert types["excel"] == sum(p.endswith(sheets) for p in listed)
    assert types["zip"] == sum(p.endswith(".zip") for p in listed)
    assert types["html"] == sum(p.endswith(".html") for p in listed)
    assert types["parquet"] == sum(p.endswith((".parq", ".parquet")) for p in listed)
    assert types["json lines"] == sum(p.endswith(("jsonl", ".ndjson")) for p in listed)
    assert types["csv (gzip)"] == sum(p.endswith(".gz") for p in listed)
    assert types["marc"] == sum(p.endswith((".mrc", ".marc", ".dat")) for p in listed)
    text_in_disguise = 1  # dirty/frictionless/invalid.json is the text "invalid"
    assert types["json"] == sum(p.endswith(".json") for p in listed) - text_in_disguise
    delimited = [s for s in found.files if s.path.endswith((".csv", ".tsv", ".psv", ".ssv"))]
    others = Counter(s.content.type for s in delimited) - Counter({"csv": 10_000})
    assert others == {"text": 2, "empty": 1}  # two of one column
    marked_up = [s for s in found.files if s.path.endswith(".xml")]
    assert Counter(s.content.type for s in marked_up) == {"xml": 18, "marcxml": 5, "text": 1}
    assert not [s.path for s in found.files if s.reason]
