"""Cut blocks of lines into records, and records into columns of text.

Fast where the text is regular: record ends are found by counting quotes with numpy, fields by
Arrow's CSV reader. Where both disagree (a stray quote, a lone carriage return) the block is read
again record by record, as `dialect.record_at` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from tasks.blocks import MARK, Block, blocks
from tasks.dialect import Unclosed, record_at
from tasks.extract import Arrival
from warehouse.spec import Source

Numbers = npt.NDArray[np.int64]
LONGEST_RECORD = 1 << 20
FEED, RETURN = 10, 13


@dataclass(frozen=True)
class Finding:
    """Why a record is held back before its cells are looked at."""

    record_no: int
    line_no: int
    rule: str
    value: str


@dataclass
class Batch:
    """Records of one block: the cells wanted, as text, and where each came from.

    `cells` has a column `c<position>` for each wanted header position (from 0); `record_no`
    counts the file's records from 1, `line_no` its lines. Blank lines count as records.
    Unless `careful`, no white space but blanks stands at a cell's edges.
    """

    cells: pa.Table
    record_no: Numbers
    line_no: Numbers
    records: int = 0
    blank: int = 0
    careful: bool = True
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Spans:
    """Where records stand in a text: starts and ends (past the line end), first lines."""

    text: bytes
    starts: Numbers
    ends: Numbers
    lines: Numbers
    quoted: bool

    def keep(self, mask: npt.NDArray[np.bool_]) -> Spans:
        """The spans that the mask keeps; the text is cut to them."""
        if mask.all():
            return self
        flips = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
        runs = zip(self.starts[flips[0::2]], self.ends[flips[1::2] - 1], strict=True)
        text = b"".join(self.text[a:b] for a, b in runs)
        lengths = (self.ends - self.starts)[mask]
        ends = np.cumsum(lengths)
        return Spans(text, ends - lengths, ends, self.lines[mask], self.quoted)


def batches(arrival: Arrival, source: Source, wanted: list[int]) -> Iterator[Batch]:
    """The file's data records, a batch a block.

    Args:
        arrival: the file.
        source: what is no data: comments, footer.
        wanted: header positions to read; other cells are skipped.
    """
    dialect = arrival.dialect
    width = len(dialect.header)
    number, carried, ended = 0, Block(b"", dialect.first_line), False
    for block in blocks(arrival):
        if ended or not (text := _from_line(block, dialect.first_line)):
            continue
        first = block.first_line if not carried.text else carried.first_line
        first = max(first, dialect.first_line)
        text = carried.text + text if carried.text else text
        spans, carried = _spans(text, first, dialect.delimiter, dialect.quote)
        spans, ended = _before_footer(spans, source.footer)
        batch, number = _batch(spans, source, arrival, wanted, width, number)
        yield batch
    if carried.text and not ended:
        spans = _exact_spans(carried.text, carried.first_line, dialect.delimiter, dialect.quote)
        spans, _ = _before_footer(spans, source.footer)
        yield _batch(spans, source, arrival, wanted, width, number)[0]


def _from_line(block: Block, line: int) -> bytes:
    """The block's text from a line on."""
    text, missing = block.text, line - block.first_line
    if missing <= 0:
        return text
    at = 0
    for _ in range(missing):
        at = text.find(b"\n", at) + 1
        if not at:
            return b""
    return text[at:]


def _spans(text: bytes, line: int, delimiter: str, quote: str | None) -> tuple[Spans, Block]:
    """Records that end in the text, and the unfinished rest."""
    array = np.frombuffer(text, np.uint8)
    feeds = np.flatnonzero(array == FEED)
    quoted = bool(quote) and quote is not None and quote.encode() in text
    lines = np.arange(line, line + len(feeds) + 1, dtype=np.int64)
    if quoted and quote:
        before = np.searchsorted(_quotes(array, ord(quote), ord(delimiter)), feeds)
        inside = before % 2 == 0
        ends, lines = feeds[inside] + 1, lines[np.concatenate(([True], inside))]
    else:
        ends = feeds + 1
    starts = np.concatenate(([0], ends))
    whole = Spans(text, starts[:-1], ends, lines[:-1], quoted)
    rest = Block(text[starts[-1] :], int(lines[-1]))
    if len(rest.text) > LONGEST_RECORD:
        exact = _exact_spans(rest.text, rest.first_line, delimiter, quote, partial=True)
        end = int(exact.ends[-1]) if len(exact.ends) else 0
        offset = int(starts[-1])
        used = rest.text.count(b"\n", 0, end)
        whole = Spans(
            text,
            np.concatenate((whole.starts, exact.starts + offset)),
            np.concatenate((whole.ends, exact.ends + offset)),
            np.concatenate((whole.lines, exact.lines)),
            True,
        )
        rest = Block(rest.text[end:], rest.first_line + used)
    return whole, rest


