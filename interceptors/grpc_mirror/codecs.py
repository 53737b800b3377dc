"""A handler's deserialiser and serialiser, watched for one call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from grpc_mirror import native
from grpc_mirror.recorder import Recorder
from grpc_mirror.seen import THERE, Message

_make = tuple.__new__
_NATIVE = native.part("calls")


def codecs(
    recorder: Recorder,
    handler: Any,
    on_malformed: Callable[[BaseException | None], None],
) -> tuple[Any, Any]:
    """The handler's deserialiser and serialiser for one call. Nothing that they hold may hold them: no cycle per call."""
    if _NATIVE is not None:
        return (
            _NATIVE.RequestCodec(recorder, handler.request_deserializer, on_malformed, Message, THERE),
            _NATIVE.ResponseCodec(recorder, handler.response_serializer, Message, THERE),
        )
    return (
        _deserializer(recorder, handler.request_deserializer, on_malformed),
        _serializer(recorder, handler.response_serializer),
    )


def _deserializer(recorder: Recorder, original: Any, on_malformed: Callable[[BaseException | None], None]) -> Any:
    """A request deserialiser that sees the bytes of one call.

    `original` None hands the handler raw bytes, and so does this. `on_malformed` gets the exception of the original,
    or None where that gave None.
    """
    observer, seen, start_ns, clock = recorder.observer, recorder.requests, recorder.start_ns, time.perf_counter_ns
    append, first_max, free = seen.messages.append, seen.first_max, observer.free_bytes

    def request(raw: bytes) -> Any:
        try:
            if not recorder.finished:
                count = seen.count
                if count < first_max and raw.__class__ is bytes and seen.held + len(raw) <= free:
                    seen.count, seen.held = (
                        count + 1,
                        seen.held + len(raw),
                    )  # as `add` does it; on the way of every message
                    append(_make(Message, (clock() - start_ns, len(raw), raw, THERE, b"")))
                else:
                    seen.add(raw, clock() - start_ns, observer.budget.reserve, recorder.room)
        except Exception:  # noqa: BLE001 - ours must never reach the service
            observer.fault()
        if original is None:
            return raw
        try:
            message = original(raw)
        except Exception as error:
            on_malformed(error)
            raise
        if message is None:
            on_malformed(None)
        elif seen.type is None:
            seen.type = type(message)
        return message

    return request


def _serializer(recorder: Recorder, original: Any) -> Any:
    """A response serialiser that sees the bytes of one call. The first exception of the original is kept."""
    observer, seen, start_ns, clock = recorder.observer, recorder.responses, recorder.start_ns, time.perf_counter_ns
    append, first_max, free = seen.messages.append, seen.first_max, observer.free_bytes

    def response(message: Any) -> Any:
        if original is None:
            raw = message
        else:
            try:
                raw = original(message)
            except Exception as error:
                if recorder.unsendable is None:
                    recorder.unsendable = error
                raise
            if seen.type is None:
                seen.type = type(message)
        try:
            if not recorder.finished:
                count = seen.count
                if count < first_max and raw.__class__ is bytes and seen.held + len(raw) <= free:
                    seen.count, seen.held = count + 1, seen.held + len(raw)  # as above
                    append(_make(Message, (clock() - start_ns, len(raw), raw, THERE, b"")))
                else:
                    seen.add(raw, clock() - start_ns, observer.budget.reserve, recorder.room)
        except Exception:  # noqa: BLE001 - ours must never reach the service
            observer.fault()
        return raw

    return response
