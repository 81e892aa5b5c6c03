"""What the demo logs: a real tree of thousands of files, a large file of seeded noise, and changes to both."""

import os
import random
import shutil
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TREE_FILES_MIN = 4_000
"""Enough files that a request or an object for each of them would be felt."""
TREE_BYTES_MAX = 200 << 20
"""Folders that would make the tree larger are left out: the large file stands for bytes, the tree for files."""
BLOCK_BYTES = 1 << 20
SEED = 20_260_101


@dataclass(frozen=True, slots=True)
class TreeSize:
    """Files and bytes of a tree."""

    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to the sample data between two versions."""

    files_edited: int
    files_renamed: int
    files_removed: int
    inserted_bytes: int


def copy_real_tree(target: Path) -> TreeSize:
    """Copies installed Python packages, then the standard library, until there are thousands of files."""
    files = size_bytes = 0
    for source in _package_folders():
        size = _measure(source)
        if size.files == 0 or size_bytes + size.size_bytes > TREE_BYTES_MAX:
            continue
        shutil.copytree(source, target / source.name, dirs_exist_ok=True, ignore=_unreadable)
        files, size_bytes = files + size.files, size_bytes + size.size_bytes
        if files >= TREE_FILES_MIN:
            break
    return _measure(target)


def write_noise(path: Path, size_bytes: int, seed: int) -> None:
    """Writes a file that cannot be compressed and whose blocks occur nowhere else; the same for the same seed."""
    noise = random.Random(seed)
    with path.open("wb") as file:
        for start in range(0, size_bytes, BLOCK_BYTES):
            file.write(noise.randbytes(min(BLOCK_BYTES, size_bytes - start)))


def change_data(tree: Path, large_file: Path) -> Change:
    """Edits each hundredth file, renames a folder, removes some files, and inserts 1 MiB in the middle of the large one."""
    paths = sorted(p for p in tree.rglob("*") if p.is_file())
    edited, removed = paths[::100], paths[50::400]
    for path in edited:
        with path.open("ab") as file:
            file.write(b"\n# a new line\n")
    for path in removed:
        path.unlink()
    folder = max((p for p in tree.iterdir() if p.is_dir()), key=lambda p: (_measure(p).files, p.name))
    renamed = _measure(folder).files
    folder.rename(folder.with_name(f"{folder.name}-renamed"))
    inserted = random.Random(SEED + 1).randbytes(BLOCK_BYTES)
    _insert(large_file, large_file.stat().st_size // 2, inserted)
    return Change(len(edited), renamed, len(removed), len(inserted))


def different_files(left: Path, right: Path) -> list[str]:
    """Relative paths of files that are not byte for byte the same in both folders, or only in one of them."""
    names = {str(p.relative_to(root)) for root in (left, right) for p in root.rglob("*") if p.is_file()}
    return sorted(name for name in names if not _same_bytes(left / name, right / name))


def _same_bytes(left: Path, right: Path) -> bool:
    if not (left.is_file() and right.is_file()) or left.stat().st_size != right.stat().st_size:
        return False
    with left.open("rb") as a, right.open("rb") as b:
        while block := a.read(BLOCK_BYTES):
            if block != b.read(BLOCK_BYTES):
                return False
    return True


def _package_folders() -> Iterator[Path]:
    for kind in ("platlib", "stdlib"):
        root = Path(sysconfig.get_path(kind))
        yield from (
            p for p in sorted(root.iterdir()) if p.is_dir() and p.name not in ("site-packages", "dist-packages")
        )


def _measure(root: Path) -> TreeSize:
    sizes = [p.stat().st_size for p in root.rglob("*") if p.is_file()]
    return TreeSize(len(sizes), sum(sizes))


def _unreadable(folder: str, names: list[str]) -> set[str]:
    """Names that cannot be copied: no right to read them, or links that lead nowhere."""
    return {name for name in names if not os.access(os.path.join(folder, name), os.R_OK)}


def _insert(path: Path, offset: int, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    with path.open("rb") as old, fresh.open("wb") as new:
        left = offset
        while left:
            block = old.read(min(left, BLOCK_BYTES))
            new.write(block)
            left -= len(block)
        new.write(data)
        shutil.copyfileobj(old, new, BLOCK_BYTES)
    fresh.replace(path)
