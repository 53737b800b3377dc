"""The settings of the interceptors: one frozen record, checked when it is made. May read a mapping given to it.

Arguments win over `MIRROR_*`, those over the defaults. From `OTEL_*` only the service's name and resource are taken:
the endpoint is said explicitly, so that bodies never go to a tracing vendor by accident.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import unquote

from grpc_mirror import endpoints, settings_checks
from grpc_mirror.settings_checks import did_you_mean
from grpc_mirror.v1 import attributes

_KIB = 1024
_MIB = 1024 * 1024
_SIZE = re.compile(r"(\d+)\s*(KiB|MiB|GiB|B)?", re.IGNORECASE)
_UNITS = {"b": 1, "kib": _KIB, "mib": _MIB, "gib": 1024 * _MIB}
# Patterns by commas or blanks, which may also stand in a quoted key.
_PATTERN = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^\s,"])+|"')


class SettingsError(ValueError):
    """The settings are wrong. The text lists every problem at once."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("grpc_mirror settings:" + "".join(f"\n  - {problem}" for problem in problems))


@dataclass(frozen=True)
class Settings:
    """What the interceptors capture and where it goes.

    Sizes are bytes, times seconds. Raises SettingsError, which lists all problems.

    Attributes:
        endpoint: the Mirror collector, `host:port` or a URL (http, grpc: plain; https, grpcs: TLS).
            Several by commas: each trace goes to one of them, see sinks/shards.py; the same on all replicas.
            Empty: nothing is captured.
        protocol: `http/protobuf` or `grpc`, by which OTLP goes there; empty: http/protobuf to port 4318, else grpc.
        lookup_endpoint: where the policy `recorded` asks, always by gRPC: one for each endpoint, in their order. Empty: the
            endpoint; with http/protobuf to port 4318 the same host at 4317, and to another port nowhere.
        role: primary, candidate or secondary, as `MIRROR_ROLE` says; empty: the header labels the capture.
        sink: `direct` (our own sender) or `tracer` (an OpenTelemetry TracerProvider of its own).
        metadata: names of request and initial metadata to capture; all other names are left out.
        redact: `auto`: calls whose types hold private fields, or of which `private` names a place; `on`: all; `off`: none.
        private: path patterns of what is private beside the fields that say so themselves, see private_paths.py.
        redaction_key: of the hashes that stand in private values' place; the same on all replicas. Empty: no hashes.
        hash_few_values: hash bool, enum and numbers too, though whoever sees many hashes can guess them.
        keep_status_message: send the text of a redacted call's status as it is.
        tls: encrypt the connection to the collector; an https endpoint implies it.
        ca_file: PEM file of the authorities to trust instead of the system's; implies `tls`, as the next two do.
        cert_file: PEM file of the certificate by which this process shows who it is, with its chain; needs `key_file`.
        key_file: PEM file of that certificate's private key.
        bearer: token sent as `authorization: Bearer ...`.
        read_bearer: the same with the questions of the policy `recorded`; empty: `bearer`.
        service_name: `service.name` of the resource.
        resource: further resource attributes, `service.version` among them.
        message_max_bytes: of a larger message only size and hash are kept.
        capture_max_bytes: message bytes of one call; what comes after is kept as size and hash.
        method_bytes_per_s: of one method in one process, on average, counting calls of over 16 KiB. Where there is more, of a share of its
            calls the messages are captured, the same calls on all replicas, see sampling.py. 0: no limit.
        batch_max_bytes: one export request.
        batch_max_spans: spans of one export request.
        batch_age_s: a call waits at most so long for its batch.
        outbound_age_s: an outbound call waits for it only while the last is younger: a shadow may ask what the primary was told.
        stream_messages_max: messages of one direction of one call; of more the first and last are kept, others counted.
        queue_max_bytes: finished calls that wait for the sender; more are dropped and counted.
        queue_max_calls: the same by number.
        hold_max_bytes: bytes held for large calls in flight, over the whole process; beyond it only sizes are kept.
        export_timeout_s: of one export.
        retry_max_s: a batch that cannot be delivered for so long is dropped and counted.
        shutdown_timeout_s: the longest that a flush at exit or SIGTERM takes.
        flush_on_sigterm: None: install a handler only in the main thread and where SIGTERM has its default action;
            True: the same, and warn where that is impossible; False: never.
        exporter: an OpenTelemetry SpanExporter for the tracer sink; None: our own, which goes to `endpoint`.
        outbound_allow: patterns of methods that a shadow may call, beside the policies given to the client interceptor.
        outbound_allow_safe: a shadow may call methods declared `idempotency_level = NO_SIDE_EFFECTS`.
        shadow_key: shared key of the header by which a shadow marks the calls that it makes; empty: it marks none.
        trust_shadow: heed that header of callers: their calls are served as a shadow's.
        instrument_clients: the instrumentor puts the client interceptor on channels too; without it a shadow's calls are made.
    """

    endpoint: str = ""
    protocol: str = ""
    lookup_endpoint: str = ""
    role: str = ""
    sink: str = "direct"
    metadata: tuple[str, ...] = ()
    redact: str = "auto"
    private: tuple[str, ...] = ()
    redaction_key: str = field(default="", repr=False)
    hash_few_values: bool = False
    keep_status_message: bool = False
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    bearer: str = field(default="", repr=False)
    read_bearer: str = field(default="", repr=False)
    service_name: str = "unknown_service"
    resource: tuple[tuple[str, str], ...] = ()
    message_max_bytes: int = 256 * _KIB
    capture_max_bytes: int = 768 * _KIB
    method_bytes_per_s: int = 2 * _MIB
    batch_max_bytes: int = 3 * _MIB
    batch_max_spans: int = 512
    batch_age_s: float = 1.0
    outbound_age_s: float = 0.05
    stream_messages_max: int = 1000
    queue_max_bytes: int = 32 * _MIB
    queue_max_calls: int = 10_000
    hold_max_bytes: int = 32 * _MIB
    export_timeout_s: float = 10.0
    retry_max_s: float = 30.0
    shutdown_timeout_s: float = 3.0
    flush_on_sigterm: bool | None = None
    exporter: Any = None
    outbound_allow: tuple[str, ...] = ()
    outbound_allow_safe: bool = False
    shadow_key: str = field(default="", repr=False)
    trust_shadow: bool = False
    instrument_clients: bool = True

    def __post_init__(self) -> None:
        """Check everything and report all of it."""
        problems = settings_checks.problems(self)
        if problems:
            raise SettingsError(problems)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **arguments: Any) -> Settings:
        """Settings from arguments over `MIRROR_*` over defaults.

        Args:
            environ: the environment; None: the process's.
            **arguments: fields of this class. `role` is not among them: `MIRROR_ROLE` alone says it, since
                `is_shadow()` must be right before any interceptor exists.

        Raises:
            SettingsError: with every problem of both.
        """
        environ = os.environ if environ is None else environ
        problems = _misspelt(environ, arguments)
        values: dict[str, Any] = _resource(environ)
        for variable, name in VARIABLES.items():
            text = environ.get(variable, "").strip()
            if text:
                try:
                    values[name] = _parse(name, text)
                except ValueError as error:
                    problems.append(f"{variable}={_shown(name, text)}: {error}")
        values.update({k: v for k, v in arguments.items() if k in _FIELDS and k != "role"})
        variables = {name: variable for variable, name in VARIABLES.items() if environ.get(variable, "").strip()}
        variables = {name: variable for name, variable in variables.items() if name == "role" or name not in arguments}
        try:
            settings = cls(**values)
        except SettingsError as error:
            found = [_as_set(problem, variables) for problem in error.problems]
            raise SettingsError([*problems, *found]) from None
        if problems:
            raise SettingsError(problems)
        return settings

    @property
    def enabled(self) -> bool:
        """Whether anything is captured."""
        return bool(self.endpoint) or self.exporter is not None

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints, each by itself."""
        return endpoints.split_list(self.endpoint)

    @property
    def target(self) -> str:
        """The endpoint as host:port, the host in lower case. Of several: all of them, to be read."""
        return ", ".join(endpoints.target_of(one) for one in self.endpoints)

    @property
    def spoken(self) -> str:
        """The protocol by which OTLP goes there: as it is said, else by the port."""
        by_port = bool(self.endpoint) and all(map(endpoints.is_http, self.endpoints))
        return self.protocol or (endpoints.HTTP if by_port else endpoints.GRPC)

    @property
    def over_http(self) -> bool:
        """Whether that is HTTP; else gRPC."""
        return self.spoken == endpoints.HTTP

    @property
    def lookups(self) -> tuple[str, ...]:
        """Where the policy `recorded` asks, one for each endpoint."""
        if self.lookup_endpoint:
            return endpoints.split_list(self.lookup_endpoint)
        return tuple(endpoints.lookup_of(one) for one in self.endpoints) if self.over_http else self.endpoints

    @property
    def lookup_target(self) -> str:
        """The same as host:port, of the only endpoint; empty: nowhere."""
        return endpoints.target_of(self.lookups[0])

    @property
    def where(self) -> str:
        """The endpoint and the protocol, to be read."""
        return f"{self.target} ({self.spoken})" if self.target else ""

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        files = self.ca_file or self.cert_file
        return self.tls or bool(files) or any(endpoints.is_secure(one) for one in self.endpoints)

    @property
    def version(self) -> str:
        """`service.version` of the resource; empty: unknown, and the collector's verdict cannot pass."""
        return dict(self.resource).get(attributes.SERVICE_VERSION, "")


