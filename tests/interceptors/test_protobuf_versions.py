"""What services install loads on every protobuf from 4.25 to 7, and captures a call end to end there."""

import os
import subprocess
import sys
import venv

import pytest

from tests.conftest import require

VERSIONS = ("4.25", "5", "6", "7")
PACKAGES = ("grpcio", "opentelemetry-api", "opentelemetry-sdk")


def environment(root, version):
    """The Python of a virtual environment with this protobuf, made once and kept. None, with pip's words: not to be had."""
    home = root / ".tools" / f"protobuf-{version}-py{sys.version_info.major}.{sys.version_info.minor}"
    python = home / "bin" / "python"
    done = home / "installed"
    if not done.exists():
        venv.create(home, with_pip=True, clear=True)
        command = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            f"protobuf=={version}.*",
            *PACKAGES,
        ]
        install = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
        if install.returncode:
            return None, install.stderr.strip().splitlines()[-1]
        done.touch()
    return python, ""


@pytest.mark.live
@pytest.mark.timeout(240)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_call_is_captured_on_this_protobuf(root, version):
    python, reason = environment(root, version)
    require("protobuf-versions", f"pip cannot install protobuf {version}: {reason}", present=python is not None)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "interceptors")])}
    command = [str(python), "-m", "tests.interceptors.capture_once"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=root, env=env)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().startswith(version)
