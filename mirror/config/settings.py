"""Loads the collector's configuration: `mirror.yaml` under MIRROR_* of the environment. Touches that one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from mirror.config.env import with_env
from mirror.config.problems import ConfigError
from mirror.config.rules import read_rules
from mirror.config.sections import Config, FileSettings, Settings
from mirror.config.source import Source, read
from mirror.config.translate import translate
from mirror.core.policy import Policy
from mirror.core.rules import RuleSet


def load(path: Path | None, env: Mapping[str, str]) -> Config:
    """The configuration of a file (None: none) under the environment's MIRROR_*; raises ConfigError with every problem."""
    source = Source("configuration", {}) if path is None else read(path)
    source = with_env(source, env)
    problems = []
    raw = dict(source.value)
    raw_rules = raw.pop("rules", [])
    settings = None
    try:
        settings = FileSettings.model_validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        problems += translate(error, source, (), tagged={}, model=FileSettings)
    runs = settings.runs if settings else raw.get("runs", ())
    known_runs = [str(run) for run in runs] if isinstance(runs, list | tuple) else []
    rules, rule_problems = read_rules(source, raw_rules, known_runs)
    problems += rule_problems
    unread = {problem.mark for problem in source.problems}  # what YAML made nothing of needs no second word
    problems = [*source.problems, *(problem for problem in problems if problem.mark not in unread)]
    if problems or settings is None:
        raise ConfigError(problems)
    shared = {name: getattr(settings, name) for name in Settings.model_fields}
    return Config(**shared, policy=Policy(**dict(settings.policy)), rules=RuleSet(rules))
