"""A program that makes tables: `python table_tasks.py TASK` prints what it took as JSON; it imports nothing of the benchmarks."""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import holdfast

PROJECT = "benchmarks"
_KIB = 1024


def json_table(task: dict[str, Any]) -> dict[str, Any]:
    """Makes, logs and gets a table of numbers and texts; beside it the same rows through `json` alone."""
    rows = [_row(number) for number in range(int(task["rows"]))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        started = time.perf_counter()
        with path.open("w") as file:
            json.dump(rows, file)
        with path.open() as file:
            json.load(file)
        json_s = time.perf_counter() - started
    with holdfast.init(project=PROJECT) as run:
        started = time.perf_counter()
        artifact = holdfast.Artifact(task["name"], "dataset")
        artifact["table"] = holdfast.Table(columns=[f"c{number}" for number in range(10)], data=rows)
        run.log_artifact(artifact).wait()
        got: Any = run.use_artifact(f"{task['name']}:latest")["table"]
        done_s = time.perf_counter() - started
    if got.data != rows:
        raise ValueError("the table came back otherwise")
    return {"json_s": json_s, "done_s": done_s}


def _row(number: int) -> list[Any]:
    texts = [f"name {number}", "abc", f"{number}", "w" * (number % 20)]
    return [number, number / 2, -number, number % 7, number / 3, number * 1e10, *texts]


def write_parquet(task: dict[str, Any]) -> dict[str, Any]:
    """Makes a table in Parquet form from batches and logs it."""
    count, batch_rows = int(task["rows"]), int(task["batch_rows"])
    with holdfast.init(project=PROJECT) as run:
        warm = holdfast.Table(columns=["a", "b", "c", "text"], format="parquet")
        warm.add_batch(next(_batches(batch_rows, batch_rows)))
        before = _peak_bytes()
        started = time.perf_counter()
        table = holdfast.Table(columns=["a", "b", "c", "text"], format="parquet")
        for batch in _batches(count, batch_rows):
            table.add_batch(batch)
        artifact = holdfast.Artifact("large", "dataset")
        artifact["table"] = table
        run.log_artifact(artifact).wait()
        took_s = time.perf_counter() - started
    return {"grown_bytes": _peak_bytes() - before, "took_s": took_s}


def _batches(count: int, batch_rows: int) -> Iterator[dict[str, Any]]:
    import numpy

    generator = numpy.random.default_rng(7)
    for first in range(0, count, batch_rows):
        numbers = numpy.arange(first, min(first + batch_rows, count))
        noise = generator.random((2, len(numbers)))
        yield {"a": numbers, "b": noise[0], "c": noise[1], "text": [f"name {number}" for number in numbers]}


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB


TASKS = {"json_table": json_table, "write_parquet": write_parquet}

if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    os.chdir(asked["folder"])  # where downloads go
    print(json.dumps(TASKS[asked["do"]](asked)))
