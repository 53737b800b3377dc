"""The records that flow through the collector, none of which is ever changed: capture -> pair -> compare -> judge -> store.

Every stage takes the record of the one before and returns its own; none changes what it was given. What happened
(`CallRecord`, `Group`) never mixes with what we think of it (`Outcome`, `Judged`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from mirror.core.path import Path, pattern_of, render
from mirror.core.record import record


class Name(StrEnum):
    """A name that is hashed as the text that it is: an Enum's own hash is a Python call, and these are keys everywhere."""

    __hash__ = str.__hash__


class Role(Name):
    """Which replica a call was served by."""

    PRIMARY = "primary"
    CANDIDATE = "candidate"
    SECONDARY = "secondary"


class Kind(Name):
    """In what way a field path differs. Together with method and path pattern it names a hypothesis."""

    VALUE = "value"
    MISSING = "missing"  # the primary has it, the shadow has not
    ADDED = "added"  # the shadow has it, the primary has not
    ORDER = "order"  # the same elements in another order
    STATUS = "status"  # the call ended with another status
    NO_ANSWER = "no_answer"  # the shadow never answered though others did
    ANY = "any"  # per method: some path not explained when the pair was judged
    VALUES = "values"  # the distribution of its values, where yes or no says little; see core.values
    # Remarks: reported where the options ask for them, never counted as differences.
    MOVED = "moved"  # the same element at another index
    MATCHED = "matched"
    IGNORED = "ignored"


class Verdict(Name):
    """What came of comparing one pair."""

    MATCHED = "matched"
    MISMATCHED = "mismatched"
    IGNORED = "ignored"
    INCOMPLETE = "incomplete"
    INCOMPARABLE = "incomparable"


class Part(Name):
    """The two things that a pair is compared in. One may be seen where the other is not."""

    ANSWER = "answer"  # status, details, metadata and messages
    OUTBOUND = "outbound"  # the calls that the service made while it served this one


class Release(Name):
    """Why the pairer let a group go."""

    COMPLETE = "complete"
    DEADLINE = "deadline"
    EVICTED = "evicted"  # the memory cap was reached
    DRAIN = "drain"  # the collector is stopping


class Resource(NamedTuple):
    """Which process served a call. Interned by the slicer: one object for each distinct resource."""

    service: str
    version: str
    instance: str


class Origin:
    """The stored request that records were read from: which one is known once it is stored, after they were made."""

    __slots__ = ("partition", "position")

    def __init__(self, partition: int = 0, position: int = -1) -> None:
        self.partition = partition
        self.position = position  # in its partition; -1: not stored


NOWHERE: Final = Origin()
_NONE: Final[frozenset[tuple[str, Kind]]] = frozenset()


class PairKey(NamedTuple):
    """What all replicas' calls of one request share."""

    run: str
    method: str  # fully qualified, no leading slash
    mirror_id: str


@record
class OutboundRecord:
    """One call that a service made while it served a mirrored one, whose pair key, role and span this names.

    `origin` and `span_index` (of its span) say where it was read. `capture` is its serialised mirror.v1.Capture. `method` is whom it called; `index` counts the calls of this method,
    `ordinal` those of them with an equal request, of which `request_hash` is made. `sent`: it was really made.
    `span`: as in CallRecord.
    """

    key: PairKey  # of the served call
    role: Role
    expect: frozenset[Role]
    served_span_id: bytes
    method: str
    index: int
    after_end: bool  # begun when the served call had ended: not among those that it counted
    capture: bytes
    span_id: bytes
    arrived_s: float
    request_hash: bytes = b""
    ordinal: int = 0
    sent: bool = False
    span: bytes = b""
    origin: Origin = field(default=NOWHERE, compare=False, repr=False)
    span_index: int = field(default=0, compare=False, repr=False)

    @property
    def size(self) -> int:
        """Bytes of payload held."""
        return len(self.capture) + len(self.span)


