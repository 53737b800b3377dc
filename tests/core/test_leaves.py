"""Counting the leaf values of an answer: by pattern, under rules, private ones by what is known of them."""

from __future__ import annotations

from grpc_mirror.v1.capture_pb2 import OMISSION_MESSAGE_TOO_LARGE, CapturedMessage, PrivateLeaf
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.leaves import FIRST_OF_A_METHOD, LEAVES_MAX, ONE_IN, Sampler, count_leaves
from mirror.core.model import EpochKey, Hypothesis, Kind, Leaf, PairKey
from mirror.core.noise import Evidence, State, judge
from mirror.core.rules import Ignore
from mirror.core.run_facts import HypothesisFacts
from mirror.core.schemas import SchemaBook
from mirror.core.unseen import Unseen, leaf_share
from tests.core.compare.shapes import order, rule, rules
from tests.core.test_calls import SCHEMA, STREAM, capture

BOOK = SchemaBook()
BOOK.add(SCHEMA)
KEY = PairKey("run", "shop.Shop/Get", "id")
EPOCH = EpochKey("run", "shop", "1", "2")


def counted(*answers, under=(), **told):
    return count_leaves(capture(*answers, **told).SerializeToString(), BOOK, rules(*under))


def patterns(*answers, **told) -> dict[str, int]:
    return {leaf.pattern: n for leaf, n in counted(*answers, **told).items()}


def test_a_leaf_is_a_scalar_that_is_set_an_element_or_a_time():
    text = 'id: "a" state: PAID main { sku: "s" } items { sku: "x" count: 2 } items { sku: "y" } numbers: [1, 2, 3] created { seconds: 5 } discount { value: 2 }'
    assert patterns(text) == {
        "response.id": 1,
        "response.state": 1,
        "response.main.sku": 1,
        "response.items[*].sku": 2,
        "response.items[*].count": 1,
        "response.numbers[*]": 3,
        "response.created": 1,
        "response.discount.value": 1,
    }
    assert patterns("") == {}


def test_maps_streams_and_what_is_in_an_any():
    answer = order('labels { key: "k" value: "v" } by_number { key: 1 value { sku: "s" } }')
    answer.detail.type_url = "type.googleapis.com/shop.Order"
    answer.detail.value = order('id: "inner"').SerializeToString()
    found = patterns(answer.SerializeToString(), 'id: "b"', kind=STREAM)
    assert found == {
        "responses[*].labels[*]": 1,
        "responses[*].by_number[*].sku": 1,
        "responses[*].detail.(shop.Order).id": 1,
        "responses[*].id": 1,
    }


def test_an_any_of_a_type_nobody_knows_is_one_leaf():
    answer = order("")
    answer.detail.type_url, answer.detail.value = "x/no.Such", b"\x01"
    assert patterns(answer.SerializeToString()) == {"response.detail": 1}


def test_what_a_rule_ignores_there_or_above_is_told():
    found = counted('id: "a" items { sku: "x" } items { sku: "y" }', under=[rule(Ignore, "response.items")])
    assert found == {Leaf("response.id"): 1, Leaf("response.items[*].sku", ignored=True): 2}
    (everything,) = counted('id: "a"', under=[rule(Ignore, "response")])
    assert everything.ignored


def test_private_values_count_by_what_is_known_of_them():
    leaves = [
        PrivateLeaf(path="card.number", hmac=b"h"),
        PrivateLeaf(path="items[0].sku"),
        PrivateLeaf(path="cash", empty=True),
        PrivateLeaf(path="items[1].sku", hmac=b"i"),
    ]
    message = CapturedMessage(direction=2, body=order('id: "a"').SerializeToString(), private_leaves=leaves)
    assert counted(message, under=[rule(Ignore, "response.cash")]) == {
        Leaf("response.id"): 1,
        Leaf("response.card.number", hashed=True): 1,
        Leaf("response.items[*].sku", unhashed=True): 1,
        Leaf("response.items[*].sku", hashed=True): 1,
        Leaf("response.cash", ignored=True, hashed=True): 1,
    }


def test_what_cannot_be_read_is_not_counted():
    assert counted(CapturedMessage(direction=2, omission=OMISSION_MESSAGE_TOO_LARGE)) is None
    assert counted('id: "a"', fingerprint="another") is None
    assert counted(b"\xff\xff") is None
    assert count_leaves(b"\xff\xff\xff", BOOK, rules()) is None


def test_counting_ends_at_a_limit():
    many = order("")
    many.numbers.extend(range(1, LEAVES_MAX + 500))
    assert sum(counted(many.SerializeToString()).values()) == LEAVES_MAX


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(body):
    found = counted(CapturedMessage(direction=2, body=body))
    assert found is None or all(n > 0 for n in found.values())


def test_a_sample_is_the_first_calls_of_a_method_and_then_few_by_their_ids():
    sampler = Sampler()
    taken = [sampler.takes(EPOCH, PairKey("run", "s/M", f"id-{n}")) for n in range(20_000)]
    assert all(taken[:FIRST_OF_A_METHOD])
    assert 0.7 < ONE_IN * sum(taken[FIRST_OF_A_METHOD:]) / 20_000 < 1.3
    assert sampler.takes(EPOCH, PairKey("run", "s/Other", "id-1"))
    again = [Sampler().takes(EPOCH, KEY) for _ in range(2)]
    assert again == [True, True]


def hypothesis(pattern: str, d: int, *, kind=Kind.VALUE, previous=None, n=100) -> HypothesisFacts:
    evidence = Evidence(d=d, n=n)
    return HypothesisFacts(Hypothesis("s/M", pattern, kind), evidence, judge(previous, evidence, alpha=0.01))


def test_a_path_is_blind_by_all_kinds_of_its_noise_together():
    """An optional random value: another one in most triples, missing or added in the others."""
    leaves = {Leaf("response.code"): 10}
    kinds = {Kind.VALUE: 56, Kind.MISSING: 19, Kind.ADDED: 19}
    judged = [hypothesis("response.code", d, kind=kind) for kind, d in kinds.items()]
    assert leaf_share(10, leaves, judged).unseen == {Unseen.BLIND: 10}
    assert leaf_share(10, leaves, judged[:2]).unseen == {}


def test_a_leaf_counts_once_for_the_first_reason_that_holds():
    leaves = {
        Leaf("response.id"): 10,
        Leaf("response.items[*].sku"): 20,
        Leaf("response.items[*].sku", ignored=True): 5,
        Leaf("response.item"): 7,
        Leaf("response.secret", unhashed=True): 3,
        Leaf("response.id", hashed=True): 2,
        Leaf("response.blocked.x"): 4,
    }
    judged = [
        hypothesis("response.id", 95),
        hypothesis("response.items[*]", 95, kind=Kind.MISSING),
        hypothesis("response.item", 95, kind=Kind.ORDER),  # the order is not seen, the values are
        hypothesis("response.blocked", 0, previous=State.UNJUDGED, n=0),
    ]
    found = leaf_share(10, leaves, judged)
    assert (found.total, found.hashed) == (51, 2)
    assert found.unseen == {Unseen.BLIND: 32, Unseen.IGNORED: 5, Unseen.UNJUDGED: 7}
    assert (found.of_all(1000, 32), leaf_share(0, {}, ()).of_all(10, 5)) == (3200, 0)
