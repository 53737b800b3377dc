"""Clients of Kafka as the configuration says: librdkafka's properties, and the errors that a user sees.

The only module that knows which package is behind it, and that it may be missing. It connects to nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mirror.config.sections import Kafka

PARTITIONERS: Final = {"fnv1a": "fnv1a", "murmur2": "murmur2"}
FRAMING: Final = 4096  # what a record has beside its value, at most
FETCH_MAX_BYTES: Final = 50 << 20
RECEIVE_MAX_BYTES: Final = (
    256 << 20
)  # of one answer, and of one record once unpacked: beyond, the library never gets past it
HEARTBEAT_MS: Final = 3000
MAX_POLL_MS: Final = 600_000  # a store that is away longer costs the partitions: others try then
_log: Final = logging.getLogger(__name__)


class KafkaError(Exception):
    """Kafka cannot be used as configured. The text says what is wrong and what to do."""


def library() -> Any:
    """The package confluent_kafka. Raises KafkaError where it is not installed."""
    try:
        import confluent_kafka  # noqa: PLC0415 - an extra, which a collector without Kafka does without
        import confluent_kafka.admin  # noqa: PLC0415
    except ImportError as error:
        raise KafkaError(f"{error}; pip install 'grpc-mirror-collector[kafka]'") from error
    return confluent_kafka


def common(settings: Kafka, on_error: Callable[[Any], None] | None = None) -> dict[str, Any]:
    """The properties that all clients share. Raises KafkaError where a file cannot be read."""
    made: dict[str, Any] = {
        "bootstrap.servers": ",".join(settings.brokers),
        "security.protocol": settings.security.upper(),
        "client.id": "mirror",
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 1000,
        "log_level": 2,  # what matters comes by error_cb; the library's own lines would come twice
    }
    if on_error is not None:
        made["error_cb"] = on_error
    if settings.security.endswith("ssl"):
        files = {"ssl.ca.location": "ca_file", "ssl.certificate.location": "cert_file", "ssl.key.location": "key_file"}
        for name, setting in files.items():
            if path := getattr(settings, setting):
                _read(setting, path)
                made[name] = path
    if settings.security.startswith("sasl"):
        made["sasl.mechanisms"] = settings.sasl_mechanism
        made["sasl.username"] = settings.username
        made["sasl.password"] = _read("password_file", settings.password_file).strip()
    return made


def producer(settings: Kafka, on_error: Callable[[Any], None], *, queue_max_bytes: int, patient: bool = False) -> Any:
    """An idempotent producer that waits for all replicas, and whose queue is bounded. Raises KafkaError.

    `patient`: it never gives a message up because of time.
    """
    return _made(
        library().Producer,
        common(settings, on_error)
        | {
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": 5,
            "partitioner": PARTITIONERS[settings.partitioner],
            "message.max.bytes": settings.message_max_bytes + FRAMING,  # its limit counts key and framing too
            "message.timeout.ms": 0 if patient else int(settings.delivery_timeout_s * 1000),
            # Room is reserved before; this is the wall behind it. One trace's spans repeat their resource.
            "queue.buffering.max.kbytes": min(2_097_151, max(1024, 4 * queue_max_bytes // 1024)),
            "queue.buffering.max.messages": 1_000_000,
            "topic.metadata.refresh.interval.ms": 30_000,
            # Nothing is committed meanwhile; a topic that is gone is made anew.
            **({"topic.metadata.propagation.max.ms": 5_000} if patient else {}),
        },
    )


def consumer(settings: Kafka, on_error: Callable[[Any], None], *, queue_max_bytes: int) -> Any:
    """A member of the workers' group, which commits nothing by itself. Raises KafkaError."""
    session_ms = int(settings.session_timeout_s * 1000)
    fetch_max_bytes = max(settings.message_max_bytes + FRAMING, min(queue_max_bytes, FETCH_MAX_BYTES))
    return _made(
        library().Consumer,
        common(settings, on_error)
        | {
            "group.id": settings.group,
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": min(HEARTBEAT_MS, session_ms // 4),  # by which members hear of a rebalance
            "max.poll.interval.ms": MAX_POLL_MS,
            "fetch.wait.max.ms": 100,
            "topic.metadata.refresh.interval.ms": 30_000,  # by which added partitions are noticed; five minutes, left to itself
            "queued.max.messages.kbytes": min(2_097_151, max(1024, queue_max_bytes // 1024)),
            "fetch.max.bytes": fetch_max_bytes,
            # A broker sends a first record whatever it weighs: what others wrote must be read to be put away.
            "receive.message.max.bytes": max(RECEIVE_MAX_BYTES, fetch_max_bytes + (1 << 20)),
        },
    )


def admin(settings: Kafka) -> Any:
    """A client for administration. Raises KafkaError."""
    return _made(library().admin.AdminClient, common(settings))


def _made(kind: Any, properties: dict[str, Any]) -> Any:
    try:
        return kind(properties)
    except library().KafkaException as error:
        raise KafkaError(f"kafka: {error.args[0].str()}") from error


def _read(setting: str, path: str) -> str:
    if not path:
        raise KafkaError(f"kafka.{setting} is missing: kafka.security says SASL")
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KafkaError(
            f"kafka.{setting}: {path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
