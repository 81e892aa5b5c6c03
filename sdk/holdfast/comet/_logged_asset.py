"""`LoggedArtifactAsset`: one asset of a logged artifact, which can be read, brought, or written into a stream."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import IO, TYPE_CHECKING, Any

from holdfast.comet._artifact_asset import ASSET_TYPE, ArtifactAsset, asset_id, is_synced, link_of, metadata_of
from holdfast.comet._comparison import fetched_stream
from holdfast.comet._placing import place_entry
from holdfast.comet._strategies import strategy_of
from holdfast.comet.exceptions import ArtifactDownloadException, not_downloaded, told_as
from holdfast.references.registration import default_handler
from holdfast_contract.paths import logical_path as checked_path

if TYPE_CHECKING:
    from holdfast.artifact import Artifact as StoredArtifact
    from holdfast.comet.summary import Summary
    from holdfast.manifest import ArtifactManifestEntry


class LoggedArtifactAsset:
    """One asset of a logged artifact; see `LoggedArtifact.assets`."""

    def __init__(
        self,
        version: StoredArtifact,
        entry: ArtifactManifestEntry,
        artifact_id: str,
        source: str | None,
        summary: Summary,
    ) -> None:
        """Makes the asset of an entry; `LoggedArtifact` does.

        Args:
            version: the logged version.
            entry: one of its entries.
            artifact_id: of the artifact that it is a version of.
            source: key of the experiment that has logged it.
            summary: counts what is brought.
        """
        self._version = version
        self._entry = entry
        self._artifact_id = artifact_id
        self._source = source
        self._summary = summary

    @property
    def id(self) -> str:
        """32 hex characters: the same for one logical path in all versions of an artifact."""
        return asset_id(self._version.source_name.rpartition(":")[0], self._entry.path)

    @property
    def artifact_id(self) -> str:
        """The artifact's id."""
        return self._artifact_id

    @property
    def artifact_version_id(self) -> str:
        """The version's id."""
        return str(self._version.id)

    @property
    def logical_path(self) -> str:
        """Path in the artifact."""
        return self._entry.path

    @property
    def size(self) -> int:
        """Bytes; 0 of a link that is only noted."""
        return self._entry.size or 0

    @property
    def link(self) -> str | None:
        """Where a remote asset lies; None of one that is stored."""
        return link_of(self._entry)

    @property
    def metadata(self) -> dict[str, Any]:
        """What was said of the asset, and of a synced link what Comet says of such; a copy."""
        return metadata_of(self._entry)

    @property
    def asset_type(self) -> str:
        """Always "asset"."""
        return ASSET_TYPE

    @property
    def remote(self) -> bool:
        """Whether it is a link."""
        return self._entry.is_reference

    @property
    def source_experiment_key(self) -> str | None:
        """Key of the experiment that has logged the version; None: no experiment has."""
        return self._source

    def is_remote_and_synced(self) -> bool:
        """Returns whether it is a link that can be followed: of S3, Google, Azure, a web server, or a file."""
        return is_synced(self._entry)

    def is_asset_downloadable(self) -> bool:
        """Returns whether `download` brings it."""
        return not self.remote or self.is_remote_and_synced()

    def download(
        self,
        local_path: str | None = None,
        logical_path: str | bool | None = None,
        overwrite_strategy: bool | str = False,
    ) -> ArtifactAsset:
        """Puts the asset's file in place, whole and checked against its digest, or not at all.

        Args:
            local_path: a folder, made when absent; default: a new temporary one.
            logical_path: path below it; default: that in the artifact.  "" or False: `local_path` is the whole path of the file.
            overwrite_strategy: of a file that is there with other content; as of `LoggedArtifact.download`.

        Raises:
            ArtifactDownloadException: a link that cannot be followed, a file in the way, or bytes that cannot be had.
            ValueError: another strategy, a path that breaks its rules, or no `local_path` where it is the file's.
        """
        strategy = strategy_of(overwrite_strategy)
        self._check_downloadable()
        target = self._target(local_path, logical_path)
        place_entry(self._version, self._entry, target, strategy)
        self._summary.increment_section("downloads", "artifact assets", size=self.size)
        return ArtifactAsset(
            self.id, self.remote, self.logical_path, self.size, self.link, self.metadata, ASSET_TYPE, target
        )

    def _target(self, local_path: str | None, logical_path: str | bool | None) -> str:
        if logical_path is True:
            raise ValueError("logical_path must be a path, False or None, not True")
        if logical_path is None or logical_path:
            folder = tempfile.mkdtemp(prefix="holdfast-") if local_path is None else os.fspath(local_path)
            relative = self.logical_path if logical_path is None else checked_path(str(logical_path))
            return os.path.join(os.path.abspath(folder), relative)
        if local_path is None:
            raise ValueError("without a logical_path, local_path is the path of the file and must be given")
        return os.path.abspath(local_path)

    def open_stream(self) -> IO[bytes]:
        """Opens the asset for reading where it lies; nothing but the parts that are read is brought.  As Java's `openStream`.

        Of a place that cannot be read in parts, such as a web server, all of it is brought first, and no file stays.

        Raises:
            ArtifactDownloadException: a link that cannot be followed.
        """
        self._check_downloadable()
        with told_as(not_downloaded):
            if self.remote and not hasattr(default_handler().handler_of(self._entry.ref_target()), "open_reference"):
                return fetched_stream(self._entry)
            return self._entry.open("rb")

    def write_to(self, stream: IO[bytes]) -> None:
        """Writes the asset into a binary stream, without a file in between.  As Java's `writeTo`.

        Raises:
            ArtifactDownloadException: a link that cannot be followed.
        """
        with self.open_stream() as source:
            shutil.copyfileobj(source, stream, 1 << 20)

    def _check_downloadable(self) -> None:
        if not self.is_asset_downloadable():
            raise ArtifactDownloadException(
                f"The asset {self.logical_path!r} is a link that cannot be followed: {self.link}; its `link` says where it is."
            )

    def __repr__(self) -> str:
        return f"LoggedArtifactAsset({self.logical_path!r}, size={self.size}, remote={self.remote})"
