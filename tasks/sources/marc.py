"""Read MARC records: ISO 2709 in MARC-8 or UTF-8, and MARCXML.

The spec's `fields` say where a column stands: `001`, `008[35:38]`, `245$ab` (subfields in their
order, joined by a blank), `245` (all of them), `LDR[6:8]`; an x stands for any digit (`6xx$a`).
Several places may be named, with commas between (`100$a, 110$a`). What is found several times is
joined by ` | `. A record that cannot be read goes to quarantine with the reason.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

import tasks.blocks  # noqa: F401 - it registers the error handler `carrel_mark`
from tasks.arrays import texts
from tasks.json_text import unpacked
from tasks.marc8 import decoded
from tasks.marc_xml import records as xml_records
from tasks.sources import FAULT
from warehouse.errors import SourceMalformed
from warehouse.sources import MARC_PLACE, MarcSource
from warehouse.spec import Dataset

ROWS = 5_000
HIGH = 0x80
LEADER, ENTRY = 24, 12  # bytes of the leader, and of an entry of the directory
LONGEST = 99_999  # bytes of a record, by ISO 2709; longer ones say this
END_OF_RECORD, END_OF_FIELD, SUBFIELD = b"\x1d", b"\x1e", b"\x1f"
PADDING = b" \t\r\n\0\x1a"  # may stand between records
NEXT_LEADER = re.compile(rb"(?=(\d{5})[ -~]{5}22\d{5}[ -~]{3}45)")
STARTS = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<", b"\xfe\xff\0<", b"<\0", b"\0<")
BETWEEN = " | "
Subfields = list[tuple[str, str]]
Record = list[tuple[str, str | Subfields]]  # tag, and text or subfields; LDR is first


class Unfit(ValueError):
    """Why a record cannot be read."""


@dataclass(frozen=True)
class Place:
    """One place in a record."""

    tag: re.Pattern[str]
    codes: str
    part: slice

    def of(self, record: Record) -> Iterator[str]:
        """What stands there, as often as it does; blanks do not count."""
        for tag, value in record:
            if self.tag.fullmatch(tag):
                text = value if isinstance(value, str) else self._joined(value)
                if (shown := text[self.part]).strip():
                    yield shown

    def _joined(self, subfields: Subfields) -> str:
        wanted = (v.strip() for c, v in subfields if not (c and self.codes) or c in self.codes)
        return " ".join(text for text in wanted if text)


def places(written: str) -> list[Place]:
    """The places that a spec names, as in `100$a, 110$a`; the spec's model has checked them."""
    found = []
    for match in re.finditer(MARC_PLACE, written):
        tag, codes, start, end = match.groups()
        part = slice(int(start), int(end)) if start else slice(None)
        found.append(Place(re.compile(tag.replace("x", r"\d")), codes or "", part))
    return found


def row(record: Record, fields: dict[str, list[Place]]) -> dict[str, str | None]:
    """The columns of a record."""
    return {
        name: BETWEEN.join(dict.fromkeys(text for place in wanted for text in place.of(record)))
        or None
        for name, wanted in fields.items()
    }


def read(dataset: Dataset, path: Path | None) -> Iterator[pa.Table]:
    """The file's records.

    Raises:
        SourceUnavailable: it cannot be read.
        SourceMalformed: it holds no MARC at all.
    """
    source = dataset.source
    assert path
    assert isinstance(source, MarcSource)
    fields = {name: places(written) for name, written in source.fields.items()}
    names = [*fields, FAULT]
    yield _table([], names)
    batch: list[dict[str, str | None]] = []
    for found in records(source, path):
        batch.append({FAULT: str(found)} if isinstance(found, Unfit) else row(found, fields))
        if len(batch) == ROWS:
            yield _table(batch, names)
            batch = []
    yield _table(batch, names)


def _table(batch: list[dict[str, str | None]], names: list[str]) -> pa.Table:
    cells = [texts([found.get(name) for found in batch]) for name in names]
    return pa.table(cells, names)


def records(source: MarcSource, path: Path) -> Iterator[Record | Unfit]:
    """The records of a file in order, or why one cannot be read.

    Raises:
        SourceUnavailable: it cannot be read.
        SourceMalformed: it holds no MARC at all.
    """
    chunks = unpacked(path)
    first = next(chunks, b"")
    if first.lstrip(PADDING).startswith(STARTS):
        for found in xml_records(path, first, chunks):
            yield Unfit(found) if isinstance(found, str) else found
        return
    start = first.lstrip(PADDING)
    if start and END_OF_RECORD not in start and not NEXT_LEADER.match(start):
        raise SourceMalformed(
            path, "holds no MARC record.", remedy="It should be ISO 2709 (.mrc) or MARCXML."
        )
    _check(path, source.encoding)
    for raw in _raw(path, first, chunks):
        yield from _of_raw(raw, source.encoding)


