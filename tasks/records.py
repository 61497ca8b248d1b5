"""Cut blocks of lines into records, and records into columns of text.

Fast where the text is regular: record ends are found by counting quotes with numpy, fields by
Arrow's CSV reader. Where both disagree (a stray quote, a lone carriage return) the block is read
again record by record, as `dialect.record_at` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from tasks.arrays import texts
from tasks.blocks import MARK, Block, blocks
from tasks.dialect import Dialect, Unclosed, record_at
from tasks.extract import Arrival
from warehouse.sources import CsvSource

Numbers = npt.NDArray[np.int64]
LONGEST_RECORD = 1 << 20
FEED, RETURN = 10, 13
MARKED = re.compile("[\U0010ff00-\U0010ffff]")


@dataclass(frozen=True)
class Finding:
    """Why a record is held back before its cells are looked at.

    `position` is that of the field (from 0) where it is broken, lacks or is too many; None where
    a quote that is never closed leaves that open.
    """

    record_no: int
    line_no: int
    rule: str
    value: str
    position: int | None = None


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


def batches(
    arrival: Arrival,
    source: CsvSource,
    wanted: list[int],
    see: Callable[[Spans], None] | None = None,
) -> Iterator[Batch]:
    """The file's data records, a batch a block.

    Args:
        arrival: the file.
        source: what is no data: comments, footer.
        wanted: header positions to read; other cells are skipped.
        see: is shown where the records of each batch stand, before it is yielded.
    """
    reader = Reader(arrival, source, wanted, see)
    rest = Block(b"", arrival.dialect.first_line)
    for block in blocks(arrival):
        text = _from_line(block, arrival.dialect.first_line)
        if text and not reader.ended:
            batch, rest = reader.read(Block(rest.text + text, rest.first_line))
            yield batch
    if rest.text and not reader.ended:
        yield reader.read(rest, final=True)[0]


def _from_line(block: Block, line: int) -> bytes:
    """The block's text from a line on."""
    text, missing = block.text, line - block.first_line
    at = 0
    for _ in range(missing):
        at = text.find(b"\n", at) + 1
        if not at:
            return b""
    return text[at:] if at else text


