"""The collectors' addresses as settings name them, and the files of a TLS connection: how they are read, and what is wrong with them.

Reads files only to check them.
"""

from __future__ import annotations

import re
from pathlib import Path

_TARGET = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):(\d{1,5})")
_SCHEMES = {"http": False, "grpc": False, "https": True, "grpcs": True}
_MAX = 16
GRPC, HTTP = PROTOCOLS = ("grpc", "http/protobuf")  # as OTEL_EXPORTER_OTLP_PROTOCOL names them
GRPC_PORT, HTTP_PORT = 4317, 4318  # registered for OTLP


def split_list(text: str) -> tuple[str, ...]:
    """The endpoints of a list by commas."""
    return tuple(one.strip() for one in text.split(",") if one.strip())


def is_secure(endpoint: str) -> bool:
    """Whether the endpoint's scheme says that the connection is encrypted."""
    return _split(endpoint)[0]


def target_of(endpoint: str) -> str:
    """What follows the scheme; names of hosts are the same in either case, paths of sockets are not."""
    target = _split(endpoint)[1]
    return target if target.startswith("unix:") else target.lower()


def is_http(endpoint: str) -> bool:
    """Whether the port is that of OTLP over HTTP."""
    return target_of(endpoint).endswith(f":{HTTP_PORT}")


def lookup_of(endpoint: str) -> str:
    """Of an endpoint that speaks HTTP the same host at the port of gRPC; empty where its own port is none of OTLP's."""
    if not is_http(endpoint):
        return ""
    scheme, separator, _ = endpoint.rpartition("://")
    return f"{scheme}{separator}{target_of(endpoint).rpartition(':')[0]}:{GRPC_PORT}"


def problems(text: str, protocol: str, lookup: str) -> list[str]:
    """What is wrong with a list of endpoints, their protocol (empty: by port), and the places for questions."""
    endpoints = split_list(text)
    found = _problems_of(endpoints, "endpoint")
    found += _protocol_problems(endpoints, protocol)
    if text and not endpoints:
        found.append(f"endpoint={text!r}: holds no endpoint")
    lookups = split_list(lookup)
    found += _problems_of(lookups, "lookup_endpoint")
    if lookups and len(lookups) != len(endpoints):
        found.append(
            f"lookup_endpoint: {len(lookups)} of them, but {len(endpoints)} in endpoint; one for each, in their order"
        )
    return found


def _protocol_problems(endpoints: tuple[str, ...], protocol: str) -> list[str]:
    by_port = [is_http(one) for one in endpoints]
    if not protocol and any(by_port) and not all(by_port):
        return [
            f"endpoint: some have port {HTTP_PORT}, which is OTLP over HTTP, and some have not; MIRROR_PROTOCOL says which all of them speak"
        ]
    if protocol == HTTP:
        return [
            f"endpoint={one!r}: sockets of this kind are for protocol={GRPC}"
            for one in endpoints
            if one.startswith("unix:")
        ]
    return []


def _problems_of(endpoints: tuple[str, ...], name: str) -> list[str]:
    found = [f"{name}={one!r}: {problem}" for one in endpoints if (problem := _problem(one))]
    targets = [target_of(one) for one in endpoints]
    found += [f"{name}: {one!r} stands there twice" for one in dict.fromkeys(targets) if targets.count(one) > 1]
    if len(endpoints) > _MAX:
        found.append(f"{name}: {len(endpoints)} of them; at most {_MAX}, since each has a thread of its own")
    if len({is_secure(one) for one in endpoints if "://" in one}) > 1:
        found.append(f"{name}: some are encrypted and some are not; write https:// before all of them")
    return found


def tls_problems(ca_file: str, cert_file: str, key_file: str) -> list[str]:
    """What is wrong with the files; empty names are files not given."""
    named = (("ca_file", ca_file), ("cert_file", cert_file), ("key_file", key_file))
    found = [problem for name, path in named if path and (problem := _file_problem(name, path))]
    if bool(cert_file) != bool(key_file):
        given, other = ("cert_file", "key_file") if cert_file else ("key_file", "cert_file")
        found.append(f"{given}: needs {other} beside it")
    return found


def _split(endpoint: str) -> tuple[bool, str]:
    """(encrypted by its scheme, what follows the scheme)."""
    scheme, separator, rest = endpoint.partition("://")
    return (_SCHEMES.get(scheme.lower(), False), rest.rstrip("/")) if separator else (False, endpoint)


def _problem(endpoint: str) -> str:
    if endpoint.startswith("unix:"):
        return ""
    scheme, separator, _ = endpoint.partition("://")
    if separator and scheme.lower() not in _SCHEMES:
        return f"unknown scheme {scheme!r}; give host:port, http:// or https://"
    target = _split(endpoint)[1]
    if "/" in target:
        return "has a path; give host:port alone (port 4317 for gRPC, 4318 for HTTP)"
    found = _TARGET.fullmatch(target)
    if found is None:
        return f"not host:port; did you mean {target.split(':')[0] or 'localhost'}:4317 (gRPC) or :4318 (HTTP)?"
    try:
        found.group(1).encode("idna")
    except UnicodeError:
        return "the host is no name (between its dots stand 1 to 63 characters)"
    return "" if 0 < int(found.group(2)) < 65536 else "the port is none (1 to 65535)"


def _file_problem(name: str, path: str) -> str:
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        return f"{name}={path!r}: {(error.strerror or type(error).__name__).lower()}"
    return "" if b"-----BEGIN " in text else f"{name}={path!r}: not a PEM file (no -----BEGIN line)"
