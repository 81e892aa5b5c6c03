"""Packs that a writer PUTs to an S3 server by granted addresses: nothing serves before the registry has read it back."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_contract.digest import digest_of
from holdfastpb.registry.v1.pack_pb2 import (
    GrantPacksRequest,
    GrantReadsRequest,
    LocateChunksRequest,
    PackGrant,
    PackIntent,
    PackReadGrant,
    ReadPackRequest,
    WritePackRequest,
)
from registry.client import Client, content_of, pack_of, reason_of
from registry.processes import RegistryProcess
from support.seaweedfs import SeaweedFS

BUCKET = "registry-packs"


@pytest.fixture(scope="module")
def s3_environment(seaweedfs: SeaweedFS) -> dict[str, str]:
    seaweedfs.make_bucket(BUCKET)
    return {**seaweedfs.environ, "HOLDFAST_REGISTRY_STORE_URL": f"s3://{BUCKET}/{uuid.uuid4().hex}"}


@pytest.fixture(scope="module")
def s3_client(s3_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("registry")
    with RegistryProcess(folder, environment=s3_environment) as process, Client(process.target) as client:
        yield client


def grant(client: Client, lease_id: str, pack_id: bytes, data: bytes, chunk_count: int) -> PackGrant:
    """As a daemon that knows what the registry wants."""
    sha256 = hashlib.sha256(data).digest()
    intent = PackIntent(pack_id=pack_id, size_bytes=len(data), chunk_count=chunk_count, sha256=sha256)
    return client.call(client.packs.GrantPacks, GrantPacksRequest(lease_id=lease_id, packs=[intent])).grants[0]


def put(granted: PackGrant, data: bytes) -> int:
    request = urllib.request.Request(granted.http.url, data, dict(granted.http.headers), method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def get(granted: PackReadGrant) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(granted.http.url), timeout=30) as answer:
        return bytes(answer.read())


def unique(count: int) -> list[bytes]:
    return [os.urandom(40) for _ in range(count)]


def test_grant_waits_for_the_sha256_and_is_an_address_then(s3_client: Client, collection: str) -> None:
    lease_id = s3_client.begin(collection).lease.lease_id
    pack_id, data = pack_of(unique(2))
    without = s3_client.grant(lease_id, pack_id, len(data), 2)
    assert without.needs_sha256
    assert without.WhichOneof("how") is None
    with_it = grant(s3_client, lease_id, pack_id, data, 2)
    assert not with_it.needs_sha256
    assert pack_id.hex() in with_it.http.url
    assert with_it.http.expires_in_s == 900


def test_chunks_serve_nobody_before_the_pack_is_sealed(s3_client: Client, collection: str) -> None:
    begun, other = s3_client.begin(collection), s3_client.begin(collection)
    content = content_of({"a": os.urandom(50)})
    pack_id, data = pack_of(content.chunks)
    granted = grant(s3_client, begun.lease.lease_id, pack_id, data, len(content.chunks))
    assert reason_of(lambda: s3_client.seal(begun.lease.lease_id, pack_id, len(data))) == "GRANT_INVALID"
    assert put(granted, data) == 200
    for lease_id in (begun.lease.lease_id, other.lease.lease_id):
        assert s3_client.missing_of(lease_id, content.chunks) == content.chunks
    assert s3_client.commit(begun, content).missing_digests != b""
    assert s3_client.seal(begun.lease.lease_id, pack_id, len(data)).live_chunks == len(content.chunks)
    assert s3_client.missing_of(other.lease.lease_id, content.chunks) == []
    assert grant(s3_client, begun.lease.lease_id, pack_id, data, len(content.chunks)).sealed
    assert s3_client.commit(begun, content).version.version_index == 0


def test_pack_with_a_chunk_of_another_digest_is_refused_and_removed(
    s3_client: Client, seaweedfs: SeaweedFS, collection: str
) -> None:
    lease_id = s3_client.begin(collection).lease.lease_id
    chunks = unique(3)
    pack_id, sound = pack_of(chunks)
    data = bytearray(sound)
    data[40] ^= 1
    granted = grant(s3_client, lease_id, pack_id, bytes(data), 3)
    assert put(granted, bytes(data)) == 200
    assert reason_of(lambda: s3_client.seal(lease_id, pack_id, len(data))) == "CHUNK_DIGEST_MISMATCH"
    assert s3_client.missing_of(lease_id, chunks) == chunks
    assert pack_id.hex() not in seaweedfs.request("GET", BUCKET, query={"list-type": "2"}).body.decode()
    assert reason_of(lambda: grant(s3_client, lease_id, pack_id, bytes(data), 3)) == "PACK_ID_REUSED"


def test_pack_of_another_size_than_announced_is_refused(
    s3_client: Client, seaweedfs: SeaweedFS, s3_environment: dict[str, str], collection: str
) -> None:
    lease_id = s3_client.begin(collection).lease.lease_id
    pack_id, data = pack_of(unique(3))
    grant(s3_client, lease_id, pack_id, data, 3)
    prefix = s3_environment["HOLDFAST_REGISTRY_STORE_URL"].removeprefix(f"s3://{BUCKET}/")
    seaweedfs.put(BUCKET, f"{prefix}/packs/{pack_id.hex()[:2]}/{pack_id.hex()}.pack", data[:-1])
    assert reason_of(lambda: s3_client.seal(lease_id, pack_id, len(data))) == "PACK_TORN"


def test_stream_is_refused_where_packs_go_straight_to_the_store(s3_client: Client, collection: str) -> None:
    lease_id = s3_client.begin(collection).lease.lease_id
    pack_id, data = pack_of(unique(1))
    grant(s3_client, lease_id, pack_id, data, 1)
    message = WritePackRequest(lease_id=lease_id, pack_id=pack_id, data=data, finish=True)
    assert reason_of(lambda: s3_client.call(s3_client.packs.WritePack, iter([message]))) == "GRANT_INVALID"


def test_reads_are_granted_and_granted_anew_within_an_entity(s3_client: Client, collection: str) -> None:
    begun = s3_client.begin(collection)
    chunks = unique(2)
    pack_id, data = pack_of(chunks)
    granted = grant(s3_client, begun.lease.lease_id, pack_id, data, 2)
    assert put(granted, data) == 200
    again = GrantReadsRequest(entity="team", pack_ids=[pack_id])
    assert reason_of(lambda: s3_client.call(s3_client.packs.GrantReads, again)) == "NOT_FOUND"
    s3_client.seal(begun.lease.lease_id, pack_id, len(data))
    wanted = LocateChunksRequest(entity="team", digests=b"".join(map(digest_of, chunks)))
    (located,) = s3_client.call(s3_client.packs.LocateChunks, wanted).packs
    (renewed,) = s3_client.call(s3_client.packs.GrantReads, again).grants
    assert (located.size_bytes, renewed.size_bytes) == (len(data), len(data))
    assert get(located) == get(renewed) == data
    foreign = GrantReadsRequest(entity="strangers", pack_ids=[pack_id])
    assert reason_of(lambda: s3_client.call(s3_client.packs.GrantReads, foreign)) == "NOT_FOUND"
    ranges = ReadPackRequest(entity="team", pack_id=pack_id, offsets=[0, 10], lengths=[32, 5])
    streamed = b"".join(part.data for part in s3_client.call(s3_client.packs.ReadPack, ranges))
    assert streamed == data[:32] + data[10:15]


def test_registry_without_its_store_says_so_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    server = SeaweedFS(tmp_path / "s3")
    with server.running():
        server.make_bucket(BUCKET)
        environment = {**server.environ, "HOLDFAST_REGISTRY_STORE_URL": f"s3://{BUCKET}"}
        environment["HOLDFAST_REGISTRY_STORE_ATTEMPTS_MAX"] = "1"
        process = RegistryProcess(tmp_path / "registry-folder", environment=environment)
        process.folder.mkdir()
        process.start()
    try:
        with Client(process.target) as client:
            lease_id = client.begin("data").lease.lease_id
            chunks = unique(2)
            pack_id, data = pack_of(chunks)
            granted = grant(client, lease_id, pack_id, data, 2)
            assert reason_of(lambda: client.seal(lease_id, pack_id, len(data))) == "UNAVAILABLE"
            with server.running():
                assert put(granted, data) == 200
                assert client.seal(lease_id, pack_id, len(data)).live_chunks == 2
    finally:
        process.kill()


def test_registry_does_not_start_with_a_store_that_it_cannot_reach(
    s3_environment: dict[str, str], tmp_path: Path
) -> None:
    environment = {**s3_environment, "HOLDFAST_REGISTRY_STORE_ENDPOINT_URL": "http://127.0.0.1:1"}
    environment["HOLDFAST_REGISTRY_STORE_ATTEMPTS_MAX"] = "2"
    process = RegistryProcess(tmp_path, environment=environment)
    with pytest.raises(AssertionError, match="The store of packs cannot be used"):
        process.start()
    assert process.wait() == 78
