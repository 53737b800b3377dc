"""From the settings to the library's properties, and the errors that a user sees."""

from __future__ import annotations

import pytest

from mirror.config.sections import Kafka
from mirror.kafka import clients
from mirror.kafka.clients import KafkaError
from tests.conftest import require


@pytest.fixture(autouse=True)
def library():
    """Of Kafka; without it these tests are skipped."""
    try:
        return clients.library()
    except KafkaError as error:
        require("kafka", str(error), present=False)


def test_a_password_comes_from_its_file_and_certificates_are_named(tmp_path):
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "ca.pem").write_text("")
    made = clients.common(
        Kafka(
            brokers=("a:9092", "b:9092"),
            security="sasl_ssl",
            ca_file=str(tmp_path / "ca.pem"),
            username="mirror",
            password_file=str(tmp_path / "password"),
        )
    )
    assert made["bootstrap.servers"] == "a:9092,b:9092"
    assert made["security.protocol"] == "SASL_SSL"
    assert made["ssl.ca.location"] == str(tmp_path / "ca.pem")
    assert (made["sasl.mechanisms"], made["sasl.username"], made["sasl.password"]) == (
        "SCRAM-SHA-512",
        "mirror",
        "secret",
    )
    assert "ssl.certificate.location" not in made


def test_without_security_nothing_of_it_is_set():
    assert not [name for name in clients.common(Kafka(username="left over")) if name.startswith(("ssl", "sasl"))]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"security": "sasl_plaintext"}, r"kafka\.password_file is missing"),
        (
            {"security": "ssl", "ca_file": "/nowhere/ca.pem"},
            r"kafka\.ca_file: /nowhere/ca\.pem cannot be read: No such file",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_said_with_its_setting(settings, text):
    with pytest.raises(KafkaError, match=text):
        clients.common(Kafka(**settings))


def test_what_the_library_refuses_is_said_as_ours(tmp_path):
    (tmp_path / "cert.pem").write_text("no certificate")
    settings = Kafka(security="ssl", cert_file=str(tmp_path / "cert.pem"))
    with pytest.raises(KafkaError, match=r"kafka: .*ssl\.certificate\.location"):
        clients.producer(settings, lambda _: None, queue_max_bytes=1 << 20)


@pytest.mark.parametrize("partitioner", ["fnv1a", "murmur2"])
def test_the_library_takes_all_that_we_set(partitioner):
    settings = Kafka(partitioner=partitioner, brokers=("127.0.0.1:1",))
    for made in (
        clients.producer(settings, lambda _: None, queue_max_bytes=1),
        clients.producer(settings, lambda _: None, queue_max_bytes=1 << 50, patient=True),
        clients.consumer(settings, lambda _: None, queue_max_bytes=1),
        clients.consumer(settings, lambda _: None, queue_max_bytes=1 << 50),
        clients.admin(settings),
    ):
        assert made is not None
