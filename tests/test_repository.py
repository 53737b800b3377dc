"""What the repository promises of itself: commands that exist, layers that cannot be forgotten, no paths of one machine."""

from __future__ import annotations

import re
import subprocess

import pytest
import tomllib
from typer.testing import CliRunner

from mirror.cli.app import COMMANDS
from mirror.cli.app import root as command_line
from mirror.collect.counters import METRICS
from tests.conftest import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_make_target_that_the_readme_names_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)\b", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named
    assert named <= targets


def test_the_contract_of_the_compiled_parts_is_one_number():
    """Whoever knows another goes without them, and only a line in a log says so."""
    files = ("native/grpc_mirror_native/__init__.py", "interceptors/grpc_mirror/native.py", "mirror/native.py")
    told = {re.search(r"CONTRACT(?:: Final)? = (\d+)", (ROOT / file).read_text()) for file in files}
    assert None not in told
    assert len({found[1] for found in told if found}) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_text(command):
    result = CliRunner().invoke(command_line, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_the_metrics_that_operators_are_told_to_watch_exist():
    told = set(re.findall(r"`(mirror_\w+)", (ROOT / "docs/operating.md").read_text()))
    documented = (ROOT / "docs/api.md").read_text()
    own = {metric.name for metric in METRICS}
    assert told
    assert {name for name in told if name not in own and f"`{name}" not in documented} == set()


def test_every_reason_of_a_verdict_is_documented():
    """Pipelines act on the codes."""
    sources = [*(ROOT / "mirror/core").glob("*.py"), ROOT / "mirror/serve/shape.py"]
    codes = {code for path in sources for code in re.findall(r'Reason\(\s*(?:code=)?"(\w+)"', path.read_text())}
    documented = (ROOT / "docs/api.md").read_text()
    assert len(codes) > 10
    assert {code for code in codes if f"`{code}`" not in documented} == set()


def test_the_import_contract_names_every_module_of_the_interceptors():
    """From grpc_mirror the collector imports only grpc_mirror.v1: a new module there must be forbidden too."""
    (contract,) = [
        c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["name"].startswith("from grpc_mirror")
    ]
    package = ROOT / "interceptors/grpc_mirror"
    modules = {p.stem for p in package.glob("*.py")} | {p.parent.name for p in package.glob("*/__init__.py")}
    assert {f"grpc_mirror.{name}" for name in modules - {"__init__", "v1"}} == set(contract["forbidden_modules"])


def test_pinned_versions_are_names_and_versions_only():
    """No URL and no host: whoever installs has a registry of their own."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+", line) for line in lines)


def test_no_file_of_the_repository_is_long_enough_to_ask_a_question():
    """STYLE: a file that passes 400 lines is asking one; generated code, locks and data aside."""
    tracked = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    own = [name for name in tracked if "_pb2" not in name]
    assert [name for name in own if len((ROOT / name).read_text().splitlines()) > 400] == []
