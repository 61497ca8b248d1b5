"""Day files of UCI Online Retail as events to send, a block of lines at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.arrays import numbers
from tasks.duck import Duck
from tasks.stream.parse import WHOLE
from tasks.stream.sales import Sent, partition_of
from warehouse.ddl import literal
from warehouse.errors import SourceMalformed, SourceUnavailable
from warehouse.streams import Stream

HEADER = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID",
    "Country",
)  # fmt: skip
BLOCK = 4 << 20  # bytes of a file in memory at a time
TOGETHER = 20_000  # rows at least, of several files if need be: a query has a price of its own
# Prices go as they are written: a float would not hold them. No line: it has no such numbers.
LINES = r"""
select encode('{{"event_id":' || to_json(event_id)
    || ',"sold_at":' || to_json(moment)
    || ',"invoice":' || to_json("InvoiceNo")
    || ',"stock_code":' || to_json("StockCode")
    || ',"description":' || coalesce(to_json(nullif("Description", ''))::varchar, 'null')
    || ',"quantity":' || case when regexp_full_match("Quantity", '{whole}')
        then "Quantity"::bigint end
    || ',"country":' || to_json("Country")
    || ',"producer":' || to_json({producer})
    || ',"customer_id":' || coalesce(
        to_json(nullif(regexp_replace("CustomerID", '\.0$', ''), ''))::varchar, 'null')
    || ',"unit_price":' || case when regexp_full_match("UnitPrice", '-?\d{{1,18}}(\.\d+)?')
        then "UnitPrice" end
    || '}}') as line
from rows order by place
"""


def replayed(stream: Stream, folder: Path, *, producer: str = "replay") -> Iterator[Sent]:
    """The lines of a folder's day files, in order, as events with names that never change.

    Raises:
        SourceUnavailable: there is no such file.
        SourceMalformed: a file is no day file.
    """
    paths = sorted(folder.glob("*.csv")) if folder.is_dir() else [folder]
    if not paths or not paths[0].is_file():
        raise SourceUnavailable(
            f"{folder}: no day file is there.", remedy="Name a CSV file, or a folder of them."
        )
    duck, query = Duck(threads=1), LINES.format(producer=literal(producer), whole=WHOLE.pattern)
    for rows in _together(paths):
        yield from _events(stream, duck, query, paths, rows)


def _together(paths: list[Path]) -> Iterator[pa.Table]:
    """Rows of the files in order, `place` being their number here."""
    blocks, count = list[pa.Table](), 0
    for number, path in enumerate(paths):
        for block in _blocks(path, number):
            blocks.append(block)
            count += block.num_rows
            if count >= TOGETHER:
                yield _placed(blocks)
                blocks, count = [], 0
    if count:
        yield _placed(blocks)


def _placed(blocks: list[pa.Table]) -> pa.Table:
    table = pa.concat_tables(blocks)
    return table.append_column("place", numbers(np.arange(table.num_rows)))


def _blocks(path: Path, number: int) -> Iterator[pa.Table]:
    """A file's rows as texts, with `event_id`, `file` and `n`, their number in it from 1."""
    from pyarrow import csv

    count = 0
    try:
        with csv.open_csv(
            path,
            csv.ReadOptions(block_size=BLOCK, use_threads=False),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(column_types=dict.fromkeys(HEADER, pa.string())),
        ) as reader:
            if tuple(reader.schema.names) != HEADER:
                remedy = f"Its header must be {','.join(HEADER)}."
                raise SourceMalformed(path, "is no day file.", line=1, remedy=remedy)
            for batch in reader:
                n = numbers(np.arange(count + 1, count + 1 + batch.num_rows))
                count += batch.num_rows
                names = pc.binary_join_element_wise(path.stem, n.cast(pa.string()), "-")
                table = pa.Table.from_batches([batch]).append_column("event_id", names)
                table = table.append_column("file", pa.repeat(number, batch.num_rows))
                yield table.append_column("n", n)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        why = str(error).partition("\n")[0]
        raise SourceMalformed(path, f"cannot be read behind line {count + 1}: {why}.") from error


def _events(
    stream: Stream, duck: Duck, query: str, paths: list[Path], rows: pa.Table
) -> Iterator[Sent]:
    def refuse(place: int, column: str, what: str) -> NoReturn:
        path, line = paths[rows["file"][place].as_py()], rows["n"][place].as_py() + 1
        text = rows[column][place].as_py()
        raise SourceMalformed(path, f"{text!r} is no {what}.", line=line, column=column)

    zone = ZoneInfo(stream.timezone)
    times, of_time = _each(rows["InvoiceDate"], lambda text: _moment(text, zone))
    if None in times:
        refuse(of_time.index(times.index(None)), "InvoiceDate", "time")
    moments = pa.array([time.isoformat() for time in times]).take(pa.array(of_time, pa.int64()))
    lines = duck.ask(query, rows=rows.append_column("moment", moments))["line"].to_pylist()
    if None in lines:
        place = lines.index(None)
        whole = WHOLE.fullmatch(rows["Quantity"][place].as_py())
        refuse(place, "UnitPrice" if whole else "Quantity", "number")
    partitions, of_partition = _each(rows["InvoiceNo"], lambda text: partition_of(stream, text))
    for partition, line, time in zip(of_partition, lines, of_time, strict=True):
        yield Sent(partitions[partition], line, times[time])


def _each(column: pa.ChunkedArray, make: Callable[[str], Any]) -> tuple[list[Any], list[int]]:
    """What is made of each value that there is, and which of them each row has."""
    coded = column.combine_chunks().dictionary_encode()
    return [make(value) for value in coded.dictionary.to_pylist()], coded.indices.to_pylist()


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone)
    except ValueError:
        return None
