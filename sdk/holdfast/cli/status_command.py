"""`holdfast status`: what is being logged, how far, how fast."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import output

if TYPE_CHECKING:
    from holdfast.cli.daemon_link import DaemonLink
    from holdfast.cli.job_display import Snapshot

ENDED_JOBS_SHOWN = 10
"""Enough to see what became of a morning's work, few enough for one screen."""


def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it until interrupted.")] = False,
    interval_s: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; with --watch one line each time.")] = False,
) -> None:
    """Shows what is being logged, how far and how fast.

    Then what ended lately.  Never starts a daemon; exits 5 when none runs.
    """
    from holdfast.cli.daemon_link import DaemonLink

    link = DaemonLink.connect(start=False)
    if watch:
        show = _print_as_json_line if as_json else None
        _watch(link, interval_s, show)
    elif as_json:
        output.print_json(_as_json(take_snapshot(link)))
    else:
        from holdfast.cli.job_display import render_snapshot

        output.stdout_console().print(render_snapshot(take_snapshot(link)))


def take_snapshot(link: "DaemonLink") -> "Snapshot":
    """The daemon's state, its active jobs, and the last ones that ended."""
    from holdfast.cli.job_display import ENDED, Snapshot

    jobs = link.jobs()
    ended = [job for job in jobs if job.progress.state in ENDED][:ENDED_JOBS_SHOWN]
    return Snapshot(link.status(), [job for job in jobs if job.progress.state not in ENDED] + ended)


def _watch(link: "DaemonLink", interval_s: float, show: "Callable[[Snapshot], None] | None") -> None:
    if show is not None:
        while True:
            show(take_snapshot(link))
            time.sleep(interval_s)
    from rich.live import Live

    from holdfast.cli.job_display import render_snapshot

    with Live(console=output.stdout_console(), auto_refresh=False) as live:
        while True:
            live.update(render_snapshot(take_snapshot(link)), refresh=True)
            time.sleep(interval_s)


def _as_json(snapshot: "Snapshot") -> dict[str, object]:
    from holdfast.cli.job_display import job_as_json, status_as_json

    return {"daemon": status_as_json(snapshot.status), "jobs": [job_as_json(job) for job in snapshot.jobs]}


def _print_as_json_line(snapshot: "Snapshot") -> None:
    output.print_json_line(_as_json(snapshot))