VARIABLES: Mapping[str, str] = {
    "MIRROR_ENDPOINT": "endpoint",
    "MIRROR_PROTOCOL": "protocol",
    "MIRROR_LOOKUP_ENDPOINT": "lookup_endpoint",
    "MIRROR_ROLE": "role",
    "MIRROR_SINK": "sink",
    "MIRROR_METADATA": "metadata",
    "MIRROR_REDACT": "redact",
    "MIRROR_PRIVATE": "private",
    "MIRROR_REDACTION_KEY": "redaction_key",
    "MIRROR_HASH_FEW_VALUES": "hash_few_values",
    "MIRROR_KEEP_STATUS_MESSAGE": "keep_status_message",
    "MIRROR_TLS": "tls",
    "MIRROR_CA_FILE": "ca_file",
    "MIRROR_CERT_FILE": "cert_file",
    "MIRROR_KEY_FILE": "key_file",
    "MIRROR_BEARER": "bearer",
    "MIRROR_READ_BEARER": "read_bearer",
    "MIRROR_MESSAGE_MAX_BYTES": "message_max_bytes",
    "MIRROR_CAPTURE_MAX_BYTES": "capture_max_bytes",
    "MIRROR_METHOD_BYTES_PER_S": "method_bytes_per_s",
    "MIRROR_BATCH_MAX_BYTES": "batch_max_bytes",
    "MIRROR_BATCH_MAX_SPANS": "batch_max_spans",
    "MIRROR_BATCH_AGE_S": "batch_age_s",
    "MIRROR_OUTBOUND_AGE_S": "outbound_age_s",
    "MIRROR_STREAM_MESSAGES_MAX": "stream_messages_max",
    "MIRROR_QUEUE_MAX_BYTES": "queue_max_bytes",
    "MIRROR_QUEUE_MAX_CALLS": "queue_max_calls",
    "MIRROR_HOLD_MAX_BYTES": "hold_max_bytes",
    "MIRROR_EXPORT_TIMEOUT_S": "export_timeout_s",
    "MIRROR_RETRY_MAX_S": "retry_max_s",
    "MIRROR_SHUTDOWN_TIMEOUT_S": "shutdown_timeout_s",
    "MIRROR_FLUSH_ON_SIGTERM": "flush_on_sigterm",
    "MIRROR_OUTBOUND_ALLOW": "outbound_allow",
    "MIRROR_OUTBOUND_ALLOW_SAFE": "outbound_allow_safe",
    "MIRROR_SHADOW_KEY": "shadow_key",
    "MIRROR_TRUST_SHADOW": "trust_shadow",
    "MIRROR_INSTRUMENT_CLIENTS": "instrument_clients",
}
_FLAGS = frozenset(
    {
        "tls",
        "flush_on_sigterm",
        "hash_few_values",
        "keep_status_message",
        "outbound_allow_safe",
        "trust_shadow",
        "instrument_clients",
    }
)
_FIELDS = tuple(f.name for f in fields(Settings))


