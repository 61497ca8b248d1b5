"""Read the records of MARCXML one by one, going on after what is broken."""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from tasks.dialect import encoding_of
from warehouse.errors import SourceMalformed

Record = list[tuple[str, str | list[tuple[str, str]]]]
LONGEST = 64 << 20  # bytes of one record
DECLARED = re.compile(rb"""^<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z][\w.-]*)["']""")
START = re.compile(rb"<(?:[\w.-]+:)?record[\s>/]")
ANOTHER_ROOT = {9, 30}  # junk after the document element, or another XML declaration there
BACK = 4096  # bytes kept of what the parser has seen
TAIL = 64  # bytes kept where a start tag may be cut


def records(path: Path, first: bytes, chunks: Iterator[bytes]) -> Iterator[Record | str]:
    """The records in order; a text says why one, or what follows a break, cannot be read.

    After a break reading goes on with the next record that starts. Namespaces do not matter.

    Raises:
        SourceMalformed: it holds no record at all and is broken or something else.
    """
    reading, early = _Reading(path), list[Record | str]()
    for chunk in itertools.chain(_utf8(path, first, chunks), [None]):
        found = reading.finish() if chunk is None else reading.feed(chunk)
        if not reading.any:
            early += found
        else:
            yield from early
            yield from found
            early = []
    if not reading.any and (early or reading.root != "collection"):
        reason = early[0] if early else "it holds no <record>"
        raise SourceMalformed(path, f"is no MARCXML: {reason}.", remedy="Is it the right file?")


