"""P8: garbage is collected in a loop and without any grace, while writers use each other's deleted contents again."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import grpc
import pytest

from holdfast_registry.domain.duties import HOLD_MS
from holdfast_registry.pack_intake import CHECKED_AT_ONCE_BYTES
from registry.client import Client, Content, content_of, error_of
from registry.collecting import MovedClock, collect
from registry.kept import PLACES, Kept, credentials, kept_at
from support.figures import figure

WRITERS = figure(small=6, full=32)
COMMITS = figure(small=300, full=10_000)
COMMITS_FAR_AWAY = figure(small=60, full=10_000)
"""The same on PostgreSQL and S3, where each takes several times as long."""
COMMITS_OF_MANY = figure(small=36, full=3000)
LARGE_PACKS_MIN = 5
"""What was deleted stays stored until a cycle comes to it, so most commits bring little."""
LEFT_MAX = 1
"""Of a writer: with more, all contents would soon be named by some version for good."""
CYCLES_MIN = 4
"""Beside the writers; on a busy machine with two replicas a cycle takes as long as ten commits."""
PACK_SLACK_BYTES = 2048
"""Header, trailer and the footer's rows of the frames, dead ones included, of one small pack."""
MANIFEST_BYTES = 600
"""Segment and root of four files."""
ROUNDS_MAX = 50
"""Of one commit; a writer that needs more is stuck."""
AT_ONCE = {
    "HOLDFAST_REGISTRY_GC_INTERVAL_S": "0.01",
    "HOLDFAST_REGISTRY_GC_GRACE_S": "0",
    "HOLDFAST_REGISTRY_UNDELETE_WINDOW_S": "0",
    "HOLDFAST_REGISTRY_GC_REMOVAL_DELAY_S": "0",
    "HOLDFAST_REGISTRY_GC_PAUSE_S": "0",
}


def in_turn(target: str, commits: int) -> Iterator[Client]:
    """A client for each commit; several targets (separated by blanks) take turns."""
    with ExitStack() as opened:
        clients = [opened.enter_context(Client(one)) for one in target.split()]
        yield from (clients[number % len(clients)] for number in range(commits))


@dataclass(frozen=True)
class Files:
    """What an artifact is made of."""

    count: int
    size_bytes: int
    chosen_from: int
    """Contents, which all writers share: each is deleted, condemned, brought and named again many times."""

    def sample(self, rng: random.Random) -> Content:
        numbers = rng.sample(range(self.chosen_from), self.count)
        return content_of({f"f{number}": pool(number, self.size_bytes) for number in numbers})


FEW = Files(4, 2000, 10 * WRITERS)
MANY = Files(30, 60_000, 40 * WRITERS)
"""Packs of them are too large to be checked when they are sealed: they are read back beside the collection."""


class Uploader(threading.Thread):
    """Logs a content, deletes it again most of the time, and goes on."""

    def __init__(self, number: int, target: str, commits: int, files: Files = FEW) -> None:
        super().__init__()
        self.number = number
        self.target = target
        self.commits = commits
        self.files = files
        self.rounds_needed = 0
        self.left: list[str] = []
        """Versions that it has not deleted."""
        self.problem: BaseException | None = None

    def run(self) -> None:
        rng = random.Random(self.number)
        try:
            for client in in_turn(self.target, self.commits):
                self.log(client, rng)
        except (grpc.RpcError, AssertionError) as error:  # a thread's failure must reach the test
            self.problem = error

    def log(self, client: Client, rng: random.Random) -> None:
        content = self.files.sample(rng)
        collection = f"c{rng.randrange(4)}"
        self.left.append(self.commit(client, collection, content))
        if rng.random() < 0.85:
            self.delete(client, self.left.pop())
        elif len(self.left) > LEFT_MAX:
            self.delete(client, self.left.pop(0))

    def delete(self, client: Client, version: str) -> None:
        try:
            client.delete(version, delete_aliases=True)
        except grpc.RpcError as error:
            if error_of(error).reason != "NOT_FOUND":  # another writer that came to the same version was first
                raise

    def commit(self, client: Client, collection: str, content: Content) -> str:
        """As the daemon: what is missing is brought, until nothing is."""
        begun = client.begin(collection)
        lease_id = begun.lease.lease_id
        wanted = client.missing_of(lease_id, content.chunks)
        for round_number in range(ROUNDS_MAX):
            if wanted:
                client.bring(lease_id, wanted)
            try:
                answer = client.commit(begun, content)
            except grpc.RpcError as error:
                if not error_of(error).retryable:
                    raise
                wanted = []
                continue
            self.rounds_needed = max(self.rounds_needed, round_number)
            if not answer.missing_digests:
                return answer.version.version_id
            wanted = client.missing_of(lease_id, content.chunks)
        raise AssertionError("stuck")


