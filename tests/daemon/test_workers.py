"""Worker processes take only their task with them when they die, and a task that is theirs is done by the next ones."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from holdfast_daemon.workers import WorkerDiedError, Workers


async def test_a_task_that_meets_a_pool_that_is_being_closed_goes_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers(1)
    try:
        first = await workers.in_process(os.getpid)
        pool = workers._pool

        def submit(*_: object) -> None:
            raise OSError("handle is closed")  # what a pool says whose worker has died a moment ago

        monkeypatch.setattr(pool, "submit", submit)
        assert await workers.in_process(os.getpid) not in (first, os.getpid())
    finally:
        workers.close()


async def test_a_worker_that_is_killed_is_replaced_and_one_that_its_task_kills_is_not_for_ever() -> None:
    workers = Workers(1)
    try:
        first = await workers.in_process(os.getpid)
        os.kill(first, signal.SIGKILL)
        assert await workers.in_process(os.getpid) != first
        with pytest.raises(WorkerDiedError):
            await asyncio.wait_for(workers.in_process(os.abort), 30)
    finally:
        workers.close()
