"""Outbound calls through a whole collector: joined to their calls in whatever order they come, compared, kept, counted."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import capture_pb2, comparison_pb2, otlp_slices_pb2

from mirror.collect.app import open_store
from mirror.core.noise import State
from mirror.store import Store
from tests.collect.otlp import METHOD, call_span, capture, request
from tests.collect.servers import OtlpEndpoint
from tests.collect.shop import FINGERPRINT, VERSIONS, Product, schema_span
from tests.collect.test_collector import config, run

CHARGE = "pay.v1.Pay/Charge"
PRICE = f'outbound["{CHARGE}"][*].request.price'
SENT, BLOCKED = capture_pb2.OUTBOUND_POLICY_SENT, capture_pb2.OUTBOUND_POLICY_BLOCKED
TYPES = {
    "request_type": "shop.v1.Product",
    "response_type": "shop.v1.Product",
    "schema_fingerprint": FINGERPRINT,
}


def served(mirror_id: str, role: str, *, calls: int = 1, name: str = "done") -> otlp_slices_pb2.Span:
    """A call that charged so often; in a shadow it was kept from it."""
    blocked = calls if role != "primary" else 0
    data = capture(Product(name=name).SerializeToString(), outbound_calls=calls, blocked_calls=blocked, **TYPES)
    return call_span(mirror_id, role, data=data)


def charge(mirror_id: str, role: str, price: int, index: int = 0) -> otlp_slices_pb2.Span:
    """One of the calls that it made."""
    of = call_span(mirror_id, role)
    body = Product(price=price).SerializeToString()
    asked = capture_pb2.CapturedMessage(direction=capture_pb2.DIRECTION_REQUEST, body=body, original_size=len(body))
    identity = capture_pb2.Outbound(
        served_method=METHOD,
        served_span_id=of.span_id,
        index=index,
        policy=SENT if role == "primary" else BLOCKED,
    )
    data = capture(method=CHARGE, messages=[asked], request_count=1, response_count=0, outbound=identity, **TYPES)
    span = call_span(mirror_id, role, data=data, mirror__outbound=CHARGE)
    span.span_id = bytes([index + 1, *of.span_id[1:]])
    return span


def spans_of(mirror_id: str, *, wrong: bool) -> list[tuple[str, otlp_slices_pb2.Span]]:
    """A request whose candidate would have charged 20 instead of 10 (`wrong`), and answers something else."""
    found = []
    for role in VERSIONS:
        name = "done" if role == "primary" else f"{role} was kept from it"
        price = 20 if wrong and role == "candidate" else 10
        found += [(role, charge(mirror_id, role, price)), (role, served(mirror_id, role, name=name))]
    return found


def bodies(spans: list[tuple[str, otlp_slices_pb2.Span]]) -> list[bytes]:
    schemas = [request(schema_span(), version=version).SerializeToString() for version in VERSIONS.values()]
    return schemas + [request(span, version=VERSIONS[role]).SerializeToString() for role, span in spans]


def _made(span: otlp_slices_pb2.Span) -> bool:
    return any(item.key == names.OUTBOUND for item in span.attributes)


def judged(store: Store) -> dict[tuple[str, str], tuple[State, int, int, int]]:
    reader = store.reader()
    (epoch,) = reader.runs()[0].epochs
    return {
        (one.hypothesis.pattern, str(one.hypothesis.kind)): (one.state, one.b, one.d, one.pairs)
        for one in reader.hypotheses(epoch.id)
    }


@pytest.mark.parametrize("seed", range(3))
def test_what_the_candidate_would_have_charged_is_judged_and_its_answer_is_not(tmp_path: Path, seed: int) -> None:
    """In whatever order the spans come, and some of them twice."""
    spans = [span for n in range(20) for span in spans_of(f"m{n}", wrong=n < 16)]
    spans += spans[::7]
    random.Random(seed).shuffle(spans)
    settings = config(tmp_path)
    with open_store(settings) as store:
        collector = run(settings, store, *bodies(spans))
        found = judged(store)
        kept = store.reader().comparisons(store.reader().runs()[0].epochs[0].id, limit=100)
        blob = store.reader().comparison(kept[0].id)
    assert found[PRICE, "value"][:3] == (State.REGRESSED, 16, 0)
    assert found["response.name", "value"] == (State.UNJUDGED, 0, 0, 20)
    repeated = collector.counters.value("mirror_pairing_total", reason="duplicate_outbound")
    late = collector.counters.value("mirror_pairing_total", reason="late_outbound")
    assert collector.counters.value("mirror_spans_total", kind="outbound") == 60 + repeated + late
    assert collector.counters.value("mirror_triples_total") == 20
    assert isinstance(blob, comparison_pb2.Comparison)
    assert len(blob.primary_outbound) == len(blob.sides[0].outbound) == 1


def test_their_spans_are_forwarded_with_those_of_the_calls_that_made_them(tmp_path: Path) -> None:
    """Of a mismatch: in the same trace, each from its own process, without payload."""
    endpoint = OtlpEndpoint()
    spans = [*spans_of("m1", wrong=True), *spans_of("m2", wrong=False)]
    with endpoint.listening() as address:
        settings = config(tmp_path, MIRROR_FORWARD_ENDPOINT=address)
        with open_store(settings) as store:
            run(settings, store, *bodies(spans))
    wanted = {(span.trace_id, span.span_id) for _, span in spans_of("m1", wrong=True)}
    came = [span for service, span in endpoint.spans if service != "mirror-collector"]
    assert {(span.trace_id, span.span_id) for span in came} >= wanted
    assert len({(span.trace_id, span.span_id) for span in came}) == len(came)
    assert sum(_made(span) for span in came if (span.trace_id, span.span_id) in wanted) == 3
    assert not any(item.key == names.CAPTURE for span in came for item in span.attributes)


def test_an_outbound_call_that_never_comes_is_not_taken_for_one_that_was_not_made(tmp_path: Path) -> None:
    spans = [(role, span) for role, span in spans_of("m", wrong=True) if not (role == "candidate" and _made(span))]
    settings = config(tmp_path)
    with open_store(settings) as store:
        run(settings, store, *bodies(spans))
        (epoch,) = store.reader().runs()[0].epochs
        (method,) = store.reader().methods(epoch.id)
        assert PRICE not in {pattern for pattern, _ in judged(store)}
        assert method.counts.reasons["incomparable.blocked"] == 1
        assert method.counts.reasons["partly.outbound_incomplete"] == 1
        assert method.counts.reasons["no_triple.incomparable_blocked"] == 1
