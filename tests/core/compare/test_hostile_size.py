"""Messages of 4 MB made to hurt: each ends in a clear result and within memory. How fast is benchmarks/hostile.py's to show."""

from __future__ import annotations

import pytest

from benchmarks.hostile import KINDS, PROMISE_MB, run


@pytest.mark.parametrize("name", KINDS)
def test_it_ends_in_a_whole_result_or_says_where_it_is_too_complex_within_memory(name):
    found = run(name)
    assert "failed" not in found, found
    assert found["complete"] or found["notes"], "what was not compared is to be said"
    assert found["differences"] > 0, "the two differ, and all that may be said is that, or how"
    assert found["kept"] <= found["kept_max"]
    assert found["memory_mb"] <= PROMISE_MB


@pytest.mark.parametrize("name", KINDS)
def test_the_messages_are_of_the_size_that_they_are_meant_to_have(name):
    """Else a kind shows nothing: what is nested doubles with each level, all else fills what gRPC takes by default."""
    left, right = KINDS[name].build()
    assert left != right
    least = {"trees": 1_500_000, "ladder": 3_500_000, "Any in Any": 20_000, "Any in Any, large": 4_000_000}
    if KINDS[name].private:
        assert len(left) > 0, "what is large is beside the messages"
        return
    kind = name if name in least else name.partition(",")[0]
    for side in (left, right):
        assert least.get(kind, 2_800_000) <= len(side) <= 4_300_000
