"""What the shop's builds do beside answering: as a primary all of it, as a shadow nothing, and wrong exactly where seeded."""

import json
import sys
from contextlib import contextmanager
from importlib import import_module

import pytest
from mirror_demo import outcomes, plan, running, seeds, serving
from mirror_demo.processes import Child

from tests.conftest import ROOT
from tests.demo.test_shop import Shop, served

CALLS = [call for call in plan.make(1500, 3) if call.method in {"PlaceOrder", "RefundOrder"}]


@pytest.fixture(scope="module")
def shop():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "demo/mirror_demo/gen/current")
        yield Shop(import_module("shop.v1.shop_pb2"), import_module("shop.v1.shop_pb2_grpc"))


@contextmanager
def paying(folder):
    """The environment of replicas that pay through a real payment service."""
    env = running.environment("current") | {"SHOP_LEDGER": str(running.ledger(folder))}
    child = Child("payments", [sys.executable, "-m", "mirror_demo.payments"], folder, env)
    try:
        target = f"127.0.0.1:{child.line_with(serving.READY)}"
        yield {"SHOP_PAYMENTS": target, "SHOP_OUTBOX": str(running.outbox(folder))}
    finally:
        child.stop()
        assert child.exit_code == 0, child.last_words()


def done_by(shop, build, folder, role, faults="none"):
    """What a build really did for CALLS in this role: counts, and the cents of each charge and refund."""
    folder.mkdir()
    with paying(folder) as env, served(build, folder, faults, MIRROR_ROLE=role, **env) as channel:
        for call in CALLS:
            shop.outcome(channel, call)
    ledger = running.ledger(folder)
    entries = [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []
    return outcomes.done_in(ledger, running.outbox(folder)), {
        entry.get("charged") or entry["refunded"]: entry["cents"] for entry in entries
    }


@pytest.mark.live
def test_both_builds_do_the_same_as_a_primary(shop, tmp_path):
    old = done_by(shop, "primary", tmp_path / "old", "primary")
    assert old[0] == outcomes.wanted(CALLS)
    assert done_by(shop, "candidate", tmp_path / "new", "primary") == old


@pytest.mark.live
@pytest.mark.parametrize(("build", "role"), [("primary", "secondary"), ("candidate", "candidate")])
def test_in_a_shadow_no_card_is_charged_and_no_mail_sent(shop, tmp_path, build, role):
    assert done_by(shop, build, tmp_path / role, role, "all") == (outcomes.Done(0, 0, 0), {})


@pytest.mark.live
def test_the_seeded_faults_would_have_done_harm(shop, tmp_path):
    """Were the candidate promoted: the calls of the seeds, and no others, would be charged and paid back wrongly."""
    _, right = done_by(shop, "primary", tmp_path / "old", "primary")
    done, wrong = done_by(shop, "candidate", tmp_path / "new", "primary", "all")
    seeded = {seed.name: [call.requests[0] for call in CALLS if call.seed == seed.name] for seed in seeds.SEEDS}
    changed = {request["reference"] for request in seeded["other_amount"]}
    changed |= {request["number"] for request in seeded["refund_short"]}
    assert {name for name in right if right[name] != wrong[name]} == changed
    assert done.mails == outcomes.wanted(CALLS).mails + len(seeded["mail_twice"])


def test_a_mail_from_a_shadow_shows_in_the_counts(tmp_path):
    (tmp_path / "ledger.jsonl").write_text('{"charged": "a", "cents": 1}\n{"refunded": 1, "cents": 1}\n')
    (tmp_path / "outbox.jsonl").write_text("{}\n{}\n")
    found = outcomes.done_in(tmp_path / "ledger.jsonl", tmp_path / "outbox.jsonl")
    assert str(found) == "1 charges, 1 refunds, 2 mails"
    assert found != outcomes.Done(1, 1, 1)
