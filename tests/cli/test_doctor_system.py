"""`mirror doctor` on what is installed: versions that go together, and whether the compiled parts are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mirror import native
from mirror.cli.doctor import system


@pytest.mark.parametrize(
    ("bounds", "there", "fine"),
    [
        (">=1.66", "1.66", True),
        (">=1.66", "1.65.9", False),
        (">=5.29,<8", "7.36.2", True),
        (">=5.29,<8", "8.0.0rc1", False),
        ("<8,>=5.29", "5.3", False),
        ("==1.40.0", "1.40", True),
        ("", "0", True),
    ],
)
def test_a_package_that_is_too_old_or_too_new(monkeypatch, bounds, there, fine):
    monkeypatch.setattr(system, "_version", lambda _: there)
    assert (list(system._requirement("mirror", f"thing{bounds}")) == []) is fine


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setattr(system, "_version", lambda _: None)
    assert [one.advice for one in system._requirement("mirror", "thing>=2")] == ["pip install 'thing>=2'"]
    assert list(system._requirement("mirror", "thing>=2; extra == 'kafka'")) == []


def test_it_says_whether_the_compiled_parts_are_used(monkeypatch):
    monkeypatch.setattr(native, "missing", "")
    assert [one.state for one in system.compiled_parts()] == ["ok"]
    monkeypatch.setattr(native, "missing", "they are not installed")
    (note,) = system.compiled_parts()
    assert (note.state, "they are not installed" in note.text) == ("note", True)
    assert "grpc-mirror-collector[native]" in note.advice


@pytest.mark.parametrize(
    ("contract", "parts", "said"),
    [
        (native.CONTRACT + 1, "same = Cutter = 1", f"of contract {native.CONTRACT + 1}"),
        (native.CONTRACT, "raise ImportError('file too short')", "cannot be loaded (file too short)"),
        (native.CONTRACT, "raise ModuleNotFoundError", "not installed"),
    ],
)
def test_parts_that_cannot_be_used_are_gone_without(tmp_path: Path, contract: int, parts: str, said: str):
    package = tmp_path / "grpc_mirror_native"
    package.mkdir()
    (package / "__init__.py").write_text(f"CONTRACT = {contract}")
    for name in ("captures", "spans"):
        (package / f"{name}.py").write_text(parts)
    script = "from mirror import native; print(native.same, native.missing)"
    path = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
    found = subprocess.run([sys.executable, "-c", path + script], capture_output=True, text=True, check=True).stdout
    assert found.startswith("None")
    assert said in found


def test_a_folder_that_an_installer_left_behind_is_no_such_part(monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc_mirror_native", ModuleType("grpc_mirror_native"))
    assert "empty" in native._found().missing


@pytest.mark.parametrize("switch", ["0", "false", "OFF"])
def test_who_wants_none_has_none(monkeypatch, switch: str):
    monkeypatch.setenv("MIRROR_NATIVE", switch)
    assert native._found()[:2] == (None, None)
    assert switch in native._found().missing
