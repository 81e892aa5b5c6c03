"""Worker processes that log by the public SDK, as the ranks of a training job do; run by `multiprocessing`."""

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import Any

import holdfast

WAIT_S = 300.0
START_S = 120.0

_barrier: Barrier | None = None


@dataclass(frozen=True)
class Logged:
    """What became of one artifact."""

    worker: int
    number: int
    index: int
    created: bool
    sent: int
    text: str


def run_workers(
    function: Callable[..., Sequence[Logged]], workers: int, *arguments: Any, together: bool = True
) -> list[Logged]:
    """Calls `function(worker, *arguments)` in so many processes; with `together` they begin at the same moment."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers) if together else None
    with context.Pool(workers, initializer=_remember, initargs=(barrier,)) as pool:
        calls = [pool.apply_async(function, (worker, *arguments)) for worker in range(workers)]
        found = [call.get(WAIT_S) for call in calls]
        pool.close()
        pool.join()
    return [logged for part in found for logged in part]


def _remember(barrier: Barrier | None) -> None:
    global _barrier
    _barrier = barrier


def begin_together() -> None:
    """Returns when all workers have come here."""
    if _barrier is not None:
        _barrier.wait(START_S)


def log_texts(worker: int, name: str, count: int, *, same: bool = False) -> list[Logged]:
    """Logs artifacts of one small file each: other contents for every worker and number, unless `same`."""
    holdfast.Artifact("warm-up", "dataset")
    begin_together()
    artifacts = []
    with holdfast.init(project="races") as run:
        for number in range(count):
            text = f"number {number}" if same else f"worker {worker} number {number}"
            artifact = holdfast.Artifact(name, "dataset", metadata={"worker": worker, "number": number})
            with artifact.new_file("file") as file:
                file.write(text)
            artifacts.append((text, run.log_artifact(artifact)))
    return [_outcome(worker, number, text, artifact) for number, (text, artifact) in enumerate(artifacts)]


def log_folder(worker: int, name: str, folder: str) -> list[Logged]:
    """Logs the same folder as all the others do, to a collection of its own."""
    begin_together()
    artifact = holdfast.Artifact(f"{name}-{worker}", "dataset")
    artifact.add_dir(folder)
    with holdfast.init(project="races") as run:
        run.log_artifact(artifact)
    return [_outcome(worker, 0, folder, artifact)]


def _outcome(worker: int, number: int, text: str, artifact: holdfast.Artifact) -> Logged:
    sent = [0]

    def see(progress: holdfast.Progress) -> None:
        sent[0] = progress.bytes_sent

    artifact.wait(WAIT_S, progress=see)
    created = bool(artifact.is_new_version)
    return Logged(worker, number, int(artifact.version.removeprefix("v")), created, sent[0], text)
