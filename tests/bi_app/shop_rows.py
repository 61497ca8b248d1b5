"""A small shop straight into silver and gold, so that its pages can be tested without a stream."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import psycopg

DAYS = 120
COUNTRIES, PRODUCTS = ("United Kingdom", "France", "Germany"), ("10001", "10002", "10003", "POST")
SEGMENTS = ("champions", "loyal", "big_spenders", "new", "promising", "at_risk", "hibernating",
            "lost")  # fmt: skip
SUMS = (
    "insert into {} (dimension, day, value, lines, sales, pieces, gross, cancellations, cancelled,"
    " net, nameless, restated_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


def fill_shop(connection: psycopg.Connection[Any], until: dt.date) -> None:
    """Sales of 120 days, and what was analysed of them."""
    _sales(connection, until)
    _stream(connection, until)
    _people(connection, until.replace(day=1))
    _baskets(connection, until)
    connection.execute(
        "insert into ops.publications (table_name, published_at, complete_to, rows, sources)"
        " select 'retail_' || t, now(), %s, 1, '{}' from unnest(array['segments', 'cohorts',"
        " 'cancellations', 'products', 'baskets']) t on conflict do nothing",
        [until],
    )


def _sales(connection: psycopg.Connection[Any], until: dt.date) -> None:
    """Twelve lines a day in six orders: by every dimension they add up to the same."""
    chance = random.Random(3)
    found: dict[tuple[str, str, dt.date, str], list[float]] = {}
    for back in range(DAYS):
        day = until - dt.timedelta(days=back)
        for line in range(12):
            cancels, known = chance.random() < 0.1, chance.random() < 0.75
            amount = chance.randrange(100, 5000) / 100
            one = [1, not cancels, -1 if cancels else 1, 0 if cancels else amount, cancels,
                   amount if cancels else 0, -amount if cancels else amount, not known]  # fmt: skip
            values = {
                "total": "all", "country": chance.choice(COUNTRIES),
                "segment": "B2B" if known else "B2C", "hour": f"{8 + line:02}",
                "stock_code": chance.choice(PRODUCTS), "known_customer": "yes" if known else "no",
                "order": f"{back}-{line // 2}",
            }  # fmt: skip
            for dimension, value in values.items():
                table = "retail_sales_by" + ("_person" if dimension == "order" else "")
                sums = found.setdefault((table, dimension, day, value), [0.0] * len(one))
                sums[:] = [a + float(b) for a, b in zip(sums, one, strict=True)]
    restated = dt.datetime.combine(until, dt.time(9), dt.UTC)
    with connection.cursor() as cursor:
        for (table, dimension, day, value), sums in found.items():
            stamp = restated if day == until - dt.timedelta(days=9) else None
            cursor.execute(SUMS.format(f"silver.{table}").encode(),
                           [dimension, day, value, *sums, stamp])  # fmt: skip


def _stream(connection: psycopg.Connection[Any], until: dt.date) -> None:
    """Three partitions, late events and duplicates; a log of a test is read from its beginning."""
    midnight, noon = (dt.datetime.combine(until, dt.time(h), dt.UTC) for h in (0, 12))
    for partition in range(3):
        connection.execute(
            "insert into ops.stream_partitions (stream, topic, partition, next_offset, newest_at,"
            " events, counted, late, duplicates, moved_at) values ('retail_sales', 'retail_sales',"
            " %s, 0, %s, 490, 480, 4, 6, %s)",
            [partition, midnight - dt.timedelta(minutes=partition), midnight],
        )
    for number in range(12):
        connection.execute(
            'insert into silver.retail_sales_late (partition, "offset", arrived_on, event_id,'
            " sold_at, late_by, arrived_at, folded_at) values (0, %s, %s, %s, %s, '1 hour', %s,"
            " %s)",
            [number, until, f"e{number}", noon - dt.timedelta(days=number * 3), noon,
             noon if number < 3 else None],
        )  # fmt: skip
    for number in range(6):
        connection.execute(
            "insert into silver.retail_sales_duplicates values (%s, 3)",
            [until - dt.timedelta(days=number * 7)],
        )


def _people(connection: psycopg.Connection[Any], month: dt.date) -> None:
    """Three months of segments and cohorts, one cell of each withheld, and cancellations."""
    months = [(month - dt.timedelta(days=back)).replace(day=1) for back in (60, 30, 1)]
    for place, each in enumerate(dict.fromkeys(months)):
        cells = [("segment", name, 10 + n + place) for n, name in enumerate(SEGMENTS)]
        total = sum(count for *_, count in cells)
        cells += [("all", "all", total), ("orders", "once", 30), ("orders", "again", total - 30),
                  ("last", "active", total - 9), ("last", "lapsed", 9)]  # fmt: skip
        for dimension, name, count in cells:
            hidden = name == "lost"
            connection.execute(
                "insert into gold.retail_segments (month, dimension, category, customers, orders,"
                " net, suppressed) values (%s, %s, %s, %s, %s, %s, %s)",
                [each, dimension, name, *([None] * 3 if hidden else [count, count * 2, count * 50]),
                 hidden],
            )  # fmt: skip
        for dimension, name, count, size in [("all", "all", 90, None),
                                             ("cohort", "earlier", 0, None)] + [
            ("cohort", began.isoformat(), 60 if began == each else 20, 60)
            for began in months[: place + 1]
        ]:  # fmt: skip
            hidden = place == 2 and name == months[1].isoformat()
            connection.execute(
                "insert into gold.retail_cohorts (month, dimension, category, customers, size,"
                " suppressed) values (%s, %s, %s, %s, %s, %s)",
                [each, dimension, name, None if hidden else count, size, hidden],
            )
        for outcome, days in (("matched", 12), ("no customer", None), ("no earlier sale", None)):
            connection.execute(
                "insert into gold.retail_cancellations (month, country, stock_code, outcome,"
                " lines, pieces, amount, days_after) values (%s, 'France', '10001', %s, 4, 4, 80,"
                " %s)",
                [each, outcome, days],
            )


def _baskets(connection: psycopg.Connection[Any], until: dt.date) -> None:
    """Products and two rules."""
    for code in PRODUCTS[:3]:
        connection.execute(
            "insert into gold.retail_products (stock_code, name, baskets) values (%s, %s, 100)",
            [code, f"=PRODUCT {code}"],
        )
    for first, second, lift in (("10001", "10002", 8.0), ("10002", "10003", 3.0)):
        connection.execute(
            "insert into gold.retail_baskets (first, second, baskets, first_baskets,"
            " second_baskets, support, confidence, lift, all_baskets, left_out, first_day,"
            " last_day) values (%s, %s, 40, 100, 100, 0.1, 0.4, %s, 400, 3, %s, %s)",
            [first, second, lift, until - dt.timedelta(days=DAYS), until],
        )
