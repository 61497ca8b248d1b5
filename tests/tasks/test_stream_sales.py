"""Invented sales: the same by seed and start, new ones by another start, faults on request."""

from __future__ import annotations

import json
import signal
from collections import Counter
from datetime import timedelta
from itertools import islice, pairwise
from typing import Any

from typer.testing import CliRunner

from deployments.cli import app
from tasks.stream.consume import consume
from tasks.stream.produce import paced
from tasks.stream.sales import Faults, Sent, generated
from tests.fix_stream import NOON, fates
from warehouse.streams import Stream, stream

SALES = stream("retail_sales")


def some(count: int, seed: int = 1, hours: float = 0, **faults: float) -> list[Sent]:
    start = NOON + timedelta(hours=hours)
    return [*islice(generated(SALES, seed, start, 2, Faults(**faults)), count)]


def read(sent: list[Sent]) -> list[dict[str, Any]]:
    return [json.loads(one.line) for one in sent]


def test_seed_and_start_make_the_same_sales_and_another_start_others() -> None:
    assert some(50) == some(50)
    assert some(50) != some(50, seed=2)
    first, second = read(some(50)), read(some(50, hours=0.01 / 3600))
    for name in ("event_id", "invoice"):
        assert not {e[name] for e in first} & {e[name] for e in second}, name
    assert [e["unit_price"] for e in first] == [e["unit_price"] for e in second]


def test_a_sale_every_so_often_and_faults_by_their_shares() -> None:
    times = [one.at for one in some(9)]
    assert {b - a for a, b in pairwise(times)} == {timedelta(seconds=2)}
    sent = some(2000, late=0.1, duplicate=0.2)
    again = [n for n, count in Counter(e["event_id"] for e in read(sent)).items() if count > 1]
    assert 250 < len(again) < 450
    behind = [
        one for n, one in enumerate(sent) if one.at < NOON + timedelta(seconds=n) - timedelta(
            minutes=30)
    ]  # fmt: skip
    assert 120 < len(behind) < 300
    bad = 0
    for one in some(2000, malformed=0.1):
        try:
            json.loads(one.line)
        except ValueError:
            bad += 1
    assert 150 < bad < 250


def test_bursts_come_together() -> None:
    assert [len(found) for found in paced(some(10), 1000, 4)] == [4, 4, 2]


def test_what_is_sent_twice_by_two_commands_counts_twice(sales: Stream) -> None:
    """Each command sells anew; a number that is none is refused."""
    runner = CliRunner()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for _ in range(2):
        done = runner.invoke(app, ["produce", "--count", "5", "--rate", "5"])
        assert (done.exit_code, done.stdout) == (0, "5 sent\n")
    for number, handler in handlers.items():
        signal.signal(number, handler)
    consume(sales, once=True)
    assert fates()["counted"] == 10
    for name in ("--rate", "--late"):
        assert runner.invoke(app, ["produce", name, "nan", "--count", "1"]).exit_code == 2


def test_an_invoice_s_lines_keep_together() -> None:
    places = {(e["invoice"], one.partition) for one in some(100) for e in read([one])}
    assert len(places) == len({invoice for invoice, _ in places})
