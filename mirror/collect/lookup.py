"""The gRPC method by which a shadow asks what the primary was told: mirror.v1.Recordings/Lookup. A thin shell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import grpc
from google.protobuf.message import DecodeError
from grpc_mirror.v1 import lookup_pb2

from mirror.collect.counters import Counters
from mirror.collect.recordings import Key, Recordings

SERVICE: Final = "mirror.v1.Recordings"
RESULTS: Final = {
    value.number: value.name.removeprefix("LOOKUP_RESULT_").lower()
    for value in lookup_pb2.LookupResult.DESCRIPTOR.values
}


class LookupHandler:
    """Answers from `recordings`. `clock`: unix seconds, the same that stamps arrivals."""

    def __init__(self, recordings: Recordings, counters: Counters, *, clock: Callable[[], float]) -> None:
        self._recordings = recordings
        self._counters = counters
        self._clock = clock

    def handler(self) -> grpc.GenericRpcHandler[bytes, bytes]:
        """For a server's `add_generic_rpc_handlers`."""
        lookup = grpc.unary_unary_rpc_method_handler(self._lookup)
        return grpc.method_handlers_generic_handler(SERVICE, {"Lookup": lookup})

    async def _lookup(self, body: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        try:
            asked = lookup_pb2.LookupRequest.FromString(body)
        except DecodeError:
            self._counters.inc("mirror_lookups_total", result="malformed")
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request is no mirror.v1.LookupRequest")
        key = Key(
            asked.run, asked.mirror_id, asked.served_method, asked.method, bytes(asked.request_hash), asked.ordinal
        )
        found = await self._recordings.lookup(key, asked.wait_ms / 1000, self._clock())
        self._counters.inc("mirror_lookups_total", result=RESULTS[found.result])
        return found.SerializeToString()
