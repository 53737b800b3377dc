"""The two builds of the shop, run: alike without faults but for the decoys, and with faults wrong exactly where seeded."""

import sys
import time
from contextlib import contextmanager
from importlib import import_module

import grpc
import pytest
from mirror_demo import plan, running, seeds, serving
from mirror_demo.processes import Child

from tests.conftest import ROOT

pytestmark = pytest.mark.live
GEN = ROOT / "demo/mirror_demo/gen"
CALLS = plan.make(600, 11)
EFFECTS = {seed.name for seed in seeds.SEEDS if seed.is_effect}


@pytest.fixture(scope="module")
def shop():
    """Generated code of the current schema, as a client has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(GEN / "current")
        yield Shop(import_module("shop.v1.shop_pb2"), import_module("shop.v1.shop_pb2_grpc"))


class Shop:
    """A client that makes planned calls and says all that a client can see of how they ended."""

    def __init__(self, messages, stubs):
        self.messages = messages
        self.stubs = stubs

    def outcome(self, channel, call):
        """(status, details, trailing metadata, answers) of one call, without what the decoys change."""
        method = self.messages.DESCRIPTOR.services_by_name["Shop"].methods_by_name[call.method]
        requests = [getattr(self.messages, method.input_type.name)(**fields) for fields in call.requests]
        ask = getattr(self.stubs.ShopStub(channel), call.method)
        asked = iter(requests) if method.client_streaming else requests[0]
        try:
            if method.server_streaming:
                ended = ask(asked, timeout=60)
                answers = list(ended)
            else:
                answer, ended = ask.with_call(asked, timeout=60)
                answers = [answer]
            status = "OK"
        except grpc.RpcError as error:
            status, answers, ended = error.code().name, [], error
        trailing = dict(ended.trailing_metadata())
        for answer in answers:
            for decoy in seeds.DECOYS:
                if decoy.method == call.method and decoy.pattern.startswith("response."):
                    _quieten(answer, decoy.pattern.removeprefix("response."))
        return status, trailing.get("grpc-status-details-bin"), trailing.get("x-shop-cost"), answers

    def differing(self, one, other, calls=CALLS):
        """The calls that the two answer differently."""
        return [call for call in calls if self.outcome(one, call) != self.outcome(other, call)]


def _quieten(answer, field):
    """Take out what differs between any two answers; of a random value stays what a fault could do to it."""
    if field == "offer_id":
        answer.offer_id = "random" if answer.offer_id else ""
    elif field == "priced_at":
        late_hours = round((answer.priced_at.seconds - time.time()) / 3600)
        answer.priced_at.FromSeconds(3600 * late_hours)
    else:
        answer.ClearField(field)


@contextmanager
def served(build, folder, faults="none", **env):
    """A channel to one replica, which captures nothing: no collector is named."""
    replica = next(r for r in running.REPLICAS if r.role == build)
    env = running.environment(replica.schema) | {"SHOP_FAULTS": faults, "MIRROR_ROLE": build} | env
    child = Child(build, [sys.executable, "-m", replica.module], folder, env)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{child.line_with(serving.READY)}") as channel:
            yield channel
    finally:
        child.stop()
        assert child.exit_code == 0, child.last_words()


def test_a_faithful_candidate_answers_as_the_primary_does(shop, tmp_path):
    with served("primary", tmp_path) as one, served("candidate", tmp_path) as other:
        assert shop.differing(one, other) == []


def test_a_secondary_answers_as_the_primary_does(shop, tmp_path):
    with served("primary", tmp_path) as one, served("secondary", tmp_path) as other:
        assert shop.differing(one, other) == []


def test_the_primary_ends_each_call_as_the_plan_says(shop, tmp_path):
    with served("primary", tmp_path) as one:
        assert [call for call in CALLS if shop.outcome(one, call)[0] != call.status] == []


def test_the_candidate_is_wrong_exactly_in_the_seeded_calls(shop, tmp_path):
    with served("primary", tmp_path) as one, served("candidate", tmp_path, "all") as other:
        assert shop.differing(one, other) == [call for call in CALLS if call.seed and call.seed not in EFFECTS]


@pytest.mark.parametrize("seed", [seed for seed in seeds.SEEDS if not seed.is_effect], ids=lambda seed: seed.name)
def test_one_fault_alone_spoils_its_own_calls_only(shop, tmp_path, seed):
    calls = [call for call in CALLS if call.method == seed.method]
    with served("primary", tmp_path) as one, served("candidate", tmp_path, seed.name) as other:
        assert shop.differing(one, other, calls) == [call for call in calls if call.seed == seed.name]
