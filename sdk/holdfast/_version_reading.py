"""Reading a logged version: its entries, its files, and who logged and used it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, cast

from holdfast._artifact_objects import StoredObject, object_types, read_object
from holdfast._fetch import Fetcher
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast._status_checks import ensure_logged
from holdfast._version_attributes import VersionAttributes
from holdfast.errors import ArtifactError, DamagedError, FileMissingError
from holdfast.manifest import ArtifactManifest, ArtifactManifestEntry
from holdfast.references.registration import default_handler
from holdfast_contract.errors import ManifestPathError
from holdfast_contract.paths import logical_path
from holdfast_contract.reasons import Reason
from holdfastpb.daemon.v1 import fetch_pb2
from holdfastpb.registry.v1 import run_pb2

if TYPE_CHECKING:
    from holdfast._artifact_files import ArtifactFiles
    from holdfast.artifact import Artifact
    from holdfast.public_runs import Run as PublicRun

StrPath = str | os.PathLike[str]
Overwrite = bool | Literal["keep", "fail"]

ENTRY_SCHEME = "holdfast-artifact://"
"""Of the URI of an entry of a logged version: its id, then the path."""


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
        """Returns the entry of a path, else that of the object which was added under this name.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft.
            KeyError: there is no such entry.
        """
        try:
            path = logical_path(name)
        except ManifestPathError as error:
            raise KeyError(f"Path not contained in artifact: {name}") from error
        entry = self._find(path) or self._find_object(path)[0]
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

    def _find_object(self, path: str) -> tuple[ArtifactManifestEntry | None, type[StoredObject] | None]:
        """Returns the file of the object of this name, and the object's type."""
        for kind in object_types():
            entry = self._find(kind.file_name(path))
            if entry is not None:
                return entry, kind
        return None, None

    @ensure_logged
    def get(self, name: str) -> StoredObject | None:
        """Returns the object that was added under a name, read anew each time; None when there is none.

        Args:
            name: as given to `add`, or the path of the object's file.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft.
            ArtifactError, CommError: its file cannot be had.
        """
        try:
            entry, kind = self._find_object(logical_path(name))
        except ManifestPathError:
            return None
        if entry is None or kind is None:
            return None
        source = _version_and_path(entry.ref)
        if source is not None and source[0] != self.id:
            # What lies beside the object lies in the artifact that it came from.
            return self._other_version(source[0]).get(source[1])
        return read_object(kind, entry.download(), cast("Artifact", self), entry.path)

    def _other_version(self, version_id: str) -> VersionReading:
        artifact: Artifact = cast("Artifact", self)
        return artifact._of_version(_calls().get_version(version_id))

    def __getitem__(self, name: str) -> StoredObject | None:
        return self.get(name)

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
        return f"{ENTRY_SCHEME}{self._logged.version_id}/{path}"

    # --- files --------------------------------------------------------------------------------------------------------

    @ensure_logged
    def download(  # noqa: PLR0913 - W&B's signature, and what users have asked for
        self,
        root: StrPath | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: StrPath | None = None,
        multipart: bool | None = None,
        recursive: bool = False,
        *,
        include: str | Iterable[str] | None = None,
        exclude: str | Iterable[str] | None = None,
        overwrite: Overwrite = True,
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
            include: only paths that match one of these patterns, written as in .gitignore.
            exclude: not the paths that match one of these.
            overwrite: of a file that is there with other content: True replaces it, "keep" leaves it, False or "fail" refuses before
                anything is written.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft.
            PathConflictError: (a ValueError) with `overwrite=False` a file is in the way.
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
            include=patterns(include),
            exclude=patterns(exclude),
            overwrite=_overwrite_policy(overwrite),
        )
        self._load_references(unresolved, folder, allow_missing=allow_missing_references, overwrite=overwrite)
        return folder

    def _load_references(
        self, paths: Sequence[str], folder: str, *, allow_missing: bool = False, overwrite: Overwrite = True
    ) -> None:
        """Lets the SDK's handlers fetch what the daemon has no handler for."""
        if not paths:
            return
        from holdfast.references.fetching import FetchOptions, fetch_references

        # One look-up each costs a request; the whole manifest costs a few.
        find = self.get_entry if len(paths) == 1 else self.manifest.entries.__getitem__
        keep = overwrite == "keep"
        options = FetchOptions(allow_missing=allow_missing, keep_existing=keep, replace_existing=overwrite is True)
        fetch_references(map(find, paths), os.path.abspath(folder), default_handler(), options)

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
        self._load_references(unresolved, folder)
        return folder

    @ensure_logged
    def verify(self, root: str | None = None) -> bool:
        """Compares a folder with the version: every file's digest, and files that do not belong.  References are skipped.

        Args:
            root: the folder; default: where `download` puts it, and it is downloaded when that folder is not there.

        Returns:
            True.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft.
            ValueError: a file differs, does not belong, or is absent (`FileMissingError`).
        """
        folder = self._default_root() if root is None else os.fspath(root)
        if root is None and not os.path.isdir(folder):
            self.download()
        found = _fetcher().verify(self._logged.version_id, os.path.abspath(folder))
        if found.extra_paths:
            raise ArtifactError(f"Found file {found.extra_paths[0]} which is not a member of artifact {self.name}")
        if found.damaged_paths:
            raise DamagedError(f"Digest mismatch for file: {found.damaged_paths[0]}", reason=Reason.DIGEST_MISMATCH)
        if found.missing_paths:
            raise FileMissingError(f"{os.path.join(folder, found.missing_paths[0])} of {self.name} is not there")
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
        self._load_references(unresolved, folder)
        return os.path.join(folder, entry.path)

    def _default_root(self) -> str:
        return self._artifact_dir(self.source_name)

    def _artifact_dir(self, name: str) -> str:
        return os.path.join(os.path.abspath(this_process().settings.artifact_dir), name)

    # --- lineage ------------------------------------------------------------------------------------------------------

    @ensure_logged
    def used_by(self) -> list[PublicRun]:
        """Returns the runs that have used this version, oldest first."""
        from holdfast.public_runs import Run

        runs = _calls().version_runs(self._logged.version_id, run_pb2.EDGE_KIND_USED)
        return [Run(run) for run in runs]

    @ensure_logged
    def logged_by(self) -> PublicRun | None:
        """Returns the run that first logged this version, or None."""
        from holdfast.public_runs import Run

        run_id = self._logged.logged_by_run_id
        return Run(_calls().get_run(self._logged.entity, self._logged.project, run_id)) if run_id else None


