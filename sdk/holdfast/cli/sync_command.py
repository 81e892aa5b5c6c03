"""`holdfast sync`: sends what was logged offline."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli import output


def sync(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]…", help="Run folders: accepted and ignored, the daemon knows what waits."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay until all are committed, however long the registry is away.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Sends what was logged offline, and hurries what waits for the registry.

    Shows the progress and prints the versions. Ends with 0 when all are committed, with 1 when some failed, and with 5 when the
    registry does not answer; the daemon goes on in any case.
    """
    from holdfast._offline_calls import OfflineCalls
    from holdfast._process import this_process
    from holdfast.cli.job_watch import follow, report

    if paths:
        output.say("run folders are not needed: the daemon knows what waits to be sent, and sends all of it")
    daemon = this_process().daemon
    daemon.connect()
    calls = OfflineCalls(daemon)
    job_ids = calls.sync()
    if not job_ids:
        output.say("nothing waits to be sent")
    report(follow(calls, job_ids, patiently=watch), as_json=as_json)
