"""The one list of error reasons; clients decide by reason, never by the text of a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

DOMAIN = "holdfast"
"""The `domain` of every `ErrorInfo` of ours, so that a proxy's errors are not taken for ours."""


class Reason(StrEnum):
    """Why a call failed; the wire string is the name."""

    INVALID_NAME = "INVALID_NAME"
    INVALID_PATH = "INVALID_PATH"
    INVALID_METADATA = "INVALID_METADATA"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    PATH_COLLISION = "PATH_COLLISION"
    MANIFEST_INVALID = "MANIFEST_INVALID"
    MANIFEST_DIGEST_MISMATCH = "MANIFEST_DIGEST_MISMATCH"
    BLOBS_MISSING = "BLOBS_MISSING"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    LEASE_EXPIRED = "LEASE_EXPIRED"
    VERSION_NOT_PENDING = "VERSION_NOT_PENDING"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    SEMVER_EXISTS = "SEMVER_EXISTS"
    SEMVER_REUSED = "SEMVER_REUSED"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    HAS_ALIASES = "HAS_ALIASES"
    VERSION_DELETED = "VERSION_DELETED"
    KIND_MISMATCH = "KIND_MISMATCH"
    TYPE_RESERVED = "TYPE_RESERVED"
    INVALID_FILTER = "INVALID_FILTER"
    PART_CONFLICT = "PART_CONFLICT"
    DISTRIBUTED_FINISHED = "DISTRIBUTED_FINISHED"
    WRITER_LOST = "WRITER_LOST"
    PACK_TORN = "PACK_TORN"
    PACK_DAMAGED = "PACK_DAMAGED"
    PACK_ID_REUSED = "PACK_ID_REUSED"
    CHUNK_DIGEST_MISMATCH = "CHUNK_DIGEST_MISMATCH"
    GRANT_INVALID = "GRANT_INVALID"
    OUT_OF_SPACE = "OUT_OF_SPACE"
    SPOOL_FULL = "SPOOL_FULL"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    RATE_LIMITED = "RATE_LIMITED"
    FILE_MISSING = "FILE_MISSING"
    FILE_UNREADABLE = "FILE_UNREADABLE"
    FILE_CHANGED = "FILE_CHANGED"
    FILE_NOT_REGULAR = "FILE_NOT_REGULAR"
    SYMLINK_CYCLE = "SYMLINK_CYCLE"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    REFERENCE_MISSING = "REFERENCE_MISSING"
    REFERENCE_CHANGED = "REFERENCE_CHANGED"
    TOO_LARGE = "TOO_LARGE"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    PROTOCOL_MISMATCH = "PROTOCOL_MISMATCH"
    DRAINING = "DRAINING"
    CANCELLED = "CANCELLED"
    DEADLINE = "DEADLINE"
    UNAVAILABLE = "UNAVAILABLE"
    STORE_DAMAGED = "STORE_DAMAGED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class ReasonRule:
    """How one reason travels and what its receiver may do."""

    status: str
    """Name of the `grpc.StatusCode` that carries the reason."""
    retryable: bool
    """True when the same request, sent again unchanged after a pause, may succeed."""
    meaning: str
    """One sentence for the reference documentation."""


_RETRY = True
_FINAL = False

