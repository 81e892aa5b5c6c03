"""ControlService: the daemon about itself."""

import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc.aio

from holdfast_contract import limits
from holdfast_contract.reasons import Reason
from holdfast_daemon import __version__
from holdfast_daemon.cache.pack_cache import PackCache
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.journal.rows import JobRow
from holdfast_daemon.pipeline.bandwidth import Bandwidth
from holdfast_daemon.pipeline.job import Job, job_from_row
from holdfast_daemon.pipeline.jobs import Jobs
from holdfast_daemon.pipeline.pacing import WEIGHTS
from holdfast_daemon.pipeline.seeds import Seeds
from holdfast_daemon.registry_login import Login
from holdfast_daemon.spool.spool import Spool
from holdfast_daemon.workers import Workers
from holdfastpb.common.v1.hello_pb2 import Chunking, HelloRequest, HelloResponse, Limits
from holdfastpb.daemon.v1 import control_pb2 as pb
from holdfastpb.daemon.v1.control_pb2_grpc import ControlServiceServicer

Context = grpc.aio.ServicerContext
JOBS_PAGE_MAX = 1000


@dataclass(frozen=True, slots=True)
class About:
    """What the daemon's lifecycle knows, for this service."""

    fixed: pb.GetStatusResponse
    """Fields of the status that don't change."""
    instance_id: str
    drain: Callable[[], None]
    registry_problem: Callable[[], str]
    """Why the registry does not answer; empty when it does, as far as known."""
    rates: Callable[[], tuple[int, int]]
    """Bytes read and bytes sent, a second."""
    fetched_bytes: Callable[[], int]
    """What reading versions took since the start."""
    figures: Callable[[], pb.DaemonFigures]
    """What metrics show, too."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays of downloads."""

    cache: PackCache
    seeds: Seeds


@dataclass(frozen=True, slots=True)
class Line:
    """Limits of transfers, each way."""

    up: Bandwidth
    down: Bandwidth


