"""The names of status codes are gRPC's own."""

from google.rpc import code_pb2

from mirror.core.status import STATUS_NAMES, status_name


def test_they_are_those_of_the_standard() -> None:
    assert {name: code for code, name in enumerate(STATUS_NAMES)} == dict(code_pb2.Code.items())


def test_a_number_without_a_name_is_told_from_a_name() -> None:
    assert [status_name(code) for code in (0, 16, 17, -1)] == ["OK", "UNAUTHENTICATED", "CODE_17", "CODE_-1"]
