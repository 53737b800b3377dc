from collections.abc import Iterable
from typing import TypeAlias

Call: TypeAlias = tuple[bytes, str, bytes, bytes, bytes, int, int, int, int, int]

class Cutter:
    def __init__(self, mirror_id: str, capture: str, keys: Iterable[str]) -> None: ...
    def cut(self, body: bytes) -> list[tuple[bytes, list[Call | bytes | None]]] | None: ...