class Reader:
    """Reads the records of one file, block after block; `ended` once the footer was seen."""

    def __init__(
        self,
        arrival: Arrival,
        source: CsvSource,
        wanted: list[int],
        see: Callable[[Spans], None] | None = None,
    ) -> None:
        """Read the wanted header positions."""
        self.ended = False
        self._starts = arrival.again.starts if arrival.again else None
        self._without, self._see = arrival.without, see
        self._number = 0
        self._dialect, self._source, self._wanted = arrival.dialect, source, wanted
        self._width = len(arrival.dialect.header)

    def read(self, block: Block, *, final: bool = False) -> tuple[Batch, Block]:
        """The records that end in the block, and the unfinished rest."""
        if not final and (found := self._spans(block)):
            spans, rest = found
            known = len(rest.text) <= LONGEST_RECORD and self._as_known(block, spans, rest)
            if known and (batch := self._batch(spans, _fast)):
                return batch, rest
        if self._starts is None:
            spans, rest = self._exact_spans(block, final)
        else:
            spans, rest = known_spans(block, self._starts)
        batch = self._batch(spans, _exact)
        assert batch
        return batch, rest

    def _spans(self, block: Block) -> tuple[Spans, Block] | None:
        """Records that end in the block, by counting quotes; None where quotes are irregular."""
        text, quote = block.text, self._dialect.quote
        array = np.frombuffer(text, np.uint8)
        feeds = np.flatnonzero(array == FEED)
        lines = np.arange(block.first_line, block.first_line + len(feeds) + 1, dtype=np.int64)
        quoted = bool(quote) and str(quote).encode() in text
        if quoted:
            quotes = np.flatnonzero(array == ord(str(quote)))
            if not _regular(array, quotes, ord(self._dialect.delimiter)):
                return None
            ends = np.searchsorted(quotes, feeds) % 2 == 0
            feeds, lines = feeds[ends], lines[np.concatenate(([True], ends))]
        starts = np.concatenate(([0], feeds + 1))
        rest = Block(text[starts[-1] :], int(lines[-1]))
        return Spans(text, starts[:-1], feeds + 1, lines[:-1], quoted), rest

    def _as_known(self, block: Block, spans: Spans, rest: Block) -> bool:
        """Whether the records start where they are known to, if that is known."""
        starts = self._starts
        if starts is None:
            return True
        low, high = np.searchsorted(starts, [block.first_line, rest.first_line])
        whole = high < len(starts) and starts[high] == rest.first_line
        return bool(whole) and np.array_equal(starts[low:high], spans.lines)

    def _exact_spans(self, block: Block, final: bool) -> tuple[Spans, Block]:
        """Records found one by one.

        One that spans lines and has the wrong number of fields, or no end within 1 MB, is taken
        to end with its first line: a stray quote then costs one line.
        """
        text, line, at, offset = block.text.decode(), block.first_line, 0, 0
        starts, lines = [0], [line]
        while at < len(text):
            end = self._end(text, at, final)
            if end is None:
                break
            piece = text[at:end]
            offset += len(piece) if piece.isascii() else len(piece.encode())
            line += piece.count("\n")
            starts.append(offset)
            lines.append(line)
            at = end
        bounds = np.array(starts, np.int64)
        spans = Spans(
            block.text[:offset], bounds[:-1], bounds[1:], np.array(lines[:-1], np.int64), True
        )
        return spans, Block(block.text[offset:], line)

    def _end(self, text: str, at: int, final: bool) -> int | None:
        """Where the record ends; None where more text may end it."""
        line_end = text.find("\n", at) + 1 or len(text)
        if self._source.comment and text.startswith(self._source.comment, at):
            return line_end
        try:
            fields, end = record_at(text, at, self._dialect.delimiter, self._dialect.quote)
        except Unclosed:
            fields, end = [], len(text)
        if not final and end == len(text) and end - at <= LONGEST_RECORD and text[-1] != "\n":
            return None
        if not final and not fields and end - at <= LONGEST_RECORD:
            return None
        trusted = end <= line_end or (len(fields) == self._width and end - at <= LONGEST_RECORD)
        return end if trusted else line_end

    def _batch(self, spans: Spans, cells_of: CellsOf) -> Batch | None:
        """Read the cells of some records; None where the two ways of reading disagree."""
        spans, ended = _before_footer(spans, self._source.footer)
        if self._source.comment:
            spans = spans.keep(~_starting_with(spans, self._source.comment.encode()))
        count = len(spans.starts)
        numbers = np.arange(self._number + 1, self._number + count + 1, dtype=np.int64)
        if self._without is not None:
            stays = ~among(spans.lines, self._without)
            spans, numbers = spans.keep(stays), numbers[stays]
        blank, broken = _blank(spans), _marked(spans)
        kept = spans.keep(~(blank | broken))
        cells = cells_of(kept, self._dialect, self._wanted, self._width)
        if cells is None:
            return None
        findings = [
            self._finding("encoding", spans, int(i), int(numbers[i]))
            for i in np.flatnonzero(broken & ~blank)
        ]
        at = numbers[~(blank | broken)]
        findings += [
            self._finding("ragged", kept, int(i), int(at[i])) for i in np.flatnonzero(~cells.good)
        ]
        self._number, self.ended = self._number + count, ended
        careful = _needs_care(spans, self._dialect.delimiter)
        found = cells.good
        if self._see:
            self._see(spans)
        return Batch(
            cells.table,
            at[found],
            kept.lines[found],
            len(numbers),
            int(blank.sum()),
            careful,
            findings,
        )

    def _finding(self, rule: str, spans: Spans, i: int, number: int) -> Finding:
        raw = spans.text[spans.starts[i] : spans.ends[i]].decode().rstrip("\r\n")
        position = _field_of(raw, rule, self._dialect, self._width)
        return Finding(number, int(spans.lines[i]), rule, broken_shown(raw), position)


def broken_shown(text: str) -> str:
    """The text with each byte that was no text as in `\\xe9`."""
    return MARKED.sub(lambda m: f"\\x{ord(m[0]) - 0x10FF00:02x}", text)


