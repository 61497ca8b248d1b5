"""Retention of the stream: what is past its days goes, and every sum stays right for ever."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable

import pytest

from tasks.stream.consume import consume
from tasks.stream.rebuild import rebuild, restate
from tasks.stream.retain import parts, plan, retain
from tests.fix_stream import ask, by, fates, message, send
from warehouse.database import connect
from warehouse.errors import Busy, LoadFailed
from warehouse.pseudonyms import NOBODY, pseudonym
from warehouse.settings import settings
from warehouse.streams import Stream, StreamRetention

SUMS = ("select * from silver.retail_sales_by order by 1, 2, 3",
        "select * from silver.retail_sales_by_person order by 1, 2, 3")  # fmt: skip


def keeping(sales: Stream, **rules: object) -> Stream:
    return sales.model_copy(update={"retention": StreamRetention(**rules)})  # type: ignore[arg-type]


def arrived(days: int) -> None:
    """Have all of today's events have arrived so many days ago, in a partition of their own."""
    today = dt.datetime.now(dt.UTC).date()
    day = today - dt.timedelta(days)
    with connect() as connection:
        for statement in (
            "create table bronze.was (like bronze.retail_sales including all)",
            f"insert into bronze.was select * from bronze.retail_sales_d{today:%Y%m%d}",
            f"drop table bronze.retail_sales_d{today:%Y%m%d}",
            f"update bronze.was set arrived_on = '{day}'",
            f"alter table bronze.was rename to retail_sales_d{day:%Y%m%d}",
            f"alter table bronze.retail_sales attach partition bronze.retail_sales_d{day:%Y%m%d}"
            f" for values from ('{day}') to ('{day + dt.timedelta(1)}')",
            f"update silver.retail_sales_late set arrived_on = '{day}'"
            f" where arrived_on = '{today}'",
        ):
            connection.execute(statement.encode())


def take(sales: Stream, *lines: bytes, ago: int = 0) -> None:
    """Consume messages that arrived some days ago."""
    send(sales, *lines)
    consume(sales, once=True)
    if ago:
        arrived(ago)


def test_days_go_and_silver_is_still_made_anew_from_what_is_left_and_the_sums_of_what_went(
    sales: Stream,
) -> None:
    take(sales, *(message(n, n, customer_id=f"{n % 3}") for n in range(10)), ago=40)
    take(sales, message(50, -60), message(51, 20, country="Spain"), ago=20)  # the first is late
    take(sales, *(message(n, n, customer_id=f"{n % 3}") for n in range(60, 65)))
    short = keeping(sales, bronze="30 days", months=False)
    before = [ask(query) for query in SUMS]
    assert [d.rows for d in plan(short) if d.what == "bronze"] == [10]
    (went,) = retain(short)
    assert (went.what, went.rows) == ("bronze", 10)
    assert retain(short) == []
    assert ask("select count(*) from bronze.retail_sales") == [(7,)]
    assert [ask(query) for query in SUMS] == before
    assert vars(rebuild(short)) == {"events": 7, "differing": 0}
    with connect() as connection:
        connection.execute("update silver.retail_sales_by set net = net + 1")
        connection.execute("delete from silver.retail_sales_by_person")
    assert rebuild(short).differing > 10
    assert [ask(query) for query in SUMS] == before
    # The second time adds to what was kept the first; late events go, folded in or not.
    assert restate(short) == 1
    after = [ask(query) for query in SUMS]
    retain(keeping(sales, bronze="10 days", months=False))
    assert rebuild(sales).differing == 0
    assert [ask(query) for query in SUMS] == after
    assert ask("select sum(events), sum(late) from ops.stream_removals") == [(12, 1)]
    assert by("total", "lines") == {"all": 17}


def test_late_events_of_days_that_went_stay_late_and_the_others_are_folded_in(
    sales: Stream,
) -> None:
    take(sales, message(1, 60), message(2, 0), ago=40)
    take(sales, message(3, 61), message(4, 1))
    retain(keeping(sales, bronze="30 days"))
    assert restate(sales) == 1
    assert ask("select event_id from silver.retail_sales_late where folded_at is null") == [("e2",)]
    assert rebuild(sales).differing == 0


def test_a_lost_day_is_no_day_that_was_let_go(sales: Stream) -> None:
    take(sales, message(1), ago=40)
    take(sales, message(2), ago=20)
    retain(keeping(sales, bronze="30 days"))
    with connect() as connection:
        connection.execute("delete from bronze.retail_sales")
    with pytest.raises(LoadFailed, match="holds 0 of 1 events"):
        rebuild(sales)


def test_a_duplicate_of_an_event_that_went_still_counts_once_within_the_window(
    sales: Stream,
) -> None:
    near = sales.model_copy(update={"duplicates_within": 4})
    take(near, *(message(n) for n in range(6)), ago=40)
    retain(keeping(near, bronze="30 days"))
    assert ask("select id from ops.stream_ids order by 1") == [(f"e{n}",) for n in range(2, 6)]
    take(near, message(5), message(4), message(0))  # the last one is too long ago
    assert fates()["duplicates"] == 2
    assert by("total", "lines") == {"all": 7}


