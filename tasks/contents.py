"""What a file holds, told by its bytes and never by the ending of its name.

Archives are judged by what they say they hold before anything is unpacked; a bomb is refused.
"""

from __future__ import annotations

import json
import re
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tasks.dialect import (
    BROKEN,
    DELIMITERS,
    MAGIC,
    OPENERS,
    SAMPLE,
    encoding_of,
    is_text,
    records,
)
from warehouse.errors import SourceMalformed, SourceUnavailable

CHUNK = 1 << 20
MOST_UNPACKED = 4 << 30  # bytes that an archive may hold
MOST_ENTRIES = 10_000
LONGEST_ENTRY = 1024  # bytes of an archive's directory a file
TAIL = 66_000  # bytes at an archive's end that say where its directory is
MOST_RATIO = 250  # times its own size; text seldom shrinks to less than a fiftieth
SMALL = 64 << 20  # an archive that unpacks to less than this is no danger
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SPREADSHEET = b"application/vnd.oasis.opendocument.spreadsheet"
SHEETS = tuple(name.encode("utf-16-le") for name in ("Workbook", "Book"))
STARTS = ((b"PAR1", "parquet"), (b"%PDF-", "pdf"), (b"PK\x05\x06", "zip"))
MARC = re.compile(rb"\s*\d{5}[ -~]{5}[\d ]{2}\d{5}[ -~]{3}[\d ]{4}")
MARKUP = re.compile(r"\s*<(?:[!?]|[A-Za-z_][\w.:-]*[\s/>])")
HTML = re.compile(r"<(!doctype html|html|head|body|table)\b", re.IGNORECASE)
MARCXML = re.compile(r"MARC21/slim|<(?:\w+:)?leader>.*<(?:\w+:)?datafield\b", re.DOTALL)
JSON = re.compile(r'\s*(\{\s*["}]|\[\s*[\[{"\]]|\[\s*-?\d[\d.eE+-]*\s*[,\]])')
ROWS_LOOKED_AT = 60
LONG_HEADER = 40


@dataclass(frozen=True)
class Content:
    """What a file holds.

    `type` is one of empty, csv, excel, json, json lines, parquet, marc, marcxml, xml, html, zip,
    pdf, text, binary; `compression` is gzip, bz2 or xz; `encoding` is None where there is no text.
    """

    type: str
    compression: str | None = None
    encoding: str | None = None

    def __str__(self) -> str:
        return f"{self.type} ({self.compression})" if self.compression else self.type


def content_of(path: Path) -> Content:
    """Look at a file.

    Raises:
        SourceUnavailable: it cannot be read.
        SourceMalformed: it is an archive that is broken, or a bomb.
    """
    try:
        with path.open("rb") as stream:
            return look(stream, path)
    except OSError as error:
        raise SourceUnavailable(
            f"{path}: cannot be read: {error.strerror or error}.",
            remedy="May this account read it?",
        ) from error


def look(stream: IO[bytes], path: Path) -> Content:
    """As `content_of`, of an open file; `path` is what errors name."""
    start = stream.read(SAMPLE)
    compression = next((name for magic, name in MAGIC if start.startswith(magic)), None)
    if compression:
        start = b"".join(unpacked(stream, compression, path, SAMPLE))[:SAMPLE]
    if not start:
        return Content("empty", compression)
    if start.startswith(b"PK\x03\x04") and not compression:
        return Content(_zipped(stream, path))
    if start.startswith(OLE):
        return Content(
            "excel" if not compression and _has_sheets(stream) else "binary", compression
        )
    for magic, name in (*STARTS, (b"PK\x03\x04", "zip")):
        if start.startswith(magic):
            return Content(name, compression)
    if MARC.match(start) and b"\x1e" in start:
        return Content("marc", compression, "utf-8" if start.lstrip()[9:10] == b"a" else "marc-8")
    return _text(start, compression, whole=len(start) < SAMPLE)


def unpacked(stream: IO[bytes], compression: str, path: Path, limit: int) -> Iterator[bytes]:
    """What a compressed file holds, a megabyte at a time, until `limit` bytes are out.

    Raises:
        SourceMalformed: it is broken, or unpacks to more than 250 times what was read of it.
    """
    stream.seek(0)
    out = 0
    with OPENERS[compression](stream, "rb") as inner:
        while out < limit:
            try:
                chunk = inner.read(CHUNK)
            except (*BROKEN, ValueError, MemoryError, struct.error) as error:
                raise SourceMalformed(
                    path, f"is a broken {compression} file: {error}.", remedy="Fetch it again."
                ) from None
            if not chunk:
                return
            out += len(chunk)
            if out > SMALL and out > MOST_RATIO * max(stream.tell(), 1):
                raise SourceMalformed(
                    path,
                    f"unpacks to more than {MOST_RATIO} times its size: a bomb.",
                    remedy="Do not unpack it.",
                )
            yield chunk


