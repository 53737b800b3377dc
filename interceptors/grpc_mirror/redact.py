"""Private fields out of captures, keyed hashes beside them. Pure: bytes in, bytes out; what was noticed goes to a callback.

Runs in the sender's thread, before anything is encoded. A private value is removed from its message, and a leaf stands
beside: its concrete path and the HMAC of its canonical form (see canonical.py). Not in place: a hash in a number or a Timestamp
would make nonsense. Values that can be guessed (bool, enum, numbers, and messages of nothing else) leave no hash.

A call is redacted where its request or response type holds a private field, where something private was found in an Any
or an extension, or always with `redact="on"`. Of such a call unknown fields, the text of the status, trailing metadata that is not
allowed and bodies that are no protobuf message do not leave either. What cannot be redacted is dropped, never sent as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from google.protobuf import any_pb2
from google.protobuf.descriptor import Descriptor

from grpc_mirror import canonical
from grpc_mirror.private_paths import KEY, NAME, Patterns
from grpc_mirror.private_plan import Plan, Planner
from grpc_mirror.private_walk import LEAF_OVERHEAD_BYTES, LEAVES_MAX, Leaf, TooMuchError, Walk
from grpc_mirror.settings import Settings
from grpc_mirror.v1 import capture_pb2
from grpc_mirror.wire import bytes_field, fields, int_field

_TYPES_MAX = 4096
_REQUEST, _RESPONSE = capture_pb2.DIRECTION_REQUEST, capture_pb2.DIRECTION_RESPONSE
_PRIVATE, _FAILED = capture_pb2.OMISSION_PRIVATE, capture_pb2.OMISSION_REDACTION_FAILED
_TOO_LARGE = capture_pb2.OMISSION_MESSAGE_TOO_LARGE
# Free text in google.rpc's usual details: of a redacted call it is as private as the status's own text.
STATUS_TEXTS = tuple(
    f"status.details[*].(google.rpc.{place}"
    for place in (
        "DebugInfo)",
        "LocalizedMessage).message",
        "ErrorInfo).metadata",
        "BadRequest).field_violations[*].description",
        "BadRequest).field_violations[*].localized_message",
        "PreconditionFailure).violations[*].subject",
        "PreconditionFailure).violations[*].description",
        "QuotaFailure).violations[*].subject",
        "QuotaFailure).violations[*].description",
        "RequestInfo).serving_data",
        "ResourceInfo).resource_name",
        "ResourceInfo).owner",
        "ResourceInfo).description",
    )
)
Metadata = Iterable[tuple[str, Any]]


class Body(NamedTuple):
    """What is left of a message."""

    body: bytes
    leaves: tuple[Leaf, ...] = ()
    omission: capture_pb2.Omission = capture_pb2.OMISSION_UNSPECIFIED  # set: `body` is empty

    @property
    def size(self) -> int:
        """Bytes of it in a capture."""
        size = len(self.body)
        return size + sum(len(leaf.path) + LEAF_OVERHEAD_BYTES for leaf in self.leaves) if self.leaves else size


class Outside(NamedTuple):
    """What is left of a call outside its messages."""

    status_message: str
    status_details: bytes
    request_metadata: Metadata
    initial_metadata: Metadata
    trailing_metadata: Metadata
    leaves: tuple[Leaf, ...] = ()
    complete: bool = True  # False: metadata were dropped


class Kinds(NamedTuple):
    """What is known of all calls of one request and response type."""

    plans: dict[capture_pb2.Direction, Plan | None]
    strict: bool  # these calls are redacted
    public: frozenset[capture_pb2.Direction]  # whose messages can hold nothing private: they leave as they are


class Redactor:
    """Redacts calls by the settings. Holds what was found out about message types; one owner."""

    def __init__(self, settings: Settings, notice: Callable[[str], None]) -> None:
        """`notice` takes the name of a condition to be counted."""
        self.settings = settings
        self.notice = notice
        self.hash = canonical.KeyedHash(settings.redaction_key) if settings.redaction_key else None
        self.key_id = self.hash.key_id if self.hash else ""
        self.unhashed = False  # private values went without a hash, for want of a key
        texts = () if settings.keep_status_message else STATUS_TEXTS
        patterns = Patterns((*settings.private, *texts))
        self.planner = Planner(patterns, hash_few_values=settings.hash_few_values)
        self.patterns = patterns
        self.configured = Patterns(settings.private)  # without those of the status's texts
        self.allowed = frozenset(settings.metadata)
        self._kinds: dict[tuple[Descriptor | None, Descriptor | None], Kinds] = {}

    def call(self, request: Descriptor | None, response: Descriptor | None) -> CallRedaction:
        """The redaction of one call, by its message types; None: no protobuf message."""
        kinds = self._kinds.get((request, response))
        if kinds is None:
            if len(self._kinds) > _TYPES_MAX:
                self._kinds.clear()
            kinds = self._kinds[request, response] = self._kinds_of(request, response)
        return CallRedaction(self, kinds)

    def _kinds_of(self, request: Descriptor | None, response: Descriptor | None) -> Kinds:
        if self.settings.redact == "off":
            return Kinds({_REQUEST: None, _RESPONSE: None}, strict=False, public=frozenset({_REQUEST, _RESPONSE}))
        everything = self.settings.redact == "on"
        plans = {_REQUEST: self._plan("request", request), _RESPONSE: self._plan("response", response)}
        private = any(plan is not None and plan.private for plan in plans.values())
        unreadable = bool(self.configured) and None in plans.values()
        idle = {direction for direction, plan in plans.items() if plan is not None and plan.idle}
        return Kinds(plans, strict=everything or private or unreadable, public=frozenset(() if everything else idle))

    def _plan(self, direction: str, descriptor: Descriptor | None) -> Plan | None:
        if descriptor is None:
            return None
        return self.planner.plan(descriptor, self.patterns.start((NAME, direction)))

    def unmatched(self) -> tuple[str, ...]:
        """Patterns for messages that named nothing in any type seen so far; with a slip in them they keep nothing back."""
        if not self._kinds or self.settings.redact == "off":
            return ()
        return tuple(
            text
            for number, text in enumerate(self.settings.private)
            if number not in self.planner.matched
            and text.startswith(("request.", "requests", "response.", "responses"))
        )

    def walk(self, *, strict: bool) -> Walk:
        """A walk through one message; `strict`: as of a redacted call."""
        return Walk(self.planner, self.leaf, leaves_max_bytes=self.settings.message_max_bytes, strict=strict)

    def leaf(self, path: str, value: bytes | None) -> Leaf:
        """A leaf of a canonical value; None: no hash is to be made."""
        if value is None:
            return Leaf(path)
        if self.hash is None:
            self.unhashed = True
            return Leaf(path)
        return Leaf(path, self.hash.leaf(value))


class CallRedaction:
    """One call: first its messages, then what stands outside of them."""

    __slots__ = ("_plans", "_redactor", "public", "strict")

    def __init__(self, redactor: Redactor, kinds: Kinds) -> None:
        self._redactor = redactor
        self._plans, self.strict, self.public = kinds  # `strict`: it is redacted, as far as is known by now

    def body(self, raw: bytes, direction: capture_pb2.Direction) -> Body:
        """What may leave of a serialised message. Never raises."""
        plan = self._plans[direction]
        if direction in self.public or (plan is None and not self.strict):
            return Body(raw)
        everything = self._redactor.settings.redact == "on"
        try:
            if plan is None or plan.whole:
                return Body(b"", (), _PRIVATE)
            strict = plan.private or everything
            found = self._walked(plan, raw, strict=strict)
            if found is not None:
                self.strict = True
                return found
            return Body(raw)
        except TooMuchError:
            return Body(b"", (), _TOO_LARGE)
        except Exception:  # noqa: BLE001 - whatever happens, nothing leaves as it is
            self._redactor.notice("redaction_failed")
            return Body(b"", (), _FAILED)

    def _walked(self, plan: Plan, raw: bytes, *, strict: bool) -> Body | None:
        """A message without what is private. None: nothing is, and it may leave as it is."""
        message: Any = canonical.class_of(plan.descriptor)()
        message.MergeFromString(raw)
        walk = self._redactor.walk(strict=strict)
        walk.root(plan, message)
        if not strict and walk.changed:  # something private after all, so unknown fields must go as well
            return self._walked(plan, raw, strict=True)
        self._tell(walk)
        if not (strict or walk.changed):
            return None
        return Body(message.SerializePartialToString(deterministic=True), tuple(walk.leaves))

    def hash(self, digest: bytes, direction: capture_pb2.Direction) -> tuple[bytes, str]:
        """(hash, key id) of a message whose body is left out, by its digest: keyed where there is a key.

        Without one the digest itself, and nothing where the message may hold something private: a plain hash can be
        tried out.
        """
        redactor, plan = self._redactor, self._plans[direction]
        if redactor.hash is not None:
            return redactor.hash.message(digest), redactor.key_id
        if self.strict or (plan is not None and not plan.idle):
            redactor.unhashed = True
            return b"", ""
        return digest, ""

    def outside(
        self, message: str, details: bytes, request: Metadata, initial: Metadata, trailing: Metadata
    ) -> Outside:
        """What may leave of status and metadata. Never raises. Call it after the messages."""
        redactor = self._redactor
        if redactor.settings.redact == "off":
            return Outside(message, details, request, initial, trailing)
        if not (self.strict or details or redactor.configured):
            return Outside(message, details, request, initial, trailing)
        try:
            leaves: list[Leaf] = []
            details = self._details(details, leaves) if details else b""
            message = self._message(message, leaves)
            return Outside(
                message,
                details,
                self._metadata("request_metadata", request, leaves),
                self._metadata("initial_metadata", initial, leaves),
                self._metadata("trailing_metadata", trailing, leaves),
                tuple(leaves[:LEAVES_MAX]),
                complete=len(leaves) <= LEAVES_MAX,
            )
        except Exception:  # noqa: BLE001 - whatever happens, nothing leaves as it is
            redactor.notice("redaction_failed")
            return Outside("", b"", (), (), (), complete=False)

    def _tell(self, walk: Walk) -> None:
        for condition in walk.noticed:
            self._redactor.notice(condition)

    def _text_is_private(self) -> bool:
        redactor = self._redactor
        named = redactor.configured.accepts(redactor.configured.start((NAME, "status"), (NAME, "message")))
        whole = redactor.configured.accepts(redactor.configured.start((NAME, "status")))
        return named or whole or (self.strict and not redactor.settings.keep_status_message)

    def _message(self, text: str, leaves: list[Leaf]) -> str:
        if not text or not self._text_is_private():
            return text
        leaves.append(self._redactor.leaf("status.message", canonical.text_value(text)))
        return ""

    def _details(self, raw: bytes, leaves: list[Leaf]) -> bytes:
        """A serialised google.rpc.Status, read by hand: a service need not have its generated code."""
        redactor = self._redactor
        patterns = redactor.patterns if self.strict else redactor.configured
        states = patterns.start((NAME, "status"), (NAME, "details"))
        if patterns.accepts(states) or patterns.accepts(patterns.start((NAME, "status"))):
            leaves.append(redactor.leaf("status.details", canonical.bytes_values([raw])))
            return b""
        try:
            found, changed = self._redacted_details(raw)
        except Exception:  # noqa: BLE001 - whatever happens, nothing leaves as it is
            redactor.notice("redaction_failed")
            self.strict = True
            leaves.append(redactor.leaf("status.details", canonical.bytes_values([raw])))
            return b""
        if changed and not self.strict:
            self.strict = True
            return self._details(raw, leaves)
        leaves += found[1]
        return found[0] if self.strict or changed or self._text_is_private() else raw

    def _redacted_details(self, raw: bytes) -> tuple[tuple[bytes, list[Leaf]], bool]:
        redactor = self._redactor
        walk = redactor.walk(strict=self.strict)
        parts: list[bytes] = []
        index = 0
        for number, value in fields(raw):
            if number == 1 and isinstance(value, int):
                parts.append(int_field(1, value))
            elif number == 2 and isinstance(value, bytes) and not self._text_is_private():
                parts.append(bytes_field(2, value))
            elif number == 3 and isinstance(value, bytes):
                detail = any_pb2.Any.FromString(value)
                walk.detail(detail, index, redactor.patterns if self.strict else redactor.configured)
                parts.append(bytes_field(3, detail.SerializeToString(deterministic=True)))
                index += 1
        self._tell(walk)
        return (b"".join(parts), walk.leaves), walk.changed

    def _metadata(self, name: str, pairs: Metadata, leaves: list[Leaf]) -> list[tuple[str, Any]]:
        """The pairs that may leave; of each key that may not, one leaf of all its values, sorted."""
        redactor, patterns = self._redactor, self._redactor.configured
        states = patterns.start((NAME, name))
        limited = self.strict and name == "trailing_metadata"  # the others are limited when they are read
        kept: list[tuple[str, Any]] = []
        hidden: dict[str, list[bytes]] = {}
        for key, value in pairs:
            private = patterns.accepts(states) or patterns.accepts(patterns.step(states, (KEY, key)))
            if private or (limited and key not in redactor.allowed):
                raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
                hidden.setdefault(key, []).append(raw)
            else:
                kept.append((key, value))
        for key, values in hidden.items():
            path = f"{name}[{json.dumps(key, ensure_ascii=False)}]"
            leaves.append(
                redactor.leaf(path, canonical.bytes_values(sorted(values))) if any(values) else Leaf(path, empty=True)
            )
        return kept
