"""The steps of one data set: first log, unchanged, changed, download; each beside its baseline."""

import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import baselines, data_sets
from benchmarks.data_sets import MIB, DataSet
from benchmarks.host import BenchmarkError, Host, PeakMemory, running_host
from benchmarks.results import Baseline, Row, Target, Unit

Say = Callable[[str], None]

BLOCKED_TARGET = Target(0.050)
DAEMON_MEMORY_TARGET = Target(300 * MIB)
SDK_MEMORY_TARGET = Target(64 * MIB)
SENT_TARGET = Target(3 * MIB)


@dataclass(frozen=True, slots=True)
class SetTargets:
    """What is to be reached on two processors with a warm page cache, from the call to the end of `wait()`."""

    first: Target
    unchanged: Target
    changed: Target
    download: Target


TARGETS = {
    "big": SetTargets(Target(2.5, True), Target(0.3), Target(2.5, True), Target(2.5, True)),
    "mid": SetTargets(Target(2.5, True), Target(0.3), Target(0.3), Target(2.5, True)),
    "small": SetTargets(Target(1.5), Target(0.5), Target(0.6), Target(2.0, True)),
    "tiny": SetTargets(Target(4.0), Target(1.5), Target(1.8), Target(2.0, True)),
}


class SetBenchmark:
    """Measures one data set, below a folder of its own."""

    def __init__(self, data_set: DataSet, folder: Path, repeat: int, say: Say) -> None:
        self._set = data_set
        self._folder = folder
        self._repeat = repeat
        self._say = say
        self._source = folder / "source"
        self._answers: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._copies: dict[str, list[float]] = defaultdict(list)
        self._hashes: list[float] = []
        self._memory = PeakMemory(0, 0, 0)
        self._trees = 0

    def run(self) -> list[Row]:
        """Makes the data, goes through the steps, and returns the rows.

        Raises:
            BenchmarkError: a download is not byte for byte what was logged.
        """
        self._folder.mkdir()
        self._say(f"{self._set.name}: making {self._set.describe()}")
        data_sets.make(self._set, self._source)
        baselines.hash_s(self._source)
        self._copy_once("warm-up")
        for turn in range(self._repeat):
            with running_host(self._folder / f"host-{turn}") as host:
                host.warm_up()
                self._first_log(host)
                if turn == self._repeat - 1:
                    self._later_steps(host)
                self._memory = self._memory.at_least(host.peak_memory())
        return self._rows()

    def _first_log(self, host: Host) -> None:
        self._copy_once("first")
        self._log(host, "first")

    def _later_steps(self, host: Host) -> None:
        for _ in range(self._repeat):
            self._log(host, "unchanged")
        for edition in range(1, self._repeat + 1):
            data_sets.change(self._set, self._source, edition)
            self._hashes.append(baselines.hash_s(self._source))
            self._log(host, "changed")
        for turn in range(self._repeat):
            self._copy_once("download")
            self._download(host, check=turn == 0)

    def _log(self, host: Host, step: str) -> None:
        baselines.quiet_disk()
        answer = host.call("log", folder=str(self._source), name=self._set.name, little=str(host.little))
        self._answers[step].append(answer)
        self._say(f"{self._set.name}: {step}: {answer['done_s']:.2f} s")

    def _download(self, host: Host, *, check: bool) -> None:
        target = self._fresh_tree()
        baselines.quiet_disk()
        answer = host.call("download", folder=str(target), name=self._set.name)
        self._answers["download"].append(answer)
        self._say(f"{self._set.name}: download: {answer['done_s']:.2f} s")
        if check and data_sets.tree_digest(target) != data_sets.tree_digest(self._source):
            raise BenchmarkError(f"{target} is not what was logged from {self._source}")
        self._drop(target)

    def _copy_once(self, step: str) -> None:
        target = self._fresh_tree()
        took_s = baselines.copy_s(self._set, self._source, target)
        self._copies[step].append(took_s)
        self._say(f"{self._set.name}: {baselines.copy_name(self._set)} before {step}: {took_s:.2f} s")
        self._drop(target)

    def _fresh_tree(self) -> Path:
        self._trees += 1
        return self._folder / f"tree-{self._trees}"

    def _drop(self, tree: Path) -> None:
        """Removes a copy, unless its removal would slow down what is measured next; then it stays until the end."""
        if self._set.copies_are_few_files:
            shutil.rmtree(tree)

    def _rows(self) -> list[Row]:
        name, targets = self._set.name, TARGETS[self._set.name]
        copy = baselines.copy_name(self._set)
        before_first, before_download = (Baseline(copy, self._copies[step]) for step in ("first", "download"))
        hashed = Baseline("BLAKE3", self._hashes)

        def times(step: str, baseline: Baseline, target: Target) -> Row:
            return Row(name, _TITLES[step], Unit.SECONDS, self._samples(step, "done_s"), baseline, target)

        sent_target = SENT_TARGET if self._set.is_one_file else None
        return [
            times("first", before_first, targets.first),
            times("unchanged", hashed, targets.unchanged),
            times("changed", hashed, targets.changed),
            Row(name, "… bytes sent", Unit.BYTES, self._samples("changed", "bytes_sent"), target=sent_target),
            times("download", before_download, targets.download),
            Row(name, "caller blocked (longest)", Unit.SECONDS, [self._longest_block_s()], target=BLOCKED_TARGET),
            *self._memory_rows(),
        ]

    def _memory_rows(self) -> list[Row]:
        memory, name = self._memory, self._set.name
        growth = max(answer["growth_bytes"] for answers in self._answers.values() for answer in answers)
        processes = memory.daemon_bytes + memory.workers_bytes
        return [
            Row(name, "memory: daemon", Unit.BYTES, [memory.daemon_bytes]),
            Row(name, "memory: its workers", Unit.BYTES, [memory.workers_bytes]),
            Row(name, "memory: daemon and workers", Unit.BYTES, [processes], target=DAEMON_MEMORY_TARGET),
            Row(name, "memory: registry", Unit.BYTES, [memory.registry_bytes]),
            Row(name, "memory: SDK's growth", Unit.BYTES, [growth], target=SDK_MEMORY_TARGET),
        ]

    def _longest_block_s(self) -> float:
        return max(max(self._samples(step, "blocked_s")) for step in ("first", "unchanged", "changed"))

    def _samples(self, step: str, field: str) -> list[float]:
        return [answer[field] for answer in self._answers[step]]


_TITLES = {
    "first": "first log",
    "unchanged": "log again, unchanged",
    "changed": "log again, changed",
    "download": "download",
}
