"""Tables: 200,000 rows in JSON beside the standard library's JSON; five million in Parquet form, and one column of them."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.data_sets import MIB
from benchmarks.host import Host, running_host
from benchmarks.reading_steps import READER, running_registry
from benchmarks.results import Baseline, Row, Target, Unit

PROGRAM = Path(__file__).with_name("table_tasks.py")
JSON_ROWS = 200_000
PARQUET_ROWS = 5_000_000
BATCH_ROWS = 100_000
JSON_TARGET = Target(3.0, of_ratio=True)
MEMORY_TARGET = Target(300 * MIB)
COLUMN_SHARE_MAX = 1.5
"""Blocks of the store do not end where columns do."""


def measure_tables(folder: Path, repeat: int, say: Callable[[str], None]) -> list[Row]:
    """Goes through both forms.

    Raises:
        BenchmarkError: a step failed, or a table came back otherwise.
    """
    folder.mkdir()
    with running_host(folder / "host") as host:
        host.warm_up()
        rows = [_json_row(host, repeat, say)]
    with running_registry(folder / "registry") as settings:
        with running_host(folder / "writer", settings) as host:
            host.warm_up()
            say(f"tables: {PARQUET_ROWS:,} rows in batches")
            written = _call(host, "write_parquet", rows=str(PARQUET_ROWS), batch_rows=str(BATCH_ROWS))
        with running_host(folder / "reader", settings) as host:
            say("tables: one column of four")
            read = host.call(
                "table_column",
                program=READER,
                folder=str(host.folder),
                rows=str(PARQUET_ROWS),
                batch_rows=str(BATCH_ROWS),
            )
    what = f"table of {PARQUET_ROWS:,} rows"
    target = Target(COLUMN_SHARE_MAX * read["column_bytes"])
    return [
        *rows,
        Row(
            what,
            "memory that writing it from batches takes more",
            Unit.BYTES,
            [written["grown_bytes"]],
            target=MEMORY_TARGET,
        ),
        Row(what, "written and logged", Unit.SECONDS, [written["took_s"]]),
        Row(what, "bytes of one column", Unit.BYTES, [read["column_bytes"]]),
        Row(what, "bytes fetched for it", Unit.BYTES, [read["fetched_bytes"]], target=target),
        Row(what, "get_column", Unit.SECONDS, [read["took_s"]]),
    ]


def _json_row(host: Host, repeat: int, say: Callable[[str], None]) -> Row:
    answers = [_call(host, "json_table", rows=str(JSON_ROWS), name=f"json-{turn}") for turn in range(repeat)]
    baseline = Baseline("json.dump and json.load of the rows", [answer["json_s"] for answer in answers])
    times = [answer["done_s"] for answer in answers]
    say(f"tables: {JSON_ROWS:,} rows: {statistics.median(times):.2f} s, json {baseline.median_s:.2f} s")
    step = f"table of {JSON_ROWS:,} × 10 made, logged and got"
    return Row("tables", step, Unit.SECONDS, times, baseline, JSON_TARGET)


def _call(host: Host, do: str, **task: str) -> dict[str, Any]:
    return host.call(do, program=PROGRAM, folder=str(host.folder), **task)