def _as_set(problem: str, variables: Mapping[str, str]) -> str:
    """A problem under the name by which the setting was given: whoever set a variable looks for that."""
    name = re.match(r"\w*", problem).group()  # type: ignore[union-attr] # matches anything
    return variables[name] + problem[len(name) :] if name in variables else problem


def _misspelt(environ: Mapping[str, str], arguments: Mapping[str, Any]) -> list[str]:
    found = [f"{name}: no such setting{did_you_mean(name, _FIELDS)}" for name in arguments if name not in _FIELDS]
    if "role" in arguments:
        found.append(
            "role: not an argument; set MIRROR_ROLE on the deployment, so that is_shadow() is right from the start"
        )
    # Other MIRROR_* belong to the collector and are none of our business, unless they are nearly ours.
    ours = {variable.removeprefix("MIRROR_"): variable for variable in VARIABLES}
    for variable in environ:
        name = variable.removeprefix("MIRROR_")
        if name != variable and name not in ours:
            close = difflib.get_close_matches(name, ours, n=1, cutoff=0.85)
            if close:
                found.append(f"{variable}: no such variable; did you mean {ours[close[0]]}?")
    return found


def _resource(environ: Mapping[str, str]) -> dict[str, Any]:
    """service_name and resource from OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES (W3C baggage's key=value list)."""
    pairs: dict[str, str] = {}
    for item in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, separator, value = item.partition("=")
        if separator and key.strip():
            pairs[key.strip()] = unquote(value.strip())
    name = environ.get("OTEL_SERVICE_NAME", "").strip() or pairs.pop(attributes.SERVICE_NAME, "")
    pairs.pop(attributes.SERVICE_NAME, None)
    values: dict[str, Any] = {"resource": tuple(pairs.items())}
    if name:
        values["service_name"] = name
    return values


def _parse(name: str, text: str) -> Any:
    """The value of a variable's text, by the unit or kind that its setting's name ends in."""
    if name in ("role", "redact", "protocol"):
        return text.lower()
    if name == "private":
        return tuple(_PATTERN.findall(text))
    if name in ("metadata", "outbound_allow"):
        words = text.lower() if name == "metadata" else text
        return tuple(word.strip() for word in words.split(",") if word.strip())
    if name in _FLAGS:
        return _parse_flag(text)
    if name.endswith(("_bytes", "_bytes_per_s")):
        return _parse_size(text)
    return _parse_number(name, text) if name.endswith(("_s", "_max", "_spans", "_calls")) else text


def _parse_flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("neither true nor false")


def _parse_size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("not a size; write 262144 or 256KiB")
    return int(found.group(1)) * _UNITS[(found.group(2) or "B").lower()]


def _parse_number(name: str, text: str) -> float:
    try:
        return float(text) if name.endswith("_s") else int(text)
    except ValueError:
        raise ValueError("not a number of seconds" if name.endswith("_s") else "not a whole number") from None


def _shown(name: str, text: str) -> str:
    return "(hidden)" if name in ("bearer", "read_bearer", "redaction_key", "shadow_key") else repr(text)