def _check(path: Path, encoding: str | None) -> None:
    try:
        codecs.lookup(encoding or "utf-8")
    except LookupError:
        raise SourceMalformed(
            path, f"{encoding!r} is no encoding.", remedy="Correct source.encoding in the spec."
        ) from None


def _raw(path: Path, first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of each record, cut at the ends of records."""
    rest = first
    while True:
        *whole, rest = rest.split(END_OF_RECORD)
        for raw in whole:
            if raw.strip(PADDING):
                yield raw.lstrip(PADDING) + END_OF_RECORD
        chunk = next(chunks, None)
        if chunk is None:
            break
        rest += chunk
        if len(rest) > 64 << 20:
            raise SourceMalformed(
                path, "holds no end of a record within 64 MB.", remedy="Is it the right file?"
            )
    if rest.strip(PADDING):
        yield rest.lstrip(PADDING)


def _of_raw(raw: bytes, encoding: str | None) -> Iterator[Record | Unfit]:
    """The record in some bytes; two where the end of the first is missing."""
    if not raw[:5].isdigit() or int(raw[:5]) != len(raw):
        for match in NEXT_LEADER.finditer(raw, 1):
            if int(match[1]) == len(raw) - match.start():
                yield Unfit("is cut short: the next record starts within it")
                yield from _of_raw(raw[match.start() :], encoding)
                return
    try:
        yield _record(raw, encoding)
    except Unfit as error:
        yield error


def _record(raw: bytes, encoding: str | None) -> Record:
    """Decode a record of ISO 2709.

    Raises:
        Unfit: why it cannot be read.
    """
    if len(raw) < LEADER or not raw[:LEADER].isascii():
        raise Unfit("has no leader of 24 characters")
    if not raw.endswith(END_OF_RECORD):
        raise Unfit("is cut short: the file ends before its end")
    if not raw[:5].isdigit():
        raise Unfit("does not tell its length in the first 5 bytes")
    if int(raw[:5]) != min(len(raw), LONGEST):
        raise Unfit(f"should have {int(raw[:5]):,} bytes and has {len(raw):,}")
    if not raw[12:17].isdigit() or not LEADER < int(raw[12:17]) < len(raw):
        raise Unfit("does not tell where its fields start")
    base = int(raw[12:17])
    directory = raw[LEADER : base - 1]
    if len(directory) % ENTRY or not directory.isascii():
        raise Unfit("has a broken directory")
    if not directory:
        raise Unfit("has no fields")
    encoding = encoding or ("utf-8" if _is_utf8(raw) else "marc-8")
    found: Record = [("LDR", raw[:LEADER].decode("ascii"))]
    for at in range(0, len(directory), ENTRY):
        found.append(_field(raw, base, directory[at : at + ENTRY], encoding))
    return found


def _is_utf8(raw: bytes) -> bool:
    """Whether the leader says so, or it is forgotten there: no MARC-8 is UTF-8 by chance."""
    if raw[9:10] == b"a":
        return True
    if raw.isascii() or b"\x1b" in raw:
        return False
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _field(raw: bytes, base: int, entry: bytes, encoding: str) -> tuple[str, str | Subfields]:
    tag, numbers = entry[:3].decode("ascii"), entry[3:]
    if not numbers.isdigit():
        raise Unfit("has a broken directory")
    start = base + int(numbers[4:])
    end = start + int(numbers[:4])
    if end > len(raw) or raw[end - 1 : end] != END_OF_FIELD:
        raise Unfit(f"has a field {tag} that does not stand where the directory says")
    content = raw[start : end - 1]
    if tag < "010" and tag.isdigit():
        return tag, _text(content, encoding)
    _, *parts = content.split(SUBFIELD)
    return tag, [_subfield(part, encoding) for part in parts if part]


def _subfield(part: bytes, encoding: str) -> tuple[str, str]:
    """A subfield's code and text; where the code is no letter it is text, shown under any code."""
    if part[0] >= HIGH:
        return "", _text(part, encoding)
    return chr(part[0]), _text(part[1:], encoding)


def _text(content: bytes, encoding: str) -> str:
    """A text; bytes that are none become marks (`blocks`), which hold the record back if shown."""
    if encoding == "marc-8":
        return decoded(content)
    return content.decode(encoding, "carrel_mark")
