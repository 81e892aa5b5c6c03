"""kill -9 of a scrub at every place of a repair, and a scrub that another registry goes on with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from holdfast_registry.clock import SystemClock
from holdfast_registry.domain.duties import HOLD_MS
from holdfast_registry.failpoint_names import FAILPOINTS
from holdfast_registry.fsck import check_store
from holdfast_registry.scrub.command import stopped_scrubber
from holdfast_registry.settings import RegistrySettings
from registry.client import Client
from registry.collecting import MovedClock
from registry.kept import Kept
from registry.processes import run_registry
from registry.test_scrub import damage, hurt, status_of

FAST = 10**12
ALWAYS = 1e-6
BAD = os.urandom(3000)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Kept, bytes]:
    """A stopped registry with three packs, a chunk of the second damaged; and that pack as it was."""
    kept = Kept(tmp_path_factory.mktemp("damaged"))
    with kept.process() as process, Client(process.target) as client:
        client.log_files("a", {"a": os.urandom(3000)})
        client.log_files("b", {"bad": BAD, "good": os.urandom(3000)})
        client.log_files("c", {"c": os.urandom(3000)})
        process.stop()
    sound = {pack_id: kept.read(pack_id) for pack_id in kept.packs()}
    return kept, sound[damage(kept, BAD)]


@pytest.fixture
def copy(damaged: tuple[Kept, bytes], tmp_path: Path) -> Kept:
    shutil.copytree(damaged[0].data_dir, tmp_path / "data")
    return Kept(tmp_path)


async def scrub(kept: Kept, clock: MovedClock | None = None, interval_s: float = ALWAYS) -> bool:
    async with stopped_scrubber(RegistrySettings(), kept.data_dir, clock or SystemClock()) as scrubber:
        return await scrubber.look(interval_s, FAST) is not None


@pytest.mark.parametrize("place", [name for name in FAILPOINTS if name.startswith("scrub.")])
async def test_killed_repair_is_finished_by_the_next_scrub(copy: Kept, damaged: tuple[Kept, bytes], place: str) -> None:
    killed = run_registry(
        "scrub", "run", "--data-dir", str(copy.data_dir), environment={"HOLDFAST_FAILPOINTS": f"{place}=kill"}
    )
    assert killed.returncode < 0, "the place was not passed"
    clock = MovedClock()
    assert not await scrub(copy, clock), "the one that was killed has the duty still"
    clock.ahead_ms = HOLD_MS + 1000
    assert await scrub(copy, clock)
    status = status_of(copy)
    assert hurt(status, "b") == {"team/vision/b:v0": ["bad"]}
    assert (len(status.hurt), len(status.quarantined), status.lost_chunks) == (1, 1, 1)
    copy.write(bytes.fromhex(status.quarantined[0].pack_id), damaged[1])
    assert await scrub(copy, clock)
    report = check_store(copy.data_dir, deep=True)
    assert report.is_clean, report.findings


async def test_round_goes_on_where_it_was_and_begins_again_when_it_is_due(copy: Kept) -> None:
    copy.execute(
        "INSERT INTO scrub_round (started_at_ms, after_pack, packs_checked, bytes_read, packs_damaged) "
        "SELECT 1, max(id) - 1, 2, 100, 0 FROM pack"
    )
    assert await scrub(copy)
    status = status_of(copy)
    assert status.round is not None
    assert (status.round.row, status.round.packs_checked, status.round.packs_damaged) == (1, 3, 0)
    clock = MovedClock()
    clock.ahead_ms = 1000
    copy.execute("UPDATE scrub_round SET started_at_ms = ended_at_ms")
    assert not await scrub(copy, clock, interval_s=3600)
    clock.ahead_ms = 3_700_000
    assert await scrub(copy, clock, interval_s=3600)
    status = status_of(copy)
    assert status.round is not None
    assert (status.round.row, status.round.packs_checked, status.round.packs_damaged) == (2, 4, 1), "also the new one"
    assert status.round.bytes_read > sum(len(copy.read(pack_id)) for pack_id in copy.packs()[:2])


async def test_discarded_packs_are_left_to_the_collection_of_garbage(copy: Kept) -> None:
    assert await scrub(copy)
    assert len(status_of(copy).quarantined) == 1
    done = run_registry("scrub", "discard", "--data-dir", str(copy.data_dir))
    assert (done.returncode, "1 packs are given up" in done.stderr) == (1, True), "the version is hurt still"
    assert status_of(copy).quarantined == []
    assert copy.execute("SELECT state FROM pack WHERE doomed_at_ms IS NOT NULL") == ["3"]
