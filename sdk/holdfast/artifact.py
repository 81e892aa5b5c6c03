"""`Artifact`: a draft that is filled, logged and waited for; or a logged version that is read."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Generator, Sequence
from typing import IO, TYPE_CHECKING, Any, Literal, Self

from holdfast._active_run import active_run
from holdfast._draft import Draft
from holdfast._local_file import digest_of_file, find_file
from holdfast._process import ProcessContext, this_process
from holdfast._registry_calls import RegistryCalls
from holdfast._status_checks import ensure_logged, ensure_not_finalized, not_logged
from holdfast._version_attributes import VersionAttributes, encode_for_log
from holdfast._version_reading import VersionReading
from holdfast._waiting import JobWaiter
from holdfast.manifest import ArtifactManifest, ArtifactManifestEntry
from holdfast.progress import ProgressCallback, progress_view
from holdfast.references import AddedReference, default_handler
from holdfast_contract.digest import ArtifactDigest
from holdfast_contract.metadata import to_plain_metadata
from holdfast_contract.names import check_artifact_name, check_type_name
from holdfast_contract.paths import logical_path
from holdfastpb.daemon.v1 import log_pb2
from holdfastpb.registry.v1 import version_pb2

if TYPE_CHECKING:
    from holdfast._draft import DraftListing

Policy = Literal["mutable", "immutable"]
StrPath = str | os.PathLike[str]

_ROOT_NAMES = ("", ".", "./", "/")
"""What people write for "the root of the artifact"."""


class Artifact(VersionReading):
    """A versioned set of files: fill it with the `add` methods, then pass it to `log_artifact`.

    May be filled from several threads.  In a forked child make a new one: the parent alone can go on with what it began.

    Example:
        artifact = holdfast.Artifact("mnist", type="dataset")
        artifact.add_dir("mnist/")
        holdfast.log_artifact(artifact).wait()
    """

    def __init__(
        self,
        name: str,
        type: str,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        incremental: bool = False,
        use_as: str | None = None,
        storage_region: str | None = None,
    ) -> None:
        """Makes an empty draft; nothing leaves the process before something is added.

        Args:
            name: letters, digits, "_", "-", "."; at most 128 characters.
            type: for example "dataset" or "model"; a collection holds one type.
            description: free text, Markdown.
            metadata: at most 100 keys, 1 MiB as JSON; copied.
            incremental: experimental.
            use_as: deprecated, ignored.
            storage_region: accepted for compatibility; the registry decides where bytes are.

        Raises:
            ValueError: a name, the type or the metadata breaks its rules.
            TypeError: the metadata is no dict, or holds what JSON cannot say.
        """
        check_artifact_name(name)
        check_type_name(type, artifact_name=name)
        if storage_region is not None and not (isinstance(storage_region, str) and storage_region.strip()):
            raise ValueError(f"storage_region must be a non-empty string or None, not {storage_region!r}")
        if incremental:
            warnings.warn("Using experimental arg `incremental`", stacklevel=2)
        if use_as is not None:
            warnings.warn("`use_as` is deprecated and has no effect", DeprecationWarning, stacklevel=2)
        super().__init__(name, type, description, to_plain_metadata(metadata))
        self._incremental = incremental
        self._use_as = use_as
        self._lock = threading.RLock()
        self._draft: Draft | None = Draft(self)
        self._job_id: str | None = None
        self._is_new_version: bool | None = None
        self._manifest: ArtifactManifest | None = None

    @classmethod
    def _of_version(cls, version: version_pb2.Version) -> Self:
        """Returns the artifact of a logged version."""
        artifact = cls.__new__(cls)
        VersionAttributes.__init__(artifact, version.collection, version.type, None, {})
        artifact._incremental = False
        artifact._use_as = None
        artifact._lock = threading.RLock()
        artifact._draft = None
        artifact._finalized = True
        artifact._job_id = None
        artifact._is_new_version = None
        artifact._manifest = None
        artifact._take_version(version)
        return artifact

    # --- state --------------------------------------------------------------------------------------------------------

    @property
    def incremental(self) -> bool:
        """What was given when the draft was made."""
        return self._incremental

    @property
    def use_as(self) -> str | None:
        """What was given when the draft was made; without effect."""
        return self._use_as

    @property
    def is_new_version(self) -> bool | None:
        """After `wait()`: False when the content equalled the latest version, which then is this one.  None: not logged here."""
        return self._is_new_version

    def is_draft(self) -> bool:
        """Returns whether the artifact has not been logged yet."""
        return not self.is_logged

    def finalize(self) -> None:
        """Bars further changes; `log_artifact` does it by itself."""
        self._finalized = True

    @property
    def manifest(self) -> ArtifactManifest:
        """The list of all entries.  On a draft: as it is now, after waiting for the files to be read."""
        if self.is_logged:
            return super().manifest
        listing = self._listing()
        return listing.manifest if listing is not None else ArtifactManifest((), parent=self)

    @property
    def digest(self) -> str:
        """BLAKE3 over all paths and digests, in hex; equal contents have equal digests.  On a draft as `manifest`."""
        if self._version is not None:
            return str(self._version.digest)
        listing = self._listing()
        return listing.digest if listing is not None else ArtifactDigest().hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all entries, references included.  On a draft as `manifest`."""
        if self._version is not None:
            return int(self._version.size_bytes)
        listing = self._listing()
        return listing.size_bytes if listing is not None else 0

    def _listing(self) -> DraftListing | None:
        """Returns what the draft holds; None when nothing was added, which needs no daemon."""
        return None if self._draft is None or self._draft.is_empty else self._draft.listing()

    def entry_url(self, path: str) -> str:
        """Returns a URI by which another artifact can refer to an entry."""
        if self.is_logged:
            return super().entry_url(path)
        return f"holdfast-client-artifact://{self._contents.session().session_id}/{path}"

    # --- filling ------------------------------------------------------------------------------------------------------

    @ensure_not_finalized
    @contextlib.contextmanager
    def new_file(
        self, name: str, mode: str = "x", encoding: str | None = None, policy: Policy = "mutable"
    ) -> Generator[IO[Any], None, None]:
        """Opens a temporary file that is added when it is closed without an exception.

        Args:
            name: path in the artifact.
            mode: as of `open`; "x" refuses a name that was added before, "w" replaces it.
            encoding: as of `open`.
            policy: accepted for compatibility; the file is read before this returns.

        Raises:
            ArtifactFinalizedError: after `log_artifact`.
            ValueError: the name is not allowed or, with "x", taken.
        """
        path = logical_path(name)
        overwrite = "x" not in mode
        if not overwrite and self._contents.has_path(path):
            raise ValueError(f"File with name {name!r} already exists at {path!r}")
        import tempfile  # 4 ms that most programs need not spend

        with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
            temporary = os.path.join(folder, os.path.basename(path))
            with open(temporary, mode, encoding=encoding) as file:
                try:
                    yield file
                except UnicodeEncodeError as error:
                    error.add_note(f"Hint: new_file({name!r}, encoding='utf-8') can hold any text.")
                    raise
            self.add_file(temporary, name=path, overwrite=overwrite)

    @ensure_not_finalized
    def add_file(
        self,
        local_path: str,
        name: str | None = None,
        is_tmp: bool | None = False,
        skip_cache: bool | None = False,
        policy: Policy | None = "mutable",
        overwrite: bool = False,
    ) -> ArtifactManifestEntry:
        """Adds one file.

        Args:
            local_path: a regular file, or a link to one.
            name: path in the artifact, relative, with "/"; default: the file's own name.
            is_tmp: give it a name made of its digest, so that two do not collide.
            skip_cache: accepted for compatibility; nothing is staged.
            policy: "mutable": when this returns the file has been read and may be changed.  "immutable": returns at once,
                the file is left alone until `wait()`.
            overwrite: replace an entry of the same path.

        Returns:
            The entry; its digest is asked for when somebody looks.

        Raises:
            ArtifactFinalizedError: after `log_artifact`.
            ValueError: no file, a bad path, or a path that has another content already.
            FileUnreadableError, FileChangedError: the file cannot be read, or is being written to.
        """
        file = find_file(local_path)
        path = logical_path(os.path.basename(file.path) if name is None else name)
        if is_tmp:
            folder, _, own_name = path.rpartition("/")
            own_name = ".".join([digest_of_file(file)[:20], *own_name.split(".")[1:]])
            path = f"{folder}/{own_name}" if folder else own_name
        return self._contents.add_file(file, path, mutable=_is_mutable(policy), overwrite=overwrite)

    @ensure_not_finalized
    def add_dir(
        self,
        local_path: str,
        name: str | None = None,
        skip_cache: bool | None = False,
        policy: Policy | None = "mutable",
        merge: bool = False,
    ) -> None:
        """Adds all regular files below a folder; the daemon walks it, links are followed.

        Args:
            local_path: an existing folder; at most 5,000,000 files.
            name: folder in the artifact; default: its root.
            skip_cache: accepted for compatibility; nothing is staged.
            policy: as of `add_file`; with "immutable" this takes milliseconds, whatever the folder holds.
            merge: replace entries of the same path.

        Raises:
            ArtifactFinalizedError: after `log_artifact`.
            ValueError: no folder, a bad path, or a path that has another content already.
            ArtifactError: a file cannot be read ("immutable": raised by a later call, or by `wait()`).
        """
        folder = os.path.abspath(os.fspath(local_path))
        if not os.path.isdir(folder):
            raise ValueError(f"Path is not a directory: {os.fspath(local_path)!r}")
        prefix = "" if name is None or name in _ROOT_NAMES else logical_path(name)
        self._contents.add_tree(folder, prefix, mutable=_is_mutable(policy), overwrite=merge)

    @ensure_not_finalized
    def add_reference(
        self,
        uri: ArtifactManifestEntry | str,
        name: StrPath | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> Sequence[ArtifactManifestEntry]:
        """Adds entries whose bytes stay where they are.

        Args:
            uri: `file://` of a file or folder; of any other scheme the URI alone is recorded.
            name: path in the artifact; default: the file's name, and the artifact's root for a folder.
            checksum: False takes the URI for the digest and reads nothing.
            max_objects: a folder with more files is refused; default 10,000,000.

        Returns:
            The entries.

        Raises:
            ArtifactFinalizedError: after `log_artifact`.
            ValueError: no URI, nothing there, or a name is needed.
        """
        path = None if name is None else logical_path(name)
        if isinstance(uri, ArtifactManifestEntry):
            record = log_pb2.AddReference(
                path=path or os.path.basename(uri.path), uri=uri.ref_url(), digest=uri.digest, size=uri.size or 0
            )
            found: Sequence[AddedReference] = [AddedReference(record, is_folder=False, must_be_read=False)]
        elif "://" in uri:
            found = default_handler().store_path(uri, name=path, checksum=checksum, max_objects=max_objects)
        else:
            raise ValueError("References must be URIs. To reference a local file, use file://")
        return self._contents.add_references(found)

    @ensure_not_finalized
    def remove(self, item: StrPath | ArtifactManifestEntry) -> None:
        """Removes an entry, or everything below a folder.

        Raises:
            ArtifactFinalizedError: after `log_artifact`.
            FileNotFoundError: there is no such entry or folder.
        """
        path = item.path if isinstance(item, ArtifactManifestEntry) else logical_path(item)
        self._contents.remove(path)

    def get_added_local_path_name(self, local_path: str) -> str | None:
        """Returns the path in the artifact of a local file that was added to this object, or None."""
        return self._draft.local_name(local_path) if self._draft is not None else None

    @property
    def _contents(self) -> Draft:
        assert self._draft is not None, "only called where ensure_not_finalized has passed"
        return self._draft

    def _opening(self) -> tuple[ProcessContext, log_pb2.Open]:
        """Returns what a new session of this artifact begins with."""
        process, run = this_process(), active_run()
        opening = log_pb2.Open(
            session_id=os.urandom(16).hex(),
            client_id=process.client_id,
            artifact_name=self._name,
            artifact_type=self._type,
            entity=run.entity if run is not None else process.settings.entity,
            project=run.project if run is not None else process.settings.project,
        )
        return process, opening

    # --- logging ------------------------------------------------------------------------------------------------------

    def _log(self, request: log_pb2.Finalize) -> None:
        """Hands the draft over to the daemon, once; durable when this returns.

        Args:
            request: entity, project, aliases, tags, run and use; the rest is filled in here.
        """
        with self._lock:
            if self._job_id is not None or self._version is not None:
                return
            metadata_json = encode_for_log(self._metadata)
            self._finalized = True
            request.collection = self._name
            request.type = self._type
            request.description = self._description or ""
            request.has_description = self._description is not None
            request.metadata_json = metadata_json
            self._job_id = self._contents.session().finalize(request)

    def save(self, project: str | None = None, settings: Any = None) -> None:
        """Logs a draft with the active run, or with a run of type "auto"; keeps the changes of a logged version.

        Args:
            project: of the run that is made when none is active.
            settings: accepted for compatibility.
        """
        from holdfast.runs import init

        if self.is_logged:
            request = self._update_request()
            if request is not None:
                self._take_version(RegistryCalls(this_process().daemon).update_version(request))
            return
        run = active_run()
        if run is not None:
            run.log_artifact(self)
            return
        with init(project=project, job_type="auto") as auto_run:
            auto_run.log_artifact(self)

    def wait(self, timeout: float | None = None, *, progress: ProgressCallback | None = None) -> Self:
        """Waits until the version is committed; at once when it is.  An interruption leaves the job running.

        Args:
            timeout: seconds; None waits as long as it takes.
            progress: is called with each `Progress`; default: a bar when standard error is a terminal.

        Returns:
            This artifact, whose version is known now.

        Raises:
            ArtifactNotLoggedError: it was never logged.
            WaitTimeoutError: not yet committed; the job goes on.
            ArtifactError, CommError: the job has failed; the message says which file and why.
        """
        if self.is_logged:
            return self
        if self._job_id is None:
            raise not_logged(self, "wait")
        process = this_process()
        with progress_view(progress, enabled=process.settings.progress) as show:
            committed = JobWaiter(process.daemon, self._job_id).wait(timeout, show)
        with self._lock:
            self._take_version(committed.version)
            self._is_new_version = committed.is_new
        return self

    @ensure_logged
    def new_draft(self) -> Artifact:
        """Returns a draft with this version's entries, description and metadata, to be changed and logged again."""
        draft = Artifact(self._name, self._type, self._description, self._metadata)
        draft._draft = Draft(draft, base_version_id=self._logged.version_id)
        return draft

    @ensure_logged
    def delete(self, delete_aliases: bool = False) -> None:
        """Deletes this version; its number is not given again.

        Args:
            delete_aliases: also when it has aliases, "latest" included.

        Raises:
            ArtifactNotLoggedError: it was never logged.
            HasAliasesError: (a CommError) it has aliases.
        """
        calls = RegistryCalls(this_process().daemon)
        self._version = calls.delete_version(self._logged.version_id, delete_aliases=delete_aliases)

    def __repr__(self) -> str:
        return f"<Artifact {self.qualified_name if self.is_logged else self.name}>"


def _is_mutable(policy: str | None) -> bool:
    if policy not in (None, "mutable", "immutable"):
        raise ValueError(f"Invalid policy `{policy}` specified. Policy may only be `mutable` or `immutable`.")
    return policy != "immutable"
