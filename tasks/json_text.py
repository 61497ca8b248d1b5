"""Read JSON text a value at a time, in bounded memory, numbers as they are written."""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

import tasks.blocks  # noqa: F401 - it registers the error handler `carrel_mark`
from tasks.dialect import BROKEN, SAMPLE, compression_of, opened
from tasks.extract import encoding_in
from warehouse.errors import SourceMalformed, SourceUnavailable

PIECE = 1 << 20
LONGEST = 32 << 20  # characters of one value
BLANKS = " \t\r\n\ufeff\x1e"  # a mark of byte order may stand between joined files, RS in RFC 7464
BLANK = re.compile(f"[{BLANKS}]*")
CONSTANTS = {None: "null", True: "true", False: "false"}
NEARLY = 16  # characters before the end of what is read, where an error may be a value cut short


class Number(str):
    """A number (or NaN, Infinity) as it is written."""

    __slots__ = ()


class Doubled(dict[str, Any]):
    """An object that names a key twice; it holds the last value of each."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Doubled(found)


DECODER = json.JSONDecoder(
    parse_float=Number,
    parse_int=Number,
    parse_constant=Number,
    object_pairs_hook=_object,
    strict=False,
)


def dumps(value: Any) -> str:
    """A value as JSON text, its numbers as they were written.

    Raises:
        ValueError: an object names a key twice.
    """
    if isinstance(value, str):
        return str(value) if isinstance(value, Number) else encode_basestring(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(dumps, value)) + "]"
    if not isinstance(value, dict):
        return CONSTANTS[value]
    if isinstance(value, Doubled):
        raise ValueError("names a key twice")
    return "{" + ", ".join(f"{encode_basestring(k)}: {dumps(v)}" for k, v in value.items()) + "}"


def unpacked(path: Path) -> Iterator[bytes]:
    """A file's bytes, decompressed, piece by piece.

    Raises:
        SourceUnavailable: it cannot be read, or its compression is broken.
    """
    try:
        with opened(path, compression_of(path)) as stream:
            chunk = stream.read(SAMPLE)
            while chunk:
                yield chunk
                chunk = stream.read(PIECE)
    except BROKEN as error:
        raise SourceUnavailable(
            f"{path}: cannot be read: {error}.", remedy="Fetch it again, whole."
        ) from error


def pieces(path: Path) -> Iterator[str]:
    """A file's text, decompressed and decoded; bytes that are no text become marks (`blocks`).

    Raises:
        SourceUnavailable: it cannot be read, or its compression is broken.
    """
    chunks = unpacked(path)
    first = next(chunks, b"")
    encoding = encoding_in(path, compression_of(path), first)
    return decoded(itertools.chain([first], chunks), encoding)


def decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """The text of some bytes; those that are no text become marks (`blocks`)."""
    decode = codecs.getincrementaldecoder(encoding)("carrel_mark").decode
    for chunk in chunks:
        yield decode(chunk)
    yield decode(b"", True)


def lines(path: Path, text: Iterator[str]) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, and their numbers from 1.

    Raises:
        SourceMalformed: a line is longer than 32 million characters.
    """
    number, rest = 1, ""
    for piece in text:
        if "\n" not in piece and len(rest) + len(piece) > LONGEST:
            raise SourceMalformed(
                path,
                "is longer than 32 million characters.",
                line=number,
                remedy="Write each record on a line of its own.",
            )
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            if stripped := line.strip(BLANKS):
                yield number, stripped
            number += 1
    if stripped := rest.strip(BLANKS):
        yield number, stripped


class Text:
    """JSON text and a place in it, which every method moves on."""

    def __init__(self, path: Path | str, text: Iterator[str]) -> None:
        """Read a text, given in pieces; errors name `path`."""
        self._path, self._pieces = path, text
        self._buffer, self._at, self._line, self._ended = "", 0, 1, False

    def peek(self) -> str:
        """The next character that is not blank; nothing at the end."""
        while True:
            match = BLANK.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if self._ended:
                return ""
            self._more()

    def value(self) -> Any:
        """The next value.

        Raises:
            SourceMalformed: it is broken, cut short, or longer than 32 million characters.
        """
        self.peek()
        while True:
            found = self._try()
            if found is not None:
                return found[0]
            if len(self._buffer) - self._at > LONGEST:
                raise self.broken(
                    "a value is longer than 32 million characters.",
                    remedy="Name the list of records in source.records, or write JSON lines.",
                )
            self._more()

    def skip(self) -> None:
        """Pass the next value, however long it is."""
        first = self.peek()
        if self._try(tolerant=True) is not None:
            return
        if first == "[":
            for _ in self.items():
                self.skip()
        elif first == "{":
            for _ in self.members():
                self.skip()
        else:
            self.value()

    def items(self) -> Iterator[None]:
        """Stop at each value of the list that starts here; the taker must move past it."""
        self._take("[")
        if self.peek() != "]":
            yield
            while self.peek() == ",":
                self._take(",")
                yield
        self._take("]")

    def members(self) -> Iterator[str]:
        """Stop at each value of the object that starts here, and say its key."""
        self._take("{")
        if self.peek() != "}":
            yield self._key()
            while self.peek() == ",":
                self._take(",")
                yield self._key()
        self._take("}")

    def broken(
        self, message: str, at: int | None = None, *, remedy: str | None = None
    ) -> SourceMalformed:
        """The error that says where the text is broken; `at` is a place in the buffer."""
        place = self._at if at is None else at
        line = self._line + self._buffer.count("\n", 0, place)
        remedy = remedy or "Mend it there, or fetch it again, whole."
        return SourceMalformed(self._path, message, line=line, remedy=remedy)

    def _key(self) -> str:
        if self.peek() != '"':
            raise self._unexpected("a key in double quotes")
        key = str(self.value())
        self._take(":")
        return key

    def _take(self, character: str) -> None:
        if self.peek() != character:
            raise self._unexpected(f"{character!r}")
        self._at += 1

    def _unexpected(self, wanted: str) -> SourceMalformed:
        if not self.peek():
            return self.broken(f"is no whole JSON: it ends where {wanted} should stand.")
        return self.broken(f"is no JSON: {wanted} should stand here.")

    def _try(self, *, tolerant: bool = False) -> tuple[Any] | None:
        """The next value, if the buffer holds all of it; when tolerant None if it is broken too."""
        try:
            found, end = DECODER.raw_decode(self._buffer, self._at)
        except json.JSONDecodeError as error:
            cut = error.msg.startswith("Unterminated") or not self._buffer[error.pos + NEARLY :]
            if tolerant or (not self._ended and (cut or not self._buffer[error.pos :].strip())):
                return None
            raise self.broken(f"is no JSON: {error.msg}.", error.pos) from None
        except RecursionError:
            raise self.broken("is nested too deeply.") from None
        if end == len(self._buffer) and not self._ended:
            return None
        self._at = end
        return (found,)

    def _more(self) -> None:
        """Read on, at least as much as there is, so that long values cost no more than twice."""
        self._line += self._buffer.count("\n", 0, self._at)
        found = [self._buffer[self._at :]]
        wanted = len(found[0])
        self._at = 0
        while wanted >= 0 and not self._ended:
            piece = next(self._pieces, None)
            self._ended = piece is None
            found.append(piece or "")
            wanted -= len(piece or "") or 0
        self._buffer = "".join(found)
