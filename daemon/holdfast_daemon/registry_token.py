"""The registry's token: a file that only its user can read, read again when it has changed.

Write order of a new token: temporary file, fsync, rename, folder.  A crash leaves the old one or the new one.
"""

import logging
from pathlib import Path

from holdfast_contract import os_layer
from holdfast_contract.settings import SettingError

Metadata = tuple[tuple[str, str], ...]

_log = logging.getLogger(__name__)


class RegistryToken:
    """What is sent with every call; the secret leaves this object only as that.

    Args:
        path: the file; None: no token is ever sent (private Unix sockets).
        required: the file was named by a setting, so it must be there.

    Raises:
        SettingError: the file cannot be read.
    """

    def __init__(self, path: Path | None, *, required: bool = False) -> None:
        self._path = path
        if required and path is not None and not path.exists():
            raise SettingError(f"{path} cannot be read: it does not exist; `holdfast login` makes it")
        self.metadata: Metadata = ()
        try:
            self.metadata = self._read()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{path} cannot be read as a token") from error

    def __repr__(self) -> str:
        """Without the secret."""
        return f"RegistryToken({self._path})"

    def reread(self) -> bool:
        """Reads the file again; returns whether another token is used from now on.  One that cannot be read changes nothing."""
        try:
            found = self._read()
        except (OSError, UnicodeDecodeError) as error:
            _log.warning(
                "%s cannot be read as a token (%s); the one from before is used", self._path, type(error).__name__
            )
            return False
        changed, self.metadata = found != self.metadata, found
        return changed

    def _read(self) -> Metadata:
        if self._path is None or not self._path.exists():
            return ()
        return metadata_of(self._path.read_text(encoding="ascii").strip())

    def store(self, token: str) -> None:
        """Keeps another token and uses it.  Blocks.

        Raises:
            OSError: it cannot be written; the old one stays.
        """
        assert self._path is not None, "a registry behind a private socket needs none"
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os_layer.write_durably(self._path, token.encode("ascii") + b"\n")
        self.reread()

    def forget(self) -> None:
        """Removes the file; nothing is sent any more.  Blocks."""
        if self._path is not None:
            os_layer.unlink_if_exists(self._path)
        self.reread()


def metadata_of(token: str) -> Metadata:
    """What carries a token; nothing when it is empty."""
    return (("authorization", f"Bearer {token}"),) if token else ()
