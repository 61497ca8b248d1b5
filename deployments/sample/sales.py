"""Sales of an invented shop for the demo: eight months in the folder log, up to now.

Customers come back or do not, products are bought together, some sales are cancelled, and a few
events are late or sent twice, so that every page of the shop has something to show.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from warehouse.streams import Stream

DAYS, ORDERS, SEED = 240, 9, 7
CUSTOMERS, NEW_A_DAY = 40, 1.4
LATE = dt.timedelta(hours=3)
THINGS = ("Tea towel", "Mug", "Lantern", "Notebook", "Candle", "Picture frame", "Doormat", "Jar")
COLOURS = ("red", "blue", "green", "grey", "striped")
COUNTRIES = {"United Kingdom": 82, "France": 7, "Germany": 6, "Netherlands": 3, "EIRE": 2}
Facts = dict[str, Any]


@dataclass(frozen=True)
class Product:
    """A product, its price, and the code of the one that goes with it."""

    code: str
    name: str
    price: float
    fellow: int


def make_sales(stream: Stream, now: dt.datetime) -> int:
    """Write the sales into an empty log; how many events."""
    from tasks.stream.log import open_writer
    from tasks.stream.sales import partition_of

    batches: dict[int, list[bytes]] = {n: [] for n in range(stream.partitions)}
    for facts in _events(random.Random(SEED), now):  # noqa: S311 - nothing secret
        line = json.dumps(facts, separators=(",", ":")).encode()
        batches[partition_of(stream, facts["invoice"])].append(line)
    writer = open_writer(stream)
    try:
        for partition, lines in batches.items():
            writer.append(partition, lines)
    finally:
        writer.close()
    return sum(map(len, batches.values()))


def _products(chance: random.Random) -> list[Product]:
    names = [f"{thing} {colour}" for thing in THINGS for colour in COLOURS]
    return [
        Product(str(20_100 + n), name.upper(), chance.randrange(80, 1800) / 100, n ^ 1)
        for n, name in enumerate(names)
    ]


def _events(chance: random.Random, now: dt.datetime) -> Iterator[Facts]:
    """Events in the order in which the tills send them."""
    products = _products(chance)
    people, number = list(range(CUSTOMERS)), 0
    taken: list[Facts] = []
    for back in range(DAYS, -1, -1):
        if chance.random() < NEW_A_DAY % 1:
            people.append(len(people))
        people.append(len(people))
        opening = (now - dt.timedelta(days=back)).replace(hour=9, minute=0, second=0, microsecond=0)
        times = sorted(
            opening + dt.timedelta(minutes=chance.randrange(540))
            for _ in range(chance.randrange(ORDERS * 2))
        )
        for at in (t for t in times if t < now):
            number += 1
            order = _order(chance, products, people, f"{700_000 + number}", at)
            yield from order
            taken += [facts for facts in order if chance.random() < 0.03]
            if taken and chance.random() < 0.3:
                yield _cancelled(taken.pop(0), f"C{700_000 + number}", at)
            if chance.random() < 0.004:
                late = _order(chance, products, people, f"{900_000 + number}", at - LATE)[0]
                # The till of the order before it had been away.
                yield {**late, "invoice": order[0]["invoice"]}
            if chance.random() < 0.004:
                yield order[0]


def _order(
    chance: random.Random, products: list[Product], people: list[int], invoice: str, at: dt.datetime
) -> list[Facts]:
    """The lines of one invoice. Few customers come often; of those who came late, fewer return."""
    known = chance.random() < 0.8
    who = people[-1 - int(len(people) * chance.random() ** 1.6) % len(people)]
    wanted = {chance.randrange(len(products)) for _ in range(chance.randrange(1, 6))}
    wanted |= {products[n].fellow for n in list(wanted) if chance.random() < 0.35}
    shared: Facts = {
        "sold_at": at.astimezone(dt.UTC).isoformat(timespec="seconds"), "invoice": invoice,
        "customer_id": f"demo-{who}" if known else None,
        "country": chance.choices(tuple(COUNTRIES), tuple(COUNTRIES.values()))[0],
        "channel": chance.choice(("shop", "web", "phone")), "producer": "sample",
    }  # fmt: skip
    return [
        {
            "event_id": f"s{invoice}-{place}-{at:%d%H%M}", **shared,
            "stock_code": products[n].code, "description": products[n].name,
            "quantity": chance.choice((1, 1, 2, 3, 6, 12, 24)), "unit_price": products[n].price,
        }
        for place, n in enumerate(sorted(wanted))
    ]  # fmt: skip


def _cancelled(line: Facts, invoice: str, at: dt.datetime) -> Facts:
    """A line that takes back an earlier one."""
    return {
        **line, "event_id": f"{line['event_id']}-c", "invoice": invoice,
        "quantity": -line["quantity"], "sold_at": at.astimezone(dt.UTC).isoformat(),
    }  # fmt: skip
