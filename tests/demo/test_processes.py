"""Children of the demo: awaited, watched, ended by their own ids; and what the user reads when one dies."""

import sys

import pytest
from mirror_demo.processes import Child, DemoError


def python(name, folder, code):
    return Child(name, [sys.executable, "-uc", code], folder)


def test_a_line_is_awaited_and_the_child_ended(tmp_path):
    child = python("good", tmp_path, "import time; print('READY 7'); time.sleep(600)")
    assert child.line_with("READY ") == "7"
    child.check()
    child.stop()
    assert child.exit_code is not None
    child.stop()  # a second time does nothing


def test_half_a_line_is_no_line(tmp_path):
    child = python(
        "slow", tmp_path, "import time; print('READY 1', end=''); time.sleep(0.3); print('23'); time.sleep(600)"
    )
    assert child.line_with("READY ") == "123"
    child.stop()


def test_the_death_of_a_child_is_told_in_its_own_last_words(tmp_path):
    child = python("collector", tmp_path, "import sys; sys.exit('port 4317 is in use')")
    with pytest.raises(DemoError, match=r"collector ended with exit code 1\n  collector: port 4317 is in use"):
        child.line_with("READY ")


def test_waiting_has_an_end(tmp_path):
    child = python("mute", tmp_path, "import time; time.sleep(600)")
    with pytest.raises(DemoError, match="mute: no line 'READY ' within 0 s"):
        child.line_with("READY ", timeout_s=0.2)
    child.stop()


def test_a_child_that_ignores_sigterm_is_killed(tmp_path):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('READY'); time.sleep(600)"
    child = python("stubborn", tmp_path, code)
    child.line_with("READY")
    child.stop(timeout_s=0.2)
    assert child.exit_code == -9


def test_a_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DemoError, match="envoy cannot be started"):
        Child("envoy", [str(tmp_path / "nothing")], tmp_path)
