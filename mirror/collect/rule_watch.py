"""Watches whether the rules' paths exist, as schemas of methods become known.

Fed with calls and told of new schemas, it says per rule and method whether the path is valid, pending or unknown. It has no
I/O; the pipeline writes its statuses to the store and its news to the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from google.protobuf.descriptor import Descriptor
from grpc_mirror.v1 import capture_pb2

from mirror.core.model import CallRecord, OutboundRecord, Resource, Role
from mirror.core.rules import MethodTypes, PathStatus, Rule, RuleSet, Status, check_paths, merge
from mirror.core.schemas import SchemaBook, SchemaError
from mirror.store.views import RuleStatus

SIDES_MAX: Final = 4096  # (run, method, process version) remembered; beyond, new ones are not checked
_STREAMED: Final = {
    capture_pb2.CALL_KIND_UNARY: False,
    capture_pb2.CALL_KIND_CLIENT_STREAM: False,
    capture_pb2.CALL_KIND_SERVER_STREAM: True,
    capture_pb2.CALL_KIND_BIDI_STREAM: True,
}


@dataclass(frozen=True, slots=True)
class _Side:
    """What one build serves under one method."""

    run: str
    method: str
    fingerprint: str
    response_type: str
    streamed: bool | None


class _Made(NamedTuple):
    """What a build asks when it makes a call while it serves a method."""

    run: str
    served: str
    method: str
    fingerprint: str
    request_type: str


class RuleWatch:
    """One owner. `rules` are all of the configuration, those expired included."""

    def __init__(self, rules: RuleSet, schemas: SchemaBook) -> None:
        self._all = rules
        self._rules = rules
        self._expired: tuple[Rule, ...] = ()
        self._changed = True
        self._schemas = schemas
        self._seen: set[tuple[str, str, Resource]] = set()
        self._pending: set[_Side] = set()
        self._seen_made: set[tuple[str, str, str, Role]] = set()
        self._made: set[_Made] = set()
        self._made_known: set[_Made] = set()
        self._checked: dict[_Side, list[PathStatus]] = {}
        self._told: dict[str, Status] = {}

    def on(self, day: date) -> RuleSet:
        """Those that are in force on a day."""
        return self._all.in_force(day)

    def use(self, today: date) -> None:
        """Take the rules in force on `today`: what was checked is checked again."""
        self._rules = self._all.in_force(today)
        self._expired = self._all.expired(today)
        self._pending |= set(self._checked)
        self._checked.clear()
        self._changed = True

    @property
    def in_force(self) -> RuleSet:
        """Those that have not expired."""
        return self._rules

    def see(self, call: CallRecord) -> None:
        """Note what `call` says of its method; cheap where that is known."""
        seen = (call.key.run, call.key.method, call.resource)
        if seen in self._seen or len(self._seen) >= SIDES_MAX:
            return
        self._seen.add(seen)
        capture = capture_pb2.Capture.FromString(call.capture)
        if capture.response_type:
            side = _Side(
                call.key.run,
                call.key.method,
                capture.schema_fingerprint,
                capture.response_type,
                _STREAMED.get(capture.kind),
            )
            if side not in self._checked:
                self._pending.add(side)

    def see_outbound(self, call: OutboundRecord) -> None:
        """Note what a call that a service made says of its request; cheap where that is known."""
        seen = (call.key.run, call.key.method, call.method, call.role)
        if seen in self._seen_made or len(self._seen_made) >= SIDES_MAX:
            return
        self._seen_made.add(seen)
        capture = capture_pb2.Capture.FromString(call.capture)
        if capture.request_type:
            self._made.add(_Made(*seen[:3], capture.schema_fingerprint, capture.request_type))

    def check(self) -> bool:
        """Check what has become known since; whether any status may have changed."""
        for made in [made for made in self._made - self._made_known if self._schemas.known(made.fingerprint)]:
            self._made_known.add(made)
            again = [side for side in self._checked if (side.run, side.method) == made[:2]]
            self._pending.update(again)
            for side in again:
                del self._checked[side]
        for side in [side for side in self._pending if self._schemas.known(side.fingerprint)]:
            self._pending.discard(side)
            self._checked[side] = self._check(side)
            self._changed = True
        changed, self._changed = self._changed, False
        return changed

    def statuses(self) -> Iterator[RuleStatus]:
        """Of every rule, by run and method; of those that no method has told about, and of expired ones, without."""
        by_method: dict[tuple[str, str], list[PathStatus]] = {}
        for side, found in self._checked.items():
            by_method.setdefault((side.run, side.method), []).extend(found)
        told = set()
        for (run, method), found in by_method.items():
            for rule_id, status in merge(found).items():
                told.add(rule_id)
                yield RuleStatus(rule_id, run, method, str(status.status), status.problem)
        for rule in self._rules.rules:
            if rule.id not in told:
                yield RuleStatus(rule.id, "", "", str(Status.PENDING), "no call that this rule is for was seen yet")
        for rule in self._expired:
            yield RuleStatus(rule.id, "", "", "expired", f"it applied until {rule.expires}")

    def news(self) -> Iterator[str]:
        """One line for each rule whose path turned out unknown or misused since, or valid after all."""
        for rule_id, status in merge(found for side in self._checked.values() for found in side).items():
            before = self._told.get(rule_id)
            bad = status.status in (Status.UNKNOWN, Status.MISUSED)
            if bad and before is not status.status:
                yield f"rule {rule_id!r} matches nothing in the methods seen so far: {status.problem}"
            elif status.status is Status.VALID and before in (Status.UNKNOWN, Status.MISUSED):
                yield f"rule {rule_id!r}: a method that has its path was seen now"
            self._told[rule_id] = status.status

    def _check(self, side: _Side) -> list[PathStatus]:
        try:
            response = self._schemas.descriptor(side.fingerprint, side.response_type)
        except SchemaError:
            response = None  # a schema that lacks its own type tells nothing
        outbound = self._outbound(side.run, side.method)
        return check_paths(self._rules, MethodTypes(side.run, side.method, response, side.streamed, outbound))

    def _outbound(self, run: str, method: str) -> dict[str, tuple[Descriptor, ...]]:
        found: dict[str, tuple[Descriptor, ...]] = {}
        for made in sorted(made for made in self._made_known if made[:2] == (run, method)):
            with suppress(SchemaError):
                known = found.get(made.method, ())
                found[made.method] = (*known, self._schemas.descriptor(made.fingerprint, made.request_type))
        return found
