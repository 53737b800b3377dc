"""MIRROR_* of the environment over the file: MIRROR_STORE_URL is `store.url`. Rules and webhooks stand in files alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final

from pydantic import BaseModel

from mirror.config.problems import Mark, Problem
from mirror.config.sections import FileSettings
from mirror.config.source import Loc, Source, scalar

PREFIX: Final = "MIRROR_"
LISTS: Final = (("rules",), ("webhooks",))  # of records: they stand in files alone
# Close enough for a slip of the pen; far from what interceptors and Kubernetes' service variables are called.
_CLOSE: Final = 0.85
_TRUTH: Final = {"1": True, "0": False, "yes": True, "no": False, "on": True, "off": False}  # beside true and false


def variables() -> dict[str, Loc]:
    """Each environment variable and the setting it stands for."""
    return {PREFIX + "_".join(map(str, loc)).upper(): loc for loc in _leaves(FileSettings, ()) if loc not in LISTS}


def with_env(source: Source, env: Mapping[str, str]) -> Source:
    """The file's values with those of the environment over them; a misspelt variable is a problem."""
    value, values = copy.deepcopy(source.value), dict(source.values)
    problems = list(source.problems)
    known = variables()
    for name in sorted(name for name in env if name.startswith(PREFIX)):
        mark = Mark(source=name)
        if name in known:
            _set(value, known[name], _typed(known[name], env[name]))
            for end in range(1, len(known[name]) + 1):
                values.setdefault(known[name][:end], mark)
            values[known[name]] = mark
        elif meant := _meant(name, known):
            problems.append(Problem(mark, f'no such setting; did you mean "{meant}"?'))
    return replace(source, value=value, values=values, problems=tuple(problems))


def _meant(name: str, known: Mapping[str, Loc]) -> str:
    section = name.removeprefix(PREFIX).split("_")[0]
    names = {
        k.removeprefix(PREFIX): k for k, loc in known.items() if len(loc) == 1 or k.startswith(f"{PREFIX}{section}_")
    }
    close = get_close_matches(name.removeprefix(PREFIX), names, 1, _CLOSE)
    return names[close[0]] if close else ""


def _leaves(model: type[BaseModel], loc: Loc) -> Iterator[Loc]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _leaves(field.annotation, (*loc, name))
        else:
            yield (*loc, name)


def _typed(loc: Loc, text: str) -> Any:
    """The text as the setting's type wants it: lists by commas, text as it is, the rest as YAML would read it."""
    default: Any = FileSettings()
    for step in loc:
        default = getattr(default, str(step))
    match default:
        case tuple():
            return [item.strip() for item in text.split(",") if item.strip()]
        case str():
            return text
        case bool() if text.strip().lower() in _TRUTH:
            return _TRUTH[text.strip().lower()]
        case _:
            return scalar(text.strip())


def _set(value: dict[str, Any], loc: Loc, new: Any) -> None:
    for step in loc[:-1]:
        section = value.get(str(step))
        if not isinstance(section, dict):
            section = value[str(step)] = {}
        value = section
    value[str(loc[-1])] = new
