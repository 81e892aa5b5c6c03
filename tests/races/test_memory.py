"""Memory stays bounded, whatever is logged: many entries, and one large file (P11)."""

from pathlib import Path

import psutil
import pytest

from holdfast_contract.limits import GIB, MIB
from support.figures import figure
from support.memory_probe import MemoryProbe, held_bytes
from support.sdk_calls import fetched, log, new_artifact
from support.sdk_host import SdkHost
from support.trees import random_bytes

ENTRIES = figure(10_000, 100_000)
FILE_BYTES = figure(512 * MIB, 10 * GIB)
DAEMON_BYTES_MAX = 300 * MIB
SDK_GROWTH_MAX = 64 * MIB

pytestmark = pytest.mark.timeout(figure(180, 7200))


def daemon_processes(host: SdkHost) -> list[psutil.Process]:
    """The daemon and its workers; the embedded registry is a server of its own."""
    daemon = host.daemon()
    if daemon is None:
        return []
    found = [daemon, *daemon.children(recursive=True)]
    return [p for p in found if not _is_registry(p)]


def _is_registry(process: psutil.Process) -> bool:
    try:
        return "holdfast_registry" in process.cmdline()
    except psutil.NoSuchProcess:
        return True


def log_and_read(host: SdkHost, source: Path, target: Path, what: str) -> None:
    """Logs a folder, lists it and downloads it, under the eyes of a probe."""
    this = psutil.Process()
    with MemoryProbe(lambda: daemon_processes(host)) as daemon, MemoryProbe(lambda: [this]) as sdk:
        before = held_bytes(this)
        artifact = new_artifact()
        artifact.add_dir(str(source))
        log(artifact)
        found = fetched(artifact)
        assert sum(1 for _ in found.manifest.paths()) == found.file_count
        found.download(str(target))
    print(f"{what}: daemon {daemon.peak_bytes / MIB:.0f} MiB, SDK +{(sdk.peak_bytes - before) / MIB:.0f} MiB")
    assert 0 < daemon.peak_bytes < DAEMON_BYTES_MAX
    assert sdk.peak_bytes - before < SDK_GROWTH_MAX


@pytest.fixture(autouse=True)
def _warm(host: SdkHost, tmp_path: Path) -> None:
    """What is loaded at the first use is no growth."""
    artifact = new_artifact()
    with artifact.new_file("file") as file:
        file.write("x")
    fetched(log(artifact)).download(str(tmp_path / "warm"))


def test_memory_is_bounded_for_many_entries(host: SdkHost, tmp_path: Path) -> None:
    for number in range(ENTRIES):
        folder = tmp_path / "in" / str(number % 100)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(number)).write_bytes(random_bytes(256, number))
    log_and_read(host, tmp_path / "in", tmp_path / "out", f"{ENTRIES} entries")


def test_memory_is_bounded_for_a_large_file(host: SdkHost, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    # Every second piece is a hole.
    with (tmp_path / "in" / "large").open("wb") as file:
        piece = 16 * MIB
        for number in range(0, FILE_BYTES // piece, 2):
            file.seek(number * piece)
            file.write(random_bytes(piece, number))
        file.truncate(FILE_BYTES)
    log_and_read(host, tmp_path / "in", tmp_path / "out", f"{FILE_BYTES // MIB} MiB")
