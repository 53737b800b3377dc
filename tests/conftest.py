"""What all tests share: how a test says that something it needs isn't here.

`require(name, present, reason)` skips with the reason; where MIRROR_REQUIRE names it (as CI does) it fails instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


# A loaded machine is no reason to fail: speed is measured in benchmarks/.
settings.register_profile("everywhere", deadline=None)
settings.load_profile("everywhere")


# Files wait longest here, few tests as they have: begun last, one of them would run on alone (make test runs two at a time).
WAIT_LONGEST = ("kafka", "live", "examples", "demo", "interceptors")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folders of tests that wait for processes come first; else the order stays."""

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(ROOT).parts[1] if item.path.is_relative_to(ROOT / "tests") else ""
        return WAIT_LONGEST.index(folder) if folder in WAIT_LONGEST else len(WAIT_LONGEST)

    items.sort(key=place)


def require(name: str, reason: str, *, present: bool) -> None:
    """Skip the running test unless `present`; fail it where the environment demands `name`."""
    if present:
        return
    if name in os.environ.get("MIRROR_REQUIRE", "").split(","):
        pytest.fail(f"{name} is required here (MIRROR_REQUIRE), but {reason}")
    pytest.skip(f"{name}: {reason}")


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the repository."""
    return ROOT
