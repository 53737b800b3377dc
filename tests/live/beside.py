"""A thread that works beside a test for as long as a `with` lasts; not a test."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Self


class Beside(ABC):
    """Subclasses say in `_go_on` what is done; it ends soon after `_stop` is set, which the end of the `with` waits for."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @abstractmethod
    def _go_on(self) -> None: ...
