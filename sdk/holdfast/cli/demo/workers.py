"""The demo's step with several processes that log at once into one collection."""

import json
import os
import subprocess
import sys
import time

from holdfast.cli.demo import sample_data
from holdfast.cli.demo.tour import Tour
from holdfast.cli.exit_codes import CommandError
from holdfast.cli.output import human_duration, human_size
from holdfast.cli.server_process import module_command

COLLECTION = "results"
LOGS_PER_WORKER = 10
SHARED_BYTES = 8 << 20
OWN_BYTES = 16 << 10
WORKER_TIMEOUT_S = 300.0
"""A worker's ten logs take seconds; longer means that it hangs."""


def log_from_many_processes(tour: Tour) -> None:
    """Starts the workers, then checks that their versions have all numbers and that what they share went out once."""
    tour.report.step(
        f"{tour.workers} worker processes log {LOGS_PER_WORKER} versions each, into one collection, at once"
    )
    shared = tour.place.root / "shared.bin"
    sample_data.write_noise(shared, SHARED_BYTES, sample_data.SEED + 2)
    started = time.perf_counter()
    numbers = _run_workers(tour.workers, str(shared))
    took_s = time.perf_counter() - started
    expected = list(range(tour.workers * LOGS_PER_WORKER))
    tour.report.find(
        "no version is lost, doubled or skipped",
        f"{len(numbers)} versions from {tour.workers} processes in {human_duration(took_s)},"
        f" numbered v{min(numbers)} … v{max(numbers)}",
        kept=sorted(numbers) == expected,
    )
    sent, logged = _bytes_sent(), len(expected) * (SHARED_BYTES + OWN_BYTES)
    tour.report.find(
        "what workers share is sent once",
        f"{human_size(sent)} sent for {human_size(logged)} logged",
        kept=sent < 2 * SHARED_BYTES + len(expected) * 2 * OWN_BYTES,
    )


def _run_workers(count: int, shared: str) -> list[int]:
    """Version numbers that the workers got.

    Raises:
        CommandError: a worker failed or hangs; its messages are on standard error.
    """
    workers = [
        subprocess.Popen(
            module_command("holdfast.cli.demo.worker", [str(index), str(LOGS_PER_WORKER), shared]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            # Many bars would draw over each other.
            env={**os.environ, "HOLDFAST_PROGRESS": "false"},
            text=True,
        )
        for index in range(count)
    ]
    try:
        return [number for worker in workers for number in _numbers_of(worker)]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def _numbers_of(worker: "subprocess.Popen[str]") -> list[int]:
    try:
        printed, _ = worker.communicate(timeout=WORKER_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"a worker process has not ended within {WORKER_TIMEOUT_S:.0f} s") from error
    if worker.returncode != 0:
        raise CommandError(f"a worker process failed with exit code {worker.returncode}")
    numbers: list[int] = json.loads(printed)
    return numbers


def _bytes_sent() -> int:
    from holdfast.cli.daemon_link import DaemonLink

    return sum(
        job.progress.bytes_sent for job in DaemonLink.connect().jobs() if job.progress.artifact_name == COLLECTION
    )
