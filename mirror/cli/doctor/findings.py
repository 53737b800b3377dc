"""What a check finds, and running checks side by side, each within its time. Knows nothing of what is checked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class State(StrEnum):
    """How it is."""

    OK = "ok"
    NOTE = "note"  # worth knowing; nothing has to be done
    WRONG = "wrong"
    UNTRIED = "untried"  # because of something else that is wrong


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `about`: the setting or part. `advice`: what to do, where something is to be done."""

    state: State
    about: str
    text: str
    advice: str = ""


def ok(about: str, text: str) -> Finding:
    """All right."""
    return Finding(State.OK, about, text)


def note(about: str, text: str, advice: str = "") -> Finding:
    """Worth knowing."""
    return Finding(State.NOTE, about, text, advice)


def wrong(about: str, text: str, advice: str) -> Finding:
    """To be mended, by `advice`."""
    return Finding(State.WRONG, about, text, advice)


Check: TypeAlias = Callable[[], Sequence[Finding]]


@dataclass(frozen=True, slots=True)
class Named:
    """A check, and what its line is about where it does not come to its end."""

    about: str
    check: Check


def examine(checks: Sequence[Named], *, limit_s: float) -> list[Finding]:
    """What all checks find, in their order. They run at the same time; none is waited for longer than `limit_s`.

    A check that fails by itself is a finding too. Its thread is left behind where it does not end: the process does not wait for it.
    """
    running = [_Running(one) for one in checks]
    end_s = time.monotonic() + limit_s
    return [finding for one in running for finding in one.result(end_s, limit_s)]


class _Running:
    def __init__(self, named: Named) -> None:
        self._named = named
        self._found: Sequence[Finding] = ()
        self._thread = threading.Thread(target=self._run, name=f"doctor {named.about}", daemon=True)
        self._thread.start()

    def result(self, end_s: float, limit_s: float) -> Sequence[Finding]:
        self._thread.join(max(0.0, end_s - time.monotonic()))
        if self._thread.is_alive():
            advice = "look for a name that does not resolve, a firewall that drops packets, or a disk that hangs; or give more time by --timeout"
            return [wrong(self._named.about, f"gave no answer within {limit_s:g} s", advice)]
        return self._found

    def _run(self) -> None:
        try:
            self._found = self._named.check()
        except Exception as fault:  # noqa: BLE001 - one check must not end the others
            text = f"could not be tried: {type(fault).__name__}: {fault}"
            self._found = [wrong(self._named.about, text, "report this, with the configuration")]
