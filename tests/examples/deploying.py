"""What the pipeline example runs in the place of helm: starts and ends a build of the demo's shop as the candidate. Not a test.

deploying.py deploy FOLDER VERSION     starts it on the candidate's port, by the settings in FOLDER/candidate.json
deploying.py withdraw FOLDER           ends it
deploying.py promote FOLDER VERSION    notes which build was promoted
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def deploy(folder: Path, version: str) -> None:
    withdraw(folder)
    settings = json.loads((folder / "candidate.json").read_text())
    resource = f"service.version={version},service.instance.id=shop-candidate"
    env = settings["env"] | {"OTEL_RESOURCE_ATTRIBUTES": resource, "SHOP_FAULTS": settings["faults"]}
    out = folder / f"candidate-{version}.out"
    command = [sys.executable, "-m", "mirror_demo.candidate", "--port", str(settings["port"])]
    with out.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True)
    (folder / "candidate.pid").write_text(str(process.pid))
    while "READY" not in out.read_text():
        if process.poll() is not None:
            sys.exit(f"the candidate ended: {out.read_text()}")
        time.sleep(0.05)
    (folder / f"deployed-{version}").touch()


def withdraw(folder: Path) -> None:
    pid = folder / "candidate.pid"
    if pid.exists():
        number = int(pid.read_text())
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGTERM)
            for _ in range(200):
                os.kill(number, 0)
                time.sleep(0.05)
        pid.unlink()


if __name__ == "__main__":
    verb, where, *rest = sys.argv[1:]
    match verb:
        case "deploy":
            deploy(Path(where), *rest)
        case "withdraw":
            withdraw(Path(where))
            (Path(where) / "withdrawn").touch()
        case "promote":
            (Path(where) / "promoted").write_text(rest[0])
