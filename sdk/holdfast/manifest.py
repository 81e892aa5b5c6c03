"""The list of an artifact's entries, kept as encoded segments; an entry becomes an object when somebody asks for it.

100,000 entries as objects would be 60 MB; encoded they are 7 MB, and most callers look at a few of them.
"""

from __future__ import annotations

import bisect
import json
from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, Self

from holdfast._manifest_entry import ArtifactManifestEntry
from holdfast_contract.digest import ArtifactDigest
from holdfast_contract.limits import DIGEST_BYTES
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment, Reference

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

__all__ = ["ArtifactEntry", "ArtifactManifest", "ArtifactManifestEntry", "ArtifactManifestV1"]

STORAGE_POLICY = "holdfast-storage-policy-v1"
STORAGE_POLICIES_READ = (STORAGE_POLICY, "wandb-storage-policy-v1")
"""Names in a manifest's JSON that are understood: ours, and that of manifests that W&B has written."""

DECODED_SEGMENTS_MAX = 8
"""Kept for look-ups that come close together; a decoded segment is about 300 KB."""


class _SegmentView:
    """A decoded segment: columns, and the sparse ones as dicts."""

    def __init__(self, encoded: bytes) -> None:
        message = ManifestSegment.FromString(encoded)
        self.paths = list(message.paths)
        self._digests = message.digests
        self._sizes = message.sizes
        self._references: dict[int, Reference] = {one.entry_index: one for one in message.references}
        self._extras: dict[int, bytes] = {one.entry_index: one.json for one in message.extras}
        self._origins: dict[int, str] = {one.entry_index: one.uri for one in message.origins}

    def entry(self, index: int, parent: Artifact | None) -> ArtifactManifestEntry:
        path, digest, size = self.paths[index], self.digest_text(index), self._sizes[index]
        reference, encoded = self._references.get(index), self._extras.get(index)
        extra = json.loads(encoded) if encoded else None
        if reference is not None:
            entry = ArtifactManifestEntry(path, digest, ref=reference.uri, size=size, extra=extra)
        else:
            entry = ArtifactManifestEntry.of_file(path, digest, size, origin=self._origins.get(index), extra=extra)
        entry.belong_to(parent)
        return entry

    def digest_text(self, index: int) -> str:
        reference = self._references.get(index)
        if reference is not None:
            return reference.digest
        return self._digests[DIGEST_BYTES * index : DIGEST_BYTES * (index + 1)].hex()


class _EncodedEntries:
    """The entries of a logged version, or of a draft as the daemon lists it: segments, decoded when they are looked at."""

    def __init__(self, segments: Iterable[bytes], parent: Artifact | None) -> None:
        self._parent = parent
        self._segments: list[bytes] = []
        self._first_paths: list[str] = []
        self._count = 0
        self.size_bytes = 0
        self._decoded: OrderedDict[int, _SegmentView] = OrderedDict()
        for encoded in segments:
            message = ManifestSegment.FromString(encoded)
            if message.paths:
                self._segments.append(encoded)
                self._first_paths.append(message.paths[0])
                self._count += len(message.paths)
                self.size_bytes += sum(message.sizes)

    def __len__(self) -> int:
        return self._count

    def digest(self) -> str:
        digest = ArtifactDigest()
        for encoded in self._segments:
            view = _SegmentView(encoded)
            digest.update(view.paths, [view.digest_text(index) for index in range(len(view.paths))])
        return digest.hexdigest()

    def find(self, path: str) -> ArtifactManifestEntry | None:
        number = bisect.bisect_right(self._first_paths, path) - 1
        if number < 0:
            return None
        view = self._view(number)
        index = bisect.bisect_left(view.paths, path)
        if index == len(view.paths) or view.paths[index] != path:
            return None
        return view.entry(index, self._parent)

    def items_from(self, prefix: str) -> Iterator[tuple[str, ArtifactManifestEntry]]:
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
        for number in range(max(bisect.bisect_right(self._first_paths, path) - 1, 0), len(self._segments)):
            view = _SegmentView(self._segments[number])
            for index in range(bisect.bisect_right(view.paths, path), len(view.paths)):
                yield view.paths[index], view.entry(index, self._parent)

    def paths(self) -> Iterator[str]:
        for encoded in self._segments:
            yield from ManifestSegment.FromString(encoded).paths

    def _view(self, number: int) -> _SegmentView:
        view = self._decoded.pop(number, None) or _SegmentView(self._segments[number])
        self._decoded[number] = view
        while len(self._decoded) > DECODED_SEGMENTS_MAX:
            self._decoded.popitem(last=False)
        return view


class _EntryObjects:
    """Entries that somebody has put together or changed: one object each."""

    def __init__(self, entries: Iterable[ArtifactManifestEntry]) -> None:
        self.by_path = {entry.path: entry for entry in entries}
        self._sorted: list[str] | None = None

    def __len__(self) -> int:
        return len(self.by_path)

    @property
    def size_bytes(self) -> int:
        return sum(entry.size or 0 for entry in self.by_path.values())

    def put(self, entry: ArtifactManifestEntry) -> None:
        self.by_path[entry.path] = entry
        self._sorted = None

    def drop(self, path: str) -> None:
        del self.by_path[path]
        self._sorted = None

    def digest(self) -> str:
        digest = ArtifactDigest()
        paths = self._in_order()
        digest.update(paths, [self.by_path[path].digest for path in paths])
        return digest.hexdigest()

    def find(self, path: str) -> ArtifactManifestEntry | None:
        return self.by_path.get(path)

    def items_from(self, prefix: str) -> Iterator[tuple[str, ArtifactManifestEntry]]:
        paths = self._in_order()
        for path in paths[bisect.bisect_left(paths, prefix) :]:
            if not path.startswith(prefix):
                return
            yield path, self.by_path[path]

    def items_after(self, path: str) -> Iterator[tuple[str, ArtifactManifestEntry]]:
        paths = self._in_order()
        return ((path, self.by_path[path]) for path in paths[bisect.bisect_right(paths, path) :])

    def paths(self) -> Iterator[str]:
        return iter(self._in_order())

    def _in_order(self) -> list[str]:
        if self._sorted is None:
            self._sorted = sorted(self.by_path)
        return self._sorted


