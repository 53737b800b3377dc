"""Several collectors: a trace goes to the same one from every replica, and a dead one costs the others nothing."""

import hashlib
from collections import Counter
from dataclasses import replace

import grpc_mirror
import pytest
from grpc_mirror.counters import Counters
from grpc_mirror.settings import Settings, SettingsError
from grpc_mirror.sinks.direct import DirectTransport
from grpc_mirror.sinks.sender import end_all
from grpc_mirror.sinks.shards import Shards, keys_of, shard_of, shares, trace_id_of
from grpc_mirror.v1 import attributes

from tests.interceptors.receiver import Receiver
from tests.interceptors.servers import Client, SyncEcho, handlers, notes, serving
from tests.interceptors.test_sender import record

DEAD = "127.0.0.1:1"
ENDPOINTS = ("a.mirror:4317", "b.mirror:4317", "c.mirror:4317")


def chosen(trace_id, endpoints):
    parts = shares(Settings(endpoint=",".join(endpoints)))
    return parts[shard_of(trace_id, keys_of(parts))].target


def traces(count):
    return [hashlib.sha256(bytes([n >> 8, n & 255])).digest()[:16] for n in range(count)]


@pytest.fixture
def sharding():
    """Makes the senders of an endpoint list and stops them at the end."""
    made = []

    def make(settings):
        made.append(Shards(settings, Counters(), DirectTransport))
        return made[-1]

    yield make
    for shards in made:
        shards.begin_shutdown(0.1)
        end_all(shards.senders)


def test_the_endpoint_of_a_trace_never_changes():
    """Replicas may run different versions of this package: these answers are part of the contract."""
    found = "".join(chosen(trace_id, ENDPOINTS)[0] for trace_id in traces(24))
    assert found == "aacbacaaaabaabbbaaacaaca"


def test_the_order_of_the_list_scheme_and_case_do_not_matter():
    for trace_id in traces(50):
        endpoint = chosen(trace_id, ENDPOINTS)
        assert chosen(trace_id, ENDPOINTS[::-1]) == endpoint
        assert chosen(trace_id, [f"https://{one.upper()}/" for one in ENDPOINTS]) == endpoint


def test_traces_spread_evenly_and_only_the_share_of_a_removed_endpoint_moves():
    counts = Counter(chosen(trace_id, ENDPOINTS) for trace_id in traces(3000))
    assert all(850 < count < 1150 for count in counts.values())
    for trace_id in traces(300):
        before = chosen(trace_id, ENDPOINTS)
        if before != ENDPOINTS[2]:
            assert chosen(trace_id, ENDPOINTS[:2]) == before


def test_all_replicas_send_a_trace_to_the_same_collector(settings):
    """By its traceparent or, without one, by its id; each in a server of its own, as three roles see it."""
    parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    with Receiver() as left, Receiver() as right:
        for version, order in (("1", (left, right)), ("2", (right, left))):
            endpoint = ", ".join(one.endpoint for one in order)
            mine = replace(settings, endpoint=endpoint, resource=(("service.version", version),))
            with serving(handlers(SyncEcho()), [grpc_mirror.server_interceptor(mine)], aio=False) as port:
                client = Client(port)
                for number in range(20):
                    client.call("Unary", notes("return"), f"id {number}")
                    client.call("Unary", notes("return"), f"child {number}", metadata=(parent,))
                client.close()
            assert grpc_mirror.shutdown(20)
        ids = [[call.attributes[attributes.ID] for call in one.calls] for one in (left, right)]
        assert sum(map(len, ids)) == 80
        assert all(set(Counter(one).values()) == {2} for one in ids), "both replicas' halves are at one place"
        assert all(any(one_id.startswith("id") for one_id in one) for one in ids), "both have a share"
        assert sum(any(one_id.startswith("child") for one_id in one) for one in ids) == 1, "one trace, one place"
        assert all(one.schemas for one in (left, right)), "each collector gets the schemas"


def test_a_dead_collector_costs_the_others_nothing(receiver, settings, sharding):
    """Its own calls are dropped and counted under its name."""
    shards = sharding(replace(settings, endpoint=f"{receiver.endpoint},{DEAD}", queue_max_calls=40))
    parts = shares(replace(settings, endpoint=f"{receiver.endpoint},{DEAD}"))
    records = [record(str(number)) for number in range(400)]
    theirs = [one for one in records if shard_of(trace_id_of(one), keys_of(parts)) == 0]
    for one in records:
        shards.put(one)
        if one in theirs[::10]:
            shards.flush(0.05)
    receiver.wait_calls(len(theirs))
    counts = shards.counts()
    alive, dead = counts[receiver.endpoint], counts[DEAD]
    assert (alive.captured, alive.dropped) == (len(theirs), {})
    assert dead.captured == 400 - len(theirs)
    assert list(dead.dropped) == ["queue_full"]
    assert dead.captured == dead.waiting + dead.dropped["queue_full"]


def test_what_belongs_to_no_endpoint_is_reported_to_all(settings):
    """A conflict of roles is noticed by the process; each collector's page shows it."""
    with Receiver() as left, Receiver() as right:
        process = Counters()
        shards = Shards(replace(settings, endpoint=f"{left.endpoint},{right.endpoint}"), process, DirectTransport)
        process.notice("not_started")
        for number in range(20):
            shards.put(record(str(number)))
        shards.begin_shutdown(20)
        assert end_all(shards.senders)
        reports = [one.reports[-1] for one in (left, right)]
        assert [report.conditions["not_started"] for report in reports] == [1, 1]
        assert sum(report.captured for report in reports) == 20
        assert reports[0].source_id != reports[1].source_id


def test_the_facade_tells_counts_by_endpoint(receiver, settings):
    interceptor = grpc_mirror.server_interceptor(replace(settings, endpoint=f"{receiver.endpoint},{DEAD}"))
    for number in range(50):
        interceptor._observer.sink.put(record(str(number)))
    receiver.wait_calls()
    counts = grpc_mirror.counts()
    assert set(counts) == {receiver.endpoint, DEAD}
    assert sum(one.captured for one in counts.values()) == 50
    grpc_mirror.shutdown(0.1)


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("a:1,a:1", "'a:1' stands there twice"),
        ("http://a:1,A:1", "'a:1' stands there twice"),
        ("https://a:1,http://b:1", "some are encrypted and some are not"),
        ("a:1,b", "did you mean b:4317 "),
        (",", "holds no endpoint"),
        (",".join(f"a{n}:1" for n in range(17)), "at most 16"),
    ],
)
def test_lists_that_are_none(endpoint, told):
    with pytest.raises(SettingsError, match=told.replace("?", r"\?")):
        Settings(endpoint=endpoint)


def test_the_queue_is_shared_and_each_part_must_hold_a_capture():
    assert [part.queue_max_calls for part in shares(Settings(endpoint="a:1,b:1", queue_max_calls=100))] == [50, 50]
    with pytest.raises(SettingsError, match="shared by 2 endpoints"):
        Settings(endpoint="a:1,b:1", queue_max_bytes=1024 * 1024)
