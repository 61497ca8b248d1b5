"""What the tests of the stream share: a log of one test, messages, and what became of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from warehouse.database import connect
from warehouse.streams import Stream, stream

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
TOTAL = "select lines, sales, gross, net from silver.retail_sales_by where dimension = 'total'"


@pytest.fixture
def sales(database: str, setting: Callable[..., None], tmp_path: Path) -> Stream:
    """The stream of sales, its log an empty folder."""
    setting(stream_log=tmp_path / "log", stream_lease_s=1)
    return stream("retail_sales")


@pytest.fixture(scope="session")
def sold(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder log of all 167 real day files; to be read only."""
    from tasks.stream.day_files import replayed
    from tasks.stream.folder import FolderWriter
    from tasks.stream.produce import at_once, produce

    folder: Path = tmp_path_factory.mktemp("sold")
    sales = stream("retail_sales")
    writer = FolderWriter(folder, sales.topic, sales.partitions, segment=8 << 20)
    produce(writer, at_once(replayed(sales, shared / "retail/online_retail_by_day")))
    writer.close()
    return folder


@pytest.fixture(scope="session")
def figures(shared: Path) -> dict[str, Any]:
    """What the day files must add up to."""
    found = json.loads((shared / "FIGURES.json").read_text())
    return dict(found["retail/online_retail_by_day(Dec 2010-Jun 2011)"])


def message(number: int | str, minutes: float = 0, **changes: Any) -> bytes:
    """A sale of 2 × 1.50, so many minutes after noon; a change to `...` leaves a field out."""
    facts = {
        "event_id": f"e{number}", "sold_at": (NOON + timedelta(minutes=minutes)).isoformat(),
        "invoice": "1", "stock_code": "7", "quantity": 2, "unit_price": 1.5,
        "country": "France",
    } | changes  # fmt: skip
    return json.dumps({k: v for k, v in facts.items() if v is not ...}).encode()


def send(sales: Stream, *lines: bytes, partition: int = 0) -> None:
    """Append messages to the log."""
    from tasks.stream.log import open_writer

    writer = open_writer(sales)
    writer.append(partition, lines)
    writer.close()


@contextmanager
def running(sales: Stream) -> Iterator[None]:
    """A consumer on a thread beside us."""
    from tasks.stream.consume import consume

    stop = threading.Event()
    thread = threading.Thread(target=consume, args=[sales], kwargs={"stop": stop})
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def until(what: Callable[[], bool]) -> None:
    """Wait for it; two minutes are too long on any machine."""
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def ask(query: str) -> list[Any]:
    """The rows of a query as the owner."""
    with connect() as connection:
        return connection.execute(query.encode()).fetchall()


def fates() -> dict[str, int]:
    """What became of all records so far."""
    names = ("events", "counted", "late", "duplicates", "quarantined")
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in names)
    (row,) = ask(f"select {sums} from ops.stream_partitions")
    return dict(zip(names, row, strict=True))


def by(dimension: str, *measures: str) -> dict[str, Any]:
    """Sums by the values of a dimension, over all days."""
    named = ", ".join(f"sum({m})" for m in measures)
    table = "retail_sales_by_person" if dimension == "customer" else "retail_sales_by"
    rows = ask(
        f"select value, {named} from silver.{table} where dimension = '{dimension}' group by 1"
    )
    return {value: found[0] if len(found) == 1 else tuple(found) for value, *found in rows}


def check_against(figures: dict[str, Any]) -> None:
    """Counts and sums are those of the data's README, to the penny; each record is there once."""
    valid = figures["valid_sale_lines (not C/A invoice, qty>0, price>0)"]
    known = figures["valid_sale_lines_with_customer"]
    names = ("lines", "sales", "pieces", "gross", "net", "cancellations", "nameless")
    total = dict(zip(names, by("total", *names)["all"], strict=True))
    assert total["lines"] == figures["rows_"]
    assert total["pieces"] == figures["qty_sum_all_rows"]
    assert float(round(total["net"], 2)) == figures["gross_sum_all_rows"]
    assert (total["sales"], float(round(total["gross"], 2))) == (valid["rows_"], valid["revenue"])
    assert (total["cancellations"], total["nameless"]) == (
        figures["cancel_rows"], figures["null_customer_rows"],
    )  # fmt: skip
    countries = by("country", "sales", "gross")
    assert len(countries) == figures["countries"]
    for one in figures["top10_country_by_revenue(valid)"]:
        sales, gross = countries[one["Country"]]
        assert (sales, float(round(gross, 2))) == (one["lines_"], one["revenue"])
    months = {m: float(round(g, 2)) for m, g in by("month", "gross").items()}
    assert months == {one["ym"]: one["revenue"] for one in figures["monthly(valid)"]}
    people = by("customer", "sales", "gross")
    assert len(people) - 1 == figures["customers"]
    sales, gross = map(sum, zip(*(v for k, v in people.items() if k != "(none)"), strict=True))
    assert (sales, float(round(gross, 2))) == (known["rows_"], known["revenue"])
    assert fates() == {
        "events": figures["rows_"], "counted": figures["rows_"],
        "late": 0, "duplicates": 0, "quarantined": 0,
    }  # fmt: skip
    check_offsets()


def check_offsets() -> None:
    """No offset is skipped or repeated."""
    wrong = ask("""
        select p.partition from ops.stream_partitions p
        left join bronze.retail_sales b using (partition)
        group by p.partition, p.next_offset, p.counted, p.late
        having count(b."offset") <> p.counted + p.late
            or count(distinct b."offset") <> count(b."offset")
            or coalesce(max(b."offset") + 1, 0) > p.next_offset
    """)
    assert wrong == []
