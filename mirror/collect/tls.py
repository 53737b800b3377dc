"""TLS of the listeners: what the files of the configuration make, and how a changed certificate reaches the next handshake.

gRPC asks for the certificate of each handshake by a callback. An HTTP listener has one context for its life, which hands
each handshake on to the newest. Connections that stand keep what they began with.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import grpc

from mirror.collect import validity
from mirror.collect.files import FilesError, read_file
from mirror.collect.validity import Validity
from mirror.config.sections import Tls

_WANTED: Final = {
    "cert_file": "the collector's certificate with its chain, in PEM",
    "key_file": "the certificate's private key, in PEM",
    "client_ca_file": "the certificates of the authorities, in PEM",
    "web_client_ca_file": "the certificates of the authorities, in PEM",
}


@dataclass(frozen=True, slots=True)
class Material:
    """What one reading of the files made."""

    certificates: grpc.ServerCertificateConfiguration
    otlp: ssl.SSLContext
    web: ssl.SSLContext
    valid: Validity | None  # the collector's certificate with its chain; None: the dates cannot be read


def paths(tls: Tls) -> tuple[str, ...]:
    """The files that are given."""
    return tuple(path for name in _WANTED if (path := getattr(tls, name)))


def material(tls: Tls) -> Material:
    """Read and check all files. Raises FilesError with every problem that can be told at once."""
    contents, problems = dict[str, bytes](), _unmatched(tls)
    for name in _WANTED:
        if path := getattr(tls, name):
            contents[name] = _read(name, path, problems)
    if problems:
        raise FilesError(problems)
    otlp = _context(tls, "client_ca_file", contents, ssl.CERT_REQUIRED)
    # Health is open: so whoever comes without a certificate is let in, and asked for it at all other addresses.
    web = _context(tls, "web_client_ca_file", contents, ssl.CERT_OPTIONAL)
    pair = (contents["key_file"], contents["cert_file"])
    certificates = grpc.ssl_server_certificate_configuration([pair], contents.get("client_ca_file"))
    return Material(certificates, otlp, web, validity.of_pem(contents["cert_file"]))


def grpc_credentials(newest: Callable[[], Material], *, ask_clients: bool) -> grpc.ServerCredentials:
    """Credentials that ask for the newest material at each handshake."""
    given = newest()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        now = newest()
        if now is given:
            return None
        given = now
        return now.certificates

    return grpc.dynamic_ssl_server_credentials(
        given.certificates,
        changed,  # type: ignore[arg-type]  # None is the documented word for "as before"
        require_client_authentication=ask_clients,
    )


class NewestContext(ssl.SSLContext):
    """A server's context, which makes each connection by the context that `newest` gives.

    `failed` is called with a reason, a counter's label, for each handshake that fails.
    """

    def __new__(cls, *_: Any) -> Self:
        """A context of its own is needed only to be one."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, newest: Callable[[], ssl.SSLContext], failed: Callable[[str], None]) -> None:
        self._newest = newest
        self._failed = failed

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """See ssl.SSLContext."""
        made = self._newest().wrap_bio(*args, **options)
        if isinstance(made, _Counted):
            made.failed = self._failed
        return made


class _Counted(ssl.SSLObject):
    """One connection, which tells when its handshake fails."""

    failed: Callable[[str], None] | None = None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLCertVerificationError:
            self._tell("client_certificate")
            raise
        except ssl.SSLError as error:
            self._tell("no_client_certificate" if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE" else "protocol")
            raise

    def _tell(self, reason: str) -> None:
        if self.failed is not None:
            self.failed(reason)


def _read(name: str, path: str, problems: list[str]) -> bytes:
    try:
        return read_file(f"tls.{name}", path)
    except FilesError as error:
        problems += [f"{problem}; it should be {_WANTED[name]}" for problem in error.problems]
        return b""


def _unmatched(tls: Tls) -> list[str]:
    given = [name for name in _WANTED if getattr(tls, name)]
    missing = [f"tls.{name}" for name in ("cert_file", "key_file") if name not in given]
    if not given or not missing:
        return []
    return [f"tls.{given[0]}: needs {' and '.join(missing)} too"]


def _context(tls: Tls, ca_name: str, contents: dict[str, bytes], asked: ssl.VerifyMode) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslobject_class = _Counted
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, tls, contents)
    if authorities := contents.get(ca_name):
        try:
            context.load_verify_locations(cadata=authorities.decode("ascii"))
        except (ssl.SSLError, ValueError):
            path = getattr(tls, ca_name)
            raise FilesError([f"tls.{ca_name}: {path}: not what it should be: {_WANTED[ca_name]}"]) from None
        context.verify_mode = asked
    return context


class _EncryptedError(Exception):
    pass


def _no_passphrase() -> str:
    raise _EncryptedError  # OpenSSL would ask at the terminal


def _load_pair(context: ssl.SSLContext, tls: Tls, contents: dict[str, bytes]) -> None:
    for name, begin in (("cert_file", b"-----BEGIN CERTIFICATE"), ("key_file", b"PRIVATE KEY-----")):
        if begin not in contents[name]:
            raise FilesError([f"tls.{name}: {getattr(tls, name)}: not what it should be: {_WANTED[name]}"])
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, _no_passphrase)
    except _EncryptedError:
        raise FilesError([f"tls.key_file: {tls.key_file}: has a passphrase; give a key without one"]) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = f"tls.key_file: {tls.key_file}: not the key of the certificate in {tls.cert_file}"
        else:
            problem = f"tls.cert_file: {tls.cert_file}, or its key {tls.key_file}: damaged; write both anew"
        raise FilesError([problem]) from None
    except OSError as error:
        raise FilesError([f"tls.cert_file: {tls.cert_file}: {error.strerror}"]) from None
