"""How two calls or messages are compared, and what came of it: frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mirror.core.model import Difference

# Trailing metadata that differs between any two answers, or says nothing about the build. Glob patterns, lower case.
# `grpc-*` are the transport's own: status, message and details are compared as such.
METADATA_IGNORE: Final = (
    "grpc-*",
    "date",
    "server",
    "via",
    "user-agent",
    "content-type",
    "x-envoy-*",
    "x-mirror-*",
    "x-request-id",
    "x-b3-*",
    "b3",
    "traceparent",
    "tracestate",
    "baggage",
)


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What holds for all methods. What may differ in one place is a rule's to say."""

    differences_max: int = 100  # differences returned; the true count is kept
    nan_equal: bool = True  # NaN equals NaN: two builds that both answer NaN answer alike
    align_lists: bool = True  # of lists of different lengths; False: by position, the rest added or missing
    depth_max: int = 128  # nesting of messages, through Any too; beyond: "too complex"
    work_max: int = 1_000_000  # fields and elements looked at in one comparison; beyond: "too complex"
    status_message: bool = False  # whether status.message counts
    trailing_metadata_ignore: tuple[str, ...] = METADATA_IGNORE


@dataclass(frozen=True, slots=True)
class Result:
    """What `compare` found. Both tuples are cut at `differences_max`, the counts are true.

    Beyond the cut, one difference of each further (path pattern, kind) is kept, up to as many again.
    `complete` is False where the work limit ended the comparison: then the counts are at least.
    """

    differences: tuple[Difference, ...] = ()  # those that count
    ignored: tuple[Difference, ...] = ()  # real differences that a rule ignores or tolerates, each with its id
    count: int = 0
    ignored_count: int = 0
    complete: bool = True

    @property
    def same(self) -> bool:
        """Whether nothing counts."""
        return self.count == 0
