"""P8: garbage is collected in a loop and without any grace, while writers use each other's deleted contents again."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import grpc
import pytest

from holdfast_registry.fsck import check_store
from registry.client import Client, Content, content_of, error_of
from registry.collecting import collect, stored_bytes
from registry.processes import RegistryProcess
from support.figures import figure

WRITERS = figure(small=6, full=32)
COMMITS = figure(small=300, full=10_000)
CONTENTS = 60
"""That all writers choose from: each is deleted, condemned, brought and named again many times."""
ROUNDS_MAX = 50
"""Of one commit; a writer that needs more is stuck."""
AT_ONCE = {
    "HOLDFAST_REGISTRY_GC_INTERVAL_S": "0.01",
    "HOLDFAST_REGISTRY_GC_GRACE_S": "0",
    "HOLDFAST_REGISTRY_UNDELETE_WINDOW_S": "0",
    "HOLDFAST_REGISTRY_GC_REMOVAL_DELAY_S": "0",
    "HOLDFAST_REGISTRY_GC_PAUSE_S": "0",
}


class Uploader(threading.Thread):
    """Logs a content, deletes it again most of the time, and goes on."""

    def __init__(self, number: int, target: str, commits: int) -> None:
        super().__init__()
        self.number = number
        self.target = target
        self.commits = commits
        self.rounds_needed = 0
        self.problem: BaseException | None = None

    def run(self) -> None:
        rng = random.Random(self.number)
        try:
            with Client(self.target) as client:
                for _ in range(self.commits):
                    self.log(client, rng)
        except (grpc.RpcError, AssertionError) as error:  # a thread's failure must reach the test
            self.problem = error

    def log(self, client: Client, rng: random.Random) -> None:
        content = content_of({f"f{number}": pool(number) for number in rng.sample(range(CONTENTS), 4)})
        collection = f"c{rng.randrange(4)}"
        version = self.commit(client, collection, content)
        if rng.random() < 0.85:
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


def pool(number: int) -> bytes:
    return random.Random(number).randbytes(2000)


@pytest.mark.timeout(figure(300, 7200))
async def test_collection_without_grace_takes_nothing_that_is_or_becomes_needed(tmp_path: Path) -> None:
    with RegistryProcess(tmp_path, environment=AT_ONCE) as process:
        writers = [Uploader(number, process.target, COMMITS // WRITERS) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert [writer.problem for writer in writers if writer.problem] == []
        assert process.stop() == 0
        log = process.log.read_text()
    assert log.count("garbage collected") > 10, "it must have gone on beside the writers"
    assert "ERROR" not in log, [line for line in log.splitlines() if "ERROR" in line][:3]
    report = check_store(process.data_dir, deep=True)
    assert report.is_clean, report.findings
    for _ in range(4):
        assert not (await collect(process.data_dir)).problem
    report = check_store(process.data_dir, deep=True)
    assert report.is_clean, report.findings
    # The contents, twice for packs that are just half in use, and the manifests of the versions that are left.
    assert stored_bytes(process.data_dir) < CONTENTS * 2000 * 2 + COMMITS * 100
