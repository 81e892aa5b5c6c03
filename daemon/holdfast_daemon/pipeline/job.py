"""One artifact on its way, in memory: what has been received, what is read, and who wants to hear of it.

The journal holds what must survive; this is rebuilt from it after a start.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, cast

from holdfast_contract.call_context import CallContext
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.rows import ENDED_STATES, JobRow
from holdfastpb.daemon.v1.log_pb2 import (
    JOB_PRIORITY_NORMAL,
    JOB_STATE_DRAFT,
    Finalize,
    JobPriority,
    JobProgress,
    JobState,
    Open,
    WaitArtifactResponse,
)

STEPS_PER_JOB = 4
"""Ingest steps of one job under way: two for each processor of a small machine keep the workers busy, and another job's step comes
soon."""
WAITS_FOR_SYNC = "offline: `holdfast sync` sends it"
WAITS_FOR_RESUME = "paused: `holdfast jobs resume` lets it go on"


class JobSteps(asyncio.Semaphore):
    """Room for the ingest steps of one job; while the job is paused none begins."""

    def __init__(self, until_running: Callable[[], Awaitable[None]]) -> None:
        """Takes what waits for the end of a pause."""
        super().__init__(STEPS_PER_JOB)
        self._until_running = until_running

    async def acquire(self) -> Literal[True]:
        """Waits for room, then for the end of a pause: all that have room meanwhile are this job's."""
        await super().acquire()
        try:
            await self._until_running()
        except BaseException:  # a cancellation, too: the room would be gone for ever
            self.release()
            raise
        return True


@dataclass(slots=True)
class PendingRecord:
    """A record that is not read yet."""

    seq: int
    payload: bytes


@dataclass(slots=True)
class EntrySource:
    """A version or draft that a job takes entries over from."""

    source_id: str
    """Of the version; of the session for a draft."""
    is_draft: bool
    entity: str = ""
    """Whose chunks they are; of a draft once it is committed."""
    version_id: str = ""
    """Empty: the draft is not committed yet."""
    problem: HoldfastError | None = None
    """The draft has ended without a version."""
    seqs: set[int] = field(default_factory=set)
    """The records that take from it."""