def _version_and_path(uri: str | None) -> tuple[str, str] | None:
    """The version id and path in the URI of another artifact's entry; None for any other URI."""
    if uri is None or not uri.startswith(ENTRY_SCHEME):
        return None
    version_id, _, path = uri.removeprefix(ENTRY_SCHEME).partition("/")
    return version_id, path


def patterns(given: str | Iterable[str] | None) -> list[str]:
    """Returns patterns that may be given as one text.

    Raises:
        TypeError: one of them is no text.
    """
    found = [given] if isinstance(given, str) else list(given or ())
    for pattern in found:
        if not isinstance(pattern, str):
            raise TypeError(f"A pattern is text as in .gitignore, not {pattern!r:.200}")
    return found


def _overwrite_policy(overwrite: Overwrite) -> fetch_pb2.OverwritePolicy:
    if overwrite is True:
        return fetch_pb2.OVERWRITE_POLICY_REPLACE
    if overwrite is False or overwrite == "fail":
        return fetch_pb2.OVERWRITE_POLICY_FAIL
    if overwrite == "keep":
        return fetch_pb2.OVERWRITE_POLICY_KEEP
    raise ValueError(f"overwrite must be True, False, 'fail' or 'keep', not {overwrite!r:.200}")


def _calls() -> RegistryCalls:
    return RegistryCalls(this_process().daemon)


def _fetcher() -> Fetcher:
    return Fetcher(this_process().daemon)
