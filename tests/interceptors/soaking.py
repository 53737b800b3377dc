"""What the soak calls: servers whose every message names its call, and the plan of one call with all that may come of it.

A request's `text` says how the handler ends, its `number` how many messages a server stream gives; `blob` names the call. `linger`: the handler answers only when its client has gone.
"""

# ruff: noqa: N802 - gRPC names handlers after their methods

import asyncio
import threading
from dataclasses import dataclass, field

import grpc

from tests.interceptors.echo import Note
from tests.interceptors.servers import RICH, STATUS, TRAILING, never_ended_by_grpc

STREAMS_IN = ("ClientStream", "Bidi")
STREAMS_OUT = ("ServerStream", "Bidi")
ENDINGS = ("return", "return", "abort", "abort_with_status", "set_code", "raise")
LINGER_S = 30
NOTHING = "return"  # how a handler ends that was given no request: the client had gone, which looks like the end of its stream
CODES = {
    "return": grpc.StatusCode.OK,
    "linger": grpc.StatusCode.OK,
    "abort": grpc.StatusCode.INVALID_ARGUMENT,
    "abort_with_status": grpc.StatusCode.NOT_FOUND,
    "set_code": grpc.StatusCode.FAILED_PRECONDITION,
    "raise": grpc.StatusCode.UNKNOWN,
}
CUT = {"cancel": grpc.StatusCode.CANCELLED, "deadline": grpc.StatusCode.DEADLINE_EXCEEDED}


def answer(mark, number):
    """The response of this number; no other call has an equal one."""
    return Note(text="answer", number=number, blob=mark.encode())


@dataclass(frozen=True)
class Plan:
    """One call. `cut`: by its client, and how; `after_s`: when."""

    mirror_id: str
    flavour: str
    kind: str
    ending: str
    requests: tuple[bytes, ...] = field(repr=False)
    responses: tuple[bytes, ...] = field(repr=False)  # all that the handler would give
    gzipped: bool
    cut: str
    after_s: float


def drawn(draw, flavour, number):
    """A random plan."""
    kind = draw.choice(("Unary", "ClientStream", "ServerStream", "Bidi"))
    cut = draw.choice(("", "", "", "cancel", "deadline"))
    ending = "linger" if cut and draw.random() < 0.5 else draw.choice(ENDINGS)
    if never_ended_by_grpc(flavour, kind, ending) or (flavour == "threads" and ending == "abort_with_status"):
        ending = "set_code"
    mirror_id = f"{flavour}-{number}"
    streamed = draw.randrange(1, 6)
    padding = b"." * draw.choice((0, 100, 2_000, 40_000))
    requests = tuple(
        Note(text=ending, number=streamed, blob=b"%b|%d|%b" % (mirror_id.encode(), n, padding)).SerializeToString()
        for n in range(streamed if kind in STREAMS_IN else 1)
    )
    given = streamed if kind in STREAMS_OUT else 0
    responses = tuple(answer(mirror_id, n).SerializeToString() for n in range(given + 1))
    soon = draw.uniform(0.001, 0.1) if ending != "linger" else draw.uniform(0.05, 0.4)
    return Plan(mirror_id, flavour, kind, ending, requests, responses, bool(number % 2), cut, soon if cut else 0)


def _mirror_id(context):
    return dict(context.invocation_metadata())["x-mirror-id"]


class _Told:
    """`ended`: with which code the handler of a call came to its end, by the call's id."""

    def __init__(self):
        self.ended = {}

    def note_end(self, ending, context):
        """It is about to end, and how."""
        context.set_trailing_metadata(TRAILING)
        self.ended[_mirror_id(context)] = CODES[ending]
        if ending == "set_code":
            context.set_code(grpc.StatusCode.FAILED_PRECONDITION)
            context.set_details("half")
        if ending == "raise":
            raise ValueError("oops")


class _Sync(_Told):
    """Handlers as functions and generators."""

    def end(self, ending, context):
        if ending == "linger":
            gone = threading.Event()
            if context.add_callback(gone.set) is not False:
                gone.wait(LINGER_S)
        self.note_end(ending, context)
        if ending == "abort":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "nope")
        if ending == "abort_with_status":
            context.abort_with_status(STATUS)

    def Unary(self, request, context):
        self.end(request.text, context)
        return answer(_mirror_id(context), 0)

    def ClientStream(self, requests, context):
        self.end([*(request.text for request in requests), NOTHING][0], context)
        return answer(_mirror_id(context), 0)

    def ServerStream(self, request, context):
        for number in range(request.number):
            yield answer(_mirror_id(context), number)
        self.end(request.text, context)
        yield answer(_mirror_id(context), request.number)

    def Bidi(self, requests, context):
        number, ending = 0, NOTHING
        for request in requests:
            ending = request.text
            yield answer(_mirror_id(context), number)
            number += 1
        self.end(ending, context)
        yield answer(_mirror_id(context), number)


class _Aio(_Told):
    """Coroutines and async generators."""

    async def end(self, ending, context):
        if ending == "linger":
            await asyncio.sleep(LINGER_S)
        self.note_end(ending, context)
        if ending == "abort":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "nope")
        if ending == "abort_with_status":
            await context.abort_with_status(STATUS)

    async def Unary(self, request, context):
        await self.end(request.text, context)
        return answer(_mirror_id(context), 0)

    async def ClientStream(self, requests, context):
        await self.end([*[request.text async for request in requests], NOTHING][0], context)
        return answer(_mirror_id(context), 0)

    async def ServerStream(self, request, context):
        for number in range(request.number):
            yield answer(_mirror_id(context), number)
        await self.end(request.text, context)
        yield answer(_mirror_id(context), request.number)

    async def Bidi(self, requests, context):
        number, ending = 0, NOTHING
        async for request in requests:
            ending = request.text
            yield answer(_mirror_id(context), number)
            number += 1
        await self.end(ending, context)
        yield answer(_mirror_id(context), number)


class _Writer(_Aio):
    """Coroutines that read and write through the context."""

    async def ClientStream(self, _requests, context):
        endings = []
        while (request := await context.read()) is not grpc.aio.EOF:
            endings.append(request.text)
        await self.end([*endings, NOTHING][0], context)
        return answer(_mirror_id(context), 0)

    async def ServerStream(self, request, context):
        for number in range(request.number):
            await context.write(answer(_mirror_id(context), number))
        await self.end(request.text, context)
        await context.write(answer(_mirror_id(context), request.number))

    async def Bidi(self, _requests, context):
        number, ending = 0, NOTHING
        while (request := await context.read()) is not grpc.aio.EOF:
            ending = request.text
            await context.write(answer(_mirror_id(context), number))
            number += 1
        await self.end(ending, context)
        await context.write(answer(_mirror_id(context), number))


SERVICES = {"sync": _Sync, "threads": _Sync, "aio": _Aio, "aio_writer": _Writer}
DETAILS = {"abort_with_status": RICH}
