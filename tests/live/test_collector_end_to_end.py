"""A real collector process: captures of three roles in by OTLP, what came of them read back from its store and its page."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_mirror.v1 import capture_pb2

from mirror.collect.addresses import Address, bind, port_of
from mirror.core.model import Kind
from mirror.core.noise import State
from tests.collect.otlp import METHOD, call_span, otlp_json, request
from tests.collect.process import FAST, CollectorProcess, failed_start
from tests.collect.servers import LOCAL, OtlpEndpoint
from tests.collect.shop import Product, batches, product_call, schema_span

pytestmark = pytest.mark.live


def settled(collector: CollectorProcess, pairs: int) -> None:
    collector.until(lambda: collector.pairs() >= pairs, f"stored {pairs} pairs")


def until_taken(collector: CollectorProcess, body: bytes) -> Iterator[grpc.StatusCode]:
    """Send as an exporter does, until it is taken; the codes it was refused with."""
    while True:
        try:
            return collector.export(body)
        except grpc.RpcError as error:  # noqa: PERF203 - it is the loop of an exporter
            yield error.code()


def test_three_roles_become_hypotheses_and_examples(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path) as collector:
        collector.export(*batches(range(60)))
        settled(collector, 60)
        reader = collector.reader()
        (epoch,) = reader.epochs("checkout")
        assert (epoch.key.service, epoch.key.primary_version, epoch.key.candidate_version) == ("shop", "1.0", "2.0")
        assert (epoch.counts.mismatched, epoch.counts.triples) == (60, 60)
        views = reader.hypotheses(epoch.id, METHOD)
        found = {view.hypothesis.pattern: view for view in views if view.hypothesis.kind is not Kind.VALUES}
        price, own_id = found["response.price"], found["response.id"]
        assert (price.hypothesis.kind, price.b, price.c, price.d, price.n) == (Kind.VALUE, 60, 0, 0, 60)
        assert price.state is State.REGRESSED
        assert (own_id.b, own_id.c, own_id.d) == (20, 20, 20)
        assert own_id.state is State.NOISY
        assert "response.name" not in found

        newest = reader.comparisons(epoch.id, method=METHOD, pattern="response.price")[0]
        kept = reader.comparison(newest.id)
        assert kept is not None
        (candidate,) = (side for side in kept.sides if side.role == "candidate")
        price_of = {one.path: (one.left, one.right) for one in candidate.differences}["response.price"]
        assert price_of == ("100", "999")
        body = capture_pb2.Capture.FromString(candidate.capture).messages[0].body
        assert Product.FromString(body).price == 999


def test_the_page_the_api_and_the_metrics_are_served_beside_it(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path) as collector:
        collector.export(*batches(range(5)))
        settled(collector, 5)
        assert collector.get("/healthz").status_code == 200
        assert collector.get("/readyz").status_code == 200
        metrics = collector.get("/metrics").text
        assert 'mirror_spans_total{kind="call"} 15.0' in metrics
        assert "mirror_ready 1.0" in metrics
        assert collector.get("/api/v1/runs").status_code == 200
        assert "checkout" in collector.get("/").text


def test_json_over_http_counts_like_the_rest(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path) as collector:
        for role in ("primary", "candidate"):
            body = json.dumps(otlp_json(schema_span(), product_call("m1", role, expect="candidate", name=role)))
            url = f"http://{collector.addresses['otlp_http']}/v1/traces"
            answer = httpx.post(url, content=body, headers={"content-type": "application/json"})
            assert (answer.status_code, answer.json()) == (200, {})
        settled(collector, 1)
        (epoch,) = collector.reader().epochs("checkout")
        assert epoch.counts.mismatched == 1


def test_a_pair_waits_for_its_schema_and_is_incomparable_without(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path, pairing=FAST) as collector:
        for role in ("primary", "candidate"):
            spans = [product_call(f"m{n}", role, expect="candidate", name=role) for n in range(3)]
            collector.export(request(*spans).SerializeToString())
        settled(collector, 3)
        (epoch,) = collector.reader().epochs("checkout")
        assert epoch.counts.incomparable == 3
        assert epoch.counts.reasons["incomparable.schema"] == 3


def test_a_schema_that_comes_later_frees_those_that_wait(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path) as collector:
        for role in ("primary", "candidate"):
            collector.export(request(product_call("m1", role, expect="candidate", name=role)).SerializeToString())
        collector.until(lambda: "mirror_groups_waiting 1.0" in collector.get("/metrics").text, "let the pair wait")
        collector.export(request(schema_span()).SerializeToString())
        settled(collector, 1)
        (epoch,) = collector.reader().epochs("checkout")
        assert epoch.counts.mismatched == 1


def test_unknown_runs_are_counted_and_kept_out(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path) as collector:
        collector.export(request(product_call("m1", "primary", run="chekout")).SerializeToString())
        reader = collector.reader()
        (unknown,) = collector.until(reader.unknown_runs, "counted the run")
        assert (unknown.name, unknown.n) == ("chekout", 1)
        assert reader.epochs("chekout") == []


def test_bad_bytes_among_good_ones_change_nothing_for_the_good(tmp_path: Path) -> None:
    garbage = call_span("m1", "primary", mirror__capture=b"\xff\xff")
    undecodable = [
        product_call(f"u{n}", role, expect="candidate", name="x") for n, role in ((1, "primary"), (1, "candidate"))
    ]
    broken = capture_pb2.Capture.FromString(undecodable[1].attributes[-1].value.bytes_value)
    broken.messages[0].body = b"\xff\xff\xff"
    undecodable[1].attributes[-1].value.bytes_value = broken.SerializeToString()
    with CollectorProcess(tmp_path) as collector:
        collector.export(request(garbage, *undecodable).SerializeToString(), *batches(range(3)))
        settled(collector, 4)
        reader = collector.reader()
        assert sum(epoch.counts.mismatched for epoch in reader.epochs("checkout")) == 4
        assert "internal error" not in collector.log
        assert 'mirror_spans_rejected_total{reason="malformed_capture"} 1.0' in collector.get("/metrics").text


def test_what_was_taken_before_sigterm_is_in_the_store_after(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path) as collector:
        collector.export(*batches(range(200)), request(product_call("open", "primary")).SerializeToString())
        assert collector.end(signal.SIGTERM) == 0
        reader = collector.reader()
        counts = [epoch.counts for epoch in reader.epochs("checkout")]
        assert sum(count.mismatched for count in counts) == 200
        assert sum(count.incomplete for count in counts) == 1
        assert "stopped" in collector.log


def test_sigint_ends_it_in_order_too(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path) as collector:
        collector.export(*batches(range(3)))
        assert collector.end(signal.SIGINT) == 0
        assert collector.pairs() == 3


def test_a_second_sigint_ends_it_at_once(tmp_path: Path) -> None:
    # A request that never ends keeps the orderly stop waiting.
    with CollectorProcess(tmp_path) as collector:
        address = Address.parse(collector.addresses["otlp_http"])
        half_open = socket.create_connection((address.host, address.port), timeout=60)
        half_open.sendall(
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 9\r\n\r\n"
        )
        collector.process.send_signal(signal.SIGINT)
        collector.until(lambda: "stopping" in collector.log, "began to stop")
        assert collector.end(signal.SIGINT) == 130


def test_what_was_committed_survives_kill_9_and_it_goes_on(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path) as collector:
        collector.export(*batches(range(20)))
        settled(collector, 20)
        collector.end(signal.SIGKILL)
        assert collector.pairs() == 20
        collector.start()
        # The schema is in the store: this life never gets it.
        for role, version in (("primary", "1.0"), ("candidate", "2.0")):
            spans = [product_call(f"n{n}", role, expect="candidate", name=role) for n in range(5)]
            collector.export(request(*spans, version=version).SerializeToString())
        settled(collector, 25)
        (epoch,) = collector.reader().epochs("checkout")
        assert (epoch.counts.pairs, epoch.counts.mismatched) == (25, 25)


def test_mismatches_are_forwarded_with_their_verdict_and_without_payload(tmp_path: Path) -> None:
    endpoint = OtlpEndpoint()
    with endpoint.listening() as address, CollectorProcess(tmp_path, forward={"endpoint": address}) as collector:
        collector.export(*batches(range(1)))
        settled(collector, 1)
        assert collector.end(signal.SIGTERM) == 0
        web = collector.addresses["web"]
    spans = [span for _, span in endpoint.spans]
    assert len(spans) == 4
    assert len({span.trace_id for span in spans}) == 1
    (compare,) = (span for span in spans if span.name == "mirror.compare")
    text = {item.key: item.value.string_value for item in compare.attributes}
    assert text["mirror.verdict"] == "mismatched"
    assert text["mirror.url"].startswith(f"http://{web}/comparisons/")
    for request_ in endpoint.requests:
        assert b"mirror.capture" not in request_.SerializeToString()
        assert b"product 0" not in request_.SerializeToString()


def test_rules_are_applied_and_checked_once_the_schema_is_known(tmp_path: Path) -> None:
    rules = [
        {"type": "ignore", "path": "response.price", "id": "prices"},
        {"type": "ignore", "path": "response.nmae", "id": "misspelt"},
        {"type": "ignore", "path": "response.id", "id": "elsewhere", "methods": ["other.v1.Other/Call"]},
        {"type": "ignore", "path": "response.tags", "id": "old", "expires": "2020-01-01"},
    ]
    with CollectorProcess(tmp_path, rules=rules) as collector:
        assert "3 in force, 3 of them pending" in collector.log
        assert "1 expired (old)" in collector.log
        collector.export(*batches(range(6)))
        settled(collector, 6)
        reader = collector.reader()
        (epoch,) = reader.epochs("checkout")
        assert "response.price" not in {view.hypothesis.pattern for view in reader.hypotheses(epoch.id, METHOD)}
        assert epoch.counts.ignored + epoch.counts.mismatched == 6
        states = {view.id: {status.status for status in view.statuses} for view in reader.rules()}
        assert states["prices"] == {"valid"}
        assert states["misspelt"] == {"unknown"}
        assert states["elsewhere"] == {"pending"}
        assert states["old"] == {"expired"}
        assert {view.id: view.hits for view in reader.rules()}["prices"] >= 6
        assert "rule 'misspelt' matches nothing" in collector.log
        assert 'did you mean "name"' in collector.log.replace("response.", "")


def test_a_port_in_use_is_named_and_ends_the_start(tmp_path: Path) -> None:
    with bind("web", LOCAL) as holder:
        taken = Address("127.0.0.1", port_of(holder))
        for listener in ("otlp_grpc", "otlp_http", "web"):
            listen = {
                "otlp_grpc": "127.0.0.1:0",
                "otlp_http": "127.0.0.1:0",
                "web": "127.0.0.1:0",
                listener: str(taken),
            }
            code, text = failed_start(tmp_path, json.dumps({"listen": listen}))
            assert code == 2
            assert f"listen.{listener}: cannot listen on {taken}" in text
            assert "Traceback" not in text


def test_a_wrong_configuration_ends_the_start_with_every_problem(tmp_path: Path) -> None:
    config = "runs: [checkout]\nlistne: {}\nrules:\n  - {type: ignor, path: response.x}\n  - {type: ignore, path: 'response..x'}\n"
    code, text = failed_start(tmp_path, config)
    assert code == 2
    assert "mirror.yaml:2" in text
    assert 'did you mean "listen"' in text
    assert "mirror.yaml:4" in text
    assert "mirror.yaml:5" in text
    assert "Traceback" not in text


def test_a_store_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    code, text = failed_start(tmp_path, "", MIRROR_STORE_URL="sqlite:////nowhere/at/all/mirror.db")
    assert code == 2
    assert "/nowhere/at/all" in text
    assert "Traceback" not in text


def test_payload_is_in_no_log(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path, pairing=FAST) as collector:
        collector.export(
            *batches(range(3)), request(product_call("x", "primary", name="top secret")).SerializeToString()
        )
        settled(collector, 4)
        assert collector.end(signal.SIGTERM) == 0
        assert "secret" not in collector.log
        assert "product 0" not in collector.log


def test_a_client_is_told_when_a_queue_is_full_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    body = request(schema_span(), *(product_call(f"m{n}", "primary", expect="candidate") for n in range(300)))
    other = request(*(product_call(f"m{n}", "candidate", expect="candidate") for n in range(300)), version="2.0")
    both = (body.SerializeToString(), other.SerializeToString())
    with CollectorProcess(tmp_path, intake={"queue_max_bytes": len(both[0]) + 1}) as collector:
        refusals = [code for body in both for code in until_taken(collector, body)]
        assert set(refusals) <= {grpc.StatusCode.UNAVAILABLE}
        settled(collector, 300)
        (epoch,) = collector.reader().epochs("checkout")
        assert epoch.counts.matched == 300
