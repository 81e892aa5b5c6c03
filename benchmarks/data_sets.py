"""The four data sets: the same bytes for the same seed on every machine, and bytes that no compressor shortens.

The bytes are BLAKE3's extended output, keyed by set, file and edition: made at more than a gigabyte a second, by a library that
Holdfast needs anyway.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
BLOCK_BYTES = 32 * MIB
CHANGED_ONE_IN = 100
APPENDED_BYTES = MIB


@dataclass(frozen=True, slots=True)
class DataSet:
    """A tree of equal files."""

    name: str
    files: int
    file_bytes: int
    folders: int
    """0: all files lie in the root."""

    @property
    def size_bytes(self) -> int:
        return self.files * self.file_bytes

    @property
    def is_one_file(self) -> bool:
        return self.files == 1

    @property
    def copies_are_few_files(self) -> bool:
        """Whether a copy is removed in no time; removing many files makes the next files slow to create."""
        return self.files < 1000

    def path(self, index: int) -> str:
        if not self.folders:
            return f"{index:06}.bin"
        return f"d{index % self.folders:04}/{index:06}.bin"

    def describe(self) -> str:
        where = f" in {self.folders:,} folders" if self.folders else ""
        return f"{self.files:,} × {human_size(self.file_bytes)}{where}"


DATA_SETS = {
    data_set.name: data_set
    for data_set in (
        DataSet("big", files=1, file_bytes=4 * GIB, folders=0),
        DataSet("mid", files=64, file_bytes=32 * MIB, folders=0),
        DataSet("small", files=20_000, file_bytes=4 * KIB, folders=200),
        DataSet("tiny", files=100_000, file_bytes=256, folders=1_000),
    )
}


def make(data_set: DataSet, root: Path) -> None:
    """Writes the set below `root`, which must not exist."""
    root.mkdir(parents=True)
    for folder in range(data_set.folders):
        (root / f"d{folder:04}").mkdir()
    for index in range(data_set.files):
        _write(data_set, root, index, edition=0)


def change(data_set: DataSet, root: Path, edition: int) -> None:
    """Gives each hundredth file new bytes; of a single file, appends 1 MiB.  Other files for each edition (from 1)."""
    if data_set.is_one_file:
        with open(root / data_set.path(0), "ab") as file:
            file.write(_noise(f"{data_set.name} appended {edition}", APPENDED_BYTES))
        return
    for index in range(edition % data_set.files, data_set.files, CHANGED_ONE_IN):
        _write(data_set, root, index, edition)


def _write(data_set: DataSet, root: Path, index: int, edition: int) -> None:
    with open(root / data_set.path(index), "wb", buffering=0) as file:
        for block in _blocks(data_set, index, edition):
            file.write(block)


def _blocks(data_set: DataSet, index: int, edition: int) -> Iterator[bytes]:
    for start in range(0, data_set.file_bytes, BLOCK_BYTES):
        label = f"{data_set.name} {index} {edition} {start}"
        yield _noise(label, min(BLOCK_BYTES, data_set.file_bytes - start))


def _noise(label: str, size_bytes: int) -> bytes:
    return blake3(f"holdfast benchmark {label}".encode()).digest(length=size_bytes)


def tree_digest(root: Path) -> bytes:
    """BLAKE3 of all names and bytes below a folder, in one thread; two trees are equal when these are."""
    total = blake3()
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            total.update(os.path.relpath(path, root).encode() + b"\0" + _file_digest(path))
    return total.digest()


def _file_digest(path: str) -> bytes:
    digest = blake3(max_threads=1)
    with open(path, "rb", buffering=0) as file:
        while block := file.read(MIB):
            digest.update(block)
    return digest.digest()


def human_size(size_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.3g} GiB"
