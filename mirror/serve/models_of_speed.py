"""The shapes of /api/v1 that are about latency, size and instances. The same contract as in `models`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class SpeedMinute(_Model):
    """One minute (unix minutes) of a method's latency or size."""

    minute: int
    triples: int
    medians: dict[str, float | None] = Field(description="of primary, candidate and secondary")


class Speed(_Model):
    """Latency (nanoseconds) or size (bytes) of one method: the candidate against the secondary, the primary beside them."""

    method: str
    metric: str = Field(description="latency or size")
    triples: int
    minutes: int = Field(description="minutes that were counted")
    rank: int
    median_ratio: float = Field(
        description="in most minutes most calls are over so many times the secondary's; 0: no sign"
    )
    tail_ratio: float = Field(description="the tail is beyond so many times the secondary's; 0: no sign")
    since_s: float
    quantiles: dict[str, tuple[float | None, ...]] = Field(description="by role p50, p90 and p99, to 2%")
    slower: bool = Field(description="latency from the policy's latency_ratio on")
    evidence: str = Field(description="in words")
    by_minute: list[SpeedMinute] = Field(description="the newest 60, in order")


class Instance(_Model):
    """One instance of a role, and the mirrored calls that it served."""

    role: str
    instance: str
    calls: int
    first_s: float
    last_s: float


class Speeds(_Model):
    """Latency and size of an epoch, and the instances behind them: of one instance each, it may be the instance that is slower."""

    run: str
    epoch: int | None
    speeds: list[Speed]
    instances: list[Instance]
