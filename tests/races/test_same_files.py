"""Many processes log the same files at once: they are read, stored and sent once (P7)."""

from pathlib import Path

import pytest

from holdfast_contract.limits import KIB
from support.figures import figure
from support.sdk_calls import fresh_name
from support.sdk_host import SdkHost
from support.sdk_workers import log_folder, run_workers
from support.trees import random_bytes, write_tree

WORKERS = figure(8, 64)
FILES = figure(20, 100)
SIZES = (10 * KIB, 100 * KIB, 700 * KIB)
SENT_SHARE_MAX = 1.05

pytestmark = pytest.mark.timeout(figure(120, 1800))


def test_the_same_files_are_stored_and_sent_once(host: SdkHost, tmp_path: Path) -> None:
    tree = {f"{n}": random_bytes(SIZES[n % len(SIZES)], n) for n in range(FILES)}
    source = write_tree(tmp_path / "in", tree)
    unique_bytes = sum(map(len, tree.values()))
    before = _stored_bytes(host)
    logged = run_workers(log_folder, WORKERS, fresh_name(), str(source))
    assert all((entry.index, entry.created) == (0, True) for entry in logged)
    sent = sum(entry.sent for entry in logged)
    stored = _stored_bytes(host) - before
    print(
        f"{WORKERS} processes, {unique_bytes} bytes: {sent / unique_bytes:.3f} sent, {stored / unique_bytes:.3f} stored"
    )
    assert sent <= unique_bytes * SENT_SHARE_MAX
    assert stored <= unique_bytes * SENT_SHARE_MAX


def _stored_bytes(host: SdkHost) -> int:
    return sum(path.stat().st_size for path in host.places.registry_dir.rglob("*.pack"))
