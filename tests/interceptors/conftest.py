"""What the tests of the interceptors share: a receiver, and settings that send at once and leave signals alone."""

import grpc_mirror
import pytest

from tests.interceptors.receiver import Receiver


@pytest.fixture
def receiver():
    with Receiver() as one:
        yield one
        grpc_mirror.shutdown(5)


@pytest.fixture
def settings(receiver):
    return grpc_mirror.Settings(
        endpoint=receiver.endpoint,
        service_name="echo",
        resource=(("service.version", "1"),),
        batch_age_s=0.01,
        flush_on_sigterm=False,
    )
