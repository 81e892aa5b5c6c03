"""The assets of an artifact that is not logged yet: those that were added, over those of the version that it goes on from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from holdfast.comet._artifact_asset import ArtifactAsset, Content
from holdfast.comet.exceptions import ArtifactConflictingAssetLogicalPath

if TYPE_CHECKING:
    from holdfast.comet._inherited import Inherited


class AssetList:
    """Assets by logical path, each once.  Not thread-safe."""

    def __init__(self, inherited: Inherited | None = None) -> None:
        """Makes the list of what was inherited alone, or an empty one."""
        self.inherited = inherited
        self._added: dict[str, tuple[ArtifactAsset, Content]] = {}
        # Inherited ones that were removed, and folders of them.
        self._removed: dict[str, None] = {}

    @property
    def added(self) -> Mapping[str, tuple[ArtifactAsset, Content]]:
        """What was added, by logical path, in the order in which it was."""
        return self._added

    @property
    def removed(self) -> Iterator[str]:
        """Inherited assets that were removed, and folders of them."""
        return iter(self._removed)

    def add(self, asset: ArtifactAsset, content: Content) -> None:
        """Adds an asset; one that was inherited gives way, once.

        Raises:
            ArtifactConflictingAssetLogicalPath: another one was added under its logical path.
        """
        path = asset.logical_path
        existing = self._added.get(path)
        if existing is not None:
            raise ArtifactConflictingAssetLogicalPath(existing[0], asset, path)
        self._added[path] = asset, content

    def check(self, assets: Iterator[ArtifactAsset]) -> None:
        """Refuses what `add` would refuse, before any of them is added."""
        seen: dict[str, ArtifactAsset] = {}
        for asset in assets:
            path = asset.logical_path
            existing = self._added[path][0] if path in self._added else seen.get(path)
            if existing is not None:
                raise ArtifactConflictingAssetLogicalPath(existing, asset, path)
            seen[path] = asset

    def remove(self, path: str) -> bool:
        """Takes out an asset, or everything below a folder; returns whether there was one."""
        below = f"{path}/"
        gone = [path] if path in self._added else [name for name in self._added if name.startswith(below)]
        for name in gone:
            del self._added[name]
        is_inherited = self.inherited is not None and self._inherits(path)
        if is_inherited:
            self._removed[path] = None
        return bool(gone) or is_inherited

    def _inherits(self, path: str) -> bool:
        assert self.inherited is not None, "only asked of an artifact that inherits"
        if self._is_removed(path):
            return False
        return self.inherited.asset(path) is not None or any(
            not self._is_removed(name) for name in self.inherited.paths_below(path)
        )

    def _is_removed(self, path: str) -> bool:
        if not self._removed:
            return False
        while path:
            if path in self._removed:
                return True
            path = path.rpartition("/")[0]
        return False

    def inherits_below(self, folder: str) -> bool:
        """Whether anything of what was inherited may lie below a folder."""
        return self.inherited is not None and next(self.inherited.paths_below(folder), None) is not None

    def __len__(self) -> int:
        inherited = 0
        if self.inherited is not None:
            paths = self.inherited.version.manifest.paths()
            inherited = sum(path not in self._added and not self._is_removed(path) for path in paths)
        return inherited + len(self._added)

    def overrides(self, path: str) -> bool:
        """Whether an added asset takes the place of an inherited one."""
        return self.inherited is not None and self.inherited.asset(path) is not None and not self._is_removed(path)

    def __iter__(self) -> Iterator[ArtifactAsset]:
        if self.inherited is not None:
            for asset in self.inherited:
                if asset.logical_path not in self._added and not self._is_removed(asset.logical_path):
                    yield asset
        for asset, _ in self._added.values():
            yield asset
