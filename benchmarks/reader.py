"""A user's program that reads: `python reader.py TASK` does one thing with the public API and prints what it took as JSON.

As `caller.py` it is a process of its own and imports nothing of the benchmarks.
"""

import io
import json
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

PROJECT = "benchmarks"
MIB = 1 << 20
SETTLE_S = 2.5
"""Files younger than 2 s are hashed again, as their times could still lie; a moment more and they are not."""


def warm_download(task: dict[str, Any]) -> dict[str, Any]:
    """Downloads a version that is in place already, by name; the first two times do not count."""
    import holdfast

    target, samples = task["target"], []
    with holdfast.init(project=PROJECT, job_type="benchmark") as run:
        run.use_artifact(f"{task['name']}:latest").download(target)
        time.sleep(SETTLE_S)
        run.use_artifact(f"{task['name']}:latest").download(target)
        for _ in range(int(task["repeat"])):
            started = time.perf_counter()
            run.use_artifact(f"{task['name']}:latest").download(target)
            samples.append(time.perf_counter() - started)
    return {"samples_s": samples, "stat_s": [_stat_s(target) for _ in range(int(task["repeat"]))]}


def _stat_s(root: str) -> float:
    started = time.perf_counter()
    for folder, _, names in os.walk(root):
        for name in names:
            os.stat(os.path.join(folder, name))
    return time.perf_counter() - started


def pinned_downloads(task: dict[str, Any]) -> dict[str, Any]:
    """Uses and downloads many small artifacts by their digests, all of them known and in place."""
    import holdfast

    with holdfast.init(project=PROJECT, job_type="benchmark") as run:
        drafts = []
        for number in range(int(task["count"])):
            draft = holdfast.Artifact(f"small-{number:04}", "dataset")
            for name in ("one", "two"):
                with draft.new_file(name) as file:
                    file.write(f"{name} of {number}" * 50)
            drafts.append(run.log_artifact(draft))
        pins = [f"{draft.wait().source_name.split(':')[0]}:{draft.digest}" for draft in drafts]
        _use_all(run, pins, task["target"])
        time.sleep(SETTLE_S)
        _use_all(run, pins, task["target"])
        samples = [_use_all(run, pins, task["target"]) for _ in range(int(task["repeat"]))]
    return {"samples_s": samples}


def _use_all(run: Any, pins: list[str], target: str) -> float:
    started = time.perf_counter()
    for number, pin in enumerate(pins):
        run.use_artifact(pin).download(os.path.join(target, str(number)))
    return time.perf_counter() - started


def random_reads(task: dict[str, Any]) -> dict[str, Any]:
    """Reads 1 MiB at random places of one file: through `entry.open`, or through fsspec."""
    import holdfast

    name = f"{PROJECT}/{task['name']}:latest"
    if task["by"] == "fsspec":
        from holdfast.fs import HoldfastFileSystem

        path, size, opened = f"{name}/{task['path']}", int(task["size"]), HoldfastFileSystem()

        def open_file() -> Any:
            return opened.open(path)
    else:
        size, artifact = int(task["size"]), holdfast.Api().artifact(name)

        def open_file() -> Any:
            return artifact.get_entry(task["path"]).open()

    def read() -> None:
        with open_file() as file:
            file.seek(rng.randrange(size - MIB))
            if len(file.read(MIB)) != MIB:
                raise AssertionError("less was read than there is")

    rng, taken, samples = random.Random(7), [], []
    for _ in range(int(task["count"])):
        started = time.perf_counter()
        taken.append(_fetched_by(read))
        samples.append(time.perf_counter() - started)
    return {"fetched_bytes": taken, "samples_s": samples}


def sequential_read(task: dict[str, Any]) -> dict[str, Any]:
    """Reads one file from its beginning to its end, 1 MiB at a time; then the local one it was made from."""
    import holdfast

    entry = holdfast.Api().artifact(f"{PROJECT}/{task['name']}:latest").get_entry(task["path"])
    samples, local = [], []
    for _ in range(int(task["repeat"])):
        samples.append(_read_through(lambda: entry.open()))
        local.append(_read_through(lambda: io.FileIO(task["local"])))
    return {"samples_s": samples, "local_s": local}


