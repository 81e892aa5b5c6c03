"""What differs between two manifests: entries added, removed and changed.

Versions that share most of their entries share most of their segments, byte for byte; only the others are looked into.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from holdfast_contract.limits import DIGEST_BYTES
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment


@dataclass(frozen=True, slots=True)
class EntryChange:
    """One path that is not the same in both."""

    path: str
    kind: Literal["added", "removed", "changed"]
    old_size_bytes: int | None
    """None: it was not there."""
    new_size_bytes: int | None
    """None: it is not there any more."""


def diff_segments(old: Iterable[bytes], new: Iterable[bytes]) -> list[EntryChange]:
    """Compares two manifests.

    Args:
        old: encoded segments of the one.
        new: encoded segments of the other.

    Returns:
        The changes, in the order of their paths.
    """
    old_segments, new_segments = list(old), list(new)
    shared = set(old_segments).intersection(new_segments)
    before = _entries([segment for segment in old_segments if segment not in shared])
    after = _entries([segment for segment in new_segments if segment not in shared])
    return [
        _change(path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def _change(path: str, before: tuple[str, int] | None, after: tuple[str, int] | None) -> EntryChange:
    if before is None:
        return EntryChange(path, "added", None, after[1] if after else 0)
    if after is None:
        return EntryChange(path, "removed", before[1], None)
    return EntryChange(path, "changed", before[1], after[1])


def _entries(segments: Sequence[bytes]) -> dict[str, tuple[str, int]]:
    """Path → (digest, size); where the bytes lie makes no difference, as in the artifact's digest."""
    found: dict[str, tuple[str, int]] = {}
    for encoded in segments:
        segment = ManifestSegment.FromString(encoded)
        digests = segment.digests.hex()
        width = 2 * DIGEST_BYTES
        texts = [digests[at : at + width] for at in range(0, len(digests), width)]
        for reference in segment.references:
            texts[reference.entry_index] = reference.digest
        found.update(zip(segment.paths, zip(texts, segment.sizes, strict=True), strict=True))
    return found
