"""What dlt takes for the same file; run by batch.py in an environment of its own.

Arrow tables, merge on the key, rows with too many cells skipped, no typing, checks or quarantine:
every column stays text. Extract, normalize and load with one file format, Parquet through ADBC
where this dlt can, else CSV through COPY.

    python peer_dlt.py FILE DATABASE_URL FOLDER NAME
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
from pathlib import Path

FILE, URL, FOLDER, NAME = sys.argv[1:]
os.environ |= {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "false",
    "DATA_WRITER__DISABLE_COMPRESSION": "true",
}

import dlt  # noqa: E402
import psycopg2  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.csv as pacsv  # noqa: E402

COLUMNS = ["id", "member", "item", "branch", "out", "due"]
COLUMNS += ["returned", "renewals", "fine", "channel"]


@dlt.resource(name="loans", primary_key="id", write_disposition="merge")
def loans():
    yield from pacsv.open_csv(
        FILE,
        pacsv.ReadOptions(block_size=16 << 20),
        pacsv.ParseOptions(invalid_row_handler=lambda row: "skip"),
        pacsv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string())),
    )


def run(file_format: str) -> None:
    pipeline = dlt.pipeline(
        f"loans_{file_format}",
        destination=dlt.destinations.postgres(URL),
        dataset_name=f"dlt_{file_format}",
        pipelines_dir=str(Path(FOLDER) / "pipelines"),
    )
    pipeline.run(loans(), loader_file_format=file_format)


def forget() -> None:
    """Neither rows nor state of an earlier run."""
    shutil.rmtree(Path(FOLDER) / "pipelines", ignore_errors=True)
    connection = psycopg2.connect(URL)
    with connection, connection.cursor() as cursor:
        for schema in ("parquet", "parquet_staging", "csv", "csv_staging"):
            cursor.execute(f"drop schema if exists dlt_{schema} cascade")
    connection.close()


def spent() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    if NAME == "dlt first":
        forget()
    chosen = Path(FOLDER) / "dlt_format"
    formats = [chosen.read_text()] if chosen.exists() else ["parquet", "csv"]
    for file_format in formats:
        clock, before = time.perf_counter(), spent()
        try:
            run(file_format)
        except Exception as error:
            print(f"dlt with {file_format}: {str(error)[:300]}", file=sys.stderr)
            continue
        wall, client = time.perf_counter() - clock, spent() - before
        chosen.write_text(file_format)
        status = Path("/proc/self/status").read_text()
        rss = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        told = {"wall": wall, "client": client, "rss": rss}
        told |= {"format": file_format, "version": dlt.__version__}
        print(json.dumps(told))
        return
    sys.exit(1)


if __name__ == "__main__":
    main()
