"""What a downloaded artifact has from its version: entries that are shared unless their local files were changed since."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from holdfast.comet._artifact_asset import METADATA_KEY, ArtifactAsset, asset_id, link_of, metadata_of

if TYPE_CHECKING:
    from holdfast.artifact import Artifact
    from holdfast.manifest import ArtifactManifestEntry

FileState = tuple[int, int, int]
"""Time of the last change of anything (ns), size, and inode: no write leaves all three as they were."""


TICK_NS = 10_000_000
"""The longest step in which a kernel counts the times of files."""


class Inherited:
    """The entries of a logged version, and the files that a download has made of them."""

    def __init__(self, version: Artifact, folder: str, kept: Collection[str] = ()) -> None:
        """Looks at all files, once, right after a download.

        Args:
            version: a logged version.
            folder: where it was downloaded to.
            kept: paths of files that were, or may have been, left although their content is another.
        """
        self.version = version
        self.folder = folder
        self._states = {path: _state_of(os.path.join(folder, path)) for path in version.manifest.paths()}
        _wait_for_the_next_tick(max((state[0] for state in self._states.values() if state is not None), default=0))
        for path in kept:
            self._states[path] = None

    def asset(self, path: str) -> ArtifactAsset | None:
        """Returns the asset of a logical path; None when the version has none."""
        entry = self.version.manifest.get_entry_by_path(path)
        return self._asset_of(entry) if entry is not None else None

    def paths_below(self, folder: str) -> Iterator[str]:
        """Yields the logical paths below a folder."""
        return (path for path, _ in self.version.manifest.items_from(f"{folder}/"))

    def __iter__(self) -> Iterator[ArtifactAsset]:
        return (self._asset_of(entry) for entry in self.version.manifest.entries.values())

    def changed_files(self) -> Iterator[tuple[str, str]]:
        """Yields logical path and file of what was changed in the folder since the download, or was another file before it already.

        A file that is gone is not among them: its entry stays, unless it is removed from the artifact.
        """
        for path, before in self._states.items():
            local_path = os.path.join(self.folder, path)
            now = _state_of(local_path)
            if now is not None and now != before and not self._is_link_only(path, before):
                yield path, local_path

    def own_metadata(self, path: str) -> dict[str, Any]:
        """Returns what somebody said of an asset; of a link without what was found out about it."""
        entry = self.version.manifest.get_entry_by_path(path)
        said = None if entry is None else entry.extra.get(METADATA_KEY)
        return dict(said) if isinstance(said, dict) else {}

    def _is_link_only(self, path: str, before: FileState | None) -> bool:
        """Of a link that was not brought, a file of that name is somebody else's."""
        if before is not None:
            return False
        entry = self.version.manifest.get_entry_by_path(path)
        return entry is not None and entry.is_reference

    def _asset_of(self, entry: ArtifactManifestEntry) -> ArtifactAsset:
        is_here = self._states.get(entry.path) is not None or not entry.is_reference
        return ArtifactAsset(
            id=asset_id(self.version.source_name.rpartition(":")[0], entry.path),
            remote=entry.is_reference,
            logical_path=entry.path,
            size=entry.size or 0,
            link=link_of(entry),
            metadata=metadata_of(entry),
            local_path_or_data=os.path.join(self.folder, entry.path) if is_here else None,
        )


def _wait_for_the_next_tick(newest_ns: int) -> None:
    """Returns when a change made from now on has a later time than this one: systems count such times in steps."""
    left_ns = newest_ns + TICK_NS - time.time_ns()
    if 0 < left_ns <= TICK_NS:  # a file whose time lies in the future, by another host's clock, is not waited for
        time.sleep(left_ns / 1e9)


def _state_of(path: str) -> FileState | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ctime_ns, found.st_size, found.st_ino
