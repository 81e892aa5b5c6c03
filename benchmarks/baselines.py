"""What each figure is compared with: `cp`, and BLAKE3 in one thread, on the same data in the same run."""

import os
import subprocess
import time
from pathlib import Path

from benchmarks.data_sets import DataSet, tree_digest


def copy_s(data_set: DataSet, source: Path, target: Path) -> float:
    """Seconds that `cp` needs for the set's file, or `cp -r` for its folder."""
    if data_set.is_one_file:
        target.mkdir()
        command = ["cp", str(source / data_set.path(0)), str(target)]
    else:
        command = ["cp", "-r", str(source), str(target)]
    quiet_disk()
    started = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - started


def copy_name(data_set: DataSet) -> str:
    return "cp" if data_set.is_one_file else "cp -r"


def hash_s(source: Path) -> float:
    """Seconds to read the set and hash it with BLAKE3 in one thread; afterwards it is in the page cache."""
    started = time.perf_counter()
    tree_digest(source)
    return time.perf_counter() - started


def quiet_disk() -> None:
    """Waits until nothing that an earlier step wrote is still on its way to the disk, so that each pays for its own."""
    os.sync()
