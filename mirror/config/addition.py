"""A rule that is to come beside those of a configuration: written as YAML, and checked as the whole file would be. Pure."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML

from mirror.config.clashes import together
from mirror.config.problems import ConfigError, Problem
from mirror.config.rules import read_rules
from mirror.config.source import parse
from mirror.core.rules import Rule


def rule_yaml(rule: Mapping[str, Any]) -> str:
    """One rule as an item of a list of rules, ready to paste below `rules:`."""
    yaml = YAML()
    yaml.width = 1000  # a path is never folded
    stream = io.StringIO()
    yaml.dump([dict(rule)], stream)
    return stream.getvalue()


def read_addition(text: str, existing: Sequence[Rule], runs: Sequence[str]) -> Rule:
    """The one rule in `text`, as `rule_yaml` writes it, beside `existing` ones; raises ConfigError with every problem."""
    source = parse(f"rules:\n{text}".encode(), "suggestion")
    found, problems = read_rules(source, source.value.get("rules"), runs)
    if len(found) == 1:
        placed = [(("rules", position), rule) for position, rule in enumerate((*found, *existing))]
        problems += (Problem(source.mark(loc), told) for loc, told in together(placed, runs, source))
    if problems or len(found) != 1:
        raise ConfigError(problems)
    return found[0]
