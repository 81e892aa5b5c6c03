"""What the registry asks of the place where packs lie; all calls block and run in file threads."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Protocol


class PackFile(Protocol):
    """An opened pack: the same bytes until it is closed, whatever happens to its name."""

    @property
    def size_bytes(self) -> int:
        """Size when it was opened."""

    def pread(self, offset: int, length: int) -> bytes:
        """Reads; less than asked for only at the end."""

    def __enter__(self) -> PackFile: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


class IncomingPack(PackFile, Protocol):
    """A pack that was brought and is to be checked."""

    def publish(self) -> None:
        """Makes it durable under its final name."""


class BlobStore(Protocol):
    """Packs on their way in, and packs that serve."""

    def incoming_path(self, pack_id: bytes) -> Path:
        """Where a process of the same user puts a pack (a link, a rename or a copy)."""

    def pack_path(self, pack_id: bytes) -> Path:
        """Where a process of the same user reads a pack."""

    def received_bytes(self, pack_id: bytes) -> int:
        """How much of a pack that comes over the wire has arrived."""

    def write(self, pack_id: bytes, offset: int, data: bytes) -> int:
        """Adds to a pack that comes over the wire; returns how much has arrived.

        Raises:
            RegistryError: GRANT_INVALID: `offset` is not where it ends (metadata `expected` has that), OUT_OF_SPACE.
        """

    def finish(self, pack_id: bytes) -> None:
        """Ends the writing of a pack; it can be opened now."""

    def open_incoming(self, pack_id: bytes) -> IncomingPack | None:
        """Opens a pack that was brought, or that a crash left between its rename and its row; None: there is none."""

    def open_pack(self, pack_id: bytes) -> PackFile | None:
        """Opens a pack that serves; None: it is gone."""

    def discard(self, pack_id: bytes) -> None:
        """Removes what there is of a pack that never served."""

    def free_bytes(self) -> int:
        """How much can be written."""
