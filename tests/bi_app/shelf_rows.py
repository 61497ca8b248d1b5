"""Rows of the gold tables behind the reports on lending, stock, holds and fines.

The gold SQL has made the tables; what is lent is a fixed split of the hourly circulation.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg

COUNTED = ("checkouts", "renewals", "returns", "in_house_uses")
TABLES = ("library_circulation_kinds",)
KINDS = (  # kind of material, Dewey class, from and to which share of the circulation
    ("book", "none", 0, 30),
    ("book", "500", 30, 45),
    ("book", "800", 45, 60),
    ("junior_book", "none", 60, 80),
    ("dvd", "none", 80, 95),
    ("unknown", "none", 95, 100),
)
SPLIT = ", ".join(
    f"((sum({c}) * k.high) / 100)::bigint - ((sum({c}) * k.low) / 100)::bigint as {c}"
    for c in COUNTED
)


def fill_kinds(connection: psycopg.Connection[Any]) -> None:
    """The circulation of each day by kind of material; its sums are those of the circulation."""
    connection.execute("truncate gold.library_circulation_kinds")
    values = ", ".join(str(kind) for kind in KINDS)
    connection.execute(
        f"insert into gold.library_circulation_kinds select branch_code, day, k.item_type,"
        f" k.dewey, {SPLIT} from gold.library_circulation cross join"
        f" (values {values}) k (item_type, dewey, low, high)"
        " group by branch_code, day, k.item_type, k.dewey, k.low, k.high".encode()
    )


def publish(connection: psycopg.Connection[Any], last: dt.date, *tables: str) -> None:
    """Say that tables were published."""
    for table in tables:
        connection.execute(
            "insert into ops.publications (table_name, published_at, complete_to, rows, sources)"
            " values (%s, clock_timestamp(), %s, 0, '{library_loan_events}')"
            " on conflict (table_name) do update set published_at = excluded.published_at,"
            " complete_to = excluded.complete_to",
            [table, dt.datetime.combine(last + dt.timedelta(days=1), dt.time(2, 10), dt.UTC)],
        )
