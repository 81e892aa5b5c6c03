"""One entry of an artifact: its path, what it holds, and the ways to its bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from holdfast.artifact import Artifact


class ArtifactManifestEntry:
    """One file or reference of an artifact."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        digest: str | None,
        skip_cache: bool | None = False,
        ref: str | None = None,
        birth_artifact_id: str | None = None,
        size: int | None = None,
        extra: dict[str, Any] | None = None,
        local_path: str | os.PathLike[str] | None = None,
    ) -> None:
        """Makes an entry; those of an artifact are made by the artifact.

        Args:
            path: inside the artifact.
            digest: BLAKE3 of the file in hex, or what identifies the referenced object.
            skip_cache: accepted for compatibility.
            ref: URI of a reference.
            birth_artifact_id: accepted for compatibility.
            size: in bytes; default: that of `local_path`, if given.
            extra: what is kept with the entry.
            local_path: the file it was made from.
        """
        self.path = os.fspath(path)
        self.skip_cache = bool(skip_cache)
        self.ref = ref
        self.birth_artifact_id = birth_artifact_id
        self.extra = extra or {}
        self.local_path = None if local_path is None else os.fspath(local_path)
        self._digest = digest
        self._size = os.path.getsize(self.local_path) if size is None and self.local_path else size
        self._is_reference = ref is not None
        self._parent: Artifact | None = None
        self._resolve: Callable[[str], ArtifactManifestEntry] | None = None

    def belong_to(self, parent: Artifact | None, resolve: Callable[[str], ArtifactManifestEntry] | None = None) -> None:
        """Ties the entry to its artifact.

        Args:
            parent: the artifact.
            resolve: finds digest and size, when the daemon has yet to find them out; may wait.
        """
        self._parent = parent
        self._resolve = resolve

    @classmethod
    def of_file(cls, path: str, digest: str, size: int, *, origin: str | None, extra: dict[str, Any] | None) -> Self:
        """Makes the entry of a file; with `origin` one that was taken over from another artifact's entry, whose URI is `ref`."""
        entry = cls(path, digest, ref=origin, size=size, extra=extra)
        entry._is_reference = False
        return entry

    @property
    def is_reference(self) -> bool:
        """Whether the bytes lie elsewhere, at `ref`.  An entry that was taken over from another artifact has a `ref` and is a file."""
        return self._is_reference

    @property
    def name(self) -> str:
        """The entry's path; older name for `path`."""
        return self.path

    @property
    def digest(self) -> str:
        """BLAKE3 of the file in hex, or what identifies the referenced object; on a draft waits until the file was read."""
        if self._digest is None:
            self._adopt()
        return self._digest or ""

    @property
    def size(self) -> int | None:
        """Size in bytes; 0 for a reference of unknown size."""
        if self._size is None:
            self._adopt()
        return self._size

    def _adopt(self) -> None:
        """Takes over what the daemon has found out."""
        if self._resolve is not None:
            found = self._resolve(self.path)
            self._digest, self._size = found.digest, found.size

    def parent_artifact(self) -> Artifact:
        """Returns the artifact that the entry belongs to.

        Raises:
            NotImplementedError: it was made by hand and belongs to none.
        """
        if self._parent is None:
            raise NotImplementedError(f"The entry {self.path!r} belongs to no artifact.")
        return self._parent

    def download(
        self, root: str | None = None, skip_cache: bool | None = None, executor: Executor | None = None
    ) -> str:
        """Puts this entry's file below a folder, checked against its digest, and returns the file's path.

        Args:
            root: folder; default: that of `Artifact.download`.
            skip_cache: read past the daemon's cache.
            executor: accepted for compatibility; the daemon works in parallel by itself.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft.
            DamagedError: the stored bytes are not the promised ones.
        """
        return self.parent_artifact().download_entry(self, root, skip_cache=bool(skip_cache))

    def open(
        self,
        mode: str = "rb",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Opens the entry for reading where it is stored; nothing is downloaded but the parts that are read.

        The file can be sought in.  What is read one piece after another is read ahead, in growing steps; what is read here and
        there is not.  Every byte has been checked against the digests of the version.  Several threads may share a binary file.
        After a fork both sides may go on reading.

        Args:
            mode: "rb", or "r" (or "rt") for text.
            buffering: bytes of the buffer, at least 1; -1: 64 KiB.
            encoding: of text; default: UTF-8, whatever the system's is.
            errors: as of the built-in `open`.
            newline: as of the built-in `open`.

        Raises:
            ValueError: another mode, or a reference of a scheme that nothing here can read.
            ArtifactNotLoggedError: the artifact is a draft.
            ReferenceMissingError, ReferenceChangedError: a referenced object is gone or another one.
        """
        from holdfast._entry_file import open_entry

        return open_entry(self, mode, buffering=buffering, encoding=encoding, errors=errors, newline=newline)

    def read_bytes(self, start: int = 0, length: int | None = None) -> bytes:
        """Returns bytes of the entry; only the chunks that hold them are fetched.

        Args:
            start: first byte; beyond the end nothing is returned.
            length: how many; None: all to the end.

        Raises:
            ValueError: a negative start or length, or a reference of a scheme that nothing here can read.
            ArtifactNotLoggedError: the artifact is a draft.
            DamagedError: the stored bytes are not the promised ones.
        """
        from holdfast._entry_file import read_entry

        return read_entry(self, start, length)

    def to_json(self) -> dict[str, Any]:
        """Returns the entry as it stands in a manifest's JSON, without its path and without what is empty."""
        fields = {
            "digest": self.digest,
            "ref": self.ref,
            "birthArtifactID": self.birth_artifact_id,
            "size": self.size,
            "extra": self.extra,
        }
        return {name: value for name, value in fields.items() if value not in (None, "", {})}

    @classmethod
    def from_json(cls, path: str, fields: Mapping[str, Any]) -> Self:
        """Returns the entry of what `to_json` gave; keys that are not known are ignored.

        Raises:
            ValueError: there is no digest.
        """
        if not isinstance(fields.get("digest"), str):
            raise ValueError(f"The entry {path!r} of the manifest has no digest.")
        return cls(
            path,
            fields["digest"],
            ref=fields.get("ref") or None,
            birth_artifact_id=fields.get("birthArtifactID") or None,
            size=fields.get("size"),
            extra=dict(fields.get("extra") or {}),
        )

    def ref_target(self) -> str:
        """Returns the URI of the referenced object.

        Raises:
            ValueError: the entry is a file (of its own: one that was taken over from another artifact says from where).
        """
        if self.ref is None:
            raise ValueError("Only reference entries support ref_target().")
        return self.ref

    def ref_url(self) -> str:
        """Returns a URI of this entry, by which another artifact can refer to it."""
        return self.parent_artifact().entry_url(self.path)

    def __repr__(self) -> str:
        shown = {
            "path": self.path,
            "digest": self._digest,
            "ref": self.ref,
            "birth_artifact_id": self.birth_artifact_id,
            "size": self._size,
            "extra": self.extra or None,
            "local_path": self.local_path,
            "skip_cache": self.skip_cache,
        }
        fields = ", ".join(f"{name}={value!r}" for name, value in shown.items() if value is not None)
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArtifactManifestEntry):
            return NotImplemented
        return (self.path, self.digest, self.ref, self.size, self.extra) == (
            other.path,
            other.digest,
            other.ref,
            other.size,
            other.extra,
        )

    def __hash__(self) -> int:
        return hash(self.path)
