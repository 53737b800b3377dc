"""OTLP over HTTP to receivers that mean no good, or that vanish: how long it takes, and what is counted."""

import contextlib
import gc
import os
import socket
import ssl
import threading
import time

import pytest
from grpc_mirror.settings import Settings, SettingsError
from grpc_mirror.sinks.http_answers import Begun, result_of
from grpc_mirror.sinks.over_http import HttpChannel

from tests.interceptors.test_over_http import HTTP, server_tls
from tests.interceptors.test_sender import record
from tests.interceptors.test_tls import authority  # noqa: F401 - a fixture

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@contextlib.contextmanager
def serving(serve):
    """`serve(connection)` for each connection, in a thread of its own; the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=run, args=(connection,), daemon=True).start()

        def run(connection):
            with contextlib.suppress(OSError), connection:
                serve(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def channel_to(port, **more):
    return HttpChannel(Settings(**{"endpoint": f"127.0.0.1:{port}", "protocol": HTTP, **more}))


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"t: v\r\n"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n", b"b"),
        (b"HTTP/1.1 200 OK\r\n", b"h"),
    ],
    ids=["continue", "trailers", "body", "header"],
)
def test_an_answer_that_never_ends_is_given_up_in_time(first, again):
    """However it drips: the time is that of the whole export."""
    over = threading.Event()

    def serve(connection):
        connection.recv(65536)
        connection.sendall(first)
        while not over.wait(0.01):
            connection.sendall(again)

    with serving(serve) as port:
        channel = channel_to(port)
        results = []
        thread = threading.Thread(target=lambda: results.append(channel.send([b"spans"], 0.3)), daemon=True)
        thread.start()
        thread.join(10)
        over.set()
        assert [result.reason for result in results] == ["DEADLINE_EXCEEDED"]
        channel.close()


def test_what_comes_before_an_answer_is_none():
    """103, or another of 1xx: the answer comes later, and the next batch gets its own."""

    def serve(connection):
        for number in range(2):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
            connection.sendall(OK if number else b"HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n")

    with serving(serve) as port:
        channel = channel_to(port)
        assert [channel.send([b"spans"], 20).reason for _ in range(2)] == ["HTTP 503", ""]
        channel.close()


@pytest.mark.parametrize("status", [200, 202, 204])
def test_what_was_taken_is_no_failure(status):
    assert result_of(status, None, b"", "").ok


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:99999999999 GMT",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
    ],
)
def test_a_date_that_is_none_is_not_heeded(date):
    result = result_of(503, date, b"", "")
    assert (result.retryable, result.retry_after_s) == (True, None)


def cut(sending, settings):
    """A sender whose export is under way and hangs; it is stopped."""
    sender, _ = sending(settings)
    sender.put(record())
    return sender


def hanging(endpoint, **more):
    return Settings(endpoint=endpoint, protocol=HTTP, batch_age_s=0.01, flush_on_sigterm=False, **more)


def test_calls_of_an_export_on_a_kept_connection_that_is_cut_short_are_lost_by_the_shutdown(sending):
    """And it says so."""
    hangs = threading.Event()

    def serve(connection):
        connection.recv(65536)
        connection.sendall(OK)
        while connection.recv(65536):
            hangs.set()

    with serving(serve) as port:
        sender, _ = sending(hanging(f"127.0.0.1:{port}"))
        sender.put(record("1"))
        assert sender.flush(20)
        sender.put(record("2"))
        assert hangs.wait(20)
        assert not sender.shutdown(0.1)
        assert not sender._thread.is_alive()
        assert sender.counts().dropped == {"shutdown": 1}


@contextlib.contextmanager
def silent():
    """The port of an address where nobody answers: the queue of connections is full."""
    with socket.socket() as server, contextlib.ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def test_of_several_addresses_a_silent_one_leaves_time_for_the_next(monkeypatch):
    def serve(connection):
        connection.recv(65536)
        connection.sendall(OK)

    with silent() as first, serving(serve) as second, silent() as third:
        ports = [first, second]
        stands_for = lambda port: (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))  # noqa: E731
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [stands_for(port) for port in ports])
        channel = channel_to(1)
        assert channel.send([b"spans"], 3).ok
        channel.close()
        ports[1:] = [third]
        channel = channel_to(1)
        assert channel.send([b"spans"], 0.3).reason == "DEADLINE_EXCEEDED"
        channel.close()


def test_a_shutdown_while_it_connects(sending):
    with silent() as port:
        sender = cut(sending, hanging(f"127.0.0.1:{port}"))
        assert not sender.flush(0.2)
        assert not sender.shutdown(0.1)
        assert not sender._thread.is_alive()
        assert sender.counts().dropped == {"shutdown": 1}


def test_a_shutdown_within_the_handshake(sending, authority):  # noqa: F811
    with serving(lambda connection: [None for _ in iter(lambda: connection.recv(65536), b"")]) as port:
        use = hanging(f"localhost:{port}", ca_file=str(authority("ours").file))
        sender = cut(sending, use)
        assert not sender.flush(0.2)
        assert not sender.shutdown(0.1)
        assert not sender._thread.is_alive()
        assert sender.counts().dropped == {"shutdown": 1}


def test_no_descriptor_is_left_behind(authority):  # noqa: F811
    """By peers that vanish at any byte of their answer, plain and in the handshake."""
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n\x0a\x00\r\n0\r\n\r\n"
    left = iter(range(len(answer)))

    def serve(connection):
        while connection.recv(65536):
            connection.sendall(answer[: next(left, 0)])
            connection.shutdown(socket.SHUT_WR)

    def descriptors():
        return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the names

    with serving(serve) as port:
        use = channel_to(port), channel_to(port, tls=True, ca_file=str(authority("ours").file))
        deadline = time.monotonic() + 20
        before = len(descriptors())
        results = [use[0].send([b"spans"], 5) for _ in answer[: answer.index(b"0\r\n\r\n")]]
        results.append(use[1].send([b"spans"], 5))
        for channel in use:
            channel.close()
        while len(descriptors()) > before and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        assert len(descriptors()) <= before
    assert not any(result.ok for result in results)
    assert {result.reason for result in results} == {"UNAVAILABLE"}


@pytest.mark.parametrize("unwrapped", [False, True])
def test_a_kept_tls_connection_that_the_other_side_closed_costs_nothing(authority, unwrapped):  # noqa: F811
    """With a farewell or without."""
    ca = authority("ours")
    context = server_tls(ca.issue("localhost"))
    closed = threading.Semaphore(0)

    def serve(connection):
        tls = context.wrap_socket(connection, server_side=True)
        tls.recv(65536)
        tls.sendall(OK)
        if unwrapped:
            with contextlib.suppress(OSError):
                tls.settimeout(0.1)
                tls.unwrap()
        tls.close()
        closed.release()

    with serving(serve) as port:
        channel = channel_to(port, endpoint=f"localhost:{port}", ca_file=str(ca.file))
        for _ in range(3):
            assert channel.send([bytes(1000)], 20).ok
            assert closed.acquire(timeout=20)
        channel.close()


def test_a_refusal_over_tls_before_the_request_was_read_is_heard(authority):  # noqa: F811
    ca = authority("ours")
    context = server_tls(ca.issue("localhost"))

    def serve(connection):
        tls = context.wrap_socket(connection, server_side=True)
        tls.recv(1000)
        tls.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\nconnection: close\r\n\r\nmuch")
        with contextlib.suppress(OSError, ssl.SSLError):
            while tls.recv(65536):
                pass

    with serving(serve) as port:
        channel = channel_to(port, endpoint=f"localhost:{port}", ca_file=str(ca.file))
        result = channel.send([bytes(100_000)] * 50, 20)
        assert (result.too_large, result.words) == (True, "much")
        channel.close()


def test_the_host_is_named_as_the_network_names_it():
    heads = {
        "b\u00fccher.example:4318": b"Host: xn--bcher-kva.example:4318\r\n",
        "\u043f\u0440\u0438\u043c\u0435\u0440:4318": b"Host: xn--e1afmkfd:4318\r\n",
        "[::1]:4318": b"Host: [::1]:4318\r\n",
    }
    for endpoint, host in heads.items():
        assert host in HttpChannel(Settings(endpoint=endpoint))._head


@pytest.mark.parametrize("endpoint", ["a..b:4318", ".a:4318", "a" * 64 + ":4318"])
def test_a_host_that_is_no_name_is_told_at_the_start(endpoint):
    with pytest.raises(SettingsError, match="the host is no name"):
        Settings(endpoint=endpoint)


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\nabc", "UNAVAILABLE", "read length"),
        (b"HTTP/1.1 307 Go\r\nlocation: https://x/\r\ncontent-length: 1\r\n\r\n<", "HTTP 307", "Go: https://x/"),
        (b"HTTP/1.1 307 Go\r\ncontent-length: 1\r\n\r\n<", "HTTP 307", "<"),
    ],
)
def test_what_is_told_of_an_odd_answer(answer, reason, words):
    def serve(connection):
        connection.recv(65536)
        connection.sendall(answer)

    with serving(serve) as port:
        channel = channel_to(port)
        gc.collect()
        gc.disable()
        try:
            result = channel.send([b"spans"], 20)
            assert not [one for one in gc.get_objects() if isinstance(one, Begun)]
        finally:
            gc.enable()
        channel.close()
    assert (result.ok, result.reason) == (False, reason)
    assert words in result.words


def test_the_other_side_hears_of_a_close_though_a_child_was_forked():
    """The child has a copy of the descriptor, which keeps the connection."""
    heard = threading.Event()

    def serve(connection):
        connection.recv(65536)
        connection.sendall(OK)
        if not connection.recv(65536):
            heard.set()

    with serving(serve) as port:
        channel = channel_to(port)
        assert channel.send([b"spans"], 20).ok
        copy = os.dup(channel._sock.fileno())
        try:
            channel.close()
            assert heard.wait(10)
        finally:
            os.close(copy)
