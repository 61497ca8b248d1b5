"""How fast events get into PostgreSQL, each exactly once, against COPY and another engine.

    python -m benchmarks.stream [--runs 3] [--copies 4] [--peer] [--python PYTHON]

Real day files of Online Retail, each line so many times under ids of its own, in a folder log and
in a Kafka broker of the benchmark's own on the same machine. All of one round go one after the
other on the database that the settings name, each in a process of its own; imports are not
counted, a consumer's start is; the producer is not running. CPU is the client's, PostgreSQL's and
the broker's.

    floor       binary COPY, encoded before, of the fields as they were sent into a table with the
                key (partition, offset); each batch one transaction with its next offset
    folder      ours by the folder log, sums by customer, country and segment
    kafka       the same from Kafka
    folder all  with all dimensions of the shipped spec
    kafka all   the same from Kafka
    send        not into the database: the day files, as `carrel produce` sends them to a folder log
    send kafka  the same to Kafka
    quix        (--peer) Quix Streams in a throwaway environment (or `--python`'s), from Kafka;
                fewer events, as it is slower

Then where the time goes (CPU of each stage, one after the other), and how long an event takes
until it can be seen, at 1,000 events a second.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from benchmarks.batch import ROOT, ServerClock, peak_rss, spent
from benchmarks.silver import bench_database
from tasks.stream import parse, write
from tasks.stream.claims import Claims
from tasks.stream.consume import consume
from tasks.stream.day_files import replayed
from tasks.stream.fold import Fold, add
from tasks.stream.folder import FolderLog, FolderWriter
from tasks.stream.judge import Judge
from tasks.stream.log import EventWriter, open_log, open_writer
from tasks.stream.produce import at_once, produce
from tasks.stream.sales import Sent, generated
from tests.fix_kafka import Broker, formatted
from warehouse.database import connect
from warehouse.settings import settings
from warehouse.streams import Stream, stream

THREE = ("customer", "country", "segment")
STEPS = ("floor", "folder", "kafka", "folder all", "kafka all", "send", "send kafka")
PEER_EVENTS = 60_000
RATE, SECONDS, WARM_S = 1_000, 15, 3  # of the latency; its first seconds are not counted
TABLES = (
    "ops.stream_partitions", "ops.stream_consumers", "bronze.retail_sales",
    "silver.retail_sales_by", "silver.retail_sales_by_person", "silver.retail_sales_late",
    "quarantine.retail_sales",
)  # fmt: skip
FLOOR = """
drop table if exists floor, floor_offsets;
create table floor (event_id text, sold_at timestamptz, invoice text, stock_code text,
    description text, quantity bigint, country text, producer text, customer_id text,
    unit_price numeric, partition bigint, "offset" bigint, primary key (partition, "offset"));
