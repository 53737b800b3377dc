"""What tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mirror.collect.slices import NATIVE, Slicer
from tests.conftest import require


@pytest.fixture(scope="module", params=["compiled", "python"])
def either_cutter(request: pytest.FixtureRequest) -> Iterator[None]:
    """Slicers with the compiled cutter, then without."""
    compiled = request.param == "compiled"
    if compiled:
        require("native", "grpc-mirror-native is not installed (needs a C compiler)", present=NATIVE is not None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Slicer.__init__.__kwdefaults__, "cutter", NATIVE if compiled else None)
        yield
