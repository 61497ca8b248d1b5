"""Kafka as event log, by confluent-kafka (the extra `stream`); TLS and SASL by settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.stream.log import Slice, as_line, joined
from warehouse.errors import ConfigurationError, SourceUnavailable
from warehouse.settings import secret, settings

if TYPE_CHECKING:
    from confluent_kafka import Message

ANSWER_S = 30.0
BESIDE_S = 0.02
PIECE = 5_000  # messages at once: as the library's objects they are large
# A producer whose clock is wrong would stamp its records as wrong as its events are dated.
ARRIVAL = {"message.timestamp.type": "LogAppendTime"}
MOST_BYTES = 32 << 20  # of a poll, save for one piece: records may be large, and memory is bounded


def _library() -> Any:
    """confluent-kafka.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import confluent_kafka
    except ImportError:
        raise ConfigurationError(
            "confluent-kafka is not installed, and CARREL_KAFKA_BOOTSTRAP names a broker.",
            remedy="`deployments/make.sh env dev` brings it, as the lock says; or unset the broker,"
            " and the log is a folder.",
        ) from None
    return confluent_kafka


class Heard:
    """What the library last said about a connection: it calls this, and tells no asker."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, error: Any) -> None:
        """Remember it."""
        if error.name() != "_ALL_BROKERS_DOWN":  # says less than what came before it
            self.last = error.str()


def options(heard: Heard | None = None, **more: Any) -> dict[str, Any]:
    """What every client is told: where the broker is and how to reach it safely."""
    known = settings()
    found: dict[str, Any] = {
        "bootstrap.servers": known.kafka_bootstrap,
        "security.protocol": known.kafka_security,
        "log_level": 2,  # what matters is raised or logged by us
    }
    if known.kafka_ca:
        found["ssl.ca.location"] = str(known.kafka_ca)
    if known.kafka_security == "sasl_ssl":
        found["sasl.mechanism"] = known.kafka_mechanism
        found["sasl.username"] = known.kafka_user
        found["sasl.password"] = secret("kafka_password")
    if heard:
        found["error_cb"] = heard
    return found | more


def make_topic(topic: str, partitions: int) -> None:
    """Make a topic unless it is there; one with fewer partitions gets more.

    Raises:
        SourceUnavailable: the broker does not answer, or refuses.
    """
    kafka = _library()
    from confluent_kafka.admin import (  # type: ignore[attr-defined]
        AdminClient,
        NewPartitions,
        NewTopic,
    )

    heard = Heard()
    admin = AdminClient(options(heard))
    try:
        found = admin.list_topics(timeout=ANSWER_S).topics.get(topic)
        if found is None:
            new = NewTopic(topic, partitions, settings().kafka_replicas, config=ARRIVAL)
            admin.create_topics([new])[topic].result(ANSWER_S)
        elif len(found.partitions) < partitions:
            wanted = NewPartitions(topic, partitions)
            admin.create_partitions([wanted])[topic].result(ANSWER_S)
    except kafka.KafkaException as error:
        if error.args[0].code() != kafka.KafkaError.TOPIC_ALREADY_EXISTS:
            admin.poll(0)
            raise _unavailable(error.args[0], heard) from error


def _unavailable(error: Any, heard: Heard) -> SourceUnavailable:
    why = f" ({heard.last})" if heard.last else ""
    return SourceUnavailable(
        f"Kafka at {settings().kafka_bootstrap}: {error.str()}{why}.",
        remedy="Look whether the broker runs; CARREL_KAFKA_* say how it is reached.",
    )


class KafkaLog:
    """Reads a topic. Positions come from the asker: no group, nothing committed to the broker."""

    patience = 5.0

    def __init__(self, topic: str, *, answer_s: float | None = None) -> None:
        """`answer_s`: how long the broker may take to say what partitions and records there are."""
        kafka = _library()
        from confluent_kafka.admin import AdminClient

        self.topic = topic
        self._answer_s = answer_s or ANSWER_S
        self._place = kafka.TopicPartition
        self._past = {kafka.KafkaError.OFFSET_OUT_OF_RANGE, kafka.KafkaError._AUTO_OFFSET_RESET}
        self._failure = kafka.KafkaException
        self._at: dict[int, int] = {}
        self._heard = Heard()
        # A consumer that polls on another thread answers nothing else for seconds.
        self._admin = AdminClient(options(self._heard))
        self._consumer = kafka.Consumer(
            options(
                self._heard,
                **{
                    "group.id": "carrel",  # the library wants one; nothing is kept under it
                    "enable.auto.commit": False,
                    "auto.offset.reset": "error",
                    # What waits here is memory, and more of it than the broker sent packed.
                    "queued.max.messages.kbytes": 4096,
                    "fetch.max.bytes": 1 << 20,
                    "fetch.message.max.bytes": 256 << 10,
                    "fetch.queue.backoff.ms": 10,  # of its own it waits a second when full
                    "fetch.wait.max.ms": 50,
                    "reconnect.backoff.max.ms": 2000,
                },
            )
        )

    def partitions(self) -> list[int]:
        """The topic's partitions.

        Raises:
            SourceUnavailable: the broker does not answer, or has no such topic.
        """
        try:
            known = self._admin.list_topics(self.topic, timeout=self._answer_s)
            found = known.topics[self.topic]
        except self._failure as error:
            self._admin.poll(0)
            raise _unavailable(error.args[0], self._heard) from error
        if found.error:
            raise _unavailable(found.error, self._heard)
        return sorted(found.partitions)

    def poll(self, positions: Mapping[int, int], most: int, seconds: float) -> list[Slice]:
        """Records from the positions; see `EventLog`. A broker that is away brings none."""
        if dict(positions) != self._at:
            self._consumer.assign([self._place(self.topic, p, at) for p, at in positions.items()])
            self._at = dict(positions)
        parts = defaultdict[int, list[Slice]](list)
        count, size, wanted, patience = 0, 0, 1, seconds
        while (
            count < most
            and size < MOST_BYTES
            and (found := self._consumer.consume(wanted, patience))
        ):
            for one in self._slices(found):
                parts[one.partition].append(one)
                size += len(one.block)
            if len(found) < wanted:
                break
            count += len(found)
            # What waits beside the first is there already: no need to wait for a full batch.
            wanted, patience = min(PIECE, most - count), BESIDE_S
        slices = [joined(found) for found in parts.values()]
        self._at |= {one.partition: one.next_offset for one in slices}
        return slices

    def _slices(self, messages: list[Message]) -> list[Slice]:
        parts = defaultdict[int, list["Message"]](list)
        for message in messages:
            if error := message.error():
                self._judge(error)
            elif (partition := message.partition()) is not None:
                parts[partition].append(message)
        return [_slice(partition, found) for partition, found in parts.items()]

    def ends(self, partition: int) -> tuple[int, int]:
        """The first record that the broker holds of a partition, and the number of its next one.

        Raises:
            SourceUnavailable: the broker does not answer.
        """
        place = self._place(self.topic, partition)
        try:
            first, following = self._consumer.get_watermark_offsets(place, timeout=self._answer_s)
        except self._failure as error:
            raise _unavailable(error.args[0], self._heard) from error
        return first, following

    def _judge(self, error: Any) -> None:
        """Raise what waiting does not heal."""
        if error.code() in self._past or error.fatal():
            self._at = {}
            raise _unavailable(error, self._heard)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


def _slice(partition: int, messages: list[Message]) -> Slice:
    offsets = np.array([message.offset() for message in messages], np.int64)
    logged = np.array([message.timestamp()[1] for message in messages], np.int64) * 1000
    return Slice(partition, offsets, logged, _block(messages), int(offsets[-1]) + 1)


def _block(messages: list[Message]) -> bytes:
    """A line each."""
    values = [message.value() or b"" for message in messages]
    block = b"\n".join((*values, b""))
    if block.count(b"\n") == len(values):
        return block
    return b"\n".join((*map(as_line, values), b""))


class KafkaWriter:
    """Appends to a topic; idempotent: what the library sends again is there once."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._failed: list[Any] = []
        self._heard = Heard()
        kafka = _library()
        self._full = kafka.KafkaError._QUEUE_FULL
        self._producer = kafka.Producer(
            options(
                self._heard,
                **{
                    "enable.idempotence": True,
                    "linger.ms": 20,
                    "delivery.report.only.error": True,
                    "compression.type": "lz4",
                    "queue.buffering.max.kbytes": 65536,
                },
            )
        )

    def append(self, partition: int, lines: Iterable[bytes]) -> None:
        """Append records; see `EventWriter`. Waits while the broker cannot keep up.

        Raises:
            SourceUnavailable: the library does not take one: it is larger than brokers allow.
        """
        waiting: list[dict[str, Any]] = [{"value": line} for line in lines]
        while waiting:
            self._producer.produce_batch(
                self._topic, waiting, partition=partition, on_delivery=self._delivered
            )
            # Behind the first that finds the queue full none is taken: the order stays.
            waiting = [one for one in waiting if "_error" in one]
            for one in waiting:
                error = one.pop("_error")
                if error.code() != self._full:
                    raise _unavailable(error, self._heard)
            self._producer.poll(0.1 if waiting else 0)

    def _delivered(self, error: Any, _: Any) -> None:
        if error:
            self._failed.append(error)

    def flush(self) -> None:
        """Return once the broker has everything.

        Raises:
            SourceUnavailable: it did not take all of it.
        """
        while self._producer.flush(ANSWER_S) and not self._failed:
            pass
        if self._failed:
            raise _unavailable(self._failed[0], self._heard)

    def close(self) -> None:
        """Flush."""
        self.flush()
