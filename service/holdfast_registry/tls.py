"""TLS of the registry's port: the files that the settings name, looked at before anything is served and whenever they change."""

from __future__ import annotations

import ipaddress
import logging
import ssl
import threading
from pathlib import Path

import grpc

from holdfast_registry.errors import StartError
from holdfast_registry.settings import RegistrySettings

logger = logging.getLogger(__name__)

_Stamps = tuple[tuple[int, int, int] | None, ...]
"""Of each file, what changes when it is replaced; None: it cannot be found."""


def server_credentials(settings: RegistrySettings) -> grpc.ServerCredentials | None:
    """Returns what the port is opened with, for connections always what the files hold then; None: plaintext.

    Raises:
        StartError: a file is missing, cannot be read, or does not fit the others.
    """
    if not (settings.tls_cert or settings.tls_key or settings.tls_client_ca):
        return None
    if not (settings.tls_cert and settings.tls_key):
        raise StartError("TLS needs both tls_cert and tls_key; `holdfast registry certs` makes them.")
    files = CertificateFiles(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    return grpc.dynamic_ssl_server_credentials(
        files.read(),
        files.changed,  # type: ignore[arg-type]  # gRPC documents None for "as before"
        require_client_authentication=settings.tls_client_ca is not None,
    )


class CertificateFiles:
    """The files of a port, which are looked at for each new connection: three `stat` beside a handshake of a millisecond.

    Files that do not fit each other (a renewal writes one after the other) are left alone until they do; the port goes on with what it
    has.  gRPC asks in threads of its own, several at once.
    """

    def __init__(self, cert: str, key: str, client_ca: str | None) -> None:
        self._cert = cert
        self._key = key
        self._client_ca = client_ca
        self._lock = threading.Lock()
        self._seen: _Stamps = ()

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Returns what the files hold.

        Raises:
            StartError: one is missing, cannot be read, or does not fit the others.
        """
        self._seen = self._stamps()
        cert, key = _read(self._cert), _read(self._key)
        _check_pair(self._cert, self._key)
        client_ca = _read(self._client_ca) if self._client_ca else None
        if client_ca is not None:
            _check_authority(str(self._client_ca), client_ca)
        if self._stamps() != self._seen:
            raise StartError("The certificates are being replaced at this moment; try again.")
        return grpc.ssl_server_certificate_configuration([(key, cert)], client_ca)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Returns what the files hold if that is new and whole; None: go on with what there is."""
        with self._lock:
            before = self._seen
            if self._stamps() == before:
                return None
            try:
                found = self.read()
            except StartError as error:
                if self._seen != self._stamps():
                    self._seen = before  # they go on changing: the next connection looks again
                logger.warning("certificates not taken over, the port goes on with the old ones: %s", error)
                return None
            logger.info("certificates taken over cert=%s", self._cert)
            return found

    def _stamps(self) -> _Stamps:
        return tuple(_stamp(path) for path in (self._cert, self._key, self._client_ca) if path)


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).expanduser().stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


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


def _check_authority(path: str, pem: bytes) -> None:
    """GRPC would refuse every client."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=pem.decode("ascii", "replace"))
    except ssl.SSLError as error:
        raise StartError(f"{path} is no PEM certificate of an authority ({error}); check the file.") from error
