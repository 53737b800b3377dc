"""What certificates, tokens and listeners must be like for the collector to start, and what becomes of files that change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirror.collect import exposure
from mirror.collect.access import Scope
from mirror.collect.files import FILE_MAX_BYTES, FilesError, FromFiles, Reloaded
from mirror.collect.guard import Guard
from mirror.config import Config, load
from tests.collect.certificates import Authority

TOKEN, OTHER = "0123456789abcdef", "fedcba9876543210"


def config(**env: str) -> Config:
    return load(None, {f"MIRROR_{name}": value for name, value in env.items()})


def problems(**env: str) -> list[str]:
    with pytest.raises(FilesError) as caught:
        Guard(config(**env))
    return list(caught.value.problems)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(
    ("listener", "scope", "ca"),
    [
        ("otlp_grpc", "write", "client_ca_file"),
        ("otlp_http", "write", "client_ca_file"),
        ("web", "read", "web_client_ca_file"),
    ],
)
def test_a_listener_beyond_loopback_that_asks_nobody_stops_the_start(listener: str, scope: str, ca: str) -> None:
    """With all ways out."""
    (problem,) = problems(**{f"LISTEN_{listener.upper()}": "0.0.0.0:0"})
    for part in (
        f"listen.{listener}: 0.0.0.0:0",
        f"auth.{scope}_tokens_file",
        f"MIRROR_AUTH_{scope.upper()}_TOKENS",
        f"tls.{ca}",
        "insecure: true",
        "MIRROR_INSECURE=1",
    ):
        assert part in problem


def test_each_listener_is_judged_by_what_it_asks_itself() -> None:
    wide = {f"LISTEN_{name}": "[::]:0" for name in ("OTLP_GRPC", "OTLP_HTTP", "WEB")}
    assert len(problems(**wide)) == 3
    (web,) = problems(**wide, AUTH_WRITE_TOKENS=TOKEN)
    assert web.startswith("listen.web")
    assert len(problems(**wide, AUTH_READ_TOKENS=TOKEN)) == 2
    Guard(config(**wide, AUTH_READ_TOKENS=TOKEN, AUTH_WRITE_TOKENS=TOKEN))


def test_tls_alone_says_nothing_of_who_comes(authority: Authority) -> None:
    server = authority.issue("server")
    files = {"TLS_CERT_FILE": server.cert_file, "TLS_KEY_FILE": server.key_file}
    assert "listen.web" in problems(LISTEN_WEB="0.0.0.0:0", **files)[0]
    Guard(config(LISTEN_WEB="0.0.0.0:0", TLS_WEB_CLIENT_CA_FILE=authority.file, **files))


@pytest.mark.parametrize("said", ["1", "true", "yes"])
def test_who_says_insecure_is_let_and_warned(said: str) -> None:
    allowed = config(LISTEN_WEB="0.0.0.0:0", INSECURE=said)
    Guard(allowed)
    assert list(exposure.warnings(allowed)) == ["listen.web: 0.0.0.0:0 asks nobody who they are, as insecure allows"]
    assert list(exposure.warnings(config(INSECURE=said))) == []


def test_what_is_a_problem_is_no_warning_besides() -> None:
    open_to_all = config(LISTEN_WEB="0.0.0.0:0")
    assert (len(list(exposure.problems(open_to_all))), list(exposure.warnings(open_to_all))) == (1, [])


def test_tokens_in_the_open_are_warned_of() -> None:
    (warning,) = exposure.warnings(config(LISTEN_WEB="0.0.0.0:0", AUTH_READ_TOKENS=TOKEN))
    assert "unencrypted" in warning


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("a.localhost", True)]
    + [(host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "collector", "localhost.example", "127.0.0.1.example")],
)
def test_what_loopback_is(host: str, *, loopback: bool) -> None:
    assert exposure.is_loopback(host) is loopback


def test_all_problems_of_files_and_listeners_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("short\n")
    told = problems(
        LISTEN_WEB="0.0.0.0:0",
        TLS_CERT_FILE=str(tmp_path / "none.crt"),
        TLS_CLIENT_CA_FILE=str(tmp_path),
        AUTH_WRITE_TOKENS_FILE=str(tmp_path / "tokens"),
        AUTH_READ_TOKENS_FILE=str(tmp_path / "none"),
    )
    assert [line.split(": ")[0] for line in told] == [
        "auth.read_tokens_file",
        "auth.write_tokens_file",
        "tls.cert_file",
        "tls.cert_file",
        "tls.client_ca_file",
    ]
    assert f"{tmp_path}/none.crt: no such file or directory; it should be the collector's certificate" in told[3]


def test_what_is_wrong_with_certificates_is_told_with_its_place(tmp_path: Path, authority: Authority) -> None:
    good, other, locked = (
        authority.issue("good"),
        authority.issue("other"),
        authority.issue("locked", passphrase=b"secret"),
    )
    text = tmp_path / "text"
    text.write_text("no certificate")
    torn = tmp_path / "torn"
    torn.write_bytes(good.cert[:200])

    def told(cert: str, key: str, **more: str) -> str:
        (problem,) = problems(TLS_CERT_FILE=cert, TLS_KEY_FILE=key, **more)
        return problem

    assert "tls.key_file: " in told(good.cert_file, other.key_file)
    assert "not the key of the certificate" in told(good.cert_file, other.key_file)
    assert "passphrase" in told(locked.cert_file, locked.key_file)
    assert told(str(text), good.key_file).startswith(f"tls.cert_file: {text}: not what it should be")
    assert told(good.cert_file, str(text)).startswith(f"tls.key_file: {text}: not what it should be")
    assert told(str(torn), good.key_file).startswith(f"tls.cert_file: {torn}")
    for wrong in (str(text), good.key_file):
        ca = told(good.cert_file, good.key_file, TLS_CLIENT_CA_FILE=wrong)
        assert ca.startswith(f"tls.client_ca_file: {wrong}: not what it should be: the certificates of the authorities")
    assert problems(TLS_CERT_FILE=good.cert_file) == ["tls.cert_file: needs tls.key_file too"]
    assert problems(TLS_CLIENT_CA_FILE=authority.file) == [
        "tls.client_ca_file: needs tls.cert_file and tls.key_file too"
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no token"),
        (b"# none yet\n\n", "holds no token"),
        (b"tooshort\n", ":1: a token is"),
        (f"{TOKEN}\n\nwith blanks in between\n".encode(), ":3: a token is"),
        (b"\xff" * 20, ":1: a token is"),
        (b"a" * (FILE_MAX_BYTES + 1), "over 1 MiB"),
    ],
)
def test_a_file_of_tokens_that_holds_none_or_others_stops_the_start(tmp_path: Path, content: bytes, said: str) -> None:
    """An empty file must not open the door; and no token is shown."""
    path = tmp_path / "tokens"
    path.write_bytes(content)
    (problem,) = problems(AUTH_READ_TOKENS_FILE=str(path))
    assert f"auth.read_tokens_file: {path}" in problem
    assert said in problem
    assert TOKEN not in problem
    assert "blanks" not in problem


def test_tokens_of_a_file_and_of_the_environment_are_both_good(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# of the team\n  {TOKEN}  \n")
    guard = Guard(config(AUTH_READ_TOKENS_FILE=str(path), AUTH_READ_TOKENS=OTHER))
    assert guard.denial(Scope.READ, [f"Bearer {TOKEN}"]) is None
    assert guard.denial(Scope.READ, [f"Bearer {OTHER}"]) is None
    assert guard.denial(Scope.READ, []) is not None


def test_settings_never_show_their_tokens() -> None:
    settings = config(AUTH_READ_TOKENS=TOKEN, AUTH_WRITE_TOKENS=OTHER)
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert TOKEN not in shown
        assert OTHER not in shown


def refreshed(guard: Guard) -> list[Reloaded]:
    """What comes of a change that then stands still: the first look sees it, the second uses it."""
    assert guard.refresh() == []
    return guard.refresh()


def test_changed_tokens_are_used_and_broken_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(TOKEN)
    guard = Guard(config(AUTH_READ_TOKENS_FILE=str(path)))

    def let_in(token: str) -> bool:
        return guard.denial(Scope.READ, [f"Bearer {token}"]) is None

    assert guard.refresh() == []
    path.write_text(f"{TOKEN}\n{OTHER}\n")
    assert [(event.kind, event.problem) for event in refreshed(guard)] == [("tokens", "")]
    assert let_in(TOKEN)
    assert let_in(OTHER)
    path.write_text("")
    (event,) = refreshed(guard)
    assert f"auth.read_tokens_file: {path}: holds no token" in event.problem
    assert guard.refresh() == []  # told once
    assert let_in(OTHER)
    path.unlink()
    assert "no such file" in refreshed(guard)[0].problem
    assert let_in(OTHER)
    path.write_text(OTHER)
    assert refreshed(guard)[0].problem == ""
    assert (let_in(TOKEN), let_in(OTHER)) == (False, True)


@pytest.mark.parametrize("damage", [lambda _: b"", lambda pem: pem[:-40], lambda _: b"-----BEGIN CERTIFICATE-----\nx"])
def test_a_damaged_certificate_leaves_the_old_one_in_use(
    authority: Authority, damage: Callable[[bytes], bytes]
) -> None:
    server = authority.issue("server")
    guard = Guard(config(TLS_CERT_FILE=server.cert_file, TLS_KEY_FILE=server.key_file))
    assert guard._tls is not None
    before: Any = guard._tls.value
    good = server.cert
    Path(server.cert_file).write_bytes(damage(good))
    (event,) = refreshed(guard)
    assert event.kind == "certificates"
    assert event.problem.startswith(f"tls.cert_file: {server.cert_file}")
    assert guard._tls.value is before
    Path(server.cert_file).write_bytes(good)
    assert refreshed(guard)[0].problem == ""
    assert guard._tls.value is not before


def test_files_that_are_still_being_written_are_not_read(tmp_path: Path) -> None:
    """Half a list of tokens is one too, and would turn the other half of the services away."""
    path = tmp_path / "tokens"
    path.write_text(f"{TOKEN}\n{OTHER}\n")
    guard = Guard(config(AUTH_WRITE_TOKENS_FILE=str(path)))
    path.write_text(f"{TOKEN}\n")
    assert guard.refresh() == []
    path.write_text(f"{TOKEN}\n{OTHER}9\n")
    assert guard.refresh() == []
    assert guard.denial(Scope.WRITE, [f"Bearer {OTHER}"]) is None
    assert [event.problem for event in guard.refresh()] == [""]
    assert guard.denial(Scope.WRITE, [f"Bearer {OTHER}"]) is not None


def test_what_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_text("old")
    meanwhile = iter(["", "newer", "", ""])

    def read() -> str:
        found = path.read_text()
        if more := next(meanwhile):
            path.write_text(more)
        return found

    value = FromFiles("values", [str(path)], read)
    path.write_text("new")
    assert [value.refresh(), value.refresh(), value.value] == [None, None, "old"]
    assert [value.refresh(), value.refresh(), value.value] == [None, Reloaded("values"), "newer"]
