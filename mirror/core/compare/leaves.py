"""How many single values a message holds: by this it is told whether two elements have little in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from google.protobuf.message import Message

from mirror.core.compare.align import SWAP_MIN
from mirror.core.compare.reflect import set_fields
from mirror.core.compare.values import is_message, is_repeated

SOME_MAX: Final = 6  # fields of an element that are read to see that it has some leaves
MORE_MAX: Final = 24  # the same where these do not show it
LEAVES_MAX: Final = 256  # counted of one element


def is_poor(message: Message, differences: int) -> bool:
    """`Messages.poor`; quick where some fields show that there are leaves enough."""
    if differences == 0:
        return False
    kind: Any = type(message)
    enough = enough_for(differences)
    for read, most in _some_of(kind):
        if most >= enough and len(list(filter(None, read(message)))) >= enough:
            return False
    return differences >= SWAP_MIN * leaves(message, enough)


def enough_for(differences: int) -> int:
    """With so many leaves a message is not poor."""
    return math.floor(differences / SWAP_MIN) + 1


@lru_cache(maxsize=256)
def _some_of(kind: type[Message]) -> list[tuple[Callable[[Message], tuple[Any, ...]], int]]:
    """Reads fields of a message, and of single messages in it, that are leaves where they are not empty or default; and how many."""
    descriptor: Any = kind.DESCRIPTOR
    some = _plain_names(descriptor)
    for field in descriptor.fields:
        if is_message(field) and not is_repeated(field):
            some += [f"{field.name}.{name}" for name in _plain_names(field.message_type)]
    sizes = {min(most, len(some)) for most in (SOME_MAX, MORE_MAX)}
    return [(attrgetter(*some[:most]), most) for most in sorted(sizes) if most > 1]  # of one name it gives no tuple


def _plain_names(descriptor: Any) -> list[str]:
    """Scalars without presence, and lists of scalars."""
    return [field.name for field in descriptor.fields if not (field.has_presence or is_message(field))]


def leaves(message: Message, enough: int = LEAVES_MAX) -> int:
    """How many single values a message holds, counted up to about `enough`."""
    total, waiting = 0, [message]
    while waiting and total < enough:
        for _, value in set_fields(waiting.pop()):
            if isinstance(value, Message):
                waiting.append(value)
            elif isinstance(value, str | bytes) or not isinstance(value, Iterable):
                total += 1
            else:
                total += _held(value, waiting)
    return min(total + len(waiting), LEAVES_MAX)


def _held(container: Any, waiting: list[Message]) -> int:
    if hasattr(container, "items"):
        container = [value for _, value in container.items()]
    some = container[0] if container else None
    if not isinstance(some, Message):
        return len(container)
    waiting.extend(container[:LEAVES_MAX])
    return 0
