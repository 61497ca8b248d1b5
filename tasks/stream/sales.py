"""Sales to send: the day files of UCI Online Retail as events, or invented ones by a seed."""

from __future__ import annotations

import csv
import json
import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from warehouse.errors import SourceMalformed, SourceUnavailable
from warehouse.streams import Stream

HEADER = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID",
    "Country",
)  # fmt: skip
COUNTRIES = ("United Kingdom", "Germany", "France", "EIRE", "Netherlands")
PRICE = re.compile(r"-?\d+(\.\d+)?")
LATE_H = 1  # hours that a late event is late


@dataclass(frozen=True)
class Sent:
    """One message: the partition it belongs to, its bytes, and when it was sold."""

    partition: int
    line: bytes
    sold_at: datetime


def partition_of(stream: Stream, key: str) -> int:
    """Where events of a key go, the same in every log."""
    return zlib.crc32(key.encode()) % stream.partitions


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
    zone = ZoneInfo(stream.timezone)
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != HEADER:
                raise SourceMalformed(
                    path,
                    "is no day file.",
                    line=1,
                    remedy=f"Its header must be {','.join(HEADER)}.",
                )
            for number, row in enumerate(rows, 1):
                try:
                    yield _event(stream, row, f"{path.stem}-{number}", zone, producer)
                except (ValueError, TypeError) as error:
                    raise SourceMalformed(
                        path, f"cannot be read: {error}.", line=number + 1
                    ) from error


def _event(stream: Stream, row: dict[str, str], name: str, zone: ZoneInfo, producer: str) -> Sent:
    sold_at = datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=zone)
    # Prices go as they are written: a float would not hold them.
    facts = {
        "event_id": name, "sold_at": sold_at.isoformat(), "invoice": row["InvoiceNo"],
        "stock_code": row["StockCode"], "description": row["Description"] or None,
        "quantity": int(row["Quantity"]), "country": row["Country"], "producer": producer,
        "customer_id": row["CustomerID"].removesuffix(".0") or None,
    }  # fmt: skip
    if not PRICE.fullmatch(row["UnitPrice"]):
        raise ValueError(f"UnitPrice {row['UnitPrice']!r}")
    line = json.dumps(facts, separators=(",", ":"), ensure_ascii=False)
    line = f'{line[:-1]},"unit_price":{row["UnitPrice"]}}}'
    return Sent(partition_of(stream, row["InvoiceNo"]), line.encode(), sold_at)


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
    mark = f"{int(start.timestamp()):x}"
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
            yield Sent(sent.partition, sent.line[: chance.randrange(len(sent.line))], sent.sold_at)
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