class ControlService(ControlServiceServicer):
    """Unpack, call, pack."""

    def __init__(
        self,
        jobs: Jobs,
        journal: Journal,
        spool: Spool,
        workers: Workers,
        kept: Kept,
        about: About,
        login: Login,
        line: Line,
    ) -> None:
        self._jobs = jobs
        self._journal = journal
        self._spool = spool
        self._workers = workers
        self._cache = kept.cache
        self._seeds = kept.seeds
        self._about = about
        self._login = login
        self._line = line

    async def Hello(self, request: HelloRequest, context: "Context[Any, Any]") -> HelloResponse:
        """Shakes hands."""
        return answer_hello(request, self._about.instance_id)

    async def GetStatus(self, request: pb.GetStatusRequest, context: "Context[Any, Any]") -> pb.GetStatusResponse:
        """Where the daemon stands."""
        return self.status()

    def status(self) -> pb.GetStatusResponse:
        """Returns where the daemon stands."""
        status = pb.GetStatusResponse()
        status.CopyFrom(self._about.fixed)
        status.registry_problem = self._about.registry_problem()
        status.registry_reachable = not status.registry_problem
        status.spool_bytes = self._spool.used_bytes
        status.held_bytes = self._spool.kept_bytes
        status.jobs_held = sum(job.finalize is not None and job.is_held for job in self._jobs.active)
        status.cache_bytes = self._cache.bytes_kept
        status.jobs_active = sum(self._jobs.dropped_in_s(job) is None for job in self._jobs.active)
        status.clients = sum(job.streams for job in self._jobs.active)
        status.read_bytes_per_s, status.sent_bytes_per_s = self._about.rates()
        status.jobs_paused = sum(job.is_paused for job in self._jobs.active)
        status.up_bytes_per_s_max = self._line.up.bytes_per_s
        status.down_bytes_per_s_max = self._line.down.bytes_per_s
        status.fetched_bytes = self._about.fetched_bytes()
        status.figures.CopyFrom(self._about.figures())
        status.peak_memory_bytes = peak_memory_bytes(self._workers.pids())
        return status

    async def ListJobs(self, request: pb.ListJobsRequest, context: "Context[Any, Any]") -> pb.ListJobsResponse:
        """Jobs, newest first."""
        count = min(request.page_size or 100, JOBS_PAGE_MAX)
        jobs = sorted(self._jobs.active, key=lambda job: -job.row.created_at_ms)
        if not request.active_only and len(jobs) < count:
            jobs += [job_from_row(row) for row in await self._ended(count - len(jobs))]
        return pb.ListJobsResponse(jobs=[_to_message(job, self._jobs.dropped_in_s(job)) for job in jobs[:count]])

    async def Sync(self, request: pb.SyncRequest, context: "Context[Any, Any]") -> pb.SyncResponse:
        """Lets held jobs go, and hurries the others."""
        return pb.SyncResponse(job_ids=await self._jobs.release(request.job_ids))

    async def PauseJobs(self, request: pb.PauseJobsRequest, context: "Context[Any, Any]") -> pb.PauseJobsResponse:
        """Lets jobs rest."""
        return pb.PauseJobsResponse(job_ids=await self._jobs.pause(request.job_ids))

    async def ResumeJobs(self, request: pb.ResumeJobsRequest, context: "Context[Any, Any]") -> pb.ResumeJobsResponse:
        """Lets paused jobs go on."""
        return pb.ResumeJobsResponse(job_ids=await self._jobs.resume_paused(request.job_ids))

    async def CancelJobs(self, request: pb.CancelJobsRequest, context: "Context[Any, Any]") -> pb.CancelJobsResponse:
        """Stops jobs."""
        return pb.CancelJobsResponse(job_ids=await self._jobs.cancel_all(request.job_ids))

    async def SetJobPriority(
        self, request: pb.SetJobPriorityRequest, context: "Context[Any, Any]"
    ) -> pb.SetJobPriorityResponse:
        """Changes the share of jobs."""
        if not request.job_ids or request.priority not in WEIGHTS:
            raise HoldfastError(Reason.INVALID_ARGUMENT, "name at least one job, and high, normal or low")
        changed = await self._jobs.set_priority(request.job_ids, request.priority)
        return pb.SetJobPriorityResponse(job_ids=changed)

    async def SetLimits(self, request: pb.SetLimitsRequest, context: "Context[Any, Any]") -> pb.SetLimitsResponse:
        """Limits transfers."""
        up, down = self._line.up, self._line.down
        if request.HasField("up_bytes_per_s"):
            up.limit(request.up_bytes_per_s)
        if request.HasField("down_bytes_per_s"):
            down.limit(request.down_bytes_per_s)
        return pb.SetLimitsResponse(up_bytes_per_s=up.bytes_per_s, down_bytes_per_s=down.bytes_per_s)

    async def Drain(self, request: pb.DrainRequest, context: "Context[Any, Any]") -> pb.DrainResponse:
        """Begins to stop."""
        self._about.drain()
        return pb.DrainResponse()

    async def TrimCache(self, request: pb.TrimCacheRequest, context: "Context[Any, Any]") -> pb.TrimCacheResponse:
        """Evicts from the cache."""
        freed = await self._workers.in_thread(self._cache.trim, request.bytes_max)
        if request.remove_partial_files:
            freed += await self._seeds.remove_partials()
        return pb.TrimCacheResponse(freed_bytes=freed, cache_bytes=self._cache.bytes_kept)

    async def Login(self, request: pb.LoginRequest, context: "Context[Any, Any]") -> pb.LoginResponse:
        """Takes a token of the registry."""
        return await self._login.login(request.token)

    async def Logout(self, request: pb.LogoutRequest, context: "Context[Any, Any]") -> pb.LogoutResponse:
        """Forgets the token of the registry."""
        return await self._login.logout()

    async def _ended(self, count: int) -> list[JobRow]:
        return await self._journal.list_ended_jobs(count)


