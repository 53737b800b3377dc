"""Certificates for tests, of authorities made on the spot; not a test."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """Files of a certificate and its key."""

    cert_file: str
    key_file: str

    @property
    def cert(self) -> bytes:
        return Path(self.cert_file).read_bytes()

    @property
    def key(self) -> bytes:
        return Path(self.key_file).read_bytes()

    def damage(self) -> None:
        _write(Path(self.cert_file), b"damaged")


class Authority:
    """Signs certificates, whose files are in `folder`, as is its own."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder, self._name = folder, _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = _builder(self._name, self._name, self._key, NOW - DAY, NOW + DAY)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = str(folder / f"{name}.pem")
        _write(Path(self.file), own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    @property
    def pem(self) -> bytes:
        return Path(self.file).read_bytes()

    def take_the_place_of(self, other: Authority) -> Authority:
        """Its file is that of the other from now on."""
        Path(self.file).replace(other.file)
        self.file = other.file
        return self

    def issue(
        self,
        name: str,
        *,
        expired: bool = False,
        passphrase: bytes | None = None,
        begin: dt.datetime = NOW - DAY,
        end: dt.datetime = NOW + DAY,
    ) -> Issued:
        """For localhost and 127.0.0.1, whoever it is; of the same name again: in the same files."""
        key = ec.generate_private_key(ec.SECP256R1())
        if expired:
            begin, end = NOW - 2 * DAY, NOW - DAY
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        asked = _builder(_name(name), self._name, key, begin, end)
        cert = asked.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(self._key, hashes.SHA256())
        issued = Issued(str(self._folder / f"{name}.crt"), str(self._folder / f"{name}.key"))
        hidden = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        _write(Path(issued.key_file), key.private_bytes(pem, form, hidden))
        _write(Path(issued.cert_file), cert.public_bytes(pem))
        return issued


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begin: dt.datetime,
    end: dt.datetime,
) -> x509.CertificateBuilder:
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return made.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)


def _write(path: Path, content: bytes) -> None:
    """Exchanged as a whole, as renewers do."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
