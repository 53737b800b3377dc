"""What is to become of one outbound call: the part of the client interceptors that both flavours of grpc share."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import MethodOptions

from grpc_mirror.current import SERVED, current_call
from grpc_mirror.outgoing import BLOCKED, RECORDED, SENT, STUBBED, Outgoing
from grpc_mirror.policies import ALLOW, BLOCK, Policies, Policy, Recorded, Stub
from grpc_mirror.settings import Settings
from grpc_mirror.shadow import is_shadow, shadow_reason
from grpc_mirror.shadow_header import sign
from grpc_mirror.stub_types import misfit
from grpc_mirror.v1 import capture_pb2

_LOG = logging.getLogger("grpc_mirror")
_TELEMETRY = "opentelemetry.proto.collector."  # exports of traces, metrics and logs: no part of what a call does
_TOLD_MAX = 100  # methods whose first block is logged


class Plan(NamedTuple):
    """What is to become of one outbound call."""

    method: str
    policy: Policy
    header: str  # to stamp on the call; empty: none

    def of_kind(self, kind: capture_pb2.CallKind) -> Plan:
        """For this kind of call: a stream of requests is not looked up, so there the policy's other way holds."""
        streamed = kind in (capture_pb2.CALL_KIND_CLIENT_STREAM, capture_pb2.CALL_KIND_BIDI_STREAM)
        return self._replace(policy=self.policy.otherwise) if streamed and isinstance(self.policy, Recorded) else self

    def outgoing(self, kind: capture_pb2.CallKind, timeout_s: float | None) -> Outgoing:
        """The watch over this call."""
        policy = BLOCKED
        if self.policy == ALLOW:
            policy = SENT
        elif isinstance(self.policy, Stub):
            policy = STUBBED
        elif isinstance(self.policy, Recorded):
            policy = RECORDED  # until it turns out that nothing was
        return Outgoing(self.method, kind, policy, timeout_s=timeout_s)


class Guard:
    """Decides for each call of a channel. In a process that is no shadow, calls outside mirrored ones cost a look."""

    def __init__(self, policies: Policies, key: str = "", clock: Callable[[], float] = time.time) -> None:
        """Raises SettingsError where `MIRROR_ROLE` is wrong. `clock` gives unix seconds."""
        self._policies = policies
        self._key = key
        self._clock = clock
        self._shadow = is_shadow()
        self._told: set[str] = set()

    def plan(self, method: str | bytes) -> Plan | None:
        """The plan for a call of `/pkg.Service/Method`; None: pass it on untouched."""
        served = SERVED.get()
        if served is None and not self._shadow:
            return None
        text = method.decode() if isinstance(method, bytes) else method
        name = text.removeprefix("/")
        if name.startswith(_TELEMETRY):
            return None
        if not self._shadow and (served is None or served.mark is None):
            return Plan(name, ALLOW, "")
        policy = self._policies.of(name)
        if policy == BLOCK:
            self.tell(name)
        header = ""
        if self._key and policy == ALLOW:
            call = current_call()
            header = sign(self._key, call.id if call else "", self._clock())
        return Plan(name, policy, header)

    def otherwise(self, method: str, policy: Recorded, outgoing: Outgoing) -> Policy:
        """What holds now that nobody knows what the primary was told."""
        if isinstance(policy.otherwise, Stub):
            outgoing.stand_in()
        else:
            outgoing.refused()
            self.tell(method, recorded=True)
        return policy.otherwise

    def tell(self, method: str, *, recorded: bool = False) -> None:
        """Log that a call is blocked, once a method; `recorded`: for want of what the primary was told."""
        if method not in self._told and len(self._told) < _TOLD_MAX:
            self._told.add(method)
            _LOG.warning("%s (logged once a method)", blocked_text(method, recorded=recorded))


def guard_of(settings: Settings, policies: Mapping[str, Policy] | None, default: Policy) -> Guard:
    """The guard of one interceptor. A pattern given in code wins over the same one of the settings.

    Raises:
        SettingsError: with every problem.
    """
    from_settings: dict[str, Policy] = dict.fromkeys(settings.outbound_allow, ALLOW)
    rules = {**from_settings, **(policies or {})}
    allow_safe = settings.outbound_allow_safe
    return Guard(
        Policies(rules, default=default, allow_safe=allow_safe, is_safe=is_safe, misfit=misfit), settings.shadow_key
    )


def is_safe(method: str) -> bool:
    """Whether the service's descriptor declares `idempotency_level = NO_SIDE_EFFECTS`; False where it is not loaded."""
    service, _, name = method.partition("/")
    try:
        found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    except KeyError:
        return False
    return bool(found.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS)


def blocked_text(method: str, *, recorded: bool) -> str:
    """What the caller is told of a blocked call; `recorded`: its policy is that, and the collector had no answer."""
    blocked = f"grpc-mirror: the call of {method} is blocked, since {shadow_reason()}"
    if recorded:
        return (
            f"{blocked} and the collector has no answer that the primary was told for the same request; the conditions "
            "recorded_... on its page Collector say why"
        )
    return f"{blocked}; give it a policy in client_interceptor(policies=...) or allow it by MIRROR_OUTBOUND_ALLOW"
