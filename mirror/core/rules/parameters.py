"""A rule's own parameters in words, read back from its meaning: the same in `mirror rules explain`, report, API and page."""

from __future__ import annotations

import json
from typing import Any


def parameters_of(meaning: str) -> str:
    """Those that say something, like `absolute=0.01 relative=0.0`; a text as it is written in the file."""
    own = json.loads(meaning)[4]
    said = {name: value for name, value in own.items() if value is not False and value not in (None, "", [])}
    return " ".join(f"{name}={_value(value)}" for name, value in said.items())


def _value(value: Any) -> str:
    match value:
        case True:
            return "true"
        case [[_, _], *_]:
            return ", then ".join(f"'{pattern}' with '{by}'" for pattern, by in value)
        case [*_]:
            return ",".join(map(str, value))
        case _:
            return str(value)
