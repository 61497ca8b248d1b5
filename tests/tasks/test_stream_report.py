"""What a consumer says of itself, the metrics, and the review of checkpoints."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.stream import report
from tasks.stream.consume import consume
from tasks.stream.ends import FolderReach
from tasks.stream.folder import FolderWriter
from tasks.stream.retain import retain
from tasks.stream.review import review
from tests.fix_stream import ask, message, send
from warehouse.database import connect
from warehouse.settings import settings
from warehouse.streams import Stream


def now(sales: Stream) -> dict[str, float]:
    """The metrics that have a value, by name."""
    return {m["metric"]: m["value"] for m in report.metrics(sales) if m["value"] is not None}


def test_a_stream_has_more_than_twenty_metrics_each_with_unit_and_meaning(sales: Stream) -> None:
    assert report.metrics(sales) == []
    send(sales, message(1), message(2, 30), message(3), message(1), b"{")
    report.run(sales, "one", once=True)
    found = report.metrics(sales)
    assert len({m["metric"] for m in found}) == len(found) >= 20
    assert all(m["unit"] and m["meaning"] for m in found)
    known = now(sales)
    assert known.items() >= {
        "records": 5, "counted": 2, "late": 1, "duplicates": 1, "quarantined": 1, "lag": 0,
        "lost": 0, "logged": 5, "partitions": 3, "batches": 1, "batch_size": 5, "starts": 1,
        "late_share": 0.2, "quarantined_share": 0.2, "bronze_partitions": 1, "removed_days": 0,
    }.items()  # fmt: skip
    assert known["memory"] > 10_000_000
    assert known["rate_most"] > 0
    assert 0 <= known["delay"] < 60
    assert abs(known["watermark_age"] - known["newest_age"] - 600) < 1
    assert len(known) >= 30


def test_lag_is_what_the_log_holds_beyond_the_position(sales: Stream) -> None:
    send(sales, message(1), message(2))
    report.run(sales, "one", once=True)
    send(sales, message(3), message(4), message(5), partition=2)
    reporter = report.Reporter(sales, "two")
    assert reporter.report()
    reporter.close()
    assert (now(sales)["lag"], now(sales)["lag_most"]) == (3, 3)
    assert [r[0] for r in ask("select failure from ops.stream_runs")] == [None, None]


def test_a_run_reports_as_it_goes_and_its_end_when_it_fails(
    sales: Stream, setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    setting(stream_report_s=0.1)
    send(sales, message(1))
    stop, times = threading.Event(), list[int]()

    def shown() -> None:
        times.append(1)
        if len(times) == 4:
            stop.set()

    assert report.run(sales, "one", stop=stop, shown=shown).fates["events"] == 1
    query = "select ended_at is not null, events, failure from ops.stream_runs where run_id = '{}'"
    assert ask(query.format("one")) == [(True, 1, None)]
    assert len(times) >= 5

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(report, "consume", broken)
    with pytest.raises(ZeroDivisionError):
        report.run(sales, "two")
    assert ask(query.format("two")) == [(True, 0, "ZeroDivisionError: a bug")]


def test_what_ends_the_one_that_waits_lets_the_batch_be_committed_first(
    sales: Stream, setting: Callable[..., None]
) -> None:
    """As Prefect ends a run: SIGTERM becomes an exception where the main thread stands."""
    setting(stream_report_s=0.1)
    send(sales, message(1))

    class Terminated(BaseException):
        pass

    def shown() -> None:
        if ask("select 1 from bronze.retail_sales") and not ask(ENDED):
            raise Terminated

    with pytest.raises(Terminated):
        report.run(sales, "one", shown=shown)
    assert ask(ENDED) == [("one",)]
    assert ask("select count(consumer) from ops.stream_partitions") == [(0,)]
    assert ask("select count(*) from ops.stream_consumers") == [(0,)]


ENDED = "select run_id from ops.stream_runs where ended_at is not null"


def test_the_reach_of_a_folder_log_counts_on_from_where_it_looked(tmp_path: Path) -> None:
    reach = FolderReach(tmp_path / "t", 2)
    assert reach() == {0: (0, 0), 1: (0, 0)}
    writer = FolderWriter(tmp_path, "t", 2, segment=100)
    for number in range(1, 40):
        writer.append(0, [b"x" * 20] * 3)
        assert reach()[0] == (0, 3 * number)
    first, *_ = sorted((tmp_path / "t" / "0").glob("*.jsonl"))
    last = max((tmp_path / "t" / "0").glob("*.jsonl"))
    first.unlink()
    with last.open("ab") as file:
        file.write(b"torn")
    assert reach()[0][0] > 0
    assert reach()[0][1] == 117
    writer.close()


def test_the_review_says_what_does_not_fit_and_clears_what_is_left_over(
    sales: Stream, setting: Callable[..., None], tmp_path: Path
) -> None:
    send(sales, message(1), message(2))
    send(sales, message(3), partition=1)
    consume(sales, once=True)
    assert review(sales).faults == []
    with connect() as connection:
        connection.execute(
            "insert into ops.stream_consumers (consumer, stream, host, pid, seen_at)"
            " values (gen_random_uuid(), 'retail_sales', 'gone', 1, now() - interval '1 hour');"
            " update ops.stream_partitions set consumer = gen_random_uuid(),"
            " held_until = now() - interval '1 hour' where partition = 0;"
            " insert into ops.stream_ids values ('retail_sales', 'retail_sales', 0, -200000, 'x');"
            " insert into ops.stream_partitions (stream, topic, partition, next_offset)"
            " values ('retail_sales', 'former', 0, 7)"
        )
    found = review(sales)
    assert found.cleared == {
        "leases of dead consumers": 1, "dead consumers": 1, "reports of former runs": 0,
        "ids that can come no more": 1,
    }  # fmt: skip
    assert found.faults == [
        "partition 0 of former was read to 7; the stream's topic is retail_sales now."
    ]
    shutil.rmtree(settings().stream_folder)
    send(sales, message(9), partition=1)
    assert review(sales).faults[1:] == [
        "partition 0 of retail_sales: the next record to be read is 2, and the log ends at 0."
        " It is a younger log than the database knows; put the former one back."
    ]
    assert retain(sales) == [], "nothing that was not read goes"
