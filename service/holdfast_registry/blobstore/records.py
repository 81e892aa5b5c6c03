"""Small records beside the packs of a store, each written once under a name of its own: parts of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from holdfast_contract import os_layer

RECORDS_FOLDER = "catalogue"
"""In the folder of the packs, or below the prefix of an S3 store."""


class StoreRecords(Protocol):
    """All calls block and run in file threads; every call may raise StoreUnavailableError."""

    def names(self) -> list[str]:
        """Returns the names of all records, ascending."""

    def read(self, name: str) -> bytes | None:
        """Returns a record; None: it is gone."""

    def write(self, name: str, data: bytes) -> None:
        """Keeps a record, durably."""

    def remove(self, name: str) -> None:
        """Removes a record; one that is gone is no error."""


class FolderRecords:
    """Files of one folder."""

    def __init__(self, root: Path) -> None:
        """Knows where they lie; makes nothing."""
        self._folder = root / RECORDS_FOLDER

    def names(self) -> list[str]:
        """Returns the names of all records."""
        if not self._folder.is_dir():
            return []
        # What a crash has left on its way begins with a dot.
        return sorted(path.name for path in self._folder.iterdir() if not path.name.startswith("."))

    def read(self, name: str) -> bytes | None:
        """Returns a record."""
        path = self._folder / name
        return path.read_bytes() if path.exists() else None

    def write(self, name: str, data: bytes) -> None:
        """Keeps a record."""
        os_layer.make_folder(self._folder)
        os_layer.write_durably(self._folder / name, data)
        os_layer.fsync_folder(self._folder.parent)

    def remove(self, name: str) -> None:
        """Removes a record."""
        os_layer.unlink_if_exists(self._folder / name)


class RecordObjects(Protocol):
    """Objects of a store, by name."""

    def list_objects(self, folder: str) -> Sequence[str]:
        """Returns the names below a folder."""

    def read_object(self, name: str) -> tuple[bytes, str] | None:
        """Returns an object and its tag; None: there is none."""

    def write_object(self, name: str, data: bytes, replaced_tag: str | None) -> str | None:
        """Writes an object that is not there yet."""

    def delete_object(self, name: str) -> None:
        """Removes an object."""


class ObjectRecords:
    """Objects below one prefix."""

    def __init__(self, objects: RecordObjects) -> None:
        """Knows the store."""
        self._objects = objects

    def names(self) -> list[str]:
        """Returns the names of all records."""
        return sorted(self._objects.list_objects(RECORDS_FOLDER))

    def read(self, name: str) -> bytes | None:
        """Returns a record."""
        found = self._objects.read_object(f"{RECORDS_FOLDER}/{name}")
        return None if found is None else found[0]

    def write(self, name: str, data: bytes) -> None:
        """Keeps a record; names are never used twice, so one that is there is this one."""
        self._objects.write_object(f"{RECORDS_FOLDER}/{name}", data, None)

    def remove(self, name: str) -> None:
        """Removes a record."""
        self._objects.delete_object(f"{RECORDS_FOLDER}/{name}")
