"""OTLP over HTTP: the same spans on one kept connection, and what each answer, and none, means for a batch."""

import socket
import ssl
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import grpc_mirror
import pytest
from google.rpc.status_pb2 import Status
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.http_answers import result_of
from grpc_mirror.sinks.over_http import HttpChannel
from grpc_mirror.v1 import attributes, otlp_slices_pb2

from tests.interceptors.receiver import HttpReceiver, Receiver
from tests.interceptors.test_delivery import adds_up
from tests.interceptors.test_sender import record
from tests.interceptors.test_tls import authority  # noqa: F401 - a fixture

KIB = 1024
HTTP = "http/protobuf"


@pytest.fixture
def over_http(settings):
    return lambda receiver, **more: replace(settings, **{"endpoint": receiver.endpoint, "protocol": HTTP, **more})


def test_the_spans_are_the_same_as_over_grpc_on_one_connection(receiver, settings, over_http, sending):
    """Large bodies, which go by themselves, and small ones, which go together."""
    sizes = [0, 100, 20 * KIB, 200 * KIB, 15 * KIB, 3, 64 * KIB, 1000]
    with HttpReceiver() as web:
        for use in (settings, over_http(web, bearer="secret")):
            sender, _ = sending(use)
            for number, size in enumerate(sizes):
                sender.put(record(str(number), b"\x0a\x00" + bytes(size)))
                assert sender.flush(20)
        assert [one.span for one in web.calls] == [one.span for one in receiver.calls]
        assert [one.resource.keys() for one in web.calls] == [one.resource.keys() for one in receiver.calls]
        assert len(set(web.peers)) == 1
        assert len(web.requests) >= len(sizes)
        head = web.metadata[0]
        assert (head["path"], head["content-type"]) == ("/v1/traces", "application/x-protobuf")
        assert head["authorization"] == "Bearer secret"


@pytest.mark.parametrize("sink", ["direct", "tracer"])
def test_both_sinks_take_it(over_http, sink):
    """By the port alone nothing of a random one is known, so the protocol is said."""
    with HttpReceiver() as web:
        observer = grpc_mirror.runtime.observer(over_http(web, sink=sink))
        observer.sink.put(record("1"))
        assert web.call("1").span.name == "mirrortest.Echo/Unary"
        grpc_mirror.shutdown(5)


def test_a_connection_that_the_collector_closed_meanwhile_is_no_failure(over_http, sending, caplog):
    """As servers do with idle ones; the batch goes by a new one."""
    with HttpReceiver(lambda _: (200, {"connection": "close"}, b"")) as web:
        sender, _ = sending(over_http(web))
        for number in range(3):
            sender.put(record(str(number)))
            assert sender.flush(20)
        assert len(set(web.peers)) == len(web.peers) >= 3
    assert sender.counts().sent == 3
    assert caplog.text == ""


def test_one_that_breaks_under_an_export_is_replaced_at_once(over_http):
    """The first answer is whole, and then the server's process is gone; another stands in its place."""
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        channel = HttpChannel(Settings(endpoint=f"127.0.0.1:{port}", protocol=HTTP))
        answers = iter(
            [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]
        )

        def serve():
            connection, _ = first.accept()
            for answer in answers:
                connection.recv(65536)
                if not answer:
                    connection.close()
                    connection, _ = first.accept()
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert channel.send([b"one"], 20).ok
        assert channel.send([b"two"], 20).ok
        thread.join()
        channel.close()


@pytest.mark.parametrize("date", [False, True])
def test_the_receiver_says_by_retry_after_when_to_come_back(over_http, sending, date):
    """In seconds or as a date; neither our own shorter pauses nor a flush bring the next try forward."""
    came = []

    def answer(_raw):
        came.append(time.time())
        when = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=2), usegmt=True)
        return (503, {"retry-after": when if date else "1"}, b"") if len(came) == 1 else None

    with HttpReceiver(answer) as web:
        sender, _ = sending(over_http(web))
        sender.put(record("again"))
        web.wait_for(lambda: web.peers)
        assert not sender.flush(0.01)
        web.call("again")
        assert came[1] - came[0] >= 0.9  # a date has whole seconds
        assert sender.flush(20)
        assert sender.counts().sent == 1