create table floor_offsets (partition bigint primary key, next_offset bigint);
"""


def sales(name: str) -> Stream:
    """The shipped stream, or the same with three sums."""
    shipped = stream("retail_sales")
    if name.endswith("all"):
        return shipped
    few = tuple(one for one in shipped.dimensions if one.name in THREE)
    return shipped.model_copy(update={"dimensions": few})


def reset() -> None:
    """As after a migration."""
    with connect(autocommit=True) as connection:
        connection.execute(f"truncate {', '.join(TABLES)}".encode())


# In the process of a step ------------------------------------------------------------------------


def floor() -> dict[str, Any]:
    """COPY what was encoded before."""
    import pyarrow as pa
    from pgpq import ArrowToPostgresBinaryEncoder
    from pyarrow import json as pj

    subject, batches = sales("all"), []
    log = FolderLog(settings().stream_folder, subject.topic, subject.partitions)
    positions = dict.fromkeys(log.partitions(), 0)
    while slices := log.poll(positions, settings().stream_batch, 0):
        for one in slices:
            table = pj.read_json(pa.BufferReader(one.block))
            table = table.append_column("partition", pa.repeat(one.partition, len(one.offsets)))
            table = table.append_column("offset", pa.array(one.offsets))
            at = table.schema.get_field_index("sold_at")
            table = table.set_column(
                at, "sold_at", table["sold_at"].cast(pa.timestamp("us", "UTC"))
            )
            at = table.schema.get_field_index("unit_price")
            price = table["unit_price"].cast(pa.decimal128(18, 4))
            table = table.set_column(at, "unit_price", price)
            encoder = ArrowToPostgresBinaryEncoder(table.schema)
            parts = [encoder.write_header(), *map(encoder.write_batch, table.to_batches(8192))]
            names = ", ".join(f'"{name}"' for name in table.column_names)
            batches.append((one, names, [*parts, encoder.finish()]))
        positions |= {one.partition: one.next_offset for one in slices}
    with connect(autocommit=True) as connection:
        connection.execute(FLOOR)
        before, clock = spent(), time.perf_counter()
        for one, names, parts in batches:
            with connection.transaction(), connection.cursor() as cursor:
                with cursor.copy(
                    f"copy floor ({names}) from stdin (format binary)".encode()
                ) as copy:
                    for part in parts:
                        copy.write(part)
                cursor.execute(
                    "insert into floor_offsets values (%s, %s) on conflict (partition)"
                    " do update set next_offset = excluded.next_offset",
                    [one.partition, one.next_offset],
                )
        wall, client = time.perf_counter() - clock, spent() - before
    return {"wall": wall, "client": client, "events": sum(len(one.offsets) for one, *_ in batches)}


def ours(name: str, events: int) -> dict[str, Any]:
    """Consume until so many events are committed."""
    stop, seen = threading.Event(), 0

    def told(batch: Any) -> None:
        nonlocal seen
        seen += sum(moved.events for moved in batch.moves)
        if seen >= events:
            stop.set()

    import jsonschema  # noqa: F401 - what is imported at first use
    import pandas as pd  # noqa: F401

    subject = sales(name)
    Fold(subject)
    before, clock = spent(), time.perf_counter()
    consume(subject, stop=stop, told=told)
    return {"wall": time.perf_counter() - clock, "client": spent() - before, "events": seen}


def send() -> dict[str, Any]:
    """Send the day files as `carrel produce` does, until the log has them."""
    subject = sales("all").model_copy(update={"topic": "sent"})
    writer = open_writer(subject)
    before, clock = spent(), time.perf_counter()
    events = produce(writer, at_once(replayed(subject, _day_files())))
    writer.close()
    return {"wall": time.perf_counter() - clock, "client": spent() - before, "events": events}


def parts(name: str, events: int, clock: ServerClock) -> dict[str, Any]:
    """CPU of the client and of the server in each stage, nothing beside anything else."""
    used: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    looking = 0.0  # CPU of reading the server's clock

    def now() -> tuple[float, float]:
        nonlocal looking
        begun = spent()
        server = clock.read()
        looking += spent() - begun
        return spent() - looking, server

    def timed(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*arguments: Any, **more: Any) -> Any:
            before = now()
            try:
                return call(*arguments, **more)
            finally:
                for n, (begin, end) in enumerate(zip(before, now(), strict=True)):
                    used[stage][n] += end - begin

        return measured

    subject, seen = sales(name), 0
    parse.Parser._taken = timed("parse", parse.Parser._taken)  # type: ignore[method-assign]
    parse.Parser._typed = timed("validate", parse.Parser._typed)  # type: ignore[method-assign]
    write._bronze = timed("copy", write._bronze)
    write.add = timed("fold: add", add)  # type: ignore[attr-defined]
    with connect(autocommit=True) as connection, closing(open_log(subject)) as log:
        claims = Claims(subject)
        held = claims.settle(connection, log.partitions())
        positions = {one: hold.next_offset for one, hold in held.items()}
        judge = timed("judge", Judge(subject, connection, positions))
        poll, fold = timed("poll", log.poll), timed("fold: sum", Fold(subject))
        note = timed("commit", write.write)
        while seen < events:
            slices = poll(positions, settings().stream_batch, 5)
            positions |= {one.partition: one.next_offset for one in slices}
            batch = judge(slices)
            counted = write.on_time(batch)
            if counted is not None:
                batch = replace(batch, folded=fold(counted))
            note(connection, subject, claims, batch)
            seen += sum(moved.events for moved in batch.moves)
    for whole, within in (("judge", ("parse", "validate")), ("commit", ("copy", "fold: add"))):
        for n in (0, 1):
            used[whole][n] -= sum(used[one][n] for one in within)
    return {"parts": {k: [v / seen * 1e6 for v in pair] for k, pair in used.items()}}


def step(name: str, events: int) -> None:
    """Run one step, and print what it cost."""
    if name == "floor":
        told = floor()
    elif name.startswith("send"):
        told = send()
    elif name.startswith("parts"):
        told = parts(name.removeprefix("parts "), events, ServerClock(_data()))
    else:
        told = ours(name, events)
    print(json.dumps(told | {"rss": peak_rss()}))


# In the process that drives ----------------------------------------------------------------------


class Bench:
    """The logs, and the figures so far."""

    def __init__(self, folder: Path, broker: Broker, copies: int) -> None:
        self.folder, self.broker = folder, broker
        self.clock = ServerClock(_data())
        self.figures: dict[str, list[dict[str, Any]]] = defaultdict(list)
        subject = sales("all")
        lines = (
            one._replace(line=one.line.replace(b'"event_id":"', b'"event_id":"%d-' % n, 1))
            for one in replayed(subject, _day_files())
            for n in range(copies)
        )
        writer = FolderWriter(folder / "log", subject.topic, subject.partitions)
        self.events = produce(writer, at_once(lines))
        writer.close()
        with self.kafka():
            self._into_kafka(subject)

    def _into_kafka(self, subject: Stream) -> None:
        writer = open_writer(subject)
        log = FolderLog(self.folder / "log", subject.topic, subject.partitions)
        positions = dict.fromkeys(log.partitions(), 0)
        while slices := log.poll(positions, 20_000, 0):
            for one in slices:
                writer.append(one.partition, one.block.splitlines())
                positions[one.partition] = one.next_offset
        writer.close()

    @contextmanager
    def kafka(self) -> Iterator[None]:
        """The settings name the broker."""
        os.environ["CARREL_KAFKA_BOOTSTRAP"] = self.broker.bootstrap
        settings.cache_clear()
        try:
            yield
        finally:
            del os.environ["CARREL_KAFKA_BOOTSTRAP"]
            settings.cache_clear()

    def step(self, name: str) -> dict[str, Any]:
        """One step in a process of its own."""
        reset()
        command = [sys.executable, "-m", "benchmarks.stream", "--step", name]
        env = os.environ | {"CARREL_STREAM_LOG": str(self.folder / "log")}
        if "kafka" in name:
            env["CARREL_KAFKA_BOOTSTRAP"] = self.broker.bootstrap
        return self.run(name, [*command, "--events", str(self.events)], env)

    def run(self, name: str, command: list[str], env: dict[str, str]) -> dict[str, Any]:
        server, broker = self.clock.read(), self._broker_cpu()
        done = subprocess.run(
            command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        time.sleep(0.2)
        told |= {"server": self.clock.read() - server, "broker": self._broker_cpu() - broker}
        self.figures[name].append(told)
        return told

    def _broker_cpu(self) -> float:
        assert self.broker.running
        times = psutil.Process(self.broker.running.pid).cpu_times()
        return float(times.user + times.system)

    def peer(self, python: Path | None) -> None:
        """Quix Streams, in an environment made for it and thrown away."""
        if python is None:
            python = self.folder / "quix" / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True)
            pip = [str(python), "-m", "pip", "install", "-q", "quixstreams", "psycopg[binary]"]
            subprocess.run(pip, check=True)
        url = settings().url().set(drivername="postgresql").render_as_string(hide_password=False)
        script = str(ROOT / "benchmarks" / "peer_quix.py")
        most = str(min(PEER_EVENTS, self.events))
        command = [str(python), script, self.broker.bootstrap, sales("all").topic, url, most]
        self.run("quix", command, dict(os.environ))

    def table(self) -> str:
        """Medians of events a second, and of the ratios within rounds."""
        head = ("events/s", "× floor", "× quix", "µs client", "server", "broker", "RSS MB")
        lines = [f"{'':11}" + "".join(f"{one:>11}" for one in head)]
        for name, rounds in self.figures.items():
            if name.startswith("parts"):
                continue
            speed = [one["events"] / one["wall"] for one in rounds]
            cells = [f"{statistics.median(speed):,.0f}"]
            for other in ("floor", "quix"):
                beside = self.figures.get(other, [])
                pairs = zip(speed, beside, strict=False)
                ratios = [mine / (its["events"] / its["wall"]) for mine, its in pairs]
                cells.append(f"{statistics.median(ratios):.2f}" if ratios else "")
            for part in ("client", "server", "broker"):
                each = statistics.median(one[part] / one["events"] * 1e6 for one in rounds)
                cells.append(f"{each:.2f}")
            cells.append(f"{max(one['rss'] for one in rounds):.0f}")
            lines.append(f"{name:11}" + "".join(f"{cell:>11}" for cell in cells))
        return "\n".join(lines)


def where(name: str, told: dict[str, Any]) -> None:
    """Print where the time goes."""
    cells = [f"{stage} {own:.2f} + {server:.2f}" for stage, (own, server) in told["parts"].items()]
    print(f"{name}: µs of CPU an event, client + server: {', '.join(cells)}", flush=True)


def latency(folder: Path, name: str) -> None:
    """Print the time from sending an event until it can be seen, at RATE a second."""
    reset()
    subject = sales("all").model_copy(update={"topic": f"latency_{name}"})
    os.environ["CARREL_STREAM_LOG"] = str(folder / "latency")
    settings.cache_clear()
    writer, stop = open_writer(subject), threading.Event()
    sent: dict[int, list[float]] = defaultdict(list)
    threads = [
        threading.Thread(target=consume, args=[subject], kwargs={"stop": stop}),
        threading.Thread(target=_send, args=[subject, writer, sent, stop]),
    ]
    used = spent()
    for thread in threads:
        thread.start()
    waits = _watch(sent, time.perf_counter() + WARM_S)
    stop.set()
    for thread in threads:
        thread.join()
    writer.close()
    waits.sort()
    p50, p99 = (waits[int(len(waits) * share)] * 1000 for share in (0.5, 0.99))
    print(
        f"{name}: event to visible at {RATE:,} events/s: p50 {p50:.0f} ms, p99 {p99:.0f} ms of"
        f" {len(waits):,} events; {(spent() - used) / (SECONDS + WARM_S):.2f} CPU s a second",
        flush=True,
    )


def _send(
    subject: Stream, writer: EventWriter, sent: dict[int, list[float]], stop: threading.Event
) -> None:
    from datetime import UTC, datetime

    made = generated(subject, 1, datetime.now(UTC), 1 / RATE)
    burst, due = RATE // 50, time.perf_counter()
    while not stop.is_set():
        messages: list[Sent] = [next(made) for _ in range(burst)]
        time.sleep(max(0.0, due - time.perf_counter()))
        due += burst / RATE
        for partition in range(subject.partitions):
            lines = [one.line for one in messages if one.partition == partition]
            sent[partition] += [time.perf_counter()] * len(lines)
            writer.append(partition, lines)


def _watch(sent: dict[int, list[float]], begin: float) -> list[float]:
    """Seconds from sending to being visible, of events sent after `begin`."""
    waits, seen = list[float](), defaultdict[int, int](int)
    with connect(autocommit=True) as connection:
        while time.perf_counter() < begin + SECONDS:
            time.sleep(0.005)
            rows = connection.execute("select partition, next_offset from ops.stream_partitions")
            found = rows.fetchall()
            now = time.perf_counter()
            for partition, at in found:
                waits += [now - t for t in sent[partition][seen[partition] : at] if t > begin]
                seen[partition] = max(seen[partition], at)
    return waits


def _day_files() -> Path:
    return settings().shared / "data/retail/online_retail_by_day"


def _data() -> Path:
    from deployments.postgres import server

    return server().data


def main() -> None:
    """Read the options, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--python", type=Path)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--events", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step(options.step, options.events)
        return
    with (
        tempfile.TemporaryDirectory(prefix="carrel bench ") as name,
        bench_database("carrel_bench_stream"),
    ):
        broker = formatted()
        broker.start()
        try:
            drive(Bench(Path(name), broker, options.copies), options)
        finally:
            broker.remove()


def drive(bench: Bench, options: argparse.Namespace) -> None:
    """Measure round by round."""
    for number in range(options.runs):
        for name in STEPS:
            bench.step(name)
        if options.peer:
            bench.peer(options.python)
        print(f"round {number + 1} of {options.runs}, {bench.events:,} events\n{bench.table()}\n",
              flush=True)  # fmt: skip
    for name in ("folder", "kafka", "folder all"):
        where(name, bench.step(f"parts {name}"))
    latency(bench.folder, "folder")
    with bench.kafka():
        latency(bench.folder, "kafka")


if __name__ == "__main__":
    main()
