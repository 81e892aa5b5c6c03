"""How packs travel between daemons and the store: in place, through the registry, or straight to an S3 server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from holdfast_contract.reasons import Reason
from holdfast_registry.blobstore.directory import DirectoryStore
from holdfast_registry.errors import RegistryError
from holdfast_registry.file_threads import FileThreads

FREE_BYTES_MIN = 256 * 1024 * 1024
"""Left free for the database, which must be able to record what happens."""


@dataclass(frozen=True, slots=True)
class FileWay:
    """By a path of this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class StreamWay:
    """Through the registry."""

    received_bytes: int = 0
    """Of a pack that is being brought."""


@dataclass(frozen=True, slots=True)
class HttpWay:
    """By one HTTP request, which needs no other credentials."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    expires_in_s: int = 0


Way = FileWay | StreamWay | HttpWay


@dataclass(frozen=True, slots=True)
class OutgoingPack:
    """A pack as its writer announces it."""

    pack_id: bytes
    size_bytes: int
    sha256: bytes
    """Empty where no way needs it."""


class Transfers(Protocol):
    """Says the ways."""

    @property
    def needs_sha256(self) -> bool:
        """Whether `uploads` needs to know that of each pack."""

    async def check_space(self, needed_bytes: int) -> None:
        """Returns when there is room for so much.

        Raises:
            RegistryError: OUT_OF_SPACE.
        """

    async def uploads(self, packs: Sequence[OutgoingPack]) -> Sequence[Way]:
        """Returns how each pack is to be brought."""

    async def downloads(self, pack_ids: Sequence[bytes]) -> Sequence[Way]:
        """Returns how each pack is to be read."""


class FileTransfers:
    """Between processes of one user, which use the same folder; no bytes are moved."""

    needs_sha256 = False

    def __init__(self, store: DirectoryStore) -> None:
        self._store = store

    async def check_space(self, needed_bytes: int) -> None:
        """Returns at once: a link needs none, and whoever copies sees for himself."""

    async def uploads(self, packs: Sequence[OutgoingPack]) -> Sequence[Way]:
        """Returns where the packs are to be linked to."""
        return [FileWay(self._store.incoming_path(pack.pack_id)) for pack in packs]

    async def downloads(self, pack_ids: Sequence[bytes]) -> Sequence[Way]:
        """Returns where they lie."""
        return [FileWay(self._store.pack_path(pack_id)) for pack_id in pack_ids]


class StreamTransfers:
    """Through WritePack and ReadPack."""

    needs_sha256 = False

    def __init__(self, store: DirectoryStore, threads: FileThreads) -> None:
        self._store = store
        self._threads = threads

    async def check_space(self, needed_bytes: int) -> None:
        """Looks at the disk."""
        if await self._threads.run(self._store.free_bytes) < needed_bytes + FREE_BYTES_MIN:
            raise RegistryError(
                Reason.OUT_OF_SPACE, f"The registry's disk has no room for {needed_bytes} more bytes; make space there."
            )

    async def uploads(self, packs: Sequence[OutgoingPack]) -> Sequence[Way]:
        """Returns how far each pack has come."""
        return await self._threads.run(lambda: [StreamWay(self._store.received_bytes(pack.pack_id)) for pack in packs])

    async def downloads(self, pack_ids: Sequence[bytes]) -> Sequence[Way]:
        """Returns that they are streamed."""
        return [StreamWay()] * len(pack_ids)
