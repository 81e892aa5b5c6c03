"""Reading a logged version: its entries, its files, and who logged and used it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from holdfast._fetch import Fetcher
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast._status_checks import ensure_logged
from holdfast._version_attributes import VersionAttributes
from holdfast.manifest import ArtifactManifest, ArtifactManifestEntry
from holdfast.references import default_handler
from holdfast_contract.errors import ManifestPathError
from holdfast_contract.paths import logical_path
from holdfastpb.registry.v1 import run_pb2

if TYPE_CHECKING:
    from holdfast._artifact_files import ArtifactFiles
    from holdfast.api import Run as PublicRun
    from holdfast.artifact import Artifact

StrPath = str | os.PathLike[str]


class VersionReading(VersionAttributes):
    """Base of `Artifact`: what can be read of a logged version."""

    _manifest: ArtifactManifest | None

    @property
    def manifest(self) -> ArtifactManifest:
        """The list of all entries; fetched when first asked for."""
        if self._manifest is None:
            self._manifest = ArtifactManifest(
                _calls().manifest_segments(self._logged.version_id), parent=cast("Artifact", self)
            )
        return self._manifest

    # --- entries ------------------------------------------------------------------------------------------------------

    @ensure_logged
    def get_entry(self, name: StrPath) -> ArtifactManifestEntry:
        """Returns the entry of a path.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft.
            KeyError: there is no such entry.
        """
        try:
            path = logical_path(name)
        except ManifestPathError as error:
            raise KeyError(f"Path not contained in artifact: {name}") from error
        entry = self._find(path)
        if entry is None:
            raise KeyError(f"Path not contained in artifact: {path}")
        return entry

    def get_path(self, name: StrPath) -> ArtifactManifestEntry:
        """Returns the entry of a path; older name for `get_entry`."""
        return self.get_entry(name)

    def _find(self, path: str) -> ArtifactManifestEntry | None:
        if self._manifest is not None:
            return self._manifest.get_entry_by_path(path)
        # One segment instead of all: an entry of a large artifact costs no more than one of a small one.
        segments = _calls().manifest_segments(self._logged.version_id, path_prefix=path)
        return ArtifactManifest(segments, parent=cast("Artifact", self)).get_entry_by_path(path)

    @ensure_logged
    def files(self, names: list[str] | None = None, per_page: int = 50, start: str | None = None) -> ArtifactFiles:
        """Returns the files, as an iterable that can be indexed.

        Args:
            names: only these paths.
            per_page: accepted for compatibility.
            start: `cursor` of an earlier paginator, to go on from there.
        """
        from holdfast._artifact_files import ArtifactFiles

        return ArtifactFiles(self, names, per_page, start)

    def entry_url(self, path: str) -> str:
        """Returns a URI by which another artifact can refer to an entry."""
        return f"holdfast-artifact://{self._logged.version_id}/{path}"

    # --- files --------------------------------------------------------------------------------------------------------

    @ensure_logged
    def download(
        self,
        root: StrPath | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: StrPath | None = None,
        multipart: bool | None = None,
        recursive: bool = False,
    ) -> str:
        """Puts the version's files below a folder and returns the folder.

        Each file appears whole and checked against its digest, or not at all.  Files that are right already are left alone;
        what does not belong to the version stays (`checkout` removes it).  May be repeated after an error.

        Args:
            root: the folder, made when absent; default: `./artifacts/<name>:vN`.
            allow_missing_references: skip references whose object is gone, with a warning.
            skip_cache: read past the daemon's cache.
            path_prefix: only paths that begin with this text.
            multipart: accepted for compatibility; large files are always fetched in parallel.
            recursive: accepted for compatibility; references are always resolved.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft.
            DamagedError: stored bytes are not the promised ones; the message names the file.
            ReferenceMissingError, ReferenceChangedError: a referenced object is gone or another one.
            ValueError: a reference of a scheme that nothing here can fetch.
        """
        folder = self._default_root() if root is None else os.fspath(root)
        unresolved = _fetcher().download(
            self._logged.version_id,
            os.path.abspath(folder),
            path_prefix="" if path_prefix is None else os.fspath(path_prefix),
            allow_missing_references=allow_missing_references,
            skip_cache=bool(skip_cache),
        )
        self._load_references(unresolved, allow_missing=allow_missing_references)
        return folder

    def _load_references(self, paths: Sequence[str], *, allow_missing: bool) -> None:
        """Lets the SDK's handlers fetch what the daemon has no handler for."""
        for path in paths:
            try:
                default_handler().load_path(self.get_entry(path), local=True)
            except (ValueError, FileNotFoundError) as error:
                if not allow_missing:
                    raise
                warnings.warn(f"{path} was skipped: {error}", stacklevel=4)

    @ensure_logged
    def checkout(self, root: str | None = None) -> str:
        """Makes a folder hold exactly this version: everything else in it is deleted.

        Args:
            root: the folder; default: `./artifacts/<name>`.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft.
            DamagedError: stored bytes are not the promised ones; the message names the file.
        """
        folder = self._artifact_dir(self._name) if root is None else os.fspath(root)
        unresolved = _fetcher().download(self._logged.version_id, os.path.abspath(folder), exact=True)
        self._load_references(unresolved, allow_missing=False)
        return folder

    @ensure_logged
    def verify(self, root: str | None = None) -> bool:
        """Compares a folder with the version: every file's digest, and files that do not belong.  References are skipped.

        Args:
            root: the folder; default: where `download` puts it.

        Returns:
            True.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft.
            ValueError: a file differs or does not belong.
            FileNotFoundError: a file is absent.
        """
        folder = self._default_root() if root is None else os.fspath(root)
        found = _fetcher().verify(self._logged.version_id, os.path.abspath(folder))
        if found.extra_paths:
            raise ValueError(f"Found file {found.extra_paths[0]} which is not a member of artifact {self.name}")
        if found.damaged_paths:
            raise ValueError(f"Digest mismatch for file: {found.damaged_paths[0]}")
        if found.missing_paths:
            raise FileNotFoundError(f"{os.path.join(folder, found.missing_paths[0])} of {self.name} is not there")
        if found.references_skipped:
            warnings.warn(f"{found.references_skipped} references of {self.name} were not verified.", stacklevel=3)
        return True

    @ensure_logged
    def file(self, root: str | None = None) -> str:
        """Downloads the one file of the version and returns its path.

        Args:
            root: folder; default: that of `download`.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft.
            ValueError: the version has more than one file.
        """
        if self._logged.entry_count != 1:
            raise ValueError(
                "This artifact contains more than one file, call `.download()` to get all files or call"
                ' .get_entry("filename").download()'
                if self._logged.entry_count
                else "This artifact contains no file."
            )
        return self.download_entry(next(iter(self.manifest.entries.values())), root)

    def download_entry(self, entry: ArtifactManifestEntry, root: str | None, *, skip_cache: bool = False) -> str:
        """Puts one entry's file below a folder and returns the file's path; see `ArtifactManifestEntry.download`."""
        folder = self._default_root() if root is None else os.fspath(root)
        unresolved = _fetcher().download(
            self._logged.version_id, os.path.abspath(folder), paths=[entry.path], skip_cache=skip_cache
        )
        if unresolved:
            return default_handler().load_path(entry, local=True)
        return os.path.join(folder, entry.path)

    def _default_root(self) -> str:
        return self._artifact_dir(self.source_name)

    def _artifact_dir(self, name: str) -> str:
        return os.path.join(os.path.abspath(this_process().settings.artifact_dir), name)

    # --- lineage ------------------------------------------------------------------------------------------------------

    @ensure_logged
    def used_by(self) -> list[PublicRun]:
        """Returns the runs that have used this version, oldest first."""
        from holdfast.api import Run

        runs = _calls().version_runs(self._logged.version_id, run_pb2.EDGE_KIND_USED)
        return [Run(run) for run in runs]

    @ensure_logged
    def logged_by(self) -> PublicRun | None:
        """Returns the run that first logged this version, or None."""
        from holdfast.api import Run

        run_id = self._logged.logged_by_run_id
        return Run(_calls().get_run(self.entity, self.project, run_id)) if run_id else None


def _calls() -> RegistryCalls:
    return RegistryCalls(this_process().daemon)


def _fetcher() -> Fetcher:
    return Fetcher(this_process().daemon)