def _quotes(array: npt.NDArray[np.uint8], quote: int, delimiter: int) -> Numbers:
    """Where quotes stand that open, close or double; not those in the midst of a text."""
    at = np.flatnonzero(array == quote)
    edge = np.zeros(256, np.bool_)
    edge[[delimiter, quote, FEED, RETURN]] = True
    padded = np.concatenate(([np.uint8(FEED)], array, [np.uint8(FEED)]))
    return at[edge[padded[at]] | edge[padded[at + 2]]]


def _exact_spans(
    text: bytes, line: int, delimiter: str, quote: str | None, *, partial: bool = False
) -> Spans:
    """Records found one by one. An unclosed one ends at its first line.

    Args:
        partial: stop before an unfinished record shorter than 1 MB, for more text may come.
    """
    decoded = text.decode()
    starts, ends, lines = [], [], []
    at, offset = 0, 0
    while at < len(decoded):
        try:
            _, end = record_at(decoded, at, delimiter, quote)
            if end - at > LONGEST_RECORD:
                raise Unclosed
        except Unclosed:
            if partial and len(decoded) - at <= LONGEST_RECORD:
                break
            end = decoded.find("\n", at) + 1 or len(decoded)
        piece = decoded[at:end]
        starts.append(offset)
        lines.append(line)
        offset += len(piece.encode())
        ends.append(offset)
        line += piece.count("\n")
        at = end
    return Spans(text, _numbers(starts), _numbers(ends), _numbers(lines), True)


def _numbers(values: list[int]) -> Numbers:
    return np.array(values, np.int64)


def _before_footer(spans: Spans, footer: str | None) -> tuple[Spans, bool]:
    """The spans before the first line that matches the footer, and whether there was one."""
    if not footer or not len(spans.starts):
        return spans, False
    pattern = re.compile(b"^(?:" + footer.encode() + b")", re.MULTILINE)
    for match in pattern.finditer(spans.text):
        at = int(np.searchsorted(spans.starts, match.start()))
        if at < len(spans.starts) and spans.starts[at] == match.start():
            return spans.keep(np.arange(len(spans.starts)) < at), True
    return spans, False


def _batch(
    spans: Spans, source: Source, arrival: Arrival, wanted: list[int], width: int, number: int
) -> tuple[Batch, int]:
    """Read the cells of some records; return them and the last record number used."""
    if source.comment:
        spans = spans.keep(~_starting_with(spans, source.comment.encode()))
    count = len(spans.starts)
    numbers = np.arange(number + 1, number + count + 1, dtype=np.int64)
    blank = _blank(spans)
    broken = _marked(spans)
    findings = [
        _finding("encoding", spans, int(i), int(numbers[i]))
        for i in np.flatnonzero(broken & ~blank)
    ]
    kept = ~(blank | broken)
    cells, good, ragged = _cells(spans.keep(kept), arrival, wanted, width)
    numbers, lines = numbers[kept], spans.lines[kept]
    findings += [Finding(int(numbers[i]), int(lines[i]), "ragged", text) for i, text in ragged]
    careful = _needs_care(spans, arrival.dialect.delimiter)
    batch = Batch(cells, numbers[good], lines[good], count, int(blank.sum()), careful, findings)
    return batch, number + count


def _needs_care(spans: Spans, delimiter: str) -> bool:
    """Whether white space other than blanks may stand at a cell's edges."""
    text = spans.text
    if not text.isascii() or any(c in text for c in (b"\v", b"\f")):
        return True
    if b"\t" in text and (delimiter != "\t" or spans.quoted):
        return True
    return spans.quoted and text.count(b"\n") > len(spans.starts)


