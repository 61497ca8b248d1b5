"""How a text file is written: compression, encoding, delimiter, header; found by looking."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from warehouse.errors import SourceMalformed
from warehouse.sources import CsvSource
from warehouse.spec import Dataset

SAMPLE = 1 << 20
LONGEST_SKIP = SAMPLE // 4  # characters of a sample: as many as it has in UTF-32
DELIMITERS = ",;\t|"
FALLBACK = "cp1252"
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
OPENERS: dict[str, Callable[..., Any]] = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
MAGIC = ((b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"))
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)  # what reading a broken file raises
NO_TEXT = ((b"PK\x03\x04", "a zip or Excel file"), (b"\xd0\xcf\x11\xe0", "an old Excel file"))


@dataclass(frozen=True)
class Dialect:
    """How a file is written. Lines count from 1; `first_line` is the first line of data."""

    encoding: str
    delimiter: str
    quote: str | None
    compression: str | None
    header: tuple[str, ...]
    header_line: int
    first_line: int
    returns_only: bool = False  # a carriage return alone ends a line


class Unclosed(ValueError):
    """A quoted field that the text never closes."""


def opened(path: Path, compression: str | None) -> IO[bytes]:
    """The file's bytes, decompressed."""
    opener = OPENERS.get(compression or "", open)
    stream: IO[bytes] = opener(path, "rb")
    return stream


def compression_of(path: Path) -> str | None:
    """Which compression the first bytes show.

    Raises:
        SourceMalformed: the file is of a kind that holds no text.
    """
    with path.open("rb") as stream:
        start = stream.read(8)
    for magic, kind in NO_TEXT:
        if start.startswith(magic):
            raise SourceMalformed(path, f"is {kind}.", remedy="Save it as CSV.")
    return next((name for magic, name in MAGIC if start.startswith(magic)), None)


def encoding_of(sample: bytes, rest: Iterable[bytes] = ()) -> str:
    """The encoding of a text.

    Byte order marks decide; then zero bytes (UTF-16); then whether non-ASCII bytes make more
    valid UTF-8 characters than broken ones; `cp1252` where they do not.

    Args:
        sample: the first bytes.
        rest: further chunks, looked at for non-ASCII bytes only.
    """
    for mark, name in BOMS:
        if sample.startswith(mark):
            return name
    if b"\0" in sample and (wide := _zero_bytes(sample)):
        return wide
    good = bad = 0
    for chunk in (sample, *rest):
        if not chunk.isascii():
            found, broken = _utf8_characters(chunk)
            good, bad = good + found, bad + broken
    return "utf-8" if good >= bad else FALLBACK


def _utf8_characters(chunk: bytes) -> tuple[int, int]:
    """How many characters beyond ASCII are whole, and how many are broken."""
    start = next((i for i, byte in enumerate(chunk[:4]) if byte & 0xC0 != 0x80), 0)
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(chunk[start:])
    broken = text.count("\ufffd") - chunk.count("\ufffd".encode())
    return len(re.findall(r"[^\x00-\x7f]", text)) - broken, broken


def is_text(sample: str) -> bool:
    """Whether control characters are rare."""
    start = sample[:65536]
    return len(CONTROL.findall(start)) <= 20 + len(start) / 20


def first_control(text: str) -> int:
    """Where the first control character stands, 0 where there is none."""
    match = CONTROL.search(text)
    return match.start() if match else 0


def _zero_bytes(sample: bytes) -> str | None:
    half = len(sample) // 2
    if sample[1::2].count(0) > half * 0.3:
        return "utf-16-le"
    return "utf-16-be" if sample[0::2].count(0) > half * 0.3 else None


def record_at(text: str, at: int, delimiter: str, quote: str | None) -> tuple[list[str], int]:
    """The fields of the record that starts at a position, and where the next one starts.

    A line ends at LF or CRLF. After a closing quote, text up to the delimiter belongs to the
    field. A quote inside an unquoted field is text.

    Raises:
        Unclosed: a quoted field has no end.
    """
    plain = re.compile(f"[^{re.escape(delimiter)}\n]*")
    fields = []
    while True:
        field, at = _field(text, at, quote, plain)
        ended = at >= len(text) or text[at] == "\n"
        if ended and field.endswith("\r"):
            field = field[:-1]
        fields.append(field)
        at += 1
        if ended:
            return fields, min(at, len(text))