@pytest.mark.parametrize(
    "said",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\x0a\x00"],
        [b"HTTP/1.1 2", b"00 OK\r\ncontent-le", b"ngth: 2\r\n\r", b"\n\x0a", b"\x00"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n\x0a\x00\r\n", b"0\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nkeep-alive: timeout=5\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n"],
    ],
)
def test_an_answer_may_come_in_any_form_and_the_connection_is_kept(said):
    """In one piece, as nearly all do, or in several, or in chunks, after a 100, or with more to say."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        channel = HttpChannel(Settings(endpoint=f"127.0.0.1:{server.getsockname()[1]}", protocol=HTTP))
        more = threading.Semaphore(0)

        def serve():
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(3):
                assert connection.recv(65536).endswith(b"\r\n\r\nspans")
                for piece in said:
                    connection.sendall(piece)
                    more.acquire(timeout=0.05)  # the next piece in a packet of its own
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        assert [channel.send([b"spans"], 20) for _ in range(3)] == [result_of(200, None, b"", "OK")] * 3
        channel.close()
        thread.join()


def test_what_is_too_large_for_the_receiver_is_halved_and_a_single_one_dropped(over_http, sending):
    """It says so before it has read all, and closes: what it said is heard all the same."""
    most = 200 * KIB

    def answer(raw):
        return (413, {"connection": "close"}, b"") if len(raw) > most else None

    with HttpReceiver(answer) as web:
        sender, _ = sending(over_http(web, batch_age_s=3600.0))
        for number in range(4):
            sender.put(record(str(number), b"\x0a\x80\x80\x06" + bytes(96 * KIB)))
        sender.put(record("never", b"\x0a\x80\xa0\x0f" + bytes(250 * KIB)))
        assert sender.flush(20)
        assert sorted(call.attributes[attributes.ID] for call in web.calls) == ["0", "1", "2", "3"]
        assert sender.counts().dropped == {"refused_too_large": 1}
        assert adds_up(sender)


def test_an_answer_before_the_request_was_read_is_heard():
    """And the rest of a large request then breaks off, which is not what is told."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        channel = HttpChannel(Settings(endpoint=f"127.0.0.1:{server.getsockname()[1]}", protocol=HTTP))

        def serve():
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\nconnection: close\r\n\r\nmuch")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        result = channel.send([bytes(100 * KIB)] * 50, 20)
        channel.close()
        thread.join()
    assert (result.ok, result.too_large, result.words) == (False, True, "much")


def test_a_refusal_is_told_and_counted_and_the_token_is_not(over_http, sending, caplog):
    body = Status(code=16, message="the token").SerializeToString()
    with HttpReceiver(lambda _: (401, {}, body)) as web:
        sender, _ = sending(over_http(web, bearer="secret"))
        sender.put(record())
        assert sender.flush(20)
        assert sender.counts().dropped == {"export_refused": 1}
    assert "'HTTP 401': 'the token'" in caplog.text
    assert "secret" not in caplog.text


def test_rejected_spans_are_counted(over_http, sending):
    told = otlp_slices_pb2.ExportTraceServiceResponse()
    told.partial_success.rejected_spans = 1
    told.partial_success.error_message = "no trace id"
    with HttpReceiver(lambda _: (200, {}, told.SerializeToString())) as web:
        sender, _ = sending(over_http(web))
        sender.put(record())
        assert sender.flush(20)
        assert sender.counts().dropped == {"rejected": 1}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 2oo OK\r\n\r\n",
        b"h: v\r\n" * 200,
    ],
)
def test_what_answers_no_http_is_tried_again_and_told(over_http, sending, caplog, said):
    """A collector that goes, a proxy that has no upstream, another service's port."""
    came = []

    def serve(server):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            came.append(connection.recv(65536))
            connection.sendall(said)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        settings = over_http(Receiver(), endpoint=f"127.0.0.1:{server.getsockname()[1]}", retry_max_s=0.01)
        sender, _ = sending(settings)
        sender.put(record())
        assert sender.flush(20)
        assert sender.counts().dropped == {"export_failed": 1}
    assert came
    assert "cannot deliver captures: UNAVAILABLE" in caplog.text


