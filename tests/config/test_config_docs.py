"""The documentation of settings: written from them, up to date, and its examples load."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from mirror.config.env import variables
from mirror.config.rule_models import RULE_MODELS
from tests.config.files import loaded
from tests.conftest import ROOT

PAGES = ("docs/configuration.md", "docs/rules.md", "docs/pipelines.md", "docs/scaling.md", "README.md")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def examples() -> list:
    found = []
    for name in PAGES:
        blocks = re.findall(r"^```yaml\n(.*?)^```", page(name), re.MULTILINE | re.DOTALL)
        ours = [block for block in blocks if re.search(r"^(rules|runs|listen):", block, re.MULTILINE)]
        found += [pytest.param(block, id=f"{name} {number}") for number, block in enumerate(ours)]
    return found


def test_every_setting_is_documented():
    """With its variable, in a row of the table; and every type of rule."""
    table = page("docs/configuration.md")
    for variable, loc in variables().items():
        assert f"| `{'.'.join(map(str, loc))}` |" in table
        assert f"`{variable}` |" in table
    for name in RULE_MODELS:
        assert f"| `{name}` |" in page("docs/rules.md")


def test_what_is_generated_is_up_to_date():
    """Else: python tools/config_docs.py."""
    done = subprocess.run(
        [sys.executable, "tools/config_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("example", examples())
def test_examples_load(tmp_path, example):
    """What people copy works, and editors find nothing wrong with it."""
    loaded(tmp_path, example)
    assert not list(validator().iter_errors(plain(example)))


@pytest.mark.parametrize(
    "text",
    [
        "listen: {wep: 'a:1'}",
        "rules: [{type: ignor, path: response.x}]",
        "rules: [{type: tolerance, path: response.x, absolute: -1}]",
        "rules: [{type: value_class, path: response.x, class: uid}]",
        "pairing: {batch_age_s: 5 parsecs}",
        "intake: {queue_max_bytes: 16 parsecs}",
    ],
)
def test_editors_see_mistakes(text):
    """The JSON Schema refuses what the collector would."""
    assert list(validator().iter_errors(plain(text)))


def validator():
    return Draft202012Validator(json.loads(page("docs/mirror.schema.json")))


def plain(text: str):
    """The values as JSON has them: dates are text."""
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=str))
