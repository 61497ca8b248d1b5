"""A real Kafka broker of the test run's own: one node, KRaft, jars from Maven Central.

`kafka`   a running broker; `kafka.bootstrap` is its address. CARREL_KAFKA_BOOTSTRAP names one that
          runs already, which is used as it is and never killed.

The jars are fetched once, by Maven, into the user's cache. Java is needed by tests alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.ports import free_port
from warehouse.settings import settings

VERSION = "4.0.0"
GIVEN = "GIVEN_KAFKA_BOOTSTRAP"  # where conftest.py puts CARREL_KAFKA_BOOTSTRAP
PROJECT = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>carrel</groupId><artifactId>broker</artifactId><version>1</version>
<packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>{VERSION}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId>
<version>1.7.36</version></dependency>
</dependencies>
</project>
"""
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},SIGNED_IN://127.0.0.1:{signed_in},\
  TLS://127.0.0.1:{tls},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,TLS:SSL,SIGNED_IN:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location={keys}
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.signed_in.scram-sha-512.sasl.jaas.config=\
  org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.enable=false
"""
JAVA = ("-Xmx256m", "-Xss512k", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
USER, PASSWORD = "carrel", "a passphrase of the tests"  # pragma: allowlist secret
CLUSTER = "Q2FycmVsVGVzdHNCcm9rZQ"  # any 16 bytes in base64
START_S = 120  # of a machine that does much else; by itself it takes four


@dataclass
class Broker:
    """One broker: `start`, `kill` (signal 9) and `start` again keep its port and its data."""

    bootstrap: str
    folder: Path | None = None  # None: somebody else's
    tls: str = ""  # the same with TLS
    signed_in: str = ""  # with TLS, for USER with PASSWORD
    running: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def certificate(self) -> Path:
        """What its certificate is to be trusted by."""
        assert self.folder
        return self.folder / "certificate.pem"

    def start(self, *, wait: bool = True) -> None:
        """Run it, and wait until it answers."""
        assert self.folder
        with (self.folder / "log").open("ab") as log:
            self.running = subprocess.Popen(
                _java("kafka.Kafka", str(self.folder / "server.properties")),
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        if wait:
            self.wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.running:
            self.running.kill()
            self.running.wait()

    def remove(self) -> None:
        """End it, and leave nothing."""
        self.kill()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self) -> None:
        """Kill it, and start it again without waiting for it; somebody else's is left alone."""
        if self.folder:
            self.kill()
            self.start(wait=False)

    def wait(self) -> None:
        """Wait until it answers; somebody else's does."""
        if not self.folder:
            return
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        assert self.running
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.running.poll() is None:
            try:
                if admin.list_topics(timeout=1).brokers:
                    return
            except KafkaException:
                time.sleep(0.1)
        pytest.fail(f"Kafka did not start: {(self.folder / 'log').read_text()[-2000:]}")


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """A running broker."""
    if given := os.environ.get(GIVEN):
        yield Broker(given)
        return
    missing = [name for name in ("java", "mvn") if not shutil.which(name)]
    if missing and not (_jars() / "complete").exists():
        _absent(f"no broker: {' and '.join(missing)} not installed, CARREL_KAFKA_BOOTSTRAP not set")
    broker = formatted()
    try:
        broker.start()
        yield broker
    finally:
        broker.remove()


def _absent(reason: str) -> None:
    if settings().strict:
        pytest.fail(reason)
    pytest.skip(f"{reason} (Debian: apt-get install default-jre-headless maven)")


def formatted() -> Broker:
    """A broker with an empty data folder, not started yet."""
    _fetch()
    folder = Path(tempfile.mkdtemp(prefix="carrel_kafka_"))
    names = ("port", "tls", "signed_in", "controller")
    ports = {name: free_port() for name in names}
    files, keys = self_signed(folder, "broker.test"), folder / "keys.pem"
    keys.write_bytes(files.key.read_bytes() + files.certificate.read_bytes())
    properties = folder / "server.properties"
    properties.write_text(PROPERTIES.format(**ports, data=folder / "data", keys=keys))
    tool = _java("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(properties))
    tool += ["--add-scram", f'SCRAM-SHA-512=[name={USER},password="{PASSWORD}"]']
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"Kafka's folder could not be made: {done.stderr[-2000:]}")
    port, tls, signed_in, _ = (f"127.0.0.1:{ports[name]}" for name in names)
    return Broker(port, folder, tls, signed_in)


def _java(main: str, *arguments: str) -> list[str]:
    return ["java", *JAVA, QUIET, "-cp", f"{_jars()}/*", main, *arguments]


def _jars() -> Path:
    """The folder of jars, outside the clone so that a fresh clone need not fetch them again."""
    return Path.home() / ".cache" / "carrel" / f"kafka-{VERSION}"


def _fetch() -> None:
    """Have Maven bring the jars, once; processes that come meanwhile wait."""
    folder = _jars()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "complete").exists():
            return
        (folder / "pom.xml").write_text(PROJECT)
        command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            _absent(f"no broker: Maven brought no jars: {done.stdout[-500:]}")
        (folder / "complete").touch()
