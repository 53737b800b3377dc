"""The demo's processes together: they start, a death among them is told, and none outlives the block."""

import os
import signal

import pytest
from mirror_demo import mesh, running
from mirror_demo.processes import DemoError

from tests.conftest import require

pytestmark = pytest.mark.live


@pytest.fixture(autouse=True)
def envoy():
    try:
        mesh.binary()
    except DemoError as error:
        require("envoy", str(error), present=False)


@pytest.mark.parametrize("victim", ["collector", "candidate", "envoy"])
def test_a_child_that_dies_ends_the_demo_and_the_others(tmp_path, victim):
    with running.running(tmp_path, "none") as shop:
        children = dict(shop.children)
        os.kill(children[victim].pid, signal.SIGKILL)
        with pytest.raises(DemoError, match=f"{victim} ended with exit code -9"):
            shop.load(100_000, 1, lambda _done: None)
    assert {name for name, child in children.items() if child.exit_code is None} == set()


def test_servers_of_the_demo_listen_below_the_ephemeral_range(tmp_path):
    """A refused connect to a higher port on loopback may connect to itself."""
    with running.running(tmp_path, "none") as shop:
        ports = [int(shop.children[r.role].line_with("READY ")) for r in running.REPLICAS]
    assert max(ports) < 32768


def test_the_users_own_settings_do_not_reach_the_demos_processes(monkeypatch):
    for name in ("MIRROR_ROLE", "OTEL_SERVICE_NAME", "SHOP_FAULTS"):
        monkeypatch.setenv(name, "candidate")
    assert not {name for name in running.environment("newer") if name.startswith(("MIRROR_", "OTEL_", "SHOP_"))}
