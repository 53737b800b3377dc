"""`mirror collector` as a command: what it asks of the system, and what it says where it cannot have it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collect.process import configuration, environment


def test_an_addresses_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path):
    (tmp_path / "mirror.yaml").write_text(json.dumps(configuration()))
    command = [sys.executable, "-m", "mirror", "collector", "--addresses-file", str(tmp_path / "nowhere" / "a.json")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "--addresses-file" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_limit_of_open_files_is_raised_as_far_as_allowed():
    resource = pytest.importorskip("resource")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    program = f"""
import resource
from mirror.cli.process import FILES_WANTED, allow_many_files
resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}))
allow_many_files()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
assert soft == (FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)), soft
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
