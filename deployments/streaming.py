"""Commands of the stream: produce, consume, and what there is to see and to put right."""

from __future__ import annotations

import math
import signal
import threading
from contextlib import AbstractContextManager, ExitStack, closing
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.stream.sales import Faults, Sent
    from warehouse.streams import Stream

SALES = "retail_sales"
Which = Annotated[str, typer.Option("--stream", help="Which stream.")]


def _finite(value: float) -> float:
    """Refuse what typer's bounds let through."""
    if not math.isfinite(value):
        raise typer.BadParameter("is no number")
    return value


Share = Annotated[
    float, typer.Option(min=0, max=0.5, callback=_finite, help="Share of invented messages.")
]
stream = typer.Typer(help="The stream of events: where it stands, rebuild, late events.",
                     no_args_is_help=True)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands to `carrel`."""
    app.command()(produce)
    app.command()(consume)
    app.add_typer(stream, name="stream")


def produce(  # noqa: PLR0913, PLR0917 - each is an option
    source: Annotated[
        Path | None,
        typer.Argument(
            help="Events as JSON lines (x.jsonl, or - for what comes down a pipe), of any stream;"
            " or a day file of Online Retail, or a folder of them."
        ),
    ] = None,
    speed: Annotated[
        float,
        typer.Option(
            min=0, callback=_finite, help="Times as fast as it happened; 0: as fast as it goes."
        ),
    ] = 0,
    rate: Annotated[
        float, typer.Option(min=0.001, callback=_finite, help="Invented sales a second.")
    ] = 0.5,
    burst: Annotated[int, typer.Option(min=1, help="Invented sales sent together.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed invents the same sales.")] = 1,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    late: Share = 0,
    duplicate: Share = 0,
    malformed: Share = 0,
    name: Which = SALES,
) -> None:
    """Send events into the log: of a file or a pipe, or invented sales, one every two seconds."""
    from tasks.stream.log import open_writer
    from tasks.stream.produce import produce as send
    from tasks.stream.sales import Faults

    subject = _stream(name)
    with ExitStack() as stack:
        if source:
            bursts = _bursts_of(subject, source, speed, stack)
        else:
            bursts = _invented(subject, rate, burst, seed, Faults(late, duplicate, malformed))
        writer = stack.enter_context(closing(open_writer(subject)))
        _have_consumed(subject)
        sent = send(writer, bursts, _until_told(), count)
    typer.echo(f"{sent:,} sent")


def _bursts_of(
    subject: Stream, source: Path, speed: float, stack: ExitStack
) -> Iterator[list[Sent]]:
    """The messages of a file, folder or pipe, all that there are or at the pace of their times."""
    from tasks.stream import json_lines
    from tasks.stream.day_files import replayed
    from tasks.stream.produce import at_once, timed

    if str(source) == "-" or source.suffix in {".jsonl", ".ndjson"}:
        bursts = json_lines.bursts(subject, source, stack)
        return timed(chain.from_iterable(bursts), speed) if speed else bursts
    sales = replayed(_sold(subject), source)
    return timed(sales, speed) if speed else at_once(sales)


def _invented(
    subject: Stream, rate: float, burst: int, seed: int, faults: Faults
) -> Iterator[list[Sent]]:
    from tasks.stream.produce import paced
    from tasks.stream.sales import generated

    return paced(generated(_sold(subject), seed, datetime.now(UTC), 1 / rate, faults), rate, burst)


def _sold(subject: Stream) -> Stream:
    """Refuse to send sales into another stream."""
    if subject.table != SALES:
        raise typer.BadParameter(
            f"{subject.table} takes no sales: send it a file of JSON lines (x.jsonl), or -",
            param_hint="SOURCE",
        )
    return subject


def consume(
    once: Annotated[bool, typer.Option(help="End when nothing is left to read.")] = False,
    name: Which = SALES,
) -> None:
    """Take events from the log into the database, each exactly once, until interrupted."""
    from uuid import uuid4

    from tasks.stream.report import run
    from warehouse.log import start

    start()
    done = run(_stream(name), str(uuid4()), once=once, stop=_until_told())
    shown = (fate for fate in done.fates if fate != "counted")
    typer.echo(", ".join(f"{done.fates[fate]:,} {fate}" for fate in shown))


@stream.command()
def status(
    name: Which = SALES,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Each partition: how far it was read, and what became of its events; then the metrics."""
    import json

    from tasks.stream import report

    subject = _stream(name)
    partitions, metrics = report.partitions(subject), report.metrics(subject)
    if as_json:
        facts = {"stream": name, "partitions": partitions, "metrics": metrics}
        typer.echo(json.dumps(facts, default=str, ensure_ascii=False))
        return
    for one in partitions:
        typer.echo(
            f"partition {one['partition']}: next record {one['next_offset']:,};"
            f" {one['events']:,} read: {one['counted']:,} counted,"
            f" {one['late']:,} late, {one['duplicates']:,} duplicates,"
            f" {one['quarantined']:,} quarantined; newest {one['newest_at'] or '-'};"
            f" {one['reader'] or 'nobody'} reads it"
        )
    for one in metrics:
        value = _figure(one["value"])
        typer.echo(f"{one['metric']:<20} {value:>16} {one['unit']:<18} {one['meaning']}")
    if not partitions:
        typer.echo("Nothing was consumed yet.")


