"""What the registry asks of the place where packs lie; all calls block and run in file threads.

A pack is *brought* (it lies there, unchecked) and then *serves* (it was checked, and is durable under its final name).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from holdfast_contract.reasons import Reason
from holdfast_registry.errors import RegistryError


class PackGoneError(Exception):
    """A pack that was there when it was opened is gone."""


class StoreUnavailableError(RegistryError):
    """The store does not answer, or refuses; nothing is known of what it holds."""

    def __init__(self, what: str) -> None:
        """Says what it was asked and what came of it."""
        super().__init__(Reason.UNAVAILABLE, f"The store of packs cannot be used: {what}; try again.")


@dataclass(slots=True)
class StoredNames:
    """What lies in a store, by what the names say."""

    packs: set[bytes] = field(default_factory=set)
    """Under their final names."""
    incoming: set[bytes] = field(default_factory=set)
    """On their way in, where a store has a place of its own for that."""
    foreign: list[str] = field(default_factory=list)


class PackFile(Protocol):
    """An opened pack: packs never change, so it has the same bytes until it is gone."""

    @property
    def size_bytes(self) -> int:
        """Size when it was opened."""

    def pread(self, offset: int, length: int) -> bytes:
        """Reads; less than asked for only at the end.

        Raises:
            PackGoneError, StoreUnavailableError, OSError: it cannot be read (any more).
        """

    def view(self, offset: int, length: int) -> memoryview:
        """As `pread`, in memory that is used again: good until the next call, or the end of the pack's use."""

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Reads several ranges (offset, length), in whatever order is cheap; raises as `pread`."""

    def __enter__(self) -> PackFile: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


class IncomingPack(PackFile, Protocol):
    """A pack that was brought and is to be checked."""

    def publish(self) -> None:
        """Makes it durable under its final name."""


class BlobStore(Protocol):
    """Packs on their way in, and packs that serve.  Every call may raise StoreUnavailableError."""

    @property
    def vouches(self) -> bool:
        """Whether it takes an upload only with the SHA-256 that was signed for it, so that what it has is what was sealed."""

    @property
    def late_writes_s(self) -> float:
        """How long after its grant a pack may still arrive, whatever became of the grant."""

    def put(self, pack_id: bytes, encoded: bytes) -> None:
        """Brings a whole pack that this process has made.

        Raises:
            RegistryError: OUT_OF_SPACE.
        """

    def open_incoming(self, pack_id: bytes) -> IncomingPack | None:
        """Opens a pack that was brought, or that a crash left before its row; None: there is none.

        It is going to be read from its beginning to its end.
        """

    def open_ends(self, pack_id: bytes, size_bytes: int, end_bytes: int) -> IncomingPack | None:
        """Opens a pack that was brought, of which only the header and the end are going to be read; None: there is none.

        Args:
            pack_id: which.
            size_bytes: that it should have.
            end_bytes: how much of its end is wanted.
        """

    def open_pack(self, pack_id: bytes, *, whole: bool = False) -> PackFile | None:
        """Opens a pack that serves; None: it is gone.

        Args:
            pack_id: which.
            whole: it is going to be read from its beginning to its end.
        """

    def discard(self, pack_id: bytes) -> None:
        """Removes what there is of a pack that never served."""

    def list_names(self) -> StoredNames:
        """Returns everything that lies there."""

    def close(self) -> None:
        """Lets go of it; no call may follow."""
