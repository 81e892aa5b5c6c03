"""TLS of the registry's port: the files that the settings name, looked at before anything is served."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

import grpc

from holdfast_registry.errors import StartError
from holdfast_registry.settings import RegistrySettings


def server_credentials(settings: RegistrySettings) -> grpc.ServerCredentials | None:
    """Returns what the port is opened with; None: plaintext.

    Raises:
        StartError: a file is missing, cannot be read, or does not fit the others.
    """
    if not (settings.tls_cert or settings.tls_key or settings.tls_client_ca):
        return None
    if not (settings.tls_cert and settings.tls_key):
        raise StartError("TLS needs both tls_cert and tls_key; `holdfast registry certs` makes them.")
    cert, key = _read(settings.tls_cert), _read(settings.tls_key)
    _check_pair(settings.tls_cert, settings.tls_key)
    client_ca = _read(settings.tls_client_ca) if settings.tls_client_ca else None
    return grpc.ssl_server_credentials([(key, cert)], client_ca, require_client_auth=client_ca is not None)


def is_loopback(host: str) -> bool:
    """Tells whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _read(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise StartError(f"{path} cannot be read ({error.strerror}); TLS needs it.") from error


def _check_pair(cert: str, key: str) -> None:
    """GRPC would open the port and fail every handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key with a password would be asked for on the terminal.
        context.load_cert_chain(Path(cert).expanduser(), Path(key).expanduser(), password="")
    except (ssl.SSLError, OSError) as error:
        raise StartError(
            f"{cert} and {key} are no PEM certificate with its key without a password ({error}); check both files."
        ) from error
