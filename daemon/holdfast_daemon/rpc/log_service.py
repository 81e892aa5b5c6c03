"""LogService: streams of records in, acks and progress out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from holdfast_contract.limits import MIB
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.assemble import Assembled
from holdfast_daemon.pipeline.bounded_tasks import run_to_end
from holdfast_daemon.pipeline.commit import Committer
from holdfast_daemon.pipeline.intake import Intake
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.jobs import Jobs
from holdfast_daemon.registry_client import RegistryClient
from holdfastpb.daemon.v1.log_pb2 import (
    CancelArtifactRequest,
    CancelArtifactResponse,
    EndRunRequest,
    EndRunResponse,
    Finalized,
    ListDraftEntriesRequest,
    ListDraftEntriesResponse,
    LogArtifactRequest,
    LogArtifactResponse,
    Opened,
    RecordFailed,
    WaitArtifactRequest,
    WaitArtifactResponse,
)
from holdfastpb.daemon.v1.log_pb2_grpc import LogServiceServicer
from holdfastpb.registry.v1.version_pb2 import ListManifestSegmentsRequest

PROGRESS_S = 0.1
"""Shortest time between two progress messages: a terminal shows no more."""
HEARTBEAT_S = 5.0
PAGE_BYTES_MAX = 3 * MIB
LISTINGS_KEPT = 3
"""Of one draft: two threads may still page through theirs while a third adds to it and lists it anew."""

Context = grpc.aio.ServicerContext


class LogService(LogServiceServicer):
    """Unpack, call, pack."""

    def __init__(self, intake: Intake, jobs: Jobs, committer: Committer, registry: RegistryClient) -> None:
        self._intake = intake
        self._jobs = jobs
        self._committer = committer
        self._registry = registry

    async def LogArtifact(
        self, requests: AsyncIterator[LogArtifactRequest], context: "Context[Any, Any]"
    ) -> AsyncIterator[LogArtifactResponse]:
        """One session's stream."""
        first = await anext(aiter(requests), None)
        if first is None or first.WhichOneof("what") != "open":
            raise HoldfastError(Reason.INVALID_ARGUMENT, "the first message of the stream must be Open")
        # A caller that goes away in the middle leaves journal and memory with one view of the draft.
        job = await run_to_end(self._intake.open(first.open))
        stream = _SessionStream(self._intake, job, requests)
        async for response in stream.responses():
            yield response

    async def WaitArtifact(
        self, request: WaitArtifactRequest, context: "Context[Any, Any]"
    ) -> AsyncIterator[WaitArtifactResponse]:
        """Progress until the end."""
        job = await self._jobs.find(request.job_id)
        while job.result is None:
            change = job.next_change()
            yield WaitArtifactResponse(progress=job.progress(), held=job.finalize is not None and job.is_held)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(change.wait(), HEARTBEAT_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_until_ended(job), PROGRESS_S)
        yield job.result

    async def CancelArtifact(
        self, request: CancelArtifactRequest, context: "Context[Any, Any]"
    ) -> CancelArtifactResponse:
        """Stops a job."""
        job = await self._jobs.find(request.job_id)
        return CancelArtifactResponse(cancelled=await self._jobs.cancel(job))

    async def ListDraftEntries(
        self, request: ListDraftEntriesRequest, context: "Context[Any, Any]"
    ) -> ListDraftEntriesResponse:
        """Entries of a draft, paged."""
        job = await self._jobs.find(request.session_id)
        if job.has_ended:
            return await self._list_ended(job, request.page_token)
        while not job.is_ingested:
            await job.wait_changed()
        if job.failed_records:
            raise job.failed_records[min(job.failed_records)]
        seq, start = _place_in_listing(request.page_token, job.row.acked_seq)
        if seq not in job.listings:
            if seq != job.row.acked_seq:
                text = f"{job.opened.artifact_name}: its listing is gone, since others were made after it; begin anew"
                raise HoldfastError(Reason.INVALID_ARGUMENT, text)
            assembled = await self._committer.list_draft(job)
            job.listings[seq] = assembled
            for old in sorted(job.listings)[:-LISTINGS_KEPT]:
                del job.listings[old]
        listing = job.listings[seq]
        assert isinstance(listing, Assembled), "listings are only made here"
        return _page(listing, seq, start)

    async def EndRun(self, request: EndRunRequest, context: "Context[Any, Any]") -> EndRunResponse:
        """How a run ended."""
        return EndRunResponse(must_report=await self._jobs.end_run(request.run))

    async def _list_ended(self, job: Job, page_token: str) -> ListDraftEntriesResponse:
        """A job that has ended is listed from the version it became."""
        assert job.result is not None, "a job that has ended has a result"
        if job.result.HasField("error"):
            raise HoldfastError.from_detail(job.result.error)
        version = job.result.version
        request = ListManifestSegmentsRequest(version_id=version.version_id, page_token=page_token)
        page = await self._registry.call(self._registry.versions.ListManifestSegments, request)
        return ListDraftEntriesResponse(
            segments=page.segments,
            next_page_token=page.next_page_token,
            entry_count=version.entry_count,
            size_bytes=version.size_bytes,
            digest=version.digest,
        )


