"""Read a file in blocks of whole lines, as UTF-8, in bounded memory.

A byte that is no text in the file's encoding, and a zero byte, become a private-use character
(U+10FF00 + byte), so that every line can be kept and its line alone is held back; a file's own
characters of that range (private use, in no font) are held back with it. Line ends stay
as they are, save where a carriage return alone ends lines: there it becomes a line feed.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from psycopg import sql

from tasks.dialect import BROKEN, Dialect, opened
from tasks.extract import Arrival
from warehouse.database import connect
from warehouse.errors import SourceMalformed, SourceUnavailable

BLOCK = 8 << 20
LONGEST_LINE = 128 << 20
PAGES = 2_000  # of bronze, 16 MB
MARK = "\U0010ff00".encode()[:2]  # how the UTF-8 of every marked byte starts
SINGLE_BYTE_ENDS = ("utf-8", "utf-8-sig", "cp1252")


@dataclass(frozen=True)
class Block:
    """Whole lines as UTF-8 bytes, and the number of the first one (from 1)."""

    text: bytes
    first_line: int


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Turn undecodable bytes into marks."""
    assert isinstance(error, UnicodeDecodeError)
    broken = error.object[error.start : error.end]
    return "".join(chr(0x10FF00 + byte) for byte in broken), error.end


codecs.register_error("carrel_mark", _mark)


def blocks(arrival: Arrival) -> Iterator[Block]:
    """The file's text, every line of it, block by block.

    Raises:
        SourceUnavailable: the file went away or its compression is broken.
        SourceMalformed: a line is longer than 128 MB.
    """
    pieces = bronze_lines(arrival.dataset, arrival.bronze) if arrival.bronze else _file(arrival)
    line, rest = 1, b""
    for piece in pieces:
        text = rest + piece if rest else piece
        end = text.rfind(b"\n") + 1
        if not end and len(text) > LONGEST_LINE:
            raise SourceMalformed(
                arrival.path, "is longer than 128 MB.", line=line, remedy="Is it a text file?"
            )
        rest = text[end:]
        if end:
            whole = text[:end]
            yield Block(whole, line)
            line += line_ends(whole)
    if rest:
        yield Block(rest, line)


def line_ends(text: bytes) -> int:
    """How many line feeds a text holds (faster than `bytes.count` where they are many)."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == 10))


def _file(arrival: Arrival) -> Iterator[bytes]:
    """The file's bytes, transcoded to UTF-8."""
    dialect = arrival.dialect
    try:
        with opened(arrival.spooled or arrival.path, dialect.compression) as stream:
            for piece in _utf8(stream, dialect):
                yield piece.replace(b"\r", b"\n") if dialect.returns_only else piece
        size = arrival.bytes if arrival.spooled else arrival.path.stat().st_size
    except BROKEN as error:
        raise SourceUnavailable(
            f"{arrival.path}: cannot be read: {error}.", remedy="Fetch it again, whole."
        ) from error
    if size != arrival.bytes:
        raise SourceUnavailable(
            f"{arrival.path}: was changed while it was read.", remedy="Run again when it is whole."
        )


def _utf8(stream: IO[bytes], dialect: Dialect) -> Iterator[bytes]:
    if dialect.encoding in ("utf-8", "utf-8-sig"):
        yield from _checked(stream)
        return
    decoder = codecs.getincrementaldecoder(dialect.encoding)("carrel_mark")
    while chunk := stream.read(BLOCK // 2):
        yield _encoded(decoder.decode(chunk))
    yield _encoded(decoder.decode(b"", final=True))


def _checked(stream: IO[bytes]) -> Iterator[bytes]:
    """UTF-8 as it is, cut at line ends so that no character is cut."""
    rest = b""
    chunk = stream.read(BLOCK).removeprefix(codecs.BOM_UTF8)
    while chunk:
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r", chunk.rfind(b"\n") + 1)) + 1
        if not end and len(rest) + len(chunk) > LONGEST_LINE:
            end = len(chunk)
        if end:
            yield _valid(b"".join((rest, memoryview(chunk)[:end])))
            rest = b""
        rest += chunk[end:]
        chunk = stream.read(BLOCK)
    yield _valid(rest)


def _valid(text: bytes) -> bytes:
    """The text with every byte that is no UTF-8, and every zero byte, marked."""
    if text.isascii():
        return text if b"\0" not in text else _encoded(text.decode("ascii"))
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        return _encoded(text.decode("utf-8", "carrel_mark"))
    return text if b"\0" not in text else _encoded(decoded)


def _encoded(text: str) -> bytes:
    if "\0" in text:
        text = text.replace("\0", "\U0010ff00")
    return text.encode("utf-8", "replace").removeprefix(codecs.BOM_UTF8)


def bronze_lines(dataset: str, load_id: int) -> Iterator[bytes]:
    """The lines that a load landed, each with its line feed."""
    table = sql.Identifier("bronze", f"{dataset}_l{load_id}")
    query = sql.SQL("select convert_to(lines, 'UTF8') from {} order by first_line").format(table)
    with connect() as connection, connection.cursor("pages", binary=True) as pages:
        pages.execute(query)
        while found := pages.fetchmany(PAGES):
            yield b"".join(page for (page,) in found)
