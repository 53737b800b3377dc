"""What is wrong with settings: every problem at once, each beginning with the setting's name. Reads files only to check them."""

from __future__ import annotations

import difflib
import re
from dataclasses import fields
from typing import TYPE_CHECKING

from grpc_mirror import endpoints, private_paths
from grpc_mirror.v1 import attributes

if TYPE_CHECKING:
    from grpc_mirror.settings import Settings

_KIB = 1024
_REDACT = ("auto", "on", "off")
_KEY_MIN_CHARS = 16
_SHADOW_KEY_MIN_CHARS = 16
_MOST_BYTES = 1 << 48
_METHOD_MIN_BYTES = 64 * _KIB
_METADATA_KEY = re.compile(r"[0-9a-z_.\-]+")


def role_problem(name: str, role: str) -> str:
    """What is wrong with a role, or nothing. Empty is a role not given."""
    if not role or role in attributes.ROLES:
        return ""
    return f"{name}={role!r}: not a role; one of {', '.join(attributes.ROLES)}{did_you_mean(role, attributes.ROLES)}"


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    """A hint, or nothing where none is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.75)
    return f"; did you mean {close[0]!r}?" if close else ""


def _queue_problem(settings: Settings) -> str:
    count = len(settings.endpoints)
    if count < 2 or settings.queue_max_bytes // count >= settings.capture_max_bytes + 64 * _KIB:
        return ""
    return (
        f"queue_max_bytes: shared by {count} endpoints, each part must hold one capture (capture_max_bytes and 64 KiB)"
    )


def problems(settings: Settings) -> list[str]:
    """All of them."""
    names = [one.name for one in fields(settings)]
    found = endpoints.problems(settings.endpoint, settings.protocol, settings.lookup_endpoint)
    found += [_queue_problem(settings), role_problem("role", settings.role)]
    if settings.protocol not in ("", *endpoints.PROTOCOLS):
        http = settings.protocol.lower().startswith("http")
        hint = did_you_mean(endpoints.HTTP if http else settings.protocol, endpoints.PROTOCOLS)
        found.append(f"protocol={settings.protocol!r}: one of {', '.join(endpoints.PROTOCOLS)}{hint}")
    if settings.sink not in ("direct", "tracer"):
        hint = did_you_mean(settings.sink, ("direct", "tracer"))
        found.append(f"sink={settings.sink!r}: one of direct, tracer{hint}")
    if settings.exporter is not None and settings.sink != "tracer":
        found.append("exporter: only the tracer sink takes one; set sink='tracer'")
    found += endpoints.tls_problems(settings.ca_file, settings.cert_file, settings.key_file)
    found += [
        f"{name}: holds characters that cannot stand in a header"
        for name in ("bearer", "read_bearer")
        if not (getattr(settings, name).isascii() and f"x{getattr(settings, name)}".isprintable())
    ]
    found += [
        f"metadata: {key!r} is no metadata key (lower case letters, digits, '-', '_', '.')"
        for key in settings.metadata
        if not _METADATA_KEY.fullmatch(key)
    ]
    found += _redaction_problems(settings)
    found += [
        f"{name}={getattr(settings, name)!r}: must be above zero"
        for name in names
        if name.endswith(("_bytes", "_s", "_spans", "_calls", "_max"))
        and name != "method_bytes_per_s"
        and not getattr(settings, name) > 0
    ]
    found += [
        f"{name}={getattr(settings, name)}: more than anything can hold"
        for name in names
        if name.endswith(("_bytes", "_bytes_per_s")) and getattr(settings, name) > _MOST_BYTES
    ]
    if settings.method_bytes_per_s and settings.method_bytes_per_s < _METHOD_MIN_BYTES:
        found.append(
            f"method_bytes_per_s={settings.method_bytes_per_s}: 0 (no limit), or at least {_METHOD_MIN_BYTES} (64 KiB)"
        )
    if settings.shadow_key and len(settings.shadow_key) < _SHADOW_KEY_MIN_CHARS:
        found.append(f"shadow_key: shorter than {_SHADOW_KEY_MIN_CHARS} characters; make one: openssl rand -base64 32")
    if settings.trust_shadow and not settings.shadow_key:
        found.append("trust_shadow: without shadow_key there is no way to know whom to trust; set MIRROR_SHADOW_KEY")
    if settings.message_max_bytes > settings.capture_max_bytes:
        found.append("message_max_bytes: above capture_max_bytes, so it would never apply")
    if settings.capture_max_bytes + 64 * _KIB > settings.batch_max_bytes:
        found.append("batch_max_bytes: must hold one capture (capture_max_bytes) and 64 KiB for its span")
    return [problem for problem in found if problem]


def _redaction_problems(settings: Settings) -> list[str]:
    found = []
    if settings.redact not in _REDACT:
        found.append(f"redact={settings.redact!r}: one of {', '.join(_REDACT)}{did_you_mean(settings.redact, _REDACT)}")
    if settings.redact == "off" and settings.private:
        found.append("private: names private fields, but redact=off would send them as they are")
    found += [f"private: {text!r}: {problem}" for text in settings.private if (problem := private_paths.problem(text))]
    if settings.redaction_key and len(settings.redaction_key) < _KEY_MIN_CHARS:
        found.append(f"redaction_key: shorter than {_KEY_MIN_CHARS} characters; make one with `openssl rand -hex 32`")
    return found