@dataclass(slots=True, eq=False)
class Job:
    """A session or job that has not ended, or has just ended."""

    row: JobRow
    opened: Open
    finalize: Finalize | None = None
    pending: list[PendingRecord] = field(default_factory=list)
    """Received and journalled, not handed out for reading."""
    failed_records: dict[int, HoldfastError] = field(default_factory=dict)
    must_flush: bool = False
    """Some bytes are only in the spool, or will be once their caller goes on: Finalize is answered when they are flushed."""
    ingested_seq: int = 0
    """Every record up to this number is read (or has failed)."""
    _ingested: set[int] = field(default_factory=set)
    entries_read: int = 0
    bytes_total: int = 0
    bytes_read: int = 0
    bytes_deduplicated: int = 0
    bytes_sent: int = 0
    waiting_for: str = ""
    result: WaitArtifactResponse | None = None
    streams: int = 0
    """SDK streams attached."""
    idle_since_s: float = field(default_factory=time.monotonic)
    task: "asyncio.Task[None] | None" = None
    lease_id: str = ""
    version_id: str = ""
    commit_sent: bool = False
    """The registry may have committed the job under its present request ids: until it says that it has not, they must not change."""
    latest_digest: str = ""
    latest_version_id: str = ""
    """Of the collection, as last heard; empty: none."""
    manifest_wanted: bool = False
    """The registry has asked for it although the content may be the latest version's: that may have moved on, or be damaged."""
    base_version_id: str = ""
    """Of an incremental job: the version whose entries are below its own in the journal, whatever it has begun since."""
    begun_for: tuple[str, str, str, str] | None = None
    """(entity, project, collection, distributed id) that the lease was opened for."""
    beginning: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a version is begun."""
    renew_at_s: float = 0.0
    """On the monotonic clock: when the lease is to be renewed."""
    is_announcing: bool = False
    """Finalized, and about to tell the registry of it before the caller goes on."""
    distrusted: frozenset[bytes] = frozenset()
    """Chunks that we took for stored and the registry does not have."""
    reading: "set[asyncio.Task[None]]" = field(default_factory=set)
    """Ingest under way."""
    steps: asyncio.Semaphore = field(init=False)
    is_resting: bool = False
    """Held, read and flushed: nothing happens by itself."""
    exports: int = 0
    """Bundles that are being written of it; a held job does not go on meanwhile."""
    sources: dict[str, EntrySource] = field(default_factory=dict)
    """What entries are taken over from, by its id."""
    takers: "set[Job]" = field(default_factory=set)
    """Jobs that take entries over from this one."""
    listings: dict[int, object] = field(default_factory=dict)
    """By acked_seq, the Assembled of the last listings of a draft, for their pages."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.steps = JobSteps(self.until_running)

    @property
    def call_context(self) -> CallContext:
        """What logs and the registry are told of calls that are made for it; the request id is the job's own."""
        return CallContext(self.job_id, self.finalize.traceparent if self.finalize else "")

    @property
    def job_id(self) -> str:
        """Id of the session and of the job."""
        return self.row.job_id

    @property
    def entity(self) -> str:
        """Whose chunks they are."""
        return self.finalize.entity if self.finalize else self.opened.entity or "local"

    @property
    def project(self) -> str:
        """Where the version goes."""
        return self.finalize.project if self.finalize else self.opened.project or "uncategorized"

    @property
    def brings_part(self) -> bool:
        """Whether it has something of its own for a distributed version; one that only finishes has not."""
        finalize = self.finalize
        return finalize is not None and bool(
            finalize.distributed_id and (self.row.acked_seq or not finalize.distributed_finish)
        )

    @property
    def has_ended(self) -> bool:
        """Committed, failed or cancelled."""
        return self.row.state in ENDED_STATES

    @property
    def is_held(self) -> bool:
        """Whether nothing of it may be sent before a Sync (of a draft: before its Finalize says otherwise)."""
        return self.finalize.hold if self.finalize else self.opened.hold

    @property
    def is_paused(self) -> bool:
        """Whether nothing of it is read or sent until somebody resumes it."""
        return self.row.paused and not self.has_ended

    @property
    def is_set_aside(self) -> bool:
        """Held or paused: its packs are not sent for its sake."""
        return self.is_held or self.is_paused

    @property
    def priority(self) -> JobPriority:
        """Its share of uploads: what was set last, else what Finalize or Open says."""
        said = self.finalize.priority if self.finalize else self.opened.priority
        return cast(JobPriority, self.row.priority or said or JOB_PRIORITY_NORMAL)

    @property
    def is_ingested(self) -> bool:
        """Every record received so far is read or has failed."""
        return self.ingested_seq >= self.row.acked_seq

    @property
    def order_key(self) -> tuple[str, str, str, str]:
        """Jobs with the same key are committed in the order of their Finalize."""
        assert self.finalize is not None, "only finalized jobs have an order"
        return self.row.client_id, self.finalize.entity, self.finalize.project, self.finalize.collection

    def mark_ingested(self, seq: int) -> None:
        """Notes that a record is done; raises `ingested_seq` over what is contiguous."""
        self._ingested.add(seq)
        while self.ingested_seq + 1 in self._ingested:
            self.ingested_seq += 1
            self._ingested.discard(self.ingested_seq)
        self.changed()

    def is_settled(self, seq: int) -> bool:
        """Whether one record is read or has failed."""
        return seq <= self.ingested_seq or seq in self._ingested

    def restart_ingest(self) -> None:
        """Everything is to be read again."""
        self.ingested_seq = 0
        self._ingested.clear()
        self.failed_records.clear()
        self.entries_read = self.bytes_total = self.bytes_read = self.bytes_deduplicated = 0

    def set_state(self, state: int) -> None:
        """Moves on; durable only where the journal says so."""
        self.row.state = state
        self.changed()

    def changed(self) -> None:
        """Wakes everyone who waits for this job."""
        event, self._changed = self._changed, asyncio.Event()
        event.set()

    def next_change(self) -> asyncio.Event:
        """Set at the next change.  Taken before looking at the job, it misses nothing that happens while one looks."""
        return self._changed

    async def wait_changed(self) -> None:
        """Returns at the next change."""
        await self._changed.wait()

    async def until_running(self) -> None:
        """Returns when the job is not paused; at once when it is not."""
        while self.is_paused:
            await self.wait_changed()

    def wait_for_outside(self, what: str) -> None:
        """Says what the job waits for; empty when it goes on."""
        if what != self.waiting_for:
            self.waiting_for = what
            self.changed()

    def progress(self) -> JobProgress:
        """Where the job stands."""
        return JobProgress(
            job_id=self.job_id,
            state=cast(JobState, self.row.state or JOB_STATE_DRAFT),
            artifact_name=self.opened.artifact_name,
            artifact_type=self.opened.artifact_type,
            entries_read=self.entries_read,
            entries_total=self.entries_read,
            bytes_total=self.bytes_total,
            bytes_read=self.bytes_read,
            bytes_deduplicated=self.bytes_deduplicated,
            bytes_sent=self.bytes_sent,
            waiting_for=self._waits_for(),
            created_at_ms=self.row.created_at_ms,
            finalized_at_ms=self.row.finalized_at_ms or 0,
            paused=self.is_paused,
            priority=self.priority,
        )

    def _waits_for(self) -> str:
        if self.is_paused:
            return WAITS_FOR_RESUME
        return self.waiting_for or (WAITS_FOR_SYNC if self.is_resting else "")


def state_name(state: int) -> str:
    """Returns the name of a job's state as it is shown."""
    return JobState.Name(cast(JobState, state or JOB_STATE_DRAFT)).removeprefix("JOB_STATE_").lower()


def job_from_row(row: JobRow) -> Job:
    """A job as the journal knows it; records are loaded separately."""
    finalize = Finalize.FromString(row.finalize) if row.finalize is not None else None
    sent = finalize is not None and not finalize.hold
    job = Job(row, Open.FromString(row.opened), finalize, commit_sent=sent)
    if row.result is not None:
        job.result = WaitArtifactResponse.FromString(row.result)
    return job
