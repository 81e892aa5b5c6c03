"""The list of an artifact's entries, kept as encoded segments; an entry becomes an object when somebody asks for it.

100,000 entries as objects would be 60 MB; encoded they are 7 MB, and most callers look at a few of them.
"""

from __future__ import annotations

import bisect
import json
import os
from collections import OrderedDict
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from holdfast_contract.digest import ArtifactDigest
from holdfast_contract.limits import DIGEST_BYTES
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment, Reference

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

DECODED_SEGMENTS_MAX = 8
"""Kept for look-ups that come close together; a decoded segment is about 300 KB."""


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

    def ref_target(self) -> str:
        """Returns the URI of the referenced object.

        Raises:
            ValueError: the entry is a file.
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


class _SegmentView:
    """A decoded segment: columns, and the sparse ones as dicts."""

    def __init__(self, encoded: bytes) -> None:
        message = ManifestSegment.FromString(encoded)
        self.paths = list(message.paths)
        self._digests = message.digests
        self._sizes = message.sizes
        self._references: dict[int, Reference] = {one.entry_index: one for one in message.references}
        self._extras: dict[int, bytes] = {one.entry_index: one.json for one in message.extras}

    def entry(self, index: int, parent: Artifact | None) -> ArtifactManifestEntry:
        reference = self._references.get(index)
        extra = self._extras.get(index)
        entry = ArtifactManifestEntry(
            self.paths[index],
            self.digest_text(index),
            ref=None if reference is None else reference.uri,
            size=self._sizes[index],
            extra=json.loads(extra) if extra else None,
        )
        entry.belong_to(parent)
        return entry

    def digest_text(self, index: int) -> str:
        reference = self._references.get(index)
        if reference is not None:
            return reference.digest
        return self._digests[DIGEST_BYTES * index : DIGEST_BYTES * (index + 1)].hex()


class ArtifactManifest:
    """The entries of one artifact, in the order of their paths.  A snapshot: later additions to a draft do not show."""

    def __init__(self, segments: Iterable[bytes], *, parent: Artifact | None = None) -> None:
        """Makes a manifest of encoded segments, which are in order."""
        self._parent = parent
        self._segments = []
        self._first_paths = []
        self._counts = []
        self._size_bytes = 0
        self._decoded: OrderedDict[int, _SegmentView] = OrderedDict()
        for encoded in segments:
            message = ManifestSegment.FromString(encoded)
            if message.paths:
                self._segments.append(encoded)
                self._first_paths.append(message.paths[0])
                self._counts.append(len(message.paths))
                self._size_bytes += sum(message.sizes)

    @classmethod
    def version(cls) -> int:
        """Returns the version of the format."""
        return 1

    def __len__(self) -> int:
        return sum(self._counts)

    @property
    def entries(self) -> Mapping[str, ArtifactManifestEntry]:
        """The entries by path; behaves as a dict that cannot be changed."""
        return _Entries(self)

    def digest(self) -> str:
        """Returns the artifact's digest: BLAKE3 over all paths and digests, in hex."""
        digest = ArtifactDigest()
        for number in range(len(self._segments)):
            view = _SegmentView(self._segments[number])
            digest.update(view.paths, [view.digest_text(index) for index in range(len(view.paths))])
        return digest.hexdigest()

    def size(self) -> int:
        """Returns the sum of all sizes in bytes, references included."""
        return self._size_bytes

    def get_entry_by_path(self, path: str) -> ArtifactManifestEntry | None:
        """Returns the entry of exactly this path, or None."""
        number = bisect.bisect_right(self._first_paths, path) - 1
        if number < 0:
            return None
        view = self._view(number)
        index = bisect.bisect_left(view.paths, path)
        if index == len(view.paths) or view.paths[index] != path:
            return None
        return view.entry(index, self._parent)

    def get_entries_in_directory(self, directory: str) -> list[ArtifactManifestEntry]:
        """Returns all entries below a folder; an empty name means all of them."""
        prefix = f"{directory.rstrip('/')}/" if directory else ""
        return [entry for path, entry in self.items_from(prefix) if path.startswith(prefix)]

    def items_from(self, prefix: str) -> Iterator[tuple[str, ArtifactManifestEntry]]:
        """Yields the entries whose path begins with `prefix`."""
        start = max(bisect.bisect_right(self._first_paths, prefix) - 1, 0)
        for number in range(start, len(self._segments)):
            if self._first_paths[number] > prefix and not self._first_paths[number].startswith(prefix):
                return
            view = _SegmentView(self._segments[number])
            for index in range(bisect.bisect_left(view.paths, prefix), len(view.paths)):
                if not view.paths[index].startswith(prefix):
                    return
                yield view.paths[index], view.entry(index, self._parent)

    def items_after(self, path: str) -> Iterator[tuple[str, ArtifactManifestEntry]]:
        """Yields the entries whose path comes after `path`."""
        for number in range(max(bisect.bisect_right(self._first_paths, path) - 1, 0), len(self._segments)):
            view = _SegmentView(self._segments[number])
            for index in range(bisect.bisect_right(view.paths, path), len(view.paths)):
                yield view.paths[index], view.entry(index, self._parent)

    def paths(self) -> Iterator[str]:
        """Yields all paths, in order, without making entries."""
        for encoded in self._segments:
            yield from ManifestSegment.FromString(encoded).paths

    def _view(self, number: int) -> _SegmentView:
        view = self._decoded.pop(number, None) or _SegmentView(self._segments[number])
        self._decoded[number] = view
        while len(self._decoded) > DECODED_SEGMENTS_MAX:
            self._decoded.popitem(last=False)
        return view


class _Entries(Mapping[str, ArtifactManifestEntry]):
    """A manifest seen as a dict from path to entry."""

    def __init__(self, manifest: ArtifactManifest) -> None:
        self._manifest = manifest

    def __getitem__(self, path: str) -> ArtifactManifestEntry:
        entry = self._manifest.get_entry_by_path(path) if isinstance(path, str) else None
        if entry is None:
            raise KeyError(path)
        return entry

    def __iter__(self) -> Iterator[str]:
        return self._manifest.paths()

    def __len__(self) -> int:
        return len(self._manifest)

    def items(self) -> ItemsView[str, ArtifactManifestEntry]:
        return _Items(self)

    def values(self) -> ValuesView[ArtifactManifestEntry]:
        return _Values(self)

    def in_order(self) -> Iterator[tuple[str, ArtifactManifestEntry]]:
        return self._manifest.items_from("")

    def __repr__(self) -> str:
        return f"<{len(self)} entries>"


class _Items(ItemsView[str, ArtifactManifestEntry]):
    """All entries, one segment after another: a look-up for each would cost ten times as much."""

    _mapping: _Entries

    def __iter__(self) -> Iterator[tuple[str, ArtifactManifestEntry]]:
        return self._mapping.in_order()


class _Values(ValuesView[ArtifactManifestEntry]):
    """As `_Items`, without the paths."""

    _mapping: _Entries

    def __iter__(self) -> Iterator[ArtifactManifestEntry]:
        return (entry for _, entry in self._mapping.in_order())
