"""Rows of the gold tables behind the reports on lending, stock, holds and fines.

The gold SQL has made the tables; what is lent is a fixed split of the hourly circulation.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg

from warehouse import gold

COUNTED = ("checkouts", "renewals", "returns", "in_house_uses")
TABLES = (
    "library_circulation_kinds", "library_item_use", "library_stock_use", "library_weeding_list",
    "library_acquisitions", "library_hold_days", "library_hold_waits", "library_hold_titles",
    "library_purchase_alert", "library_fine_months", "library_fines_owed",
    "library_return_months", "library_loans_out", "library_stock_years",
    "library_member_months", "library_member_groups",
)  # fmt: skip
PLACE = "(array['ASH', 'BEL', 'CEN', 'DUN'])[1 + i % 4]"
STOCK = "(array['adult_fiction', 'adult_nonfiction', 'junior_fiction', 'dvd'])[1 + i / 4 % 4]"
FILLED = {
    "library_item_use": f"""
        select 'sample', 'C' || i, 'T' || lpad((i % 300)::text, 6, '0'), {PLACE}, {STOCK},
            case when i / 4 % 4 = 1 then i % 10 * 100 end,
            case when i % 17 > 0 then 1970 + i % 57 end, date '2026-10-31' - i % 3000, i % 40 > 0,
            i % 9, i % 5, i % 3, case when i % 9 > 0 then date '2026-10-31' - i * 7 % 2500 end,
            date '2026-10-31'
        from generate_series(1, 480) i""",
    "library_weeding_list": f"""
        select 'sample', 'C' || i, {PLACE}, 'T' || i, 'Old book ' || i, 'Author ' || i % 7,
            {STOCK}, case when i / 4 % 4 = 1 then i % 10 * 100 end, null, 1990 + i % 20, i % 3,
            null, '10/3/MUSTIE', 30 - i % 20, 4 + i % 5, i % 3 = 0, i % 7 > 0, 1 + i % 2, 9.5,
            date '2026-10-31'
        from generate_series(1, 240) i""",
    "library_acquisitions": f"""
        select {PLACE}, {STOCK}, 3 + i, 5 + i, i % 3, 1, 40.5 + i, 2, 30 + i, 100 * i,
            date '2026-10-31'
        from generate_series(0, 15) i""",
    "library_hold_days": f"""
        select {PLACE}, date '2026-10-31' - i / 4, 6, i % 3, i % 2, i % 2, 2, 1, 0,
            date '2026-10-31'
        from generate_series(0, 799) i""",
    "library_hold_waits": f"""
        select {PLACE}, (date '2026-10-01' - make_interval(months => i / 40))::date,
            i % 40, 1 + i % 3
        from generate_series(0, 479) i""",
    "library_hold_titles": f"""
        select {PLACE}, 'T' || lpad(i::text, 6, '0'), 1 + i % 9, date '2026-10-31' - i
        from generate_series(1, 60) i""",
    "library_purchase_alert": """
        select h.title_code, case when i % 7 > 0 then 'Wanted ' || i end, 'Author', 'adult_fiction',
            h.holds, 1, i % 3, i % 2, h.holds / nullif(i % 3 + i % 2, 0)::numeric, h.oldest_on
        from gold.library_hold_titles h, cast(right(h.title_code, 2) as int) i""",
    "library_fine_months": f"""
        select {PLACE}, (date '2026-10-01' - make_interval(months => i / 12))::date,
            (array['charged', 'paid', 'waived'])[1 + i / 4 % 3], 50.25 - i / 4 % 3 * 20, 90
        from generate_series(0, 191) i""",
    "library_fines_owed": f"""
        select {PLACE}, i / 4, 12.5 + i, 20, date '2026-10-31' from generate_series(0, 79) i""",
    "library_return_months": f"""
        select {PLACE}, (date '2026-10-01' - make_interval(months => i / 24))::date,
            (array['book', 'dvd'])[1 + i / 4 % 2], (array[0, 3, 45])[1 + i / 8 % 3], 100 - i % 7
        from generate_series(0, 383) i""",
    "library_loans_out": f"""
        select {PLACE}, (array['book', 'dvd'])[1 + i / 4 % 2],
            (array[0, 5, 20, 60, 200])[1 + i / 8],
            60 - i, date '2026-10-31' from generate_series(0, 39) i""",
    "library_member_months": """
        select (date '2026-09-01' - make_interval(months => i))::date,
            case when i <> 5 then 900 - i end, case when i < 9 and i <> 5 then 1500 - i end,
            case when i < 9 and i <> 5 then 300 end, case when i < 9 and i <> 5 then 58 end, i = 5
        from generate_series(0, 20) i""",
    "library_member_groups": """
        select (date '2026-07-01' - make_interval(months => 3 * q))::date, dimension, category,
            case when n > 0 then n - q end, size, n is null
        from generate_series(0, 5) q cross join (values
            ('all', 'all', 500, null), ('area', 'A1', 350, null), ('area', 'A2', null, null),
            ('area', 'A3', null, null), ('branch', 'ASH', 300, null), ('branch', 'BEL', 200, null),
            ('kind', 'adult', 400, null), ('kind', 'junior', 100, null),
            ('joined', 'earlier', 380, null), ('joined', '2025-01-01', null, 40),
            ('joined', '2025-04-01', 100, 150)
        ) v (dimension, category, n, size)
        union all
        select date '2026-07-01', 'joined', '2026-07-01', 70, 90, false""",
    "library_stock_years": f"""
        select {PLACE}, {STOCK}, 2025 + i / 16, 20 + i, 5, 900 - i from generate_series(0, 31) i""",
}
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


def fill_shelves(connection: psycopg.Connection[Any]) -> None:
    """Made-up rows of the tables behind the pages on the stock, holds and fines."""
    for table, rows in FILLED.items():
        connection.execute(f"truncate gold.{table}".encode())
        connection.execute(f"insert into gold.{table} {rows}".encode())
    use = gold.tables()["library_stock_use"].body
    connection.execute("truncate gold.library_stock_use")
    connection.execute(f"insert into gold.library_stock_use {use}".encode())


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