def _starting_with(spans: Spans, prefix: bytes) -> npt.NDArray[np.bool_]:
    array = np.frombuffer(spans.text, np.uint8)
    found = np.asarray(spans.ends - spans.starts >= len(prefix))
    for i, byte in enumerate(prefix):
        found &= array[np.minimum(spans.starts + i, len(array) - 1)] == byte
    return found


def _blank(spans: Spans) -> npt.NDArray[np.bool_]:
    """Which records are blank lines."""
    lengths = spans.ends - spans.starts
    blank = np.asarray(lengths <= 2)
    for i in np.flatnonzero(blank):
        blank[i] = not spans.text[spans.starts[i] : spans.ends[i]].strip(b"\r\n")
    return blank


def _marked(spans: Spans) -> npt.NDArray[np.bool_]:
    """Which records hold bytes that were no text."""
    marked = np.zeros(len(spans.starts), np.bool_)
    if not spans.text.isascii() and MARK in spans.text:
        at = [m.start() for m in re.finditer(re.escape(MARK) + b"[\xbc-\xbf]", spans.text)]
        hit = np.searchsorted(spans.starts, at, side="right") - 1
        marked[hit[(hit >= 0) & (np.array(at) < spans.ends[hit])]] = True
    return marked


def _finding(rule: str, spans: Spans, i: int, number: int) -> Finding:
    raw = spans.text[spans.starts[i] : spans.ends[i]].decode()
    shown = re.sub(
        "[\U0010ff00-\U0010ffff]", lambda m: f"\\x{ord(m[0]) - 0x10FF00:02x}", raw.rstrip("\r\n")
    )
    return Finding(number, int(spans.lines[i]), rule, shown)


def _cells(
    spans: Spans, arrival: Arrival, wanted: list[int], width: int
) -> tuple[pa.Table, Numbers, list[tuple[int, str]]]:
    """The wanted cells, the indexes of the records they come from, and the ragged records."""
    names = [f"c{i}" for i in wanted]
    count = len(spans.starts)
    if not count:
        return pa.table({n: pa.array([], pa.string()) for n in names}), _numbers([]), []
    ragged: list[tuple[int, str]] = []
    try:
        table = _arrow(spans, arrival, names, width, ragged)
    except pa.ArrowInvalid:
        return _cells_exact(spans, arrival, wanted, width)
    if table.num_rows + len(ragged) != count:
        return _cells_exact(spans, arrival, wanted, width)
    good = np.ones(count, np.bool_)
    good[[i for i, _ in ragged]] = False
    return table, np.flatnonzero(good), ragged


def _arrow(
    spans: Spans, arrival: Arrival, names: list[str], width: int, ragged: list[tuple[int, str]]
) -> pa.Table:
    def note(row: Any) -> str:
        ragged.append((row.number - 1, row.text))
        return "skip"

    columns = [f"c{i}" for i in range(width)]
    return pacsv.read_csv(
        pa.py_buffer(spans.text),
        pacsv.ReadOptions(use_threads=False, column_names=columns, block_size=len(spans.text) + 1),
        pacsv.ParseOptions(
            delimiter=arrival.dialect.delimiter,
            quote_char=arrival.dialect.quote or False,
            newlines_in_values=spans.quoted,
            ignore_empty_lines=False,
            invalid_row_handler=note,
        ),
        pacsv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            strings_can_be_null=False,
            check_utf8=False,
            include_columns=names,
        ),
    )


def _cells_exact(
    spans: Spans, arrival: Arrival, wanted: list[int], width: int
) -> tuple[pa.Table, Numbers, list[tuple[int, str]]]:
    """The same, record by record."""
    dialect = arrival.dialect
    rows: list[list[str]] = []
    good: list[int] = []
    ragged: list[tuple[int, str]] = []
    for i, (start, end) in enumerate(zip(spans.starts, spans.ends, strict=True)):
        text = spans.text[start:end].decode()
        try:
            fields, used = record_at(text, 0, dialect.delimiter, dialect.quote)
        except Unclosed:
            fields, used = [], 0
        if len(fields) == width and used == len(text):
            rows.append([fields[w] for w in wanted])
            good.append(i)
        else:
            ragged.append((i, text.rstrip("\r\n")))
    columns = list(zip(*rows, strict=True)) or [()] * len(wanted)
    arrays = [pa.array(c, pa.string()) for c in columns]
    return pa.table(arrays, [f"c{w}" for w in wanted]), _numbers(good), ragged
