"""What the journal hands out and takes in, as the rest of the daemon sees it."""

from dataclasses import dataclass, field

from holdfastpb.daemon.v1.log_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_COMMIT,
    JOB_STATE_COMMITTED,
    JOB_STATE_DRAFT,
    JOB_STATE_FAILED,
    JOB_STATE_INGEST,
    JOB_STATE_UPLOAD,
)

ACTIVE_STATES = (JOB_STATE_DRAFT, JOB_STATE_INGEST, JOB_STATE_UPLOAD, JOB_STATE_COMMIT)
ENDED_STATES = (JOB_STATE_COMMITTED, JOB_STATE_FAILED, JOB_STATE_CANCELLED)


@dataclass(slots=True)
class JobRow:
    """One session or job, as stored."""

    job_id: str
    client_id: str
    opened: bytes
    """Open, encoded."""
    state: int
    acked_seq: int
    created_at_ms: int
    finalize: bytes | None = None
    """Finalize, encoded; None for a draft."""
    finalize_order: int | None = None
    begin_request_id: str | None = None
    commit_request_id: str | None = None
    result: bytes | None = None
    """WaitArtifactResponse, encoded, once the job has ended."""
    finalized_at_ms: int | None = None
    ended_at_ms: int | None = None
    priority: int | None = None
    """JobPriority that was set later; None: as Open and Finalize say."""
    paused: bool = False


@dataclass(slots=True)
class RecordRow:
    """One record of a session, as stored."""

    seq: int
    payload: bytes
    """Record, encoded."""
    ingested: bool
    error: bytes | None
    """ErrorDetail, encoded, of a record that cannot be done."""


@dataclass(slots=True)
class EntrySourceRow:
    """What an AddEntry record takes entries over from, as stored."""

    seq: int
    source_id: str
    is_draft: bool
    entity: str = ""
    version_id: str = ""
    problem: bytes | None = None
    """ErrorDetail, encoded, of a draft that has ended without a version."""


@dataclass(slots=True)
class PackRow:
    """One pack of the spool, as stored."""

    pack_id: bytes
    entity: str
    sealed: bool
    size_bytes: int
    fragments: list[tuple[str, int, bytes]] = field(default_factory=list)
    """(job_id, seq, PackIndex fragment), in the order of the frames."""


@dataclass(slots=True)
class IngestYield:
    """What one step of ingest has brought; becomes durable in one transaction."""

    segments: list[bytes] = field(default_factory=list)
    """ManifestSegments, encoded; their entries in any order."""
    fragments: list[bytes] = field(default_factory=list)
    """PackIndex fragments of the frames that were appended."""
    states: list[tuple[bytes, str, bytes]] = field(default_factory=list)
    """(folder, after_name, FolderState): what is known of files now."""
    entries: int = 0
    bytes_total: int = 0
    bytes_read: int = 0
    """Of bytes_total: really read; the rest was known unchanged."""
    bytes_known: int = 0
    """Of bytes_total: not put into the spool, since it is stored already."""
