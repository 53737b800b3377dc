"""What stands in the log of the commands that run until a signal, and what does not."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from grpc._cython import cygrpc

from mirror.cli.logs import LogFormat, begin_log

GRPC = logging.getLogger("grpc._cython.cygrpc")


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Callable[[LogFormat], None]:
    """begin_log, as in a process of its own."""

    def begin(log_format: LogFormat) -> None:
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        monkeypatch.setattr(GRPC, "filters", [])
        begin_log(log_format)

    return begin


def raised_in_grpc(fault: BaseException) -> None:
    """As grpc logs what ends a call."""
    try:
        raise fault
    except type(fault):
        GRPC.exception("raised by servicer method [/a.B/C]")


def test_a_client_that_went_before_its_answer_is_no_error_of_ours(
    begun: Callable[[LogFormat], None], capsys: pytest.CaptureFixture[str]
):
    """Any number of strangers may do it, each for a traceback in the log."""
    begun(LogFormat.TEXT)
    raised_in_grpc(cygrpc.ExecuteBatchError('Failed "execute_batch"'))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("log_format", LogFormat)
def test_every_other_fault_is_logged(
    log_format: LogFormat, begun: Callable[[LogFormat], None], capsys: pytest.CaptureFixture[str]
):
    begun(log_format)
    raised_in_grpc(cygrpc.InternalError("of grpc"))
    raised_in_grpc(KeyError("of ours"))
    logging.getLogger("mirror").error("no exception at all")
    told = capsys.readouterr().err
    assert all(name in told for name in ("InternalError", "KeyError", "no exception at all"))
