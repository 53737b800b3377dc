"""Which listeners can be reached from other machines, and what each asks of those who connect. Decided by settings alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mirror.collect.access import Scope
from mirror.collect.addresses import Address
from mirror.config import Config


@dataclass(frozen=True, slots=True)
class Listener:
    """One of `listen`: what it is called, what a token needs there, and the setting of its clients' authorities."""

    name: str
    scope: Scope
    ca_setting: str


LISTENERS: Final = (
    Listener("otlp_grpc", Scope.WRITE, "client_ca_file"),
    Listener("otlp_http", Scope.WRITE, "client_ca_file"),
    Listener("web", Scope.READ, "web_client_ca_file"),
)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`. Names are not looked up: but for localhost, they are not loopback."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def asked(config: Config, listener: Listener) -> list[str]:
    """What it asks of those who connect, in words; empty: nothing."""
    found = []
    if getattr(config.tls, listener.ca_setting):
        found.append("client certificate")
    if _has_tokens(config, listener):
        found.append(f"token ({listener.scope})")
    return found


def problems(config: Config) -> Iterator[str]:
    """The listeners that would be open to other machines although nobody said that they may be."""
    for listener, address in _reachable(config):
        if not asked(config, listener) and not config.insecure:
            scope = listener.scope
            yield (
                f"listen.{listener.name}: {address} can be reached from other machines, and nobody would be asked who "
                f"they are. Either ask for a token (auth.{scope}_tokens_file, or MIRROR_AUTH_{scope.upper()}_TOKENS) or "
                f"for a client certificate (tls.{listener.ca_setting}); or, where something else guards the port, say "
                "so: insecure: true (MIRROR_INSECURE=1)."
            )


def warnings(config: Config) -> Iterator[str]:
    """What an operator should know of the listeners that can be reached from other machines."""
    for listener, address in _reachable(config):
        if not asked(config, listener):
            if config.insecure:  # else it is a problem
                yield f"listen.{listener.name}: {address} asks nobody who they are, as insecure allows"
        elif not config.tls.cert_file:
            yield f"listen.{listener.name}: tokens come to {address} unencrypted, unless a mesh encrypts; see tls.cert_file"


def _reachable(config: Config) -> Iterator[tuple[Listener, Address]]:
    for listener in LISTENERS:
        address = Address.parse(getattr(config.listen, listener.name))
        if not is_loopback(address.host):
            yield listener, address


def _has_tokens(config: Config, listener: Listener) -> bool:
    auth, scope = config.auth, listener.scope
    return bool(getattr(auth, f"{scope}_tokens") or getattr(auth, f"{scope}_tokens_file"))