@record
class CallRecord:
    """One RPC served by one replica, as the pairer holds it: raw bytes and the few figures that pairing needs.

    `capture` is the serialised mirror.v1.Capture. `span` is the serialised span less its payload attributes
    (kept only where spans are forwarded, else empty). Times are seconds of the collector's clock.
    `outbound_calls` is how many calls it says to have made, `outbound` those of them that came before its group was
    released, by method and index. `origin` and `span_index` (of its span in that request) say where it was read.
    """

    key: PairKey
    role: Role
    expect: frozenset[Role]  # shadows that will come; never contains PRIMARY
    attempt: int  # 0: unknown
    status: str  # name of the gRPC status: "OK", "NOT_FOUND"
    resource: Resource
    trace_id: bytes
    span_id: bytes
    capture: bytes
    arrived_s: float
    span: bytes = b""
    outbound_calls: int = 0
    outbound: tuple[OutboundRecord, ...] = ()
    origin: Origin = field(default=NOWHERE, compare=False, repr=False)
    span_index: int = field(default=0, compare=False, repr=False)

    @property
    def size(self) -> int:
        """Bytes of payload held."""
        own = len(self.capture) + len(self.span)
        return own + sum(call.size for call in self.outbound) if self.outbound else own


@record
class Group:
    """All calls of one request that came, released by the pairer."""

    key: PairKey
    calls: dict[Role, CallRecord]
    expect: frozenset[Role]
    release: Release
    first_arrival_s: float


@dataclass(frozen=True, slots=True)
class Hashed:
    """In a Difference, in the place of a private value: there is nothing of it but a keyed hash, or not even that.

    Equal digests mean equal values. `empty`: it was set, and empty. Never shown.
    """

    digest: bytes = field(repr=False)  # empty: there was a value, and no more is known
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """One field path with its kind and both values. Values are Python values or messages; text only on request.

    `rule` names the rule that ignores or tolerates it: then it counts under that rule and not as a difference.
    """

    path: Path
    kind: Kind
    left: Any = None
    right: Any = None
    rule: str = ""
    note: str = ""
    right_path: Path = ()  # where it stands on the right, if elsewhere (an element that moved); empty: at `path`

    @property
    def pattern(self) -> str:
        """The path with indices and map keys wildcarded: the statistics' name for it."""
        return pattern_of(self.path)

    def __str__(self) -> str:
        """One line for logs of tests; payload values are left out."""
        return f"{render(self.path)}: {self.kind}"


class Timing(NamedTuple):
    """When the primary's call of a pair began (unix time), and how long both calls took. Nanoseconds."""

    start_ns: int
    primary_ns: int
    shadow_ns: int


