"""Folders with files for tests, and what they hold afterwards."""

import os
import random
from collections.abc import Mapping
from pathlib import Path

Tree = dict[str, bytes]


def random_bytes(size: int, seed: int = 0) -> bytes:
    """The same bytes for the same seed; they do not compress."""
    return random.Random(f"{seed}/{size}").randbytes(size)


def write_tree(root: Path, tree: Mapping[str, bytes]) -> Path:
    """Writes files; their folders are made."""
    for name, data in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def read_tree(root: str | os.PathLike[str]) -> Tree:
    """All files below a folder; names as the file system has them."""
    found: Tree = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = file.read()
    return found
