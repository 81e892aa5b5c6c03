"""A word in the store that the database knows, too: after one of them was put back from a backup they differ (see domain/gc.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from holdfast_contract import os_layer
from holdfast_contract.reasons import Reason
from holdfast_registry.errors import RegistryError

EPOCH_NAME = "epoch"
"""In the folder of the packs, or below the prefix of an S3 store."""

WRITES_MAX = 3
"""Of one word, while the store holds the one that was known."""


class EpochTakenError(RegistryError):
    """Somebody else has written the word since it was read."""

    def __init__(self, where: str) -> None:
        """Says where it lies."""
        super().__init__(Reason.UNAVAILABLE, f"Another registry has written {where} meanwhile; repeat it.")


class StoreEpoch(Protocol):
    """Where the word is kept; all calls block and run in file threads."""

    def read(self) -> str:
        """Returns what was written last; empty: nothing ever."""

    def write(self, epoch: str) -> None:
        """Keeps it, durably, in the place of what was read or written here before.

        Raises:
            EpochTakenError: somebody else has written meanwhile, where the store can tell; nothing was changed.
        """


class DirectoryEpoch:
    """A file beside the packs."""

    def __init__(self, root: Path) -> None:
        """Knows where it lies."""
        self._path = root / EPOCH_NAME

    def read(self) -> str:
        """Returns what was written last."""
        return self._path.read_text("utf-8") if self._path.exists() else ""

    def write(self, epoch: str) -> None:
        """Keeps it, durably.  A folder cannot tell who wrote last: the row of the cycle keeps others from it."""
        os_layer.write_durably(self._path, epoch.encode())


class ConditionalObjects(Protocol):
    """Small objects of a store that can be replaced on the condition that nobody else did."""

    @property
    def url(self) -> str:
        """Of the store, for people."""

    def read_object(self, name: str) -> tuple[bytes, str] | None:
        """Returns an object and its tag; None: there is none."""

    def write_object(self, name: str, data: bytes, replaced_tag: str | None) -> str | None:
        """Writes an object in the place of the one with this tag (None: of none).

        Returns:
            Its tag; None: another object is there by now, and nothing was changed.
        """


class ObjectEpoch:
    """An object beside the packs, which every replica sees."""

    def __init__(self, objects: ConditionalObjects) -> None:
        """Knows the store."""
        self._objects = objects
        self._tag: str | None = None
        self._word = ""

    def read(self) -> str:
        """Returns what was written last."""
        found = self._objects.read_object(EPOCH_NAME)
        self._tag = None if found is None else found[1]
        self._word = "" if found is None else found[0].decode()
        return self._word

    def write(self, epoch: str) -> None:
        """Keeps it; the store answers when it is durable."""
        known = self._word
        for _ in range(WRITES_MAX):
            tag = self._objects.write_object(EPOCH_NAME, epoch.encode(), self._tag)
            if tag is not None:
                self._tag, self._word = tag, epoch
                return
            # The client itself repeats a request whose answer was lost, and then meets what it has written; and a server
            # refuses now and then while it is still busy with the write before.
            found = self.read()
            if found == epoch:
                return
            if found != known:
                break
        raise EpochTakenError(f"{self._objects.url}{EPOCH_NAME}")
