"""Leases: a job begins once, however many parts of the daemon ask for it, and what was merged under it stays merged."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.journal.rows import JobRow
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.leases import Leases
from holdfast_daemon.registry_client import RegistryClient
from holdfastpb.daemon.v1.log_pb2 import JOB_STATE_COMMIT, Finalize, Open
from holdfastpb.registry.v1.version_pb2 import BeginVersionRequest, BeginVersionResponse, Lease

JOB_ID = "ab" * 16


class SlowRegistry:
    """Answers begins when it is told to; each answer tells how many were asked before."""

    versions = SimpleNamespace(BeginVersion=None)

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def call(self, _: object, request: BeginVersionRequest) -> BeginVersionResponse:
        number = len(self.asked)
        self.asked.append(request.request_id)
        self.was_asked.set()
        await self.may_answer.wait()
        lease = Lease(lease_id=f"lease-{number}", ttl_s=60)
        return BeginVersionResponse(version_id=f"version-{number}", lease=lease, latest_version_id=f"latest-{number}")


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite")
    yield made
    made.close()


async def new_job(journal: Journal) -> Job:
    row = JobRow(JOB_ID, "c", b"", JOB_STATE_COMMIT, 0, 0)
    await journal.open_job(row)
    return Job(row, Open(), Finalize(entity="e", project="p", collection="c", incremental=True))


def leases_of(journal: Journal, registry: SlowRegistry) -> Leases:
    return Leases(journal, cast(RegistryClient, cast(object, registry)))


async def test_two_who_ask_at_once_begin_one_version(journal: Journal) -> None:
    registry = SlowRegistry()
    leases, job = leases_of(journal, registry), await new_job(journal)
    both = [asyncio.create_task(leases.ensure(job)) for _ in range(2)]
    await registry.was_asked.wait()
    registry.may_answer.set()
    assert await asyncio.gather(*both) == ["lease-0", "lease-0"]
    assert len(registry.asked) == 1


async def test_a_begin_says_nothing_of_the_base_that_is_in_the_journal(journal: Journal) -> None:
    # Else a commit that is asked for meanwhile would be made on top of whatever is latest, with the entries of another one.
    registry = SlowRegistry()
    leases, job = leases_of(journal, registry), await new_job(journal)
    job.base_version_id = "merged"
    registry.may_answer.set()
    await leases.ensure(job)
    assert (job.latest_version_id, job.base_version_id) == ("latest-0", "merged")


async def test_a_job_that_is_forgotten_while_it_begins_begins_again(journal: Journal) -> None:
    registry = SlowRegistry()
    leases, job = leases_of(journal, registry), await new_job(journal)
    asking = asyncio.create_task(leases.ensure(job))
    await registry.was_asked.wait()
    await leases.forget(job)
    registry.may_answer.set()
    assert await asking == "lease-1"
    assert registry.asked[1] == job.row.begin_request_id != registry.asked[0]
