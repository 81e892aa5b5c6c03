"""Brings versions from Weights & Biases: its manifest file and the downloaded files, checked, become a draft of ours.

The manifest says MD5 for each file, so what was damaged on its way is found before anything is logged.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast._some_paths import some_of
from holdfast.errors import DamagedError, FileMissingError, InvalidInputError
from holdfast.references.handlers import AddedReference
from holdfast_contract.paths import logical_path
from holdfastpb.daemon.v1.log_pb2 import AddReference

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

READERS = 4
"""Files read at a time; MD5 takes a processor each, so more would only fill memory."""
MD5_BYTES = 16
ARTIFACT_SCHEMES = ("wandb-artifact://", "wandb-client-artifact://")
"""References to entries of other W&B versions: `download` there puts the file in place, and so it is logged as a file."""


@dataclass(frozen=True, slots=True)
class WandbEntry:
    """One entry of a W&B manifest."""

    path: str
    digest: str
    """Base64 MD5 of a file; of a reference its ETag or URI."""
    size_bytes: int | None
    ref: str | None
    extra: Mapping[str, Any]

    @property
    def md5(self) -> bytes | None:
        """The MD5 that the file must have; None when the digest is no MD5."""
        try:
            digest = base64.b64decode(self.digest, validate=True)
        except (binascii.Error, ValueError):
            return None
        return digest if len(digest) == MD5_BYTES else None

    @property
    def is_file(self) -> bool:
        """Whether its bytes are to be stored."""
        return self.ref is None or self.ref.startswith(ARTIFACT_SCHEMES)


def read_wandb_manifest(path: str | os.PathLike[str]) -> list[WandbEntry]:
    """Reads a `wandb_manifest.json`.

    Raises:
        InvalidInputError: it is no manifest, or names a path that is unsafe.
        OSError: it cannot be read.
    """
    with open(path, encoding="utf-8") as file:
        try:
            manifest = json.load(file)
        except ValueError as error:
            raise InvalidInputError(f"{os.fspath(path)} is not JSON: {error}") from error
    if not isinstance(manifest, dict) or "version" not in manifest:
        raise InvalidInputError(f"{os.fspath(path)}: Invalid manifest format. Must contain version field.")
    contents = manifest.get("contents")
    if manifest["version"] != 1 or not isinstance(contents, dict):
        raise InvalidInputError(
            f"{os.fspath(path)}: Invalid manifest version {manifest['version']!r}; version 1 is known."
        )
    return [_entry(logical_path(name), found) for name, found in contents.items()]


def _entry(path: str, found: Any) -> WandbEntry:
    """Keys that are not known are left alone: older writers put local paths there."""
    digest = found.get("digest") if isinstance(found, dict) else None
    if not isinstance(digest, str):
        raise InvalidInputError(f"{path}: the manifest's entry has no digest")
    return WandbEntry(path, digest, found.get("size"), found.get("ref"), found.get("extra") or {})


def check_files(
    entries: list[WandbEntry], root: str | os.PathLike[str], progress: Callable[[int], None] | None = None
) -> None:
    """Compares every file with its size and MD5.

    Args:
        entries: those of the manifest.
        root: the folder that `download` of W&B has filled.
        progress: is called with the bytes of each file that is right.

    Raises:
        FileMissingError: files are not there; names the first of them.
        DamagedError: files are not what the manifest says; names the first of them, and of those that are not there.
    """
    missing: list[str] = []
    damaged: list[str] = []
    files = [entry for entry in entries if entry.is_file]
    with ThreadPoolExecutor(READERS) as readers:
        for entry, outcome in zip(files, readers.map(lambda one: _check(one, os.fspath(root)), files), strict=True):
            if outcome is None:
                missing.append(entry.path)
            elif outcome < 0:
                damaged.append(entry.path)
            elif progress is not None:
                progress(outcome)
    problems = []
    if missing:
        problems.append(f"{_counted(missing)} of the manifest {_are(missing)} not below {os.fspath(root)}")
    if damaged:
        problems.append(f"{_counted(damaged)} {_are(damaged)} not what the manifest says (size or MD5)")
    if problems:
        kind = DamagedError if damaged else FileMissingError
        raise kind(f"{'; '.join(problems)}. Download the artifact again.")


def _check(entry: WandbEntry, root: str) -> int | None:
    """Returns the file's bytes; None: it is not there; -1: it is another one."""
    try:
        with open(os.path.join(root, entry.path), "rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if entry.size_bytes is not None and size_bytes != entry.size_bytes:
                return -1
            if entry.md5 is not None and hashlib.file_digest(file, _new_md5).digest() != entry.md5:
                return -1
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    return size_bytes


def _new_md5() -> Any:
    # Systems that forbid MD5 for secrets allow it for what it is here, a checksum.
    return hashlib.md5(usedforsecurity=False)


def add_entries(artifact: Artifact, entries: list[WandbEntry], root: str | os.PathLike[str]) -> None:
    """Adds all entries to a draft: files by their bytes, references as they were recorded.

    Args:
        artifact: the draft.
        entries: those of the manifest.
        root: folder of the files, which are left alone until `wait()` has returned.

    Raises:
        ValueError: two entries want one path.
    """
    for entry in entries:
        if entry.is_file:
            artifact.add_file(os.path.join(os.fspath(root), entry.path), name=entry.path, policy="immutable")
    references = list(_references(entries))
    if references:
        artifact._contents.add_references(references)


def _references(entries: list[WandbEntry]) -> Iterator[AddedReference]:
    for entry in entries:
        if entry.is_file:
            continue
        record = AddReference(
            path=entry.path,
            uri=entry.ref,
            digest=entry.digest,
            size=entry.size_bytes or 0,
            extra_json=json.dumps(dict(entry.extra)).encode() if entry.extra else b"",
        )
        yield AddedReference(record, is_folder=False, must_be_read=False)


def _counted(paths: list[str]) -> str:
    return some_of(paths) if len(paths) == 1 else f"{len(paths):,} files ({some_of(paths)})"


def _are(paths: list[str]) -> str:
    return "are" if len(paths) > 1 else "is"
