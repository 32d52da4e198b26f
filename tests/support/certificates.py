"""Certificates for servers on the loopback and for their clients, made when a test needs them."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_FAR_OFF = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)


class Certificates(msgspec.Struct, frozen=True):
    """Files: an authority, a server's certificate of 127.0.0.1 and of a name, and a client's."""

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    encrypted_key: Path
    """The client's, with a password."""


def certificates(folder: Path, server_name: str = "kubernetes") -> Certificates:
    """All of them, as PEM files in the folder."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = _signed("authority", root_key, "authority", root_key, authority=True)
    found = Certificates(*(folder / f"{name}.pem" for name in Certificates.__struct_fields__))
    found.authority.write_bytes(_pem(root))
    for name, path, key_path in (
        (server_name, found.server, found.server_key),
        ("someone", found.client, found.client_key),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        path.write_bytes(_pem(_signed(name, key, "authority", root_key)))
        key_path.write_bytes(_key_pem(key))
        if path == found.client:
            found.encrypted_key.write_bytes(_key_pem(key, b"password"))
    return found


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool = False,
) -> x509.Certificate:
    """Without key identifiers, as the certificates of many clusters are."""
    names = [x509.DNSName(name)] if authority else [x509.DNSName(name), _loopback()]
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_LONG_AGO)
        .not_valid_after(_FAR_OFF)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _loopback() -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    hidden: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        hidden = serialization.BestAvailableEncryption(password)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, hidden)
