"""The stream through a real Kafka broker."""

from __future__ import annotations

import builtins
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deployments.postgres import Server
from tasks.stream import kafka as kafka_log
from tasks.stream.consume import consume
from tasks.stream.day_files import replayed
from tasks.stream.kafka import KafkaLog, make_topic, options
from tasks.stream.log import open_writer
from tasks.stream.produce import at_once, produce
from tests.fix_kafka import Broker
from tests.fix_stream import ask, check_against, fates, message
from tests.tasks.fix_stream_kills import consuming, kill_postgres, mixed, survive
from warehouse.errors import ConfigurationError, SourceUnavailable
from warehouse.settings import settings
from warehouse.streams import Stream


@pytest.fixture
def topic(
    sales: Stream, kafka: Broker, setting: Callable[..., None], request: pytest.FixtureRequest
) -> Stream:
    """The stream of sales on a topic of the test's own."""
    setting(kafka_bootstrap=kafka.bootstrap)
    return sales.model_copy(update={"topic": f"sales_{abs(hash(request.node.nodeid))}"})


def test_events_come_through_the_broker_with_their_offsets_and_times(topic: Stream) -> None:
    writer = open_writer(topic)
    writer.append(0, [message(1), b"", message(2).replace(b", ", b",\n")])
    writer.append(2, [message(1), message(3)])
    writer.close()
    consume(topic, once=True)
    assert fates() == {"events": 5, "counted": 4, "late": 0, "duplicates": 0, "quarantined": 1}
    assert ask(
        'select partition, "offset", event_id, topic,'
        " now() - logged_at between '0' and '10 minutes' from bronze.retail_sales order by 1, 2"
    ) == [
        (partition, offset, event, topic.topic, True)
        for partition, offset, event in ((0, 0, "e1"), (0, 2, "e2"), (2, 0, "e1"), (2, 1, "e3"))
    ]
    consume(topic, once=True)
    assert fates()["events"] == 5


def test_more_than_the_queue_holds_goes_in_order(topic: Stream) -> None:
    count = 120_000  # the library's queue takes 100,000
    writer = open_writer(topic)
    writer.append(1, (b"%d" % number for number in range(count)))
    with pytest.raises(SourceUnavailable, match="too large"):
        writer.append(1, [b"x" * (2 << 20)])
    writer.close()
    log, text, at = KafkaLog(topic.topic), b"", 0
    while found := log.poll({1: at}, 50_000, 5 if at < count else 0):
        text += found[0].block
        at = found[0].next_offset
    log.close()
    assert text == b"".join(b"%d\n" % number for number in range(count))


def test_partitions_are_told_at_once_while_another_thread_polls(topic: Stream) -> None:
    """Else a consumer of few events is silent, and writes nothing, for seconds."""
    make_topic(topic.topic, topic.partitions)
    log, stop = KafkaLog(topic.topic), threading.Event()

    def poll() -> None:
        while not stop.is_set():
            log.poll(dict.fromkeys(range(3), 0), 1000, 0.25)

    thread = threading.Thread(target=poll)
    thread.start()
    log.partitions()
    began = time.monotonic()
    found = [log.partitions() for _ in range(5)]
    stop.set()
    thread.join()
    log.close()
    assert found == [[0, 1, 2]] * 5
    assert time.monotonic() - began < 5, "0.01 seconds; it was up to 30 for each"


