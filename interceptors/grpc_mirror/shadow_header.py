"""The header `x-mirror-shadow`, by which a shadow tells the services that it calls that no user will see the outcome.

Pure: key, id and time in, text out. The text is `1.EXPIRY.ID.MAC`: unix seconds, the id as URL-safe base64, and the
HMAC-SHA-256 (RFC 2104) over version, expiry and id as URL-safe base64. It says "shadow" and nothing of the method, so it
is short-lived: whoever reads it on the way can use it until it expires. Only services that opt in heed it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

from grpc_mirror.propagation import ID_MAX_CHARS
from grpc_mirror.v1 import attributes

LIFETIME_S = 60
SKEW_MAX_S = 30  # between the clocks of two hosts
_VERSION = "1"
_TEXT_MAX_CHARS = 2048


def sign(key: str, mirror_id: str, now_s: float) -> str:
    """The header's value for a call made at `now_s` (unix seconds). The id is cut at ID_MAX_CHARS."""
    expiry = str(int(now_s) + LIFETIME_S)
    identity = _encode(mirror_id[:ID_MAX_CHARS].encode("utf-8", "replace"))
    return f"{_VERSION}.{expiry}.{identity}.{_mac(key, expiry, identity)}"


def verify(key: str, text: str, now_s: float) -> str | None:
    """The id of a header that is genuine and current; None: it is not to be heeded.

    Refused are another key's, expired ones, and those that live longer than `sign` lets them, each by up to SKEW_MAX_S.
    The comparison takes the same time wherever the first difference stands.
    """
    parts = text.split(".") if len(text) <= _TEXT_MAX_CHARS and text.isascii() else []
    if len(parts) != 4 or parts[0] != _VERSION or not key:
        return None
    _, expiry, identity, mac = parts
    if not hmac.compare_digest(mac, _mac(key, expiry, identity)):
        return None
    if not expiry.isdecimal() or not -SKEW_MAX_S <= int(expiry) - now_s <= LIFETIME_S + SKEW_MAX_S:
        return None
    try:
        return base64.urlsafe_b64decode(identity + "=" * (-len(identity) % 4)).decode()
    except (binascii.Error, ValueError):
        return None


def header_of(metadata: Iterable[tuple[str, Any]]) -> str:
    """The header's value in a call's metadata; empty: it has none. Of a repeated one the first counts."""
    for key, value in metadata:
        if key == attributes.HEADER_SHADOW and isinstance(value, str):
            return value.strip()
    return ""


def _mac(key: str, expiry: str, identity: str) -> str:
    told = f"{attributes.HEADER_SHADOW}\0{_VERSION}\0{expiry}\0{identity}".encode()
    return _encode(hmac.new(key.encode(), told, hashlib.sha256).digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