def _figure(value: float | None) -> str:
    """A metric's value; what is large has no decimals."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"


@stream.command()
def retain(
    name: Which = SALES,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Let go of what is too old by the stream's spec; put past months of bronze together."""
    from tasks.stream import retain as keeping

    subject = _stream(name)
    if dry_run:
        went = keeping.plan(subject)
    else:
        with _on_record(name, "retain") as facts:
            went = keeping.retain(subject)
            facts["things"] = len(went)
    for one in went:
        rows = "" if one.rows is None else f"{one.rows:,} rows, "
        size = "" if one.bytes is None else f"{one.bytes:,} bytes, "
        typer.echo(f"{one.what:<11} {one.name}: {rows}{size}{one.reason}")
    typer.echo(f"{len(went)} things {'would go' if dry_run else 'went'}", err=True)


@stream.command()
def review(name: Which = SALES) -> None:
    """Do positions and log fit; clears what dead consumers left. Exit code 1: look at something."""
    from tasks.stream.review import review as look

    subject = _stream(name)
    with _on_record(name, "review") as facts:
        done = look(subject)
        facts["faults"] = len(done.faults)
    for what, count in done.cleared.items():
        typer.echo(f"{count:,} {what} cleared")
    for fault in done.faults:
        typer.echo(f"fault: {fault}", err=True)
    if done.faults:
        raise typer.Exit(1)


@stream.command()
def rebuild(
    look_up: Annotated[
        bool, typer.Option("--look-up", help="First look up anew what other tables say of events.")
    ] = False,
    name: Which = SALES,
) -> None:
    """Fold all of bronze anew, and put right what differs; consumers wait meanwhile."""
    from tasks.stream import lookups
    from tasks.stream import rebuild as making

    subject = _stream(name)
    with _on_record(name, "rebuild") as facts:
        if look_up:
            facts["looked_up"] = lookups.anew(subject)
            typer.echo(f"{facts['looked_up']:,} events say otherwise now")
        done = making.rebuild(subject)
        facts["differing"] = done.differing
    typer.echo(f"{done.events:,} events folded anew; {done.differing:,} sums differed")


@stream.command()
def quarantine(
    to: Annotated[
        Path | None, typer.Option(help="Write the messages there, to be mended: x.csv.")
    ] = None,
    name: Which = SALES,
) -> None:
    """Messages that are no event: how many by reason; with --to, the messages as they came."""
    from tasks.stream import held
    from warehouse import audit

    subject = _stream(name)
    if to:
        with audit.acting(audit.shell(), "export", f"quarantine.{name}") as facts:
            facts["rows"] = held.export(subject, to)
        typer.echo(f"{to}: {facts['rows']:,} messages")
        typer.echo("These are messages as they arrived, persons in clear; only you may read the"
                   " file. Delete it when it has been replayed.", err=True)  # fmt: skip
        return
    found = held.totals(subject)
    for one in found:
        typer.echo(f"{one.messages:>9,}  {one.reason}  ({one.first:%Y-%m-%d %H:%M} to"
                   f" {one.last:%Y-%m-%d %H:%M} UTC)")  # fmt: skip
    if not found:
        typer.echo("Nothing is held back.")


@stream.command()
def replay(
    path: Annotated[
        Path | None, typer.Argument(help="Mended export; default: all messages as they are.")
    ] = None,
    name: Which = SALES,
) -> None:
    """Judge what is in quarantine again; what is an event now counts as late, for `restate`."""
    from tasks.stream import held

    subject = _stream(name)
    with _on_record(name, "replay") as facts:
        done = held.replay(subject, path)
        facts |= {"late": done.late, "duplicates": done.duplicates}
    typer.echo(f"{done.late:,} are events now, and late; {done.duplicates:,} are duplicates;"
               f" {done.refused.total():,} stay")  # fmt: skip
    for reason, count in done.refused.most_common():
        typer.echo(f"{count:>9,}  {reason}")


@stream.command()
def restate(name: Which = SALES) -> None:
    """Fold in the events that came too late; their sums are stamped as restated."""
    from tasks.stream import rebuild as making

    subject = _stream(name)
    with _on_record(name, "restate") as facts:
        facts["events"] = making.restate(subject)
    typer.echo(f"{facts['events']:,} late events folded in")


def _have_consumed(subject: Stream) -> None:
    """Where `carrel up` runs, have it consume what is sent from now on; else someone else does."""
    from warehouse.settings import settings

    if settings().stack.get("prefect_port") is None:
        return
    from deployments import pipeline, stream_health
    from warehouse.errors import CarrelError

    try:
        if stream_health.is_used(subject) and pipeline.answers():
            pipeline.keep_consuming(subject.table, afresh=False)
    except CarrelError as error:
        typer.echo(f"warning: no consumer was started: {error.message}", err=True)


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


def _on_record(name: str, part: str) -> AbstractContextManager[dict[str, Any]]:
    """What is done to a stream goes into the audit log, with the facts that are put in."""
    from warehouse import audit

    return audit.acting(audit.shell(), "stream", name, part=part)


def _stream(name: str) -> Stream:
    from warehouse.streams import stream as found

    return found(name)


def _until_told() -> threading.Event:
    """Set when the process is told to end, so that what is under way is finished."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
