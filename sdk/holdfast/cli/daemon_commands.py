"""`holdfast daemon …`: start, stop, look at and install the daemon of this user and data folder."""

import os
import time
from typing import Annotated

import typer

from holdfast.cli import output, service_units
from holdfast.cli.exit_codes import CommandError, ExitCode
from holdfast.cli.log_tail import follow, last_lines
from holdfast.cli.process_end import wait_for_end
from holdfast_contract.places import find_places

daemon_app = typer.Typer(help="The daemon on this machine; programs start it when they need it.", no_args_is_help=True)

STOP_TIMEOUT_S = 12.0
"""A drain takes at most 10 s; two more for a loaded machine."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@daemon_app.command("start")
def start(as_json: JsonOption = False) -> None:
    """Starts the daemon unless it runs, and says which one it is."""
    from holdfast.cli.daemon_link import find_only_launcher

    find_only_launcher().forget_starts()
    _show_status(as_json, start=True)


@daemon_app.command("status")
def show_status(as_json: JsonOption = False) -> None:
    """Shows the running daemon's state.  Never starts one; exits 5 when none runs."""
    _show_status(as_json, start=False)


def _show_status(as_json: bool, *, start: bool) -> None:
    from holdfast.cli.daemon_link import DaemonLink
    from holdfast.cli.job_display import status_as_json, status_fields

    status = DaemonLink.connect(start=start).status()
    if as_json:
        output.print_json(status_as_json(status))
    else:
        output.print_fields(status_fields(status, now_ms=time.time_ns() // 1_000_000))


@daemon_app.command("stop")
def stop() -> None:
    """Lets the daemon finish what it must and end; what is acknowledged goes on when the next one starts."""
    from holdfast.cli.daemon_link import DaemonLink, find_only_launcher

    link = DaemonLink.find()
    if link is None:
        output.say("no daemon is running")
        return
    status = link.status()
    link.drain()
    if wait_for_end(status.pid, STOP_TIMEOUT_S):
        find_only_launcher().forget_starts()
        kept = f"; {status.jobs_active} unfinished jobs are kept for the next one" if status.jobs_active else ""
        output.say(f"the daemon (process {status.pid}) has ended{kept}")
        return
    raise CommandError(
        f"the daemon (process {status.pid}) still runs {STOP_TIMEOUT_S:.0f} s after it was asked to end;"
        f" see {find_places(os.environ).daemon_log}.  Killing it loses nothing: kill -9 {status.pid}"
    )


@daemon_app.command("limit")
def limit(
    up: Annotated[
        str | None, typer.Option("--up", metavar="RATE", help="Of all uploads: 20MB/s, 500KiB/s, off.")
    ] = None,
    down: Annotated[str | None, typer.Option("--down", metavar="RATE", help="Of all downloads.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Limits transfers until the daemon ends, and shows the limits in force.

    The settings `up` and `down` hold for each start.  Packs that a registry on this machine takes as files are not limited.
    """
    from holdfast._job_calls import JobCalls
    from holdfast._process import this_process
    from holdfast_contract.rates import parse_rate

    try:
        rates = [None if text is None else parse_rate(text) for text in (up, down)]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    daemon = this_process().daemon
    daemon.connect()
    limits = JobCalls(daemon).limit(*rates)
    if as_json:
        output.print_json({"up_bytes_per_s": limits.up_bytes_per_s, "down_bytes_per_s": limits.down_bytes_per_s})
        return
    for way, rate in (("up", limits.up_bytes_per_s), ("down", limits.down_bytes_per_s)):
        output.print_line(f"{way}: {output.human_size(rate)}/s" if rate else f"{way}: off")


@daemon_app.command("logs")
def logs(
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Show the last N lines.")] = 50,
    follow_: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written.")] = False,
    registry: Annotated[bool, typer.Option("--registry", help="The embedded registry's log instead.")] = False,
) -> None:
    """Prints the end of the daemon's log."""
    places = find_places(os.environ)
    path = places.registry_log if registry else places.daemon_log
    try:
        for line in follow(path, lines) if follow_ else last_lines(path, lines):
            output.print_line(line)
    except FileNotFoundError as error:
        raise CommandError(
            f"{path} does not exist: nothing has run with this data folder", ExitCode.NOT_FOUND
        ) from error


@daemon_app.command("install-service")
def install_service(
    system: Annotated[bool, typer.Option("--system", help="Print how to install the unit for all users.")] = False,
) -> None:
    """Installs the daemon as a systemd user service, and prints the commands that start it."""
    if system:
        for command in service_units.system_unit_commands(os.environ):
            output.print_line(command)
        return
    path = service_units.install_user_unit(os.environ)
    output.say(f"wrote {path}; now run:")
    output.print_line("systemctl --user daemon-reload")
    output.print_line("systemctl --user enable --now holdfast-daemon")