def _read_through(open_file: Callable[[], Any]) -> float:
    started = time.perf_counter()
    with open_file() as file:
        while file.read(MIB):
            pass
    return time.perf_counter() - started


def make_parquet(task: dict[str, Any]) -> dict[str, Any]:
    """Writes a file of 50 columns of random numbers, in one row group; returns the bytes of the two that will be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = int(task["rows"])
    columns = {
        f"c{number:02}": pa.Array.from_buffers(pa.int64(), rows, [None, pa.py_buffer(os.urandom(8 * rows))])
        for number in range(50)
    }
    pq.write_table(pa.table(columns), task["file"], compression="none", use_dictionary=False, row_group_size=rows)
    group = pq.ParquetFile(task["file"]).metadata.row_group(0)
    return {"column_bytes": sum(group.column(number).total_compressed_size for number in (7, 31))}


def parquet(task: dict[str, Any]) -> dict[str, Any]:
    """Reads two of fifty columns into a DataFrame."""
    import pandas
    from fsspec import register_implementation

    from holdfast.fs import HoldfastFileSystem

    register_implementation("holdfast", HoldfastFileSystem, clobber=True)
    url = f"holdfast://{PROJECT}/{task['name']}:latest/wide.parquet"
    started = time.perf_counter()
    taken = _fetched_by(lambda: pandas.read_parquet(url, columns=["c07", "c31"]))
    return {"fetched_bytes": taken, "took_s": time.perf_counter() - started}


def table_column(task: dict[str, Any]) -> dict[str, Any]:
    """Gets one column of the large table on a host that has nothing of it."""
    import pyarrow.parquet

    import holdfast

    os.chdir(task["folder"])  # where downloads go
    with holdfast.init(project=PROJECT) as run:
        artifact = run.use_artifact("large:latest")
        cells: list[Any] = []

        def read() -> None:
            table: Any = artifact["table"]
            cells.extend(table.get_column("b"))

        started = time.perf_counter()
        fetched_bytes = _fetched_by(read)
        took_s = time.perf_counter() - started
        if cells != _logged_column(int(task["rows"]), int(task["batch_rows"])):
            raise ValueError("the column came back otherwise")
        with artifact.get_entry("table.table.parquet").open() as file:
            metadata = pyarrow.parquet.ParquetFile(file).metadata
            groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
            column_bytes = sum(group.column(1).total_compressed_size for group in groups)
    return {"fetched_bytes": fetched_bytes, "column_bytes": column_bytes, "took_s": took_s}


def _logged_column(rows: int, batch_rows: int) -> list[float]:
    """As `table_tasks` makes it."""
    import numpy

    generator = numpy.random.default_rng(7)
    sizes = [min(batch_rows, rows - first) for first in range(0, rows, batch_rows)]
    return [float(number) for size in sizes for number in generator.random((2, size))[0]]


def _fetched_by(action: Callable[[], object]) -> int:
    before = _fetched_bytes()
    action()
    return _fetched_bytes() - before


def _fetched_bytes() -> int:
    from holdfast._process import this_process
    from holdfastpb.daemon.v1.control_pb2 import GetStatusRequest, GetStatusResponse

    method = "/holdfast.daemon.v1.ControlService/GetStatus"
    return int(this_process().daemon.unary(method, GetStatusRequest(), GetStatusResponse).fetched_bytes)


TASKS = {
    "warm_download": warm_download,
    "pinned_downloads": pinned_downloads,
    "random_reads": random_reads,
    "sequential_read": sequential_read,
    "make_parquet": make_parquet,
    "parquet": parquet,
    "table_column": table_column,
}

if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(TASKS[asked["do"]](asked)))
