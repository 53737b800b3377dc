"""The types of single settings: durations, sizes, addresses, names. Each says in its error what it wants."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from mirror.core.path import PathPattern, PathSyntaxError

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE: Final = re.compile(r"(\d+)\s*([KMG])(i?)B", re.ASCII)
_POWERS: Final = {"K": 1, "M": 2, "G": 3}
_HOST_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})", re.ASCII)
# RFC 6750's characters; short ones could be guessed.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{16,512}={0,2}", re.ASCII)
TOKEN_WANTED: Final = "a token is 16 to 512 letters, digits and -._~+/; make one with: openssl rand -hex 32"  # noqa: S105
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)
_RUN_CHARACTERS: Final = "up to 63 letters, digits, '.', '_' and '-', a letter or digit first"
_RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


class Section(BaseModel):
    """A part of the configuration: frozen, refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=False)


def wrong(text: str, **context: Any) -> PydanticCustomError:
    """An error whose text the user reads as it is."""
    return PydanticCustomError("mirror", "{text}", {"text": text, **context})


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if found is None:
            raise wrong("not a duration; say 250ms, 5s, 30m, 2h, or a number of seconds")
        value = float(found[1]) * _SECONDS[found[2]]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise wrong("not a duration; say 250ms, 5s, 30m, 2h, or a number of seconds")
    if value < 0:
        raise wrong("a duration cannot be negative")
    return float(value)


def _size(value: Any) -> Any:
    if isinstance(value, str):
        found = _SIZE.fullmatch(value.strip())
        if found is None:
            raise wrong("not a size; say 16MiB, 512KiB, or a number of bytes")
        value = int(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2]]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise wrong("not a size; say 16MiB, 512KiB, or a number of bytes above 0")
    return value


def _address(value: str) -> str:
    found = _HOST_PORT.fullmatch(value)
    if found is None or int(found[2]) > 65535:
        raise wrong("not an address; say host:port, like 127.0.0.1:4317 or [::1]:4317, port 0 for any free one")
    return value


def _endpoint(value: str) -> str:
    rest = re.sub(r"^https?://", "", value)
    if value and not _HOST_PORT.match(rest):
        raise wrong("not an endpoint; say host:port for OTLP over gRPC or http://host:port for OTLP over HTTP")
    return value


def is_token(text: str) -> bool:
    """Whether `text` can be a token."""
    return _TOKEN.fullmatch(text) is not None


def _token(value: SecretStr) -> SecretStr:
    if not is_token(value.get_secret_value()):
        raise wrong(TOKEN_WANTED)  # which one it was, its place says
    return value


def _store_url(value: str) -> str:
    if not re.match(r"(sqlite|postgresql)(\+\w+)?://", value):
        raise wrong("not a store; say sqlite:///mirror.db or postgresql://user@host/database")
    return value


def _run(value: str) -> str:
    if _RUN.fullmatch(value) is None:
        raise wrong(f"not a run's name; use {_RUN_CHARACTERS}")
    return value


def admission(names: Iterable[str]) -> str:
    """What to do where calls come for runs that are not allowed: they cannot all be."""
    given = list(names)
    impossible = [name for name in given if _RUN.fullmatch(name) is None]
    if not impossible:
        return f"add {'them' if len(given) > 1 else 'it'} to `runs`, or mend x-mirror-run"
    return f"mend x-mirror-run: no run can be called {impossible[0]!r}; use {_RUN_CHARACTERS}"


def _topic(value: str) -> str:
    if _TOPIC.fullmatch(value) is None or set(value) == {"."}:
        raise wrong("not a name that Kafka takes; use up to 249 letters, digits, '.', '_' and '-'")
    return value


def _path(value: str) -> str:
    try:
        PathPattern.parse(value)
    except PathSyntaxError as error:
        raise wrong(error.problem, column=error.column) from None
    return value


def _method_glob(value: str) -> str:
    if value.startswith("/"):
        raise wrong(f'methods are written without the leading slash; did you mean "{value[1:]}"?')
    if "/" not in value and "*" not in value:
        raise wrong("not a method; say pkg.Service/Method, with * for any part: shop.v1.Shop/*")
    return value


def _method_name(value: str) -> str:
    if "*" in value:
        raise wrong("a method in full, without *: shop.v1.Shop/Checkout")
    return _method_glob(value)


def _web_url(value: str) -> str:
    if value and not re.match(r"https?://[^/\s]+", value):
        raise wrong("not a web address; say https://host or http://host:port")
    return value


def _trace_url(value: str) -> str:
    if value and "{trace_id}" not in value:
        raise wrong("where the trace's ID goes is missing; say https://host/trace/{trace_id}")
    return _web_url(value)


_DURATION_SCHEMA: Final = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d)\s*$"}]
}
_SIZE_SCHEMA: Final = {
    "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": r"^\s*\d+\s*[KMG]i?B\s*$"}]
}

Duration = Annotated[float, BeforeValidator(_duration), WithJsonSchema(_DURATION_SCHEMA)]
Size = Annotated[int, BeforeValidator(_size), WithJsonSchema(_SIZE_SCHEMA)]
Address = Annotated[str, AfterValidator(_address)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
Token = Annotated[
    SecretStr, AfterValidator(_token), WithJsonSchema({"type": "string", "pattern": f"^{_TOKEN.pattern}$"})
]
RunName = Annotated[str, AfterValidator(_run)]
TopicName = Annotated[str, AfterValidator(_topic)]
PatternText = Annotated[str, AfterValidator(_path)]
MethodGlob = Annotated[str, AfterValidator(_method_glob)]
MethodName = Annotated[str, AfterValidator(_method_name)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
TraceUrl = Annotated[str, AfterValidator(_trace_url)]
