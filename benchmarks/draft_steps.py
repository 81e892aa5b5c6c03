"""A new draft of a large version: one file added, replaced, removed; the rest of the version is neither read nor sent."""

from collections.abc import Callable
from pathlib import Path

from benchmarks import data_sets
from benchmarks.data_sets import DATA_SETS
from benchmarks.host import running_host
from benchmarks.results import Row, Target, Unit

BASE = DATA_SETS["tiny"]
STEPS = {"add": "one file added", "replace": "one file replaced", "remove": "one file removed"}
NEW_FILE_BYTES = 1000
TIME_TARGET = Target(1.5)
SENT_TARGET = Target(128 << 10)
"""The file, the segment around it (1,024 entries on average, four times that at most: 140 KB) and the list of segments (10 KB)."""


def measure_new_drafts(folder: Path, repeat: int, say: Callable[[str], None]) -> list[Row]:
    """Goes through the steps, from `new_draft()` to the end of `wait()`.

    Raises:
        BenchmarkError: a step failed.
    """
    folder.mkdir()
    source, file = folder / "source", folder / "new"
    say(f"new_draft: making {BASE.describe()}")
    data_sets.make(BASE, source)
    times: dict[str, list[float]] = {step: [] for step in STEPS}
    sent: dict[str, list[float]] = {step: [] for step in STEPS}
    with running_host(folder / "host") as host:
        host.warm_up()
        host.call("log", folder=str(source), name=BASE.name, little=str(host.little))
        for turn in range(repeat):
            for step in STEPS:
                file.write_bytes(f"{step} {turn}".encode().ljust(NEW_FILE_BYTES, b"."))
                path = "new" if step == "add" else BASE.path(turn)
                answer = host.call("new_draft", name=BASE.name, step=step, file=str(file), path=path)
                times[step].append(answer["done_s"])
                sent[step].append(answer["bytes_sent"])
                say(f"new_draft: {STEPS[step]}: {answer['done_s']:.2f} s")
        memory = host.peak_memory()
    rows = []
    for step, title in STEPS.items():
        rows.append(Row("new_draft", title, Unit.SECONDS, times[step], target=TIME_TARGET))
        rows.append(Row("new_draft", "… bytes sent", Unit.BYTES, sent[step], target=SENT_TARGET))
    rows.append(
        Row("new_draft", "memory: daemon and workers", Unit.BYTES, [memory.daemon_bytes + memory.workers_bytes])
    )
    return rows
