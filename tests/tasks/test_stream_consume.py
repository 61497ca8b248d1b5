"""The stream through the folder log: every event ends once in the right place."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tasks.stream import consume as consuming
from tasks.stream.claims import Claims, Fenced
from tasks.stream.consume import consume
from tasks.stream.judge import Batch, Judge
from tasks.stream.log import open_log
from tasks.stream.rebuild import rebuild, restate
from tasks.stream.write import write
from tests.fix_stream import TOTAL, ask, by, check_against, fates, message, send
from warehouse.access import Viewer, acting_as
from warehouse.database import connect
from warehouse.errors import LoadFailed
from warehouse.pseudonyms import pseudonym
from warehouse.streams import Stream


@pytest.mark.shared
def test_the_real_day_files_add_up_to_the_penny_and_silver_can_be_made_from_bronze(
    sales: Stream, sold: Path, figures: dict[str, Any], setting: Callable[..., None]
) -> None:
    setting(stream_log=sold)
    consume(sales, once=True)
    check_against(figures)
    before = ask("select * from silver.retail_sales_by order by dimension, day, value")
    assert vars(rebuild(sales)) == {"events": figures["rows_"], "differing": 0}
    with connect() as connection:
        connection.execute("update silver.retail_sales_by set net = net + 1 where value = 'EIRE'")
        connection.execute("delete from silver.retail_sales_by where dimension = 'hour'")
    assert rebuild(sales).differing > 100
    assert ask("select * from silver.retail_sales_by order by dimension, day, value") == before
    consume(sales, once=True)
    check_against(figures)


def test_each_record_has_its_place_time_and_sender(sales: Stream) -> None:
    send(
        sales, message(1, producer="till 3", customer_id="17", sold_at="2026-07-05T00:30:00+01:00")
    )
    consume(sales, once=True)
    (row,) = ask(
        'select topic, partition, "offset", producer, customer_key, sold_at::text, sold_at_text,'
        " logged_at <= ingested_at, arrived_on = (ingested_at at time zone 'UTC')::date"
        " from bronze.retail_sales"
    )
    sent = "2026-07-05T00:30:00+01:00"
    key = pseudonym("17")
    assert row == (
        "retail_sales", 0, 0, "till 3", key, "2026-07-04 23:30:00+00", sent, True, True
    )  # fmt: skip
    assert ask("select distinct day::text from silver.retail_sales_by") == [("2026-07-05",)]


def test_an_event_sent_twice_counts_once_within_the_window(sales: Stream) -> None:
    near = sales.model_copy(update={"duplicates_within": 3})
    lines = [message(n) for n in (1, 2, 1, 3, 1, 4, 2)]
    send(near, *lines)
    consume(near, once=True)
    # 1 at 0 counts; at 2 it is near; at 4 it is farther than 3 from where it counted.
    assert ask('select "offset" from bronze.retail_sales order by 1') == [
        (0,), (1,), (3,), (4,), (5,), (6,),
    ]  # fmt: skip
    assert fates()["duplicates"] == 1


def test_the_window_outlives_a_restart_and_does_not_depend_on_batches(
    sales: Stream, setting: Callable[..., None]
) -> None:
    setting(stream_batch=1)
    send(sales, message(1), message(2), message(1))
    consume(sales, once=True)
    send(sales, message(2), message(3))
    consume(sales, once=True)
    assert fates() == {"events": 5, "counted": 3, "late": 0, "duplicates": 2, "quarantined": 0}


def test_nine_minutes_late_counts_and_eleven_is_shown_and_can_be_folded_in(sales: Stream) -> None:
    send(sales, message(1, 60), message(2, 51), message(3, 49), message(4, 50))
    send(sales, message(5, -500), partition=1)  # behind, but not in its own partition
    consume(sales, once=True)
    assert fates() == {"events": 5, "counted": 4, "late": 1, "duplicates": 0, "quarantined": 0}
    assert ask("select event_id, late_by::text, folded_at from silver.retail_sales_late") == [
        ("e3", "00:11:00", None)
    ]
    assert ask(TOTAL) == [(4, 4, Decimal("12.0000"), Decimal("12.0000"))]
    assert rebuild(sales).differing == 0
    assert restate(sales) == 1
    assert restate(sales) == 0
    assert ask(TOTAL) == [(5, 5, Decimal("15.0000"), Decimal("15.0000"))]
    assert ask(
        "select restated_at = folded_at from silver.retail_sales_by, silver.retail_sales_late"
        " where dimension = 'country'"
    ) == [(True,)]
    assert rebuild(sales).differing == 0


def test_a_clock_that_is_wrong_does_not_make_all_that_follows_late(sales: Stream) -> None:
    send(sales, message(1), message(2, sold_at="2999-01-01T00:00:00Z"), message(3, 1))
    consume(sales, once=True)
    assert fates()["counted"] == 2
    assert ask("select reason, convert_from(message, 'UTF8') like '%2999%'"
               " from quarantine.retail_sales") == [
        ("sold_at: is ahead of its arrival by more than allowed", True)
    ]  # fmt: skip


def test_a_poison_message_goes_to_quarantine_as_it_came_and_the_stream_goes_on(
    sales: Stream,
) -> None:
    bad = b'{"customer_id": "secret 17", \xff\x00'
    send(sales, message(1), bad, message(2))
    consume(sales, once=True)
    assert fates()["counted"] == 2
    assert ask('select "offset", reason, message from quarantine.retail_sales') == [
        (1, "is no UTF-8", bad)
    ]


def test_a_batch_is_written_whole_or_not_at_all(
    sales: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(sales, message(1), b"{", message(2, 30), message(3))
    with monkeypatch.context() as broken:
        broken.setattr("tasks.stream.write.add", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            consume(sales, once=True)
    assert fates()["events"] == 0
    for table in ("bronze.retail_sales", "quarantine.retail_sales", "silver.retail_sales_late"):
        assert ask(f"select count(*) from {table}") == [(0,)]
    consume(sales, once=True)
    assert fates() == {"events": 4, "counted": 2, "late": 1, "duplicates": 0, "quarantined": 1}


def test_a_zombie_is_refused_by_the_database(sales: Stream) -> None:
    send(sales, message(1), message(2))
    zombie, heir = Claims(sales), Claims(sales)
    with connect(autocommit=True) as one, connect(autocommit=True) as other:
        held = zombie.settle(one, range(3))
        assert len(held) == 3
        batch = _read(sales, one, {n: hold.next_offset for n, hold in held.items()})
        time.sleep(1.1)  # its lease runs out
        assert len(heir.settle(other, range(3))) == 3
        with pytest.raises(Fenced):
            write(one, sales, zombie, batch)
        assert fates()["events"] == 0
        write(other, sales, heir, batch)
        with pytest.raises(Fenced):
            write(other, sales, heir, batch)  # nor may anybody write the same twice
    assert ask(TOTAL) == []  # the batch was not folded here
    assert fates()["events"] == 2


def _read(sales: Stream, connection: psycopg.Connection[Any], positions: dict[int, int]) -> Batch:
    return Judge(sales, connection, positions)(open_log(sales).poll(positions, 100, 0))


def test_two_consumers_share_the_partitions_and_one_takes_over(sales: Stream) -> None:
    for partition in range(3):
        send(sales, *(message(f"{partition}-{n}") for n in range(100)), partition=partition)
    first, second = Claims(sales), Claims(sales)
    with connect(autocommit=True) as one, connect(autocommit=True) as other:
        assert len(first.settle(one, range(3))) == 3
        second.settle(other, range(3))
        assert len(first.settle(one, range(3))) == 2
        assert len(second.settle(other, range(3))) == 1
        second.leave(other)
        assert len(first.settle(one, range(3))) == 3
        first.leave(one)
    stop = threading.Event()
    both = [threading.Thread(target=consume, args=[sales], kwargs={"stop": stop}) for _ in range(2)]
    for thread in both:
        thread.start()
    until = time.monotonic() + 60
    while fates()["events"] < 300 and time.monotonic() < until:
        time.sleep(0.1)
    stop.set()
    for thread in both:
        thread.join()
    assert fates()["counted"] == 300
    assert by("total", "lines") == {"all": 300}


def test_the_stream_waits_for_a_log_that_is_away(
    sales: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passes is tried again; here the log lost a segment, which somebody puts back."""
    send(sales, message(1))
    consume(sales, once=True)
    (segment,) = (p for p in Path(open_log(sales)._folder).rglob("*.jsonl") if p.stat().st_size)  # type: ignore[attr-defined]
    text = segment.read_bytes()
    segment.unlink()
    monkeypatch.setattr(consuming, "FIRST_PAUSE_S", 0.05)
    stop = threading.Event()
    running = threading.Thread(target=consume, args=[sales], kwargs={"stop": stop})
    running.start()
    time.sleep(1)
    segment.write_bytes(text + message(2) + b"\n")
    until = time.monotonic() + 30
    while fates()["events"] < 2 and time.monotonic() < until:
        time.sleep(0.05)
    stop.set()
    running.join()
    assert fates()["counted"] == 2


