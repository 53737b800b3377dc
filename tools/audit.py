"""Known vulnerabilities of the versions in constraints.txt, as pip-audit finds them. Needs pip-audit and a registry that tells advisories.

python tools/audit.py      exit code 1 where one is known, or where nothing could be asked although MIRROR_REQUIRE names `audit`

A version whose vulnerabilities everybody knows is asked for first: where even of that nothing is told, as by mirrors of a registry
that hold packages and no advisories, the others are not asked for, and "none found" is never said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
KNOWN_BAD = "jinja2==2.10"  # sandbox escape, CVE-2019-10906, and others


def asked(requirements: str) -> dict[str, Any]:
    """pip-audit's report about pinned versions, one a line; empty where it could not be made."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text(requirements)
        options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        command = [sys.executable, "-m", "pip_audit", "-r", str(listed), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {}
    return report


def vulnerable(report: dict[str, Any]) -> Iterator[str]:
    """One line for each known vulnerability."""
    for one in report.get("dependencies", ()):
        for found in one.get("vulns", ()):
            fixed = ", ".join(found.get("fix_versions", ())) or "no version yet"
            yield f"{one['name']} {one['version']}: {found['id']}, fixed in {fixed}"


def unknown(report: dict[str, Any]) -> Iterator[str]:
    """One line for each package of which nothing is told."""
    for one in report.get("dependencies", ()):
        if "skip_reason" in one:
            yield f"{one['name']}: {one['skip_reason']}"


def main(*, required: bool) -> int:
    """Ask and print; the exit code."""
    if not any(vulnerable(asked(KNOWN_BAD))):
        print("audit: nothing was audited: there is no pip-audit here, or no registry that tells advisories")
        return int(required)
    report = asked((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    bad, untold = list(vulnerable(report)), list(unknown(report))
    for line in [*bad, *untold]:
        print(f"audit: {line}")
    audited = len(report.get("dependencies", ())) - len(untold)
    print(f"audit: {audited} versions audited, {len(bad)} vulnerabilities known")
    return int(bool(bad) or not audited or (required and bool(untold)))


if __name__ == "__main__":
    sys.exit(main(required="audit" in os.environ.get("MIRROR_REQUIRE", "").split(",")))
