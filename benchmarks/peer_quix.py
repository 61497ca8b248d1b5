"""What Quix Streams takes for the same; run by stream.py in an environment of its own.

Its own consumer and JSON parser; a batching sink of ours writes each batch in one transaction: rows
by COPY, three aggregates by upsert, and the offset, so that what is delivered twice is left out.
There is no validation, no lateness, no quarantine and no window of duplicates.

    python peer_quix.py BOOTSTRAP TOPIC DATABASE_URL EVENTS
"""

from __future__ import annotations

import json
import resource
import sys
import time
import uuid
from collections import defaultdict
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import psycopg
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

BOOTSTRAP, TOPIC, URL, EVENTS = sys.argv[1:]
FIELDS = ("event_id", "sold_at", "invoice", "stock_code", "description", "quantity", "unit_price",
          "customer_id", "country")  # fmt: skip
THREE = ("customer", "country", "segment")
TABLES = """
drop table if exists quix_sales, quix_by, quix_offsets;
create table quix_sales (partition int, at bigint, event_id text, sold_at timestamptz, invoice text,
    stock_code text, description text, quantity bigint, unit_price numeric, customer_id text,
    country text, primary key (partition, at));
create table quix_by (dimension text, day date, value text, lines bigint, net numeric,
    primary key (dimension, day, value));
create table quix_offsets (partition int primary key, next_offset bigint);
"""


class Sink(BatchingSink):
    """Batches of one partition into PostgreSQL."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = psycopg.connect(URL)
        self.connection.execute(TABLES)
        self.connection.commit()
        self.events = 0

    def write(self, batch: SinkBatch) -> None:
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.execute(
                "select next_offset from quix_offsets where partition = %s for update",
                [batch.partition],
            )
            begin = (cursor.fetchone() or [0])[0]
            items = [item for item in batch if item.offset >= begin]
            if not items:
                return
            sums: dict[tuple[str, str, str], list] = defaultdict(lambda: [0, Decimal()])
            with cursor.copy("copy quix_sales from stdin") as copy:
                for item in items:
                    value = item.value
                    row = [value.get(name) for name in FIELDS]
                    copy.write_row((batch.partition, item.offset, *row))
                    net = value["quantity"] * Decimal(str(value["unit_price"]))
                    day, customer = value["sold_at"][:10], value.get("customer_id")
                    segment = "B2B" if customer and value["quantity"] >= 12 else "B2C"
                    members = (customer or "(none)", value["country"], segment)
                    for dimension, member in zip(THREE, members, strict=True):
                        one = sums[dimension, day, member]
                        one[0] += 1
                        one[1] += net
            cursor.execute(
                "insert into quix_by as old select * from unnest(%s::text[], %s::date[],"
                " %s::text[], %s::bigint[], %s::numeric[])"
                " on conflict (dimension, day, value) do update set"
                " lines = old.lines + excluded.lines, net = old.net + excluded.net",
                [*map(list, zip(*sums, strict=True)), *map(list, zip(*sums.values(), strict=True))],
            )
            cursor.execute(
                "insert into quix_offsets values (%s, %s) on conflict (partition) do update set"
                " next_offset = excluded.next_offset",
                [batch.partition, items[-1].offset + 1],
            )
        self.events += len(items)


def main() -> None:
    app = Application(
        broker_address=BOOTSTRAP, consumer_group=f"quix-{uuid.uuid4()}", loglevel="ERROR",
        auto_offset_reset="earliest", commit_every=20_000, commit_interval=5.0,
    )  # fmt: skip
    sink = Sink()
    app.dataframe(app.topic(TOPIC, value_deserializer="json")).sink(sink)
    used = resource.getrusage(resource.RUSAGE_SELF)
    clock, before = time.perf_counter(), used.ru_utime + used.ru_stime
    app.run(count=int(EVENTS))
    wall = time.perf_counter() - clock
    used = resource.getrusage(resource.RUSAGE_SELF)
    rss = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({
        "events": sink.events, "wall": wall, "client": used.ru_utime + used.ru_stime - before,
        "rss": rss, "version": version("quixstreams"),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
