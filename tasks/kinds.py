"""Files that a reader turns into text before anybody has described them.

`KINDS` is the one place that says which kind of source reads which content.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter

from tasks.contents import content_of, entries
from tasks.extract import Arrival, sha256
from tasks.shape import Shape, provisional, shape
from tasks.sources import FAULT, reader
from tasks.spool import dialect_in, write
from warehouse.errors import SourceMalformed
from warehouse.sources import AnySource, CsvSource, Source

MEGABYTE = 1 << 20
BIBLIOGRAPHIC = {
    "control_number": "001",
    "isbn": "020$a",
    "issn": "022$a",
    "author": "100$a",
    "title": "245$ab",
    "edition": "250$a",
    "publisher": "260$b",
    "published": "260$c",
    "language": "008[35:38]",
    "subject": "650$a",
}


def _parquet(path: Path) -> tuple[int, tuple[str, ...]]:
    """Rows and headers, from the footer."""
    import pyarrow.parquet as pq

    from tasks.sources.parquet import no_parquet

    try:
        with pq.ParquetFile(path) as file:
            return file.metadata.num_rows, tuple(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise no_parquet(path, error) from error


def _excel(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a workbook's spec must say, and what of it is not read."""
    from tasks.sources.excel import look

    return look(path)


@dataclass(frozen=True)
class Kind:
    """How content is read: the kind of source, and what its spec must say besides the path.

    Files of more than `most` bytes are not counted; where `cut` ends each record, their first
    `most` bytes are, and the rest is estimated. `count` knows without reading the rows. `look` says
    what else a file's spec must say, and what of the file is not read.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    look: Callable[[Path], tuple[dict[str, Any], tuple[str, ...]]] | None = None
    most: int = 32 * MEGABYTE
    cut: bytes | None = None
    count: Callable[[Path], tuple[int, tuple[str, ...]]] | None = None


KINDS: dict[str, Kind] = {
    "excel": Kind("excel", look=_excel, most=8 * MEGABYTE),
    "json": Kind("json"),
    "json lines": Kind("json", cut=b"\n"),
    "parquet": Kind("parquet", count=_parquet),
    "marc": Kind("marc", {"fields": BIBLIOGRAPHIC}, cut=b"\x1d"),
    "marcxml": Kind("marc", {"fields": BIBLIOGRAPHIC}),
}
TEXT = ("csv", "text")  # read as delimited text


def tables(kind: Kind, path: Path) -> Iterator[pa.Table]:
    """What the kind's reader finds in a file, at least one table.

    Raises:
        SourceUnavailable: the file cannot be read, or is not of the kind.
    """
    return reader(kind.name)(provisional(source_of(kind, path)), path)


def source_of(kind: Kind, path: Path, **found: Any) -> Source:
    """The source that a spec would name; `found` is what looking at the file showed."""
    data = {"kind": kind.name, "path": str(path), **kind.options, **found}
    adapter: TypeAdapter[Source] = TypeAdapter(AnySource)
    return adapter.validate_python(data)


@contextmanager
def described(file: Path) -> Iterator[Shape]:
    """How to read a file that nobody has described; what a reader made of it goes afterwards.

    Raises:
        SourceUnavailable: it is not there or cannot be read.
        SourceMalformed: it holds no table, or is of a kind that nothing reads.
    """
    content = content_of(file)
    if content.type == "zip":
        raise _packed(file)
    kind = KINDS.get(content.type)
    if kind is None:
        yield shape(file)
        return
    with tempfile.TemporaryDirectory(prefix="carrel-") as folder:
        yield _spooled(file, kind, Path(folder) / "rows.csv")


def _spooled(file: Path, kind: Kind, text: Path) -> Shape:
    """The shape of the text that a reader makes of a file."""
    options, notes = kind.look(file) if kind.look else ({}, ())
    faults = Faults()
    write(text, faults.without(tables(kind, file)))
    source = CsvSource(path=str(file), delimiter=",", encoding="utf-8")
    dialect = dialect_in(text, provisional(source), file)
    _check(file, dialect.header)
    size = file.stat().st_size
    arrival = Arrival("local_draft", file, sha256(file), size, dialect, text)
    if faults.count:
        records = "record" if faults.count == 1 else "records"
        notes = (*notes, f"{faults.count} {records} cannot be read: quarantined.")
    headers = dialect.header if options.get("header", True) else ("",) * len(dialect.header)
    return Shape(arrival, source, headers, notes, source_of(kind, file, **options))


class Faults:
    """Counts the records that a reader could not read, and leaves them out."""

    def __init__(self) -> None:
        """None yet."""
        self.count = 0

    def without(self, found: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """The tables without the column of faults and the records that have one."""
        for table in found:
            if FAULT not in table.column_names:
                yield table
                continue
            good = table.column(FAULT).is_null()
            kept = table.filter(good).drop_columns([FAULT])
            self.count += table.num_rows - kept.num_rows
            yield kept


def _check(file: Path, header: tuple[str, ...]) -> None:
    folded = [h.casefold() for h in header]
    if not folded or "" in folded or len(set(folded)) < len(folded):
        raise SourceMalformed(
            file,
            "headers are blank or stand twice.",
            column=next((h for h in header if header.count(h) > 1), None),
            remedy="Give each column a name of its own.",
        )


def _packed(file: Path) -> SourceMalformed:
    """A zip file is refused, saying what is in it and what to do."""
    with file.open("rb") as stream:
        names = [e.filename for e in entries(stream, file) if not e.is_dir()]
    count = "1 file" if len(names) == 1 else f"{len(names)} files"
    listed = ", ".join(repr(name) for name in names[:5]) + (", …" if len(names) > 5 else "")
    return SourceMalformed(
        file,
        f"is a zip of {count}: {listed or 'nothing'}.",
        remedy="Unpack it into a folder of its own, then `carrel scan FOLDER --add`;"
        " a single file may also be packed by gzip, which is read as it is.",
    )
