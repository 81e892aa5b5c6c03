"""`Artifact`: what is to be logged, in Comet's words; it says nothing to anybody before `log_artifact`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from holdfast._warn_user import warn_user
from holdfast.comet._artifact_asset import (
    ArtifactAsset,
    Content,
    DataContent,
    FileContent,
    asset_id,
    checked_metadata,
    position_of,
    size_of_stream,
)
from holdfast.comet._asset_list import AssetList
from holdfast.comet._semantic_versions import semantic_version_of
from holdfast.comet.exceptions import ArtifactAssetNotFound
from holdfast_contract.limits import NAME_CHARS_MAX
from holdfast_contract.names import check_artifact_name, check_type_name
from holdfast_contract.paths import logical_path as checked_path

if TYPE_CHECKING:
    from semantic_version import Version

    from holdfast.artifact import Artifact as StoredArtifact
    from holdfast.comet._inherited import Inherited

TYPE_DEFAULT = "data"
SYNCED_OBJECTS_MAX = 10_000
"""Comet's default for one `add_remote`."""

_Found = tuple[ArtifactAsset, Content]


class Artifact:
    """Files, objects and links to be logged together as one version.  May be filled from several threads.

    `name`, `artifact_type`, `version`, `version_tags`, `aliases` and `metadata` may be set until it is logged.
    """

    def __init__(
        self,
        name: str,
        artifact_type: str | None = None,
        version: str | None = None,
        aliases: Iterable[str] | None = None,
        metadata: Any = None,
        version_tags: Iterable[str] | None = None,
    ) -> None:
        """Makes an empty artifact.

        Args:
            name: letters, digits, "_", "-", "."; what is beyond 128 characters is cut off, with a warning.
            artifact_type: default: "data"; an artifact holds one type.
            version: strictly `MAJOR.MINOR.PATCH[-prerelease][+build]`; default: the next major one, beginning with 1.0.0.
            aliases: move to the version when it is logged; "Latest" does by itself.
            metadata: a dict of what JSON can say.
            version_tags: are put on the version.

        Raises:
            ValueError: the name, type, version or metadata breaks its rules.
            MissingPackageError: (an ImportError) a version was given, and the package for such is not installed.
        """
        if isinstance(name, str) and len(name) > NAME_CHARS_MAX:
            name = name[:NAME_CHARS_MAX]
            warn_user(f"Artifact name is too long. It was truncated to be {NAME_CHARS_MAX} characters long.")
        check_artifact_name(name)
        self.name = name
        self.artifact_type = TYPE_DEFAULT if artifact_type is None else artifact_type
        check_type_name(self.artifact_type, artifact_name=name)
        self.version: Version | None = None if version is None else semantic_version_of(version)
        self.version_tags: set[str] = set(version_tags or ())
        self.aliases: set[str] = set(aliases or ())
        self.metadata: dict[str, Any] = checked_metadata(metadata)
        self._lock = threading.RLock()
        self._assets = AssetList()

    @classmethod
    def _downloaded(cls, inherited: Inherited) -> Self:
        """Returns what `LoggedArtifact.download` returns: entries and metadata of the version, without its number, aliases and tags."""
        version = inherited.version
        artifact = cls(version.source_name.rpartition(":")[0], version.type, metadata=version.metadata)
        artifact._assets = AssetList(inherited)
        return artifact

    # --- filling ------------------------------------------------------------------------------------------------------

    def add(
        self,
        local_path_or_data: Any,
        logical_path: str | None = None,
        overwrite: bool = False,
        copy_to_tmp: bool = True,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Adds a file, all files below a folder, or what an object with `read` gives.  They are read by `log_artifact`.

        Args:
            local_path_or_data: a path ("~" is understood) or an object with `read`.
            logical_path: path in the artifact; default: the file's name.  Of a folder: what its files lie below; default: its name.
            overwrite: accepted for compatibility; only what a downloaded artifact has from its version gives way, and always does.
            copy_to_tmp: the files may be changed once `log_artifact` has returned: they have been read by then, not copied.
                False: they are left alone until the version is committed.
            metadata: of the asset; of a folder: of each of its files.

        Raises:
            TypeError: no data, or an object without a logical path.
            ValueError: no such file or folder, a path or metadata that breaks its rules.
            ArtifactConflictingAssetLogicalPath: an asset that was added has this logical path.
        """
        if local_path_or_data is None:
            raise TypeError("local_path_or_data cannot be None")
        said = checked_metadata(metadata)
        if hasattr(local_path_or_data, "read"):
            self._add_all([self._data(local_path_or_data, logical_path, said)])
            return
        if not isinstance(local_path_or_data, str | os.PathLike):
            raise _no_file(local_path_or_data)
        path = os.path.abspath(os.path.expanduser(os.fspath(local_path_or_data)))
        if os.path.isfile(path):
            name = os.path.basename(path) if logical_path is None else logical_path
            self._add_all([self._file(path, name, os.path.getsize(path), said, mutable=copy_to_tmp)])
        elif os.path.isdir(path):
            prefix = os.path.basename(path) if logical_path is None else logical_path
            files = _files_below(path, f"{prefix.rstrip('/')}/" if prefix.strip("/") else "")
            self._add_all([self._file(*found, said, mutable=copy_to_tmp) for found in files])
        else:
            raise _no_file(local_path_or_data)

    def add_remote(
        self,
        uri: str,
        logical_path: str | None = None,
        overwrite: bool = False,
        asset_type: str | None = None,
        metadata: dict[str, Any] | None = None,
        sync_mode: bool = True,
        max_synced_objects: int = SYNCED_OBJECTS_MAX,
    ) -> None:
        """Adds links, whose bytes stay where they are.

        Args:
            uri: of an object or of all below a folder (`s3`, `gs`, Azure's `https`, `file`), of what a web server serves, or anything.
            logical_path: path in the artifact, of a folder what its objects lie below; default: the URI's last segment, else "remote".
            overwrite: accepted for compatibility, as of `add`.
            asset_type: deprecated, ignored.
            metadata: of the asset, or of each.
            sync_mode: look at the objects now, so that they can be brought and checked later; False notes the link alone.
            max_synced_objects: of a folder with more objects, one link is noted that cannot be brought, with a warning.

        Raises:
            ValueError: a logical path or metadata that breaks its rules.
            ArtifactConflictingAssetLogicalPath: an asset that was added has this logical path.
        """
        from holdfast.comet._remote_assets import find_links

        links = find_links(
            uri, logical_path, checked_metadata(metadata), sync=sync_mode, objects_max=max_synced_objects
        )
        self._add_all([(link.asset(asset_id(self.name, link.path)), link.content) for link in links])

    def remove(self, logical_path: str) -> None:
        """Takes out an asset, or everything below a folder; also of what a downloaded artifact has from its version.  Not in Comet.

        Raises:
            ArtifactAssetNotFound: there is none.
        """
        with self._lock:
            if not self._assets.remove(checked_path(logical_path)):
                raise ArtifactAssetNotFound(logical_path, self)

    def _data(self, stream: Any, logical_path: str | None, metadata: dict[str, Any]) -> _Found:
        if logical_path is None:
            raise TypeError("logical_path is required for an object with read()")
        path = checked_path(logical_path)
        asset = ArtifactAsset(
            asset_id(self.name, path), False, path, size_of_stream(stream), None, metadata, local_path_or_data=stream
        )
        return asset, DataContent(stream, position_of(stream))

    def _file(self, path: str, name: str, size: int, metadata: dict[str, Any], *, mutable: bool) -> _Found:
        logical = checked_path(name)
        asset = ArtifactAsset(
            asset_id(self.name, logical), False, logical, size, None, metadata, local_path_or_data=path
        )
        return asset, FileContent(path, mutable)

    def _add_all(self, found: list[_Found]) -> None:
        """Adds all of them or none."""
        with self._lock:
            self._assets.check(asset for asset, _ in found)
            for asset, content in found:
                self._assets.add(asset, content)

    # --- looking ------------------------------------------------------------------------------------------------------

    @property
    def assets(self) -> list[ArtifactAsset]:
        """The assets as they are now."""
        with self._lock:
            return list(self._assets)

    @property
    def download_local_path(self) -> str | None:
        """Where it was downloaded to; None of an artifact that was not."""
        inherited = self._assets.inherited
        return inherited.folder if inherited is not None else None

    # --- versions -----------------------------------------------------------------------------------------------------

    def increment_major_version(self) -> Version:
        """Sets and returns the version after the downloaded one: the next major one.  Comet's Java client has these three.

        Raises:
            ValueError: the artifact was not downloaded.
        """
        return self._increment("next_major")

    def increment_minor_version(self) -> Version:
        """Sets and returns the version after the downloaded one: the next minor one; see `increment_major_version`."""
        return self._increment("next_minor")

    def increment_patch_version(self) -> Version:
        """Sets and returns the version after the downloaded one: the next patch; see `increment_major_version`."""
        return self._increment("next_patch")

    def _increment(self, step: str) -> Version:
        base = self._base
        if base is None:
            raise ValueError(f"{self!r} was not downloaded; set its version, or leave it to the registry.")
        version: Version = getattr(semantic_version_of(base._logged.semantic_version), step)()
        self.version = version
        return version

    @property
    def _base(self) -> StoredArtifact | None:
        return self._assets.inherited.version if self._assets.inherited is not None else None

    def __str__(self) -> str:
        return f"Artifact({self.name!r}, artifact_type={self.artifact_type!r})"

    def __repr__(self) -> str:
        return (
            f"Artifact({self.name!r}, artifact_type={self.artifact_type!r}, version={self.version!r},"
            f" aliases={self.aliases!r}, version_tags={self.version_tags!r})"
        )


def _no_file(given: object) -> ValueError:
    return ValueError(f"Invalid file_data {given!r:.200}, must either be a valid file-path or an IO object")


def _files_below(folder: str, prefix: str) -> Iterator[tuple[str, str, int]]:
    """Yields path, logical path and size of all regular files below a folder, sorted; links to folders are not followed."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file():
            yield entry.path, f"{prefix}{entry.name}", entry.stat().st_size