async def _until_ended(job: Job) -> None:
    while job.result is None:
        await job.wait_changed()


def _place_in_listing(page_token: str, acked_seq: int) -> tuple[int, int]:
    """Which listing a page is of, by the number of its last record, and its first segment."""
    if not page_token:
        return acked_seq, 0
    seq, _, start = page_token.partition(":")
    if not (seq.isdecimal() and start.isdecimal()):
        raise HoldfastError(Reason.INVALID_ARGUMENT, f"{page_token!r:.50} is no page token of a draft's listing")
    return int(seq), int(start)


def _page(assembled: Assembled, seq: int, start: int) -> ListDraftEntriesResponse:
    end, size = start, 0
    while end < len(assembled.segments) and (end == start or size + len(assembled.segments[end]) <= PAGE_BYTES_MAX):
        size += len(assembled.segments[end])
        end += 1
    return ListDraftEntriesResponse(
        segments=assembled.segments[start:end],
        next_page_token=f"{seq}:{end}" if end < len(assembled.segments) else "",
        entry_count=assembled.entry_count,
        size_bytes=assembled.size_bytes,
        digest=assembled.digest,
    )


class _SessionStream:
    """One stream of one session: reads requests in one task while another tells what has changed."""

    def __init__(self, intake: Intake, job: Job, requests: AsyncIterator[LogArtifactRequest]) -> None:
        self._intake = intake
        self._job = job
        self._requests = requests
        self._told_acked = job.row.acked_seq
        self._told_ingested = job.ingested_seq
        self._told_failed: set[int] = set()
        self._told_finalized = job.finalize is not None
        self._problem: BaseException | None = None
        self._ended = False

    async def responses(self) -> AsyncIterator[LogArtifactResponse]:
        job = self._job
        job.streams += 1
        yield LogArtifactResponse(
            opened=Opened(acked_seq=self._told_acked, ingested_seq=self._told_ingested, finalized=self._told_finalized)
        )
        reader = asyncio.create_task(self._read())
        try:
            while True:
                change = job.next_change()
                for response in self._news():
                    yield response
                if self._ended:
                    break
                await change.wait()
            if self._problem is not None:
                raise self._problem
        finally:
            job.streams -= 1
            job.idle_since_s = asyncio.get_running_loop().time()
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader

    async def _read(self) -> None:
        try:
            async for request in self._requests:
                kind = request.WhichOneof("what")
                if kind == "batch":
                    await self._intake.add_batch(self._job, request.batch)
                elif kind == "finalize":
                    await run_to_end(self._intake.finalize(self._job, request.finalize))
        except (HoldfastError, OSError) as error:
            self._problem = error
        finally:
            self._ended = True
            self._job.changed()

    def _news(self) -> list[LogArtifactResponse]:
        """What the client has not been told."""
        job, news = self._job, []
        if job.row.acked_seq > self._told_acked:
            self._told_acked = job.row.acked_seq
            news.append(LogArtifactResponse(acked_seq=self._told_acked))
        for seq in sorted(set(job.failed_records) - self._told_failed - {0}):
            self._told_failed.add(seq)
            failed = RecordFailed(seq=seq, error=job.failed_records[seq].to_detail())
            news.append(LogArtifactResponse(record_failed=failed))
        if job.ingested_seq > self._told_ingested:
            self._told_ingested = job.ingested_seq
            news.append(LogArtifactResponse(ingested_seq=self._told_ingested))
        if job.finalize is not None and not job.is_announcing and not self._told_finalized:
            self._told_finalized = True
            news.append(LogArtifactResponse(finalized=Finalized(job_id=job.job_id)))
        return news
