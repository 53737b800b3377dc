"""Addresses to listen on, and the error of one that cannot be had."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port`` or ``[ipv6]:port``. Raises ValueError that says what is wrong."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{text!r} is not host:port, such as 127.0.0.1:4317")
        return cls(host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port))  # noqa: S104 - ":4317" says so

    def with_port(self, port: int) -> Address:
        """The same host with another port."""
        return replace(self, port=port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class PortInUseError(OSError):
    """A listener could not get its address. The text says which, where, why and what to do.

    `in_use`: another socket has it.
    """

    def __init__(self, listener: str, address: Address, why: str, *, in_use: bool = False) -> None:
        self.why, self.in_use = why, in_use
        super().__init__(
            f"listen.{listener}: cannot listen on {address}: {why}. "
            f"Stop what holds the port, or choose another with listen.{listener} in the configuration "
            f"or MIRROR_LISTEN_{listener.upper()} (port 0: any free one)."
        )


def bind(listener: str, address: Address) -> socket.socket:
    """A bound socket for `address`. Raises PortInUseError naming `listener`, a key of the configuration's `listen`."""
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((address.host, address.port), family=family, backlog=2048, reuse_port=False)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        why = "the port is in use" if in_use else error.strerror or str(error)
        raise PortInUseError(listener, address, why, in_use=in_use) from error


def port_of(bound: socket.socket) -> int:
    """The port that a bound socket really has."""
    port: int = bound.getsockname()[1]
    return port