REASONS: Mapping[Reason, ReasonRule] = MappingProxyType(
    {
        Reason.INVALID_NAME: ReasonRule(
            "INVALID_ARGUMENT",
            _FINAL,
            "A name, type, alias, tag, entity, project or run id breaks its grammar.",
        ),
        Reason.INVALID_PATH: ReasonRule(
            "INVALID_ARGUMENT",
            _FINAL,
            "A path of an entry is unsafe on some operating system.",
        ),
        Reason.INVALID_METADATA: ReasonRule(
            "INVALID_ARGUMENT",
            _FINAL,
            "Metadata is not a JSON object within the limits.",
        ),
        Reason.INVALID_ARGUMENT: ReasonRule(
            "INVALID_ARGUMENT",
            _FINAL,
            "A field of the request is malformed; the message names it.",
        ),
        Reason.PATH_COLLISION: ReasonRule(
            "INVALID_ARGUMENT",
            _FINAL,
            "Two entries cannot live together: same path, or one is a folder of the other.",
        ),
        Reason.MANIFEST_INVALID: ReasonRule(
            "INVALID_ARGUMENT",
            _FINAL,
            "The manifest is not well formed: order, columns, counts or sizes are wrong.",
        ),
        Reason.MANIFEST_DIGEST_MISMATCH: ReasonRule(
            "INVALID_ARGUMENT",
            _FINAL,
            "The announced artifact digest is not that of the manifest.",
        ),
        Reason.BLOBS_MISSING: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "The commit names chunks that are not stored; upload those listed, then repeat.",
        ),
        Reason.REQUEST_ID_REUSED: ReasonRule(
            "INVALID_ARGUMENT",
            _FINAL,
            "The request id was used before for a request with other content.",
        ),
        Reason.LEASE_EXPIRED: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "The upload's lease has ended; begin again and negotiate all digests anew.",
        ),
        Reason.VERSION_NOT_PENDING: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "The version was already committed, failed or aborted.",
        ),
        Reason.NOT_FOUND: ReasonRule(
            "NOT_FOUND",
            _FINAL,
            "The thing does not exist, or the caller may not know that it does.",
        ),
        Reason.ALREADY_EXISTS: ReasonRule(
            "ALREADY_EXISTS",
            _FINAL,
            "Something of that name exists already.",
        ),
        Reason.SEMVER_EXISTS: ReasonRule(
            "ALREADY_EXISTS",
            _FINAL,
            "Another version of the artifact has this semantic version; give one that is free, or none.",
        ),
        Reason.SEMVER_REUSED: ReasonRule(
            "ALREADY_EXISTS",
            _FINAL,
            "A deleted version of the artifact had this semantic version, and none is given twice; give another one.",
        ),
        Reason.TYPE_MISMATCH: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "The collection holds artifacts of another type.",
        ),
        Reason.ETAG_MISMATCH: ReasonRule(
            "ABORTED",
            _FINAL,
            "Someone else changed it since it was read; read again, then repeat the change.",
        ),
        Reason.HAS_ALIASES: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "The version still has aliases; remove them or ask for their removal.",
        ),
        Reason.VERSION_DELETED: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "The version was deleted; it can be restored until the sweep.",
        ),
        Reason.KIND_MISMATCH: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "A portfolio is asked for what only a sequence does (or a project for what a registry does), or the reverse.",
        ),
        Reason.TYPE_RESERVED: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "An artifact type that is kept for internal use can be neither given nor taken away.",
        ),
        Reason.INVALID_FILTER: ReasonRule(
            "INVALID_ARGUMENT",
            _FINAL,
            "A filter or order names a field or operator that is not known; the message lists those that are.",
        ),
        Reason.PART_CONFLICT: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "Two writers of a distributed version have brought one path with different contents.",
        ),
        Reason.DISTRIBUTED_FINISHED: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "The distributed version was finished before this part was brought.",
        ),
        Reason.WRITER_LOST: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "A writer of a distributed version has gone without bringing its part.",
        ),
        Reason.PACK_TORN: ReasonRule(
            "DATA_LOSS",
            _RETRY,
            "The pack ends before its trailer; the transfer was cut short, send it whole.",
        ),
        Reason.PACK_DAMAGED: ReasonRule(
            "DATA_LOSS",
            _FINAL,
            "The pack's header, index or frames contradict each other or their checksums.",
        ),
        Reason.PACK_ID_REUSED: ReasonRule(
            "ALREADY_EXISTS",
            _FINAL,
            "A different pack has this id; ids are random and never used twice.",
        ),
        Reason.CHUNK_DIGEST_MISMATCH: ReasonRule(
            "DATA_LOSS",
            _FINAL,
            "The bytes of a chunk do not have its digest.",
        ),
        Reason.GRANT_INVALID: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "The permission to move a pack is unknown, used up or expired; ask for another.",
        ),
        Reason.OUT_OF_SPACE: ReasonRule(
            "RESOURCE_EXHAUSTED",
            _FINAL,
            "The disk or store is full; work resumes after space was made.",
        ),
        Reason.SPOOL_FULL: ReasonRule(
            "RESOURCE_EXHAUSTED",
            _RETRY,
            "The spool is at its budget; it drains as packs are uploaded.",
        ),
        Reason.QUOTA_EXCEEDED: ReasonRule(
            "RESOURCE_EXHAUSTED",
            _FINAL,
            "The entity or project is over its quota of bytes or versions; work resumes after space was freed or the quota raised.",
        ),
        Reason.RATE_LIMITED: ReasonRule(
            "RESOURCE_EXHAUSTED",
            _RETRY,
            "The token makes more calls than it may, in a second or at once; nothing was done, repeat after the time that is said.",
        ),
        Reason.FILE_MISSING: ReasonRule(
            "NOT_FOUND",
            _FINAL,
            "A file to be logged was gone when it was read.",
        ),
        Reason.FILE_UNREADABLE: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "A file to be logged could not be opened or read.",
        ),
        Reason.FILE_CHANGED: ReasonRule(
            "ABORTED",
            _RETRY,
            "A file was written to while it was being read; log it again when its writer is done.",
        ),
        Reason.FILE_NOT_REGULAR: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "The path is a socket, pipe or device; only regular files can be logged.",
        ),
        Reason.SYMLINK_CYCLE: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "Following symbolic links leads back to where they began.",
        ),
        Reason.DIGEST_MISMATCH: ReasonRule(
            "DATA_LOSS",
            _FINAL,
            "The bytes of a file do not have the digest that the manifest promises.",
        ),
        Reason.REFERENCE_MISSING: ReasonRule(
            "NOT_FOUND",
            _FINAL,
            "A referenced object does not exist any more.",
        ),
        Reason.REFERENCE_CHANGED: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "A referenced object is not the one that was logged.",
        ),
        Reason.TOO_LARGE: ReasonRule(
            "INVALID_ARGUMENT",
            _FINAL,
            "Something is over a fixed limit; the message names the limit.",
        ),
        Reason.UNAUTHENTICATED: ReasonRule(
            "UNAUTHENTICATED",
            _FINAL,
            "The call carries no token, or one that is unknown, expired or revoked.",
        ),
        Reason.PERMISSION_DENIED: ReasonRule(
            "PERMISSION_DENIED",
            _FINAL,
            "The token's role does not allow this call.",
        ),
        Reason.PROTOCOL_MISMATCH: ReasonRule(
            "FAILED_PRECONDITION",
            _FINAL,
            "The two sides share no protocol version; upgrade the older one.",
        ),
        Reason.DRAINING: ReasonRule(
            "UNAVAILABLE",
            _RETRY,
            "The process is shutting down and takes no new work; its successor will.",
        ),
        Reason.CANCELLED: ReasonRule(
            "CANCELLED",
            _FINAL,
            "The caller gave the work up.",
        ),
        Reason.DEADLINE: ReasonRule(
            "DEADLINE_EXCEEDED",
            _RETRY,
            "No answer within the deadline; repeat with the same request id.",
        ),
        Reason.UNAVAILABLE: ReasonRule(
            "UNAVAILABLE",
            _RETRY,
            "The other side cannot be reached at the moment.",
        ),
        Reason.STORE_DAMAGED: ReasonRule(
            "DATA_LOSS",
            _FINAL,
            "The store lost or damaged something that it had promised to keep; run fsck.",
        ),
        Reason.INTERNAL: ReasonRule(
            "INTERNAL",
            _FINAL,
            "A defect of Holdfast; the log of the answering process has the details.",
        ),
    }
)
"""What each reason means; complete by test."""
