"""telemetrygen, OpenTelemetry's generator of spans, feeds the collector: directly and through a real OpenTelemetry Collector.

Its spans are a stranger's: taken, counted, and without any effect on the mirrored calls that come beside them. With our attributes
on them they are calls like others. `make telemetrygen` installs it (Go); without it skipped with that reason.
"""

from __future__ import annotations

import base64
import contextlib
import signal
import subprocess
from pathlib import Path

import pytest
from grpc_mirror.v1 import attributes as names

from tests.collect.process import CollectorProcess
from tests.collect.shop import VERSIONS, product_call, schema_span
from tests.live.flood.running import metric
from tests.live.otelcol import passing_on
from tests.live.telemetrygen import carrying, command
from tests.live.test_otel_collector import CALLS, serve

pytestmark = pytest.mark.live
TRACES, SPANS_OF_TRACE = 400, 3


@pytest.fixture
def mirror(tmp_path):
    with CollectorProcess(tmp_path, runs=["run", "checkout"]) as collector:
        yield collector


@contextlib.contextmanager
def reached(mirror: CollectorProcess, folder: Path, way: str):
    """Addresses at which the collector is reached: its own, or those of an OpenTelemetry Collector that passes on to it."""
    if way == "direct":
        yield mirror.addresses
        return
    with passing_on(folder, mirror.addresses["otlp_grpc"]) as addresses:
        yield addresses


def counted(mirror: CollectorProcess, kind: str) -> float:
    return metric(mirror, "mirror_spans_total", "kind").get(kind, 0)


@pytest.mark.parametrize("way", ["direct", "otelcol"])
@pytest.mark.parametrize("protocol", ["otlp_grpc", "otlp_http"])
def test_foreign_spans_are_taken_and_counted_and_mirrored_calls_beside_them_are_compared(
    mirror, tmp_path, way, protocol
):
    with reached(mirror, tmp_path, way) as addresses:
        line = command(addresses[protocol], traces=TRACES, spans=SPANS_OF_TRACE, http=protocol == "otlp_http")
        with (tmp_path / "telemetrygen.log").open("w+") as log:
            stranger = subprocess.Popen(line, stdout=log, stderr=log)
            try:
                for role in ("primary", "candidate"):
                    serve(role, {"endpoint": addresses["otlp_grpc"]}, VERSIONS[role])
            finally:
                code = stranger.wait(60)
        assert code == 0, (tmp_path / "telemetrygen.log").read_text()[-2000:]
        mirror.until(lambda: counted(mirror, "ordinary") == TRACES * SPANS_OF_TRACE, "counted the stranger's spans")
        mirror.until(lambda: mirror.pairs("run") == CALLS, f"judged {CALLS} pairs")
    reader = mirror.reader()
    (epoch,) = reader.epochs("run")
    assert (epoch.counts.pairs, epoch.counts.matched) == (CALLS, CALLS)
    assert [run.name for run in reader.runs()] == ["run"], "nothing of the stranger's is in the store"
    account = reader.account("run")
    assert (account.calls.received, account.calls.grouped, account.calls.dropped) == (2 * CALLS, 2 * CALLS, {})
    reader.close()
    assert not metric(mirror, "mirror_spans_rejected_total", "reason")
    assert not metric(mirror, "mirror_batches_refused_total", "reason")
    assert mirror.get("/readyz").status_code == 200


def test_spans_that_only_look_like_ours_are_rejected_by_reason(mirror):
    """An id alone is what a service's own spans may carry; a role without a capture is a call that cannot be used."""
    address = mirror.addresses["otlp_grpc"]
    named = {names.ID: "m1", names.RUN: "checkout"}
    for more, taken in (
        ({}, 20),
        ({names.ROLE: "primary"}, 0),
        ({names.ROLE: "primary", names.CAPTURE: "no base64"}, 0),
    ):
        before = counted(mirror, "ordinary")
        subprocess.run(
            command(address, *carrying(named | more), traces=10, spans=2),
            check=True,
            timeout=60,
            capture_output=True,
        )
        assert counted(mirror, "ordinary") - before == taken
    rejected = metric(mirror, "mirror_spans_rejected_total", "reason")
    assert rejected == {"no_capture": 20, "capture_encoding": 20}
    reader = mirror.reader()
    assert not list(reader.runs())
    reader.close()


def test_calls_that_telemetrygen_sends_are_compared_behind_an_opentelemetry_collector(mirror, tmp_path):
    """Its spans carry our attributes, the capture as base64: it can send no bytes. All spans with one id are one call."""
    calls, repeats = 3, 25
    received = 2 * (3 * calls + repeats - 1)
    schema = base64.b64encode(schema_span().attributes[0].value.bytes_value).decode()
    with reached(mirror, tmp_path, "otelcol") as addresses:
        sent = [command(addresses["otlp_grpc"], *carrying({names.SCHEMA: schema}), traces=1, spans=2)]
        for number in range(calls):
            for role in ("secondary", "candidate", "primary"):
                price = 999 if role == "candidate" and number == 0 else 100
                made = product_call(f"m{number}", role, name="a product", price=price)
                given = {one.key: one.value for one in made.attributes}
                attributes = {key: value.string_value for key, value in given.items() if key != names.CAPTURE}
                attributes[names.CAPTURE] = base64.b64encode(given[names.CAPTURE].bytes_value).decode()
                resource = ["--service", "shop", "--otlp-attributes", f'service.version="{VERSIONS[role]}"']
                many = repeats if (number, role) == (1, "candidate") else 1
                line = command(addresses["otlp_grpc"], *carrying(attributes), *resource, traces=many, spans=2)
                sent.append(line)
        for line in sent:
            subprocess.run(line, check=True, timeout=60, capture_output=True)
        mirror.until(lambda: mirror.pairs() == calls, f"judged {calls} pairs")
        mirror.until(lambda: counted(mirror, "call") == received, "got all calls")
    assert mirror.end(signal.SIGTERM) == 0, mirror.log
    reader = mirror.reader()
    (epoch,) = reader.epochs("checkout")
    counts = epoch.counts
    assert (counts.pairs, counts.matched, counts.mismatched, counts.triples) == (calls, calls - 1, 1, calls)
    account = reader.account("checkout").calls
    assert (account.received, account.grouped) == (received, 3 * calls)
    assert sum(account.dropped.values()) == received - 3 * calls, account
    assert account.dropped.keys() <= {"lower_attempt", "duplicate", "late_primary"}, account
    reader.close()
