"""SIGTERM without losing what is queued. Python's default action kills the process without running exit handlers.

The handler does next to nothing, since it interrupts the main thread anywhere, even inside a lock: it starts a thread.
That thread flushes, within a bound, and sends SIGTERM again; then the default action is back and ends the process as
it would have ended without us. A service that handles SIGTERM itself is left alone: its exit handlers run, or it
calls `grpc_mirror.shutdown()`.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

# The main thread may be deep in C code and never get round to the second signal.
_LAST_RESORT_S = 1.0


def flush_on_sigterm(flush: Callable[[], object]) -> bool:
    """Flush when SIGTERM comes, then let it end the process.

    Returns:
        whether the handler was installed: only in the main thread, and only where SIGTERM has its default action.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return False
    flushing = flushed = False

    def flush_then_end() -> None:
        nonlocal flushed
        try:
            flush()
        finally:
            flushed = True
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(_LAST_RESORT_S)
            os._exit(128 + signal.SIGTERM)

    def handler(_number: int, _frame: Any) -> None:
        nonlocal flushing
        if flushed:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        elif not flushing:
            flushing = True
            _thread.start_new_thread(flush_then_end, ())

    signal.signal(signal.SIGTERM, handler)
    return True
