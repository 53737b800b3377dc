"""The configuration that people copy is valid for a real Envoy, and the snippets say the same as the bootstrap."""

import json
import re
import subprocess

import pytest
from mirror_demo import mesh
from ruamel.yaml import YAML

from tests.conftest import ROOT, require

ENVOY = ROOT / "envoy"
SNIPPETS = sorted(path.name for path in (ENVOY / "snippets").glob("*.yaml"))

pytestmark = pytest.mark.live


def load(path):
    return YAML(typ="safe").load(path)


def validate(path):
    try:
        binary = mesh.binary()
    except mesh.DemoError as error:
        require("envoy", str(error), present=False)
    return subprocess.run([binary, "--mode", "validate", "-c", str(path)], capture_output=True, text=True, check=False)


def manager(config):
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def merged(snippet):
    """The bootstrap with a snippet put where its first comment says it belongs."""
    config, part = load(mesh.bootstrap_path()), load(ENVOY / "snippets" / snippet)
    for key, value in part.items():
        if key == "routes":
            manager(config)["route_config"]["virtual_hosts"][0]["routes"] = value
        elif key == "clusters":
            kept = [
                c for c in config["static_resources"]["clusters"] if c["name"] not in {new["name"] for new in value}
            ]
            config["static_resources"]["clusters"] = kept + value
        elif key == "layered_runtime":
            config[key] = value
        else:
            manager(config)[key] = value
    return config


def test_bootstrap_is_valid_as_it_stands():
    done = validate(mesh.bootstrap_path())
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippet_is_valid_in_its_place(snippet, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(merged(snippet)))
    done = validate(file)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("snippet", [name for name in SNIPPETS if name != "routes_secondary_smaller.yaml"])
def test_snippet_says_the_same_as_the_bootstrap(snippet):
    """Two copies of one thing drift unless a test holds them."""
    bootstrap, part = load(mesh.bootstrap_path()), merged(snippet)
    for config in (bootstrap, part):
        config["static_resources"]["clusters"].sort(key=lambda cluster: cluster["name"])
    assert part == bootstrap


def test_every_fraction_is_drawn_from_the_same_denominator():
    """Draws nest only among equal denominators; a plain number would draw among a hundred."""
    for path in [mesh.bootstrap_path(), *(ENVOY / "snippets").glob("*.yaml")]:
        assert set(re.findall(r"denominator: (\w+)", path.read_text())) <= {"MILLION"}


def test_every_default_port_is_below_the_ephemeral_range():
    """On loopback a refused connect to a higher port may connect to itself and hold it."""
    ports = [int(port) for port in re.findall(r"port_value: (\d+)", mesh.bootstrap_path().read_text())]
    assert ports
    assert max(ports) < 32768


def test_readme_explains_every_snippet():
    readme = (ENVOY / "README.md").read_text()
    assert [name for name in SNIPPETS if f"snippets/{name}" not in readme] == []
