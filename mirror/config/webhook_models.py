"""Who is told when a verdict changes. Secrets never stand in the file: settings name the variables that hold them."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from mirror.config.values import RunName, Section, WebUrl, wrong

WEBHOOKS_MAX: Final = 20
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_VARIABLE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,199})?")


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise wrong("not a webhook's name; use up to 63 lower case letters, digits, '_' and '-'")
    return value


def _variable(value: str) -> str:
    if _VARIABLE.fullmatch(value) is None:
        raise wrong("not the name of an environment variable; the secret itself stands in the environment")
    return value


_Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})]
_Variable = Annotated[
    str, AfterValidator(_variable), WithJsonSchema({"type": "string", "pattern": f"^{_VARIABLE.pattern}$"})
]


class Webhook(Section):
    """One address that is told of each change of a verdict, by POST."""

    name: _Name = Field(description="Its name in metrics and logs: lower case letters, digits, `_` and `-`.")
    url: WebUrl = Field(default="", description="Where to send it.")
    url_env: _Variable = Field(
        default="", description="The environment variable that holds the address, where it is a secret itself (Slack)."
    )
    format: Literal["generic", "slack"] = Field(
        default="generic",
        description="`generic`: JSON with the verdict; `slack`: a message as Slack and its likes take it.",
    )
    secret_env: _Variable = Field(
        default="", description="The environment variable that holds the key to sign with. Empty: not signed."
    )
    verdicts: tuple[Literal["pass", "fail", "inconclusive"], ...] = Field(
        default=("pass", "fail", "inconclusive"), min_length=1, description="Changes to these are told."
    )
    runs: tuple[RunName, ...] = Field(default=(), description="Only of these runs. Empty: of all.")
