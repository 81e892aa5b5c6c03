"""`holdfast demo`: runs the steps in a folder and with processes of its own, and cleans up after itself."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import output
from holdfast.cli.exit_codes import CommandError, ExitCode
from holdfast.cli.process_end import listener_pid, wait_for_end
from holdfast_contract.places import find_places

if TYPE_CHECKING:
    from holdfast.cli.demo.tour import Tour

LARGE_FILE = "400MiB"
LARGE_FILE_BYTES_MIN = 16 << 20
"""Below this the daemon is done before anyone can kill it in the middle."""
TREE_ALLOWANCE_BYTES = 400 << 20
COPIES = 4
"""The data, the packs of three versions of it, the download, and the new copy while a file is replaced."""
STOP_TIMEOUT_S = 12.0


def demo(
    folder: Annotated[Path, typer.Option("--dir", help="Folder that the demo makes.")] = Path("demo-data"),
    size: Annotated[str, typer.Option(help="Size of the large file.")] = LARGE_FILE,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that log at once.")] = 4,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the folder for a look.")] = False,
) -> None:
    """Shows on real data what Holdfast promises.

    Takes a minute or two, and some gigabytes of disk for that time.  Logs a tree of thousands of files and a large file,
    again unchanged, again changed, from many processes at once, with the daemon killed in the middle; downloads, compares
    every byte, and asks for the lineage.  Uses a daemon and a registry of its own and touches nothing else.
    """
    try:
        large_file_bytes = output.parse_size(size)
    except ValueError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    if large_file_bytes < LARGE_FILE_BYTES_MIN:
        raise CommandError(f"--size must be at least {output.human_size(LARGE_FILE_BYTES_MIN)}", ExitCode.USAGE)
    if not _run(folder, large_file_bytes, workers, keep):
        raise CommandError("a promise was not kept; run it again with --keep and look into the logs there")


def _run(folder: Path, large_file_bytes: int, workers: int, keep: bool) -> bool:
    """Runs all steps; returns whether every promise was kept."""
    from holdfast.cli.demo.place import demo_place
    from holdfast.cli.demo.report import Report
    from holdfast.cli.demo.tour import Tour

    bytes_needed = COPIES * large_file_bytes + TREE_ALLOWANCE_BYTES
    with demo_place(folder, bytes_needed=bytes_needed, keep=keep) as place:
        tour = Tour(place, Report(output.stdout_console()), large_file_bytes, workers)
        started = time.perf_counter()
        try:
            for step in _steps():
                step(tour)
        finally:
            _stop_processes()
        tour.report.print_summary()
        tour.report.note(f"all of it took {output.human_duration(time.perf_counter() - started)}")
        if keep:
            tour.report.note(f"kept: {place.root}; look at it with HOLDFAST_DATA_DIR={place.places.data_dir}")
        return tour.report.all_kept


def _steps() -> "Sequence[Callable[[Tour], None]]":
    from holdfast.cli.demo import crash, steps, workers

    return (
        steps.make_data,
        steps.start_daemon,
        steps.log_first,
        steps.log_unchanged,
        steps.log_changed,
        workers.log_from_many_processes,
        crash.kill_in_the_middle,
        steps.download,
        steps.damage_and_heal,
        steps.lineage,
        crash.check_store,
    )


def _stop_processes() -> None:
    """Ends the demo's daemon and its registry, which outlives a daemon that was killed; by force when it takes too long.

    Only who listens on the demo's own sockets can be meant.
    """
    places = find_places(os.environ)
    for path in (places.daemon_socket, places.registry_socket):
        pid = listener_pid(path)
        if pid is None:
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            if not wait_for_end(pid, STOP_TIMEOUT_S):
                os.kill(pid, signal.SIGKILL)
