"""The order of commits: those of one client to one collection follow each other as they were finalized.

A job that waits for its turn has done all else; only the commit itself is in order, so one slow upload holds back its successors' last
call and nothing of their work.
"""

from bisect import insort

from holdfast_daemon.pipeline.job import Job

Key = tuple[str, str, str, str]


class Turns:
    """Queues of finalized jobs, one for each client and collection."""

    def __init__(self) -> None:
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
            queue[0].changed()
        else:
            del self._queues[job.order_key]

    async def wait(self, job: Job) -> None:
        """Returns when everyone before the job has ended."""
        while self._queues[job.order_key][0] is not job:
            await job.wait_changed()


def _order(job: Job) -> int:
    assert job.row.finalize_order is not None, "only finalized jobs have an order"
    return job.row.finalize_order
