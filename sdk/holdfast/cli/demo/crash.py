"""The demo's step that kills the daemon, and the check of the whole store after it."""

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import holdfast
from holdfast.cli.demo import sample_data
from holdfast.cli.demo.tour import DATASET, Tour, last_progress, start_logging
from holdfast.cli.output import human_duration, human_size
from holdfast.cli.process_end import wait_for_end
from holdfast.cli.server_process import module_command

if TYPE_CHECKING:
    from holdfastpb.daemon.v1.log_pb2 import JobProgress

TRIES_MAX = 3
"""A machine may be quick enough to commit before the blow falls; then the demo tries again with other data."""
LOOK_PAUSE_S = 0.005
KILL_WAIT_S = 10.0
"""For the kernel to collect a process that holds some hundred megabytes."""
FSCK_TIMEOUT_S = 600.0


def kill_in_the_middle(tour: Tour) -> None:
    """Kills the daemon with SIGKILL while it reads or sends, and waits for the version as if nothing had happened."""
    tour.report.step("Killing the daemon (kill -9) in the middle of a log")
    for attempt in range(TRIES_MAX):
        sample_data.write_noise(tour.large_file, tour.large_file_bytes, sample_data.SEED + 3 + attempt)
        with holdfast.init(job_type="prepare") as run:
            draft, _ = start_logging(run, tour.place.data)
            progress, old_pid = _kill_daemon_at_work(tour.large_file_bytes // 4)
            started = time.perf_counter()
            draft.wait()
            took_s = time.perf_counter() - started
        tour.versions.append(draft)
        if progress is not None:
            break
    _report_kill(tour, progress, old_pid, took_s)


def _report_kill(tour: Tour, progress: "JobProgress | None", old_pid: int, took_s: float) -> None:
    from holdfast.cli.daemon_link import DaemonLink

    if progress is not None:
        read, sent = human_size(progress.bytes_read), human_size(progress.bytes_sent)
        tour.report.note(f"process {old_pid} was killed when it had read {read} and sent {sent}")
    new_pid = DaemonLink.connect().status().pid
    tour.report.find(
        "what log_artifact has taken is committed, whatever is killed",
        f"killed process {old_pid}; process {new_pid} went on and committed {tour.latest.name}"
        f" {human_duration(took_s)} later",
        kept=progress is not None and new_pid != old_pid and tour.latest.version == f"v{len(tour.versions) - 1}",
    )


def _kill_daemon_at_work(read_bytes_min: int) -> tuple["JobProgress | None", int]:
    """Kills the demo's daemon once it has read so much of the newest job.

    Returns:
        How far the job was, `None` when it was committed before; the daemon's process id.
    """
    from holdfast.cli.daemon_link import DaemonLink
    from holdfast.cli.job_display import ENDED

    pid = DaemonLink.connect().status().pid
    progress = last_progress(DATASET)
    while progress.state not in ENDED and progress.bytes_read < read_bytes_min:
        time.sleep(LOOK_PAUSE_S)
        progress = last_progress(DATASET)
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid, KILL_WAIT_S)
    return (None if progress.state in ENDED else progress), pid


def check_store(tour: Tour) -> None:
    """Has the registry compare its database, its packs and every digest."""
    tour.report.step("Checking the whole store, byte by byte (holdfast registry fsck --deep)")
    arguments = ["fsck", "--deep", "--json", "--data-dir", str(tour.place.places.registry_dir)]
    done = subprocess.run(
        module_command("holdfast_registry", arguments),
        capture_output=True,
        text=True,
        timeout=FSCK_TIMEOUT_S,
        check=False,
    )
    result: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
    tour.report.find(
        "a committed version is complete and correct",
        f"fsck: {_fsck_words(result)}",
        kept=done.returncode == 0,
    )


def _fsck_words(result: dict[str, Any]) -> str:
    if not result:
        return "no answer"
    read, damages = human_size(result["bytes_read"]), len(result["findings"])
    return (
        f"{result['versions_checked']} versions and {result['packs_checked']} packs checked, {read} read,"
        f" {damages} damages found"
    )
