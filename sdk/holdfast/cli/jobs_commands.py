"""`holdfast jobs …`: what the daemon is doing for whom, and pause, resume, cancel and priority of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import output
from holdfast.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from holdfast._job_calls import JobCalls
    from holdfast._offline_calls import OfflineCalls
    from holdfastpb.daemon.v1.control_pb2 import Job

jobs_app = typer.Typer(help="The artifacts that are on their way: list, pause, resume, cancel, priority.")

JobsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[JOB]…", help="Ids or beginnings of them, or names of artifacts.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All jobs that have not ended.")]
ID_CHARS_SHOWN = 8
ID_CHARS_MIN = 4
"""A shorter beginning of an id is more likely a slip than a choice."""


@jobs_app.callback(invoke_without_command=True)
def list_jobs(
    context: typer.Context,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that have ended lately.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Lists jobs, newest first.  Never starts a daemon; exits 5 when none runs."""
    if context.invoked_subcommand is not None:
        return
    from holdfast.cli.daemon_link import DaemonLink
    from holdfast.cli.job_display import ENDED, job_as_json, job_rows

    jobs = [job for job in DaemonLink.connect(start=False).jobs() if ended or job.progress.state not in ENDED]
    if as_json:
        output.print_json([job_as_json(job) for job in jobs])
    else:
        output.stdout_console().print(job_rows(jobs, id_chars=ID_CHARS_SHOWN))


@jobs_app.command("pause")
def pause(jobs: JobsArgument = None, all_: AllOption = False) -> None:
    """Stops reading and sending within seconds; what was done is kept, also when the daemon ends."""
    offline, calls = _calls()
    _report("paused", calls.pause(_wanted(offline, jobs, all_)), offline)


@jobs_app.command("resume")
def resume(jobs: JobsArgument = None, all_: AllOption = False) -> None:
    """Lets paused jobs go on where they were."""
    offline, calls = _calls()
    _report("resumed", calls.resume(_wanted(offline, jobs, all_)), offline)


@jobs_app.command("cancel")
def cancel(jobs: JobsArgument = None, all_: AllOption = False) -> None:
    """Stops jobs for good and frees what they have stored; who waits for one gets an error."""
    offline, calls = _calls()
    wanted = _wanted(offline, jobs, all_)
    cancelled = calls.cancel(wanted)
    _report("cancelled", cancelled, offline)
    if left := len(set(wanted) - set(cancelled)):
        raise CommandError(f"{left} jobs had ended before")


@jobs_app.command("priority")
def priority(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id or a beginning of it, or the name of an artifact.")],
    level: Annotated[str, typer.Argument(metavar="high|normal|low", help="What it is to have from now on.")],
) -> None:
    """Changes a job's share of what is sent: 64, 8 or 1 parts against those of other jobs."""
    from holdfast._job_calls import priority_of
    from holdfast.errors import UsageError

    try:
        wanted = priority_of(level)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error
    offline, calls = _calls()
    _report(f"{level} priority", calls.set_priority(_wanted(offline, [job], False), wanted), offline)


def _calls() -> tuple[OfflineCalls, JobCalls]:
    from holdfast._job_calls import JobCalls
    from holdfast._offline_calls import OfflineCalls
    from holdfast._process import this_process

    daemon = this_process().daemon
    daemon.connect()
    return OfflineCalls(daemon), JobCalls(daemon)


def _wanted(offline: OfflineCalls, named: Sequence[str] | None, all_: bool) -> list[str]:
    """Ids of the jobs that were named, or of all that have not ended.

    Raises:
        BadParameter: neither or both were given.
        CommandError: nothing to be found under a name, or several.
    """
    if bool(named) == all_:
        raise typer.BadParameter("name jobs, or say --all")
    from holdfast.cli.job_display import ENDED

    active = [job for job in offline.jobs(active_only=True) if job.progress.state not in ENDED]
    if all_:
        if not active:
            raise CommandError("no job is on its way", ExitCode.NOT_FOUND)
        return [job.progress.job_id for job in active]
    return [found.progress.job_id for name in named or () for found in _named(active, name)]


def _named(jobs: Sequence[Job], name: str) -> list[Job]:
    found = [job for job in jobs if _has_id(job, name)] or [job for job in jobs if _has_name(job, name)]
    if not found:
        raise CommandError(f"no job that has not ended is called {name!r}; see `holdfast jobs`", ExitCode.NOT_FOUND)
    if len(found) > 1:
        ids = ", ".join(job.progress.job_id[:ID_CHARS_SHOWN] for job in found[:5])
        raise CommandError(f"{name!r} may be any of {len(found)} jobs; name one by its id: {ids}")
    return found


def _has_id(job: Job, name: str) -> bool:
    return len(name) >= ID_CHARS_MIN and job.progress.job_id.startswith(name.lower())


def _has_name(job: Job, name: str) -> bool:
    full = job.qualified_name or job.progress.artifact_name
    return full == name or full.endswith(f"/{name}")


def _report(what: str, job_ids: Sequence[str], offline: OfflineCalls) -> None:
    names = {job.progress.job_id: job.qualified_name or job.progress.artifact_name for job in offline.jobs()}
    for job_id in job_ids:
        output.print_line(f"{what}: {job_id[:ID_CHARS_SHOWN]} {names.get(job_id, '')}".rstrip())
