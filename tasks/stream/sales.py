"""Sales to send, and invented ones by a seed."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from warehouse.streams import Stream

COUNTRIES = ("United Kingdom", "Germany", "France", "EIRE", "Netherlands")
LATE_H = 1  # hours that a late event is late


class Sent(NamedTuple):
    """One message: the partition it belongs to, its bytes, and when it happened."""

    partition: int
    line: bytes
    at: datetime


def partition_of(stream: Stream, key: str) -> int:
    """Where events of a key go, the same in every log."""
    return zlib.crc32(key.encode()) % stream.partitions


@dataclass(frozen=True)
class Faults:
    """Shares of messages that are not as they should be, 0 to 1."""

    late: float = 0.0
    duplicate: float = 0.0
    malformed: float = 0.0


NO_FAULTS = Faults()


def generated(
    stream: Stream,
    seed: int,
    start: datetime,
    step_s: float,
    faults: Faults = NO_FAULTS,
) -> Iterator[Sent]:
    """Invented sales without end, one each `step_s` seconds from a start; a seed, the same ones."""
    chance = random.Random(seed)  # noqa: S311 - nothing secret
    # Another start sells anew: by the same names its sales would be duplicates of the first one's.
    mark = f"{int(start.timestamp() * 1000):x}"
    last: Sent | None = None
    number = 0
    while True:
        now = start + timedelta(seconds=number * step_s)
        kind = chance.random()
        if last and kind < faults.duplicate:
            yield last
            continue
        number += 1
        late = kind < faults.duplicate + faults.late
        at = now - timedelta(hours=LATE_H * late)
        sent = _invented(stream, chance, f"{seed}-{mark}", number, at)
        if kind >= 1 - faults.malformed:
            yield Sent(sent.partition, sent.line[: chance.randrange(len(sent.line))], sent.at)
        else:
            last = sent
            yield sent


def _invented(stream: Stream, chance: random.Random, mark: str, number: int, at: datetime) -> Sent:
    invoice = f"{'C' if chance.random() < 0.02 else ''}{mark}-{number // 5}"
    quantity = chance.choice((1, 1, 2, 3, 6, 12, 24, 48))
    facts: dict[str, Any] = {
        "event_id": f"g{mark}-{number}",
        "sold_at": at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "invoice": invoice,
        "stock_code": str(20000 + chance.randrange(4000)),
        "quantity": -quantity if invoice.startswith("C") else quantity,
        "unit_price": chance.randrange(20, 2000) / 100,
        "customer_id": str(chance.randrange(12000, 18000)) if chance.random() < 0.75 else None,
        "country": chance.choices(COUNTRIES, (90, 4, 3, 2, 1))[0],
        "channel": chance.choice(("shop", "web", "phone")),
        "producer": "generator",
    }
    line = json.dumps(facts, separators=(",", ":")).encode()
    return Sent(partition_of(stream, invoice), line, at)
