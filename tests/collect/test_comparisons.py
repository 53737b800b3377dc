"""What is kept of a pair as an example."""

from __future__ import annotations

from dataclasses import replace

from grpc_mirror.v1 import capture_pb2, comparison_pb2

from mirror.collect.comparisons import comparison_id, comparison_of
from mirror.core.model import Difference, Kind, Outcome, PairKey, Role, Verdict
from mirror.core.path import Field, Key
from mirror.store import Changes
from tests.collect.records import difference, judged


def test_both_sides_are_kept_whole() -> None:
    pair = judged("m1", Verdict.MISMATCHED, difference())
    kept = comparison_of(pair)
    assert kept.id == comparison_id(pair.group.key)
    assert (kept.primary_version, kept.primary_instance) == ("1.0", "shop-1.0")
    assert capture_pb2.Capture.FromString(kept.primary_capture).messages[0].body == b"the primary's secret"
    (side,) = kept.sides
    assert (side.role, side.verdict, side.version) == ("candidate", comparison_pb2.VERDICT_MISMATCHED, "2.0")
    assert capture_pb2.Capture.FromString(side.capture).messages[0].body == b"the candidate's secret"
    (shown,) = side.differences
    assert (shown.path, shown.pattern) == ("response.items[2].price", "response.items[*].price")
    assert (shown.kind, shown.left, shown.right) == ("value", "10", "20")


def test_differences_under_a_rule_are_kept_with_their_rule() -> None:
    pair = judged("m1", Verdict.IGNORED, ignored=(difference(rule="prices"),))
    (shown,) = comparison_of(pair).sides[0].differences
    assert shown.rule == "prices"


def test_the_true_count_is_kept_where_the_list_was_cut() -> None:
    pair = judged("m1", Verdict.MISMATCHED, difference())
    cut = Outcome(Verdict.MISMATCHED, differences=(difference(),), difference_count=1234)
    assert comparison_of(replace(pair, outcomes={Role.CANDIDATE: cut})).sides[0].difference_count == 1234


def test_how_a_request_drifted_is_kept_though_it_counts_as_nothing() -> None:
    path = (Field("request"), Field("id"))
    pair = judged("m1", Verdict.INCOMPARABLE, reason="request_drift", drift=(Difference(path, Kind.VALUE, "1", "2"),))
    (side,) = comparison_of(pair).sides
    assert (side.reason, [(d.path, d.left, d.right) for d in side.differences]) == (
        "request_drift",
        [("request.id", '"1"', '"2"')],
    )
    changes = Changes()
    changes.add(pair)
    assert not changes.evidence
    assert [dict(reasons) for reasons in changes.reasons.values()] == [{"incomparable.request_drift": 1}]


def test_a_side_that_never_came_is_empty() -> None:
    pair = judged("m1", Verdict.INCOMPLETE, reason="candidate")
    del pair.group.calls[Role.CANDIDATE]
    (side,) = comparison_of(pair).sides
    assert (side.reason, side.capture, side.span_id) == ("candidate", b"", b"")


def test_a_pair_without_primary_is_kept_too() -> None:
    pair = judged("m1", Verdict.INCOMPLETE, reason="primary")
    del pair.group.calls[Role.PRIMARY]
    kept = comparison_of(pair)
    assert (kept.primary_capture, len(kept.trace_id)) == (b"", 16)


def test_the_id_follows_from_the_pair_key() -> None:
    assert comparison_id(PairKey("r", "m", "i")) == comparison_id(PairKey("r", "m", "i"))
    assert comparison_id(PairKey("r", "m", "i")) != comparison_id(PairKey("r", "mi", ""))
    assert len(comparison_id(PairKey("r", "m", "i"))) == 32


def test_paths_are_cut_to_a_readable_length() -> None:
    """A metadata key is part of its pattern, and a sender may make it as long as it likes."""
    path = (Field("trailing_metadata"), Key("k" * 1_000_000))
    kept = comparison_of(judged("m1", Verdict.MISMATCHED, Difference(path, Kind.MISSING)))
    assert kept.ByteSize() < 10_000
    assert kept.sides[0].differences[0].path.endswith("…")
