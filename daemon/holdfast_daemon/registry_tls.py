"""TLS towards the registry: what the settings name, and in plain words why a handshake fails.

gRPC says of a failed handshake that the registry cannot be reached.  Whoever waits for it wants to know whether the
authority, the name, the date or the protocol is wrong, so a second handshake asks the system's TLS library.
"""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection

import grpc

from holdfast_contract.settings import SettingError
from holdfast_daemon.settings import DaemonSettings

PROBE_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)

# OpenSSL's codes of `verify_code`.
_EXPIRED = (9, 10)
_UNKNOWN_AUTHORITY = (18, 19, 20, 21)
_WRONG_NAME = (62, 64)


@dataclass(frozen=True, slots=True)
class RegistryTls:
    """How a TLS connection is made."""

    ca_file: Path | None = None
    """PEM of the authority; None: the system's."""
    client_cert_file: Path | None = None
    client_key_file: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All that are named."""
        return [path for path in (self.ca_file, self.client_cert_file, self.client_key_file) if path is not None]

    def credentials(self) -> grpc.ChannelCredentials:
        """What a channel is made with.

        Raises:
            SettingError: a file cannot be read.
        """
        files = (self.ca_file, self.client_key_file, self.client_cert_file)
        return grpc.ssl_channel_credentials(*[_read(path) if path else None for path in files])


class TlsFiles:
    """Notices that files were renewed.  Those that do not fit each other, as between a key and its certificate, are not taken over."""

    def __init__(self, tls: RegistryTls) -> None:
        self._tls = tls
        self._used = self._refused = self._stamps()

    def are_new(self) -> bool:
        """Whether a connection that is made now would be made with other certificates than the last time that this was asked."""
        found = self._stamps()
        if found in (self._used, self._refused):
            return False
        try:
            _context(self._tls)
        except (ssl.SSLError, OSError) as error:
            _log.warning("certificates for the registry are not taken over, the old ones are used: %s", error)
            self._refused = found
            return False
        self._used = self._refused = found
        _log.info("certificates for the registry taken over")
        return True

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._tls.files]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced; None: it cannot be found."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def wanted_tls(settings: DaemonSettings) -> RegistryTls | None:
    """How the configured registry is spoken to; None: in plaintext.

    Off this machine TLS is the rule; on it, where nobody listens in, it is used when certificates are named.

    Raises:
        SettingError: plaintext and certificates are both wanted, or half of a client's pair is missing.
    """
    names = (settings.registry_ca_file, settings.registry_client_cert_file, settings.registry_client_key_file)
    if settings.registry.startswith("unix:"):
        return None
    if settings.registry_insecure and any(names):
        raise SettingError("registry_insecure means plaintext, and certificates are named: choose one of the two")
    if bool(names[1]) != bool(names[2]):
        raise SettingError("registry_client_cert_file and registry_client_key_file belong together: name both or none")
    if settings.registry_insecure or (is_loopback(settings.registry) and not any(names)):
        return None
    return RegistryTls(*[Path(name).expanduser() if name else None for name in names])


def is_loopback(address: str) -> bool:
    """Whether host:port is on this machine."""
    host = address.rsplit(":", 1)[0].strip("[]")
    return host in ("localhost", "::1") or host.startswith("127.")


def why_no_handshake(address: str, tls: RegistryTls | None) -> str | None:
    """What is wrong between us and a registry that seems away; None: nothing that a handshake tells.  Blocks for some seconds."""
    host, _, port = address.rpartition(":")
    if address.startswith("unix:") or not port.isdecimal():
        return None
    try:
        with create_connection((host.strip("[]"), int(port)), PROBE_TIMEOUT_S) as plain:
            context = _any_context() if tls is None else _context(tls)
            with context.wrap_socket(plain, server_hostname=host.strip("[]")):
                pass
    except ssl.SSLCertVerificationError as error:
        return _certificate_problem(error, host)
    except ssl.SSLError as error:
        if tls is not None and error.reason in (
            "WRONG_VERSION_NUMBER",
            "RECORD_LAYER_FAILURE",
            "PACKET_LENGTH_TOO_LONG",
        ):
            return (
                f"the registry at {address} answers in plaintext and this daemon speaks TLS; give the registry a certificate, "
                "or set registry_insecure on a network that you trust"
            )
        return None
    except OSError:
        return None
    if tls is None:
        return f"the registry at {address} speaks TLS and this daemon plaintext; set registry_ca_file (and not registry_insecure)"
    return _wants_our_certificate(address, tls)


def _wants_our_certificate(address: str, tls: RegistryTls) -> str | None:
    if tls.client_cert_file is not None:
        return None
    return (
        f"the registry at {address} can be reached and proves who it is, but does not take calls; if it asks for "
        "certificates, set registry_client_cert_file and registry_client_key_file"
    )


def _certificate_problem(error: ssl.SSLCertVerificationError, host: str) -> str:
    if error.verify_code in _EXPIRED:
        return (
            f"the certificate of the registry {host} has expired or is not valid yet ({error.verify_message}); renew it, "
            "or set the clock"
        )
    if error.verify_code in _WRONG_NAME:
        return f"the registry's certificate is not for {host} ({error.verify_message}); call it by a name that it has"
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return (
            f"the certificate of the registry {host} is signed by an authority that is not trusted here "
            f"({error.verify_message}); set registry_ca_file to that authority's PEM file"
        )
    return f"the certificate of the registry {host} is not accepted: {error.verify_message}"


def _context(tls: RegistryTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.set_alpn_protocols(["h2"])
    if tls.client_cert_file is not None and tls.client_key_file is not None:
        context.load_cert_chain(tls.client_cert_file, tls.client_key_file, password="")
    return context


def _any_context() -> ssl.SSLContext:
    """Only to find out whether the other side speaks TLS; nothing is sent over it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from error
