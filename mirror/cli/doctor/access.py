"""Certificates, tokens and who could reach what: the files of the configuration, read and tried as the collector does."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from mirror.cli.doctor.findings import Finding, note, ok, wrong
from mirror.collect import exposure, tls
from mirror.collect.files import FilesError
from mirror.collect.guard import read_tokens
from mirror.collect.validity import SOON_DAYS, Validity
from mirror.config import Config

_DAY_S: Final = 86400
_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: expiry is told, not refused
Certificate = Mapping[str, Any]


def tokens(config: Config) -> Iterator[Finding]:
    """Whether the tokens can be read, and which listeners would be open to other machines."""
    problems = list(exposure.problems(config))
    for problem in problems:
        about, _, text = problem.partition(": ")
        what, _, advice = text.partition(". ")
        yield wrong(about, what, advice)
    try:
        read_tokens(config.auth)
    except FilesError as error:
        for problem in error.problems:
            about, _, text = problem.partition(": ")
            file = getattr(config.auth, about.removeprefix("auth."), "")
            into = f" > {file}" if about.endswith("_file") and file else ""
            yield wrong(about, text, f"write one token of 16 to 512 characters a line: openssl rand -hex 32{into}")
        return
    for text in exposure.warnings(config):
        about, _, said = text.partition(": ")
        yield note(about, said)
    if problems:
        return
    asked = {one.name: exposure.asked(config, one) for one in exposure.LISTENERS}
    shown = "; ".join(f"{name} asks for {' and '.join(what)}" for name, what in asked.items() if what)
    yield ok("auth", shown or "no listener asks for anything, and only this machine reaches them")


def certificates(config: Config, *, now_s: float | None = None) -> Iterator[Finding]:
    """Readable, matching, tried by a handshake with ourselves, and how long they hold. `now_s`: unix time."""
    if not tls.paths(config.tls):
        yield ok("tls", "not configured: the listeners speak in plain")
        return
    try:
        made = tls.material(config.tls)
    except FilesError as error:
        for problem in error.problems:
            about, _, text = problem.partition(": ")
            yield wrong(about, text, f"mend the file, or {about} (MIRROR_{about.replace('.', '_').upper()})")
        return
    now = time.time() if now_s is None else now_s
    try:
        shown = shown_by(config)
    except ssl.SSLError as error:
        yield wrong("tls.cert_file", f"a handshake with it fails: {error.reason or error}", "have it issued anew")
        return
    yield from _validity("tls.cert_file", config.tls.cert_file, shown, now)
    yield from _chain(config.tls.cert_file, made.valid, ssl.cert_time_to_seconds(shown["notAfter"]), now)
    names = names_of(shown)
    if names:
        yield ok("tls.cert_file", f"made out to {', '.join(names[:8])}")
    else:
        advice = "have it issued with subjectAltName: clients look at nothing else"
        yield wrong("tls.cert_file", f"{config.tls.cert_file}: names no host", advice)
    for name, context in (("client_ca_file", made.otlp), ("web_client_ca_file", made.web)):
        if path := getattr(config.tls, name):
            for authority in context.get_ca_certs():
                yield from _validity(f"tls.{name}", path, authority, now)


def shown_by(config: Config) -> Certificate:
    """What a client is shown that connects by TLS: the certificate, by a handshake in memory. Raises SSLError."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(config.tls.cert_file, config.tls.key_file)
    client = trusting(config)
    client.verify_flags |= _NO_CHECK_TIME
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True))
    for _ in range(4):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    found = ends[0].getpeercert()
    return found if found is not None else {}


def trusting(config: Config) -> ssl.SSLContext:
    """A client's context that trusts the configured certificate and no other, whatever it is called."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(config.tls.cert_file)
    return context


def names_of(certificate: Certificate) -> list[str]:
    """The hosts that it is made out to: names, then addresses."""
    return [str(value) for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]


def _chain(path: str, whole: Validity | None, own_end_s: float, now_s: float) -> Iterator[Finding]:
    """Where an authority in the file of the certificate holds less long than the certificate itself."""
    if whole is None or whole.end_s >= own_end_s or not (trouble := whole.trouble(now_s)):
        return
    said, advice = f"{path}: a certificate of its chain {trouble}", "have the chain issued anew; no restart is needed"
    yield wrong("tls.cert_file", said, advice) if now_s >= whole.end_s else note("tls.cert_file", said, advice)


def _validity(about: str, path: str, certificate: Certificate, now_s: float) -> Iterator[Finding]:
    begin_s = ssl.cert_time_to_seconds(certificate["notBefore"])
    end_s = ssl.cert_time_to_seconds(certificate["notAfter"])
    who = " ".join(value for part in certificate.get("subject", ()) for _, value in part)
    until = f"{path}: {who}: valid until {certificate['notAfter']}"
    if now_s >= end_s:
        yield wrong(about, f"{until}, which is over", "have it issued anew; the collector reads it within 5 s")
    elif now_s < begin_s:
        yield wrong(about, f"{path}: {who}: valid from {certificate['notBefore']} on", "look at this machine's clock")
    elif end_s - now_s < SOON_DAYS * _DAY_S:
        days = int((end_s - now_s) // _DAY_S)
        yield note(about, f"{until}, in {days} days", "have it issued anew in time; no restart is needed")
    else:
        yield ok(about, until)
