"""Follows jobs of the daemon to their end, for commands that send them on their way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.cli import output
from holdfast.cli.exit_codes import CommandError, ExitCode
from holdfast.cli.job_display import ENDED, job_as_json, state_word
from holdfastpb.daemon.v1.control_pb2 import Job

if TYPE_CHECKING:
    from rich.table import Table

    from holdfast._offline_calls import OfflineCalls

POLL_S = 0.3
PATIENCE_S = 15.0
"""Nothing has moved for so long, and a job says that it waits for something: the daemon goes on without a watcher."""
ROWS_MAX = 20

Show = Callable[[Sequence[Job]], None]


def follow(calls: OfflineCalls, job_ids: Sequence[str], *, patiently: bool) -> list[Job]:
    """Shows jobs until all have ended, or nothing moves any more.

    Args:
        calls: to the daemon.
        job_ids: of finalized jobs.
        patiently: until all have ended, however long that takes.

    Returns:
        The jobs as they were last seen, in the order of the ids.
    """
    seen: dict[str, Job] = {}
    moved_s, state = time.monotonic(), ""
    with _view() as show:
        while True:
            found = calls.jobs()
            seen.update({job.progress.job_id: job for job in found if job.progress.job_id in set(job_ids)})
            active = [job for job in seen.values() if job.progress.state not in ENDED]
            show(active)
            if not active:
                break
            if (now := _figures(active)) != state:
                moved_s, state = time.monotonic(), now
            is_stuck = time.monotonic() - moved_s > PATIENCE_S and any(job.progress.waiting_for for job in active)
            if is_stuck and not patiently:
                break
            time.sleep(POLL_S)
    return [seen[job_id] for job_id in job_ids if job_id in seen]


def report(jobs: Sequence[Job], *, as_json: bool) -> None:
    """Prints what became of jobs.

    Raises:
        CommandError: some have failed, or are not committed yet.
    """
    if as_json:
        output.print_json({"jobs": [job_as_json(job) for job in jobs]})
    else:
        for job in jobs:
            if job.version:
                output.print_line(f"{job.qualified_name}:{job.version}")
    failed = [job for job in jobs if job.progress.state in ENDED and not job.version]
    waiting = [job for job in jobs if job.progress.state not in ENDED]
    for job in failed:
        output.say(f"{job.qualified_name}: {state_word(job)}: {job.error}")
    for job in waiting:
        output.say(f"{job.qualified_name}: {state_word(job)}, waits for {job.progress.waiting_for or 'others'}")
    if failed:
        raise CommandError(f"{len(failed)} of {len(jobs)} artifacts could not be committed")
    if waiting:
        text = f"{len(waiting)} of {len(jobs)} artifacts are not committed yet; the daemon goes on (holdfast status)"
        raise CommandError(text, ExitCode.UNREACHABLE)


def _figures(jobs: Sequence[Job]) -> str:
    return repr(
        sorted((p.job_id, p.state, p.entries_read, p.bytes_read, p.bytes_sent) for p in (job.progress for job in jobs))
    )


@contextmanager
def _view() -> Iterator[Show]:
    """A table on the terminal; nothing where there is none."""
    console = output.stderr_console()
    if not console.is_terminal:
        yield lambda jobs: None
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda jobs: live.update(_table(jobs), refresh=True)


def _table(jobs: Sequence[Job]) -> Table:
    rows = [
        (
            job.qualified_name,
            state_word(job),
            f"{output.human_size(job.progress.bytes_read)} of {output.human_size(job.progress.bytes_total)}",
            output.human_size(job.progress.bytes_deduplicated),
            output.human_size(job.progress.bytes_sent),
            job.progress.waiting_for,
        )
        for job in jobs[:ROWS_MAX]
    ]
    title = f"{len(jobs)} on their way" if len(jobs) > ROWS_MAX else None
    return output.make_table(("artifact", "state", "read", "known", "sent", "waits for"), rows, title)