def test_large_records_come_in_polls_of_bounded_size(
    topic: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [bytes([65 + n % 26]) * 20_000 for n in range(60)]
    writer = open_writer(topic)
    writer.append(0, sent)
    writer.close()
    monkeypatch.setattr(kafka_log, "MOST_BYTES", 100_000)
    monkeypatch.setattr(kafka_log, "PIECE", 2)
    log, at, found = KafkaLog(topic.topic), 0, list[bytes]()
    while slices := log.poll({0: at}, 25_000, 10 if len(found) < len(sent) else 0.1):
        (one,) = slices
        assert len(one.block) <= 150_000
        found += one.block.split(b"\n")[:-1]
        at = one.next_offset
    log.close()
    assert found == sent


def test_a_record_s_time_is_that_of_its_arrival_whatever_its_sender_s_clock_says(
    topic: Stream,
) -> None:
    from confluent_kafka import Producer

    make_topic(topic.topic, topic.partitions)
    ahead = datetime.now(UTC) + timedelta(minutes=40)
    sender = Producer({"bootstrap.servers": settings().kafka_bootstrap, "log_level": 0})
    line = message(1, sold_at=ahead.isoformat())
    sender.produce(topic.topic, line, partition=0, timestamp=int(ahead.timestamp() * 1000))
    sender.produce(topic.topic, message(2, sold_at=datetime.now(UTC).isoformat()), partition=0)
    sender.flush()
    consume(topic, once=True)
    assert fates() == {"events": 2, "counted": 1, "late": 0, "duplicates": 0, "quarantined": 1}


def test_a_topic_is_made_once_and_grows(topic: Stream) -> None:
    make_topic(topic.topic, 2)
    make_topic(topic.topic, 1)
    make_topic(topic.topic, 3)
    log = KafkaLog(topic.topic)
    assert log.partitions() == [0, 1, 2]
    log.close()


def test_a_position_that_the_broker_has_not_is_said(topic: Stream) -> None:
    make_topic(topic.topic, 1)
    log = KafkaLog(topic.topic)
    with pytest.raises(SourceUnavailable, match=r"Kafka at 127\.0\.0\.1"):
        log.poll({0: 999}, 10, 30)
    log.close()


def test_a_topic_that_is_not_there_is_said(topic: Stream) -> None:
    log = KafkaLog(topic.topic)
    with pytest.raises(SourceUnavailable, match="topic"):
        log.partitions()
    log.close()


def test_without_the_extra_the_error_names_it(
    monkeypatch: pytest.MonkeyPatch, setting: Callable[..., None]
) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "confluent_kafka":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    setting(kafka_bootstrap="127.0.0.1:1")
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigurationError, match=r"make\.sh env dev"):
        KafkaLog("t")


def test_a_broker_that_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, setting: Callable[..., None]
) -> None:
    setting(kafka_bootstrap="127.0.0.1:1")
    monkeypatch.setattr(kafka_log, "ANSWER_S", 0.5)
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:1"):
        make_topic("t", 1)


def test_tls_and_sign_in_are_settings(
    setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARREL_SECRET_KAFKA_PASSWORD", "s3cret")
    setting(kafka_security="sasl_ssl", kafka_ca="/a/ca.pem", kafka_user="carrel")
    known = options()
    assert known["security.protocol"] == "sasl_ssl"
    assert known["ssl.ca.location"] == "/a/ca.pem"
    assert known["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (known["sasl.username"], known["sasl.password"]) == ("carrel", "s3cret")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("count", "batch"), [(5, 20_000), pytest.param(50, 3_000, marks=pytest.mark.full)]
)
def test_kills_while_kafka_is_read(
    *, count: int, batch: int, sales: Stream, kafka: Broker, shared: Path,
    figures: dict[str, Any], postgres: Server, setting: Callable[..., None],
) -> None:  # fmt: skip
    setting(kafka_bootstrap=kafka.bootstrap, stream_batch=batch)
    kinds = mixed(["consumer", "broker", "postgres"], count, seed=count)
    with consuming() as restart, ThreadPoolExecutor(1) as beside:
        sent = beside.submit(produce_all, sales, shared)
        sent.add_done_callback(lambda done: done.result())  # what went wrong is told at once
        kills = {
            "consumer": restart,
            "postgres": lambda: kill_postgres(postgres),
            "broker": kafka.restart,
        }
        survive(kinds, count, figures["rows_"], kills)
        sent.result()
    kafka.wait()
    check_against(figures)


def produce_all(sales: Stream, shared: Path) -> None:
    """The day files into the log, while its broker is killed and comes again."""
    writer = open_writer(sales)
    produce(writer, at_once(replayed(sales, shared / "retail/online_retail_by_day")))
    writer.close()
