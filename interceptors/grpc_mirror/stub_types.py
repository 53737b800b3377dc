"""Whether a stand-in's answer is what its method answers with, as far as the service's descriptor is loaded. Pure apart from that.

Said of a fixed answer where the policies are given, and of every answer before it reaches the caller: a message of another type
would be taken for what the handler expects and fail far from its cause, or be compared as if the service had answered it.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.message import Message


def misfit(method: str, answer: object, *, streamed: bool | None = None) -> str:
    """What is wrong with an answer of `pkg.Service/Method`; nothing where all is well or nobody can know.

    Args:
        method: whose descriptor is looked for in the default pool.
        answer: one message; of a streamed response also a list or tuple of them. What is no protobuf message may be what the
            channel's own deserialiser makes, so it is let.
        streamed: whether the response is a stream; None: the descriptor says.
    """
    declared = _declared(method)
    if declared is None:
        return ""
    if streamed is None:
        streamed = bool(getattr(declared, "server_streaming", False))
    if isinstance(answer, (list, tuple)):
        if not streamed:
            return f"{method} answers with one {declared.output_type.full_name}, not with a {type(answer).__name__}"
        return next((wrong for one in answer if (wrong := misfit(method, one, streamed=True))), "")
    if answer is None:
        return f"{method} answers with {declared.output_type.full_name}, not with None"
    if isinstance(answer, Message) and answer.DESCRIPTOR.full_name != declared.output_type.full_name:
        return f"{method} answers with {declared.output_type.full_name}, not with {answer.DESCRIPTOR.full_name}"
    return ""


def fitting(method: str, answer: Any) -> Any:
    """A copy of one message of a stand-in, for one call: the caller may change what it gets.

    Raises:
        TypeError: the method answers with another type.
    """
    wrong = misfit(method, answer, streamed=False)
    if wrong:
        raise TypeError(f"grpc-mirror: stub(...): {wrong}")
    if not isinstance(answer, Message):
        return answer
    copy = type(answer)()
    copy.CopyFrom(answer)
    return copy


def _declared(method: str) -> Any:
    service, _, name = method.partition("/")
    try:
        return descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    except KeyError:
        return None
