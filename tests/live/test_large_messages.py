"""Methods with large messages: replicas that each set their own share choose the same calls, and those alone are judged."""

from __future__ import annotations

import contextlib

import grpc
import grpc_mirror
import pytest

from mirror.core.model import Role
from tests.collect.process import CollectorProcess
from tests.interceptors.echo import Note
from tests.interceptors.servers import Client, SyncEcho, handlers, serving

pytestmark = pytest.mark.live
CALLS = 200
MORE_ROOM = 1 << 20  # bytes a second of one method; the candidate has half of it
LARGE = "x" * 100_000


class Old(SyncEcho):
    def Unary(self, request, _context):  # noqa: N802 - as gRPC names it
        return Note(text=request.text, number=1)


class New(SyncEcho):
    """Answers every fifth call with another number, and every tenth with an error."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def Unary(self, request, context):  # noqa: N802 - as gRPC names it
        self.calls += 1
        if not self.calls % 10:
            context.abort(grpc.StatusCode.INTERNAL, "new")
        return Note(text=request.text, number=1 if self.calls % 5 else 2)


@contextlib.contextmanager
def replica(collector, role, echo, version, limit):
    settings = grpc_mirror.Settings(
        endpoint=collector.addresses["otlp_grpc"],
        service_name="echo",
        resource=(("service.version", version), ("service.instance.id", role)),
        method_bytes_per_s=limit,
        queue_max_bytes=256 << 20,
        flush_on_sigterm=False,
    )
    with serving(handlers(echo), [grpc_mirror.server_interceptor(settings)], aio=False) as port:
        client = Client(port)
        yield client
        client.close()


def test_the_calls_that_all_replicas_captured_whole_are_judged_and_no_others(tmp_path):
    with CollectorProcess(tmp_path, runs=["run"]) as collector:
        with contextlib.ExitStack() as stack:
            clients = {
                role: stack.enter_context(replica(collector, role, echo, version, limit))
                for role, echo, version, limit in (
                    (Role.PRIMARY, Old(), "1", MORE_ROOM),
                    (Role.CANDIDATE, New(), "2", MORE_ROOM // 2),
                    (Role.SECONDARY, Old(), "1", MORE_ROOM),
                )
            }
            body = Note(text=LARGE).SerializeToString()
            for number in range(CALLS):
                for role, client in clients.items():
                    headers = (("x-mirror-role", str(role)), ("x-mirror-expect", "candidate,secondary"))
                    client.call("Unary", [body], f"call-{number}", headers)
        assert grpc_mirror.shutdown(30)
        collector.until(lambda: collector.pairs("run") >= CALLS, f"stored {CALLS} pairs")
        (epoch,) = collector.reader().epochs("run")
        counts, left_out = epoch.counts, epoch.counts.reasons["incomparable.not_sampled"]
        assert counts.matched + counts.mismatched + left_out == CALLS
        assert 20 < left_out < CALLS - 30
        judged = CALLS - left_out
        assert counts.triples == judged, "the control had more room, so what the candidate captured it captured too"
        # A fifth differs, errors among them: those that are not looked at are not counted for their status either.
        assert 0.08 * judged < counts.mismatched < 0.35 * judged
        assert f"{left_out:,} pairs were not looked at" in collector.get("/api/v1/verdict?run=run").text
