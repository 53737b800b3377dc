"""What stands around the collector: where it forwards to, Envoy, Kafka, and whether clocks agree. Probes change nothing."""

from __future__ import annotations

import http.client
import importlib
import json
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any, Final

from sqlalchemy import text

from mirror.cli.doctor.asking import ask, said
from mirror.cli.doctor.findings import Finding, note, ok, wrong
from mirror.collect.forward_transport import RefusedError, RetryLaterError, transport_for
from mirror.config import Config, admission
from mirror.store.engine import StoreError, explained, open_engine

SKEW_MAX_S: Final = 5.0  # beyond, minutes and certificates of two machines are not the same any more
ENVOY_TESTED: Final = "1.40"


def forward(config: Config, *, limit_s: float) -> Iterator[Finding]:
    """An export of no spans to the tracing backend."""
    endpoint = config.forward.endpoint
    if not endpoint:
        yield ok("forward.endpoint", "not configured: nothing is forwarded")
        return
    try:
        transport = transport_for(endpoint)
    except ValueError as error:
        yield wrong("forward.endpoint", str(error), "say host:port for gRPC, http://host:port for HTTP")
        return
    try:
        transport.send(b"", timeout_s=limit_s)
    except RetryLaterError as error:
        advice = "see that the backend runs and takes OTLP there: 4317 is usually gRPC, 4318 HTTP (http://host:4318)"
        yield wrong("forward.endpoint", f"{endpoint}: cannot be reached: {error}", advice)
    except RefusedError as error:
        advice = "is it OTLP, and of that protocol? host:port is gRPC, http://host:port is HTTP"
        yield wrong("forward.endpoint", f"{endpoint}: takes no OTLP: {error}", advice)
    else:
        yield ok("forward.endpoint", f"{endpoint}: takes OTLP")
    finally:
        transport.close()


def envoy(config: Config, admin: str, *, limit_s: float) -> Iterator[Finding]:
    """Its state and version, and whether its routes stamp runs that are allowed. `admin`: http://host:port, or empty."""
    if not admin:
        return
    about, base = "envoy", admin if "://" in admin else f"http://{admin}"
    try:
        server = json.loads(ask(f"{base.rstrip('/')}/server_info", limit_s=limit_s).body)
        dump = json.loads(ask(f"{base.rstrip('/')}/config_dump", limit_s=limit_s).body)
    except (OSError, http.client.HTTPException) as error:
        yield wrong(
            about, f"{admin}: cannot be reached: {said(error)}", "name the address of Envoy's `admin`: host:port"
        )
        return
    except ValueError:
        yield wrong(
            about, f"{admin}: answers, but not as Envoy's admin", "name the address of Envoy's `admin`: host:port"
        )
        return
    yield _envoy_server(server if isinstance(server, dict) else {}, admin)
    stamped = set(_stamped(dump, "x-mirror-run"))
    if not stamped:
        yield wrong(
            about, "no route stamps x-mirror-run: nothing is mirrored for us", "add the routes of envoy/snippets"
        )
    elif unknown := sorted(stamped - set(config.runs)):
        advice = f"{admission(unknown)}: their calls are dropped"
        yield wrong(about, f"routes stamp runs that are not allowed: {', '.join(unknown)}", advice)
    else:
        yield ok(about, f"routes stamp the runs {', '.join(sorted(stamped))}")


def _envoy_server(server: dict[str, Any], admin: str) -> Finding:
    state, version = str(server.get("state", "unknown")), str(server.get("version", ""))
    number = next((part for part in version.split("/") if part.count(".") == 2), "of an unknown version")
    if state != "LIVE":
        return wrong("envoy", f"{admin}: Envoy {number} is {state}", "wait, or see its log")
    if not number.startswith(f"{ENVOY_TESTED}."):
        advice = "envoy --mode validate -c FILE tells whether it knows every field of the route"
        return note("envoy", f"{admin}: Envoy {number}; {ENVOY_TESTED} is what mirror is tested with", advice)
    return ok("envoy", f"{admin}: Envoy {number} is live")


def _stamped(node: Any, key: str) -> Iterator[str]:
    """The values that `key` is set to anywhere in a configuration."""
    if isinstance(node, dict):
        if node.get("key") == key and isinstance(node.get("value"), str):
            yield node["value"]
        for child in node.values():
            yield from _stamped(child, key)
    elif isinstance(node, list):
        for child in node:
            yield from _stamped(child, key)


def kafka(config: Config, *, limit_s: float) -> Iterator[Finding]:
    """The brokers and the topics, where Kafka is configured."""
    settings: Any = getattr(config, "kafka", None)
    if settings is None or not settings.model_fields_set:
        return
    about, clients = "kafka.brokers", importlib.import_module("mirror.kafka.clients")
    brokers = ", ".join(settings.brokers)
    try:
        found = clients.admin(settings).list_topics(timeout=limit_s)
    except clients.KafkaError as error:
        yield wrong(about, str(error), "mend the `kafka` settings")
        return
    except clients.library().KafkaException as error:
        advice = "see that a broker listens there, and that kafka.security is what it speaks"
        yield wrong(about, f"{brokers}: cannot be reached: {error.args[0].str()}", advice)
        return
    yield ok(about, f"{brokers}: answers; brokers in the cluster: {len(found.brokers)}")
    topic = found.topics.get(settings.topic)
    if topic is not None:
        yield ok("kafka.topic", f"{settings.topic}: {len(topic.partitions)} partitions")
    elif settings.partitions:
        yield ok("kafka.topic", f"{settings.topic}: not there yet; it is made with {settings.partitions} partitions")
    else:
        yield wrong("kafka.topic", f"{settings.topic}: not there, and kafka.partitions is 0", "create the topic")


def clocks(config: Config, others: dict[str, Callable[[], str | None]]) -> Iterator[Finding]:
    """This clock against those of others. `others`: who, and how its Date header is had; None where it is not there."""
    seen = {who: _skew_of(date) for who, date in others.items()}
    if config.store.url.startswith("postgres"):
        seen["the database"] = _database_skew(config.store.url)
    compared = {who: skew for who, skew in seen.items() if skew is not None}
    for who, skew_s in compared.items():
        if abs(skew_s) > SKEW_MAX_S:
            way = "ahead of" if skew_s > 0 else "behind"
            yield wrong(
                "clock", f"{who} is {abs(skew_s):.0f} s {way} this machine", "keep both by NTP (chrony, timesyncd)"
            )
    if not compared:
        yield note("clock", "nobody to compare it with")
    elif all(abs(skew_s) <= SKEW_MAX_S for skew_s in compared.values()):
        yield ok("clock", f"agrees with {', '.join(compared)}")


def _skew_of(date: Callable[[], str | None]) -> float | None:
    """Seconds, within one: a Date header has no fraction."""
    begun_s = time.time()
    try:
        told = date()
        there_s = parsedate_to_datetime(told).timestamp() if told else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    if there_s is None:
        return None
    ended_s = time.time()
    return there_s + 1 - begun_s if there_s + 1 < begun_s else max(0.0, there_s - ended_s)


def _database_skew(url: str) -> float | None:
    try:
        engine = open_engine(url, write=False)
        with explained(engine, "cannot be reached"), engine.connect() as connection:
            begun_s = time.time()
            there_s = float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
            return there_s - (begun_s + time.time()) / 2
    except StoreError:
        return None  # told by another check
