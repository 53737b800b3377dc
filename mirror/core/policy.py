"""The policy of a run: what it must show before it may pass, and what fails it. Declared once, frozen, checked when made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Policy:
    """What a run must show. The shipped defaults; shares are from 0 to 1. Raises ValueError with every problem."""

    alpha_fail: float = 0.01  # chance that a run without any change is ever failed by a regressed path
    alpha_pass: float = 0.05  # chance that a run over the budget passes
    budget: float = 0.001  # share of triples that may differ unexplained
    min_duration_s: float = 1800.0
    vote_by: Literal["minute", "call"] = "minute"
    hold_suspects: int = 3  # votes of a suspect without noise that hold the pass
    min_complete: float = 0.99
    max_capture_loss: float = 0.01
    max_status_noise: float = 0.01  # of each required method
    max_blind: float = 0.2  # of leaf values
    required_share: float = 0.01  # methods over this share of the mirrored calls are required
    required_methods: tuple[str, ...] = ()  # and these
    min_triples: int = 500  # of each required method
    latency_ratio: float = 1.2  # over the secondary's, from which a method counts as slower
    on_latency: Literal["report", "fail"] = "report"  # what becomes of a run with such a method

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be over 0 and under 1, got {getattr(self, name)}"
            for name in ("alpha_fail", "alpha_pass", "budget")
            if not 0 < getattr(self, name) < 1
        ]
        problems += [
            f"{name} must be from 0 to 1, got {getattr(self, name)}"
            for name in ("min_complete", "max_capture_loss", "max_status_noise", "max_blind", "required_share")
            if not 0 <= getattr(self, name) <= 1
        ]
        problems += [
            f"{name} must not be negative, got {getattr(self, name)}"
            for name in ("min_duration_s", "min_triples")
            if getattr(self, name) < 0
        ]
        if self.latency_ratio < 1:
            problems.append(f"latency_ratio must be at least 1, got {self.latency_ratio}")
        if self.on_latency not in ("report", "fail"):
            problems.append(f'on_latency must be "report" or "fail", got {self.on_latency!r}')
        if self.hold_suspects < 1:
            problems.append(f"hold_suspects counts votes from 1, got {self.hold_suspects}")
        if self.vote_by not in ("minute", "call"):
            problems.append(f'vote_by must be "minute" or "call", got {self.vote_by!r}')
        if problems:
            raise ValueError("; ".join(problems))
