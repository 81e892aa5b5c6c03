"""`holdfast bench registry`: what it prints can be relied on, and it leaves nothing behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast_registry.bench.timings import Timings, percentile, table
from registry.client import Client
from registry.processes import RegistryProcess, command_environment


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "holdfast_registry.bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=command_environment())


@pytest.fixture(scope="module")
def database_url() -> None:
    """On SQLite: what a client sees is the same on both databases, and others show that."""


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 2.0), (0.95, 4.0), (0.99, 4.0), (1.0, 4.0), (0.25, 1.0), (0.0, 1.0)]
)
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == expected


def test_nothing_measured_is_no_error() -> None:
    assert percentile([], 0.99) == 0.0


def test_failures_are_counted_apart_from_times() -> None:
    timings = Timings()
    timings.add("resolve", 0.001)
    timings.add("resolve", 0.003)
    timings.add_failure("resolve")
    timings.add_failure("commit")
    commit, resolve = timings.summaries(over_s=2.0)
    assert (resolve.count, resolve.per_s, resolve.p50_ms, resolve.max_ms, resolve.failed) == (2, 1.0, 1.0, 3.0, 1)
    assert (commit.count, commit.p99_ms, commit.failed) == (0, 0.0, 1)
    assert timings.failed == 2
    assert [line.split()[0] for line in table([commit, resolve]).splitlines()] == ["what", "commit", "resolve"]


def test_every_call_is_measured_and_nothing_stays_behind(registry: RegistryProcess, client: Client) -> None:
    done = bench(
        *("--address", registry.target, "--clients", "4", "--seconds", "0.5", "--collections", "2", "--files", "3"),
        *("--mix", "log=1,resolve=1,alias=1,list=1", "--project", "measured", "--entity", "bench", "--json"),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    counts = {call["what"]: call["count"] for call in report["calls"]}
    assert report["failed"] == 0
    assert counts["begin"] == counts["seal"] == counts["commit"] == counts["version, begin to commit"] > 0
    assert counts["resolve"] > 0
    assert counts["list"] > 0
    assert not client.list_collections(project="measured", entity="bench").collections


def test_a_registry_that_is_not_there_is_no_measurement(tmp_path: Path) -> None:
    done = bench("--address", f"unix:{tmp_path / 'nobody.sock'}", "--seconds", "0.1")
    assert done.returncode == 78
    assert done.stderr.startswith("holdfast bench: begin: UNAVAILABLE")


def test_a_mix_of_unknown_actions_is_refused() -> None:
    done = bench("--mix", "log=1,dance=1")
    assert done.returncode == 2
    assert "'dance=1'" in done.stderr
