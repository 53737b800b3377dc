"""Webhooks against real HTTP servers and a real store: told at least once, in order, signed, and in nobody's way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from mirror.collect import webhooks
from mirror.collect.counters import Counters
from mirror.collect.files import FilesError
from mirror.collect.webhooks import Webhooks, targets
from mirror.config import ConfigError, load
from mirror.config.webhook_models import Webhook
from mirror.core.verdict import Policy
from mirror.store import JudgeOptions, Store, StoreError
from mirror.store.verdict_changes import ChangeQueue
from tests.collect.hooks import Hook, serving
from tests.collect.process import CollectorProcess, environment, failed_start
from tests.store.building import RUN, START_S, A, commit, several

POLICY = Policy(vote_by="call", min_duration_s=0, min_triples=1, budget=0.01)
SECRET = "s" * 32
ENV = {"HOOK_SECRET": SECRET}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The pauses as they are, only shorter."""
    for name in ("POLL_S", "BACKOFF_FIRST_S", "BACKOFF_MAX_S", "FAULT_PAUSE_S"):
        monkeypatch.setattr(webhooks, name, 0.02)


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/mirror.db", judge=JudgeOptions(vote_by="call")) as opened:
        yield opened


class Telling:
    """One webhook of one store, started and stopped at will: as a collector that restarts would."""

    def __init__(self, store: Store, hook: Hook, *, clock=lambda: START_S, **settings):
        self.store, self.counters = store, Counters()
        one = Webhook(name="ci", url=hook.url, secret_env="HOOK_SECRET", **settings)
        self._parts = (targets([one], ENV), store.engine, self.counters)
        self._clock = clock

    def __enter__(self):
        self.hooks = Webhooks(*self._parts, web_url="http://mirror", clock=self._clock)
        ChangeQueue(self.store.engine, "ci").begin()
        self.hooks.start()
        return self

    def __exit__(self, *_):
        self.hooks.stop()

    def count(self, result: str) -> float:
        return self.counters.value("mirror_webhooks_total", hook="ci", result=result)

    def until(self, result: str, n: int) -> None:
        done = threading.Event()
        for _ in range(3000):
            if self.count(result) >= n:
                return
            done.wait(0.01)
        raise AssertionError(f"{result} never came to {n}: {self.counters.snapshot()}")


def failing(store: Store) -> None:
    commit(store, several(60, candidate=[A]) + several(300, named="same"))
    store.look(POLICY, START_S)


def passing(store: Store) -> None:
    commit(store, several(1000))
    store.look(POLICY, START_S)


def test_a_changed_verdict_is_told_once_signed_and_with_what_it_says(store):
    with serving(Hook()) as hook, Telling(store, hook) as telling:
        store.look(POLICY, START_S)
        failing(store)
        for _ in range(3):
            store.look(POLICY, START_S + 60)
        told = hook.next()
        telling.until("delivered", 1)
        assert hook.told.empty()
    body = told.json
    assert (body["type"], body["before"], body["verdict"], body["run"]) == (
        "verdict.changed",
        "inconclusive",
        "fail",
        RUN,
    )
    assert any("response.a (value) is regressed" in reason["text"] for reason in body["reasons"])
    assert body["page"] == f"http://mirror/runs/{RUN}?epoch=1"
    uid, stamp = told.headers["webhook-id"], told.headers["webhook-timestamp"]
    wanted = hmac.new(SECRET.encode(), f"{uid}.{stamp}.".encode() + told.body, hashlib.sha256).digest()
    assert told.headers["webhook-signature"] == "v1," + base64.b64encode(wanted).decode()
    assert (uid, stamp) == (body["id"], str(int(START_S)))


def test_each_change_is_told_in_order(store):
    with serving(Hook()) as hook, Telling(store, hook):
        passing(store)
        commit(store, several(300, named="x", candidate=[A]))
        store.look(POLICY, START_S)
        assert [hook.next().json["verdict"] for _ in range(2)] == ["pass", "fail"]


@pytest.mark.parametrize("line", [b"x: y\r\n", b"\r\nHTTP/1.1 100 Continue\r\n"], ids=["headers", "interim answers"])
def test_an_address_that_never_comes_to_an_end_holds_nobody_up(store, monkeypatch, line):
    """Each line comes in time, and there is always one more."""
    monkeypatch.setattr(webhooks, "ATTEMPT_S", 0.3)
    with dripping(b"HTTP/1.1 100 Continue\r\n", line) as url, Telling(store, Hook(url=url)) as telling:
        failing(store)
        telling.until("failed", 2)