def test_the_days_of_a_month_that_is_over_are_put_together(sales: Stream) -> None:
    first = (dt.datetime.now(dt.UTC).date().replace(day=1) - dt.timedelta(days=45)).replace(day=1)
    ago = (dt.datetime.now(dt.UTC).date() - first).days
    for number in range(3):
        take(sales, message(number), message(f"x{number}", -30), ago=ago - number)
    take(sales, message(9))
    everything = 'select * from bronze.retail_sales order by partition, "offset"'
    before = ask(everything)
    retain(sales)
    with connect() as connection:
        names = [part.name for part in parts(connection, sales)]
    today = dt.datetime.now(dt.UTC).date()
    assert names == [f"retail_sales_m{first:%Y%m}", f"retail_sales_d{today:%Y%m%d}"]
    assert ask(everything) == before
    assert rebuild(sales).differing == 0
    assert retain(sales) == []
    # Days of it go one by one.
    retain(keeping(sales, bronze=f"{ago - 1} days"))
    assert ask("select count(*) from bronze.retail_sales") == [(5,)]
    assert rebuild(sales).differing == 0
    take(sales, message(10))
    assert fates()["counted"] + fates()["late"] == 8


def test_people_are_forgotten_in_bronze_and_in_the_sums_and_a_rebuild_brings_none_back(
    sales: Stream,
) -> None:
    """The sums by all else stay as they are; people of days that are not past stay, too."""
    old = {"sold_at": "2020-01-05T12:00:00Z"}
    now = dt.datetime.now(dt.UTC).isoformat()
    take(sales, *(message(n, customer_id=f"{n}", **old) for n in range(3)), ago=40)
    take(sales, message(3, **old), message(4, customer_id="4", **old))
    send(sales, message(5, customer_id="5", sold_at=now), partition=1)
    consume(sales, once=True)
    with connect() as connection:
        connection.execute(
            "insert into silver.retail_sales_orders values ('1', %s, 'France', '2020-01-05', 1, 1,"
            " 3, 3), ('2', %s, 'France', current_date, 1, 1, 3, 3)",
            [pseudonym("1"), pseudonym("5")],
        )
    known = keeping(sales, bronze="30 days", personal="24 months")
    before = ask(SUMS[0])
    retain(known)
    assert by("customer", "lines") == {NOBODY: 4, "(none)": 1, pseudonym("5"): 1}
    keys = "select customer_key from bronze.retail_sales order by 1 nulls first"
    assert ask(keys) == [(None,), (NOBODY,), *([(pseudonym("5"),)])]
    kept = (
        "select distinct value from bronze.retail_sales_kept_by_person where dimension = 'customer'"
    )
    assert ask(kept) == [(NOBODY,)]
    assert ask(SUMS[0]) == before
    assert rebuild(known).differing == 0
    assert [d for d in retain(known) if d.what == "personal"] == []
    take(known, message(6, customer_id="1", **old))
    assert rebuild(known).differing == 0
    assert by("customer", "lines")[NOBODY] == 5


def test_messages_and_read_segments_go_and_the_stream_goes_on(
    sales: Stream, setting: Callable[..., None]
) -> None:
    take(sales, message(1, customer_id="17"), b"{17")
    send(sales, message(2))  # not read yet
    with connect() as connection:
        connection.execute(
            "update quarantine.retail_sales set quarantined_at = now() - interval '31 days'"
        )
    folder = settings().stream_folder / sales.topic / "0"
    (segment,) = folder.glob("*.jsonl")
    week = dt.datetime.now().timestamp() - 8 * 86_400
    os.utime(segment, (week, week))
    (went,) = retain(sales)
    assert (went.what, went.rows) == ("quarantine", 1)
    assert segment.exists(), "its last record is not read"
    consume(sales, once=True)
    (went,) = retain(sales)
    assert (went.what, went.name) == ("file", f"retail_sales/0/{segment.name}")
    assert [p.name for p in folder.glob("*.jsonl")] == [f"{3:020d}.jsonl"]
    take(sales, message(3))
    assert fates() == {"events": 4, "counted": 3, "late": 0, "duplicates": 0, "quarantined": 1}


def test_a_partition_beyond_the_spec_s_is_left_alone(sales: Stream) -> None:
    """As it stands there after the spec was given fewer."""
    take(sales, message(1))
    beyond = settings().stream_folder / sales.topic / "7"
    beyond.mkdir()
    segment = beyond / f"{0:020d}.jsonl"
    segment.write_bytes(message(2) + b"\n")
    os.utime(segment, (0, 0))
    consume(sales, once=True)
    assert fates()["counted"] == 2
    retain(sales)
    assert [*beyond.iterdir()] == [segment]


def test_a_consumer_that_stands_at_the_end_of_a_segment_that_goes_reads_on(
    sales: Stream,
) -> None:
    stop = threading.Event()
    reading = threading.Thread(target=consume, args=(sales,), kwargs={"stop": stop})
    send(sales, message(1))
    reading.start()
    try:
        _until(lambda: fates()["events"] == 1)
        folder = settings().stream_folder / sales.topic / "0"
        for path in folder.glob("*.jsonl"):
            os.utime(path, (0, 0))
        assert [d.what for d in retain(sales)] == ["file"]
        send(sales, message(2))
        _until(lambda: fates()["events"] == 2)
    finally:
        stop.set()
        reading.join()


def test_only_one_of_rebuild_and_retention_at_a_time(
    sales: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.stream.kept.WAIT_S", 0.1)
    take(sales, message(1), ago=1500)
    with connect() as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext('keep retail_sales'))")
        for work in (rebuild, restate, retain):
            with pytest.raises(Busy, match="already"):
                work(sales)


def _until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(600):
        if true():
            return
        pause.wait(0.1)
    pytest.fail("waited a minute")