def among(values: npt.NDArray[Any], known: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which values are among the known ones, which are sorted."""
    if not len(known):
        return np.zeros(len(values), np.bool_)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.asarray(known[at] == values)


def known_spans(block: Block, starts: Numbers) -> tuple[Spans, Block]:
    """The whole records of a block that start on known lines, and the rest.

    The last of `starts` is the line past the text.
    """
    begins = np.flatnonzero(np.frombuffer(block.text, np.uint8) == FEED) + 1
    begins = np.concatenate(([0], begins))
    end = block.first_line + len(begins) - 1
    low, high = np.searchsorted(starts, [block.first_line, end])
    whole = high < len(starts) and starts[high] == end
    bounds = starts[low : high + 1] if whole else starts[low:high]
    at = begins[bounds - block.first_line]
    text = block.text[: at[-1]]
    spans = Spans(text, at[:-1], at[1:], bounds[:-1], quoted=True)
    return spans, Block(block.text[at[-1] :], int(bounds[-1]))


def _regular(array: npt.NDArray[np.uint8], quotes: Numbers, delimiter: int) -> bool:
    """Whether each quote opens at a field's start, closes at its end, or is doubled."""
    edge = np.zeros(256, np.bool_)
    edge[[delimiter, array[quotes[0]], FEED]] = True
    before = array[np.maximum(quotes[0::2] - 1, 0)]
    opens = edge[before] | (quotes[0::2] == 0)
    edge[RETURN] = True
    after = array[np.minimum(quotes[1::2] + 1, len(array) - 1)]
    closes = edge[after] | (quotes[1::2] == len(array) - 1)
    return bool(opens.all() and closes.all())


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
    if len(marked) and not spans.text.isascii() and MARK in spans.text:
        at = [m.start() for m in re.finditer(re.escape(MARK) + b"[\xbc-\xbf]", spans.text)]
        hit = np.searchsorted(spans.starts, at, side="right") - 1
        marked[hit[(hit >= 0) & (np.array(at) < spans.ends[hit])]] = True
    return marked


def _field_of(record: str, rule: str, dialect: Dialect, width: int) -> int | None:
    """The position of the field for which a record is held back."""
    quote = dialect.quote
    if quote and quote in record:
        try:
            fields, _ = record_at(record, 0, dialect.delimiter, quote)
        except Unclosed:
            return None
    else:
        fields = record.split(dialect.delimiter)
    if rule == "ragged":
        return min(len(fields), width)
    return next((i for i, field in enumerate(fields) if MARKED.search(field)), None)


@dataclass(frozen=True)
class Cells:
    """The wanted cells of the records that have the right number of fields."""

    table: pa.Table
    good: npt.NDArray[np.bool_]


CellsOf = Callable[[Spans, Dialect, list[int], int], Cells | None]


def _fast(spans: Spans, dialect: Dialect, wanted: list[int], width: int) -> Cells | None:
    """By Arrow's CSV reader; None where it sees other records than the spans say."""
    if not len(spans.starts):
        return _exact(spans, dialect, wanted, width)
    ragged: list[int] = []

    def note(row: Any) -> str:
        ragged.append(row.number - 1)
        return "skip"

    try:
        table = _arrow(spans, dialect, [f"c{i}" for i in wanted], width, note)
    except pa.ArrowInvalid:
        return None
    if table.num_rows + len(ragged) != len(spans.starts):
        return None
    good = np.ones(len(spans.starts), np.bool_)
    good[ragged] = False
    return None if spans.quoted and _spans_lines(spans, ~good) else Cells(table, good)


def _spans_lines(spans: Spans, which: npt.NDArray[np.bool_]) -> bool:
    """Whether one of the records has a line end within."""
    return any(
        b"\n" in spans.text[a : b - 1]
        for a, b in zip(spans.starts[which], spans.ends[which], strict=True)
    )


def _arrow(
    spans: Spans, dialect: Dialect, names: list[str], width: int, note: Callable[[Any], str]
) -> pa.Table:
    columns = [f"c{i}" for i in range(width)]
    return pacsv.read_csv(
        pa.py_buffer(spans.text),
        pacsv.ReadOptions(use_threads=False, column_names=columns, block_size=len(spans.text) + 1),
        pacsv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char=dialect.quote if spans.quoted else False,
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


def _exact(spans: Spans, dialect: Dialect, wanted: list[int], width: int) -> Cells:
    """Record by record."""
    rows: list[list[str]] = []
    good = np.zeros(len(spans.starts), np.bool_)
    for i, (start, end) in enumerate(zip(spans.starts, spans.ends, strict=True)):
        text = spans.text[start:end].decode()
        try:
            fields, used = record_at(text, 0, dialect.delimiter, dialect.quote)
        except Unclosed:
            continue
        if len(fields) == width and used == len(text):
            rows.append([fields[w] for w in wanted])
            good[i] = True
    columns = list(zip(*rows, strict=True)) or [()] * len(wanted)
    arrays = [texts(c) for c in columns]
    return Cells(pa.table(arrays, [f"c{w}" for w in wanted]), good)
