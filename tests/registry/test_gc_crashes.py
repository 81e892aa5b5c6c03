"""kill -9 of a collector at every place that it passes: nothing that is needed is lost, and the next cycles finish the work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast_registry.failpoint_names import FAILPOINTS
from holdfast_registry.fsck import check_store
from registry.client import Client
from registry.collecting import collect, stored_bytes
from registry.processes import RegistryProcess, command_environment
from support import preloaded

AT_ONCE = {
    "GC_GRACE_S": "0",
    "UNDELETE_WINDOW_S": "0",
    "GC_REMOVAL_DELAY_S": "0",
    "GC_ORPHAN_S": "0",
    "GC_PAUSE_S": "0",
}
CYCLES_MAX = 4
"""Before each place was passed: condemned, deleted, rewritten, removed."""


def gc_until_killed(data_dir: Path, place: str) -> bool:
    settings = {f"HOLDFAST_REGISTRY_{name}": value for name, value in AT_ONCE.items()}
    environment = command_environment(settings | {"HOLDFAST_FAILPOINTS": f"{place}=kill"})
    command = ["gc", "--data-dir", str(data_dir)]
    cycles = (preloaded.run("holdfast_registry", command, environment) for _ in range(CYCLES_MAX))
    return any(cycle.returncode < 0 for cycle in cycles)


@pytest.fixture
def littered(own_registry: RegistryProcess) -> tuple[Path, int]:
    """A stopped registry with deleted versions beside kept ones; its folder, and the bytes of what is kept."""
    kept = {f"kept{number}": os.urandom(5000) for number in range(6)}
    with own_registry, Client(own_registry.target) as client:
        for number, (name, data) in enumerate(kept.items()):
            first = client.log_files(f"c{number}", {name: data, "a": os.urandom(9000), "b": os.urandom(9000)})
            client.log_files(f"c{number}", {name: data})
            client.delete(first.version_id)
        gone = client.log_files("gone", {"x": os.urandom(9000)})
        client.delete(gone.version_id, delete_aliases=True)
        own_registry.stop()
    return own_registry.data_dir, sum(map(len, kept.values()))


@pytest.mark.parametrize("place", [name for name in FAILPOINTS if name.startswith("gc.")])
async def test_killed_collector_loses_nothing_and_leaves_nothing(littered: tuple[Path, int], place: str) -> None:
    data_dir, needed = littered
    assert gc_until_killed(data_dir, place), "the place was not passed"
    assert check_store(data_dir, deep=True).is_clean
    for _ in range(CYCLES_MAX):
        assert not (await collect(data_dir)).problem
    report = check_store(data_dir, deep=True)
    assert report.is_clean, report.findings
    assert not report.notes, report.notes
    assert stored_bytes(data_dir) < needed + 6 * 4096
