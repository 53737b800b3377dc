"""Generate the protobuf code that is committed, or check that it is what the protos say (`--check`).

Services install what is generated here, so an old protoc makes it: code of protoc 25 loads on protobuf 4.25 to 7, code of a
newer one doesn't load on an older runtime. That protoc comes from PyPI into an environment of its own, `.tools/protoc25`.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PROTOC = ROOT / ".tools" / "protoc25"
REQUIREMENTS = ("grpcio-tools==1.62.3", "setuptools<81")  # its plugin still imports pkg_resources


class Target(NamedTuple):
    """One protoc run: which protos, and where in the tree the generated files of which subfolder belong."""

    include: str  # -I
    protos: str  # glob below include
    made_in: str  # the folder below the output in which protoc puts the files that we keep
    destination: str
    services: bool = False  # also *_pb2_grpc.py


TARGETS = (
    Target("protos", "mirror/v1/*.proto", "mirror/v1", "interceptors/grpc_mirror/v1"),
    # What services' own protos import, so it stands where their generated code looks for it.
    Target("interceptors", "grpc_mirror/v1/*.proto", "grpc_mirror/v1", "interceptors/grpc_mirror/v1"),
    # The shop's schema as the primary was built from it, and the newer one of the candidate: the same names, two folders.
    Target("demo/protos", "shop/v1/*.proto", "shop/v1", "demo/mirror_demo/gen/current/shop/v1", services=True),
    Target("demo/protos/newer", "shop/v1/*.proto", "shop/v1", "demo/mirror_demo/gen/newer/shop/v1", services=True),
    # Whom both builds pay through, beside either.
    Target("demo/protos", "pay/v1/*.proto", "pay/v1", "demo/mirror_demo/gen/current/pay/v1", services=True),
    Target("demo/protos", "pay/v1/*.proto", "pay/v1", "demo/mirror_demo/gen/newer/pay/v1", services=True),
)


def _old_python() -> str:
    """An interpreter for which grpcio-tools 1.62 has wheels: CPython 3.10 to 3.12."""
    for name in (sys.executable, "python3.12", "python3.11", "python3.10", "python3"):
        path = shutil.which(name)
        if path is None:
            continue
        test = "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))"
        if subprocess.run([path, "-c", test], check=False).returncode == 0:
            return path
    raise SystemExit("protos: protoc 25 is packaged for Python 3.10 to 3.12; none of them is on the PATH")


def protoc() -> list[str]:
    """The command of the pinned protoc; installs it on first use."""
    python = PROTOC / "bin" / "python"
    if not (PROTOC / ".ready").exists():
        print(f"protos: installing {REQUIREMENTS[0]} into {PROTOC.relative_to(ROOT)}", file=sys.stderr)
        subprocess.run([_old_python(), "-m", "venv", "--clear", str(PROTOC)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *REQUIREMENTS], check=True
        )
        (PROTOC / ".ready").touch()
    return [str(python), "-m", "grpc_tools.protoc"]


def generate(target: Target, out: Path) -> list[Path]:
    """Run protoc for one target into `out`; the files that belong into the tree."""
    protos = sorted((ROOT / target.include).glob(target.protos))
    command = [*protoc(), f"-I{ROOT / target.include}", f"--python_out={out}", f"--pyi_out={out}"]
    if target.services:
        command.append(f"--grpc_python_out={out}")
    subprocess.run([*command, *map(str, protos)], check=True)
    return sorted(p for p in (out / target.made_in).iterdir() if p.suffix in {".py", ".pyi"})


def main() -> int:
    """Generate, or with --check compare; 1 where the tree differs from what the protos say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a file differs")
    check = parser.parse_args().check
    stale = []
    for target in TARGETS:
        with tempfile.TemporaryDirectory() as temporary:
            for made in generate(target, Path(temporary)):
                kept = ROOT / target.destination / made.name
                if check and not (kept.exists() and filecmp.cmp(made, kept, shallow=False)):
                    stale.append(str(kept.relative_to(ROOT)))
                elif not check:
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(made, kept)
    if stale:
        print("protos: generated code is stale; run `make protos`:", *stale, sep="\n  ")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
