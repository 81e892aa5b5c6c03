"""The order of commits: those of one client to one collection follow each other as they were finalized.

A job that waits for its turn has done all else; only the commit itself is in order, so one slow upload holds back its successors' last
call and nothing of their work.  A job that waits for the commit of one behind it (it takes entries over from it) lets that one pass.
"""

from bisect import insort
from collections.abc import Callable

from holdfast_daemon.pipeline.job import Job

Key = tuple[str, str, str, str]


class Turns:
    """Queues of finalized jobs, one for each client and collection."""

    def __init__(self, depends_on: Callable[[Job, Job], bool]) -> None:
        """Takes what tells whether one job waits for the commit of another."""
        self._depends_on = depends_on
        self._queues: dict[Key, list[Job]] = {}

    def join(self, job: Job) -> None:
        """Takes a place, by the order of the Finalize."""
        queue = self._queues.setdefault(job.order_key, [])
        if job not in queue:
            insort(queue, job, key=_order)

    def leave(self, job: Job) -> None:
        """Gives the place up, however the job ended, and wakes the next."""
        if job.finalize is None or job not in (queue := self._queues.get(job.order_key, [])):
            return
        queue.remove(job)
        if queue:
            # Those behind a head that waits for others may be the ones it waits for.
            for waiting in queue if queue[0].sources else queue[:1]:
                waiting.changed()
        else:
            del self._queues[job.order_key]

    async def wait(self, job: Job) -> None:
        """Returns when everyone before the job has ended, or waits for it."""
        queue = self._queues[job.order_key]
        while not all(self._depends_on(before, job) for before in queue[: queue.index(job)]):
            await job.wait_changed()


def _order(job: Job) -> int:
    assert job.row.finalize_order is not None, "only finalized jobs have an order"
    return job.row.finalize_order
