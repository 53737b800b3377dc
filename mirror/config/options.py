"""The comparer's options as a configuration sets them: the collector's, and whoever compares again what it kept. Pure."""

from __future__ import annotations

from mirror.config.sections import Config
from mirror.core.compare.options import CompareOptions


def compare_options(config: Config) -> CompareOptions:
    """What holds for all messages."""
    compare = config.compare
    return CompareOptions(
        differences_max=compare.differences_max,
        status_message=compare.status_message,
        trailing_metadata_ignore=compare.trailing_metadata_ignore,
    )
