"""Goes through the benchmarks and prints the table."""

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.data_sets import DATA_SETS, MIB, human_size
from benchmarks.draft_steps import measure_new_drafts
from benchmarks.host import BenchmarkError
from benchmarks.image_steps import measure_images
from benchmarks.limit_steps import measure_limits
from benchmarks.place import memory_to_touch, touch_memory, working_folder
from benchmarks.process_steps import measure_processes
from benchmarks.reading_steps import measure_reading
from benchmarks.registry_steps import measure_find_missing, measure_registry
from benchmarks.results import Row, table, write_json
from benchmarks.s3_steps import PARTS as S3_PARTS
from benchmarks.s3_steps import measure_s3
from benchmarks.scale_steps import measure_scale
from benchmarks.set_steps import SetBenchmark
from benchmarks.table_steps import measure_tables

PROCESSES = "processes"
"""Beside the data sets: import, first log, many workers at once."""
NEW_DRAFT = "new_draft"
"""One file of a large version changed."""
READING = "reading"
"""Downloads of what is there, and parts of files."""
TABLES = "tables"
"""Rows in JSON and in Parquet form."""
IMAGES = "images"
"""A table of images."""
LIMITS = "limits"
"""How well limits of bandwidth are held."""
S3 = "s3"
"""Packs in an S3 store."""
FIND_MISSING = "find_missing"
"""Which of 100,000 chunks are stored."""
REGISTRY = "registry"
"""Commits and lookups a second, one replica and two."""
SCALE = "scale"
"""A registry of ten million chunks; the only set that is not among the defaults, since it takes hours."""

# Smallest first: the page cache that mid and big fill pushes nothing out that is still needed.
DEFAULT = (
    "small",
    "tiny",
    NEW_DRAFT,
    TABLES,
    IMAGES,
    FIND_MISSING,
    REGISTRY,
    "mid",
    "big",
    READING,
    LIMITS,
    S3,
    PROCESSES,
)
ORDER = (*DEFAULT, SCALE)


def main(arguments: list[str] | None = None) -> int:
    """Runs what was asked for; returns 0 also when a target is not reached: a measurement is no test.

    A part that fails says so, is missing from the table, and makes the exit code 1.
    """
    options = _parse(arguments)
    # So that a stopped run takes its daemons, its folder and its mount with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    load_before = _load()
    touched_bytes = memory_to_touch(
        max((DATA_SETS[name].size_bytes for name in options.sets if name in DATA_SETS), default=0)
    )
    _say(f"touching {human_size(touched_bytes)} of memory")
    touch_memory(touched_bytes)
    rows: list[Row] = []
    failed = False
    with working_folder(options.data_root, loop=options.loop) as folder:
        for name in (name for name in ORDER if name in options.sets):
            try:
                rows += _measure(name, folder, options)
            except BenchmarkError as error:
                _say(f"{name}: FAILED: {error}")
                failed = True
    machine = _machine(options, load_before)
    print(f"\n{_machine_line(machine)}\n\n{table(rows)}")
    if options.json is not None:
        write_json(options.json, rows, machine)
    return int(failed)


def _measure(name: str, folder: Path, options: argparse.Namespace) -> list[Row]:
    repeat = options.repeat
    if name == S3:
        return measure_s3(folder / S3, options.s3_parts, options.s3_big_mib * MIB, repeat, _say)
    if name == FIND_MISSING:
        return measure_find_missing(folder / FIND_MISSING, repeat, _say)
    if name == REGISTRY:
        return measure_registry(folder / REGISTRY, repeat, _say)
    if name == SCALE:
        return measure_scale(folder / SCALE, options.scale, _say)
    if name == PROCESSES:
        return measure_processes(folder / PROCESSES, _say)
    if name == NEW_DRAFT:
        return measure_new_drafts(folder / NEW_DRAFT, repeat, _say)
    if name == TABLES:
        return measure_tables(folder / TABLES, repeat, _say)
    if name == IMAGES:
        return measure_images(folder / IMAGES, repeat, _say)
    if name == LIMITS:
        return measure_limits(folder / LIMITS, _say)
    if name == READING:
        return measure_reading(folder / READING, repeat, _say)
    return SetBenchmark(DATA_SETS[name], folder / name, repeat, _say).run()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--sets", type=_set_names, default=DEFAULT, help=f"some of {','.join(ORDER)}; default: all but {SCALE}"
    )
    parser.add_argument(
        "--repeat", type=_positive, default=3, help="samples of each step; the median counts; default 3"
    )
    parser.add_argument("--scale", type=float, default=1.0, help=f"of {SCALE}: 1 is 100,000 versions; default 1")
    parser.add_argument(
        "--s3-parts", type=_s3_parts, default=S3_PARTS, help=f"of {S3}: some of {','.join(S3_PARTS)}; default: all"
    )
    parser.add_argument(
        "--s3-big-mib",
        type=_positive,
        default=DATA_SETS["big"].size_bytes // MIB,
        help=f"of {S3}: size of big; default 4096",
    )
    parser.add_argument("--json", type=Path, help="write all samples to this file")
    parser.add_argument("--data-root", type=Path, help="work below this folder; default: that for temporary files")
    parser.add_argument("--loop", action="store_true", help="work on an ext4 of its own, in a file (root only)")
    return parser.parse_args(arguments)


def _set_names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in ORDER]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no set {unknown[0]!r}; choose from {', '.join(ORDER)}")
    return names


def _s3_parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    unknown = [part for part in parts if part not in S3_PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no part {unknown[0]!r}; choose from {', '.join(S3_PARTS)}")
    return parts


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _machine(options: argparse.Namespace, load_before: float) -> dict[str, object]:
    return {
        "processors": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": _commit(),
        "repeat": options.repeat,
        "own_filesystem": options.loop,
        "load_before": load_before,
        "load_after": _load(),
    }


def _machine_line(machine: dict[str, object]) -> str:
    return (
        f"Holdfast {machine['commit']}, Python {machine['python']}, {machine['system']},"
        f" {machine['processors']} processors; medians of {machine['repeat']};"
        f" load {machine['load_before']} before, {machine['load_after']} after (more than 1 before: others were at work)"
    )


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "of unknown commit"


def _load() -> float:
    return round(os.getloadavg()[0], 1)


_started = time.monotonic()


def _say(what: str) -> None:
    print(f"[{time.monotonic() - _started:6.1f} s] {what}", file=sys.stderr, flush=True)
