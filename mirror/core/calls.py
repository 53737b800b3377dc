"""Compares what two replicas answered to one request: status, details, metadata and messages. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeAlias

from google.protobuf.message import DecodeError, Message
from grpc_mirror.v1 import capture_pb2

from mirror.core.answers import Answers, responses, same_messages, streams_of
from mirror.core.compare.engine import Comparer
from mirror.core.compare.options import CompareOptions
from mirror.core.compare.result import Result
from mirror.core.compare.walk import Types
from mirror.core.effects import Effects, made_calls
from mirror.core.model import CallRecord, Difference, Kind, Outcome, Timing, Verdict
from mirror.core.outcomes import NOT_SAMPLED, Compared, alone, combined
from mirror.core.path import Field, Path
from mirror.core.readable import Held, why_unreadable
from mirror.core.requests import one_request, request_drift, unequal_requests
from mirror.core.rules import MethodRules, RuleSet
from mirror.core.schemas import SchemaBook, SchemaError
from mirror.core.status import status_name
from mirror.core.twins import fastest
from mirror.core.windows import Stream, is_cut, windows, within
from mirror.native import Same

CODE: Final[Path] = (Field("status"), Field("code"))
NO_ANSWER: Final[Path] = (Field("status"), Field("no_answer"))
IN_PART: Final = "in_part"
_Sent: TypeAlias = tuple[list[capture_pb2.CapturedMessage], list[capture_pb2.CapturedMessage]]  # the responses of both
COMPARERS_MAX: Final = 4096
CAPTURES_KEPT: Final = 4  # parsed, for a call is asked about several times in a row
_NONE: Final[frozenset[str]] = frozenset()
MESSAGES_MAX: Final = 100_000  # of one capture; interceptors keep 1,000 of each direction
_CUT_OFF: Final[dict[int, str]] = {
    capture_pb2.ENDING_DEADLINE_EXCEEDED: "its deadline passed before it answered",
    capture_pb2.ENDING_CLIENT_CANCELLED: "the proxy ended the call before it answered",
}


class CallComparer:
    """Compares pairs of calls under one set of rules and options. Holds compiled plans; one owner.

    What counts, in this order; the first that decides ends it:

    0. Not both sides captured its messages, for it is not in the share of its method's calls of which both do: incomparable,
       `not_sampled`, whatever its status. What is compared is so a fair sample: see `grpc_mirror.sampling`.
    1. The primary's call was ended by its client (cancel, deadline): incomparable, `client_ended`.
    2. Of a streamed request the shadow saw fewer messages: incomparable, `request_cut_short`. (A proxy cuts the shadow's
       request where the primary ends first, and the shadow cannot tell that from the end of the stream.)
    3. A request that both captures hold is another one, decoded: incomparable, `request_drift`, with what differs in the
       outcome's `drift`. See `requests`.
    4. The shadow's call was cut off though the primary's was not: one difference, `status.no_answer`.
    5. Another status code: one difference of kind *status* at `status.code`, with both names. Messages, details and
       metadata of two different outcomes are not held against each other.
    6. Hashes made with different keys: incomparable, `redaction_key`. Messages left out of the capture whose hashes are
       not the same on both sides, or of which there is no hash: `too_large` (`not_serializable` for those without
       bytes, `private` where redaction left them out). A capture of over MESSAGES_MAX messages: `too_large`.
    7. `status.message` if the options say so; details, decoded, at `status.details[i].(type).field`; trailing metadata,
       and initial metadata where both sides saw it, as sorted values by key, at `trailing_metadata["key"]`; the messages
       at `response` or `responses[i]`, under the schemas of their senders. Of a long stream the first and last ones are in the
       captures, and those are compared (see `windows`): the outcome's reason is `in_part`. A message that cannot be decoded differs,
       unless its bytes are the same on both sides. No schema for messages that differ: incomparable, `schema`.

    8. Beside the answers the calls that both services made meanwhile, see `effects`; where not all of them came:
       `outbound_incomplete`, and the reasons of 6 and 7 with `outbound_` before them.
    9. Where calls of the shadow were blocked, how the answers differ is no evidence; see `outcomes`.

    What a rule excuses is in the outcome's `ignored`; if nothing else differs the verdict is *ignored*. Bad data never
    raises; a capture that is none is incomparable, `capture`.
    """

    def __init__(self, schemas: SchemaBook, rules: RuleSet, options: CompareOptions | None = None) -> None:
        self._schemas = schemas
        self._rules = rules
        self._options = options or CompareOptions()
        self._comparers: dict[MethodRules, Comparer] = {}

    def compare(self, primary: CallRecord, shadow: CallRecord) -> Outcome:
        """What came of the pair. `primary` and `shadow` are records of one pair key."""
        same = self.twins(primary, shadow)
        return matched(same) if same else self.look(primary, shadow)

    def look(self, primary: CallRecord, shadow: CallRecord) -> Outcome:
        """The same of two calls that are no twins."""
        try:
            left, right = _parse(primary), _parse(shadow)
        except DecodeError:
            return Outcome(Verdict.INCOMPARABLE, "capture")
        comparer = self._comparer(primary.key.run, primary.key.method)
        types = self._types(left, right)
        reason = _why_incomparable(left, right)
        drift = () if reason else request_drift(self._schemas, left, right, comparer, types)
        if reason or drift:
            return Outcome(Verdict.INCOMPARABLE, reason or "request_drift", drift=drift)
        answered = self._answers(left, right, comparer, types)
        timing = Timing(left.start_unix_ns, left.duration_ns, right.duration_ns)
        if not made_calls(primary, shadow):
            return alone(answered, timing)
        effects = Effects(primary, shadow, omitted=bool(left.outbound_omitted or right.outbound_omitted))
        did = self._effects(effects, comparer)
        blocked = bool(left.blocked_calls or right.blocked_calls)
        return combined(answered, did, blocked=blocked, compared=effects.compared, paired=effects.paired, timing=timing)

    def _answers(
        self, left: capture_pb2.Capture, right: capture_pb2.Capture, comparer: Comparer, types: Types
    ) -> Compared:
        ended = _ended_differently(left, right, comparer.rules)
        if ended is not None:
            return Compared(Result.of(ended))
        if _too_many(left, right):
            return Compared(why="too_large")
        sent = responses(left), responses(right)
        streams = streams_of(left, right, *sent)
        reason = _why_unreadable(left, right, sent, streams)
        if reason:
            return Compared(why=reason)
        try:
            look = Answers(self._schemas, left, right, comparer.rules).look
            sizes = _size(left, sent[0]), _size(right, sent[1])
            return Compared(comparer.run(look, types=types), sizes=sizes, note=IN_PART if is_cut(streams) else "")
        except SchemaError:
            return Compared(why="schema")

    def _effects(self, effects: Effects, comparer: Comparer) -> Compared:
        if effects.why or not effects.compared:
            return Compared(why=effects.why)
        try:
            return Compared(comparer.run(lambda walk: effects.look(walk, self._schemas, comparer.rules)))
        except SchemaError:
            return Compared(why="outbound_schema")

    def missing_schemas(self, primary: CallRecord, shadow: CallRecord) -> frozenset[str]:
        """Fingerprints that the book lacks and without which this pair cannot be compared."""
        try:
            left, right = _parse(primary), _parse(shadow)
        except DecodeError:
            return _NONE
        if _why_incomparable(left, right):
            return frozenset()
        wanted = Effects(primary, shadow, omitted=False).fingerprints if made_calls(primary, shadow) else set()
        if _needs_schema(left, right) or unequal_requests(left, right):
            wanted |= {left.schema_fingerprint, right.schema_fingerprint} - {""}
        return frozenset(fingerprint for fingerprint in wanted if not self._schemas.known(fingerprint))

    def twins(self, primary: CallRecord, shadow: CallRecord) -> Same | None:
        """Whether `compare` would find nothing, since the two hold the same and made no calls; None: that is not known yet.

        NaN counts as equal to NaN.
        """
        if not self._options.nan_equal or made_calls(primary, shadow):
            return None
        return fastest(primary.capture, shadow.capture)

    def _comparer(self, run: str, method: str) -> Comparer:
        rules = self._rules.for_method(run, method)
        found = self._comparers.get(rules)
        if found is None:
            if len(self._comparers) >= COMPARERS_MAX:
                self._comparers.clear()
            found = self._comparers[rules] = Comparer(rules, self._options)
        return found

    def _types(self, left: capture_pb2.Capture, right: capture_pb2.Capture) -> Types:
        def find(name: str) -> tuple[type[Message], type[Message]] | None:
            try:
                return self._schemas.classes(left.schema_fingerprint, right.schema_fingerprint, name)
            except SchemaError:
                return None

        return find


def matched(same: Same) -> Outcome:
    """The outcome of twins."""
    start_ns, primary_ns, shadow_ns, size = same
    return Outcome(Verdict.MATCHED, sizes=(size, size), timing=Timing(start_ns, primary_ns, shadow_ns))


def _parse(record: CallRecord) -> capture_pb2.Capture:
    """Not to be changed: others are given the same."""
    return _parsed(record.capture)


@lru_cache(maxsize=CAPTURES_KEPT)
def _parsed(capture: bytes) -> capture_pb2.Capture:
    return capture_pb2.Capture.FromString(capture)


def _why_incomparable(left: capture_pb2.Capture, right: capture_pb2.Capture) -> str:
    """What befell the request, not the builds; or that nobody was to look at this call."""
    if left.not_sampled or right.not_sampled:
        return NOT_SAMPLED
    if left.ending in _CUT_OFF:
        return "client_ended"
    return "request_cut_short" if not one_request(left) and right.request_count < left.request_count else ""


def _needs_schema(left: capture_pb2.Capture, right: capture_pb2.Capture) -> bool:
    """Whether the answers of two calls about the same request have to be decoded to be compared."""
    if _cut_off(right) or left.status_code != right.status_code or _too_many(left, right):
        return False
    return not same_messages(left, right) or left.status_details != right.status_details


def _cut_off(shadow: capture_pb2.Capture) -> str:
    return _CUT_OFF.get(shadow.ending, "")


def _ended_differently(left: capture_pb2.Capture, right: capture_pb2.Capture, rules: MethodRules) -> Difference | None:
    """The one difference of two calls that came to other ends."""
    ours, theirs = status_name(left.status_code), status_name(right.status_code)
    cut_off = _cut_off(right)
    if cut_off:
        rule = rules.ignoring(NO_ANSWER)
        return Difference(NO_ANSWER, Kind.NO_ANSWER, ours, theirs, rule.id if rule else "", cut_off)
    if left.status_code != right.status_code:
        rule = rules.ignoring(CODE)
        raised = right.exception_type or left.exception_type
        return Difference(CODE, Kind.STATUS, ours, theirs, rule.id if rule else "", raised and f"raised {raised}")
    return None


def _why_unreadable(
    left: capture_pb2.Capture, right: capture_pb2.Capture, sent: _Sent, streams: tuple[Stream, Stream] | None
) -> str:
    """What is missing from the captures without which the answers cannot be compared."""
    held = (
        Held(found, side.private_leaves, side.response_count if streams is None else len(found))
        for found, side in zip(_compared(sent, streams), (left, right), strict=True)
    )
    return why_unreadable(*held)


def _too_many(left: capture_pb2.Capture, right: capture_pb2.Capture) -> bool:
    return max(len(left.messages), len(right.messages)) > MESSAGES_MAX


def _compared(sent: _Sent, streams: tuple[Stream, Stream] | None) -> _Sent:
    """The responses that are held against each other: of long streams the first and the last."""
    if not is_cut(streams):
        return sent
    both = windows(*streams)
    one, other = ([m for window in both for m in within(window, side)] for side in sent)
    return one, other


def _size(capture: capture_pb2.Capture, sent: list[capture_pb2.CapturedMessage]) -> int:
    """Bytes of all responses, those left out of the capture included."""
    captured = sum(message.original_size for message in sent)
    left_out = (one.bytes for one in capture.omitted if one.direction == capture_pb2.DIRECTION_RESPONSE)
    return captured + sum(left_out)