@record
class Outcome:
    """What we think of one pair (primary against one shadow).

    `unseen` names the parts that are no evidence, each with its reason; a pair is *incomparable* where nothing differs in
    what was seen and something was not seen, for the reason of the first. Where it is empty, an incomparable pair as a
    whole was not seen. `unjudged` is how such a pair differs after the shadow's calls were blocked.
    """

    verdict: Verdict
    # Of incomplete and incomparable: "candidate", "schema", "too_large", "client_ended", ...; of others "in_part" or nothing.
    reason: str = ""
    differences: tuple[Difference, ...] = ()  # those that count
    ignored: tuple[Difference, ...] = ()  # those under a rule
    difference_count: int = 0  # the true count, where the tuple was cut
    drift: tuple[Difference, ...] = ()  # of "request_drift": how the requests differ; they count as nothing
    sizes: tuple[int, int] | None = None  # bytes of all responses, the primary's and the shadow's; None: not compared
    unseen: Mapping[Part, str] = field(default_factory=dict)
    unjudged: tuple[Difference, ...] = ()
    outbound_compared: int = 0  # outbound calls of both sides that were held against each other
    outbound_paired: frozenset[str] = frozenset()  # methods that both sides called equally often
    timing: Timing | None = None  # None: not compared

    def sees(self, part: Part) -> bool:
        """Whether this part of the pair is evidence."""
        if not self.unseen and self.verdict is not Verdict.INCOMPARABLE:
            return True
        return part not in self.unseen and (self.verdict is not Verdict.INCOMPARABLE or bool(self.unseen))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why some of it, or all, could not be compared."""
        if self.verdict is not Verdict.INCOMPARABLE and not self.unseen:
            return ()
        whole = (self.reason,) if self.verdict is Verdict.INCOMPARABLE else ()
        return tuple(dict.fromkeys((*whole, *self.unseen.values())))

    @property
    def partly(self) -> tuple[str, ...]:
        """Those of the reasons that did not decide the verdict."""
        return tuple(reason for reason in self.reasons if reason != self.reason) if self.unseen else ()

    @property
    def hypotheses(self) -> frozenset[tuple[str, Kind]]:
        """The (path pattern, kind)s in which this pair differs."""
        return frozenset((d.pattern, d.kind) for d in self.differences) if self.differences else _NONE


class Hypothesis(NamedTuple):
    """(method, path pattern, kind): what is judged. Ordered by name, which breaks ties between ranks."""

    method: str
    pattern: str
    kind: Kind


class EpochKey(NamedTuple):
    """Counters of two epochs never mix. A missing version is the empty string."""

    run: str
    service: str
    primary_version: str
    candidate_version: str


@record
class Triple:
    """One request's evidence: in which (path pattern, kind)s candidate and secondary differ from the primary.

    Where either shadow's call ended otherwise than the primary's, these three hold only how the calls ended: the answers
    could not be compared. `signature` is the set of those in which the candidate differs and the secondary does not, less
    those that noise already explained (c + d >= 10) when it was judged; `left_out` are those that were left out of it for
    that reason.
    """

    raw_only: frozenset[tuple[str, Kind]] = frozenset()
    noise_only: frozenset[tuple[str, Kind]] = frozenset()
    both: frozenset[tuple[str, Kind]] = frozenset()
    signature: frozenset[tuple[str, Kind]] = frozenset()
    left_out: frozenset[tuple[str, Kind]] = frozenset()


class Leaf(NamedTuple):
    """Leaf values of an answer that are alike; see core.leaves. `ignored`: by a rule, there or above."""

    pattern: str
    ignored: bool = False
    hashed: bool = False  # private: only a keyed hash of it came
    unhashed: bool = False  # private: not even that


@record
class Judged:
    """One group, judged: what the store counts and may keep."""

    group: Group
    epoch: EpochKey
    minute: int  # unix minutes of the group's first arrival
    outcomes: dict[Role, Outcome]  # of each expected shadow
    triple: Triple | None  # None: no evidence, for the reason in `no_triple`
    no_triple: str = ""
    compared_at_s: float = 0.0
    # Of a triple: by path pattern the labels that tell candidate and secondary apart; 1: raw, -1: noise. See core.values.
    values: Mapping[str, Mapping[tuple[str, str], int]] = field(default_factory=dict)
    speeds: tuple[Any, ...] = ()  # of a triple: its latency and size, each a core.speed.votes.Speed
    leaves: Mapping[Leaf, int] | None = (
        None  # of the primary's answer; None: this call was not chosen, or cannot be read
    )


@dataclass(frozen=True, slots=True)
class MethodCounts:
    """Counts of one method in one minute. Add them up to merge minutes or workers."""

    pairs: int = 0  # groups in which a candidate was expected
    matched: int = 0
    mismatched: int = 0
    ignored: int = 0
    incomplete: int = 0
    incomparable: int = 0
    triples: int = 0
    primary_errors: int = 0  # the primary's own status was not OK
    secondary_status: int = 0  # triples in which the secondary's status differed from the primary's
    reasons: dict[str, int] = field(default_factory=dict)  # of incomplete, incomparable and no triple
