"""kill -9 at random moments: everything that was acknowledged is counted exactly once, by the store's own figures."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mirror.store.checking import check_store
from mirror.store.limits import Limits
from tests.live.chaos import WRONG_EVERY, Chaos

pytestmark = pytest.mark.live
SEED = random.SystemRandom().randrange(10**6)  # told when it fails


def check(chaos: Chaos, folder: Path) -> None:
    """All was sent; each pair was counted once, as what it is."""
    told = f"seed {chaos.seed}\n{chaos.collector.log}"
    assert not any(sent.problems for sent in chaos.sent.values()), told
    assert all(sent.acknowledged == chaos.pairs for sent in chaos.sent.values()), told
    reader = chaos.collector.reader()
    (epoch,) = reader.epochs("checkout")
    counts = epoch.counts
    wrong = len(range(0, chaos.pairs, WRONG_EVERY))
    found = (counts.pairs, counts.matched, counts.mismatched, counts.triples, counts.incomplete, counts.incomparable)
    assert found == (chaos.pairs, chaos.pairs - wrong, wrong, chaos.pairs, 0, 0), f"{counts}\n{told}"
    (price,) = (h for h in reader.hypotheses(epoch.id) if h.hypothesis.pattern == "response.price")
    assert (price.b, price.c, price.d) == (wrong, 0, 0), told
    account = reader.account("checkout")
    assert account.calls.received == account.calls.grouped + sum(account.calls.dropped.values()), account
    assert account.calls.dropped.keys() <= {"duplicate"}, f"{account}\n{told}"
    assert (account.calls.grouped, account.compared) == (3 * chaos.pairs, chaos.pairs), account
    reader.close()
    checked = check_store(f"sqlite:///{folder}/mirror.db", Limits(), now_s=0)
    assert checked.ok, checked.findings


@pytest.mark.timeout(240)
def test_everything_acknowledged_is_counted_once_whenever_the_collector_dies(tmp_path: Path):
    chaos = Chaos(tmp_path, pairs=24_000, seed=SEED)
    chaos.run(10, lives_s=(0.05, 1.0))
    check(chaos, tmp_path)
    assert any(sent.repeated for sent in chaos.sent.values()), "no kill met a request under way"


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_fifty_kills_and_a_hundred_thousand_pairs(tmp_path: Path):
    chaos = Chaos(tmp_path, pairs=100_000, seed=SEED)
    chaos.run(50, lives_s=(0.05, 1.5))
    check(chaos, tmp_path)
