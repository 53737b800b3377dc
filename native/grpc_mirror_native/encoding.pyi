from collections.abc import Callable
from typing import Any

class Span:
    form: Any
    content: tuple[bytes, ...]
    bytes: int
    size: int
    @property
    def is_call(self) -> bool: ...

class Encoder:
    modules: int
    def __init__(
        self,
        kind: type[Any],
        forms: dict[tuple[Any, ...], Any],
        make: Callable[[Any], Any],
        derived: Callable[[str], bytes],
        *,
        names: tuple[str, ...],
        keys: tuple[bytes, bytes],
        limits: tuple[int, int, int, int],
        seeds: tuple[int, int],
    ) -> None: ...
    def spans(self, calls: list[Any]) -> list[Span | None]: ...

def messages(
    requests: tuple[Any, ...], responses: tuple[Any, ...], room: int, limit: int, alone: int
) -> tuple[list[bytes], int, int, int]: ...
