"""Which calls of a method with large messages come first: what services and collectors have to agree on. Pure."""

from __future__ import annotations

from typing import Final

import xxhash

ALL: Final = 1 << 64  # above every place
_SEED: Final = 0x6D6972726F72  # others choose calls by the same ID, and are not to choose the same ones


def place_of(mirror_id: object) -> int:
    """Where a call stands, 0 to 2**64, by its mirror ID: the same on all replicas. A share of the calls is those below a bound."""
    return xxhash.xxh3_64_intdigest(str(mirror_id).strip().encode("utf-8", "surrogatepass"), _SEED)
