"""A small seeded library straight into gold, so that pages can be tested without a load."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import psycopg

from tests.bi_app import shelf_rows
from warehouse.policies import access_sql
from warehouse.spec import Access

BRANCH = Access.model_validate({"branch": "branch_code"})
PUBLIC = Access.model_validate({"public": True})
COUNTS = "checkouts bigint, renewals bigint, returns bigint, in_house_uses bigint"
TABLES = {
    "library_circulation": (f"branch_code text, day date, hour smallint, {COUNTS}", BRANCH),
    "library_circulation_public": (f"branch_code text, day date, hour smallint, {COUNTS}", PUBLIC),
    "library_title_months": (
        "branch_code text, month date, title_code text, checkouts bigint, renewals bigint",
        BRANCH,
    ),
    "library_title_months_public": (
        "branch_code text, month date, title_code text, checkouts bigint, renewals bigint",
        PUBLIC,
    ),
    "library_titles": (
        "title_code text, title text, author text, isbn text, collection_code text,"
        " dewey_class integer, copies bigint",
        PUBLIC,
    ),
    "library_branch_names": ("branch_code text, name text", PUBLIC),
}
NAMES = (
    "Ashgrove",
    "Bellmere",
    "Central",
    "Dunmore",
    "Eastgate",
    "Fairhaven",
    "Greenhill",
    "Harbour",
    "Ivybridge",
    "Kingsway",
    "Lakeside",
    "Millbrook",
)
COLLECTIONS = (
    "adult_fiction",
    "adult_nonfiction",
    "junior_fiction",
    "junior_nonfiction",
    "audio",
    "dvd",
)
WORDS = (
    "Garden",
    "River",
    "Winter",
    "Secret",
    "House",
    "Light",
    "Stone",
    "Journey",
    "Island",
    "Letter",
    "Summer",
    "Shadow",
    "Harvest",
    "Bridge",
    "Silence",
    "Orchard",
    "Tide",
    "Mirror",
    "Clock",
    "Road",
)


def codes(count: int) -> list[str]:
    """Branch codes, as the sample has them."""
    return [f"{name[:3].upper()}" for name in NAMES[:count]]


def make_tables(connection: psycopg.Connection[Any]) -> None:
    """The gold tables that the pages read, where the gold SQL has not made them yet."""
    for name, (columns, access) in TABLES.items():
        row = connection.execute("select to_regclass(%s)", [f"gold.{name}"]).fetchone()
        if row and row[0] is None:
            connection.execute(f"create table gold.{name} ({columns})".encode())
            names = [c.split()[0] for c in columns.split(", ")]
            connection.execute(access_sql("gold", name, access, names).encode())


def hourly(branches: int, days: int, checkouts: int, seed: int) -> np.ndarray[Any, Any]:
    """Counts by branch, day, hour (8 to 19) and measure, with season, week and day shape."""
    random = np.random.default_rng(seed)
    size = np.linspace(1.6, 0.5, branches)[:, None, None]
    day = np.arange(days)
    season = 1 + 0.22 * np.cos((day - 20) / 365.25 * 2 * np.pi) + 0.00008 * day
    week = np.array([1.0, 0.95, 1.05, 1.1, 1.2, 1.45, 0.25])[day % 7]
    hour = np.array([0.3, 0.6, 1.0, 1.2, 1.1, 1.0, 1.2, 1.6, 1.7, 1.3, 0.7, 0.3])
    shape = size * (season * week)[None, :, None] * hour[None, None, :]
    mean = shape / shape.sum() * checkouts
    return np.stack([random.poisson(mean * f) for f in (1.0, 0.34, 0.97, 0.09)], axis=-1)


def fill(
    connection: psycopg.Connection[Any],
    *,
    branches: int = 4,
    days: int = 500,
    checkouts: int = 60_000,
    titles: int = 300,
    last: dt.date = dt.date(2026, 10, 31),
    seed: int = 7,
) -> np.ndarray[Any, Any]:
    """Fill the gold tables; return the counts by branch, day, hour and measure."""
    make_tables(connection)
    counts = hourly(branches, days, checkouts, seed)
    first = last - dt.timedelta(days=days - 1)
    _copy(connection, "library_circulation", _hours(codes(branches), first, counts))
    _copy(
        connection,
        "library_circulation_public",
        _hours(["all"], first, counts.sum(axis=0, keepdims=True)),
    )
    _copy(connection, "library_branch_names", zip(codes(branches), NAMES[:branches], strict=True))
    _copy(connection, "library_titles", _titles(titles, seed))
    _fill_months(connection, branches, days, checkouts, titles, first, seed)
    shelf_rows.fill_kinds(connection)
    shelf_rows.fill_shelves(connection)
    _publish(connection, last)
    return counts


def _hours(codes: list[str], first: dt.date, counts: np.ndarray[Any, Any]) -> Any:
    for branch, day, hour in np.argwhere(counts.sum(axis=-1) > 0).tolist():
        when = first + dt.timedelta(days=day)
        yield codes[branch], when, hour + 8, *counts[branch, day, hour].tolist()


def _titles(count: int, seed: int) -> Any:
    random = np.random.default_rng(seed)
    for i in range(count):
        words = random.choice(WORDS, 2, replace=False)
        yield (
            f"T{i:06}",
            f"The {words[0]} and the {words[1]}",
            f"Author {i % 97}",
            None,
            COLLECTIONS[i % len(COLLECTIONS)],
            i % 10 * 100,
            1 + i % 5,
        )


def _fill_months(  # noqa: PLR0917
    connection: psycopg.Connection[Any],
    branches: int,
    days: int,
    checkouts: int,
    titles: int,
    first: dt.date,
    seed: int,
) -> None:
    random = np.random.default_rng(seed + 1)
    months = sorted({(first + dt.timedelta(days=d)).replace(day=1) for d in range(days)})
    share = 1 / (np.arange(titles) + 12.0)
    mean = checkouts / branches / len(months) * share / share.sum()
    whole = np.zeros((len(months), titles), int)
    rows: list[tuple[Any, ...]] = []
    for code in codes(branches):
        lent = random.poisson(np.tile(mean, (len(months), 1)))
        whole += lent
        rows += _months(code, months, lent)
    _copy(connection, "library_title_months", rows)
    _copy(connection, "library_title_months_public", _months("all", months, whole))


def _months(code: str, months: list[dt.date], lent: np.ndarray[Any, Any]) -> list[tuple[Any, ...]]:
    return [
        (code, months[m], f"T{t:06}", n, n // 3)
        for m, t in np.argwhere(lent > 0).tolist()
        for n in (int(lent[m, t]),)
    ]


def _copy(connection: psycopg.Connection[Any], table: str, rows: Any) -> None:
    connection.execute(f"truncate gold.{table}".encode())
    columns = ", ".join(c.split()[0] for c in TABLES[table][0].split(", "))
    statement = f"copy gold.{table} ({columns}) from stdin".encode()
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _publish(connection: psycopg.Connection[Any], last: dt.date) -> None:
    connection.execute("delete from quality.verdicts where dataset = 'library_loan_events'")
    connection.execute(
        "insert into quality.verdicts (dataset, outcome, checks, passed)"
        " values ('library_loan_events', 'passed', 34, 33)"
    )
    connection.execute("delete from quality.scores where subject = 'library_loan_events'")
    connection.execute(
        "insert into quality.scores (level, subject, score, weight, formula, parts)"
        " values ('dataset', 'library_loan_events', 97.9, 1, 'as documented', '[]')"
    )
    shelf_rows.publish(connection, last, *TABLES, *shelf_rows.TABLES)
