"""Jobs come to their end whatever the registry says of it, and keep nothing that is needed no more."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.journal.rows import JobRow
from holdfast_daemon.pipeline.commit import Committer
from holdfast_daemon.pipeline.intake import Intake
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.jobs import Jobs
from holdfast_daemon.pipeline.leases import Leases
from holdfast_daemon.registry_client import RegistryClient
from holdfast_daemon.tracing import NoTracing
from holdfastpb.daemon.v1.log_pb2 import JOB_STATE_CANCELLED, JOB_STATE_DRAFT, JOB_STATE_FAILED, Finalize, Open

JOB_ID = "ab" * 16


class RefusingRegistry:
    """Whoever asks has no right to."""

    versions = SimpleNamespace(AbortVersion=None, RenewLease=None, CommitVersion=None)

    async def call(self, *_: Any, **__: Any) -> Any:
        raise HoldfastError(Reason.PERMISSION_DENIED, "the token may only read")


class RefusedCommitter:
    async def commit(self, job: Job) -> Any:
        raise HoldfastError(Reason.PERMISSION_DENIED, "the token may only read")


class NoPacks:
    only_set_aside: Any = None

    def note_held(self, *_: str) -> None:
        """Nothing is spooled."""

    def packs_of(self, _: str) -> list[Any]:
        return []


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[Jobs]:
    journal = Journal(tmp_path / "journal.sqlite")
    ingest = SimpleNamespace(registry=SimpleNamespace(tracing=NoTracing()))
    made = Jobs(journal, cast(Any, NoPacks()), cast(Any, ingest), draft_ttl_s=60, finished_ttl_s=60)
    made.connect(
        cast(Committer, RefusedCommitter()), Leases(journal, cast(RegistryClient, cast(object, RefusingRegistry())))
    )
    yield made
    await made.close()
    journal.close()


async def begun(jobs: Jobs) -> Job:
    """A job without records whose version was begun at the registry."""
    opened = Open(session_id=JOB_ID, client_id="c", artifact_name="a", artifact_type="t")
    row = JobRow(JOB_ID, "c", opened.SerializeToString(), JOB_STATE_DRAFT, 0, 0)
    await jobs._journal.open_job(row)
    job = Job(row, opened)
    job.lease_id, job.version_id = "lease", "version"
    job.listings[0] = object()
    job.distrusted = frozenset([b"d" * 32])
    return job


async def test_a_job_whose_version_cannot_be_given_up_fails_all_the_same(jobs: Jobs) -> None:
    job = await begun(jobs)
    job.finalize, job.row.finalize_order = Finalize(entity="e", project="p", collection="a"), 1
    jobs.take_place(job)
    jobs.start(job)
    assert job.task is not None
    await asyncio.wait_for(job.task, 10)
    assert job.row.state == JOB_STATE_FAILED
    assert job.result is not None
    assert job.result.error.reason == Reason.PERMISSION_DENIED.value


async def test_a_job_whose_version_cannot_be_given_up_is_cancelled_all_the_same(jobs: Jobs) -> None:
    job = await begun(jobs)
    jobs.start(job)
    assert await jobs.cancel(job)
    assert job.row.state == JOB_STATE_CANCELLED


async def test_a_lease_that_may_not_be_renewed_stops_nobody_else(jobs: Jobs) -> None:
    job = await begun(jobs)
    await jobs.leases.renew_due([job, job])
    assert job.lease_id == "lease"


async def test_a_job_that_has_ended_keeps_neither_listing_nor_doubts(jobs: Jobs) -> None:
    job = await begun(jobs)
    jobs.start(job)
    await jobs.cancel(job)
    assert not job.listings
    assert not job.distrusted


async def test_only_a_draft_that_nobody_fills_is_about_to_be_dropped(jobs: Jobs) -> None:
    def dropped_in_s(finalize: Finalize | None, streams: int) -> float | None:
        row = JobRow(JOB_ID, "client", b"", JOB_STATE_DRAFT, 0, 0)
        return jobs.dropped_in_s(Job(row, Open(), finalize, streams=streams))

    left_s = dropped_in_s(None, 0)
    assert left_s is not None
    assert 0 < left_s <= 60
    assert dropped_in_s(None, 1) is None
    assert dropped_in_s(Finalize(), 0) is None


async def test_a_session_whose_opening_was_cut_off_goes_on_when_it_is_opened_again(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Open(session_id=JOB_ID, client_id="c", artifact_name="a", artifact_type="t")
    intake = Intake(jobs._journal, *(cast(Any, None),) * 3, jobs)
    open_job = jobs._journal.open_job

    async def cut_off(row: JobRow) -> None:
        await open_job(row)
        raise asyncio.CancelledError  # the caller has gone, by a fork say

    with monkeypatch.context() as patched:
        patched.setattr(jobs._journal, "open_job", cut_off)
        with pytest.raises(asyncio.CancelledError):
            await intake.open(opened)
    job = await intake.open(opened)
    job.finalize, job.row.finalize_order = Finalize(entity="e", project="p", collection="a"), 1
    jobs.take_place(job)
    job.changed()
    assert job.task is not None
    await asyncio.wait_for(job.task, 10)
    assert job.row.state == JOB_STATE_FAILED, "nobody takes it to the registry, which refuses"
