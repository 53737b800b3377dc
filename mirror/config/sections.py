"""What can be set, section by section. The descriptions here are what docs/configuration.md shows."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, InstanceOf

from mirror.config.rule_models import RULES_MAX, AnyRule
from mirror.config.values import (
    Address,
    Duration,
    Endpoint,
    MethodName,
    RunName,
    Section,
    Size,
    StoreUrl,
    Token,
    TraceUrl,
    WebUrl,
)
from mirror.core.compare.options import METADATA_IGNORE
from mirror.core.policy import Policy
from mirror.core.rules import RuleSet

_MIB: Final = 1 << 20
_POLICY: Final = Policy()
_Share = Annotated[float, Field(ge=0, le=1)]
_Chance = Annotated[float, Field(gt=0, lt=1)]


class Listen(Section):
    """Where the collector listens. Port 0 takes any free one."""

    otlp_grpc: Address = Field(default="127.0.0.1:4317", description="OTLP over gRPC.")
    otlp_http: Address = Field(default="127.0.0.1:4318", description="OTLP over HTTP, protobuf and JSON.")
    web: Address = Field(default="127.0.0.1:4319", description="Page, API, `/metrics` and `/healthz`.")


class Tls(Section):
    """Encryption of all three listeners, and certificates of clients. PEM files, read again within 5 s of a change."""

    cert_file: str = Field(
        default="",
        description="The collector's certificate with its chain. Given with `key_file`, all listeners use TLS.",
    )
    key_file: str = Field(default="", description="Its private key, without a passphrase.")
    client_ca_file: str = Field(
        default="", description="Authorities: who sends OTLP must show a certificate by one of them (mTLS)."
    )
    web_client_ca_file: str = Field(
        default="", description="The same for page, API and `/metrics`; `/healthz` and `/readyz` stay open."
    )


class Auth(Section):
    """Who may do what, by bearer token. Any of several tokens will do; files have one a line and are read again within 5 s of a change."""

    write_tokens: tuple[Token, ...] = Field(
        default=(), max_length=100, description="These may send OTLP. Better in the environment or a file than here."
    )
    write_tokens_file: str = Field(default="", description="The same in a file.")
    read_tokens: tuple[Token, ...] = Field(
        default=(),
        max_length=100,
        description="These may read page, API and `/metrics`; in a browser, as the password.",
    )
    read_tokens_file: str = Field(default="", description="The same in a file.")


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
    payload_max_age_s: Duration = Field(default=14 * 86400.0, gt=0, description="Older kept comparisons are deleted.")
    payload_max_bytes: Size = Field(
        default=2048 * _MIB, description="All kept comparisons together; beyond, the oldest are deleted."
    )


class Journal(Section):
    """What was acknowledged, on disk until it is counted. It holds captures: keep it where the store may be."""

    enabled: bool = Field(
        default=True,
        description="Off: what was acknowledged and not committed (half a second, and calls that wait for their others) is lost when the collector is killed.",
    )
    path: str = Field(
        default="",
        description="Its file. Empty: beside an SQLite store, `mirror.journal` for `mirror.db`; else `./mirror.journal`.",
    )
    max_bytes: Size = Field(
        default=2048 * _MIB,
        description="Bytes of requests; where all of it is still needed, senders are told to come back.",
    )
    keep_s: Duration = Field(
        default=60.0,
        description="How long what was counted stays, and is read again at a start: so long repeats are recognised after it. Interceptors repeat for 30 s.",
    )


class Web(Section):
    """Addresses for people, in reports, traces and on the page."""

    url: WebUrl = Field(default="", description="Where people reach the page. Empty: where the collector listens.")
    trace_url: TraceUrl = Field(
        default="",
        description="A trace in your tracing backend, for links from the page: `https://jaeger/trace/{trace_id}`.",
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


class Recordings(Section):
    """What primaries were told by outbound calls, for shadows with the policy `recorded`. Memory only."""

    max_bytes: Size = Field(default=64 * _MIB, description="Bytes kept; beyond, the oldest go. 0: nothing is kept.")
    max_age_s: Duration = Field(default=60.0, gt=0, description="How long an answer is kept.")


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
        default=METADATA_IGNORE,
        description="Keys of trailing metadata that are never compared, as globs in lower case. Replaces the default.",
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
    """When a run passes or fails: the fields and defaults of the core's Policy."""

    alpha_fail: _Chance = Field(
        default=_POLICY.alpha_fail, description="Chance that a run without any change is ever failed."
    )
    alpha_pass: _Chance = Field(default=_POLICY.alpha_pass, description="Chance that a run over the budget passes.")
    budget: _Chance = Field(default=_POLICY.budget, description="Share of requests that may differ unexplained.")
    min_duration_s: Duration = Field(default=_POLICY.min_duration_s, description="The shortest run that can pass.")
    vote_by: Literal["minute", "call"] = Field(
        default=_POLICY.vote_by,
        description="What is one vote: a `minute`, or a `call` where calls are independent of each other (replay, demo).",
    )
    hold_suspects: int = Field(
        default=_POLICY.hold_suspects, ge=1, description="A suspect with this many votes and no noise holds the pass."
    )
    min_complete: _Share = Field(
        default=_POLICY.min_complete, description="Share of mirrored requests of which all calls must have come."
    )
    max_capture_loss: _Share = Field(
        default=_POLICY.max_capture_loss, description="Share of captures that interceptors may have dropped."
    )
    max_status_noise: _Share = Field(
        default=_POLICY.max_status_noise,
        description="Share of a required method's requests in which the secondary's status may differ from the primary's.",
    )
    max_blind: _Share = Field(
        default=_POLICY.max_blind,
        description="Share of leaf values that may be too noisy to judge, ignored or unjudged.",
    )
    required_share: _Share = Field(
        default=_POLICY.required_share, description="A method with at least this share of the requests is required."
    )
    required_methods: tuple[MethodName, ...] = Field(
        default=_POLICY.required_methods, description="These methods are required too: `[shop.v1.Shop/Checkout]`."
    )
    min_triples: int = Field(
        default=_POLICY.min_triples, ge=0, description="Requests answered by all three roles, per required method."
    )


class Settings(Section):
    """What file and `Config` share."""

    runs: Annotated[tuple[RunName, ...], Field(min_length=1, max_length=1000)] = Field(
        default=("default",),
        description="The names of runs that are accepted; calls of others are counted and dropped.",
    )
    insecure: bool = Field(
        default=False,
        description="Listen beyond loopback also where neither a token nor a client certificate is asked for.",
    )
    listen: Listen = Field(default_factory=Listen)
    tls: Tls = Field(default_factory=Tls)
    auth: Auth = Field(default_factory=Auth)
    store: Store = Field(default_factory=Store)
    journal: Journal = Field(default_factory=Journal)
    web: Web = Field(default_factory=Web)
    pairing: Pairing = Field(default_factory=Pairing)
    recordings: Recordings = Field(default_factory=Recordings)
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

    policy: InstanceOf[Policy] = Field(default_factory=Policy)
    rules: InstanceOf[RuleSet] = Field(default_factory=RuleSet)
