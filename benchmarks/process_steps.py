"""What a process pays for Holdfast, and what many processes get when all log at once."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.data_sets import human_size
from benchmarks.host import BenchmarkError, Host, PeakMemory, running_host
from benchmarks.results import Row, Target, Unit

SWARM_WORKER = Path(__file__).with_name("swarm_worker.py")
SWARM_PROCESSES = 64
SWARM_ARTIFACTS = 20
SWARM_TIMEOUT_S = 600.0
"""For a worker to connect or to finish: the whole swarm takes seconds; longer means that one hangs."""

STARTS = 5
IMPORT_TARGET = Target(0.100)
FIRST_LOG_TARGET = Target(0.100)


def measure_processes(folder: Path, say: Callable[[str], None]) -> list[Row]:
    """Import, first log, and the swarm; with a Holdfast of its own below `folder`.

    Raises:
        BenchmarkError: a version is lost, doubled or skipped, or a worker fails.
    """
    with running_host(folder) as host:
        host.warm_up()
        say("processes: import and first log")
        rows = [_import_row(host), _first_log_row(host)]
        say(f"processes: {SWARM_PROCESSES} workers at once")
        return rows + _swarm_rows(host)


def _import_row(host: Host) -> Row:
    """The best of several starts: what is more than that is the machine's, not the import's."""
    with_import, bare = ([_start_s(host, code) for _ in range(STARTS + 1)][1:] for code in ("import holdfast", "pass"))
    return Row("process", "import holdfast", Unit.SECONDS, [min(with_import) - min(bare)], target=IMPORT_TARGET)


def _start_s(host: Host, code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-c", code], check=True, env=host.environ)
    return time.perf_counter() - started


def _first_log_row(host: Host) -> Row:
    file = str(next(host.little.iterdir()))
    samples = [host.call("first_log", name=f"first-{start}", file=file)["blocked_s"] for start in range(STARTS)]
    return Row("process", "first log_artifact (best)", Unit.SECONDS, [min(samples)], target=FIRST_LOG_TARGET)


def _swarm_rows(host: Host) -> list[Row]:
    """All workers connect first, then all are told to start.

    Raises:
        BenchmarkError: a version is lost, doubled or skipped.
    """
    workers = [_start_worker(host, index) for index in range(SWARM_PROCESSES)]
    try:
        for worker in workers:
            assert worker.stdout is not None, "the worker was started with a pipe"
            if worker.stdout.readline() != "READY\n":
                raise BenchmarkError(f"a worker ended with code {worker.wait()}; the log:\n{host.log_end()}")
        started = time.monotonic()
        for worker in workers:
            assert worker.stdin is not None, "the worker was started with a pipe"
            worker.stdin.write("\n")
            worker.stdin.flush()
        answers = [json.loads(worker.communicate(timeout=SWARM_TIMEOUT_S)[0]) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    versions = sorted(number for answer in answers for number in answer["versions"])
    count = SWARM_PROCESSES * SWARM_ARTIFACTS
    if versions != list(range(count)):
        raise BenchmarkError(f"{count} versions were logged, and the registry has numbered them {versions}")
    logged_s = max(answer["logged_at_s"] for answer in answers) - started
    committed_s = max(answer["committed_at_s"] for answer in answers) - started
    what = f"{SWARM_PROCESSES} × {SWARM_ARTIFACTS} artifacts"
    return [
        Row(what, "all committed, no gap: versions", Unit.COUNT, [len(versions)]),
        Row(what, "logged", Unit.PER_SECOND, [count / logged_s]),
        Row(what, "committed", Unit.PER_SECOND, [count / committed_s]),
        Row(what, _memory_title(host.peak_memory()), Unit.SECONDS, [committed_s]),
    ]


def _memory_title(memory: PeakMemory) -> str:
    sizes = [human_size(size) for size in (memory.daemon_bytes, memory.workers_bytes, memory.registry_bytes)]
    return f"took (memory: {' + '.join(sizes)})"


def _start_worker(host: Host, index: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", str(SWARM_WORKER), str(index), str(SWARM_ARTIFACTS)],
        env=host.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