def _utf8(path: Path, first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The text as UTF-8; bytes that are none become marks (`blocks`)."""
    declared = DECLARED.match(first.lstrip())
    encoding = encoding_of(first)
    if declared and encoding not in ("utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"):
        encoding = declared[1].decode()
    elif encoding == "cp1252":  # XML without a declaration is UTF-8
        encoding = "utf-8"
    try:
        decoder = codecs.getincrementaldecoder(encoding)("carrel_mark")
    except LookupError:
        raise SourceMalformed(
            path, f"{encoding!r} is no encoding.", line=1, remedy="Mend the XML declaration."
        ) from None
    yield decoder.decode(first).removeprefix("\ufeff").encode("utf-8", "replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


@dataclass
class _Open:
    """A record whose end has not come yet; `inner` if it holds another (OAI-PMH's does)."""

    fields: Record = field(default_factory=list)
    bad: str | None = None
    inner: bool = False


class _Reading:
    """The reading of one text; `any`: a record has begun, `root`: the first element's name."""

    def __init__(self, path: Path) -> None:
        """Start before the first byte."""
        self.any, self.root = False, ""
        self._path = path
        self._found: list[Record | str] = []
        self._above: list[str] = []  # elements around the records
        self._tail, self._back = b"", b""
        self._line = 1
        self._begin([])

    def feed(self, data: bytes) -> list[Record | str]:
        """The records that end in the next bytes."""
        self._found = []
        while data:
            if self._parser is None:
                data = self._search(data)
                continue
            try:
                self._parser.Parse(data, False)
                self._fed += len(data)
                self._back = (self._back + data)[-BACK:]
                data = b""
            except expat.ExpatError as error:
                data = self._broken(data, error.code)
        return self._found

    def finish(self) -> list[Record | str]:
        """What the end of the text tells."""
        self._found = []
        if self._parser is not None:
            try:
                self._parser.Parse(b"", True)
            except expat.ExpatError as error:
                self._tell(f"{expat.ErrorString(error.code)}; what follows is not read")
        return self._found

    def _begin(self, around: list[str]) -> None:
        """A new parser, within some elements."""
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = self._entity
        self._parser: expat.XMLParserType | None = parser
        self._stack: list[str] = []
        self._open: list[_Open] = []
        self._text: list[str] = []
        self._size, self._code, self._had_root = 0, "", False
        prefix = "".join(f"<{name}>" for name in around).encode()
        self._fed, self._back = len(prefix), b""
        parser.Parse(prefix, False)

    def _broken(self, data: bytes, code: int) -> bytes:
        """Tell of the break; what is left to read."""
        assert self._parser
        data = self._back + data  # a break may show only after the piece that it is in
        at = max(0, self._parser.ErrorByteIndex - self._fed + len(self._back))
        line = self._line + self._parser.ErrorLineNumber - 1
        if self._had_root and not self._stack and code in ANOTHER_ROOT:
            self._line = line
            self._begin([])
            return data[at:]
        self._tell(expat.ErrorString(code))
        self._line = line + data.count(b"\n", at, at + 1)
        self._parser, self._tail = None, b""
        kept = zip(self._above, self._stack, strict=False)
        self._above = [a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], kept)]
        return data[at + 1 :]

    def _search(self, data: bytes) -> bytes:
        """Go to where the next record starts; what is left to read."""
        data = self._tail + data
        match = START.search(data)
        at = match.start() if match else max(0, len(data) - TAIL)
        self._line += data.count(b"\n", 0, at)
        if not match:
            self._tail = data[at:]
            return b""
        self._begin(self._above)
        return data[at:]

    def _tell(self, reason: str) -> None:
        """Note a fault for each record that is open, or for what stands between records."""
        assert self._parser
        line = self._line + self._parser.ErrorLineNumber - 1
        said = f"line {line}: the XML is broken: {reason}"
        self._found += [said] * max(1, sum(bool(o.fields) for o in self._open))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        kind = name.rpartition(":")[2]
        self.root = self.root or kind
        self._had_root = True
        if kind == "record":
            if not self._open:
                self._above = list(self._stack)
            self.any = True
            self._open.append(_Open())
        elif self._open:
            self._part(kind, attributes, self._open[-1])
        self._stack.append(name)
        self._text.clear()

    def _part(self, kind: str, attributes: dict[str, str], record: _Open) -> None:
        if kind == "leader":
            record.fields.append(("LDR", ""))
        elif kind in ("controlfield", "datafield"):
            if not (tag := attributes.get("tag")):
                record.bad = f"a {kind} has no tag"
            record.fields.append((tag or "", "" if kind == "controlfield" else []))
        elif kind == "subfield":
            if not (code := attributes.get("code")):
                record.bad = "a subfield has no code"
            self._code = code or ""

    def _end(self, name: str) -> None:
        kind = name.rpartition(":")[2]
        self._stack.pop()
        if not self._open:
            return
        record = self._open[-1]
        if kind in ("leader", "controlfield") and record.fields:
            record.fields[-1] = (record.fields[-1][0], "".join(self._text))
        elif kind == "subfield":
            within = record.fields[-1][1] if record.fields else ""
            if isinstance(within, list):
                within.append((self._code, "".join(self._text)))
            else:
                record.bad = "a subfield stands in no datafield"
        elif kind == "record":
            self._close(self._open.pop())
        self._text.clear()

    def _close(self, record: _Open) -> None:
        assert self._parser
        if self._open:
            self._open[-1].inner = True
        else:
            self._size = 0
        bad = record.bad or ("" if record.fields else "the record has no fields")
        if bad and not (record.inner and not record.fields):
            line = self._line + self._parser.CurrentLineNumber - 1
            self._found.append(f"line {line}: {bad}")
        elif record.fields:
            self._found.append(record.fields)

    def _characters(self, text: str) -> None:
        self._size += len(text)
        if self._size > LONGEST:
            raise SourceMalformed(
                self._path,
                "has more than 64 MB between two records.",
                line=self._line,
                remedy="Is it the right file?",
            )
        self._text.append(text)

    def _entity(self, *_: object) -> None:
        raise SourceMalformed(
            self._path, "declares entities, which no MARCXML does.", remedy="Write it without them."
        )
