"""Many processes log to one collection at once: numbers without gaps or repeats, in the order of each process (P5, P22)."""

import concurrent.futures
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast_contract.digest import digest_of
from holdfastpb.registry.v1 import run_pb2
from support.figures import figure
from support.own_registry import OwnRegistry
from support.sdk_calls import fresh_name
from support.sdk_host import SdkHost
from support.sdk_workers import Logged, log_texts, run_workers

WORKERS = figure(8, 64)
EACH = figure(12, 200)
SAME_CONTENT_WORKERS = figure(8, 64)
ORDERED = figure(25, 1000)

pytestmark = pytest.mark.timeout(figure(120, 3600))


def versions(name: str) -> list[holdfast.Artifact]:
    """All of a collection, oldest first."""
    return list(holdfast.Api().artifacts("dataset", f"races/{name}", order="version_index", per_page=1000))


def assert_order_of_each_process(logged: list[Logged]) -> None:
    """What a process logged later has the higher number."""
    for worker in {entry.worker for entry in logged}:
        indexes = [entry.index for entry in logged if entry.worker == worker]
        assert indexes == sorted(indexes)


def test_numbers_are_unique_and_without_gaps(host: SdkHost) -> None:
    name = fresh_name()
    logged = run_workers(log_texts, WORKERS, name, EACH)
    assert sorted(entry.index for entry in logged) == list(range(WORKERS * EACH))
    assert all(entry.created for entry in logged)
    assert_order_of_each_process(logged)
    found = versions(name)
    assert [version.version for version in found] == [f"v{n}" for n in range(WORKERS * EACH)]
    by_index = {entry.index: entry for entry in logged}
    for index, version in enumerate(found):
        entry = by_index[index]
        assert version.metadata == {"worker": entry.worker, "number": entry.number}
    assert [version.aliases for version in found[-2:]] == [[], ["latest"]]
    for index in (0, len(found) // 2, len(found) - 1):
        assert found[index].get_entry("file").digest == digest_of(by_index[index].text.encode()).hex()


def test_equal_contents_from_many_processes_make_one_version(host: SdkHost) -> None:
    name = fresh_name()
    logged = [entry for entry in run_workers(_log_one, SAME_CONTENT_WORKERS, name) if entry]
    assert {entry.index for entry in logged} == {0}
    assert sum(entry.created for entry in logged) == 1
    [version] = versions(name)
    assert len(set(logging_runs(version))) == SAME_CONTENT_WORKERS


def _log_one(worker: int, name: str) -> list[Logged]:
    return log_texts(worker, name, 1, same=True)


def logging_runs(version: holdfast.Artifact) -> list[str]:
    """The runs that logged a version, by the registry's word: `logged_by` shows only the first."""
    calls = RegistryCalls(this_process().daemon)
    return [run.run_id for run in calls.version_runs(version.id or "", run_pb2.EDGE_KIND_LOGGED)]


@pytest.fixture
def second_host(tmp_path: Path) -> Iterator[tuple[OwnRegistry, SdkHost]]:
    """A registry of its own with a host whose daemon uses it."""
    own = OwnRegistry(tmp_path / "registry")
    own.start()
    with SdkHost(tmp_path / "one", own.daemon_settings()).entered() as host:
        yield own, host
    own.terminate()


def test_two_hosts_keep_the_order_of_each_and_leave_no_gap(
    second_host: tuple[OwnRegistry, SdkHost], tmp_path: Path
) -> None:
    own, first = second_host
    name = fresh_name()
    other = SdkHost(tmp_path / "two", own.daemon_settings())
    code = """
import json, sys
from dataclasses import asdict
from support.sdk_workers import log_texts
print(json.dumps([asdict(entry) for entry in log_texts(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))]))
"""
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            done = list(threads.map(lambda pair: pair[1].run(code, pair[0], name, ORDERED), enumerate([first, other])))
    finally:
        other.close()
    logged = [Logged(**entry) for each in done for entry in json.loads(each.stdout or each.stderr)]
    assert sorted(entry.index for entry in logged) == list(range(2 * ORDERED))
    assert_order_of_each_process(logged)
