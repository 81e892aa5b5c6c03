"""Every error that the SDK raises, and the one table from the reasons on the wire to them.

Error                            all of ours but the status errors; `reason` says why for machines
  CommError                      the daemon or the registry refused a call, or could not be asked
    UnavailableError             nobody answers at the moment; what was acknowledged goes on by itself
      DaemonStartError           the daemon cannot be started; the message has the end of its log
    ProtocolMismatchError        SDK, daemon and registry are too far apart in version
    AuthenticationError          the token is wrong
    PermissionDeniedError        the token may not do this
    NotFoundError                no such artifact, version or run
      VersionDeletedError        it was deleted
    ConflictError                somebody else was faster, or an id was used twice
    HasAliasesError              a version with aliases is not deleted by accident
    QuotaExceededError           over the quota of entity or token
    InvalidRequestError          (ValueError) an argument of the public API breaks its rules
    InternalError                a defect of Holdfast
  ArtifactError (ValueError)     an artifact cannot be made, logged or read as asked
    InvalidInputError            a name, path, metadata or argument breaks its rules
    PathConflictError            two entries want one path
    TypeMismatchError            the collection holds artifacts of another type
    SemanticVersionExistsError   another version has this semantic version
    SemanticVersionDeletedError  a deleted version had it, and none is given twice
    FileMissingError             (FileNotFoundError) a file was gone when it was to be read
    FileUnreadableError          a file cannot be opened or read, or is no regular file
    FileChangedError             a file was written to while it was being read
    SymlinkCycleError            links lead back to where they began
    ReferenceMissingError        (FileNotFoundError) a referenced object is gone
    UnknownSchemeError           no handler knows how to fetch a reference
    ReferenceChangedError        a referenced object is not the one that was logged
    DamagedError                 stored bytes are not the ones that were promised
    MalformedObjectError         the file of a table, an image or another object is not what its type needs
    DistributedError             the parts of a distributed version do not come together
    CancelledError               the job was cancelled
    OutOfSpaceError              a disk or the store is full
  WaitTimeoutError               `wait(timeout)` ran out; the job goes on
  UsageError                     a call at the wrong time, or arguments that contradict each other
    ConfigError                  a value of a run's config is not to be changed
  MissingPackageError            (ImportError) an optional package is not installed; the message has the command
ArtifactStatusError (AttributeError)
  ArtifactNotLoggedError         it needs `wait()` first
  ArtifactFinalizedError         it was logged already
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from holdfast_contract.call_context import REQUEST_ID_DETAIL
from holdfast_contract.reasons import REASONS, Reason


class Error(Exception):
    """What went wrong, to which file or version, and what to do; see `reason` for machines."""

    default_reason: ClassVar[Reason | None] = None

    def __init__(
        self, message: str = "", *, reason: Reason | None = None, detail: Mapping[str, str] | None = None
    ) -> None:
        """Makes the error; `detail` has machine-readable particulars such as "path" and "expected"."""
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.detail = dict(detail or {})
        # What whoever runs the daemon or the registry finds the request by, in their logs; empty: there was none.
        self.request_id = self.detail.pop(REQUEST_ID_DETAIL, "")
        self.retry_after_s = 0.0

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later without anyone changing it."""
        return self.reason is not None and REASONS[self.reason].retryable

    def __str__(self) -> str:
        return self.message


class CommError(Error):
    """The daemon or the registry refused a call, or could not be asked."""


class UnavailableError(CommError):
    """Nobody answers at the moment; what was acknowledged goes on by itself."""

    default_reason = Reason.UNAVAILABLE


class DaemonStartError(UnavailableError):
    """The daemon cannot be started; the message has the end of its log."""


class ProtocolMismatchError(CommError):
    """SDK, daemon and registry share no protocol version; upgrade the older one."""

    default_reason = Reason.PROTOCOL_MISMATCH


class AuthenticationError(CommError):
    """The token is absent, unknown, expired or revoked."""

    default_reason = Reason.UNAUTHENTICATED


class PermissionDeniedError(CommError):
    """The token's role does not allow this, or the registry serves it to the daemon only."""

    default_reason = Reason.PERMISSION_DENIED


class NotFoundError(CommError):
    """No such artifact, version or run, or the caller may not know that it exists."""

    default_reason = Reason.NOT_FOUND