def _field(text: str, at: int, quote: str | None, plain: re.Pattern[str]) -> tuple[str, int]:
    start = ""
    if quote and text.startswith(quote, at):
        at += 1
        while True:
            end = text.find(quote, at)
            if end < 0:
                raise Unclosed
            start += text[at:end]
            at = end + 1
            if not text.startswith(quote, at):
                break
            start += quote
            at += 1
    match = plain.match(text, at)
    assert match
    return start + match.group(), match.end()


def records(text: str, delimiter: str, quote: str | None, limit: int) -> list[list[str]]:
    """The first records of a text, at most `limit`; an unclosed one ends the list."""
    found: list[list[str]] = []
    at = 0
    while at < len(text) and len(found) < limit:
        try:
            fields, at = record_at(text, at, delimiter, quote)
        except Unclosed:
            break
        found.append(fields)
    return found


def delimiter_of(text: str, source: CsvSource, wanted: Iterable[str]) -> str:
    """The delimiter under which most wanted headers appear, else the steadiest one."""
    names = {fold(name) for name in wanted}

    def score(delimiter: str) -> tuple[int, float, int]:
        rows = [r for r in records(text, delimiter, source.quote, 60) if any(r)]
        if not rows:
            return 0, 0.0, 0
        widths = [len(r) for r in rows]
        usual = max(set(widths), key=widths.count)
        known = len(names & {fold(f) for f in rows[0]}) if source.header else 0
        return known, widths.count(usual) / len(widths) if usual > 1 else 0.0, usual

    return max(DELIMITERS, key=score)


def fold(header: str) -> str:
    """A header as it is compared: one blank for each run of white space, no case."""
    return " ".join(header.replace("\ufeff", "").split()).casefold()


def dialect_of(dataset: Dataset, path: Path, encoding: str, sample: str) -> Dialect:
    """The dialect of a file from its first text (decoded, line ends as they are).

    An empty file is taken to have the headers that the spec names.

    Raises:
        SourceMalformed: a header is never closed, or no header is near the start.
    """
    source = dataset.text
    returns_only = "\r" in sample and "\n" not in sample
    if returns_only:
        sample = sample.replace("\r", "\n")
    text, line = _skip(sample, source)
    if not text and len(sample) >= LONGEST_SKIP:
        raise SourceMalformed(
            path,
            f"has nothing but blank lines, comments or preamble in its first {line - 1} lines.",
            remedy="Remove them, or correct source.preamble and source.comment.",
        )
    delimiter = source.delimiter or delimiter_of(text, source, _wanted(dataset))
    try:
        fields, end = record_at(text, 0, delimiter, source.quote) if text else ([], 0)
    except Unclosed:
        raise SourceMalformed(
            path, "a quoted header is never closed.", line=line, remedy="Set source.quote."
        ) from None
    if not text:
        header, first = tuple(c.header for c in dataset.columns), line
    elif source.header:
        header = tuple(" ".join(f.replace("\ufeff", "").split()) for f in fields)
        ends_there = not text[:end].endswith("\n")  # a file may end with its header
        first = line + text.count("\n", 0, end) + ends_there
    else:
        header, first = tuple(f"c{i}" for i in range(1, len(fields) + 1)), line
    return Dialect(encoding, delimiter, source.quote, None, header, line, first, returns_only)


def _skip(text: str, source: CsvSource) -> tuple[str, int]:
    """Skip preamble, comments and blank lines; return the rest and its line number."""
    at, line = 0, 1
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end + 1
        piece = text[at:end]
        comment = source.comment and piece.startswith(source.comment)
        if line > source.preamble and piece.strip("\ufeff\r\n") and not comment:
            break
        at, line = end, line + 1
    return text[at:], line


def _wanted(dataset: Dataset) -> list[str]:
    return [name for c in dataset.columns for name in (c.header, *c.aliases)]
