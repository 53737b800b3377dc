"""What services install loads on every protobuf from 4.25 to 7, and captures a call end to end there."""

import json
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


def run_on(root, version, module):
    """What a module prints with this protobuf."""
    python, reason = environment(root, version)
    require("protobuf-versions", f"pip cannot install protobuf {version}: {reason}", present=python is not None)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "interceptors")])}
    command = [str(python), "-m", module]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=root, env=env)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.live
@pytest.mark.timeout(240)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_call_is_captured_on_this_protobuf(root, version):
    assert run_on(root, version, "tests.interceptors.capture_once").startswith(version)


@pytest.mark.live
@pytest.mark.timeout(240)
@pytest.mark.parametrize("version", VERSIONS)
def test_redaction_is_the_same_on_this_protobuf(root, version):
    """Nothing in plain, and the hashes of this process's own protobuf: replicas need not have the same one."""
    found = json.loads(run_on(root, version, "tests.interceptors.vault_server"))
    assert found["version"].startswith(version)
    here = subprocess.run(
        [sys.executable, "-m", "tests.interceptors.vault_server"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=root,
    )
    assert found["leaves"] == json.loads(here.stdout)["leaves"]
    assert any(hmac for leaves in found["leaves"].values() for hmac in leaves.values())
