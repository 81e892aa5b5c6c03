"""kill -9 at every named place: the writer repeats its calls, and ends with exactly one whole version."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import grpc
import pytest

from holdfast_contract.os_layer import EXIT_CODE_FSYNC
from holdfast_registry.failpoint_names import FAILPOINTS
from holdfast_registry.fsck import check_store
from holdfastpb.registry.v1.version_pb2 import ListVersionsRequest, UpdateVersionRequest, Version
from registry.client import Client, Content, content_of, error_of, new_request_id, pack_of, reason_of
from registry.processes import RegistryProcess
from support.figures import FULL

T = TypeVar("T")

FILES = {"a/b.txt": b"hello", "c": b"x" * 5000, "empty": b""}


class StubbornWriter:
    """Logs one version, tags and links it, repeating each call until the registry, started again, has answered it."""

    def __init__(self, process: RegistryProcess) -> None:
        self.process = process
        self.restarts = 0
        # As the daemon: ids are made, and written down, before the first send.
        self.ids = {name: new_request_id() for name in ("begin", "commit", "update", "link")}

    def insist(self, call: Callable[[Client], T]) -> T:
        for _ in range(3):
            try:
                with Client(self.process.target) as client:
                    return call(client)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                self.process.wait()
                self.process.set_environment({})
                self.process.start()
                self.restarts += 1
        raise AssertionError("the registry died again and again")

    def log(self, content: Content) -> Version:
        begun = self.insist(lambda client: client.begin("c", id=self.ids["begin"]))
        lease_id = begun.lease.lease_id
        missing = self.insist(lambda client: client.missing_of(lease_id, content.chunks))
        if missing:
            pack_id, data = pack_of(missing)
            grant = self.insist(lambda client: client.grant(lease_id, pack_id, len(data), len(missing)))
            Path(grant.filesystem.path).write_bytes(data)
            self.insist(lambda client: client.seal(lease_id, pack_id, len(data)))
        committed = self.insist(lambda client: client.commit(begun, content, id=self.ids["commit"], aliases=["best"]))
        assert not committed.missing_digests
        update = UpdateVersionRequest(
            request_id=self.ids["update"], version_id=committed.version.version_id, tags_to_add=["done"]
        )
        version = self.insist(lambda client: client.call(client.versions.UpdateVersion, update)).version
        return self.insist(lambda client: client.link(version.version_id, "p", aliases=["prod"], id=self.ids["link"]))


def check_outcome(process: RegistryProcess, version: Version, content: Content) -> None:
    assert (version.version_index, version.digest) == (0, content.artifact_digest)
    assert (list(version.aliases), list(version.tags)) == (["best", "latest"], ["done"])
    assert (version.link.version_index, list(version.link.aliases)) == (0, ["latest", "prod"])
    with Client(process.target) as client:
        assert client.list_versions("p").total_count == 1
        request = ListVersionsRequest(entity="team", project="vision", collection="c")
        assert client.call(client.versions.ListVersions, request).total_count == 1
        # The registry goes on as if nothing had been.
        assert client.log_files("c", {"next": b"1"}).version_index == 1
    if process.database_url is None:
        report = check_store(process.data_dir, deep=True)
        assert report.is_clean, report.findings


ELSEWHERE = ("part.", "finish.", "gc.", "scrub.", "verifier.", "copy.")
"""Places with crash tests of their own."""


@pytest.mark.parametrize("place", [name for name in FAILPOINTS if not name.startswith(ELSEWHERE)])
def test_version_is_whole_after_a_kill(any_registry: RegistryProcess, place: str) -> None:
    any_registry.set_environment({"HOLDFAST_FAILPOINTS": f"{place}=kill"})
    any_registry.start()
    writer, content = StubbornWriter(any_registry), content_of(FILES)
    version = writer.log(content)
    assert writer.restarts == 1, "the place was not passed"
    check_outcome(any_registry, version, content)


@pytest.mark.parametrize(
    ("place", "passage"),
    list(itertools.product(["os.rename", "os.fsync", "os.fsync_folder"], [1, 2, 3] if FULL else [1])),
)
def test_version_is_whole_after_a_kill_between_operations_on_files(
    own_registry: RegistryProcess, place: str, passage: int
) -> None:
    own_registry.start()
    own_registry.stop()  # the folders are made, so the passages counted are those of the seal
    starting = {"os.fsync_folder": 2}.get(place, 0)
    own_registry.set_environment({"HOLDFAST_FAILPOINTS": f"{place}=kill@{starting + passage}"})
    own_registry.start()
    content = content_of(FILES)
    check_outcome(own_registry, StubbornWriter(own_registry).log(content), content)


def test_failed_fsync_ends_the_process_and_nothing_was_acknowledged(own_registry: RegistryProcess) -> None:
    own_registry.set_environment({"HOLDFAST_FAILPOINTS": "os.fsync=EIO"})
    own_registry.start()
    content = content_of(FILES)
    with Client(own_registry.target) as client:
        lease_id = client.begin("c").lease.lease_id
        with pytest.raises(grpc.RpcError):
            client.bring(lease_id, content.chunks)
    assert own_registry.wait() == EXIT_CODE_FSYNC
    own_registry.set_environment({})
    own_registry.start()
    with Client(own_registry.target) as client:
        assert client.missing_of(client.begin("c").lease.lease_id, content.chunks) == content.chunks
        assert client.log("c", content).created


def test_full_disk_refuses_the_seal_and_a_repetition_succeeds(own_registry: RegistryProcess) -> None:
    own_registry.set_environment({"HOLDFAST_FAILPOINTS": "os.rename=ENOSPC"})
    own_registry.start()
    content = content_of(FILES)
    with Client(own_registry.target) as client:
        begun = client.begin("c")
        lease_id = begun.lease.lease_id
        pack_id, data = pack_of(content.chunks)
        client.deliver(lease_id, client.grant(lease_id, pack_id, len(data), len(content.chunks)), data)
        with pytest.raises(grpc.RpcError) as refused:
            client.seal(lease_id, pack_id, len(data))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error_of(refused.value).reason == "OUT_OF_SPACE"
        assert client.seal(lease_id, pack_id, len(data)).live_chunks == len(content.chunks)
        assert client.commit(begun, content).created


def test_answer_that_was_lost_is_given_again_after_a_restart(own_registry: RegistryProcess) -> None:
    own_registry.start()
    content, request_id = content_of(FILES), new_request_id()
    with Client(own_registry.target) as client:
        begun = client.begin("c")
        client.bring(begun.lease.lease_id, content.chunks)
        first = client.commit(begun, content, id=request_id)
    own_registry.kill()
    own_registry.start()
    with Client(own_registry.target) as client:
        assert client.commit(begun, content, id=request_id) == first
        assert reason_of(lambda: client.commit(begun, content)) == "VERSION_NOT_PENDING"
