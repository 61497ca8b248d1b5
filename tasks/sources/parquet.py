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
            yield pa.Table.from_batches([], file.schema_arrow)  # `empty_table` imports pandas
            for batch in file.iter_batches(ROWS):
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise no_parquet(path, error) from error


def no_parquet(path: Path, error: Exception) -> SourceMalformed:
    """Say what is wrong with a file, in the library's words, on one line."""
    reason = " ".join(str(error).split()).rstrip(".")
    return SourceMalformed(
        path, f"is no whole Parquet file: {reason}.", remedy="Fetch it again, or write it anew."
    )
