"""Large packs that go straight to an S3 server serve their own upload at once, and others when the registry has read them back."""

from __future__ import annotations

import os
import sqlite3
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import grpc
import pytest

from holdfast_contract.digest import digest_of
from holdfast_registry.database.sqlite import DATABASE_NAME
from holdfastpb.registry.v1.pack_pb2 import LocateChunksRequest
from holdfastpb.registry.v1.version_pb2 import BeginVersionResponse
from registry.client import Client, Content, content_of, pack_of, reason_of
from registry.processes import RegistryProcess
from support.seaweedfs import SeaweedFS

BUCKET = "unread-packs"
CHUNK_BYTES = 50_000
CHUNKS = 25
"""Too many for a pack that is checked at once."""
IDLE = "verifier.before_look=EIO@1+"
"""Nothing is read beside the calls, as long as that may take."""


@pytest.fixture(scope="module")
def s3_environment(seaweedfs: SeaweedFS) -> dict[str, str]:
    seaweedfs.make_bucket(BUCKET)
    return {**seaweedfs.environ, "HOLDFAST_REGISTRY_STORE_URL": f"s3://{BUCKET}/{uuid.uuid4().hex}"}


@pytest.fixture(scope="module")
def idle(
    s3_environment: dict[str, str], database_url: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """A registry that reads nothing back by itself."""
    environment = {**s3_environment, "HOLDFAST_FAILPOINTS": IDLE}
    folder = tmp_path_factory.mktemp("registry")
    with (
        RegistryProcess(folder, environment=environment, database_url=database_url) as process,
        Client(process.target) as client,
    ):
        yield client


@pytest.fixture
def entity() -> str:
    return f"e{uuid.uuid4().hex[:12]}"


@dataclass
class Upload:
    """One writer's way, step by step."""

    client: Client
    begun: BeginVersionResponse

    @classmethod
    def begin(cls, client: Client, entity: str, collection: str = "data") -> Upload:
        return cls(client, client.begin(collection, entity=entity))

    @property
    def lease_id(self) -> str:
        return self.begun.lease.lease_id

    def missing(self, chunks: Sequence[bytes]) -> list[bytes]:
        return self.client.missing_of(self.lease_id, chunks)

    def bring(self, chunks: Sequence[bytes]) -> int:
        return int(self.client.bring(self.lease_id, chunks).live_chunks)

    def bring_damaged(self, chunks: Sequence[bytes]) -> int:
        """As a writer whose memory or disk is faulty: the first frame does not have the bytes of its digest."""
        pack_id, sound = pack_of(chunks)
        data = bytearray(sound)
        data[100] ^= 1
        return int(self.client.bring_pack(self.lease_id, pack_id, bytes(data), len(chunks)).live_chunks)

    def commit(self, content: Content) -> str:
        """Returns the version, or "missing"."""
        answer = self.client.commit(self.begun, content)
        return "missing" if answer.missing_digests else str(answer.version.version_id)


def files(count: int = CHUNKS) -> dict[str, bytes]:
    return {f"f{number}": os.urandom(CHUNK_BYTES) for number in range(count)}


def read(client: Client, entity: str, chunk: bytes) -> bytes:
    """A chunk's bytes, as a reader is told to bring them."""
    wanted = LocateChunksRequest(entity=entity, digests=digest_of(chunk))
    located = client.call(client.packs.LocateChunks, wanted)
    (pack,) = located.packs
    with urllib.request.urlopen(urllib.request.Request(pack.http.url), timeout=30) as answer:
        return bytes(answer.read())


def test_upload_commits_what_nobody_has_read_and_another_one_finds_it_read(idle: Client, entity: str) -> None:
    content = content_of(files())
    first = Upload.begin(idle, entity)
    assert first.bring(content.chunks) == len(content.chunks)
    assert first.missing(content.chunks) == []
    other = Upload.begin(idle, entity, "other")
    assert other.missing(content.chunks) == []
    assert first.commit(content) != "missing"
    assert other.commit(content) != "missing"


def test_damaged_pack_serves_its_upload_until_somebody_wants_to_go_by_it(idle: Client, entity: str) -> None:
    content = content_of(files())
    first = Upload.begin(idle, entity)
    assert first.bring_damaged(content.chunks) == len(content.chunks)
    assert first.missing(content.chunks) == []
    other = Upload.begin(idle, entity, "other")
    assert other.missing(content.chunks) == content.chunks
    assert first.commit(content) == "missing"
    assert first.bring(content.chunks) == len(content.chunks)
    assert first.commit(content) != "missing"
    assert other.missing(content.chunks) == []


def test_commit_that_names_chunks_of_a_damaged_unread_pack_is_told_that_they_are_missing(
    idle: Client, entity: str
) -> None:
    shared = files()
    content, more = content_of(shared), content_of({**shared, "more": b"m"})
    first, other = Upload.begin(idle, entity), Upload.begin(idle, entity, "other")
    first.bring_damaged(content.chunks)
    other.bring([chunk for chunk in more.chunks if chunk not in content.chunks])
    assert other.commit(more) == "missing"


def test_commit_that_names_chunks_of_a_sound_unread_pack_waits_until_it_is_read(idle: Client, entity: str) -> None:
    shared = files()
    content, more = content_of(shared), content_of({**shared, "more": b"m"})
    first, other = Upload.begin(idle, entity), Upload.begin(idle, entity, "other")
    first.bring(content.chunks)
    other.bring([chunk for chunk in more.chunks if chunk not in content.chunks])
    assert other.commit(more) != "missing"


def test_chunk_that_two_bring_at_once_is_read_from_the_sound_pack(idle: Client, entity: str) -> None:
    content = content_of(files())
    first, other = Upload.begin(idle, entity), Upload.begin(idle, entity, "other")
    first.bring_damaged(content.chunks)
    assert other.bring(content.chunks) == 0, "the rows are the first one's"
    assert other.commit(content) == "missing"
    assert other.bring(content.chunks) == len(content.chunks)
    assert other.commit(content) != "missing"
    assert content.chunks[0] in read(idle, entity, content.chunks[0])


def test_version_of_a_damaged_pack_is_hurt_and_healed_by_whoever_logs_its_content_again(
    idle: Client, entity: str
) -> None:
    content = content_of(files())
    first = Upload.begin(idle, entity)
    first.bring_damaged(content.chunks)
    assert first.commit(content) != "missing"
    second = Upload.begin(idle, entity)
    assert second.missing(content.chunks) == content.chunks[:1], "what is sound of it was moved"
    second.bring(content.chunks[:1])
    assert second.commit(content) == first.begun.version_id
    assert content.chunks[0] in read(idle, entity, content.chunks[0])


def test_no_version_leans_on_a_damaged_latest_one(idle: Client, entity: str) -> None:
    # Its chunks are not looked for, since the latest version holds them; and its packs nobody has read.
    shared = files()
    content, more = content_of(shared), content_of({**shared, "more": b"m"})
    first = Upload.begin(idle, entity)
    first.bring_damaged(content.chunks)
    assert first.commit(content) != "missing"
    second = Upload.begin(idle, entity)
    second.bring([chunk for chunk in more.chunks if chunk not in content.chunks])
    assert second.commit(more) == "missing"


def test_same_content_again_is_no_no_op_over_a_damaged_version(idle: Client, entity: str) -> None:
    content = content_of(files())
    first = Upload.begin(idle, entity)
    first.bring_damaged(content.chunks)
    assert first.commit(content) != "missing"
    again = Upload.begin(idle, entity)
    assert again.commit(content) == "missing"


def test_upload_brings_its_own_manifest_again_when_it_was_damaged_on_the_way(idle: Client, entity: str) -> None:
    content = content_of(files())
    first = Upload.begin(idle, entity)
    first.bring_damaged(content.chunks[::-1])  # the root comes first
    assert first.commit(content) == "missing"
    assert first.missing(content.chunks) == content.chunks, "the whole pack was given up"
    first.bring(content.chunks)
    assert first.commit(content) != "missing"


def test_damaged_version_is_not_healed_by_another_damaged_pack(idle: Client, entity: str) -> None:
    content = content_of(files())
    first = Upload.begin(idle, entity)
    first.bring_damaged(content.chunks)
    assert first.commit(content) != "missing"
    second = Upload.begin(idle, entity)
    assert second.missing(content.chunks) == content.chunks[:1]
    second.bring_damaged([content.chunks[0], *files().values()])
    assert second.commit(content) == "missing", "it would be a no-op"
    second.bring(content.chunks[:1])
    assert second.commit(content) == first.begun.version_id


def test_parts_are_merged_when_their_packs_are_read(idle: Client, entity: str) -> None:
    name = "parts"
    for writer, damaged in (("a", False), ("b", False)):
        content = content_of({f"{writer}/{path}": data for path, data in files().items()})
        begun = idle.begin_part(name, "d1", writer, entity=entity)
        part = Upload(idle, begun)
        (part.bring_damaged if damaged else part.bring)(content.chunks)
        assert not idle.add_part(begun, content).missing_digests
    finished = idle.finish(name, "d1", entity=entity)
    assert finished.version.entry_count == 2 * CHUNKS


def test_finish_that_comes_to_a_hurt_version_heals_it(idle: Client, entity: str) -> None:
    content = content_of(files())
    first = Upload.begin(idle, entity)
    first.bring_damaged(content.chunks)
    assert first.commit(content) != "missing"
    part = Upload(idle, idle.begin_part("data", "d1", "a", entity=entity))
    part.bring(part.missing(content.chunks))
    assert not idle.add_part(part.begun, content).missing_digests
    assert idle.finish("data", "d1", entity=entity).version.version_id == first.begun.version_id


def test_small_packs_are_checked_when_they_are_sealed(idle: Client, entity: str) -> None:
    content = content_of({"a": os.urandom(1000)})
    first = Upload.begin(idle, entity)
    assert reason_of(lambda: first.bring_damaged(content.chunks)) == "CHUNK_DIGEST_MISMATCH"


@pytest.mark.parametrize("place", ["verifier.after_note=kill", "verifier.after_give_up=kill"])
def test_registry_that_dies_over_a_pack_knows_after_its_start_what_to_do(
    s3_environment: dict[str, str], own_registry: RegistryProcess, entity: str, place: str
) -> None:
    own_registry.set_environment({**s3_environment, "HOLDFAST_FAILPOINTS": place})
    content = content_of(files())
    damaged = "give_up" in place
    with own_registry, Client(own_registry.target) as client:
        first, other = Upload.begin(client, entity), Upload.begin(client, entity, "other")
        (first.bring_damaged if damaged else first.bring)(content.chunks)
        with pytest.raises(grpc.RpcError):
            other.missing(content.chunks)
        assert own_registry.wait() < 0, "the place was not passed"
    own_registry.set_environment(s3_environment)
    with own_registry, Client(own_registry.target) as client:
        assert Upload(client, other.begun).missing(content.chunks) == (content.chunks if damaged else [])


def test_nobody_need_ask_for_packs_of_ended_uploads_to_be_read(
    s3_environment: dict[str, str], own_registry: RegistryProcess, entity: str
) -> None:
    own_registry.set_environment({**s3_environment, "HOLDFAST_FAILPOINTS": "verifier.after_note=exit"})
    with own_registry, Client(own_registry.target) as client:
        upload = Upload.begin(client, entity)
        content = content_of(files())
        upload.bring(content.chunks)
        upload.commit(content)
        assert own_registry.wait() == 70, "it has read the pack"


def test_unread_packs_are_found_by_an_index_that_holds_nothing_else(own_registry: RegistryProcess) -> None:
    with own_registry:
        own_registry.stop()
    with sqlite3.connect(own_registry.data_dir / DATABASE_NAME) as connection:
        rows = connection.execute(
            "EXPLAIN QUERY PLAN SELECT pack.id, lease.version_id FROM pack LEFT OUTER JOIN lease ON lease.id = pack.lease_id "
            "WHERE pack.unread_since_ms IS NOT NULL AND pack.entity_id = 1 AND pack.lease_id != 'x' ORDER BY pack.id"
        ).fetchall()
    assert "ix_pack_entity_id_unread_since_ms" in str(rows[0])
