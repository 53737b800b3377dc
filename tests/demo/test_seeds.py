"""The table of seeded faults, the rules and the README say the same, and every fault has its place in the candidate."""

import re

import pytest
from mirror_demo import seeds
from ruamel.yaml import YAML

from tests.conftest import ROOT

DEMO = ROOT / "demo"
README = (DEMO / "README.md").read_text()
MESSAGE_FAULTS = set(re.findall(r'^    "(\w+)": _\w+,$', (DEMO / "mirror_demo/faults.py").read_text(), re.MULTILINE))
ASKED_FAULTS = set(re.findall(r'_faults\.on\("(\w+)"\)', (DEMO / "mirror_demo/candidate.py").read_text()))


@pytest.mark.parametrize("seed", seeds.SEEDS, ids=lambda seed: seed.name)
def test_readme_shows_every_seed_as_it_is(seed):
    where = "; ".join(f"`{pattern}` ({kind})" for pattern, kind in seed.expected)
    assert f"| `{seed.name}` | {seed.what} | {seed.method} | {where} | {seed.trigger} |" in README


@pytest.mark.parametrize("decoy", seeds.DECOYS, ids=lambda decoy: decoy.name)
def test_readme_shows_every_decoy_as_it_is(decoy):
    assert f"| `{decoy.name}` | {decoy.what} | {decoy.method} | `{decoy.pattern}` | {decoy.quiet_by} |" in README


def test_readme_has_no_row_that_is_not_in_the_tables():
    rows = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    assert rows == {seed.name for seed in seeds.SEEDS} | {decoy.name for decoy in seeds.DECOYS}


def test_every_fault_is_done_somewhere_and_nothing_else_is():
    assert {seed.name for seed in seeds.SEEDS} == MESSAGE_FAULTS | ASKED_FAULTS
    assert not MESSAGE_FAULTS & ASKED_FAULTS


def test_a_decoy_has_a_rule_exactly_if_it_says_so():
    rules = YAML(typ="safe").load(DEMO / "mirror_demo/mirror.yaml")["rules"]
    ruled = {(rule["path"], rule["methods"][0]) for rule in rules}
    for decoy in seeds.DECOYS:
        assert ((decoy.pattern, f"{seeds.SERVICE}/{decoy.method}") in ruled) == (decoy.quiet_by == "rule"), decoy.name
    assert all(rule["reason"] and rule["owner"] for rule in rules)


def test_no_two_seeds_expect_the_same_hypothesis():
    places = [(seed.method, *place) for seed in seeds.SEEDS for place in seed.expected]
    assert len(places) == len(set(places))
