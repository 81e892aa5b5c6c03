"""`LoggedArtifact`: a version as Comet shows it; of one that was logged just now it waits for the commit where that must be known."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from holdfast._catalogue_calls import CatalogueCalls
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast.artifact import Artifact as StoredArtifact
from holdfast.artifact_collections import ArtifactCollection
from holdfast.comet._immutable_dict import ImmutableDict
from holdfast.comet._names import shown_aliases, stored_aliases
from holdfast.comet._semantic_versions import semantic_version_of
from holdfast.comet._strategies import strategy_of
from holdfast.comet.exceptions import ArtifactAssetNotFound, LogArtifactException, not_found, not_logged, told_as
from holdfast.comet.summary import Summary
from holdfast.errors import ArtifactStatusError, Error, WaitTimeoutError
from holdfast_contract.names import check_tags, check_user_aliases
from holdfastpb.registry.v1 import run_pb2

if TYPE_CHECKING:
    from semantic_version import Version

    from holdfast.comet._artifact import Artifact
    from holdfast.comet._logged_asset import LoggedArtifactAsset
    from holdfast.comet.api import APIExperiment
    from holdfast.manifest import ArtifactManifestEntry
    from holdfast.progress import ProgressCallback


class LoggedArtifact:
    """One version of an artifact; comes from `log_artifact` and `get_artifact`.

    Aliases, tags and version are those of the moment in which it was read, or changed through it.
    """

    def __init__(  # noqa: PLR0913 - Comet's signature
        self,
        artifact_name: str,
        artifact_type: str,
        artifact_id: str,
        artifact_version_id: str,
        workspace: str,
        rest_api_client: Any,
        experiment_key: str | None,
        version: str,
        aliases: Sequence[str],
        artifact_tags: Sequence[str] | None,
        version_tags: Sequence[str],
        size: int,
        metadata: Mapping[str, Any],
        source_experiment_key: str | None,
        summary: Summary | None,
        config: Any,
    ) -> None:
        """Makes the object of values that are known; use `Experiment.get_artifact` instead.

        Args:
            artifact_name: of the artifact.
            artifact_type: of the artifact.
            artifact_id: of the artifact; "" is asked for when it is needed.
            artifact_version_id: of the version; "" of one that is not committed yet.
            workspace: the entity.
            rest_api_client: accepted for compatibility; the daemon is asked.
            experiment_key: of the experiment that has got it.
            version: semantic; "" is known after the commit.
            aliases: of the version.
            artifact_tags: of the artifact; None is asked for when it is needed.
            version_tags: of the version.
            size: bytes of all assets.
            metadata: of the version.
            source_experiment_key: of the experiment that has logged it.
            summary: counts what is brought.
            config: accepted for compatibility.
        """
        self._name = artifact_name
        self._type = artifact_type
        self._artifact_id = artifact_id
        self._version_id = artifact_version_id
        self._workspace = workspace
        self._rest_api_client = rest_api_client
        self._experiment_key = experiment_key
        self._version_text = version
        self._aliases = shown_aliases(list(aliases))
        self._artifact_tags = None if artifact_tags is None else frozenset(artifact_tags)
        self._version_tags = frozenset(version_tags)
        self._size = size
        self._metadata = ImmutableDict(metadata)
        self._source_experiment_key = source_experiment_key
        self._summary = summary or Summary()
        self._config = config
        self._failure_is_told = False
        self._lock = threading.RLock()
        self._stored: StoredArtifact | None = None
        self._assets: list[LoggedArtifactAsset] | None = None

    @classmethod
    def _of(cls, stored: StoredArtifact, experiment_key: str | None, summary: Summary | None) -> Self:
        """Returns what stands for a logged version."""
        logged = cls(
            "", "", "", "", "", None, experiment_key, "", (), None, (), 0, {}, _source_of(stored), summary, None
        )
        logged._take(stored)
        return logged

    @classmethod
    def _pending(cls, draft: StoredArtifact, workspace: str, version: str, key: str, summary: Summary) -> Self:
        """Returns what stands for a version that is on its way."""
        logged = cls(
            draft.name,
            draft.type,
            "",
            "",
            workspace,
            None,
            key,
            version,
            (),
            None,
            (),
            0,
            draft.metadata,
            key,
            summary,
            None,
        )
        logged._stored = draft
        return logged

    def _take(self, stored: StoredArtifact) -> None:
        version = stored._logged
        self._stored = stored
        self._name, self._type, self._workspace = version.collection, version.type, version.entity
        self._version_id, self._version_text = version.version_id, version.semantic_version
        self._aliases, self._version_tags = shown_aliases(stored.aliases), frozenset(stored.tags)
        self._size, self._metadata = int(version.size_bytes), ImmutableDict(stored.metadata)

    @property
    def _committed(self) -> StoredArtifact:
        """The version behind it; waits for the commit, or reads the version that the constructor was given the id of."""
        with self._lock:
            stored = self._stored
            if stored is None:
                with told_as(not_found):
                    stored = StoredArtifact._of_version(_calls().get_version(self._version_id))
                self._take(stored)
            elif not self._version_id:
                self.wait()
            return stored

    def wait(self, timeout: float | None = None) -> Self:
        """Waits until the version is committed; at once when it is.  Comet has no such call.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            WaitTimeoutError: not yet committed; it goes on.
            LogArtifactException: it has failed; the cause says which file and why.
        """
        try:
            self._wait(timeout, None)
        except LogArtifactException:
            self._failure_is_told = True
            raise
        return self

    def _wait(self, timeout: float | None, progress: ProgressCallback | None) -> None:
        stored = self._stored
        if stored is not None and not self._version_id:
            try:
                stored.wait(timeout, progress=progress)
            except WaitTimeoutError:
                raise
            except (Error, ArtifactStatusError) as error:
                raise not_logged(error) from error
            with self._lock:
                self._take(stored)

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the artifact."""
        return self._name

    @property
    def workspace(self) -> str:
        """The workspace: the entity."""
        return self._workspace

    @property
    def artifact_type(self) -> str:
        """Type of the artifact."""
        return self._type

    @property
    def version(self) -> Version:
        """The semantic version.

        Raises:
            MissingPackageError: (an ImportError) the package for such is not installed.
        """
        if not self._version_text:
            self._settle()
        return semantic_version_of(self._version_text)

    @property
    def aliases(self) -> frozenset[str]:
        """The aliases, "Latest" among them where it holds."""
        self._settle()
        return self._aliases

    @property
    def artifact_tags(self) -> frozenset[str]:
        """Tags of the artifact."""
        if self._artifact_tags is None:
            self._artifact_tags = frozenset(self._collection().tags)
        return self._artifact_tags

    @property
    def version_tags(self) -> frozenset[str]:
        """Tags of the version."""
        self._settle()
        return self._version_tags

    @property
    def metadata(self) -> ImmutableDict:
        """Metadata of the version."""
        return self._metadata

    @property
    def size(self) -> int:
        """Bytes of all assets, those of links included where they are known."""
        self._settle()
        return self._size

    @property
    def source_experiment_key(self) -> str | None:
        """Key of the experiment that has logged it; None: none has."""
        return self._source_experiment_key

    def _settle(self) -> None:
        if not self._version_id:
            _ = self._committed

    # --- assets -------------------------------------------------------------------------------------------------------

    @property
    def assets(self) -> list[LoggedArtifactAsset]:
        """All assets; listed once, whole."""
        if self._assets is None:
            stored = self._committed
            self._assets = [self._asset_of(entry) for entry in stored.manifest.entries.values()]
        return list(self._assets)

    @property
    def remote_assets(self) -> list[LoggedArtifactAsset]:
        """The assets that are links."""
        return [asset for asset in self.assets if asset.remote]

    def get_asset(self, asset_logical_path: str) -> LoggedArtifactAsset:
        """Returns the asset of a logical path; of a large artifact only what holds it is read.

        Raises:
            ArtifactAssetNotFound: there is none.
        """
        entry = self._committed._find(asset_logical_path)
        if entry is None:
            raise ArtifactAssetNotFound(asset_logical_path, self)
        return self._asset_of(entry)

    def _asset_of(self, entry: ArtifactManifestEntry) -> LoggedArtifactAsset:
        from holdfast.comet._logged_asset import LoggedArtifactAsset

        source = self._source_experiment_key
        return LoggedArtifactAsset(self._committed, entry, self._id_of_artifact(), source, self._summary)

    def download(
        self, path: str | None = None, overwrite_strategy: bool | str = False, sync_mode: bool = True
    ) -> Artifact:
        """Puts the assets below a folder.  Files that are right already are found by their digests, and nothing is moved for them.

        Args:
            path: the folder, made when absent; other files in it stay.  Default: a new temporary one.
            overwrite_strategy: of files that are there with other content: False or "FAIL" refuses before anything is written,
                "PRESERVE" keeps them and a warning names them, True or "OVERWRITE" replaces them.
            sync_mode: bring the objects of links, too: of S3, Google, Azure, web servers and files, each checked.  Others stay links.

        Returns:
            An artifact that can be changed and logged again; what is not changed is shared with this version.  Its
            `download_local_path` is the folder.

        Raises:
            ArtifactDownloadException: files are in the way, or something cannot be had.
            ValueError: another strategy.
        """
        from holdfast.comet._artifact import Artifact
        from holdfast.comet._download import download

        strategy = strategy_of(overwrite_strategy)
        stored = self._committed
        brought = download(stored, path, strategy, sync=sync_mode)
        self._summary.increment_section("downloads", "artifacts")
        self._summary.increment_section(
            "downloads", "artifact assets", size=brought.bytes_moved, count=len(stored.manifest)
        )
        return Artifact._downloaded(brought.inherited)

    # --- lineage and changes ------------------------------------------------------------------------------------------

    def get_source_experiment(self, api_key: str | None = None, cache: bool = True) -> APIExperiment:
        """Returns the experiment that has logged it.

        Args:
            api_key: accepted for compatibility; the daemon has the credentials.
            cache: accepted for compatibility.

        Raises:
            GetArtifactException: no experiment has, or it cannot be asked for.
        """
        from holdfast.comet.api import APIExperiment
        from holdfast.public_runs import Run

        with told_as(not_found):
            runs = _calls().version_runs(self._committed._logged.version_id, run_pb2.EDGE_KIND_LOGGED)
            if not runs:
                raise ValueError(f"No experiment has logged {self}.")
            return APIExperiment(Run(runs[0]))

    def update_artifact_tags(self, new_artifact_tags: Sequence[str]) -> None:
        """Replaces all tags of the artifact.

        Raises:
            ValueError: a tag breaks its rules.
            LogArtifactException: the registry refuses, or cannot be asked.
        """
        check_tags(list(new_artifact_tags))
        collection = self._collection()
        with told_as(not_logged):
            collection.tags = list(new_artifact_tags)
            collection.save()
        self._artifact_tags = frozenset(collection.tags)

    def update_version_tags(self, new_version_tags: Sequence[str]) -> None:
        """Replaces all tags of the version; raises as `update_artifact_tags`."""
        tags = list(new_version_tags)
        check_tags(tags)
        with told_as(not_logged):
            fresh = self._fresh()
            fresh.tags = tags
            fresh.save()
        self._take_changed(fresh)

    def update_aliases(self, new_aliases: Sequence[str]) -> None:
        """Replaces all aliases of the version; "Latest" stays where it is.  Raises as `update_artifact_tags`."""
        aliases = stored_aliases(list(new_aliases))
        check_user_aliases(aliases)
        with told_as(not_logged):
            fresh = self._fresh()
            fresh.aliases = [*aliases, *(alias for alias in fresh.aliases if alias == "latest")]
            fresh.save()
        self._take_changed(fresh)

    def _fresh(self) -> StoredArtifact:
        """The version as it is now: what somebody else has added meanwhile is replaced, too."""
        return StoredArtifact._of_version(_calls().get_version(self._committed._logged.version_id))

    def _take_changed(self, fresh: StoredArtifact) -> None:
        with self._lock:
            fresh._manifest = self._stored._manifest if self._stored is not None else None
            self._take(fresh)

    def _collection(self) -> ArtifactCollection:
        with told_as(not_found):
            version = self._committed._logged
            record = CatalogueCalls(this_process().daemon).get_collection(
                version.entity, version.project, version.collection
            )
            self._artifact_id = record.collection_id
            return ArtifactCollection._of(record)

    def _id_of_artifact(self) -> str:
        if not self._artifact_id:
            self._collection()
        return self._artifact_id

    @property
    def _full_name(self) -> str:
        return f"{self._workspace}/{self._name}" + (f":{self._version_text}" if self._version_text else "")

    def __str__(self) -> str:
        return f"<LoggedArtifact {self._full_name!r}>"

    __repr__ = __str__


def _source_of(stored: StoredArtifact) -> str | None:
    return str(stored._logged.logged_by_run_id) or None


def _calls() -> RegistryCalls:
    return RegistryCalls(this_process().daemon)
