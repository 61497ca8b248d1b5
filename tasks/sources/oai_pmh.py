"""Harvest an OAI-PMH repository: ListRecords, page by page.

Columns are the header's `identifier` and `datestamp`, `_deleted` (true or false), and the fields
of the record by their names, repeated ones joined with ` | `. A field that is itself called
`identifier` or `datestamp` is `dc.identifier`, `dc.datestamp`. Where the records are MARCXML, the
spec's `fields` say what the columns are, as for the kind `marc`.

With a cursor, records changed on or after the day of its greatest value are asked for; the day
is read again because a day is all that every repository understands.
"""

from __future__ import annotations

import datetime as dt
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa

from tasks.gathered import Gathered
from tasks.remote import Client, shown
from tasks.silver_cursor import cursor_type, greatest
from tasks.sources import FAULT
from tasks.sources.marc import Place, Record, places, row
from warehouse.errors import (
    SourceMalformed,
    SourceUnavailable,
    SpecError,
)
from warehouse.sources import OaiSource
from warehouse.spec import Dataset

HEAD = ("identifier", "datestamp", "_deleted")
DC = (
    "title creator subject description publisher contributor date type format dc.identifier"
    " source language relation coverage rights"
)
JOINT = " | "
CHUNK = 1 << 16


def read(dataset: Dataset, path: Path | None) -> Iterator[pa.Table]:
    """The records that the repository lists now.

    Raises:
        ConfigurationError: the URL or the host is wrong.
        CircuitBreakerOpen: the host failed too often of late.
        SourceUnavailable: it refuses or does not answer, or forgot its resumption token.
        SourceMalformed: it answers an error, no OAI-PMH, or a token that it gave before.
    """
    source = dataset.source
    assert isinstance(source, OaiSource)
    fields = {name: places(written) for name, written in source.fields.items()}
    named = tuple(fields) or tuple(DC.split() if source.prefix == "oai_dc" else ())
    with Gathered(HEAD + named) as gathered:
        with Client(source.url, 60) as client:
            for record in _records(dataset, source, client):
                gathered.add(_cells(record, fields))
        yield from gathered.tables(dataset)


def _records(dataset: Dataset, source: OaiSource, client: Client) -> Iterator[ET.Element]:
    params = {"verb": "ListRecords", "metadataPrefix": source.prefix}
    if source.set:
        params["set"] = source.set
    if since := _since(dataset, source):
        params["from"] = since
    tokens: set[str] = set()
    while True:
        answer = client.get(source.url, params)
        with answer.body as body:
            page = _Page(shown(client.home))
            yield from page.read(body)
        if not page.token:
            return
        if page.token in tokens:
            raise SourceMalformed(page.place, "gives a resumption token again: it would never end.")
        tokens.add(page.token)
        params = {"verb": "ListRecords", "resumptionToken": page.token}


def _since(dataset: Dataset, source: OaiSource) -> str | None:
    """The day from which on records are asked for, as YYYY-MM-DD."""
    if not source.cursor:
        return None
    cursor_type(dataset, source.cursor)
    value = greatest(dataset, source.cursor)
    if value is None:
        return None
    try:
        return dt.date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError:
        raise SpecError(
            dataset.path, f"cursor {source.cursor!r} holds {value!r}, which is no date."
        ) from None


