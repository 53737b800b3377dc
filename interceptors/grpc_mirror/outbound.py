"""The hook for effects that are no gRPC calls of an intercepted channel: payments, mails, HTTP, queues, databases."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from google.protobuf import struct_pb2
from google.protobuf.message import Message

from grpc_mirror.call import FAILED_PRECONDITION, OK, UNKNOWN, type_name
from grpc_mirror.current import is_shadow_call
from grpc_mirror.outgoing import BLOCKED, SENT, STUBBED, Outgoing
from grpc_mirror.shadow import shadow_reason
from grpc_mirror.v1 import capture_pb2

if TYPE_CHECKING:
    from typing_extensions import Self

NAME_MAX_CHARS = 256
Rule: TypeAlias = Literal["block", "allow", "ask"]
_RULES = ("block", "allow", "ask")
Payload: TypeAlias = Message | Mapping[str, Any] | bytes


class OutboundBlocked(RuntimeError):  # noqa: N818 - says what happened, as grpc's own errors do
    """An effect was refused, since it would have happened in a shadow."""


class OutboundEffect:
    """One effect, as the `with` statement gives it.

    Attributes:
        blocked: it must not happen here; the body of `policy="ask"` asks for it.
    """

    def __init__(self, name: str, request: Payload | None, policy: Rule) -> None:
        self._name = name
        self._request = request
        self._policy = policy
        self.blocked = False
        self._answered = False
        self._outgoing: Outgoing | None = None

    def response(self, response: Payload) -> None:
        """What came of it; in a shadow under `policy="ask"` what stands in for that. Of several each counts."""
        self._answered = True
        if self._outgoing is not None:
            self._outgoing.response(_payload(response, self._outgoing))

    def __enter__(self) -> Self:
        shadow = is_shadow_call()
        self.blocked = shadow and self._policy != "allow"
        refused = self.blocked and self._policy == "block"
        policy = BLOCKED if refused else STUBBED if self.blocked else SENT
        outgoing = Outgoing(self._name, capture_pb2.CALL_KIND_UNARY, policy, grpc=False)
        if self._request is not None:
            outgoing.request(_payload(self._request, outgoing))
        if refused:
            text = f"grpc-mirror: {self._name} is blocked, since {shadow_reason()}; see the policies of outbound(...)"
            outgoing.finish(FAILED_PRECONDITION, text)
            raise OutboundBlocked(text)
        self._outgoing = outgoing
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        outgoing = self._outgoing
        if outgoing is None:
            return
        if self.blocked and not self._answered:
            outgoing.refused()
        if error is None:
            outgoing.finish(OK)
        else:
            outgoing.finish(UNKNOWN, raised=type_name(error))


def outbound(name: str, *, request: Payload | None = None, policy: Rule = "block") -> OutboundEffect:
    """Guard and capture one effect.

        with outbound("stripe.charge", request={"amount": 10}) as call:
            call.response(stripe.charge(10))

    In a shadow (`is_shadow_call()`) `policy` says what happens:

    - `block`: the `with` statement raises OutboundBlocked, and its body does not run.
    - `ask`: the body runs, and must do the effect only if not `call.blocked`. What it then gives to `call.response`
      counts as a stand-in.
    - `allow`: the body runs and does it.

    Elsewhere the body runs. While a mirrored call is being served the effect is captured, with what `call.response` is given.
    An exception that leaves the body passes through. A plain `with` serves coroutines too.

    Args:
        name: what is called, the same in both builds: `stripe.charge`. At most NAME_MAX_CHARS, without a slash.
        request: what it is asked: a protobuf message, a mapping as JSON has them, or bytes. Serialised at once.
        policy: see above.

    Raises:
        ValueError: a wrong name or policy.
    """
    if not name or len(name) > NAME_MAX_CHARS or "/" in name:
        raise ValueError(f"outbound: {name!r} is no name; 1 to {NAME_MAX_CHARS} characters without a slash")
    if policy not in _RULES:
        raise ValueError(f"outbound: policy={policy!r}; one of {', '.join(_RULES)}")
    return OutboundEffect(name, request, policy)


def _payload(value: object, outgoing: Outgoing) -> object:
    """A mapping as google.protobuf.Struct; what cannot be one is captured as a message without bytes."""
    if not isinstance(value, Mapping) or not outgoing.captured:
        return value
    struct = struct_pb2.Struct()
    try:
        struct.update(dict(value))
    except (ValueError, TypeError):
        return value
    return struct
