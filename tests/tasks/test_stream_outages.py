"""What may go wrong around the stream, on a real broker: it goes on, and nothing doubles."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from deployments.postgres import Server
from tasks.stream import kafka as kafka_log
from tasks.stream.consume import consume
from tasks.stream.kafka import KafkaWriter, make_topic
from tasks.stream.log import open_log, open_writer
from tests.fix_kafka import PASSWORD, USER, Broker
from tests.fix_stream import ask, by, fates, message, running, send, until
from tests.tasks.fix_stream_kills import consuming, kill_postgres, wait_for
from warehouse.database import connect
from warehouse.errors import SourceUnavailable
from warehouse.settings import ROOT
from warehouse.streams import Stream

HELD = "select partition, consumer from ops.stream_partitions where consumer is not null order by 1"


@pytest.fixture
def topic(
    sales: Stream, kafka: Broker, setting: Callable[..., None], request: pytest.FixtureRequest
) -> Stream:
    """The stream of sales on a topic of the test's own."""
    setting(kafka_bootstrap=kafka.bootstrap)
    found = sales.model_copy(update={"topic": f"outage_{abs(hash(request.node.nodeid))}"})
    make_topic(found.topic, found.partitions)
    return found


@contextmanager
def apart(sales: Stream) -> Iterator[psutil.Process]:
    """A consumer in a process of its own."""
    script = (
        "from tasks.stream.consume import consume; from warehouse.streams import stream;"
        f"consume(stream({sales.table!r}).model_copy(update={{'topic': {sales.topic!r}}}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def numbered(begin: int, count: int) -> list[bytes]:
    return [message(n) for n in range(begin, begin + count)]


@pytest.mark.parametrize("seconds", [1, pytest.param(60, marks=pytest.mark.full)])
def test_the_broker_is_away(topic: Stream, kafka: Broker, seconds: float) -> None:
    """Consumer and producer wait for it; what the producer sends again is there once, in order."""
    if not kafka.folder:
        pytest.skip("the broker is somebody else's")
    writer = KafkaWriter(topic.topic)
    with running(topic):
        writer.append(0, numbered(0, 1000))
        writer.flush()
        wait_for(1000)
        writer.append(0, numbered(1000, 1000))
        kafka.kill()  # some of it is on its way
        writer.append(0, numbered(2000, 1000))
        time.sleep(seconds)
        kafka.start()
        writer.close()
        wait_for(3000)
    assert fates() == {"events": 3000, "counted": 3000} | dict.fromkeys(
        ("late", "duplicates", "quarantined"), 0
    )
    rows = ask('select event_id from bronze.retail_sales order by "offset"')
    assert rows == [(f"e{n}",) for n in range(3000)]


@pytest.fixture
def at_its_port(postgres: Server) -> Iterator[Server]:
    """The server, which is afterwards where other tests' programs know it."""
    port = postgres.running_port()
    yield postgres
    if postgres.running_port() != port:
        postgres.stop()
        assert postgres.start() == port


@pytest.mark.parametrize("how", ["stopped", "killed", "moved"])
def test_the_database_is_restarted(
    topic: Stream, at_its_port: Server, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its port may have been taken meanwhile, so that it comes up on another."""
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "5")  # what has the port now says nothing at all
    postgres = at_its_port
    with apart(topic), closing(socket.socket()) as other:
        send(topic, *numbered(0, 50))
        wait_for(50)
        if how == "killed":
            kill_postgres(postgres)
        else:
            port = postgres.running_port()
            assert port
            postgres.stop()
            if how == "moved":
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(("127.0.0.1", port))
                other.listen()
            assert (postgres.start() != port) >= (how == "moved")
        send(topic, *numbered(50, 50))
        wait_for(100)
    assert fates()["counted"] == 100
    assert by("total", "lines") == {"all": 100}


def test_consumers_share_the_partitions_and_one_takes_over(topic: Stream) -> None:
    lines = [numbered(n * 1000, 100) for n in range(3)]
    with running(topic):
        with apart(topic) as other:
            until(lambda: len({consumer for _, consumer in ask(HELD)}) == 2)
            for partition in range(3):
                send(topic, *lines[partition], partition=partition)
            wait_for(300)
            other.kill()
        for partition in range(3):
            send(topic, *numbered(5000 + partition * 1000, 100), partition=partition)
        wait_for(600)
    assert fates()["counted"] == 600
    assert by("total", "lines") == {"all": 600}


def test_a_frozen_consumer_that_wakes_is_fenced(topic: Stream) -> None:
    """It was taken for dead; what it still reads and writes counts for nothing."""
    with apart(topic) as zombie:
        send(topic, *numbered(0, 10))
        wait_for(10)
        zombie.send_signal(signal.SIGSTOP)
        with running(topic):
            send(topic, *numbered(10, 10))
            wait_for(20)
            epochs = ask("select partition, epoch from ops.stream_partitions order by 1")
            zombie.send_signal(signal.SIGCONT)
            send(topic, *numbered(20, 10))
            wait_for(30)
    assert all(epoch > 1 for _, epoch in epochs)
    assert fates() == {"events": 30, "counted": 30, "late": 0, "duplicates": 0, "quarantined": 0}
    assert by("total", "lines") == {"all": 30}


def test_lateness_is_each_partition_s_own_and_poison_stops_nothing(topic: Stream) -> None:
    """Partition 1 is idle and holds nothing back; 9 minutes count, 11 are late."""
    send(topic, message(1, 60), b"\xff\0", message(2, 51), b"", message(3, 49), b"[" * 9999)
    with running(topic):
        wait_for(6)
        assert fates() == {"events": 6, "counted": 2, "late": 1, "duplicates": 0, "quarantined": 3}
        send(topic, message(4, -500), partition=1)
        send(topic, message(5, 62), message(5, 62))
        wait_for(9)
    assert fates() == {"events": 9, "counted": 4, "late": 1, "duplicates": 1, "quarantined": 3}
    assert ask("select event_id, late_by::text from silver.retail_sales_late") == [
        ("e3", "00:11:00")
    ]
    assert ask('select "offset", message from quarantine.retail_sales order by 1') == [
        (1, b"\xff\0"), (3, b""), (5, b"[" * 9999),
    ]  # fmt: skip


@pytest.mark.shared
def test_a_slow_database_holds_the_reading_back(
    sales: Stream, sold: Path, setting: Callable[..., None]
) -> None:
    """With 57 MB in the log, a consumer that cannot write reads a few batches and then waits."""
    setting(stream_log=sold, stream_batch=2_000, stream_lease_s=60)
    with consuming(), connect() as slow:
        wait_for(1)
        slow.execute("select from ops.stream_partitions for update")
        consumer = next(
            child for child in psutil.Process().children() if "consume" in child.cmdline()
        )
        before = consumer.io_counters().read_chars
        quiet = -1.0
        while (now := sum(consumer.cpu_times()[:2])) - quiet > 0.05:
            quiet = now
            time.sleep(0.5)
        assert consumer.io_counters().read_chars - before < 10 << 20
        assert consumer.memory_info().rss < 500 << 20
        seen = fates()["events"]
        slow.rollback()
        wait_for(seen + 10_000)


def test_tls_and_sign_in(
    topic: Stream, kafka: Broker, setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kafka.folder:
        pytest.skip("the broker is somebody else's")
    monkeypatch.setenv("CARREL_SECRET_KAFKA_PASSWORD", PASSWORD)
    setting(kafka_bootstrap=kafka.tls, kafka_security="ssl", kafka_ca=kafka.certificate)
    send(topic, message(1))
    setting(kafka_bootstrap=kafka.signed_in, kafka_security="sasl_ssl", kafka_user=USER)
    send(topic, message(2))
    consume(topic, once=True)
    assert fates()["counted"] == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("password", "invalid credentials"), ("authority", "certificate"), ("name", "certificate")],
)
def test_what_is_wrong_with_a_sign_in_is_said(
    *, wrong: str, said: str, topic: Stream, kafka: Broker, setting: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """No password is in the error, and nobody who only says that he is the broker is believed."""
    if not kafka.folder:
        pytest.skip("the broker is somebody else's")
    secret = "wrong-one" if wrong == "password" else PASSWORD  # pragma: allowlist secret
    monkeypatch.setenv("CARREL_SECRET_KAFKA_PASSWORD", secret)
    monkeypatch.setattr(kafka_log, "ANSWER_S", 1)
    setting(kafka_bootstrap=kafka.signed_in, kafka_security="sasl_ssl", kafka_user=USER)
    if wrong != "authority":
        setting(kafka_ca=kafka.certificate)
    if wrong == "name":
        setting(kafka_bootstrap=kafka.signed_in.replace("127.0.0.1", "localhost"))
    until(lambda: said in refusal(lambda: open_writer(topic), secret))
    until(lambda: said in refusal(lambda: open_log(topic).partitions(), secret))


def refusal(attempt: Callable[[], object], secret: str) -> str:
    """What a refused attempt says; where the machine is slow, not at once why."""
    with pytest.raises(SourceUnavailable) as refused:
        attempt()
    assert secret not in str(refused.value)
    return str(refused.value)