class _Page:
    """One answer, read as a stream: a record at a time is in memory.

    It is the target of an XML parser: `start`, `end`, `data` and `doctype` are called by it.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.token = ""
        self._found: list[ET.Element] = []
        self._builder: ET.TreeBuilder | None = None
        self._depth = 0
        self._known = False

    def read(self, body: IO[bytes]) -> Iterator[ET.Element]:
        """The records of the answer; afterwards `token` is what it says is next."""
        parser = ET.XMLParser(target=self)  # noqa: S314
        try:
            while chunk := body.read(CHUNK):
                parser.feed(chunk)
                yield from self._records()
            parser.close()
        except ET.ParseError as error:
            line, column = error.position
            raise SourceMalformed(
                self.place, f"answers broken XML at column {column + 1}: {error.msg}.", line=line
            ) from None
        except (LookupError, ValueError) as error:
            raise SourceMalformed(self.place, f"answers broken XML: {error}.") from None
        yield from self._records()
        if not self._known:
            raise SourceMalformed(
                self.place, "answers no list of OAI-PMH records.", remedy="Check the URL."
            )

    def _records(self) -> Iterator[ET.Element]:
        found, self._found = self._found, []
        for element in found:
            match _local(element):
                case "record":
                    yield element
                case "resumptionToken":
                    self.token = (element.text or "").strip()
                case "error":
                    self._explain(element.get("code") or "", " ".join((element.text or "").split()))

    def _explain(self, code: str, text: str) -> None:
        """An `error` of the protocol; that nothing matches is none."""
        self._known = True
        if code == "noRecordsMatch":
            return
        said = f"answers the error {code}{f': {text}' if text else ''}."
        if code == "badResumptionToken":
            raise SourceUnavailable(
                f"{self.place}: {said}", remedy="The list has expired meanwhile; run again."
            )
        raise SourceMalformed(self.place, said, remedy="Check `prefix`, `set` and `url`.")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        name = tag.rpartition("}")[2]
        self._known |= name == "ListRecords"
        if not self._builder and name in ("record", "resumptionToken", "error"):
            self._builder, self._depth = ET.TreeBuilder(), 0
        if self._builder:
            self._depth += 1
            self._builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._builder:
            self._depth -= 1
            self._builder.end(tag)
            if not self._depth:
                self._found.append(self._builder.close())
                self._builder = None

    def data(self, text: str) -> None:
        """Text within an element."""
        if self._builder:
            self._builder.data(text)

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        """A document type, which could define entities without end: refused."""
        raise SourceMalformed(self.place, "answers XML with a document type, which is refused.")

    def close(self) -> None:
        """The document ends."""


def _local(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _cells(record: ET.Element, fields: dict[str, list[Place]]) -> dict[str, str | None]:
    """A record's columns."""
    cells: dict[str, str | None] = dict.fromkeys(HEAD)
    for part in record:
        if _local(part) == "header":
            cells["_deleted"] = "true" if part.get("status") == "deleted" else "false"
            cells |= {_local(e): _text(e) for e in part if _local(e) in HEAD}
        elif _local(part) == "metadata":
            cells |= _marc(part, fields) if fields else _leaves(part)
    if not cells["identifier"]:
        cells[FAULT] = "The record's header has no identifier."
    return cells


def _leaves(metadata: ET.Element) -> dict[str, str]:
    """Every element that holds text, by its name."""
    values: dict[str, list[str]] = {}
    for leaf in (e for e in metadata.iter() if not len(e)):
        if text := _text(leaf):
            name = _local(leaf)
            values.setdefault(f"dc.{name}" if name in HEAD else name, []).append(text)
    return {name: JOINT.join(found) for name, found in values.items()}


def _marc(metadata: ET.Element, fields: dict[str, list[Place]]) -> dict[str, str | None]:
    """The spec's fields of a MARCXML record, or why it cannot be read."""
    record: Record = []
    for part in metadata.iter():
        kind = _local(part)
        if kind in ("controlfield", "datafield") and not part.get("tag"):
            return {FAULT: f"The record's MARCXML is broken: a {kind} has no tag."}
        if kind == "subfield" and not part.get("code"):
            return {FAULT: "The record's MARCXML is broken: a subfield has no code."}
        if kind in ("leader", "controlfield"):
            record.append((part.get("tag", "LDR"), part.text or ""))
        elif kind == "datafield":
            within = (e for e in part if _local(e) == "subfield")
            record.append(
                (part.get("tag", ""), [(e.get("code", ""), e.text or "") for e in within])
            )
    return row(record, fields) if record else {FAULT: "The record holds no MARCXML."}


def _text(element: ET.Element) -> str | None:
    return (element.text or "").strip() or None
