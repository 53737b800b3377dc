"""TLS to the collector: authorities, client certificates, tokens, and files that are renewed in place."""

import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import grpc
import pytest
from grpc_mirror.settings import Settings, SettingsError

from tests.conftest import require
from tests.interceptors.receiver import Receiver
from tests.interceptors.test_sender import record


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, openssl, folder):
        folder.mkdir()
        self._openssl, self._folder = openssl, folder
        self.file = folder / "ca.pem"
        self._key = folder / "ca.key"
        self._run(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ca", "-keyout", self._key, "-out", self.file
        )

    def _run(self, *arguments):
        subprocess.run([self._openssl, *map(str, arguments)], check=True, capture_output=True)

    def issue(self, name):
        """Key and certificate files for a name."""
        key, asked, cert, extra = (self._folder / f"{name}.{kind}" for kind in ("key", "csr", "pem", "ext"))
        extra.write_text(f"subjectAltName=DNS:{name}\n")
        self._run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", asked)
        signer = ("-CA", self.file, "-CAkey", self._key, "-CAcreateserial", "-extfile", extra)
        self._run("x509", "-req", "-in", asked, *signer, "-out", cert)
        return SimpleNamespace(key=key, cert=cert)


@pytest.fixture
def authority(tmp_path):
    openssl = shutil.which("openssl")
    require("openssl", "no openssl to make a certificate with", present=openssl is not None)
    return lambda name: Authority(openssl, tmp_path / name)


def listening(issued, client_authority=None):
    """A receiver over TLS; with an authority, only for clients whose certificate is by that one."""
    pair = [(issued.key.read_bytes(), issued.cert.read_bytes())]
    roots = client_authority.file.read_bytes() if client_authority else None
    return Receiver(credentials=grpc.ssl_server_credentials(pair, roots, client_authority is not None))


def test_captures_go_over_tls_to_a_receiver_whose_authority_is_given(settings, sending, authority):
    ca = authority("ours")
    with listening(ca.issue("localhost")) as receiver:
        endpoint = f"https://localhost:{receiver.port}"
        sender, _ = sending(replace(settings, endpoint=endpoint, ca_file=str(ca.file), bearer="secret"))
        sender.put(record("tls"))
        receiver.call("tls")
        assert receiver.metadata[0]["authorization"] == "Bearer secret"


def test_a_receiver_that_asks_for_a_client_certificate_gets_ours(settings, sending, authority):
    ca = authority("ours")
    mine = ca.issue("service")
    with listening(ca.issue("localhost"), ca) as receiver:
        use = replace(settings, endpoint=f"localhost:{receiver.port}", ca_file=str(ca.file))
        sender, _ = sending(replace(use, cert_file=str(mine.cert), key_file=str(mine.key)))
        sender.put(record("mutual"))
        receiver.call("mutual")


def test_without_one_it_gets_nothing_and_each_call_is_counted(settings, sending, authority):
    ca = authority("ours")
    with listening(ca.issue("localhost"), ca) as receiver:
        use = replace(settings, endpoint=f"localhost:{receiver.port}", ca_file=str(ca.file), retry_max_s=0.01)
        sender, _ = sending(use)
        sender.put(record())
        assert sender.flush(20)
        assert sender.counts().dropped == {"export_failed": 1}
        assert receiver.calls == []


def test_files_that_are_renewed_in_place_are_read_again(settings, sending, authority):
    """A rotated authority ends the failures without a restart."""
    old, new = authority("old"), authority("new")
    with listening(new.issue("localhost")) as receiver:
        sender, _ = sending(replace(settings, endpoint=f"localhost:{receiver.port}", ca_file=str(old.file)))
        sender.put(record("rotated"))
        assert not sender.flush(0.5)
        new.file.replace(old.file)
        receiver.call("rotated")


def test_a_token_that_the_collector_refuses_is_told_and_counted(settings, sending, caplog):
    def answer(_request, context):
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token")

    with Receiver(answer) as receiver:
        sender, _ = sending(replace(settings, endpoint=receiver.endpoint, bearer="secret"))
        sender.put(record())
        assert sender.flush(20)
        assert sender.counts().dropped == {"export_refused": 1}
    assert "UNAUTHENTICATED: 'the token'" in caplog.text
    assert "secret" not in caplog.text


def test_what_is_wrong_with_the_files_stops_the_start(tmp_path):
    text = tmp_path / "text"
    text.write_text("no certificate")
    with pytest.raises(SettingsError) as error:
        Settings(endpoint="a:1", ca_file=str(tmp_path / "none"), cert_file=str(text))
    assert f"ca_file='{tmp_path / 'none'}': no such file" in str(error.value)
    assert f"cert_file='{text}': not a PEM file" in str(error.value)
    assert "cert_file: needs key_file beside it" in str(error.value)


def test_a_client_certificate_alone_means_tls(tmp_path):
    pem = tmp_path / "pem"
    pem.write_text("-----BEGIN CERTIFICATE-----\n")
    assert Settings(endpoint="a:1", cert_file=str(pem), key_file=str(pem)).secure
