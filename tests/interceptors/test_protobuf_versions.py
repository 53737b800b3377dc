"""What services install loads on every protobuf from 4.25 to 7, and captures a call end to end there."""

import json
import os
import subprocess
import sys

import pytest

from tests.interceptors.environments import VERSIONS, environment


def run_on(root, version, module):
    """What a module prints with this protobuf."""
    env = {**os.environ, "PYTHONPATH": str(root)}
    python = environment(root, version)
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
