"""A collector that is killed, and the next one: what was acknowledged counts once; what keeps it from being read is told."""

from __future__ import annotations

import asyncio
import resource
import signal
from pathlib import Path

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from mirror.collect.app import Collector, open_store
from mirror.config import Config
from mirror.store import Store, StoreError
from tests.collect.otlp import request
from tests.collect.process import FAST, CollectorProcess, failed_start
from tests.collect.servers import EXPORT
from tests.collect.shop import VERSIONS, batches, product_call, schema_span
from tests.collect.test_collector import config, export, until


@pytest.fixture
def killed(tmp_path: Path):
    with CollectorProcess(tmp_path) as one:
        yield one


def of_role(ids: range, role: str) -> bytes:
    return batches(ids)[list(VERSIONS).index(role)]


def kill(one: CollectorProcess) -> None:
    one.process.kill()
    one.process.wait()


def test_what_waited_for_its_others_is_paired_after_a_kill(killed: CollectorProcess) -> None:
    killed.export(of_role(range(50), "primary"), of_role(range(50), "candidate"))
    kill(killed)
    killed.start()
    killed.export(of_role(range(50), "secondary"))
    killed.until(lambda: killed.pairs() == 50, "counted all of them")
    assert "100 spans of them were not counted yet" in killed.log
    (epoch,) = killed.reader().epochs("checkout")
    assert (epoch.counts.triples, epoch.counts.incomplete) == (50, 0)


def test_a_repeat_of_what_was_counted_before_the_kill_counts_no_second_time(killed: CollectorProcess) -> None:
    """Its acknowledgement may have been lost: exporters send it again."""
    sent = batches(range(30))
    killed.export(*sent)
    killed.until(lambda: killed.pairs() == 30, "counted them")
    kill(killed)
    killed.start()
    killed.export(*sent, *batches(range(30, 40)))
    killed.until(lambda: killed.pairs() == 40, "counted the new ones")
    assert killed.end(signal.SIGTERM) == 0
    account = killed.reader().account("checkout")
    assert (account.pairs, account.duplicates) == (40, 90)
    assert (account.calls.received, account.calls.grouped, account.calls.waiting) == (210, 120, 0)


def test_after_an_orderly_end_there_is_nothing_to_count_again(killed: CollectorProcess) -> None:
    killed.export(of_role(range(10), "primary"))
    assert killed.end(signal.SIGTERM) == 0
    killed.start()
    assert killed.end(signal.SIGTERM) == 0
    assert killed.pairs() == 10
    assert "0 spans of them were not counted yet" in killed.log


def test_of_another_run_s_calls_too_nothing_counts_twice(killed: CollectorProcess) -> None:
    killed.export(request(product_call("x", "primary", run="chekout")).SerializeToString())
    killed.until(lambda: killed.reader().unknown_runs(), "told of the unknown run")
    kill(killed)
    killed.start()
    assert killed.end(signal.SIGTERM) == 0
    assert [(one.name, one.n) for one in killed.reader().unknown_runs()] == [("chekout", 1)]


def test_without_a_journal_that_is_said_at_the_start(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path, journal={"enabled": False}) as one:
        assert "journal    off: what is not committed is lost when this process is killed" in one.log
        assert not (tmp_path / "mirror.journal").exists()


def refusal(one: CollectorProcess, body: bytes) -> grpc.RpcError:
    with grpc.insecure_channel(one.addresses["otlp_grpc"]) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(EXPORT)(body, timeout=30)
    return caught.value


def assert_told_to_come_again(error: grpc.RpcError) -> None:
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    trailers = dict(error.trailing_metadata())
    info = RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
    (detail,) = Status.FromString(trailers["grpc-status-details-bin"]).details
    inside = RetryInfo()
    assert detail.Unpack(inside)
    assert inside == info == RetryInfo(retry_delay=info.retry_delay)
    assert info.retry_delay.seconds > 0


