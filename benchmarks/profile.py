"""`python -m benchmarks.profile SET STEP`: says where the time of one step goes, in all processes of Holdfast.

Needs `py-spy` on the PATH.  Prints, for each process, the functions that were running most often; writes the call stacks for a
flame graph (`--output`).
"""

import argparse
import contextlib
import shutil
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks import data_sets
from benchmarks.data_sets import DATA_SETS, DataSet
from benchmarks.host import Host, running_host
from benchmarks.place import working_folder

SAMPLES_PER_S = 200
"""Enough for a step of half a second; py-spy itself then takes a few percent of a processor."""
SHOWN = 20
WAITS = (
    "_worker (concurrent/futures/thread.py",
    "EpollSelector.select",
    "_PollLikeSelector.select",
    "Condition.wait (threading.py",
    "ThreadedChildWatcher._do_waitpid",
)
"""Where threads wait; py-spy takes some of them for work.  A wait in a queue written in C looks like its caller's work."""
STEPS = ("first", "unchanged", "changed", "download")


def main(arguments: list[str] | None = None) -> int:
    """Profiles what was asked for; returns 2 when py-spy is absent."""
    options = _parse(arguments)
    if shutil.which("py-spy") is None:
        print("py-spy is not on the PATH; it is a package of that name", file=sys.stderr)
        return 2
    data_set = DATA_SETS[options.set]
    with working_folder(options.data_root, loop=options.loop) as folder:
        source = folder / "source"
        data_sets.make(data_set, source)
        with running_host(folder / "host") as host:
            host.warm_up()
            _prepare(host, data_set, source, options.step)
            with _recorded(host.daemon.pid, options.output, native=options.native):
                _do(host, data_set, source, folder / "downloaded", options.step)
    _print_stacks(options.output)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("set", choices=DATA_SETS)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--native", action="store_true", help="also the functions of compiled libraries")
    parser.add_argument("--output", type=Path, default=Path("stacks.txt"), help="collapsed stacks; default stacks.txt")
    parser.add_argument("--data-root", type=Path, help="work below this folder; default: that for temporary files")
    parser.add_argument("--loop", action="store_true", help="work on an ext4 of its own, in a file (root only)")
    return parser.parse_args(arguments)


def _prepare(host: Host, data_set: DataSet, source: Path, step: str) -> None:
    """Brings the host to where the step begins."""
    if step != "first":
        _log(host, data_set, source)
    if step == "changed":
        data_sets.change(data_set, source, edition=1)


def _do(host: Host, data_set: DataSet, source: Path, target: Path, step: str) -> None:
    if step == "download":
        took_s = host.call("download", folder=str(target), name=data_set.name)["done_s"]
    else:
        took_s = _log(host, data_set, source)
    print(f"{data_set.name}, {step}: {took_s:.2f} s, with the profiler watching")


def _log(host: Host, data_set: DataSet, source: Path) -> float:
    answer = host.call("log", folder=str(source), name=data_set.name, little=str(host.little))
    return float(answer["done_s"])


@contextlib.contextmanager
def _recorded(pid: int, output: Path, *, native: bool) -> Iterator[None]:
    """Samples a process and its children while the block runs."""
    command = ["py-spy", "record", "--pid", str(pid), "--subprocesses", "--rate", str(SAMPLES_PER_S)]
    command += ["--format", "raw", "--output", str(output), *(["--native"] if native else [])]
    recorder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert recorder.stdout is not None, "the recorder was started with a pipe"
    first_line = recorder.stdout.readline()  # printed when it has attached
    try:
        yield
    finally:
        recorder.send_signal(signal.SIGINT)
        rest, _ = recorder.communicate()
        if recorder.returncode:
            print(first_line + rest, file=sys.stderr)


def _print_stacks(path: Path) -> None:
    own: dict[str, Counter[str]] = defaultdict(Counter)
    below: dict[str, Counter[str]] = defaultdict(Counter)
    for line in path.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        process, frames = _split(stack)
        if not frames or frames[-1].startswith(WAITS):
            continue
        own[process][frames[-1]] += int(count)
        below[process].update({frame: int(count) for frame in set(frames)})
    for process, functions in sorted(own.items(), key=lambda item: -item[1].total()):
        print(f"\n{process}: {functions.total() / SAMPLES_PER_S:.2f} s\n     own   below  function")
        for frame, samples in functions.most_common(SHOWN):
            share, whole = (100 * number / functions.total() for number in (samples, below[process][frame]))
            print(f"  {share:5.1f}%  {whole:5.1f}%  {frame}")


def _split(stack: str) -> tuple[str, list[str]]:
    """The process that a stack is of (the last of a chain of parents and children), and its frames."""
    frames = stack.split(";")
    last = max(i for i, frame in enumerate(frames) if frame.startswith("process "))
    return frames[last], frames[last + 1 :]


if __name__ == "__main__":
    sys.exit(main())
