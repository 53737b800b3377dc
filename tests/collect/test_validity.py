"""When certificates are valid: read from the files as the library that made them says, and told while a collector runs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import logging
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from mirror.collect import guard as guards
from mirror.collect.counters import Counters
from mirror.collect.guard import Guard, watch
from mirror.collect.validity import Validity, of_pem
from mirror.config import load
from tests.collect.certificates import DAY, NOW, Authority

DAY_S = DAY.total_seconds()
EXPIRES = "mirror_tls_certificate_expires_timestamp_seconds"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_the_dates_are_those_of_the_certificate(authority: Authority) -> None:
    issued = authority.issue("server")
    made = x509.load_pem_x509_certificate(issued.cert)
    assert of_pem(issued.cert) == Validity(made.not_valid_before_utc.timestamp(), made.not_valid_after_utc.timestamp())


@pytest.mark.parametrize("until", [dt.datetime(2049, 12, 31, tzinfo=dt.UTC), dt.datetime(2050, 1, 1, tzinfo=dt.UTC)])
def test_both_ways_of_writing_a_year_are_read(authority: Authority, until: dt.datetime) -> None:
    """RFC 5280: two digits to 2049, four from 2050 on."""
    found = of_pem(authority.issue("server", begin=dt.datetime(1999, 1, 1, tzinfo=dt.UTC), end=until).cert)
    assert found == Validity(dt.datetime(1999, 1, 1, tzinfo=dt.UTC).timestamp(), until.timestamp())


def test_a_chain_holds_as_long_as_each_of_its_links(authority: Authority) -> None:
    long, short = authority.issue("long", begin=NOW - DAY, end=NOW + 9 * DAY), authority.issue("short")
    chain, alone = of_pem(long.cert + b"\n# the next one\n" + short.cert), of_pem(short.cert)
    assert chain is not None
    assert alone is not None
    assert chain.end_s == alone.end_s


@given(st.binary(max_size=400), st.integers(0, 500))
def test_what_is_no_certificate_never_raises(noise: bytes, cut: int) -> None:
    for der in (noise, b"\x30" + noise, noise[:cut]):
        text = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(der) + b"\n-----END CERTIFICATE-----\n"
        assert of_pem(text) is None or isinstance(of_pem(text), Validity)
    assert of_pem(noise) is None


@pytest.mark.parametrize(
    ("now_s", "said"),
    [
        (50.0, "is valid from"),
        (100.0, ""),
        (100.0 + 26 * DAY_S, ""),
        (100.0 + 26 * DAY_S + 1, "in 13 days"),
        (100.0 + 39.5 * DAY_S, "expires at"),
        (100.0 + 40 * DAY_S, "expired at"),
    ],
)
def test_what_is_said_of_it(now_s: float, said: str) -> None:
    told = Validity(100.0, 100.0 + 40 * DAY_S).trouble(now_s)
    assert told.startswith(said) or said in told
    assert bool(told) == bool(said)


def test_a_running_collector_tells_of_its_certificate(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the start, when it is renewed, and when it runs out meanwhile; each once. The gauge follows."""
    monkeypatch.setattr(guards, "REFRESH_S", 0.01)
    issued = authority.issue("server", expired=True)
    guard = Guard(load(None, {"MIRROR_TLS_CERT_FILE": issued.cert_file, "MIRROR_TLS_KEY_FILE": issued.key_file}))
    counters, clock = Counters(), [NOW.timestamp()]

    def told() -> list[str]:
        return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]

    async def until(holds: object) -> None:
        assert callable(holds)
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - what it waits for tells nobody
                await asyncio.sleep(0.01)

    async def scenario() -> None:
        watching = asyncio.create_task(watch(guard, counters, clock=lambda: clock[0]))
        await until(lambda: len(told()) == 1)
        assert counters.value(EXPIRES, listener="otlp_grpc") == (NOW - DAY).replace(microsecond=0).timestamp()
        authority.issue("server", begin=NOW - DAY, end=NOW + 30 * DAY)
        for listener in ("otlp_grpc", "otlp_http", "web"):
            expected = (NOW + 30 * DAY).replace(microsecond=0).timestamp()
            await until(lambda where=listener, when=expected: counters.value(EXPIRES, listener=where) == when)
        clock[0] += 31 * DAY_S
        await until(lambda: len(told()) == 2)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert all("tls.cert_file) expired at" in line for line in told())


def test_a_collector_in_plain_has_no_such_gauge() -> None:
    counters = Counters()

    async def scenario() -> None:
        watching = asyncio.create_task(watch(Guard(load(None, {})), counters))
        await asyncio.sleep(0)
        watching.cancel()

    asyncio.run(scenario())
    assert EXPIRES not in {sample.name for sample in counters.snapshot()}
