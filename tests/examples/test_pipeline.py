"""The pipeline example with the demo's processes behind a real Envoy: a build that passes is promoted, one that fails is not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from mirror_demo import mesh, running, serving
from mirror_demo.processes import DemoError
from ruamel.yaml import YAML
from typer.main import get_command

from mirror.cli import verdict
from tests.conftest import ROOT, require
from tests.examples.deploying import withdraw
from tests.live.mesh import wait_until

SCRIPT = ROOT / "examples/pipeline/deploy-and-judge.sh"
HELPER = Path(__file__).with_name("deploying.py")


def pipeline(folder: Path, web: str, version: str, faults: str) -> subprocess.Popen:
    """The script, with the commands of this `cluster`."""
    settings = json.loads((folder / "candidate.json").read_text()) | {"faults": faults}
    (folder / "candidate.json").write_text(json.dumps(settings))
    tool = f"{sys.executable} {HELPER}"
    commands = {
        "DEPLOY": f"{tool} deploy {folder} $VERSION",
        "PROMOTE": f"{tool} promote {folder} $VERSION",
        "WITHDRAW": f"{tool} withdraw {folder}",
    }
    told = {"SERVICE": "shop", "VERSION": version, "COLLECTOR": f"http://{web}", "WAIT": "10m"}
    path = os.pathsep.join((str(folder / "bin"), os.environ["PATH"]))
    env = running.environment() | commands | told | {"PATH": path}
    return subprocess.Popen(["sh", str(SCRIPT)], cwd=folder, env=env, stderr=subprocess.PIPE, text=True)


def mirror_on_the_path(folder: Path) -> None:
    """The command as an installation has it."""
    (folder / "bin").mkdir()
    command = folder / "bin/mirror"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m mirror "$@"\n')
    command.chmod(0o755)


@pytest.mark.live
@pytest.mark.timeout(1300)
def test_deploy_wait_for_the_verdict_and_stop_on_fail(tmp_path):
    try:
        mesh.binary()
    except DemoError as error:
        require("envoy", str(error), present=False)
    mirror_on_the_path(tmp_path)
    with running.running(tmp_path, "none") as shop:
        was = shop.children.pop("candidate")
        port = int(was.line_with(serving.READY))
        env = Path(f"/proc/{was.pid}/environ")
        require("procfs", "the environment of a child cannot be read here", present=env.exists())
        variables = dict(pair.split("=", 1) for pair in env.read_text().split("\0") if "=" in pair)
        was.stop()
        (tmp_path / "candidate.json").write_text(json.dumps({"port": port, "env": variables}))
        try:
            assert judged(tmp_path, shop, "2.1.0", "none", calls=3000) == (0, "")
            assert (tmp_path / "promoted").read_text() == "2.1.0"
            # The run's newest verdict is a pass now: it must not be taken for the next build's.
            code, told = judged(tmp_path, shop, "2.2.0", "all", calls=3000)
            assert code == 1, told
            assert "is regressed" in told or "broken" in told
            assert (tmp_path / "promoted").read_text() == "2.1.0"
            assert (tmp_path / "withdrawn").exists()
        finally:
            withdraw(tmp_path)


def judged(folder: Path, shop: running.Running, version: str, faults: str, *, calls: int) -> tuple[int, str]:
    """One run of the pipeline while customers call; its exit code and what it said of the verdict."""
    script = pipeline(folder, shop.web, version, faults)
    said: list[str] = []
    reading = threading.Thread(target=lambda: said.extend(script.stderr))
    reading.start()
    try:
        wait_until((folder / f"deployed-{version}").exists, f"deployed-{version}", timeout_s=120)
        shop.load(calls, seed=len(version) + len(faults), progress=lambda _: None)
        code = script.wait(600)
    finally:
        script.kill()
        reading.join(10)
    return code, "".join(line for line in said if not line.startswith("mirror: waiting"))


def options(text: str) -> set[str]:
    return set(re.findall(r"mirror verdict(.*)", text)) and set(
        re.findall(r"(--[a-z-]+)", " ".join(re.findall(r"mirror verdict(.*)", text)))
    )


@pytest.mark.parametrize("name", ["deploy-and-judge.sh", "github-actions.yaml"])
def test_the_examples_use_options_that_there_are(name):
    known = {opt for parameter in get_command(verdict.app).params for opt in parameter.opts}
    used = options((SCRIPT.parent / name).read_text())
    assert used
    assert used <= known


def test_the_job_is_yaml_and_stops_before_promoting():
    job = YAML(typ="safe", pure=True).load((SCRIPT.parent / "github-actions.yaml").read_text())["jobs"]["judge"]
    names = [step.get("name") for step in job["steps"]]
    assert names.index("Wait for the verdict") < names.index("Promote")
    assert "continue-on-error" not in json.dumps(job)


def test_the_script_is_plain_shell():
    checker = shutil.which("dash") or shutil.which("sh")
    assert subprocess.run([str(checker), "-n", str(SCRIPT)], check=False).returncode == 0