def test_a_rebuild_is_refused_when_bronze_was_let_go(sales: Stream) -> None:
    send(sales, message(1))
    consume(sales, once=True)
    with connect() as connection:
        connection.execute("delete from bronze.retail_sales")
    with pytest.raises(LoadFailed, match="holds 0 of 1"):
        rebuild(sales)
    assert by("total", "lines") == {"all": 1}


def test_an_aggregation_is_added_by_configuration_alone(sales: Stream) -> None:
    from warehouse.streams import Dimension

    send(sales, message(1), message(2, country="Spain"))
    consume(sales, once=True)
    initial = Dimension(name="initial", by="left(country, 1)", meaning="First letter")
    more = sales.model_copy(update={"dimensions": (*sales.dimensions, initial)})
    assert rebuild(more).differing == 2
    send(sales, message(3))
    consume(more, once=True)
    assert by("initial", "lines") == {"F": 2, "S": 1}


def test_what_the_schema_grows_by_is_stored_from_then_on(
    sales: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New optional fields and measures, a field that may be null or absent, a wider type."""
    from warehouse import streams
    from warehouse.streams import EventSchema, Measure, Property

    send(sales, message(1))
    consume(sales, once=True)
    fields = sales.event.properties
    wider = {
        "voucher": Property(type=("string", "null"), maxLength=9, description="Voucher"),
        "country": fields["country"].model_copy(update={"type": ("string", "null")}),
        "quantity": fields["quantity"].model_copy(update={"type": "number"}),
    }
    required = tuple(name for name in sales.event.required if name != "stock_code")
    vouchers = Measure(name="vouchers", sum="(voucher is not null)::bigint", meaning="Vouchers")
    grown = sales.model_copy(update={
        "event": EventSchema(required=required, properties=fields | wider),
        "measures": (*sales.measures, vouchers),
    })  # fmt: skip
    vars(grown).pop("columns", None)  # worked out once a stream
    monkeypatch.setattr(streams, "streams", lambda: {grown.table: grown})
    with connect() as connection:
        streams.derive(connection)
        streams.derive(connection)
    send(grown, message(2, voucher="A", country=None), message(3, stock_code=..., quantity=2.5))
    consume(grown, once=True)
    assert fates()["counted"] == 3
    assert ask(
        "select event_id, voucher, country, stock_code, quantity from bronze.retail_sales"
        " order by 1"
    ) == [
        ("e1", None, "France", "7", 2),
        ("e2", "A", None, "7", 2),
        ("e3", None, "France", None, Decimal("2.5")),
    ]
    assert by("total", "vouchers", "pieces") == {"all": (1, Decimal("6.5"))}
    assert rebuild(grown).differing == 0


def test_a_value_that_an_expression_fails_on_stops_nothing(sales: Stream) -> None:
    """The dimension says so, the measure adds nothing; the other figures of the event stand."""
    from warehouse.streams import Dimension, Measure

    changes = {
        "derived": sales.derived | {"till": "channel::integer"},
        "dimensions": (*sales.dimensions, Dimension(name="till", by="till + 1", meaning="Till")),
        "measures": tuple(
            Measure(name="nameless", sum="10 ** till * till", meaning=m.meaning)
            if m.name == "nameless" else m for m in sales.measures
        ),
    }  # fmt: skip
    odd = sales.model_copy(update=changes)
    send(odd, *(message(n, channel=c) for n, c in enumerate(("2", "x", None, "999999999", "3"))))
    consume(odd, once=True)
    assert by("till", "lines") == {"3": 1, "4": 1, "1000000000": 1, "(none)": 2}
    assert ask("select lines, gross, nameless from silver.retail_sales_by"
               " where dimension = 'total'") == [(5, Decimal("15.0000"), 3200)]  # fmt: skip
    assert rebuild(odd).differing == 0


def test_staff_see_the_sums_and_nobody_sees_who_bought(sales: Stream) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import ProgrammingError

    send(sales, message(1, customer_id="17"))
    consume(sales, once=True)
    count = text("select sum(net) from silver.retail_sales_by_person where dimension = 'customer'")
    for role in ("admin", "librarian"):
        with acting_as(Viewer("x@example.org", role)) as connection:  # type: ignore[arg-type]
            assert connection.execute(count).scalar() == 3
    for role, question in (
        ("admin", "select value from silver.retail_sales_by_person"),
        ("admin", "select 1 from bronze.retail_sales"),
        ("admin", "select 1 from quarantine.retail_sales"),
        ("member", "select 1 from silver.retail_sales_by"),
    ):
        with (
            acting_as(Viewer("x@example.org", role)) as connection,  # type: ignore[arg-type]
            pytest.raises(ProgrammingError, match="permission denied"),
        ):
            connection.execute(text(question))
    assert "17" not in json.dumps(ask("select customer_key from bronze.retail_sales"))[:4]
