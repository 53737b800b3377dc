"""grpc's interop TestService, sync and aio, as its specification says (grpc/doc/interop-test-descriptions.md)."""

from __future__ import annotations

import asyncio
import time

import grpc

from tests.live.interop import message

INITIAL, TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
CODES = {code.value[0]: code for code in grpc.StatusCode}


def echoed(context):
    """(initial, trailing) metadata that a call asks for."""
    asked = dict(context.invocation_metadata() or ())
    return tuple(((key, asked[key]),) if key in asked else () for key in (INITIAL, TRAILING))


def reply(size):
    return message("StreamingOutputCallResponse")(payload={"body": bytes(size)})


class Sync:
    def empty(self, _request, _context):
        return message("Empty")()

    def unary(self, request, context):
        self._echo(context)
        self._status(request, context)
        return message("SimpleResponse")(payload={"body": bytes(request.response_size)})

    def input(self, requests, _context):
        total = sum(len(request.payload.body) for request in requests)
        return message("StreamingInputCallResponse")(aggregated_payload_size=total)

    def output(self, request, _context):
        for parameters in request.response_parameters:
            time.sleep(parameters.interval_us / 1e6)
            yield reply(parameters.size)

    def duplex(self, requests, context):
        self._echo(context)
        for request in requests:
            self._status(request, context)
            yield from self.output(request, context)

    def _echo(self, context):
        initial, trailing = echoed(context)
        context.set_trailing_metadata(trailing)
        if initial:
            context.send_initial_metadata(initial)

    def _status(self, request, context):
        if request.response_status.code:
            context.abort(CODES[request.response_status.code], request.response_status.message)


class Aio:
    async def empty(self, _request, _context):
        return message("Empty")()

    async def unary(self, request, context):
        await self._echo(context)
        await self._status(request, context)
        return message("SimpleResponse")(payload={"body": bytes(request.response_size)})

    async def input(self, requests, _context):
        total = 0
        async for request in requests:
            total += len(request.payload.body)
        return message("StreamingInputCallResponse")(aggregated_payload_size=total)

    async def output(self, request, _context):
        for parameters in request.response_parameters:
            await asyncio.sleep(parameters.interval_us / 1e6)
            yield reply(parameters.size)

    async def duplex(self, requests, context):
        await self._echo(context)
        async for request in requests:
            await self._status(request, context)
            async for response in self.output(request, context):
                yield response

    async def _echo(self, context):
        initial, trailing = echoed(context)
        context.set_trailing_metadata(trailing)
        if initial:
            await context.send_initial_metadata(initial)

    async def _status(self, request, context):
        if request.response_status.code:
            await context.abort(CODES[request.response_status.code], request.response_status.message)


def handlers(service):
    """The generic handler of one of the two."""
    makers = {
        "EmptyCall": (grpc.unary_unary_rpc_method_handler, service.empty, "Empty"),
        "UnaryCall": (grpc.unary_unary_rpc_method_handler, service.unary, "SimpleRequest"),
        "StreamingInputCall": (grpc.stream_unary_rpc_method_handler, service.input, "StreamingInputCallRequest"),
        "StreamingOutputCall": (grpc.unary_stream_rpc_method_handler, service.output, "StreamingOutputCallRequest"),
        "FullDuplexCall": (grpc.stream_stream_rpc_method_handler, service.duplex, "StreamingOutputCallRequest"),
    }
    methods = {
        name: make(behavior, message(request).FromString, lambda response: response.SerializeToString())
        for name, (make, behavior, request) in makers.items()
    }
    return grpc.method_handlers_generic_handler("grpc.testing.TestService", methods)
