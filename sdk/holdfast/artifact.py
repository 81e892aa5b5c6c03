"""`Artifact`: a draft that is filled, logged and waited for; or a logged version that is read."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from holdfast._active_run import active_run
from holdfast._artifact_filling import ArtifactFilling
from holdfast._draft import Draft
from holdfast._log_session import CANCEL_ARTIFACT
from holdfast._process import ProcessContext, this_process
from holdfast._registry_calls import RegistryCalls
from holdfast._spans import span
from holdfast._status_checks import ensure_logged, not_logged
from holdfast._ttl import ArtifactTTL, ttl_message
from holdfast._version_attributes import checked_description, encode_for_log
from holdfast._waiting import JobWaiter, progress_of
from holdfast._warn_user import warn_user
from holdfast.errors import CancelledError, NotFoundError
from holdfast.manifest import ArtifactManifest
from holdfast.progress import Progress, ProgressCallback, progress_view
from holdfast_contract import call_context
from holdfast_contract.digest import ArtifactDigest
from holdfast_contract.limits import NAME_CHARS_MAX
from holdfast_contract.metadata import to_plain_metadata
from holdfast_contract.names import check_artifact_name, check_type_name
from holdfastpb.daemon.v1 import log_pb2
from holdfastpb.registry.v1 import version_pb2

if TYPE_CHECKING:
    from holdfast._draft import DraftListing
    from holdfast.runs import Run

StrPath = str | os.PathLike[str]

_logger = logging.getLogger("holdfast")


class Artifact(ArtifactFilling):
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
            warn_user("Using experimental arg `incremental`")
        if use_as is not None:
            warn_user("`use_as` is deprecated and has no effect", DeprecationWarning)
        self._begin(name, type, checked_description(description), to_plain_metadata(metadata))
        self._incremental = incremental
        self._use_as = use_as
        self._storage_region = storage_region
        self._draft = Draft(self)

    def _begin(self, name: str, type: str, description: str | None, metadata: dict[str, Any]) -> None:
        """What every artifact begins with, draft or version."""
        super().__init__(name, type, description, metadata)
        self._lock = threading.RLock()
        self._draft = None
        self._job_id: str | None = None
        self._is_cancelled = False
        self._is_of_disabled_run = False
        self._is_new_version: bool | None = None
        self._brought_part: version_pb2.Version | None = None
        self._is_distributed = False
        self._meant_for: Run | None = None
        self._manifest: ArtifactManifest | None = None
        # By the identity of the object, which is kept here: an id may be given again once its object is gone.
        self._added_objects = {}

    @classmethod
    def _of_version(cls, version: version_pb2.Version) -> Self:
        """Returns the artifact of a logged version."""
        artifact = cls.__new__(cls)
        artifact._begin(version.collection, version.type, None, {})
        artifact._finalized = True
        artifact._take_version(version)
        return artifact

    @classmethod
    def _internal(cls, name: str, type: str) -> Self:
        """Returns a draft of a type that is kept for Holdfast itself; what a name cannot hold is replaced in it."""
        artifact = cls.__new__(cls)
        artifact._begin(safe_artifact_name(name), type, None, {})
        artifact._draft = Draft(artifact)
        return artifact

    def __reduce__(self) -> tuple[Callable[[bytes], Artifact], tuple[bytes]]:
        """A logged version travels to other processes as it was read; changes that were not saved stay behind.

        Raises:
            TypeError: a draft, whose files only this process can go on adding.
        """
        if self._version is None:
            raise TypeError(
                f"Artifact {self._name!r} is a draft and cannot be pickled or copied; log it and call wait() first."
            )
        return _unpickled, (self._version.SerializeToString(),)

    # --- state --------------------------------------------------------------------------------------------------------

    @property
    def is_new_version(self) -> bool | None:
        """After `wait()`: False when the content equalled the latest version, which then is this one.  None: not logged here."""
        return self._is_new_version

    def is_draft(self) -> bool:
        """Returns whether the artifact has not been logged yet."""
        return not self.is_logged

    def belong_to_disabled_run(self) -> None:
        """Bars further changes, and lets `wait()` return at once: a run that does nothing has logged it."""
        self._finalized = True
        self._is_of_disabled_run = True

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
        stored = self._version or self._brought_part
        if stored is not None:
            return str(stored.digest)
        listing = self._listing()
        return listing.digest if listing is not None else ArtifactDigest().hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all entries, references included.  On a draft as `manifest`."""
        stored = self._version or self._brought_part
        if stored is not None:
            return int(stored.size_bytes)
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

    def _opening(self) -> tuple[ProcessContext, log_pb2.Open]:
        """Returns what a new session of this artifact begins with."""
        process, run = this_process(), self._meant_for or active_run()
        opening = log_pb2.Open(
            session_id=os.urandom(16).hex(),
            client_id=process.client_id,
            artifact_name=self._name,
            artifact_type=self._type,
            entity=run.entity if run is not None else process.settings.entity,
            project=run.project if run is not None else process.settings.project,
            hold=run is not None and run.offline,
            priority=run.upload_priority if run is not None else log_pb2.JOB_PRIORITY_UNSPECIFIED,
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
            if self._is_cancelled:
                raise CancelledError(f"Artifact {self._name} was cancelled; make a new one.")
            metadata_json = encode_for_log(self._metadata)
            self._finalized = True
            request.collection = self._name
            request.type = self._type
            request.description = self._description or ""
            request.has_description = self._description is not None
            request.metadata_json = metadata_json
            request.incremental = self._incremental
            if not isinstance(self._ttl, ArtifactTTL):
                request.ttl.CopyFrom(ttl_message(self._ttl))
            self._say_semantic_version(request.semantic_version)
            with span("log_artifact", artifact=self._name):
                request.traceparent = call_context.current.get().traceparent
                self._job_id = self._contents.session().finalize(request)
            self._is_distributed = bool(request.distributed_id)
            self._is_part = self._is_distributed and not request.distributed_finish
            if not (self._is_part or request.hold):
                this_process().own_writes.add((request.entity, request.project, self._name), self._job_id)

    def _go_on_after_part(self) -> None:
        """Lets a job that finishes the version follow the part that this object has brought, or a finish that has failed."""
        with self._lock:
            if self._is_distributed and self._version is None:
                self._job_id, self._brought_part, self._is_part = None, None, False
                self._draft = Draft(self)

    def save(self, project: str | None = None, settings: Any = None) -> None:
        """Logs a draft with the active run, or with a run of type "auto"; keeps the changes of a logged version.

        Args:
            project: of the run that is made when none is active.
            settings: of that run; see `init`.
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
        with init(project=project, job_type="auto", settings=settings) as auto_run:
            auto_run.log_artifact(self)

    def wait(self, timeout: float | None = None, *, progress: ProgressCallback | None = None) -> Self:
        """Waits until the version is committed; at once when it is.  An interruption leaves the job running.

        Of a part of a distributed version: waits until it is brought; the artifact stays a draft, which `Run.finish_artifact` commits.

        Args:
            timeout: seconds; None waits as long as it takes.
            progress: is called with each `Progress`; default: a bar when standard error is a terminal.

        Returns:
            This artifact, whose version is known now.

        Raises:
            ArtifactNotLoggedError: it was never logged, or by an offline run and not sent yet.
            WaitTimeoutError: not yet committed; the job goes on.
            ArtifactError, CommError: the job has failed; the message says which file and why.
        """
        if self.is_logged or self._is_of_disabled_run or self._brought_part is not None:
            return self
        if self._job_id is None:
            raise not_logged(self, "wait")
        process = this_process()
        seeing = progress_view(progress, enabled=process.settings.progress)
        with seeing as show, span("wait", artifact=self._name, job=self._job_id):
            committed = JobWaiter(process.daemon, self._job_id).wait(timeout, show)
        with self._lock:
            if committed.version.state == version_pb2.VERSION_STATE_PART:
                self._brought_part = committed.version
                return self
            self._take_version(committed.version)
            self._is_new_version = committed.is_new
        if not committed.is_new:
            _logger.warning(
                "Artifact %s already exists with the same content. No new version will be created.", self.name
            )
        return self

    def cancel(self) -> bool:
        """Gives the draft up, or stops its job if that is not committed yet; what it has stored is freed.

        Returns:
            Whether it will not be committed; False when the commit came first.

        Raises:
            UnavailableError: the daemon cannot be asked.
        """
        with self._lock:
            if self._version is not None:
                return False
            self._finalized = True
            session = self._draft.session_if_begun if self._draft is not None else None
            if session is not None:
                request = log_pb2.CancelArtifactRequest(job_id=session.session_id)
                session.abandon()
                response = this_process().daemon.unary(CANCEL_ARTIFACT, request, log_pb2.CancelArtifactResponse)
                self._is_cancelled = response.cancelled
            else:
                self._is_cancelled = True
            return self._is_cancelled

    def progress(self) -> Progress:
        """Returns how far the artifact is, without waiting; of one that was logged here also what was sent for it.

        Raises:
            UnavailableError: the daemon cannot be asked.
        """
        version = self._version
        if version is not None:
            if self._job_id is not None:
                try:
                    return JobWaiter(this_process().daemon, self._job_id).look()
                except NotFoundError:
                    pass  # the daemon has forgotten the job; the version says what it came to
            count, size_bytes = version.entry_count, version.size_bytes
            return progress_of(
                log_pb2.JobProgress(
                    artifact_name=self._name,
                    state=log_pb2.JOB_STATE_COMMITTED,
                    entries_read=count,
                    entries_total=count,
                    bytes_total=size_bytes,
                    bytes_read=size_bytes,
                    bytes_deduplicated=size_bytes,
                )
            )
        session = self._draft.session_if_begun if self._draft is not None else None
        if session is None:
            return progress_of(log_pb2.JobProgress(artifact_name=self._name, state=log_pb2.JOB_STATE_DRAFT))
        return JobWaiter(this_process().daemon, session.session_id).look()

    @ensure_logged
    def new_draft(self, *, name: str | None = None) -> Artifact:
        """Returns a draft with this version's entries, description and metadata, to be changed and logged again.

        Args:
            name: of the draft; default: this artifact's.
        """
        draft = Artifact(name or self._name, self._type, self._description, self._metadata)
        draft._draft = Draft(draft, base_version_id=self._logged.version_id)
        return draft

    @ensure_logged
    def delete(self, delete_aliases: bool = False) -> None:
        """Deletes this version; its number is not given again.  A link is only unlinked.

        Args:
            delete_aliases: also when it has aliases, "latest" included, or links; those go, too.

        Raises:
            ArtifactNotLoggedError: it was never logged.
            HasAliasesError: (a CommError) it has aliases or is linked.
        """
        if self.is_link:
            warn_user(f"Deleting the link {self.name} only unlinks it; its source stays.")
            self.unlink()
            return
        calls = RegistryCalls(this_process().daemon)
        self._version = calls.delete_version(self._logged.version_id, delete_aliases=delete_aliases)

    @ensure_logged
    def restore(self) -> None:
        """Takes the deletion of this version back, within the registry's undelete window; aliases and links do not come back.

        Raises:
            ArtifactNotLoggedError: it was never logged.
            NotFoundError: (a CommError) it was deleted too long ago.
        """
        logged = self._logged
        calls = RegistryCalls(this_process().daemon)
        self._version = calls.restore_version(
            logged.entity, logged.project, logged.collection, int(logged.version_index)
        )

    def _repr_html_(self) -> str:
        from holdfast._artifact_view import artifact_html

        return artifact_html(self)

    def __repr__(self) -> str:
        return f"<Artifact {self.qualified_name if self.is_logged else self.name}>"


def safe_artifact_name(text: str) -> str:
    """Returns a text as the name of an artifact: other characters become "_", and the middle of a long one is left out."""
    name = re.sub(r"[^a-zA-Z0-9_\-.]", "_", text)
    if len(name) <= NAME_CHARS_MAX:
        return name
    half = (NAME_CHARS_MAX - 2) // 2
    return f"{name[:half]}..{name[-half:]}"


def _unpickled(version: bytes) -> Artifact:
    return Artifact._of_version(version_pb2.Version.FromString(version))
