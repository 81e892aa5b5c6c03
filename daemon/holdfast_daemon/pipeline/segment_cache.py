"""Keeps decoded manifest segments under a budget; a version that is read again costs no request for its manifest."""

from bisect import bisect_right, insort
from collections import OrderedDict
from dataclasses import dataclass, field

from holdfast_contract.limits import MIB
from holdfast_daemon.pipeline.columns import EntryColumns

SEGMENTS_BYTES_MAX = 8 * MIB
"""Encoded; decoded three times as much. The manifests of 100,000 files, or of 5,000 artifacts of ten."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment, encoded for the workers and decoded for the loop."""

    encoded: bytes
    entries: EntryColumns


@dataclass(slots=True)
class _Manifest:
    segments: dict[str, Segment] = field(default_factory=dict)
    """By their first path."""
    first_paths: list[str] = field(default_factory=list)
    is_whole: bool = False
    size_bytes: int = 0


class SegmentCache:
    """Segments by version; the version that was used least recently goes first."""

    def __init__(self, bytes_max: int = SEGMENTS_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._manifests: OrderedDict[str, _Manifest] = OrderedDict()
        self._bytes = 0

    def put(self, version_id: str, segment: Segment) -> None:
        """Keeps one segment."""
        manifest = self._manifests.setdefault(version_id, _Manifest())
        self._manifests.move_to_end(version_id)
        first = segment.entries.paths[0]
        if first in manifest.segments:
            return
        manifest.segments[first] = segment
        insort(manifest.first_paths, first)
        manifest.size_bytes += len(segment.encoded)
        self._bytes += len(segment.encoded)
        while self._bytes > self._bytes_max:
            _, dropped = self._manifests.popitem(last=False)
            self._bytes -= dropped.size_bytes

    def set_whole(self, version_id: str, segments: int) -> None:
        """Says that a version has so many segments and no others."""
        manifest = self._manifests.get(version_id)
        if manifest is not None and len(manifest.segments) == segments:
            manifest.is_whole = True

    def whole(self, version_id: str) -> list[Segment] | None:
        """All segments in order, if all are here."""
        manifest = self._manifests.get(version_id)
        if manifest is None or not manifest.is_whole:
            return None
        self._manifests.move_to_end(version_id)
        return [manifest.segments[first] for first in manifest.first_paths]

    def find(self, version_id: str, path: str) -> Segment | None:
        """The segment in whose range of paths this one lies, if it is here."""
        manifest = self._manifests.get(version_id)
        if manifest is None:
            return None
        self._manifests.move_to_end(version_id)
        at = bisect_right(manifest.first_paths, path) - 1
        if at < 0:
            return None
        segment = manifest.segments[manifest.first_paths[at]]
        return segment if path <= segment.entries.paths[-1] else None