def answer_hello(request: HelloRequest, instance_id: str) -> HelloResponse:
    """Picks the highest protocol that both sides know.

    Raises:
        HoldfastError: PROTOCOL_MISMATCH: there is none.
    """
    protocol = min(request.protocol_max, limits.PROTOCOL_MAX)
    if protocol < max(request.protocol_min, limits.PROTOCOL_MIN):
        raise HoldfastError(
            Reason.PROTOCOL_MISMATCH,
            f"the caller (Holdfast {request.software_version}) speaks protocols {request.protocol_min} to "
            f"{request.protocol_max}, this daemon ({__version__}) {limits.PROTOCOL_MIN} to {limits.PROTOCOL_MAX}; "
            "upgrade the older one",
        )
    return HelloResponse(
        protocol=protocol,
        protocol_min=limits.PROTOCOL_MIN,
        protocol_max=limits.PROTOCOL_MAX,
        software_version=__version__,
        instance_id=instance_id,
        limits=Limits(
            message_bytes_max=limits.MESSAGE_BYTES_MAX,
            records_batch_max=limits.RECORDS_BATCH_MAX,
            find_missing_digests_max=limits.FIND_MISSING_DIGESTS_MAX,
            pack_bytes_max=limits.PACK_BYTES_MAX,
            pack_chunks_max=limits.PACK_CHUNKS_MAX,
            manifest_entries_max=limits.MANIFEST_ENTRIES_MAX,
            page_size_max=limits.PAGE_SIZE_MAX,
        ),
        chunking=own_chunking(),
    )


def own_chunking() -> Chunking:
    """How this daemon cuts files."""
    return Chunking(
        algorithm="fastcdc-2020",
        chunk_bytes_min=limits.CHUNK_BYTES_MIN,
        chunk_bytes_avg=limits.CHUNK_BYTES_AVG,
        chunk_bytes_max=limits.CHUNK_BYTES_MAX,
        single_chunk_file_bytes_max=limits.SINGLE_CHUNK_FILE_BYTES_MAX,
    )


def _to_message(job: Job, dropped_in_s: float | None) -> pb.Job:
    message = pb.Job(progress=job.progress(), held=job.finalize is not None and job.is_held and not job.has_ended)
    if dropped_in_s is not None:
        minutes = math.ceil(dropped_in_s / 60)
        message.progress.waiting_for = f"nobody: the process of this draft has ended; dropped in {minutes} min"
    if job.finalize is not None:
        message.qualified_name = f"{job.finalize.entity}/{job.finalize.project}/{job.finalize.collection}"
    if job.result is not None:
        message.progress.CopyFrom(job.result.progress)
        if job.result.HasField("version"):
            message.version = f"v{job.result.version.version_index}"
        if job.result.HasField("error"):
            message.error = job.result.error.message
    return message


def peak_memory_bytes(worker_pids: list[int]) -> int:
    """Largest resident size that the daemon and its workers have had, added up (so never too small)."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return own + sum(map(_peak_of, worker_pids))


def _peak_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            lines = file.read().splitlines()
    except OSError:
        return 0  # it has just ended, or this system has no /proc
    values = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(values[0]) * 1024 if values else 0


class Rates:
    """Bytes a second over the last few seconds, from counters that only grow."""

    WINDOW_S = 3.0

    def __init__(self, counters: Callable[[], tuple[int, int]]) -> None:
        self._counters = counters
        self._samples: list[tuple[float, tuple[int, int]]] = [(time.monotonic(), counters())]

    def sample(self) -> None:
        """Takes note of the counters; to be called about twice a second."""
        now = time.monotonic()
        self._samples = [s for s in self._samples if now - s[0] <= self.WINDOW_S] or self._samples[-1:]
        self._samples.append((now, self._counters()))

    def __call__(self) -> tuple[int, int]:
        """Rates of the two counters."""
        now = (time.monotonic(), self._counters())
        then = self._samples[0]
        elapsed = max(0.1, now[0] - then[0])
        return int((now[1][0] - then[1][0]) / elapsed), int((now[1][1] - then[1][1]) / elapsed)
