"""The span of a call: its id, and how it becomes the handler's current one where nobody else made one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from grpc_mirror import propagation

# The key under which a context holds its span.
SPAN_KEY = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, otel_context.Context())))


def _variable() -> ContextVar[Any] | None:
    """The variable beneath OpenTelemetry's own get_current, attach and detach, where it is all that they are."""
    variable = getattr(getattr(otel_context, "_RUNTIME_CONTEXT", None), "_current_context", None)
    return variable if isinstance(variable, ContextVar) and variable.get() is otel_context.get_current() else None


def _runtime() -> tuple[Callable[[], Any], Callable[[Any], Any], Callable[[Any], None]]:
    """These three, each of which is two function calls over one of the variable's: on the way of every call that counts."""
    if VARIABLE is not None:
        return VARIABLE.get, VARIABLE.set, VARIABLE.reset
    return otel_context.get_current, otel_context.attach, otel_context.detach


VARIABLE = _variable()
current_context, attach, detach = _runtime()


class LedSpan(trace.NonRecordingSpan):
    """Our span as the handler's current one, below a remote parent: its trace, its flags.

    Few handlers ask for it, so the header is read when one does.
    """

    _made: trace.SpanContext | None = None

    def __init__(self, traceparent: str, start_ns: int) -> None:
        self._traceparent = traceparent
        self._start_ns = start_ns

    def get_span_context(self) -> trace.SpanContext:
        """The context; invalid where the header is. Threads that ask at once may be given equal ones."""
        if self._made is None:
            parent = propagation.parse_traceparent(self._traceparent.strip())
            span_id = propagation.span_id_of(self._start_ns)
            self._made = trace.INVALID_SPAN_CONTEXT if parent is None else _span_context(parent, span_id)
        return self._made

    def __repr__(self) -> str:
        return f"LedSpan({self._traceparent!r})"


def _span_context(parent: propagation.SpanRef, span_id: bytes) -> trace.SpanContext:
    return trace.SpanContext(
        int.from_bytes(parent.trace_id, "big"),
        int.from_bytes(span_id, "big"),
        is_remote=False,
        trace_flags=trace.TraceFlags(parent.flags),
    )


def led(metadata: Iterable[tuple[str, Any]], start_ns: int) -> tuple[propagation.SpanRef | None, Any]:
    """(the span that is current already, the OpenTelemetry context to run the handler in).

    At most one of the two; neither where nothing is current and no parent was sent.
    """
    context = current_context()
    if context:
        current = trace.get_current_span(context).get_span_context()
        if current.is_valid:
            ids = current.trace_id.to_bytes(16, "big"), current.span_id.to_bytes(8, "big")
            return propagation.SpanRef(*ids, int(current.trace_flags)), None
    for key, value in metadata:  # only below a remote parent: a synthetic root would override the service's own sampler
        if key == "traceparent" and value and isinstance(value, str):
            break
    else:
        return None, None
    span = LedSpan(value, start_ns)
    return None, trace.set_span_in_context(span, context) if context else otel_context.Context({SPAN_KEY: span})


def in_context(context: Any, function: Callable[..., Any], *args: Any) -> Any:
    """Run a function with an OpenTelemetry context attached, or as it is where that is None."""
    if context is None:
        return function(*args)
    token = attach(context)
    try:
        return function(*args)
    finally:
        detach(token)