def test_a_disk_that_is_full_is_a_state_and_what_was_acknowledged_counts(killed: CollectorProcess) -> None:
    """No file of the process may grow: as where the disk is full, for journal and store."""
    killed.export(*batches(range(5)))
    killed.until(lambda: killed.pairs() == 5, "counted them")
    size = max(path.stat().st_size for path in killed.folder.iterdir())
    resource.prlimit(killed.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    acknowledged = 5
    large = "x" * 200_000
    for n in range(100, 400):
        body = request(schema_span(), product_call(f"m{n}", "primary", expect="candidate", name=large))
        try:
            killed.export(body.SerializeToString())
        except grpc.RpcError as error:
            assert_told_to_come_again(error)
            break
        acknowledged += 1
    else:
        pytest.fail("it took more than there was room for")
    answer = killed.get("/readyz")
    assert answer.status_code == 503
    assert "mirror.journal: cannot be written" in answer.text
    assert killed.get("/healthz").status_code == 200
    assert_told_to_come_again(refusal(killed, batches(range(1))[0]))
    kill(killed)
    killed.start()  # with room again
    assert killed.get("/readyz").status_code == 200
    assert killed.end(signal.SIGTERM) == 0
    assert killed.pairs() == acknowledged


def test_once_there_is_room_again_it_takes_again_by_itself(killed: CollectorProcess) -> None:
    resource.prlimit(killed.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    killed.until(lambda: killed.get("/readyz").status_code == 503 or not refused_quietly(killed), "noticed")
    resource.prlimit(killed.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    killed.until(lambda: killed.get("/readyz").status_code == 200, "works again")
    killed.export(*batches(range(3)))
    killed.until(lambda: killed.pairs() >= 3, "counted them")


def refused_quietly(one: CollectorProcess) -> bool:
    try:
        one.export(of_role(range(900, 901), "primary"))
    except grpc.RpcError:
        return True
    return False


def test_a_damaged_journal_is_a_state_and_no_loop(killed: CollectorProcess) -> None:
    killed.export(*batches(range(5)))
    killed.until(lambda: killed.pairs() == 5, "counted them")
    assert killed.end(signal.SIGTERM) == 0
    journal = killed.folder / "mirror.journal"
    journal.write_bytes(b"\x00" * journal.stat().st_size)
    journal.with_name("mirror.journal-wal").unlink(missing_ok=True)
    journal.write_bytes(b"no database at all" * 1000)
    killed.start()
    answer = killed.get("/readyz")
    assert answer.status_code == 503
    assert "mirror.journal" in answer.text
    assert "move the file away" in answer.text
    assert killed.get("/").status_code == 200, "what was counted can be looked at"
    url = f"http://{killed.addresses['otlp_http']}/v1/traces"
    body = batches(range(1))[0]
    over_http = httpx.post(url, content=body, headers={"content-type": "application/x-protobuf"}, timeout=30)
    assert (over_http.status_code, over_http.headers["retry-after"]) == (503, "1")
    assert_told_to_come_again(refusal(killed, batches(range(1))[0]))
    assert killed.end(signal.SIGTERM) == 0
    journal.unlink()
    killed.start()
    killed.export(*batches(range(5, 8)))
    killed.until(lambda: killed.pairs() == 8, "counted the new ones")


def test_a_journal_that_is_gone_at_a_start_is_missed(killed: CollectorProcess) -> None:
    """Emptied, or on a disk that did not come back: a new one is begun, and what the old one held is not forgotten in silence."""
    killed.export(of_role(range(50), "primary"), of_role(range(50), "candidate"))
    killed.until(
        lambda: killed.reader().runs() or killed.reader().account("checkout").calls.received == 100, "read them"
    )
    kill(killed)
    journal = killed.folder / "mirror.journal"
    kept = {path: path.read_bytes() for path in killed.folder.glob("mirror.journal*")}
    for path in kept:
        path.write_bytes(b"")
    killed.start()
    assert "100 spans of another one (journal:" in killed.log
    kill(killed)
    journal.with_name("mirror.journal-wal").unlink(missing_ok=True)
    for path, content in kept.items():
        path.write_bytes(content)
    killed.start()
    killed.export(of_role(range(50), "secondary"))
    killed.until(lambda: killed.pairs() == 50, "counted them")
    assert killed.log.count("of another one") == 1


def test_what_an_older_store_misses_of_the_journal_is_told(tmp_path: Path) -> None:
    """A backup is put back, and the journal has let go meanwhile of what the store had counted since."""
    large = request(schema_span(), product_call("large", "primary", expect="candidate", name="x" * 200_000))
    with CollectorProcess(tmp_path, journal={"keep_s": 0}, pairing=FAST) as one:
        one.export(*batches(range(5)))
        one.until(lambda: one.pairs() == 5, "counted them")
        assert one.end(signal.SIGTERM) == 0
        backup = (tmp_path / "mirror.db").read_bytes()
        one.start()
        one.export(large.SerializeToString())
        one.until(lambda: one.pairs() == 6, "counted one more")
        one.until(lambda: held_bytes(one) < 200_000, "let go of it")
        one.export(of_role(range(10, 12), "primary"))
        kill(one)
        for path in tmp_path.glob("mirror.db*"):
            path.unlink()
        (tmp_path / "mirror.db").write_bytes(backup)
        one.start()
        one.until(
            lambda: "1 requests between what the store knows and what the journal holds are gone" in one.log, "told"
        )


def held_bytes(one: CollectorProcess) -> float:
    lines = one.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("mirror_journal_bytes "))


def test_a_journal_that_another_collector_has_stops_the_start(killed: CollectorProcess, tmp_path_factory) -> None:
    other = tmp_path_factory.mktemp("other")
    text = (killed.folder / "mirror.yaml").read_text()
    where = f'"journal": {{"path": "{killed.folder}/mirror.journal"}}, "runs"'
    code, error = failed_start(other, text.replace('"runs"', where, 1))
    assert code == 2
    assert "another collector uses it" in error


def test_who_lost_the_journal_s_place_in_the_store_counts_nothing_more(tmp_path: Path) -> None:
    settings = config(tmp_path)

    async def lifetime(store: Store) -> None:
        collector = Collector(settings, store)
        addresses = await collector.start()
        await export(addresses, *batches(range(4)))
        await until(lambda: sum(e.counts.pairs for e in store.reader().epochs("checkout")) == 4)
        name = collector._journal.name
        store.claim(name, 0, owner="somebody else", now_s=0.0)
        await export(addresses, *batches(range(4, 9)))
        await until(lambda: any("somebody else has it" in problem for problem in collector.health()))
        assert not await collector.stop()
        assert sum(e.counts.pairs for e in store.reader().epochs("checkout")) == 4

    with open_store(settings) as store:
        asyncio.run(lifetime(store))


def test_a_store_that_fails_until_the_end_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it did not take is in the journal for the next start."""
    settings = config(tmp_path)
    monkeypatch.setattr("mirror.collect.app.DRAIN_S", 6.0)

    async def first(store: Store) -> None:
        collector = Collector(settings, store)
        addresses = await collector.start()
        with monkeypatch.context() as broken:
            broken.setattr(store, "_require_same_file", fails)
            await export(addresses, *batches(range(6)))
            assert not await collector.stop()
            assert collector.counters.value("mirror_uncommitted_lost_total") == 0

    async def second(store: Store) -> None:
        collector = Collector(settings, store)
        await collector.start()
        assert await collector.stop()

    with open_store(settings) as store:
        asyncio.run(first(store))
        assert store.reader().runs() == []
        asyncio.run(second(store))
        assert [epoch.counts.triples for epoch in store.reader().epochs("checkout")] == [6]


def fails() -> None:
    raise StoreError("the disk is gone")


def test_where_the_journal_is(tmp_path: Path) -> None:
    from mirror.collect.app import journal_path  # noqa: PLC0415

    def of(store: str, **journal: str) -> Path:
        return journal_path(Config.model_validate({"store": {"url": store}, "journal": journal}))

    assert of("sqlite:////var/lib/mirror/shop.db") == Path("/var/lib/mirror/shop.journal")
    assert of("sqlite:///mirror.db") == Path("mirror.journal")
    assert of("postgresql://db/mirror") == Path("mirror.journal")
    assert of("sqlite:///mirror.db", path="/data/j") == Path("/data/j")
