"""The order of commits: those of one client to one collection follow each other as they were finalized.

A job that waits for its turn has done all else; only the commit itself is in order, so one slow upload holds back its successors' last
call and nothing of their work.  A job that waits for the commit of one behind it (it takes entries over from it) lets that one pass.
One that is paused has no place, and takes it again, among those that are still there, when it is resumed.

Parts of distributed versions are in order among those of one version only, and pass whoever waits for others to finish theirs: else two
processes that finish could wait for each other's parts.
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
            # Those behind a head that waits for others may be the ones it waits for; and parts wait for parts, not for the head.
            for waiting in queue if queue[0].sources or job.finalize.distributed_id else queue[:1]:
                waiting.changed()
        else:
            del self._queues[job.order_key]

    async def wait(self, job: Job, *, for_part: bool = False) -> None:
        """Returns when everyone before the job has ended, or waits for it.

        Args:
            job: whose turn it is to be.
            for_part: its part is to be brought, which nobody sees yet.
        """
        while not self._may_pass(job, for_part):
            await job.wait_changed()

    def _may_pass(self, job: Job, for_part: bool) -> bool:
        queue = self._queues.get(job.order_key, [])
        return job in queue and all(
            self._depends_on(before, job) or (for_part and _lets_parts_pass(before, job))
            for before in queue[: queue.index(job)]
        )


def _lets_parts_pass(before: Job, job: Job) -> bool:
    assert before.finalize is not None, "only finalized jobs have an order"
    assert job.finalize is not None, "only finalized jobs have an order"
    is_other_version = before.finalize.distributed_id != job.finalize.distributed_id
    return is_other_version or before.finalize.distributed_finish


def _order(job: Job) -> int:
    assert job.row.finalize_order is not None, "only finalized jobs have an order"
    return job.row.finalize_order
