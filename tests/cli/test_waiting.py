"""Waiting for a verdict: by a clock of the test, and with real collectors that restart or die meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mirror.cli.asking import Collector, UnavailableError
from mirror.cli.errors import UsageError
from mirror.cli.waiting import START_GRACE_S, Waiting, wait
from mirror.serve import models, shape
from mirror.serve.verdicts import Wanted
from tests.collect.otlp import request
from tests.collect.process import CollectorProcess, environment
from tests.collect.shop import product_call, schema_span


def said(verdict: str, **changed) -> models.RunVerdict:
    return shape.not_seen(run="r").model_copy(update={"verdict": verdict, "epoch": 1, **changed})


class Script:
    """Answers one after the other, the last one for ever; time passes only where it is waited."""

    def __init__(self, *answers):
        self.answers, self.now_s, self.told = list(answers), 1000.0, []

    def ask(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, wait_s):
        def pause(seconds):
            assert seconds > 0
            self.now_s += seconds

        return wait(self, wait_s, Waiting(lambda: self.now_s, pause, self.told.append))


DOWN = UnavailableError("http://collector: no answer: refused")


@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_it_ends_at_the_first_pass_or_fail(verdict):
    script = Script(*[said("inconclusive")] * 5, said(verdict), said("inconclusive"))
    assert script.wait(600).verdict == verdict
    assert script.now_s == 1010


def test_time_that_is_over_is_inconclusive_and_was_asked_for_to_the_end():
    script = Script(said("inconclusive"))
    assert (script.wait(61).verdict, script.now_s) == ("inconclusive", 1061)
    assert len(script.told) == 2  # a line a minute


def test_a_wait_of_nothing_asks_once():
    assert Script(said("pass")).wait(0).verdict == "pass"
    assert Script(said("inconclusive")).wait(0).verdict == "inconclusive"


def test_a_collector_that_restarts_meanwhile_is_outlasted():
    script = Script(said("inconclusive"), *[DOWN] * 200, said("pass"))
    assert (script.wait(600).verdict, script.now_s) == ("pass", 1402)
    assert any("no answer just now" in line for line in script.told)


def test_a_collector_that_died_is_inconclusive_though_it_knew_more_before():
    script = Script(said("inconclusive", triples=4000), DOWN)
    found = script.wait(600)
    assert (found.verdict, found.reasons[0].code, found.triples, found.eta_s) == (
        "inconclusive", "unavailable", 4000, None,
    )  # fmt: skip
    assert "no answer for 9 min 58 s" in found.reasons[0].text


def test_one_that_never_answered_is_no_verdict_and_not_waited_for_long():
    script = Script(DOWN)
    with pytest.raises(UsageError, match="refused"):
        script.wait(1800)
    assert script.now_s - 1000 == pytest.approx(START_GRACE_S, abs=3)


def test_what_cannot_be_mended_by_asking_again_ends_at_once():
    with pytest.raises(UsageError, match="no run"):
        Script(UsageError("there is no run 'x'")).wait(1800)


def test_progress_says_what_is_missing_and_that_nothing_comes():
    missing = [models.Reason(code="more_triples", text="about 3,875 are needed", figures={})]
    script = Script(said("inconclusive", triples=12, missing=missing, last_s=400.0))
    script.wait(1)
    (line,) = script.told
    assert line.startswith("waiting: inconclusive, 12 judged; about 3,875 are needed. The last pair came 10 min ago: ")


POLICY = {"vote_by": "call", "min_duration_s": 0, "min_triples": 1, "budget": 0.01}


def send(collector: CollectorProcess, numbers: range, price=lambda role: 1) -> None:
    for role, version in (("primary", "1.0"), ("candidate", "2.0"), ("secondary", "1.0")):
        spans = [product_call(f"m{n}", role, id=f"{n}", price=price(role)) for n in numbers]
        collector.export(request(schema_span(), *spans, version=version).SerializeToString())


def mirror_verdict(*arguments, cwd, **env) -> subprocess.Popen:
    command = [sys.executable, "-m", "mirror", "verdict", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=cwd, env=environment() | env, **pipes)


def first_line(waiting: subprocess.Popen) -> str:
    return waiting.stderr.readline()


@pytest.mark.live
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("source", "differs", "code"), [("url", False, 0), ("url", True, 1), ("store", False, 0)])
def test_a_wait_outlives_a_restart_of_the_collector_and_ends_with_the_verdict(tmp_path, source, differs, code):
    (port,) = free_ports(1)
    with CollectorProcess(tmp_path, policy=POLICY, listen=dict.fromkeys(("otlp_grpc", "otlp_http"), "127.0.0.1:0") | {"web": f"127.0.0.1:{port}"}) as collector:  # fmt: skip
        where = ["--url", f"http://127.0.0.1:{port}"] if source == "url" else []
        waiting = mirror_verdict(
            "--run", "checkout", *where, "--candidate", "2.0", "--wait", "5m", "--json", cwd=tmp_path
        )
        try:
            assert "waiting" in first_line(waiting)
            collector.end(signal.SIGTERM)
            collector.start()
            send(collector, range(600), lambda role: 2 if differs and role == "candidate" else 1)
            out, err = waiting.communicate(timeout=300)
        finally:
            waiting.kill()
    assert waiting.returncode == code, err
    assert json.loads(out)["verdict"] == ("fail" if differs else "pass")


@pytest.mark.live
def test_a_collector_that_is_killed_leaves_the_verdict_inconclusive(tmp_path):
    with CollectorProcess(tmp_path, policy=POLICY) as collector:
        url = f"http://{collector.addresses['web']}"
        waiting = mirror_verdict("--run", "checkout", "--url", url, "--wait", "6s", "--json", cwd=tmp_path)
        try:
            assert "waiting" in first_line(waiting)
            collector.end(signal.SIGKILL)
            out, err = waiting.communicate(timeout=60)
        finally:
            waiting.kill()
    assert waiting.returncode == 3, err
    assert json.loads(out)["reasons"][0]["code"] == "unavailable"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--run", "r", "--wait", "half an hour"], "--wait half an hour: "),
        (["--run", "r", "--wait", "-5m"], "--wait -5m: "),
        ([], "say --run NAME, or --service NAME with --candidate VERSION"),
        (["--service", "shop"], "say --run NAME"),
        (["--run", "r", "--url", "collector:4319"], "say http://collector:4319"),
        (["--run", "r", "--url", "http://me:secret@collector:4319"], "give it as MIRROR_BEARER"),
        (["--run", "r", "--url", "http://c:1", "--store", "sqlite:///x.db"], "leave --config and --store out"),
        (["--run", "r", "--url", "http://127.0.0.1:9"], "no answer"),
    ],
)
def test_what_cannot_be_asked_is_2(tmp_path, arguments, told):
    asked = mirror_verdict(*arguments, cwd=tmp_path)
    out, err = asked.communicate(timeout=60)
    assert (asked.returncode, out) == (2, "")
    assert told in err
    assert "secret" not in err


class Answers(BaseHTTPRequestHandler):
    """A server that answers what its class says, and keeps what it was asked with."""

    status, headers_out, body = 200, {}, b"{}"
    seen: list[dict[str, str]]

    def do_GET(self):
        self.seen.append(dict(self.headers))
        self.send_response(self.status)
        for name, value in self.headers_out.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def answering():
    servers = []

    def start(**what):
        handler = type("Handler", (Answers,), {"seen": [], **what})
        server = HTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", handler.seen

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_token_is_sent_and_never_to_where_a_redirect_points(answering):
    elsewhere, stolen = answering()
    url, seen = answering(status=302, headers_out={"Location": elsewhere})
    with pytest.raises(UsageError, match="302"):
        Collector(url, Wanted("r"), {"MIRROR_BEARER": "t" * 32}).ask()
    assert seen[0]["authorization" if "authorization" in seen[0] else "Authorization"] == "Bearer " + "t" * 32
    assert stolen == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": 401, "body": b'{"error": {"code": "unauthorized", "message": "A token is missing"}}'}, UsageError),
        ({"status": 404, "body": b'{"error": {"code": "unknown_run", "message": "no run"}}'}, UsageError),
        ({"status": 503, "body": b"starting"}, UnavailableError),
        ({"body": b"<html>"}, UnavailableError),
        ({"body": b"\xff\xfe"}, UnavailableError),
    ],
)
def test_what_asking_again_can_mend_is_told_from_what_it_cannot(answering, answer, error):
    url, _ = answering(**answer)
    with pytest.raises(error):
        Collector(url, Wanted("r"), {}).ask()


def free_ports(n: int) -> list[int]:
    import socket  # noqa: PLC0415

    probes = [socket.socket() for _ in range(n)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
