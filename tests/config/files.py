"""Writes a mirror.yaml for a test and loads it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from mirror.config import Config, ConfigError, load


def written(folder: Path, text: str) -> Path:
    """The file, with the text's common indent taken off."""
    file = folder / "mirror.yaml"
    file.write_text(dedent(text), encoding="utf-8")
    return file


def loaded(folder: Path, text: str, env: dict[str, str] | None = None) -> Config:
    """The configuration of such a file."""
    return load(written(folder, text), env or {})


def problems(folder: Path, text: str, env: dict[str, str] | None = None) -> list[str]:
    """What is wrong with such a file, one line each, the file's name in place of its path."""
    file = written(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(file, env or {})
    return str(caught.value).replace(str(file), "mirror.yaml").splitlines()