class VersionDeletedError(NotFoundError):
    """The version was deleted; it can be restored until the sweep."""

    default_reason = Reason.VERSION_DELETED


class ConflictError(CommError):
    """Somebody else changed it since it was read, or an id was used for something else; read again, then repeat."""

    default_reason = Reason.ETAG_MISMATCH


class HasAliasesError(CommError):
    """The version still has aliases; pass `delete_aliases=True` to delete it with them."""

    default_reason = Reason.HAS_ALIASES


class QuotaExceededError(CommError):
    """The entity or the token is over its quota."""

    default_reason = Reason.QUOTA_EXCEEDED


class InvalidRequestError(CommError, ValueError):
    """An argument of the public API breaks its rules; W&B's documents say `ValueError`, its client raises `CommError`."""


class InternalError(CommError):
    """A defect of Holdfast; the log of the answering process has the details."""

    default_reason = Reason.INTERNAL


class ArtifactError(Error, ValueError):
    """An artifact cannot be made, logged or read as asked."""


class InvalidInputError(ArtifactError):
    """A name, path, metadata or argument breaks its rules."""

    default_reason = Reason.INVALID_ARGUMENT


class PathConflictError(ArtifactError):
    """Two entries want the same path, or one is a folder of the other."""

    default_reason = Reason.PATH_COLLISION


class TypeMismatchError(ArtifactError):
    """The collection holds artifacts of another type; choose another name or the collection's type."""

    default_reason = Reason.TYPE_MISMATCH


class FileMissingError(ArtifactError, FileNotFoundError):
    """A file to be logged was gone when it was read."""

    default_reason = Reason.FILE_MISSING


class FileUnreadableError(ArtifactError):
    """A file to be logged cannot be opened or read, or is a socket, pipe or device."""

    default_reason = Reason.FILE_UNREADABLE


class FileChangedError(ArtifactError):
    """A file was written to while it was being read; log it again when its writer is done."""

    default_reason = Reason.FILE_CHANGED


class SymlinkCycleError(ArtifactError):
    """Following symbolic links leads back to where they began."""

    default_reason = Reason.SYMLINK_CYCLE


class ReferenceMissingError(ArtifactError, FileNotFoundError):
    """A referenced object does not exist any more; `allow_missing_references=True` skips it."""

    default_reason = Reason.REFERENCE_MISSING


class UnknownSchemeError(ArtifactError):
    """No handler knows how to fetch a reference; `register_handler` adds one, `allow_missing_references=True` skips it."""

    default_reason = Reason.INVALID_ARGUMENT


class ReferenceChangedError(ArtifactError):
    """A referenced object is not the one that was logged."""

    default_reason = Reason.REFERENCE_CHANGED


class DamagedError(ArtifactError):
    """Stored bytes are not the ones that were promised; `holdfast registry fsck` says what else is hurt."""

    default_reason = Reason.STORE_DAMAGED


class MalformedObjectError(ArtifactError):
    """The file of an object is not what its type needs; the message names artifact, file and key, and `detail` has them."""


class SemanticVersionExistsError(ArtifactError):
    """Another version of the artifact has this semantic version; give one that is free, or none."""

    default_reason = Reason.SEMVER_EXISTS


class SemanticVersionDeletedError(ArtifactError):
    """A deleted version of the artifact had this semantic version, and none is given twice; give another one."""

    default_reason = Reason.SEMVER_REUSED


class DistributedError(ArtifactError):
    """Parts of a distributed version contradict each other, come too late, or do not come; `detail` names path and writers."""

    default_reason = Reason.PART_CONFLICT


class CancelledError(ArtifactError):
    """The job was cancelled before it was committed."""

    default_reason = Reason.CANCELLED


class OutOfSpaceError(ArtifactError):
    """A disk or the store is full; the work resumes after space was made."""

    default_reason = Reason.OUT_OF_SPACE


class WaitTimeoutError(Error):
    """`wait(timeout)` ran out; the job goes on in the daemon, and `wait()` may be called again."""


class UsageError(Error):
    """A call at the wrong time, such as on a finished run, or arguments that contradict each other."""


class ConfigError(UsageError):
    """A value of a run's config is there already and is not to be changed."""


class MissingPackageError(Error, ImportError):
    """What was asked for needs a package that is not installed; the message has the command that installs it."""


