"""Virtual environments as services have them, one for each major version of protobuf: grpc-mirror installed, nothing of ours else."""

import fcntl
import hashlib
import subprocess
import sys
import venv

from tests.conftest import require

VERSIONS = ("4.25", "5", "6", "7")
PACKAGES = ("opentelemetry-distro",)  # opentelemetry-instrument; what grpc-mirror needs it brings itself


def environment(root, version):
    """The Python of the environment with this protobuf, made once and kept; skips the test with pip's words where it is not to be had.

    grpc-mirror is installed in place, with the entry points that its pyproject.toml names; a change of that makes it anew.
    """
    home = root / ".tools" / f"protobuf-{version}-py{sys.version_info.major}.{sys.version_info.minor}"
    python, done = home / "bin" / "python", home / "installed"
    wanted = [f"protobuf=={version}.*", "-e", str(root / "interceptors"), *PACKAGES]
    project = (root / "interceptors" / "pyproject.toml").read_bytes()
    mark = hashlib.sha256(project + repr(wanted).encode()).hexdigest()
    home.parent.mkdir(exist_ok=True)
    with (home.parent / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in several processes
        if not done.exists() or done.read_text() != mark:
            _make(home, python, version, wanted)
            done.write_text(mark)
    return python


def _make(home, python, version, wanted):
    venv.create(home, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    install = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    words = (install.stderr.strip() or "no words").splitlines()[-1]
    require("protobuf-versions", f"pip cannot install protobuf {version}: {words}", present=not install.returncode)
