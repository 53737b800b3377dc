"""The shop's customers: makes the planned calls through Envoy with bounded concurrency, and says what came of them.

    PYTHONPATH=gen/current python -m mirror_demo.load --target 127.0.0.1:10000 --calls 3000 --seed 1

One line of JSON for each step of progress on stdout: {"done": calls, "errors": [...]}. An error is a call that ended with
another status than the plan says; they are cut after 20, `error_count` is the true count.
"""

from __future__ import annotations

import argparse
import json
import queue
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any, Final

import grpc
import shop.v1.shop_pb2 as pb
import shop.v1.shop_pb2_grpc as stubs

from mirror_demo import plan

_TIMEOUT_S: Final = 120.0
_ERRORS_KEPT: Final = 20
_PROGRESS_EVERY_S: Final = 0.2
_SHADOWS_MAX: Final = 48  # in flight at Envoy; more, and the customers wait: a slow machine loses no shadow
_CLIENT_STREAMED: Final = frozenset({"ImportReviews", "Assist"})
_SERVER_STREAMED: Final = frozenset({"ListProducts", "TrackParcel", "Assist"})


class Load:
    """Makes calls from several threads. The lists have one writer each: whoever holds the lock."""

    def __init__(self, calls: list[plan.Call], target: str, *, threads: int, admin: str) -> None:
        self._todo: queue.SimpleQueue[plan.Call] = queue.SimpleQueue()
        for call in calls:
            self._todo.put(call)
        self._target, self._admin, self._threads = target, admin, threads
        self._lock = threading.Lock()
        self._go = threading.Event()
        self._go.set()
        self.done = 0
        self.error_count = 0
        self.errors: list[str] = []

    def run(self) -> None:
        """Make every call; returns when the last has ended."""
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(self._threads)]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            self._pace()
            say({"done": self.done, "errors": self.errors, "error_count": self.error_count})
            workers[0].join(_PROGRESS_EVERY_S) if workers[0].is_alive() else time.sleep(_PROGRESS_EVERY_S)
        say({"done": self.done, "errors": self.errors, "error_count": self.error_count, "end": True})

    def _pace(self) -> None:
        if self._admin and _shadows_in_flight(self._admin) > _SHADOWS_MAX:
            self._go.clear()
        else:
            self._go.set()

    def _work(self) -> None:
        # A connection per thread: Envoy spreads connections, not calls, over its workers.
        options = (("grpc.use_local_subchannel_pool", 1),)
        with grpc.insecure_channel(self._target, options=options) as channel:
            stub = stubs.ShopStub(channel)
            while True:
                self._go.wait()
                try:
                    call = self._todo.get_nowait()
                except queue.Empty:
                    return
                error = _make(stub, call)
                with self._lock:
                    self.done += 1
                    if error:
                        self.error_count += 1
                        self.errors[_ERRORS_KEPT - 1 :] = [error]


def _make(stub: stubs.ShopStub, call: plan.Call) -> str:
    """Make one call; what is wrong with how it ended, or nothing."""
    request_type = pb.DESCRIPTOR.services_by_name["Shop"].methods_by_name[call.method].input_type._concrete_class  # noqa: SLF001 - how a descriptor names its class
    messages = [request_type(**fields) for fields in call.requests]
    try:
        answer: Any = getattr(stub, call.method)(
            iter(messages) if call.method in _CLIENT_STREAMED else messages[0], timeout=_TIMEOUT_S
        )
        if call.method in _SERVER_STREAMED:
            for _ in answer:
                pass
        status, detail = "OK", ""
    except grpc.RpcError as error:
        status, detail = error.code().name, error.details() or ""
    return (
        "" if status == call.status else f"{call.method}: {status} where {call.status} was expected {detail}".rstrip()
    )


def _shadows_in_flight(admin: str) -> int:
    url = f"http://{admin}/stats?filter=cluster.(candidate|secondary).upstream_rq_active$"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
    except (OSError, urllib.error.URLError):
        return 0
    return max((int(line.rpartition(": ")[2]) for line in text.splitlines() if ": " in line), default=0)


def say(record: dict[str, Any]) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Exit 0 also with errors: whoever started us counts them."""
    parser = argparse.ArgumentParser(description="The shop's customers.")
    parser.add_argument("--target", required=True, help="host:port of Envoy")
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--admin", default="", help="host:port of Envoy's admin: shadows in flight are kept few")
    chosen = parser.parse_args()
    Load(plan.make(chosen.calls, chosen.seed), chosen.target, threads=chosen.threads, admin=chosen.admin).run()


if __name__ == "__main__":
    main()
