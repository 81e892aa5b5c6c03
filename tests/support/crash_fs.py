"""Records every file operation and rebuilds the folder as a crash of the machine after any of them could leave it.

What POSIX promises is taken at its word, and nothing more: a file's bytes are there after its fsync, a name after the fsync of its
folder.  Databases are taken as they were at their last COMMIT (SQLite's own durability is SQLite's to prove).
"""

import os
import random
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Variant = Literal["lost", "kept", "random", "torn"]
VARIANTS: tuple[Variant, ...] = ("lost", "kept", "random", "torn")


@dataclass(frozen=True)
class _Step:
    """One operation, with all that is needed to do it again."""

    operation: str
    path: str
    target: str = ""
    data: bytes = b""
    offset: int = 0
    databases: tuple[bytes, ...] = ()
    """As they were before the operation."""


class CrashFS:
    """Stands in front of `os_layer` (`os_layer.observe(recorder)`).

    Args:
        root: the folder that is recorded; what it holds now is taken for durable.
        databases: SQLite files below it.
    """

    def __init__(self, root: Path, databases: Sequence[Path]) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._steps: list[_Step] = []
        self._databases = [str(path.relative_to(root)) for path in databases]
        self._readers = [sqlite3.connect(path, check_same_thread=False, isolation_level=None) for path in databases]
        self._versions: list[int] = []
        self._images: tuple[bytes, ...] = ()
        self._base = {
            str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
            for path in sorted(root.rglob("*"))
            if not path.name.startswith(tuple(p.name for p in databases))
        }

    def __len__(self) -> int:
        return len(self._steps)

    def close(self) -> None:
        """Lets go of the databases; call it before they are closed for good."""
        with self._lock:
            self._images = self._take_databases()
            for reader in self._readers:
                reader.close()

    def __call__(self, operation: str, arguments: tuple[object, ...]) -> None:
        with self._lock:
            step = self._to_step(operation, arguments)
            if step is not None:
                self._steps.append(step)

    def _to_step(self, operation: str, arguments: tuple[object, ...]) -> _Step | None:
        first = arguments[0]
        position = 0
        if isinstance(first, int):
            path = os.readlink(f"/proc/self/fd/{first}")
            position = os.lseek(first, 0, os.SEEK_CUR)
        else:
            path = os.fspath(first)  # type: ignore[arg-type]
        inside = self._relative(str(path))
        target = self._relative(os.fspath(arguments[1])) if operation in ("rename", "link") else ""  # type: ignore[arg-type]
        if inside is None or target is None:
            return None
        data, offset = b"", position
        if operation == "write":
            data = bytes(arguments[1])  # type: ignore[arg-type]
        elif operation == "writev":
            data = b"".join(arguments[1])  # type: ignore[arg-type]
        elif operation == "pwrite":
            data, offset = bytes(arguments[1]), int(arguments[2])  # type: ignore[arg-type, call-overload]
        elif operation == "truncate":
            offset = int(arguments[1])  # type: ignore[call-overload]
        return _Step(operation, inside, target, data, offset, self._take_databases())

    def _relative(self, path: str) -> str | None:
        """None for what lies elsewhere, or has no name any more."""
        if not path.startswith(f"{self._root}/") or path.endswith(" (deleted)"):
            return None
        return path[len(str(self._root)) + 1 :]

    def _take_databases(self) -> tuple[bytes, ...]:
        """All of them at one moment."""
        while (versions := self._read_versions()) != self._versions:
            self._images = tuple(reader.serialize() for reader in self._readers)
            self._versions = versions
        return self._images

    def _read_versions(self) -> list[int]:
        return [reader.execute("PRAGMA data_version").fetchone()[0] for reader in self._readers]

    def rebuild(self, folder: Path, prefix: int, variant: Variant, rng: random.Random) -> None:
        """Makes the folder as the crash leaves it after the first `prefix` operations.

        Args:
            folder: where; made.
            prefix: 0 to `len(self)`.
            variant: what has become of everything that was not flushed.
            rng: for "random".
        """
        disk = _Disk(self._base)
        for step in self._steps[:prefix]:
            disk.do(step)
        if variant == "torn":
            disk.tear_last_write()
        names = disk.after_crash(variant, rng)
        folder.mkdir(mode=0o700)
        for path in sorted(names):
            content = names[path]
            if content is None:
                (folder / path).mkdir(mode=0o700)
            elif (folder / path).parent.is_dir():
                (folder / path).write_bytes(content)
                (folder / path).chmod(0o600)
        images = self._steps[prefix].databases if prefix < len(self._steps) else self._images
        for path, image in zip(self._databases, images, strict=True):
            (folder / path).write_bytes(image)
            (folder / path).chmod(0o600)