def test_grpc_to_a_port_of_http_is_told_with_what_to_do(settings, sending, caplog):
    """The default for HTTP on any port but 4318."""
    with HttpReceiver() as web:
        sender, _ = sending(replace(settings, endpoint=web.endpoint, retry_max_s=0.01))
        sender.put(record())
        assert sender.flush(20)
        assert f"{web.endpoint} (grpc): cannot deliver captures: UNAVAILABLE: 'the port speaks no gRPC;" in caplog.text
        assert "set MIRROR_PROTOCOL=http/protobuf" in caplog.text
        assert "1 captures were dropped (export_failed)" in caplog.text


def test_a_port_of_grpc_is_told_as_no_http(over_http, receiver, sending, caplog):
    """The usual slip: 4317 for 4318."""
    sender, _ = sending(over_http(receiver, retry_max_s=0.01))
    sender.put(record())
    assert sender.flush(20)
    assert (
        "(http/protobuf): cannot deliver captures: UNAVAILABLE: 'the port speaks gRPC: take the port of HTTP (4318)"
        in caplog.text
    )


def test_https_to_a_port_without_tls_is_told_with_what_to_do(over_http, sending, caplog):
    with HttpReceiver() as web:
        sender, _ = sending(over_http(web, endpoint=f"https://{web.endpoint}", retry_max_s=0.01))
        sender.put(record())
        assert sender.flush(20)
    assert "the port speaks no TLS; where it is plain write http://" in caplog.text


def test_a_collector_that_is_silent_or_gone_is_tried_in_time(over_http, sending):
    release = threading.Event()
    with HttpReceiver(lambda _: release.wait(20) and None) as web:
        sender, _ = sending(over_http(web, export_timeout_s=0.2))
        sender.put(record())
        web.wait_for(lambda: len(set(web.peers)) > 1)
        release.set()
        assert sender.flush(20)


@pytest.mark.parametrize("size", [10, 8 << 20])
def test_a_shutdown_with_a_collector_that_hangs_cuts_the_export_short(sending, size):
    """Whether it reads the request and does not answer, or does not read: the thread does not linger."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use = Settings(
            endpoint=f"127.0.0.1:{silent.getsockname()[1]}",
            protocol=HTTP,
            batch_age_s=0.01,
            flush_on_sigterm=False,
            **dict.fromkeys(("message_max_bytes", "capture_max_bytes"), 9 << 20),
            batch_max_bytes=10 << 20,
        )
        sender, _ = sending(use)
        sender.put(record(body=bytes(size)))
        assert not sender.flush(0.05)
        assert not sender.shutdown(0.1)
        assert not sender._thread.is_alive()
        assert sender.counts().dropped == {"shutdown": 1}


def server_tls(issued, ca=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.cert, issued.key)
    if ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ca.file)
    return context


def test_over_tls_with_our_certificate_and_files_that_are_renewed(over_http, sending, authority, caplog):  # noqa: F811
    """A rotated authority ends the failures without a restart; until then it is told what is wrong."""
    old, new = authority("old"), authority("new")
    mine = new.issue("service")
    with HttpReceiver(tls=server_tls(new.issue("localhost"), new)) as web:
        use = over_http(web, endpoint=f"localhost:{web.port}", ca_file=str(old.file))
        sender, _ = sending(replace(use, cert_file=str(mine.cert), key_file=str(mine.key)))
        for number in range(2):
            sender.put(record(f"tls {number}", bytes(40 * KIB)))
        assert not sender.flush(0.5)
        assert "certificate: " in caplog.text
        new.file.replace(old.file)
        web.call("tls 1")
        assert len({peer for peer, _ in zip(web.peers, web.requests, strict=False)}) == 1


def test_without_our_certificate_it_gets_nothing_and_each_call_is_counted(over_http, sending, authority):  # noqa: F811
    ca = authority("ours")
    with HttpReceiver(tls=server_tls(ca.issue("localhost"), ca)) as web:
        use = over_http(web, endpoint=f"localhost:{web.port}", ca_file=str(ca.file), retry_max_s=0.01)
        sender, _ = sending(use)
        sender.put(record())
        assert sender.flush(20)
        assert sender.counts().dropped == {"export_failed": 1}
        assert web.calls == []
