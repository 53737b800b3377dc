"""Who may do what, by the `authorization` of a request: the decision, without any protocol and without I/O.

Tokens are kept as digests, so that neither their text nor their length shows anywhere, and each is compared with all, in a
time that does not depend on which one is right.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

HEADER_MAX_CHARS: Final = 2048


class Scope(StrEnum):
    """What a token allows; neither includes the other."""

    READ = "read"
    WRITE = "write"


_MAY: Final = {Scope.READ: "read page, API and metrics", Scope.WRITE: "send captures and decide on paths"}


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a request goes no further.

    `known`: the caller is known and may not (403, PERMISSION_DENIED); else it is not known (401, UNAUTHENTICATED).
    `reason`: a counter's label. `message`: what is missing, for the caller.
    """

    reason: str
    message: str
    known: bool = False


NO_CERTIFICATE: Final = Denied(
    "no_certificate",
    "A client certificate is missing: connect with one by an authority that this collector trusts.",
    known=True,
)


class Tokens:
    """The tokens of each scope. A scope without tokens is open, as far as tokens go."""

    def __init__(self, *, read: Iterable[str] = (), write: Iterable[str] = ()) -> None:
        given = {Scope.READ: read, Scope.WRITE: write}
        self._digests = {scope: tuple(_digest(token) for token in tokens) for scope, tokens in given.items()}

    def asked(self, scope: Scope) -> bool:
        """Whether a token is asked for."""
        return bool(self._digests[scope])

    @property
    def to_look_up(self) -> Scope:
        """What asks on the port of writers for what primaries were told: to read; where that asks for no token, to write, as that port does."""
        return Scope.READ if self.asked(Scope.READ) else Scope.WRITE

    def denial(self, scope: Scope, authorization: Sequence[str], *, basic: bool = False) -> Denied | None:
        """What keeps a request with these `authorization` headers from `scope`; None: nothing does.

        `basic`: a password is taken for a token too, whatever the user's name; for browsers.
        """
        if not self.asked(scope):
            return None
        if not authorization:
            return Denied("no_token", f"A token is missing that may {_MAY[scope]}: {_how(basic=basic)}.")
        token = _token(authorization, basic=basic)
        if token is None:
            return Denied("no_token", f"The authorization header holds no token: {_how(basic=basic)}.")
        allowed = self._scopes(token)
        if scope in allowed:
            return None
        if allowed:
            may = " and ".join(_MAY[one] for one in allowed)
            return Denied("wrong_scope", f"This token may {may}; one is needed that may {_MAY[scope]}.", known=True)
        return Denied("unknown_token", "This token is not one of the collector's.")

    def _scopes(self, token: str) -> list[Scope]:
        digest = _digest(token)
        found = []
        for scope, digests in self._digests.items():
            equal = [hmac.compare_digest(digest, one) for one in digests]  # all of them, always
            if any(equal):
                found.append(scope)
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _how(*, basic: bool) -> str:
    asked = "send 'authorization: Bearer TOKEN'"
    return f"{asked}, or in a browser give the token as the password, with any user name" if basic else asked


def _token(authorization: Sequence[str], *, basic: bool) -> str | None:
    """The one token of the headers; None where there is none, or more than one header."""
    if len(authorization) != 1 or len(authorization[0]) > HEADER_MAX_CHARS:
        return None
    scheme, _, rest = authorization[0].strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer":
        return rest or None
    return _password(rest) if basic and scheme.lower() == "basic" else None


def _password(encoded: str) -> str | None:
    try:
        user_and_password = base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
    return user_and_password.partition(":")[2] or None
