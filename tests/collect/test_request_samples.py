"""From spans to leads through a real collector: samples of requests, what is private in none, and none where switched off."""

from __future__ import annotations

from pathlib import Path

from grpc_mirror.v1 import capture_pb2
from sqlalchemy import select

from mirror.collect.app import open_store
from mirror.collect.judge import Judge
from mirror.store import Store
from mirror.store.tables_of_examples import request_samples
from tests.collect.otlp import METHOD, call_span, capture, request
from tests.collect.shop import FINGERPRINT, VERSIONS, Product, schema_span
from tests.collect.test_collector import config, run

CALLS = 60


def call(number: int, role: str):
    """A product asked for by name; the candidate answers another price to every fifth, those called "rare-..."."""
    rare = number % 5 == 0
    asked = Product(name=f"{'rare' if rare else 'usual'}-{number}", price=number)
    answer = Product(price=999 if rare and role == "candidate" else 100)
    messages = [
        capture_pb2.CapturedMessage(direction=capture_pb2.DIRECTION_REQUEST, body=asked.SerializeToString()),
        capture_pb2.CapturedMessage(direction=capture_pb2.DIRECTION_RESPONSE, body=answer.SerializeToString()),
    ]
    messages[0].private_leaves.add(path="id", hmac=b"h" * 32, key_id="k")
    data = capture(
        messages=messages,
        method=METHOD,
        request_type="shop.v1.Product",
        response_type="shop.v1.Product",
        schema_fingerprint=FINGERPRINT,
        request_count=1,
    )
    return call_span(f"m{number}", role, data=data, mirror__run="checkout")


def bodies():
    return [
        request(schema_span(), *(call(n, role) for n in range(CALLS)), version=version).SerializeToString()
        for role, version in VERSIONS.items()
    ]


def kept(store: Store) -> list[str]:
    with store.engine.connect() as connection:
        return list(connection.execute(select(request_samples.c.fields)).scalars())


def test_the_field_that_sets_mismatches_apart_is_named(tmp_path: Path) -> None:
    settings = config(tmp_path)
    with open_store(settings) as store:
        run(settings, store, *bodies())
        reader = store.reader()
        (epoch,) = reader.epochs("checkout")
        (cluster,) = reader.clusters(epoch.id).clusters
        assert (cluster.n, cluster.calls, len(cluster.examples)) == (12, CALLS, 5)
        (lead,) = [lead for lead in cluster.leads if lead.path == "request.name"]
        assert lead.condition == 'request.name begins with "rare-"'
        assert (lead.inside, lead.inside_of, lead.outside, lead.outside_of) == (12, 12, 0, 48)


def test_what_is_private_is_named_and_has_no_value(tmp_path: Path) -> None:
    settings = config(tmp_path)
    with open_store(settings) as store:
        run(settings, store, *bodies())
        fields = kept(store)
    assert len(fields) == CALLS + 12
    assert all('"p":["request.id"]' in text and '"request.id":' not in text for text in fields)


def test_no_request_is_kept_where_samples_are_switched_off(tmp_path: Path) -> None:
    settings = config(tmp_path, MIRROR_STORE_REQUEST_SAMPLES="false")
    with open_store(settings) as store:
        run(settings, store, *bodies())
        assert kept(store) == []
        (epoch,) = store.reader().epochs("checkout")
        (cluster,) = store.reader().clusters(epoch.id).clusters
    assert (cluster.n, cluster.leads) == (12, ())


def test_a_fault_in_reading_a_request_costs_its_sample_and_nothing_else(tmp_path: Path, monkeypatch) -> None:
    def faulty(_self, _group):
        raise RuntimeError("secret")

    monkeypatch.setattr(Judge, "request_fields", faulty)
    settings = config(tmp_path)
    with open_store(settings) as store:
        run(settings, store, *bodies())
        (epoch,) = store.reader().epochs("checkout")
        assert epoch.counts.pairs == CALLS
        assert kept(store) == []
