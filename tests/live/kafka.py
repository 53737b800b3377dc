"""A real Kafka broker of one node for a test, in its folder; not a test.

`with broker(folder) as kafka:` formats, starts and waits for it; `kill`, `stop` and `start` do to it what befalls brokers. It
is stopped by its own id. `tools/kafka.sh` fetches it; without it, or without Java, tests are skipped with that reason.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mirror_demo.processes import Child

from tests.conftest import require
from tests.live.mesh import free_ports, wait_until

LIBRARIES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grpc-mirror" / "kafka-4.4.0"
HEAP = "-Xmx384m"
READY_S = 90

# One node that is broker and controller, on loopback. Its session is short, so that it is back soon after kill -9.
_SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/kafka-data
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
auto.create.topics.enable=false
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""
_LOGGING = """
status=error
appender.o.type=Console
appender.o.name=O
appender.o.layout.type=PatternLayout
appender.o.layout.pattern=%d %p %c{1} %m%n
rootLogger.level=warn
rootLogger.appenderRef.o.ref=O
"""


class Broker:
    """Formatted at once; `start` it. What it prints stands in `folder`."""

    def __init__(self, folder: Path) -> None:
        client = _confluent()
        require("kafka", "confluent-kafka is not installed", present=client is not None)
        require("kafka", "Java is not installed", present=shutil.which("java") is not None)
        require("kafka", "not fetched; `make kafka` does it where Java and Maven are", present=LIBRARIES.is_dir())
        self._client: Any = client
        self._folder = folder
        port, controller = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        (folder / "kafka.properties").write_text(
            _SETTINGS.format(port=port, controller=controller, folder=folder), encoding="utf-8"
        )
        (folder / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
        command = [*self._java(), "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"]
        subprocess.run([*command, str(folder / "kafka.properties")], check=True, capture_output=True, timeout=READY_S)
        self._child: Child | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._child = Child(
            "kafka", [*self._java(), "kafka.Kafka", str(self._folder / "kafka.properties")], self._folder
        )
        self._child.wait_for(self._answers, "broker", timeout_s=READY_S)

    def stop(self) -> None:
        """End it in order."""
        if self._child is not None:
            self._child.stop(timeout_s=30)

    def kill(self) -> None:
        """As kill -9 does."""
        assert self._child is not None
        os.kill(self._child.pid, signal.SIGKILL)
        wait_until(lambda: self._child is None or self._child.exit_code is not None, "end of the broker")

    def create_topic(self, name: str, partitions: int, **config: str) -> None:
        """Create a topic; `config` with dots as `__`."""
        topic = self._client.admin.NewTopic(
            name, partitions, 1, config={key.replace("__", "."): value for key, value in config.items()}
        )
        admin = self.admin()  # held until it has answered
        admin.create_topics([topic])[name].result(READY_S)

    def admin(self) -> Any:
        """A client for administration."""
        return self._client.admin.AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def _answers(self) -> bool | None:
        try:
            return bool(self.admin().list_topics(timeout=1).brokers) or None
        except self._client.KafkaException:
            return None

    def _java(self) -> list[str]:
        quick = [
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={self._folder}/log4j2.properties",
        ]
        return ["java", "-Xms64m", HEAP, *quick, "-cp", f"{LIBRARIES}/*"]


@contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    """A running broker."""
    made = Broker(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def _confluent() -> Any:
    try:
        import confluent_kafka.admin  # noqa: PLC0415 - may be absent
    except ImportError:
        return None
    return confluent_kafka
