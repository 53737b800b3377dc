"""Which rule is proposed for what was seen, the narrowest first; for paths in question only what looks harmless."""

from __future__ import annotations

import pytest
from google.protobuf import duration_pb2, timestamp_pb2, wrappers_pb2

from mirror.core.model import Kind
from mirror.core.suggestions import Seen, proposals

UUIDS = ("0b5e1a1c-7a3e-4f0e-9d5f-2f1f3c7c9a10", "7c9a1000-7a3e-4f0e-9d5f-2f1f3c7c9a10")


def at(seconds):
    made = timestamp_pb2.Timestamp()
    made.FromNanoseconds(int(seconds * 1e9))
    return made


def seen(*pairs, kind=Kind.VALUE):
    return [Seen(kind, left, right) for left, right in pairs]


def told(found, *, pattern="response.x", noisy=True):
    return [(one.type, dict(one.parameters)) for one in proposals(pattern, found, noisy=noisy)]


IGNORE = ("ignore", {})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (seen((at(1000), at(1000.3))), [("time_window", {"within": "1s"}), IGNORE]),
        (seen((at(2e9), at(2e9 + 90_000))), [("value_class", {"class": "timestamp"}), IGNORE]),
        (
            seen((duration_pb2.Duration(seconds=1), duration_pb2.Duration(seconds=4))),
            [("time_window", {"within": "5s"}), IGNORE],
        ),
        (seen(UUIDS), [("value_class", {"class": "uuid"}), ("text", None), ("value_class", {"class": "same_length"})]),
        (
            seen(("2026-11-26T04:20:00Z", "2026-11-26T04:20:01Z")),
            [("value_class", {"class": "timestamp"}), ("text", None)],
        ),
        (seen((100.0, 103.0), (90.0, 91.0)), [("tolerance", {"absolute": 5.0}), ("tolerance", {"relative": 0.05})]),
        (seen((1.0, 1.02), (5000.0, 5100.0)), [("tolerance", {"relative": 0.02})]),
        (seen((19.917, 19.92), (3.3333, 3.33)), [("tolerance", {"absolute": 0.01})]),
        (seen((7, 19_000)), [("value_class", {"class": "same_sign"}), ("value_class", {"class": "non_empty"}), IGNORE]),
        (seen(("a  b ", "a b")), [("text", {"whitespace": "collapse"})]),
        (seen((" a", "a")), [("text", {"whitespace": "strip"})]),
        (seen(("Lyon", "LYON")), [("text", {"case": "ignore"})]),
        (seen(('{"a":1,"b":2}', '{"b": 2.0, "a": 1}')), [("text", {"json": True})]),
        (
            seen(("took 12 ms", "took 7 ms")),
            [("text", {"replace": [{"pattern": r"\d+(\.\d+)?", "with": "N"}]})],
        ),
        (
            seen((f"ref {UUIDS[0]}.", f"ref {UUIDS[1]}.")),
            [("text", None)],
        ),
        (
            seen(("k3j4hd", "a9z8y7")),
            [("value_class", {"class": "same_length"}), ("value_class", {"class": "non_empty"}), IGNORE],
        ),
        (seen(("north", "east")), [("value_class", {"class": "non_empty"}), IGNORE]),
        (seen(("north", "")), [IGNORE]),
        (seen((True, False)), [IGNORE]),
        (seen((0, None), kind=Kind.MISSING), [("presence", {}), IGNORE]),
        (seen((None, ""), kind=Kind.ADDED), [("presence", {}), IGNORE]),
        (seen((wrappers_pb2.BoolValue(), None), kind=Kind.MISSING), [("presence", {}), IGNORE]),
        (seen((5, None), kind=Kind.MISSING), [IGNORE]),
        (seen((None, None), kind=Kind.MISSING), [IGNORE]),
        (seen((None, None)), [IGNORE]),
        (seen(("a", "b"), kind=Kind.ORDER), [("unordered", {}), IGNORE]),
        ([*seen(UUIDS), *seen(("x", None), kind=Kind.MISSING)], [IGNORE]),
    ],
)
def test_what_is_proposed_for_a_noisy_path(found, expected):
    made = told(found)
    assert [
        (name, None if wanted is None else given) for (name, given), (_, wanted) in zip(made, expected, strict=False)
    ] == expected
    assert made[-1] == IGNORE


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (seen((at(1000), at(1000.3))), [("time_window", {"within": "1s"})]),
        (seen((at(1000), at(1090))), []),
        (seen(UUIDS), [("value_class", {"class": "uuid"})]),
        (seen((19.917, 19.92)), [("tolerance", {"absolute": 0.01})]),
        (seen((4567.0, 4570.0)), []),
        (seen((1e9, 1e9 + 2e-6), (2e9, 2e9 + 1e-6)), [("tolerance", {"absolute": 1e-05})]),
        (seen((100.0, 103.0)), []),
        (seen(("Lyon", "LYON")), [("text", {"case": "ignore"})]),
        (seen(("took 12 ms", "took 7 ms")), []),
        (seen(("k3j4hd", "a9z8y7")), []),
        (seen((0, None), kind=Kind.MISSING), [("presence", {})]),
        (seen(("x", ""), kind=Kind.MISSING), []),
        (seen(("a", "b"), kind=Kind.ORDER), [("unordered", {})]),
    ],
)
def test_what_is_proposed_where_noise_does_not_explain_it(found, expected):
    made = told(found, noisy=False)
    assert [name for name, _ in made[: len(expected)]] == [name for name, _ in expected]
    assert bool(made) == bool(expected)
    if expected and expected[0][0] != "tolerance":
        assert made == expected


def test_the_order_of_a_stream_may_be_its_meaning():
    found = seen(("a", "b"), kind=Kind.ORDER)
    assert told(found, pattern="responses", noisy=False) == []
    assert told(found, pattern="responses") == [("unordered", {}), IGNORE]


def test_of_status_and_metadata_only_ignore_is_possible():
    for pattern in ("status.code", 'trailing_metadata["x-cost"]', 'initial_metadata["x-shard"]'):
        assert told(seen(UUIDS), pattern=pattern) == [IGNORE]
        assert told(seen(UUIDS), pattern=pattern, noisy=False) == []


@pytest.mark.parametrize("pattern", ["(other)", "(any)", "response.…#ab"])
def test_a_path_that_no_rule_can_name_has_none(pattern):
    assert told(seen(UUIDS), pattern=pattern) == []


def test_only_ignore_is_the_last_resort():
    assert [one.last_resort for one in proposals("response.x", seen(UUIDS), noisy=True)][-1]
    assert sum(one.last_resort for one in proposals("response.x", seen(UUIDS), noisy=True)) == 1
