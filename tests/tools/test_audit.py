"""How the audit of dependencies reads what pip-audit reports, and that it never takes silence for a good answer."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from tests.conftest import ROOT

SPEC = importlib.util.spec_from_file_location("audit", ROOT / "tools/audit.py")
audit = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(audit)
BAD = {"name": "jinja2", "version": "2.10", "vulns": [{"id": "CVE-2019-10906", "fix_versions": ["2.10.1"]}]}
GOOD = {"name": "idna", "version": "3.20", "vulns": []}
UNTOLD = {"name": "click", "skip_reason": "not found"}


def run(monkeypatch, canary, rest, *, required=False):
    """The exit code, where pip-audit reports these."""
    reports = {audit.KNOWN_BAD: {"dependencies": canary}}
    monkeypatch.setattr(audit, "asked", lambda asked: reports.get(asked, {"dependencies": rest}))
    return audit.main(required=required)


@pytest.mark.parametrize(
    ("canary", "rest", "required", "code", "said"),
    [
        ([BAD], [GOOD], False, 0, "1 versions audited, 0 vulnerabilities known"),
        ([BAD], [GOOD, BAD], False, 1, "jinja2 2.10: CVE-2019-10906, fixed in 2.10.1"),
        ([BAD], [GOOD, UNTOLD], False, 0, "click: not found"),
        ([BAD], [GOOD, UNTOLD], True, 1, "click: not found"),
        ([BAD], [UNTOLD], False, 1, "0 versions audited"),
        ([BAD], [], False, 1, "0 versions audited"),
        ([UNTOLD], [GOOD], False, 0, "nothing was audited"),
        ([UNTOLD], [GOOD], True, 1, "nothing was audited"),
        ([GOOD], [GOOD], True, 1, "nothing was audited"),
    ],
)
def test_what_is_found_and_what_is_not_told(monkeypatch, capsys, *, canary, rest, required, code, said):
    assert run(monkeypatch, canary, rest, required=required) == code
    assert said in capsys.readouterr().out


def test_without_pip_audit_nothing_is_reported(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    assert audit.asked("idna==3.20") == {}
