"""A certificate authority of one's own, for registries that no public one knows: makes and renews PEM files in a folder.

Needs the package `cryptography`.  Write order: the authority's key, its certificate, then the others' keys and certificates;
a crash leaves files that the next run replaces, except for an authority that is whole, which is kept.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from holdfast_contract import os_layer

AUTHORITY_DAYS = 3650
CLOCK_SKEW = timedelta(hours=1)
"""A certificate is good a little earlier than it is made: clocks of other machines lag."""
NAME_CHARS_MAX = 64
"""Of a common name; the standard's limit."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def make_certificates(
    folder: Path, hosts: Sequence[str], clients: Sequence[str], days: int, now: datetime | None = None
) -> list[Path]:
    """Makes the authority `ca.pem` unless it is there, `server.pem` for the hosts, `client-NAME.pem` for each client, and their keys.

    Args:
        folder: made when absent, private.
        hosts: names and addresses by which clients call the registry.
        clients: names of clients, for a registry that asks for their certificates.
        days: how long the certificates are good.
        now: for tests.

    Returns:
        The files that were written.
    """
    os_layer.make_private_folder(folder)
    now = now or datetime.now(UTC)
    authority, written = _authority(folder, now)
    if hosts:
        names = [_general_name(host) for host in hosts]
        written += _issue(folder, "server", authority, names, ExtendedKeyUsageOID.SERVER_AUTH, days, now)
    for client in clients:
        named: list[x509.GeneralName] = [x509.DNSName(client)]
        written += _issue(folder, f"client-{client}", authority, named, ExtendedKeyUsageOID.CLIENT_AUTH, days, now)
    return written


def _authority(folder: Path, now: datetime) -> tuple[Authority, list[Path]]:
    cert_path, key_path = folder / "ca.pem", folder / "ca-key.pem"
    if cert_path.exists() and key_path.exists():
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_path} is no key that this program has made; choose another folder")
        return Authority(key, x509.load_pem_x509_certificate(cert_path.read_bytes())), []
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Holdfast registry authority")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, key, AUTHORITY_DAYS, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate), _write(key_path, cert_path, key, certificate)


def _issue(
    folder: Path,
    name: str,
    authority: Authority,
    alternatives: Sequence[x509.GeneralName],
    usage: x509.ObjectIdentifier,
    days: int,
    now: datetime,
) -> list[Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(f"Holdfast {name}"), authority.certificate.subject, key, days, now)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return _write(folder / f"{name}-key.pem", folder / f"{name}.pem", key, certificate)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _write(
    key_path: Path, cert_path: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> list[Path]:
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    os_layer.write_durably(key_path, private)
    os_layer.write_durably(cert_path, certificate.public_bytes(pem))
    return [cert_path, key_path]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:NAME_CHARS_MAX])])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)
