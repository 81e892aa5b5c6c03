"""Reading a logged version: its entries, its files, and who logged and used it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, cast

from holdfast._artifact_objects import StoredObject, log_types, object_file_name, object_type, read_object
from holdfast._fetch import Fetcher
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast._some_paths import some_of
from holdfast._status_checks import ensure_logged
from holdfast._text_list import text_list
from holdfast._version_attributes import VersionAttributes
from holdfast._warn_user import warn_user
from holdfast.errors import ArtifactError, DamagedError, FileMissingError, NotFoundError
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
SINGLE_LOOKUPS_MAX = 16
"""Of entries, one request each; whoever asks for more is likely to ask for many, and the whole manifest costs a few requests."""
SMALL_MANIFEST_ENTRIES = 200_000
"""Of a manifest that may be fetched whole for that: about 20 MB."""
PARQUET_TABLE = ".table.parquet"
"""Suffix of the rows of tables in Parquet form; their description lies beside it, unless somebody else has written the file."""
VERIFY_PATHS_MAX = 1_000
"""Paths of each kind that the daemon names at most."""


class VersionReading(VersionAttributes):
    """Base of `Artifact`: what can be read of a logged version."""

    _manifest: ArtifactManifest | None
    _single_lookups = 0

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
        self._single_lookups += 1
        asks_for_many = self._single_lookups > SINGLE_LOOKUPS_MAX
        if self._manifest is not None or (asks_for_many and self._logged.entry_count <= SMALL_MANIFEST_ENTRIES):
            return self.manifest.get_entry_by_path(path)
        # One segment instead of all: an entry of a large artifact costs no more than one of a small one.
        segments = _calls().manifest_segments(self._logged.version_id, path_prefix=path)
        return ArtifactManifest(segments, parent=cast("Artifact", self)).get_entry_by_path(path)

    def _find_object(self, path: str) -> tuple[ArtifactManifestEntry | None, str]:
        """Returns the file of the object of this name, and the object's log type; `PARQUET_TABLE` for a table's that stands alone."""
        path = path.removesuffix(PARQUET_TABLE)
        known = log_types()
        named = next((one for one in known if object_file_name(one, path) == path), None)
        entry = self._find(path) if named else None
        if named and entry is not None:
            return entry, named
        manifest = self._manifest
        if manifest is None:
            segments = _calls().manifest_segments(self._logged.version_id, path_prefix=f"{path}.")
            manifest = ArtifactManifest(segments, parent=cast("Artifact", self))
        for log_type in known:
            entry = manifest.get_entry_by_path(object_file_name(log_type, path))
            if entry is not None:
                return entry, log_type
        return manifest.get_entry_by_path(path + PARQUET_TABLE), PARQUET_TABLE

    @ensure_logged
    def get(self, name: str) -> StoredObject | None:
        """Returns the object that was added under a name, read anew each time; None when there is none.

        Args:
            name: as given to `add`, or the path of the object's file.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft.
            MalformedObjectError: (a ValueError) its file does not hold what its type says; names file and key.
            ArtifactError, CommError: its file cannot be had.
            MissingPackageError: its type needs a library that is not installed.
        """
        try:
            entry, log_type = self._find_object(logical_path(name))
        except ManifestPathError:
            return None
        if entry is None:
            return None
        source = _version_and_path(entry.ref)
        if source is not None and source[0] != self.id:
            # What lies beside the object lies in the artifact that it came from.
            return self._other_version(source[0]).get(source[1])
        if log_type == PARQUET_TABLE:
            from holdfast.media.table import Table

            return Table.from_parquet(entry.path, cast("Artifact", self))
        kind = object_type(log_type)
        assert kind is not None, "found among the known ones"
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
            include=patterns("include", include),
            exclude=patterns("exclude", exclude),
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
            ValueError: files differ (`DamagedError`), are absent (`FileMissingError`) or do not belong; the message names the first of
                each kind.
        """
        folder = self._default_root() if root is None else os.fspath(root)
        if root is None and not os.path.isdir(folder):
            self.download()
        found = _fetcher().verify(self._logged.version_id, os.path.abspath(folder))
        difference = _difference_of(found, folder, self.name)
        if difference is not None:
            raise difference
        if found.references_skipped:
            warn_user(f"{found.references_skipped} references of {self.name} were not verified.")
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

    def _read_small(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Returns the contents of small files by their paths; others, and what is only referred to, are left out.

        Args:
            paths: at most 1,000.

        Raises:
            Error: by the table in `errors`; asked once.
        """
        return _fetcher().read_small(self._logged.version_id, paths)

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
        if not run_id:
            return None
        try:
            return Run(_calls().get_run(self._logged.entity, self._logged.project, run_id))
        except NotFoundError:
            # A run of another project; only the edge says which.
            runs = _calls().version_runs(self._logged.version_id, run_pb2.EDGE_KIND_LOGGED)
            return Run(runs[0]) if runs else None


def _version_and_path(uri: str | None) -> tuple[str, str] | None:
    """The version id and path in the URI of another artifact's entry; None for any other URI."""
    if uri is None or not uri.startswith(ENTRY_SCHEME):
        return None
    version_id, _, path = uri.removeprefix(ENTRY_SCHEME).partition("/")
    return version_id, path


def patterns(argument: str, given: str | Iterable[str] | None) -> list[str]:
    """Returns patterns that may be given as one text.

    Args:
        argument: how the caller calls them.
        given: one or several.

    Raises:
        TypeError: they are no texts.
    """
    found = text_list(argument, given)
    for pattern in found:
        if not isinstance(pattern, str):
            raise TypeError(f"{argument}: a pattern is text as in .gitignore, not {pattern!r:.200}")
    return found


def _difference_of(found: fetch_pb2.VerifyResponse, folder: str, name: str) -> ArtifactError | None:
    """The error that names everything in which a folder is not the version; the gravest kind is its class."""
    said = []
    if found.damaged_paths:
        said.append(f"Digest mismatch for {_files_named(found.damaged_paths)}")
    if found.missing_paths:
        absent = [os.path.join(folder, path) for path in found.missing_paths]
        said.append(
            f"{absent[0]} of {name} is not there" if len(absent) == 1 else f"Not there of {name}: {_count(absent)}"
        )
    if found.extra_paths:
        extra = found.extra_paths
        one = f"Found file {extra[0]} which is not a member of artifact {name}"
        said.append(one if len(extra) == 1 else f"Found what is not a member of artifact {name}: {_count(extra)}")
    text = "; ".join(said)
    if found.damaged_paths:
        return DamagedError(text, reason=Reason.DIGEST_MISMATCH)
    if found.missing_paths:
        return FileMissingError(text)
    return ArtifactError(text) if said else None


def _files_named(paths: Sequence[str]) -> str:
    return f"file: {paths[0]}" if len(paths) == 1 else _count(paths)


def _count(paths: Sequence[str]) -> str:
    # The daemon names no more of a kind.
    at_least = "at least " if len(paths) >= VERIFY_PATHS_MAX else ""
    return f"{at_least}{len(paths):,} files ({some_of(paths)})"


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
