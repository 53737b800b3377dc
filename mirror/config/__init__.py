"""The collector's configuration, checked whole at the start: every problem at once, each with its place.

`load` is the entrance; `Config` is frozen and complete by its defaults. A shell: it reads one file.
"""

from mirror.config.problems import ConfigError, Problem
from mirror.config.sections import Config
from mirror.config.settings import load
from mirror.config.values import admission

__all__ = ["Config", "ConfigError", "Problem", "admission", "load"]