def entries(stream: IO[bytes], path: Path) -> list[zipfile.ZipInfo]:
    """What a zip file says it holds.

    Raises:
        SourceMalformed: it is broken, or would unpack to too much.
    """
    _short_directory(stream, path)
    try:
        with zipfile.ZipFile(stream) as archive:
            found = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise SourceMalformed(
            path, f"is a broken zip or Excel file: {error}.", remedy="Fetch it again."
        ) from None
    size = stream.seek(0, 2)
    packed, total = sum(e.compress_size for e in found), sum(e.file_size for e in found)
    fault = None
    if len(found) > MOST_ENTRIES:
        fault = f"holds {len(found):,} files"
    elif packed > size:
        fault = "holds files that lie over each other"
    elif total > MOST_UNPACKED or (total > SMALL and total > MOST_RATIO * size):
        fault = f"unpacks to {total:,} bytes, {total // max(size, 1):,} times its size"
    if fault:
        raise SourceMalformed(path, f"{fault}: a bomb.", remedy="Do not unpack it.")
    return found


def _short_directory(stream: IO[bytes], path: Path) -> None:
    """Refuse a zip file whose directory alone would fill the memory."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - TAIL))
    tail = stream.read(TAIL)
    long = 0
    if (at := tail.rfind(b"PK\x05\x06")) >= 0 and at + 16 <= len(tail):
        long = struct.unpack_from("<I", tail, at + 12)[0]
    if long == 0xFFFFFFFF and (at := tail.rfind(b"PK\x06\x06")) >= 0 and at + 48 <= len(tail):
        long = struct.unpack_from("<Q", tail, at + 40)[0]
    if long > MOST_ENTRIES * LONGEST_ENTRY:
        raise SourceMalformed(
            path, "holds a directory of too many files: a bomb.", remedy="Do not unpack it."
        )


def _zipped(stream: IO[bytes], path: Path) -> str:
    """excel or zip."""
    names = {e.filename for e in entries(stream, path)}
    books = {name.rpartition("/")[2] for name in names} & {"workbook.xml", "workbook.bin"}
    if books and "[Content_Types].xml" in names:
        return "excel"
    if "mimetype" in names and _first(stream, path, "mimetype").startswith(SPREADSHEET):
        return "excel"
    return "zip"


def _first(stream: IO[bytes], path: Path, name: str) -> bytes:
    """The start of a file in an archive."""
    stream.seek(0)
    try:
        with zipfile.ZipFile(stream) as archive, archive.open(name) as inner:
            return inner.read(80)
    except Exception as error:  # of a damaged archive the library raises nearly anything
        raise SourceMalformed(
            path, f"is a broken zip or Excel file: {error}.", remedy="Fetch it again."
        ) from None


def _has_sheets(stream: IO[bytes]) -> bool:
    """Whether an OLE file's directory names a workbook's stream."""
    stream.seek(0)
    head = stream.read(512)
    if len(head) < 512:
        return False
    size = 1 << min(struct.unpack_from("<H", head, 30)[0], 12)
    place = (struct.unpack_from("<I", head, 48)[0] + 1) * size
    stream.seek(min(place, stream.seek(0, 2)))  # a damaged one may point beyond any file's end
    directory = stream.read(8 * size)
    return any(name in directory for name in SHEETS)


def _text(start: bytes, compression: str | None, *, whole: bool) -> Content:
    """Which kind of text; binary where it is none."""
    encoding = encoding_of(start)
    text = start.decode(encoding, "replace").lstrip("\ufeff")
    if not is_text(text):
        return Content("binary", compression)
    return Content(_kind_of(text, whole), compression, encoding)


def _kind_of(text: str, whole: bool) -> str:
    if MARKUP.match(text) and (not whole or text.rstrip().endswith(">")):
        if HTML.search(text[:2000]):
            return "html"
        return "marcxml" if MARCXML.search(text[:65536]) else "xml"
    if JSON.match(text) and (kind := _json(text, whole)):
        return kind
    return "csv" if is_table(text) else "text"


def _json(text: str, whole: bool) -> str | None:
    """json or json lines; None where it only starts like that."""
    lines = [line for line in text.splitlines() if line.strip()]
    first = lines[: 1 if len(lines) < 3 and not whole else 2]
    if len(lines) > 1 and all(_is_json(line) for line in first):
        return "json lines"
    if not whole or _is_json(text):
        return "json"
    # Broken JSON is still JSON where it starts with a name; "[1] a note" is a text.
    return "json" if re.match(r'\s*(\{\s*"|\[\s*\{\s*")', text) else None


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def is_table(text: str) -> bool:
    """Whether most of the first lines have the same number of fields, which is two or more."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if re.search(r"^[ \t]*+\|?[ \t]*+:?-{3,}+:?[ \t]*+\|", text, re.MULTILINE):
        return False  # a table in markdown
    for delimiter in DELIMITERS:
        rows = [r for r in records(text, delimiter, '"', ROWS_LOOKED_AT) if any(map(str.strip, r))]
        widths = [len(r) for r in rows]
        usual = max(set(widths), key=widths.count, default=0)
        if usual > 1 and widths.count(usual) * 2 > len(widths):
            return True
        if len(rows) > 1 and min(widths) > 1 and all(len(cell) < LONG_HEADER for cell in rows[0]):
            return True  # ragged, but no line is without a delimiter
    return False
