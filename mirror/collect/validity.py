"""From when to when certificates are valid, read from their PEM. Pure: bytes in, unix times out.

The standard library tells it of a certificate that a peer showed and trusted, not of one's own. Where the dates stand: RFC 5280,
section 4.1; how they are encoded: X.690 (tag, length, content), of which only what leads to the dates is read.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_VERSION: Final = 0xA0  # the one field before the dates that may be missing
_BEFORE_DATES: Final = 3  # serial number, signature algorithm, issuer
_UTC_TIME: Final = 0x17  # with two digits of the year; the other kind has four
_DAY_S: Final = 86_400
SOON_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class Validity:
    """Unix times: valid from `begin_s` on, and until `end_s`."""

    begin_s: float
    end_s: float

    def trouble(self, now_s: float) -> str:
        """What an operator should know of it at `now_s`, in words; empty: it holds for SOON_DAYS and more."""
        if now_s >= self.end_s:
            return f"expired at {_moment(self.end_s)}"
        if now_s < self.begin_s:
            return f"is valid from {_moment(self.begin_s)} on only: is it the right one, and is this machine's clock right?"
        if self.end_s - now_s < SOON_DAYS * _DAY_S:
            days = int((self.end_s - now_s) // _DAY_S)
            return f"expires at {_moment(self.end_s)}, in {days} days" if days else f"expires at {_moment(self.end_s)}"
        return ""


def of_pem(content: bytes) -> Validity | None:
    """When all certificates of a file are valid: a chain holds as long as each of its links. None: it holds none that can be read."""
    try:
        found = [_of_der(base64.b64decode(text)) for text in _PEM.findall(content)]
    except (ValueError, IndexError):
        return None
    if not found:
        return None
    return Validity(max(one.begin_s for one in found), min(one.end_s for one in found))


def _of_der(der: bytes) -> Validity:
    """Raises ValueError and IndexError where it is no certificate."""
    ((_, certificate),) = _parts(der)
    fields = _parts(_parts(certificate)[0][1])
    begin, end = _parts(fields[_BEFORE_DATES + (fields[0][0] == _VERSION)][1])
    return Validity(_unix_s(*begin), _unix_s(*end))


def _parts(content: bytes) -> list[tuple[int, bytes]]:
    """The elements that stand in `content` one after the other: tag and content."""
    found, place = [], 0
    while place < len(content):
        tag, size = content[place], content[place + 1]
        place += 2
        if size & 0x80:
            digits = size & 0x7F
            size, place = int.from_bytes(content[place : place + digits], "big"), place + digits
        if place + size > len(content):
            raise ValueError("cut off")
        found.append((tag, content[place : place + size]))
        place += size
    return found


def _unix_s(tag: int, content: bytes) -> float:
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _moment(unix_s: float) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M} UTC"
