"""A real HTTP server that keeps what it was told, and fails as a test says; not a test."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Told:
    """One request."""

    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Hook:
    """`statuses` are answered one after the other, the last for ever; `told` are the requests in order."""

    def __init__(self, *statuses: int, location: str = "", url: str = "") -> None:
        self.statuses, self.location = list(statuses) or [204], location
        self.told: queue.Queue[Told] = queue.Queue()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.url = url

    def next(self) -> Told:
        """The next request, waited for."""
        return self.told.get(timeout=30)


@contextmanager
def serving(hook: Hook, port: int = 0) -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            hook.told.put(Told({name.lower(): value for name, value in self.headers.items()}, body))
            hook.may_answer.wait(30)
            self.send_response(hook.statuses.pop(0) if len(hook.statuses) > 1 else hook.statuses[0])
            if hook.location:
                self.send_header("location", hook.location)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    hook.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join()
