"""What can be set, section by section. The descriptions here are what docs/configuration.md shows."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, InstanceOf

from mirror.config.rules import RULES_MAX, AnyRule
from mirror.config.values import Address, Duration, Endpoint, RunName, Section, Size, StoreUrl
from mirror.core.rules import RuleSet

_MIB: Final = 1 << 20
_Share = Annotated[float, Field(ge=0, le=1)]
_Chance = Annotated[float, Field(gt=0, lt=1)]


class Listen(Section):
    """Where the collector listens. Port 0 takes any free one."""

    otlp_grpc: Address = Field(default="127.0.0.1:4317", description="OTLP over gRPC.")
    otlp_http: Address = Field(default="127.0.0.1:4318", description="OTLP over HTTP, protobuf and JSON.")
    web: Address = Field(default="127.0.0.1:4319", description="Page, API, `/metrics` and `/healthz`.")


class Store(Section):
    """Where counts and kept comparisons go."""

    url: StoreUrl = Field(
        default="sqlite:///mirror.db", description="The database: `sqlite:///FILE` or `postgresql://...`."
    )
    payload_keep_per_minute: int = Field(
        default=20,
        ge=0,
        le=10_000,
        description="Mismatched comparisons kept with their payloads, per method, path pattern and minute.",
    )


class Pairing(Section):
    """How long a call waits for its others, and how much may wait."""

    max_stream_duration_s: Duration = Field(
        default=30.0, description="The longest a call can last: the `max_stream_duration` of the Envoy route."
    )
    batch_age_s: Duration = Field(default=1.0, description="How long an interceptor holds a span before sending it.")
    retry_margin_s: Duration = Field(
        default=5.0, description="Added to the deadline for retries: `max_stream_duration_s + 2 batch_age_s + this`."
    )
    open_max_bytes: Size = Field(
        default=256 * _MIB, description="Bytes of calls that wait for their others; beyond, the oldest are released."
    )
    tombstones_max: int = Field(
        default=100_000, ge=0, le=10_000_000, description="Released calls remembered, to tell late and duplicate spans."
    )


class Intake(Section):
    """Limits at the entrance."""

    message_max_bytes: Size = Field(default=16 * _MIB, description="One OTLP request, after decompression.")
    queue_max_bytes: Size = Field(
        default=128 * _MIB, description="Requests that wait to be read; beyond, senders are told to come back."
    )


class Compare(Section):
    """What is compared beside the messages and the status code."""

    status_message: bool = Field(default=False, description="Compare the status message, which is written for people.")
    trailing_metadata_ignore: tuple[str, ...] = Field(
        default=("date", "server-timing", "traceparent", "tracestate", "x-request-id"),
        description="Keys of trailing metadata that are never compared, in lower case.",
    )
    differences_max: int = Field(
        default=100, ge=1, le=10_000, description="Differences listed for one pair; beyond, they are only counted."
    )


class Forward(Section):
    """Spans passed on to a tracing backend, always without captures."""

    endpoint: Endpoint = Field(
        default="", description="OTLP: `host:port` for gRPC, `http://host:port` for HTTP. Empty: nothing is forwarded."
    )
    matched: bool = Field(default=False, description="Also the spans of pairs that matched.")
    values: bool = Field(default=False, description="Put the differing values into the `mirror.compare` span.")


class PolicySettings(Section):
    """When a run passes or fails."""

    alpha_fail: _Chance = Field(default=0.01, description="Chance of any false *regressed* in an epoch.")
    alpha_pass: _Chance = Field(default=0.05, description="Chance of a pass while the true rate is over the budget.")
    budget: _Share = Field(default=0.001, description="Share of pairs that may differ without an explanation.")
    min_duration_s: Duration = Field(default=1800.0, description="The shortest run that can pass.")
    vote_by: Literal["minute", "call"] = Field(
        default="minute", description="What is one vote: a minute, or a call where calls are independent."
    )


class Settings(Section):
    """What file and `Config` share."""

    runs: Annotated[tuple[RunName, ...], Field(max_length=1000)] = Field(
        default=("default",),
        description="The names of runs that are accepted; calls of others are counted and dropped.",
    )
    listen: Listen = Field(default_factory=Listen)
    store: Store = Field(default_factory=Store)
    pairing: Pairing = Field(default_factory=Pairing)
    intake: Intake = Field(default_factory=Intake)
    compare: Compare = Field(default_factory=Compare)
    forward: Forward = Field(default_factory=Forward)


class FileSettings(Settings):
    """The whole of `mirror.yaml`."""

    policy: PolicySettings = Field(default_factory=PolicySettings)
    rules: Annotated[tuple[AnyRule, ...], Field(max_length=RULES_MAX)] = Field(
        default=(), description="What may differ, and where."
    )


class Config(Settings):
    """The configuration in force. Everything has a default: `Config()` is complete."""

    policy: PolicySettings = Field(default_factory=PolicySettings)
    rules: InstanceOf[RuleSet] = Field(default_factory=RuleSet)