@dataclass(eq=False)
class _File:
    """A file's bytes: those on the disk, and what was done since."""

    durable: bytes = b""
    pending: list[Callable[[bytearray], None]] = field(default_factory=list)

    def content(self, chosen: Sequence[Callable[[bytearray], None]]) -> bytes:
        data = bytearray(self.durable)
        for change in chosen:
            change(data)
        return bytes(data)


@dataclass(eq=False)
class _NameChange:
    """One change of a folder's entries; a rename is two of them, of which the removal never comes without the new name."""

    path: str
    file: _File | None
    removes: bool = False
    only_with: "_NameChange | None" = None
    durable: bool = False


class _Disk:
    """Files and names, durable and not."""

    def __init__(self, base: dict[str, bytes | None]) -> None:
        self._durable: dict[str, _File | None] = {p: None if d is None else _File(d) for p, d in base.items()}
        self._now = dict(self._durable)
        self._pending: dict[str, list[_NameChange]] = {}
        self._last_write: tuple[_File, int, bytes] | None = None

    def do(self, step: _Step) -> None:
        """Does one recorded operation; one that must have failed (a link to a name that is taken) changes nothing."""
        file = self._now.get(step.path)
        if step.operation in ("write", "writev", "pwrite", "truncate") and file is not None:
            self._change(file, step)
        elif step.operation == "fsync" and file is not None:
            file.durable, file.pending = file.content(file.pending), []
        elif step.operation == "fsync_folder":
            self._flush_names(step.path)
        elif step.operation in ("create", "mkdir") and step.path not in self._now:
            self._name(_NameChange(step.path, _File() if step.operation == "create" else None))
        elif step.operation == "link" and file is not None and step.target not in self._now:
            self._name(_NameChange(step.target, file))
        elif step.operation == "rename" and file is not None:
            new = _NameChange(step.target, file)
            self._name(new)
            self._name(_NameChange(step.path, None, removes=True, only_with=new))
        elif step.operation == "unlink" and step.path in self._now:
            self._name(_NameChange(step.path, None, removes=True))

    def _change(self, file: _File, step: _Step) -> None:
        if step.operation == "truncate":
            file.pending.append(lambda data: _truncate(data, step.offset))
        else:
            file.pending.append(lambda data: _write(data, step.offset, step.data))
            self._last_write = (file, len(file.pending) - 1, step.data)

    def tear_last_write(self) -> None:
        """Of the last write that was not flushed, only the first half is there."""
        if self._last_write is None:
            return
        file, at, data = self._last_write
        if at < len(file.pending):
            whole = file.pending[at]

            def half(content: bytearray) -> None:
                before = bytes(content)
                whole(content)
                torn = bytes(content)
                content[:] = before
                keep = len(torn) - (len(data) + 1) // 2
                content[:keep] = torn[:keep]

            file.pending[at] = half

    def _name(self, change: _NameChange) -> None:
        self._apply(self._now, change)
        self._pending.setdefault(os.path.dirname(change.path), []).append(change)

    def _flush_names(self, folder: str) -> None:
        for change in self._pending.pop(folder, []):
            self._apply(self._durable, change)
            change.durable = True

    @staticmethod
    def _apply(names: dict[str, _File | None], change: _NameChange) -> None:
        if change.removes:
            names.pop(change.path, None)
        else:
            names[change.path] = change.file

    def after_crash(self, variant: Variant, rng: random.Random) -> dict[str, bytes | None]:
        """Path → bytes (None: a folder) of what is there."""
        names = dict(self._now)
        if variant in ("lost", "random"):
            names = dict(self._durable)
            if variant == "random":
                self._apply_some(names, rng)
        files = {file for file in names.values() if file is not None}
        contents = {file: file.content(self._chosen(file, variant, rng)) for file in files}
        return {path: None if file is None else contents[file] for path, file in names.items()}

    def _apply_some(self, names: dict[str, _File | None], rng: random.Random) -> None:
        """Of each folder's changes the first few, as file systems with a journal keep them."""
        chosen = {c for some in self._pending.values() for c in some[: rng.randint(0, len(some))]}
        for some in self._pending.values():
            for change in some:
                together = change.only_with is None or change.only_with.durable or change.only_with in chosen
                if change in chosen and together:
                    self._apply(names, change)

    @staticmethod
    def _chosen(file: _File, variant: Variant, rng: random.Random) -> list[Callable[[bytearray], None]]:
        if variant == "lost":
            return []
        if variant == "random":
            return [change for change in file.pending if rng.random() < 0.5]
        return file.pending


def _truncate(data: bytearray, size: int) -> None:
    del data[size:]
    data.extend(bytes(size - len(data)))


def _write(data: bytearray, offset: int, new: bytes) -> None:
    data.extend(bytes(max(0, offset - len(data))))
    data[offset : offset + len(new)] = new
