"""Places of incremental jobs: one after another within a collection, and nothing is remembered of collections that nobody writes."""

import asyncio
import gc
from typing import Any, cast

from holdfast_daemon.journal.rows import JobRow
from holdfast_daemon.pipeline.incremental import IncrementalBases
from holdfast_daemon.pipeline.job import Job
from holdfastpb.daemon.v1.log_pb2 import JOB_STATE_DRAFT, Finalize, Open
from holdfastpb.registry.v1.version_pb2 import CommitVersionResponse


def job_of(collection: str) -> Job:
    finalize = Finalize(entity="e", project="p", collection=collection, incremental=True)
    return Job(JobRow("ab" * 16, "c", b"", JOB_STATE_DRAFT, 0, 0), Open(), finalize)


def bases() -> IncrementalBases:
    return IncrementalBases(cast(Any, None), cast(Any, None), 1.0)


async def test_those_that_lost_go_one_after_another_within_a_collection() -> None:
    held = bases()
    changed = CommitVersionResponse(base_changed=True)
    entered = []

    async def second() -> None:
        with held.place_of(job_of("c")) as place:
            await held.take_turn(job_of("c"), changed, place)
            entered.append("second")

    with held.place_of(job_of("c")) as place:
        await held.take_turn(job_of("c"), changed, place)
        task = asyncio.create_task(second())
        with held.place_of(job_of("other")) as elsewhere:
            await held.take_turn(job_of("other"), changed, elsewhere)
        entered.append("first")
    await task
    assert entered == ["first", "second"]


async def test_nothing_is_kept_of_collections_that_nobody_writes() -> None:
    held = bases()
    for number in range(100):
        with held.place_of(job_of(f"c{number}")):
            pass
    gc.collect()
    assert not held._locks
