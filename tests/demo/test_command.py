"""`mirror demo` on the command line: what it refuses, and the whole of it with a real Envoy."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from mirror_demo import mesh, seeds
from mirror_demo.processes import DemoError

from tests.conftest import require


def mirror_demo(*arguments, **env):
    command = [sys.executable, "-m", "mirror", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **env}, timeout=170)


def test_a_fault_that_nobody_seeded_is_refused_with_those_there_are():
    done = mirror_demo("--faults", "crush")
    assert done.returncode == 2
    assert "no seeded fault 'crush'" in done.stderr
    assert "crash" in done.stderr


def test_the_store_of_an_earlier_demo_is_not_mixed_with_a_new_one(tmp_path):
    (tmp_path / "mirror.db").touch()
    done = mirror_demo("--out", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds the store of an earlier demo" in done.stderr


def test_without_envoy_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(DemoError, match="pip install"):
        mesh.binary()


@pytest.fixture
def envoy():
    try:
        mesh.binary()
    except DemoError as error:
        require("envoy", str(error), present=False)


@pytest.mark.live
@pytest.mark.usefixtures("envoy")
def test_every_seeded_fault_is_found_and_nothing_else():
    # The user's own settings must not leak into the demo's processes.
    done = mirror_demo("--json", "--seed", "5", MIRROR_ROLE="candidate", MIRROR_STORE_URL="sqlite:////nowhere/x.db")
    told = json.loads(done.stdout)
    assert (told["missed"], told["false"], told["primary_errors"], told["incomplete"]) == ([], [], 0, 0)
    assert {found["seed"] for found in told["found"]} == {seed.name for seed in seeds.SEEDS}
    assert (told["clusters_missed"], told["clusters_false"]) == ([], [])
    assert {cluster["seed"] for cluster in told["clusters"]} == {seed.name for seed in seeds.SEEDS}
    leads = {cluster["seed"]: cluster["lead"] for cluster in told["clusters"]}
    assert leads["id_empty"].startswith('request.reference begins with "GIFT-": 17 of 17 mismatches, 0% of matches')
    assert leads["newer_field"] == ""
    assert (told["verdict"], told["pairs"]) == ("fail", 3000)
    assert told["effects"] == told["effects_of_the_primary"]
    assert min(told["effects"].values()) > 100
    assert done.returncode == 0, done.stderr


@pytest.mark.live
@pytest.mark.usefixtures("envoy")
def test_a_faithful_candidate_is_not_failed_and_the_report_says_so(tmp_path):
    done = mirror_demo("--faults", "none", "--out", str(tmp_path / "kept"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seeded faults: 0, found: 0" in done.stdout
    assert "FALSE" not in done.stdout
    assert "named as a cluster, with what brings it out: 0" in done.stdout
    assert "\nclusters (" not in done.stdout
    assert "each once, so the shadows had none" in done.stdout
    assert "3000 calls, 0 of them went wrong; 3000 pairs, 0 incomplete; verdict: pass" in done.stdout
    assert (tmp_path / "kept" / "mirror.db").exists()


@pytest.mark.live
@pytest.mark.usefixtures("envoy")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_keep_stays_with_the_page_until_a_signal_and_leaves_nothing_running(tmp_path, signum, code):
    command = [
        sys.executable,
        "-m",
        "mirror",
        "demo",
        "--keep",
        "--json",
        "--calls",
        "200",
        "--faults",
        "crash,id_empty",  # what is only in the distribution of values takes more calls
        "--out",
        str(tmp_path / "out"),
    ]
    demo = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    told = []
    try:
        page = None
        while page is None:
            line = demo.stderr.readline()
            assert line, "".join(told)
            told.append(line)
            page = re.search(r"the page stays at (\S+) until", line)
        with urllib.request.urlopen(page.group(1), timeout=30) as answer:
            assert "shop-v2" in answer.read().decode()
        demo.send_signal(signum)
        told.append(demo.communicate(timeout=60)[1])
        assert demo.returncode == code, "".join(told)
    finally:
        demo.terminate()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(page.group(1), timeout=5)