@contextmanager
def dripping(first: bytes, again: bytes) -> Iterator[str]:
    """An address that sends `first` and then `again`, ten times a second."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.sendall(first)
                while not ended.wait(0.1):
                    connection.sendall(again)

        def serve() -> None:
            with suppress(OSError):
                while not ended.is_set():
                    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"
        finally:
            ended.set()


def test_what_fails_is_tried_again_under_the_same_id(store):
    with serving(Hook(500, 503, 404, 204)) as hook, Telling(store, hook) as telling:
        failing(store)
        ids = {hook.next().headers["webhook-id"] for _ in range(4)}
        telling.until("delivered", 1)
        assert (len(ids), telling.count("failed")) == (1, 3)


def test_what_was_not_told_is_told_after_a_restart_and_what_was_is_not_told_again(store):
    with serving(Hook(500)) as hook:
        with Telling(store, hook) as telling:
            failing(store)
            first = hook.next()
            telling.until("failed", 1)
        while not hook.told.empty():
            hook.told.get()
        hook.statuses = [204]
        with Telling(store, hook) as telling:
            again = hook.next()
            telling.until("delivered", 1)
        assert again.headers["webhook-id"] == first.headers["webhook-id"]
        with Telling(store, hook) as telling:
            store.look(POLICY, START_S)
            commit(store, several(1, named="other", run="other"))
            telling.until("delivered", 0)
        assert hook.told.empty()


def refuse(*_):
    raise StoreError("the disk is full")


def test_a_crash_between_telling_and_noting_tells_twice_under_one_id(store, monkeypatch):
    with serving(Hook()) as hook:
        with monkeypatch.context() as killed:
            killed.setattr(ChangeQueue, "done_to", refuse)
            with Telling(store, hook):
                failing(store)
                first = hook.next()
        with Telling(store, hook):
            assert hook.next().headers["webhook-id"] == first.headers["webhook-id"]


def test_a_new_webhook_is_not_told_of_the_past(store):
    failing(store)
    with serving(Hook()) as hook, Telling(store, hook):
        commit(store, several(1000, named="b", run="other"))
        store.look(POLICY, START_S)
        assert hook.next().json["run"] == "other"


def test_only_what_was_asked_for_is_told(store):
    with serving(Hook()) as hook, Telling(store, hook, verdicts=("fail",), runs=("rewrite",)) as telling:
        passing(store)
        commit(store, several(300, named="o", run="other", candidate=[A]))
        commit(store, several(300, named="x", candidate=[A]))
        store.look(POLICY, START_S)
        told = hook.next()
        telling.until("delivered", 1)
        assert (told.json["run"], told.json["verdict"], hook.told.empty()) == (RUN, "fail", True)


def test_after_a_day_it_is_given_up_and_counted(store):
    with serving(Hook(500)) as hook, Telling(store, hook, clock=lambda: START_S + 86_401) as telling:
        failing(store)
        telling.until("dropped_expired", 1)
        hook.statuses = [204]
        commit(store, several(1000, named="b", run="other"))
        store.look(POLICY, START_S)
        telling.until("delivered", 1)


def test_a_queue_that_grew_too_long_drops_the_oldest_and_counts_them(store, monkeypatch):
    monkeypatch.setattr(webhooks, "QUEUE_MAX", 2)
    with serving(Hook(500)) as hook:
        with Telling(store, hook) as telling:
            for name in ("a", "b", "c", "d"):
                commit(store, several(1000, named=name, run=name))
            store.look(POLICY, START_S)
            telling.until("dropped_overflow", 2)
            while hook.told.qsize() and hook.told.get():
                pass
        hook.statuses = [204]
        with Telling(store, hook) as telling:
            telling.until("delivered", 2)
        runs = [hook.next().json["run"] for _ in range(hook.told.qsize())]
        assert runs[-2:] == ["c", "d"]


def test_a_webhook_that_hangs_holds_neither_the_writer_nor_the_end(store):
    with serving(Hook()) as hook:
        hook.may_answer.clear()
        with Telling(store, hook):
            failing(store)
            hook.next()
            commit(store, several(100, named="more"))
            assert store.reader().runs()[0].epochs[0].counts.pairs == 460
            hook.may_answer.set()


def test_a_redirect_is_not_followed(store):
    with serving(Hook()) as elsewhere, serving(Hook(307, location=elsewhere.url)) as hook:
        with Telling(store, hook) as telling:
            failing(store)
            telling.until("failed", 2)
        assert elsewhere.told.empty()


def test_slack_gets_a_message_in_which_nothing_is_markup(store):
    commit(store, several(300, named="x", candidate=['response.labels["<!channel>"]']))
    with serving(Hook()) as hook, Telling(store, hook, format="slack"):
        store.look(POLICY, START_S)
        text = hook.next().json["text"]
    assert text.startswith(f":x: *fail* (was inconclusive): run {RUN}, shop 1.0 -&gt; 2.0\n- ")
    assert "<!channel>" not in text
    assert f"<http://mirror/runs/{RUN}?epoch=1|read on>" in text


def test_a_secret_or_address_that_is_missing_stops_the_start_and_is_not_told(store):
    wrong = [
        Webhook(name="a", url="http://x", secret_env="NOT_THERE"),
        Webhook(name="b", url="http://x", secret_env="SHORT"),
        Webhook(name="b", url_env="NOT_THERE"),
        Webhook(name="c"),
        Webhook(name="d", url="http://x", secret_env="BAD"),
        Webhook(name="e", url="http://user:hunter2@x"),
    ]
    with pytest.raises(FilesError) as caught:
        targets(wrong, {"SHORT": "hunter2", "BAD": "whsec_hunter2!"})
    told = "\n".join(caught.value.problems)
    for part in (
        "(a)",
        "NOT_THERE",
        "at least 16",
        "another one has this name",
        "say either url or url_env",
        "not base64",
        "(e): an address with a name or password",
    ):
        assert part in told
    assert "hunter2" not in told


def test_settings_are_checked_with_their_place(tmp_path):
    path = tmp_path / "mirror.yaml"
    path.write_text("webhooks:\n- {name: CI, url: 'ftp://x', verdicts: [failed]}\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    told = str(caught.value)
    for place, part in (
        ("2:10", "not a webhook's name"),
        ("2:19", "not a web address"),
        ("2:41", 'did you mean "fail"'),
    ):
        assert any(f"mirror.yaml:{place}" in line and part in line for line in told.splitlines()), told


@pytest.mark.live
def test_a_collector_whose_webhook_lacks_its_secret_does_not_start(tmp_path):
    config = "webhooks: [{name: ci, url: 'http://x', secret_env: NOT_THERE}]\nlisten: {otlp_grpc: '127.0.0.1:0', otlp_http: '127.0.0.1:0', web: '127.0.0.1:0'}\n"
    code, told = failed_start(tmp_path, config)
    assert (code, "webhooks[0] (ci): the environment has no secret in NOT_THERE" in told) == (2, True), told


@pytest.mark.live
@pytest.mark.timeout(400)
def test_a_real_collector_tells_and_tells_again_after_kill_9(tmp_path, monkeypatch):
    """The hook is down while the verdict changes; the collector dies; the next one tells."""
    import signal  # noqa: PLC0415

    from tests.cli.test_waiting import POLICY as FOR_CALLS  # noqa: PLC0415
    from tests.cli.test_waiting import free_ports, send  # noqa: PLC0415

    (port,) = free_ports(1)
    hooks = [{"name": "ci", "url": f"http://127.0.0.1:{port}/hook", "secret_env": "HOOK_SECRET"}]
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    assert environment()["HOOK_SECRET"] == SECRET
    with CollectorProcess(tmp_path, policy=FOR_CALLS, webhooks=hooks) as collector:
        send(collector, range(300), lambda role: 2 if role == "candidate" else 1)
        collector.until(lambda: collector.pairs() == 300, "has all pairs")
        collector.until(lambda: 'result="failed"' in collector.get("/metrics").text, "tried to tell", 100)
        collector.end(signal.SIGKILL)
        with serving(Hook(), port) as hook:
            collector.start()
            assert hook.next().json["verdict"] == "fail"
