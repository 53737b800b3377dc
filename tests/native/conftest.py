"""Compiled parts are held against the Python here: without them there is nothing to hold."""

from __future__ import annotations

import pytest

from mirror import native
from tests.conftest import require


@pytest.fixture(scope="package", autouse=True)
def compiled() -> None:
    require("native", "grpc-mirror-native is not installed (needs a C compiler)", present=native.same is not None)
