"""Hypothesis strategies for paths and patterns, and a second, naive way to match them: a regular expression."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from mirror.core.path import AnyElement, AnyName, AnySteps, Field, Index, Key, Path, PathPattern, PatternStep, Typed

# Few names, so that patterns and paths meet often.
names = st.sampled_from(["a", "b", "id", "items"]).map(Field)
typed = st.sampled_from(["pkg.T", "pkg.v1.U"]).map(Typed)
indices = st.integers(0, 3).map(Index)
keys = st.one_of(st.sampled_from(["", "a", 'q"\\]', "ü."]), st.integers(-2, 3), st.booleans()).map(Key)
wildcards = st.sampled_from([AnyElement(), AnyName(), AnySteps()])
concrete = st.one_of(names, names, typed, indices, keys)
paths = st.builds(lambda first, rest: (first, *rest), names, st.lists(concrete, max_size=6))
patterns = st.builds(
    lambda first, rest: PathPattern((first, *rest)),
    st.one_of(names, wildcards.filter(lambda step: step != AnyElement())),
    st.lists(st.one_of(concrete, wildcards), max_size=6),
)


def _word(step: PatternStep) -> str:
    match step:
        case Field(name):
            return f"F{name.encode().hex()};"
        case Typed(name):
            return f"T{name.encode().hex()};"
        case Index(index):
            return f"I{index};"
        case Key(key):
            return f"K{type(key).__name__}{str(key).encode().hex()};"
    raise AssertionError(step)


def _expression(step: PatternStep) -> str:
    match step:
        case AnyElement():
            return "[IK][^;]*;"
        case AnyName():
            return "[FT][^;]*;"
        case AnySteps():
            return "(?:[^;]*;)*"
        case Index(index):
            return f"(?:{_word(step)}|{_word(Key(index))})"
        case _:
            return re.escape(_word(step))


def naively_matches(pattern: PathPattern, path: Path) -> bool:
    """What `pattern.matches(path)` should say."""
    expression = "".join(map(_expression, pattern.steps))
    return re.fullmatch(expression, "".join(map(_word, path))) is not None
