"""What the soak calls: servers whose every message names its call, and the plan of one call with all that may come of it.

A request's `text` says how the handler ends, its `number` how many messages a server stream gives, its `blob` begins with the
call's mark. `linger`: the handler answers only when its client has gone.
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
CODES = {
    "return": grpc.StatusCode.OK,
    "linger": grpc.StatusCode.OK,
    "abort": grpc.StatusCode.INVALID_ARGUMENT,
    "abort_with_status": grpc.StatusCode.NOT_FOUND,
    "set_code": grpc.StatusCode.FAILED_PRECONDITION,
    "raise": grpc.StatusCode.UNKNOWN,
}
CUT = {"cancel": grpc.StatusCode.CANCELLED, "deadline": grpc.StatusCode.DEADLINE_EXCEEDED}


def mark_of(note):
    return note.blob.partition(b"|")[0]


def answer(mark, number):
    return Note(text="answer", number=number, blob=mark + b"|")


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

    @property
    def codes(self):
        """The codes with which it may end, on whichever side."""
        own = {CODES[self.ending]}
        return own | {CUT[self.cut]} if self.cut else own


def drawn(draw, flavour, number):
    """A random plan."""
    kind = draw.choice(("Unary", "ClientStream", "ServerStream", "Bidi"))
    cut = draw.choice(("", "", "", "cancel", "deadline"))
    ending = "linger" if cut and draw.random() < 0.5 else draw.choice(ENDINGS)
    if never_ended_by_grpc(flavour, kind, ending) or (flavour == "threads" and ending == "abort_with_status"):
        ending = "set_code"
    mirror_id = f"{flavour}-{number}"
    mark, streamed = mirror_id.encode(), draw.randrange(1, 6)
    padding = b"." * draw.choice((0, 100, 2_000, 40_000))
    requests = tuple(
        Note(text=ending, number=streamed, blob=b"%b|%d|%b" % (mark, n, padding)).SerializeToString()
        for n in range(streamed if kind in STREAMS_IN else 1)
    )
    given = streamed if kind in STREAMS_OUT else 0
    responses = tuple(answer(mark, n).SerializeToString() for n in range(given + 1))
    soon = draw.uniform(0.001, 0.1) if ending != "linger" else draw.uniform(0.05, 0.4)
    return Plan(mirror_id, flavour, kind, ending, requests, responses, bool(number % 2), cut, soon if cut else 0)


class _Sync:
    """Handlers as functions and generators. `ended`: the marks of those that came to their end."""

    def __init__(self):
        self.ended = set()

    def end(self, note, context):
        ending = note.text
        context.set_trailing_metadata(TRAILING)
        if ending == "linger":
            gone = threading.Event()
            if context.add_callback(gone.set) is not False:
                gone.wait(LINGER_S)
        self.ended.add(mark_of(note))
        if ending == "abort":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "nope")
        if ending == "abort_with_status":
            context.abort_with_status(STATUS)
        if ending == "set_code":
            context.set_code(grpc.StatusCode.FAILED_PRECONDITION)
            context.set_details("half")
        if ending == "raise":
            raise ValueError("oops")

    def Unary(self, request, context):
        self.end(request, context)
        return answer(mark_of(request), 0)

    def ClientStream(self, requests, context):
        first, *_ = requests
        self.end(first, context)
        return answer(mark_of(first), 0)

    def ServerStream(self, request, context):
        for number in range(request.number):
            yield answer(mark_of(request), number)
        self.end(request, context)
        yield answer(mark_of(request), request.number)

    def Bidi(self, requests, context):
        number, request = 0, None
        for request in requests:
            yield answer(mark_of(request), number)
            number += 1
        if request is not None:
            self.end(request, context)
            yield answer(mark_of(request), number)


class _Aio:
    """Coroutines and async generators."""

    def __init__(self):
        self.ended = set()

    async def end(self, note, context):
        ending = note.text
        context.set_trailing_metadata(TRAILING)
        if ending == "linger":
            await asyncio.sleep(LINGER_S)
        self.ended.add(mark_of(note))
        if ending == "abort":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "nope")
        if ending == "abort_with_status":
            await context.abort_with_status(STATUS)
        if ending == "set_code":
            context.set_code(grpc.StatusCode.FAILED_PRECONDITION)
            context.set_details("half")
        if ending == "raise":
            raise ValueError("oops")

    async def Unary(self, request, context):
        await self.end(request, context)
        return answer(mark_of(request), 0)

    async def ClientStream(self, requests, context):
        first, *_ = [request async for request in requests]
        await self.end(first, context)
        return answer(mark_of(first), 0)

    async def ServerStream(self, request, context):
        for number in range(request.number):
            yield answer(mark_of(request), number)
        await self.end(request, context)
        yield answer(mark_of(request), request.number)

    async def Bidi(self, requests, context):
        number, request = 0, None
        async for request in requests:
            yield answer(mark_of(request), number)
            number += 1
        if request is not None:
            await self.end(request, context)
            yield answer(mark_of(request), number)


class _Writer(_Aio):
    """Coroutines that read and write through the context."""

    async def ClientStream(self, _requests, context):
        first = None
        while (request := await context.read()) is not grpc.aio.EOF:
            first = first or request
        await self.end(first, context)
        return answer(mark_of(first), 0)

    async def ServerStream(self, request, context):
        for number in range(request.number):
            await context.write(answer(mark_of(request), number))
        await self.end(request, context)
        await context.write(answer(mark_of(request), request.number))

    async def Bidi(self, _requests, context):
        number, last = 0, None
        while (request := await context.read()) is not grpc.aio.EOF:
            last = request
            await context.write(answer(mark_of(last), number))
            number += 1
        if last is not None:
            await self.end(last, context)
            await context.write(answer(mark_of(last), number))


SERVICES = {"sync": _Sync, "threads": _Sync, "aio": _Aio, "aio_writer": _Writer}
DETAILS = {"abort_with_status": RICH}
