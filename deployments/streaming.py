"""Commands of the stream: produce, consume, and what there is to see and to put right."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.stream.sales import Sent
    from warehouse.streams import Stream

SALES = "retail_sales"
Which = Annotated[str, typer.Option("--stream", help="Which stream.")]
Share = Annotated[float, typer.Option(min=0, max=0.5, help="Share of invented messages.")]
stream = typer.Typer(help="The stream of events: where it stands, rebuild, late events.",
                     no_args_is_help=True)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands to `carrel`."""
    app.command()(produce)
    app.command()(consume)
    app.add_typer(stream, name="stream")


def produce(  # noqa: PLR0913, PLR0917 - each is an option
    folder: Annotated[
        Path | None, typer.Argument(help="Day file of Online Retail, or a folder of them.")
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0, help="Times as fast as it happened; 0: as fast as it goes.")
    ] = 0,
    rate: Annotated[float, typer.Option(min=0.001, help="Invented sales a second.")] = 0.5,
    burst: Annotated[int, typer.Option(min=1, help="Invented sales sent together.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed invents the same sales.")] = 1,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    late: Share = 0,
    duplicate: Share = 0,
    malformed: Share = 0,
    name: Which = SALES,
) -> None:
    """Send sales into the log: of day files, or invented, one every two seconds."""
    from tasks.stream.log import open_writer
    from tasks.stream.produce import at_once, paced, timed
    from tasks.stream.produce import produce as send
    from tasks.stream.sales import Faults, generated, replayed

    subject = _stream(name)
    if folder:
        sales: Iterator[Sent] = replayed(subject, folder)
    else:
        faults = Faults(late, duplicate, malformed)
        sales = generated(subject, seed, datetime.now(UTC), 1 / rate, faults)
    sales = islice(sales, count)
    if folder:
        bursts = timed(sales, speed) if speed else at_once(sales)
    else:
        bursts = paced(sales, rate, burst)
    writer = open_writer(subject)
    try:
        sent = send(writer, bursts, _until_told())
    finally:
        writer.close()
    typer.echo(f"{sent:,} sent")


def consume(
    once: Annotated[bool, typer.Option(help="End when nothing is left to read.")] = False,
    name: Which = SALES,
) -> None:
    """Take events from the log into the database, each exactly once, until interrupted."""
    from tasks.stream.consume import consume as run
    from warehouse.log import start

    start()
    counts = {"events": 0, "late": 0, "duplicates": 0, "quarantined": 0}

    def told(batch: Any) -> None:
        for fact in counts:
            counts[fact] += sum(getattr(moved, fact) for moved in batch.moves)

    run(_stream(name), once=once, stop=_until_told(), told=told)
    typer.echo(", ".join(f"{count:,} {fact}" for fact, count in counts.items()))


@stream.command()
def status(name: Which = SALES) -> None:
    """Each partition: how far it was read, and what became of its events."""
    from warehouse.database import connect

    subject = _stream(name)
    with connect() as connection:
        rows = connection.execute(
            "select partition, next_offset, events, counted, late, duplicates, quarantined,"
            " newest_at, held_until > now() from ops.stream_partitions"
            " where stream = %s and topic = %s order by 1",
            [subject.table, subject.topic],
        ).fetchall()
    for number, at, events, counted, late, duplicates, quarantined, newest, held in rows:
        typer.echo(
            f"partition {number}: next record {at:,}; {events:,} read: {counted:,} counted,"
            f" {late:,} late, {duplicates:,} duplicates, {quarantined:,} quarantined;"
            f" newest {newest or '-'}; {'a consumer has it' if held else 'nobody reads it'}"
        )
    if not rows:
        typer.echo("Nothing was consumed yet.")


@stream.command()
def rebuild(name: Which = SALES) -> None:
    """Fold all of bronze anew, and put right what differs; consumers wait meanwhile."""
    from tasks.stream import rebuild as making
    from warehouse import audit

    subject = _stream(name)
    with audit.acting(audit.shell(), "stream", name, part="rebuild") as facts:
        done = making.rebuild(subject)
        facts["differing"] = done.differing
    typer.echo(f"{done.events:,} events folded anew; {done.differing:,} sums differed")


@stream.command()
def restate(name: Which = SALES) -> None:
    """Fold in the events that came too late; their sums are stamped as restated."""
    from tasks.stream import rebuild as making
    from warehouse import audit

    subject = _stream(name)
    with audit.acting(audit.shell(), "stream", name, part="restate") as facts:
        facts["events"] = making.restate(subject)
    typer.echo(f"{facts['events']:,} late events folded in")


@stream.command()
def analyse(
    again: Annotated[
        bool, typer.Option(help="Go on, every so often as the stream's YAML says.")
    ] = False,
    name: Which = SALES,
) -> None:
    """Customers, cohorts, baskets and cancellations anew, from all sales so far."""
    from tasks.shop.analyse import analyse as work

    subject, stop = _stream(name), _until_told()
    while True:
        done = work(subject)
        typer.echo(f"{done.lines:,} lines analysed in {done.seconds} s,"
                   f" all sales before {done.complete_to or '-'}")  # fmt: skip
        if not again or stop.wait(subject.gold.every_s if subject.gold else None):
            return


def _stream(name: str) -> Stream:
    from warehouse.streams import stream as found

    return found(name)


def _until_told() -> threading.Event:
    """Set when the process is told to end, so that what is under way is finished."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
