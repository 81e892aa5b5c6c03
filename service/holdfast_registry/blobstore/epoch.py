"""A word in the store that the database knows, too: after one of them was put back from a backup they differ (see domain/gc.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from holdfast_contract import os_layer

EPOCH_NAME = "epoch"
"""In the data folder."""


class StoreEpoch(Protocol):
    """Where the word is kept; all calls block and run in file threads."""

    def read(self) -> str:
        """Returns what was written last; empty: nothing ever."""

    def write(self, epoch: str) -> None:
        """Keeps it, durably."""


class DirectoryEpoch:
    """A file beside the packs."""

    def __init__(self, root: Path) -> None:
        """Knows where it lies."""
        self._path = root / EPOCH_NAME

    def read(self) -> str:
        """Returns what was written last."""
        return self._path.read_text("utf-8") if self._path.exists() else ""

    def write(self, epoch: str) -> None:
        """Keeps it, durably."""
        os_layer.write_durably(self._path, epoch.encode())
