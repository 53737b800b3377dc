"""Names as the store keeps them: bounded in length and free of what PostgreSQL's text refuses. Pure."""

from __future__ import annotations

import hashlib
from typing import Final

NAME_MAX_CHARS: Final = 600  # an index row of PostgreSQL holds 2,704 bytes, a character at most 4


def stored(name: str) -> str:
    """`name` as it is kept: no NUL, at most NAME_MAX_CHARS; a longer one ends in a digest, so that it stays distinct."""
    if len(name) <= NAME_MAX_CHARS:
        return name.replace("\x00", "\ufffd")
    name = name.replace("\x00", "\ufffd")
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: NAME_MAX_CHARS - 18]}…#{digest}"