class ArtifactStatusError(AttributeError):
    """The artifact is not in the state that the call needs."""

    def __init__(self, message: str = "", name: str = "", obj: object = None) -> None:
        """Makes the error for attribute `name` of artifact `obj`."""
        super().__init__(message, name=name, obj=obj)


class ArtifactNotLoggedError(ArtifactStatusError):
    """The call needs a logged artifact: call `wait()` first."""


class ArtifactFinalizedError(ArtifactStatusError):
    """The artifact was finalized or logged and cannot be changed any more."""


EXCEPTION_OF_REASON: Mapping[Reason, type[Error]] = MappingProxyType(
    {
        Reason.INVALID_NAME: InvalidInputError,
        Reason.INVALID_PATH: InvalidInputError,
        Reason.INVALID_METADATA: InvalidInputError,
        Reason.INVALID_ARGUMENT: InvalidInputError,
        Reason.TOO_LARGE: InvalidInputError,
        Reason.PATH_COLLISION: PathConflictError,
        Reason.ALREADY_EXISTS: PathConflictError,
        Reason.TYPE_MISMATCH: TypeMismatchError,
        Reason.SEMVER_EXISTS: SemanticVersionExistsError,
        Reason.SEMVER_REUSED: SemanticVersionDeletedError,
        Reason.KIND_MISMATCH: InvalidInputError,
        Reason.TYPE_RESERVED: InvalidInputError,
        Reason.INVALID_FILTER: InvalidInputError,
        Reason.PART_CONFLICT: DistributedError,
        Reason.DISTRIBUTED_FINISHED: DistributedError,
        Reason.WRITER_LOST: DistributedError,
        Reason.NOT_FOUND: NotFoundError,
        Reason.VERSION_DELETED: VersionDeletedError,
        Reason.ETAG_MISMATCH: ConflictError,
        Reason.REQUEST_ID_REUSED: ConflictError,
        Reason.HAS_ALIASES: HasAliasesError,
        Reason.QUOTA_EXCEEDED: QuotaExceededError,
        Reason.RATE_LIMITED: QuotaExceededError,
        Reason.OUT_OF_SPACE: OutOfSpaceError,
        Reason.SPOOL_FULL: OutOfSpaceError,
        Reason.FILE_MISSING: FileMissingError,
        Reason.FILE_UNREADABLE: FileUnreadableError,
        Reason.FILE_NOT_REGULAR: FileUnreadableError,
        Reason.FILE_CHANGED: FileChangedError,
        Reason.SYMLINK_CYCLE: SymlinkCycleError,
        Reason.REFERENCE_MISSING: ReferenceMissingError,
        Reason.REFERENCE_CHANGED: ReferenceChangedError,
        Reason.DIGEST_MISMATCH: DamagedError,
        Reason.STORE_DAMAGED: DamagedError,
        Reason.CHUNK_DIGEST_MISMATCH: DamagedError,
        Reason.PACK_DAMAGED: DamagedError,
        Reason.PACK_TORN: DamagedError,
        Reason.CANCELLED: CancelledError,
        Reason.UNAUTHENTICATED: AuthenticationError,
        Reason.PERMISSION_DENIED: PermissionDeniedError,
        Reason.PROTOCOL_MISMATCH: ProtocolMismatchError,
        Reason.UNAVAILABLE: UnavailableError,
        Reason.DRAINING: UnavailableError,
        Reason.DEADLINE: UnavailableError,
        # What follows passes between daemon and registry only; a user who sees one has found a defect.
        Reason.MANIFEST_INVALID: InternalError,
        Reason.MANIFEST_DIGEST_MISMATCH: InternalError,
        Reason.BLOBS_MISSING: InternalError,
        Reason.LEASE_EXPIRED: InternalError,
        Reason.VERSION_NOT_PENDING: InternalError,
        Reason.PACK_ID_REUSED: InternalError,
        Reason.GRANT_INVALID: InternalError,
        Reason.INTERNAL: InternalError,
    }
)
"""What is raised for each reason; complete by test."""


def error_of(reason: str, message: str, detail: Mapping[str, str] | None = None) -> Error:
    """Returns the exception for what came over the wire; a reason of a newer peer gives `CommError`."""
    try:
        known = Reason(reason)
    except ValueError:
        return CommError(f"{message} ({reason})", detail=detail)
    return EXCEPTION_OF_REASON[known](message, reason=known, detail=detail)