class ArtifactManifest:
    """The entries of one artifact, in the order of their paths.

    A snapshot: later additions to a draft do not show, and changing the manifest changes neither draft nor version.
    """

    def __init__(
        self,
        segments: Iterable[bytes] = (),
        *,
        parent: Artifact | None = None,
        entries: Mapping[str, ArtifactManifestEntry] | None = None,
    ) -> None:
        """Makes a manifest.

        Args:
            segments: encoded segments, in order.
            parent: the artifact that the entries belong to.
            entries: instead of segments, entries made by hand, by path.
        """
        self._source: _EncodedEntries | _EntryObjects = (
            _EncodedEntries(segments, parent) if entries is None else _EntryObjects(entries.values())
        )

    @classmethod
    def version(cls) -> int:
        """Returns the version of the format."""
        return 1

    def __len__(self) -> int:
        return len(self._source)

    @property
    def entries(self) -> Mapping[str, ArtifactManifestEntry]:
        """The entries by path; behaves as a dict that cannot be changed (`add_entry` and `remove_entry` change it)."""
        return _Entries(self)

    def digest(self) -> str:
        """Returns the artifact's digest: BLAKE3 over all paths and digests, in hex."""
        return self._source.digest()

    def size(self) -> int:
        """Returns the sum of all sizes in bytes, references included."""
        return self._source.size_bytes

    def add_entry(self, entry: ArtifactManifestEntry, overwrite: bool = False) -> None:
        """Puts an entry into this manifest.

        Args:
            entry: made by hand, or of another manifest.
            overwrite: replace an entry of the same path that has another digest.

        Raises:
            ValueError: without `overwrite`, there is such an entry.
        """
        present = None if overwrite else self.get_entry_by_path(entry.path)
        if present is not None and present.digest != entry.digest:
            raise ValueError(f"Cannot add the same path twice: {entry.path!r}")
        self._changeable().put(entry)

    def remove_entry(self, entry: ArtifactManifestEntry) -> None:
        """Takes the entry of the same path out of this manifest.

        Raises:
            FileNotFoundError: there is none.
        """
        if self.get_entry_by_path(entry.path) is None:
            raise FileNotFoundError(f"Cannot remove missing entry: {entry.path!r}")
        self._changeable().drop(entry.path)

    def _changeable(self) -> _EntryObjects:
        if isinstance(self._source, _EncodedEntries):
            self._source = _EntryObjects(entry for _, entry in self._source.items_from(""))
        return self._source

    def to_manifest_json(self, include_local: bool = False) -> dict[str, Any]:
        """Returns the manifest as W&B's clients write it to `wandb_manifest.json`, with our digests and our storage policy.

        Args:
            include_local: with "local_path" of entries that were made from a file.
        """
        contents = {}
        for path, entry in self.items_from(""):
            contents[path] = entry.to_json()
            if include_local and entry.local_path is not None:
                contents[path]["local_path"] = entry.local_path
        return {
            "version": self.version(),
            "storagePolicy": STORAGE_POLICY,
            "storagePolicyConfig": {},
            "contents": contents,
        }

    @classmethod
    def from_manifest_json(cls, manifest_json: Mapping[str, Any]) -> Self:
        """Returns the manifest of what `to_manifest_json`, ours or W&B's, gave.  Keys that are not known are ignored.

        Raises:
            ValueError: no version, another version, an unknown storage policy, or an entry without a digest.
        """
        if "version" not in manifest_json:
            raise ValueError("Invalid manifest format. Must contain version field.")
        if manifest_json["version"] != cls.version():
            raise ValueError("Invalid manifest version.")
        policy = manifest_json.get("storagePolicy")
        if policy not in STORAGE_POLICIES_READ:
            raise ValueError(f"Failed to find storage policy {policy!r}")
        contents = manifest_json.get("contents") or {}
        return cls(entries={path: ArtifactManifestEntry.from_json(path, one) for path, one in contents.items()})

    def get_entry_by_path(self, path: str) -> ArtifactManifestEntry | None:
        """Returns the entry of exactly this path, or None."""
        return self._source.find(path)

    def get_entries_in_directory(self, directory: str) -> list[ArtifactManifestEntry]:
        """Returns all entries below a folder; an empty name means all of them."""
        prefix = f"{directory.rstrip('/')}/" if directory else ""
        return [entry for _, entry in self.items_from(prefix)]

    def items_from(self, prefix: str) -> Iterator[tuple[str, ArtifactManifestEntry]]:
        """Yields the entries whose path begins with `prefix`."""
        return self._source.items_from(prefix)

    def items_after(self, path: str) -> Iterator[tuple[str, ArtifactManifestEntry]]:
        """Yields the entries whose path comes after `path`."""
        return self._source.items_after(path)

    def paths(self) -> Iterator[str]:
        """Yields all paths, in order, without making entries."""
        return self._source.paths()


ArtifactManifestV1 = ArtifactManifest
"""The one version of the format that there is."""
ArtifactEntry = ArtifactManifestEntry
"""Older name."""


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
