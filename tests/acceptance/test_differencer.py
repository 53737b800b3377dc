"""The engine held to MessageDifferencer's own unit tests, where the acceptance suite stands beside the project."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.acceptance.differencer import adapter

SUITE = Path(__file__).parents[3] / "shared" / "acceptance" / "message_differencer"


@pytest.fixture(scope="module")
def harness() -> ModuleType:
    """The suite's own harness."""
    if not SUITE.is_dir():
        pytest.skip("the acceptance suite is not part of the project: ../shared/acceptance does not stand beside it")
    spec = importlib.util.spec_from_file_location("differencer_harness", SUITE / "harness.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_cases_of_the_reference(harness):
    """277 comparisons as its tests assert them, 75 of them with the differences in order."""
    pool, _ = harness.load_pool()
    assert dict(harness.run(adapter, harness.load_cases(), pool)) == {"equal_ok": 277, "diffs_ok": 75}


def test_all_newer_cases(harness):
    """28 comparisons of 7.37, 14 of which force the comparison of fields without presence."""
    pool, _ = harness.load_pool()
    cases = harness.load_cases(SUITE / "cases_newer.jsonl")
    assert dict(harness.run(adapter, cases, pool)) == {"equal_ok": 28, "diffs_ok": 1}
