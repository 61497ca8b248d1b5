"""Read Parquet files, a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import SourceMalformed
from warehouse.spec import Dataset

ROWS = 65_536


def read(dataset: Dataset, path: Path | None) -> Iterator[pa.Table]:
    """The file's rows.

    Raises:
        SourceMalformed: it is no Parquet file.
    """
    assert path
    try:
        with pq.ParquetFile(path) as file:
            yield file.schema_arrow.empty_table()
            for batch in file.iter_batches(ROWS):
                yield pa.Table.from_batches([batch])
    except pa.ArrowInvalid as error:
        raise SourceMalformed(path, f"is no whole Parquet file: {error}.") from error