@cache
def pool(number: int, size_bytes: int) -> bytes:
    return random.Random(number).randbytes(size_bytes)


@pytest.fixture(params=PLACES)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    kept = kept_at(request, tmp_path)
    with credentials(kept):
        yield kept


@pytest.mark.timeout(figure(300, 7200))
async def test_collection_without_grace_takes_nothing_that_is_or_becomes_needed(kept: Kept) -> None:
    await logged_beside_collections(kept, COMMITS_FAR_AWAY if kept.environment else COMMITS, FEW)


@pytest.mark.timeout(figure(300, 7200))
@pytest.mark.parametrize("kept", PLACES[1:], indirect=True)
async def test_collection_without_grace_takes_nothing_of_packs_that_are_read_back_meanwhile(kept: Kept) -> None:
    await logged_beside_collections(kept, COMMITS_OF_MANY, MANY)
    large = f"SELECT count(*) FROM pack WHERE size_bytes > {CHECKED_AT_ONCE_BYTES} AND sealed_at_ms IS NOT NULL"
    assert int(kept.execute(large)[0]) >= LARGE_PACKS_MIN


async def logged_beside_collections(kept: Kept, commits: int, files: Files) -> None:
    # On PostgreSQL two replicas, both of which collect: each cycle may be another one's.
    processes = [kept.process(name, AT_ONCE) for name in (("", "other") if kept.environment else ("",))]
    with ExitStack() as running:
        for process in processes:
            running.enter_context(process)
        target = " ".join(process.target for process in processes)
        writers = [Uploader(number, target, commits // WRITERS, files) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert [writer.problem for writer in writers if writer.problem] == []
        assert [process.stop() for process in processes] == [0] * len(processes)
        log = "".join(process.log.read_text() for process in processes)
    assert log.count("garbage collected") >= CYCLES_MIN, "it must have gone on beside the writers"
    assert "ERROR" not in log, [line for line in log.splitlines() if "ERROR" in line][:3]
    report = await asyncio.to_thread(kept.fsck)
    assert report.is_clean, report.findings
    clock = MovedClock()
    clock.ahead_ms = HOLD_MS + 1000  # a replica that was stopped in a cycle is not followed before
    for _ in range(4):
        assert not (await collect(kept.data_dir, clock=clock, settings=kept.settings)).problem
    report = await asyncio.to_thread(kept.fsck)
    assert report.is_clean, report.findings
    # A pack stays while half of it is in use; the manifests of the versions that are left are some 300 bytes each.
    needed = sum(map(int, kept.execute("SELECT sum(stored_length) FROM chunk")))
    packs = await asyncio.to_thread(kept.packs)
    assert await asyncio.to_thread(kept.stored_bytes) <= 2 * needed + len(packs) * PACK_SLACK_BYTES
    versions = int(kept.execute("SELECT count(*) FROM version WHERE state = 2")[0])
    named = files.chosen_from * files.size_bytes + versions * MANIFEST_BYTES * files.count // FEW.count
    assert needed <= named, "no chunk is kept that no version names"
