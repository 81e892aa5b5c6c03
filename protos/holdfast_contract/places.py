"""Where daemon, registry and SDK meet on one machine: folders, sockets, tokens, locks.

Everything follows from the data folder (`HOLDFAST_DATA_DIR`), so two data folders are two separate hosts on one machine.
Sockets lie in `$XDG_RUNTIME_DIR/holdfast` or `/tmp/holdfast-<uid>`, since a Unix socket's path may not be longer than about
100 bytes while a data folder's may; their names carry a digest of the data folder.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from blake3 import blake3


@dataclass(frozen=True, slots=True)
class Places:
    """Paths of one data folder.  Nothing here is created by asking for it."""

    data_dir: Path
    runtime_dir: Path

    @property
    def _tag(self) -> str:
        return blake3(os.fsencode(self.data_dir)).hexdigest()[:12]

    @property
    def daemon_socket(self) -> Path:
        """Unix socket of the daemon."""
        return self.runtime_dir / f"daemon-{self._tag}.sock"

    @property
    def daemon_token(self) -> Path:
        """Token that every caller of the daemon presents (0600)."""
        return self.data_dir / "daemon.token"

    @property
    def registry_token(self) -> Path:
        """Token of the registry that the daemon uses, unless a setting names another file (0600)."""
        return self.data_dir / "registry.token"

    @property
    def daemon_lock(self) -> Path:
        """Locked by the one daemon of this data folder while it lives."""
        return self.data_dir / "daemon.lock"

    @property
    def daemon_ended(self) -> Path:
        """Made by a daemon that ends because it was asked to or is idle; whoever starts the next one removes it."""
        return self.runtime_dir / f"daemon-{self._tag}.ended"

    @property
    def daemon_log(self) -> Path:
        """Log of the daemon."""
        return self.data_dir / "logs" / "daemon.log"

    @property
    def journal(self) -> Path:
        """The daemon's SQLite database."""
        return self.data_dir / "journal.sqlite3"

    @property
    def spool(self) -> Path:
        """Packs on their way out."""
        return self.data_dir / "spool"

    @property
    def cache(self) -> Path:
        """Packs kept for reading."""
        return self.data_dir / "cache"

    @property
    def registry_dir(self) -> Path:
        """Data folder of the embedded registry."""
        return self.data_dir / "registry"

    @property
    def registry_socket(self) -> Path:
        """Unix socket of the embedded registry."""
        return self.runtime_dir / f"registry-{self._tag}.sock"

    @property
    def registry_log(self) -> Path:
        """Log of the embedded registry."""
        return self.data_dir / "logs" / "registry.log"


def socket_address(path: Path) -> str:
    """The gRPC address of a Unix socket; it is read as a URI, so what a URI gives a meaning is quoted."""
    return f"unix:{quote(os.fsencode(path))}"


def find_places(environ: Mapping[str, str]) -> Places:
    """Places that an environment names.

    `HOLDFAST_DATA_DIR`, else `$XDG_DATA_HOME/holdfast`, else `~/.local/share/holdfast`; `HOLDFAST_RUNTIME_DIR`, else
    `$XDG_RUNTIME_DIR/holdfast`, else `/run/user/<uid>/holdfast` where that folder is (the same one: cron and batch jobs lack the
    variable and must find the same socket), else `/tmp/holdfast-<uid>`.
    """
    data = environ.get("HOLDFAST_DATA_DIR")
    if not data:
        share = environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
        data = os.path.join(share, "holdfast")
    runtime = environ.get("HOLDFAST_RUNTIME_DIR")
    if not runtime:
        own = f"/run/user/{os.getuid()}"
        base = environ.get("XDG_RUNTIME_DIR") or (own if os.access(own, os.W_OK) else "")
        runtime = os.path.join(base, "holdfast") if base else f"/tmp/holdfast-{os.getuid()}"
    return Places(Path(os.path.abspath(data)), Path(os.path.abspath(runtime)))
