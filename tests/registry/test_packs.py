"""Packs on their way in: only whole and right ones serve, each once, under a lease that lives."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import zstandard

from holdfast_contract.digest import digest_of
from holdfast_contract.limits import FIND_MISSING_DIGESTS_MAX
from holdfast_contract.pack import Codec, build_pack
from holdfastpb.common.v1.hello_pb2 import HelloRequest
from holdfastpb.registry.v1.pack_pb2 import (
    FindMissingRequest,
    GrantPacksRequest,
    LocateChunksRequest,
    PackIntent,
    ReadPackRequest,
    WritePackRequest,
)
from holdfastpb.registry.v1.version_pb2 import RenewLeaseRequest
from registry.client import Client, content_of, error_of, pack_of, reason_of
from registry.processes import RegistryProcess, run_registry


def unique(count: int) -> list[bytes]:
    return [os.urandom(40) for _ in range(count)]


def test_damaged_packs_are_refused_and_their_id_is_spent(client: Client, collection: str) -> None:
    lease_id = client.begin(collection).lease.lease_id
    chunks = unique(3)
    for where, reason in (
        (40, "CHUNK_DIGEST_MISMATCH"),
        (200, "PACK_DAMAGED"),
        (-3, "PACK_TORN"),
        (10, "PACK_DAMAGED"),
    ):
        pack_id, data = pack_of(chunks)
        damaged = bytearray(data)
        damaged[where] ^= 1
        act = lambda pack_id=pack_id, damaged=bytes(damaged): client.bring_pack(lease_id, pack_id, damaged, 3)  # noqa: E731
        assert reason_of(act) == reason
        assert reason_of(act) == "PACK_ID_REUSED"
    assert client.missing_of(lease_id, chunks) == chunks
    assert client.bring(lease_id, chunks).live_chunks == 3


def test_pack_that_holds_a_chunk_twice_serves_it_once(client: Client, collection: str) -> None:
    lease_id = client.begin(collection).lease.lease_id
    one, other = unique(2)
    assert client.bring(lease_id, [one, other, one]).live_chunks == 2
    assert client.missing_of(lease_id, [one, other]) == []


def test_pack_that_is_not_what_was_announced_is_refused(client: Client, collection: str) -> None:
    lease_id = client.begin(collection).lease.lease_id
    pack_id, data = pack_of(unique(2))
    grant = client.grant(lease_id, pack_id, len(data), 2)
    assert reason_of(lambda: client.seal(lease_id, pack_id, len(data))) == "GRANT_INVALID"
    assert reason_of(lambda: client.seal(lease_id, pack_id, len(data) - 1)) == "INVALID_ARGUMENT"
    client.deliver(lease_id, grant, data[:-1])
    assert reason_of(lambda: client.seal(lease_id, pack_id, len(data))) == "PACK_TORN"
    other_id, other = pack_of(unique(2))
    assert reason_of(lambda: client.bring_pack(lease_id, other_id, other, 3)) == "PACK_DAMAGED"
    renamed_id, _ = os.urandom(16), None
    assert reason_of(lambda: client.bring_pack(lease_id, renamed_id, data, 2)) == "PACK_DAMAGED"


def test_link_and_pipe_in_place_of_a_pack_are_refused(client: Client, collection: str, tmp_path: Path) -> None:
    lease_id = client.begin(collection).lease.lease_id
    pack_id, data = pack_of(unique(1))
    path = Path(client.grant(lease_id, pack_id, len(data), 1).filesystem.path)
    (tmp_path / "elsewhere").write_bytes(data)
    path.symlink_to(tmp_path / "elsewhere")
    assert reason_of(lambda: client.seal(lease_id, pack_id, len(data))) == "GRANT_INVALID"
    path.unlink()
    os.mkfifo(path)
    assert reason_of(lambda: client.seal(lease_id, pack_id, len(data))) == "GRANT_INVALID"
    path.unlink()
    os.link(tmp_path / "elsewhere", path)
    assert client.seal(lease_id, pack_id, len(data)).live_chunks == 1


def test_compressed_frames_serve_and_bombs_do_not(client: Client, collection: str) -> None:
    lease_id = client.begin(collection).lease.lease_id
    chunk = b"compressible " * 1000 + os.urandom(8)
    stored = zstandard.compress(chunk)
    pack_id = os.urandom(16)
    data = build_pack(pack_id, [(digest_of(chunk), stored, len(chunk), Codec.ZSTD)])
    assert client.bring_pack(lease_id, pack_id, data, 1).live_chunks == 1
    bomb = zstandard.compress(bytes(50_000_000))
    bomb_id = os.urandom(16)
    data = build_pack(bomb_id, [(digest_of(b"bomb"), bomb, 4, Codec.ZSTD)])
    assert reason_of(lambda: client.bring_pack(lease_id, bomb_id, data, 1)) == "CHUNK_DIGEST_MISMATCH"


def test_chunk_that_is_stored_stays_where_it_is(client: Client, collection: str) -> None:
    lease_id = client.begin(collection).lease.lease_id
    old, new = unique(1), unique(1)
    client.bring(lease_id, old)
    assert client.bring(lease_id, old + new).live_chunks == 1
    assert client.bring(lease_id, old).live_chunks == 0


def test_grant_and_seal_are_safe_to_repeat(client: Client, collection: str) -> None:
    lease_id = client.begin(collection).lease.lease_id
    pack_id, data = pack_of(unique(2))
    first = client.grant(lease_id, pack_id, len(data), 2)
    assert client.grant(lease_id, pack_id, len(data), 2) == first
    client.deliver(lease_id, first, data)
    assert [client.seal(lease_id, pack_id, len(data)).live_chunks for _ in range(3)] == [2, 2, 2]
    assert client.grant(lease_id, pack_id, len(data), 2).sealed


def test_pack_id_of_another_upload_is_refused(client: Client, collection: str) -> None:
    mine, other = (client.begin(collection).lease.lease_id for _ in range(2))
    pack_id, data = pack_of(unique(1))
    client.bring_pack(mine, pack_id, data, 1)
    assert reason_of(lambda: client.grant(other, pack_id, len(data), 1)) == "PACK_ID_REUSED"
    assert reason_of(lambda: client.grant(mine, pack_id, len(data) + 1, 1)) == "PACK_ID_REUSED"
    assert reason_of(lambda: client.seal(other, pack_id, len(data))) == "GRANT_INVALID"


def test_limits_of_a_grant_are_kept(client: Client, collection: str) -> None:
    lease_id = client.begin(collection).lease.lease_id
    assert reason_of(lambda: client.grant(lease_id, os.urandom(16), 65 << 20, 1)) == "TOO_LARGE"
    assert reason_of(lambda: client.grant(lease_id, os.urandom(16), 100, 65_537)) == "TOO_LARGE"
    assert reason_of(lambda: client.grant(lease_id, os.urandom(15), 100, 1)) == "INVALID_ARGUMENT"
    intents = [PackIntent(pack_id=os.urandom(16), size_bytes=100, chunk_count=1) for _ in range(65)]
    request = GrantPacksRequest(lease_id=lease_id, packs=intents)
    assert reason_of(lambda: client.call(client.packs.GrantPacks, request)) == "TOO_LARGE"


def test_a_full_pack_of_tiny_chunks_is_found_again(client: Client, collection: str) -> None:
    lease_id = client.begin(collection).lease.lease_id
    salt = os.urandom(8)
    chunks = [salt + number.to_bytes(4, "big") for number in range(FIND_MISSING_DIGESTS_MAX)]
    assert client.find_missing(lease_id, chunks).missing_count == FIND_MISSING_DIGESTS_MAX
    assert client.bring(lease_id, chunks).live_chunks == FIND_MISSING_DIGESTS_MAX
    assert client.find_missing(lease_id, chunks).missing_count == 0
    digests = b"".join(map(digest_of, chunks))
    located = client.call(client.packs.LocateChunks, LocateChunksRequest(entity="team", digests=digests))
    assert list(located.lengths) == [12] * len(chunks)
    too_many = FindMissingRequest(lease_id=lease_id, digests=digests + digests[:32])
    assert reason_of(lambda: client.call(client.packs.FindMissing, too_many)) == "TOO_LARGE"
    uneven = FindMissingRequest(lease_id=lease_id, digests=digests[:33])
    assert reason_of(lambda: client.call(client.packs.FindMissing, uneven)) == "INVALID_ARGUMENT"


def test_bitmap_has_a_bit_for_each_digest_lowest_first(client: Client, collection: str) -> None:
    lease_id = client.begin(collection).lease.lease_id
    chunks = unique(11)
    client.bring(lease_id, [chunks[0], chunks[9]])
    found = client.find_missing(lease_id, chunks)
    assert found.missing_bitmap == bytes([0b1111_1110, 0b101])
    assert found.missing_count == 9
    assert client.find_missing(lease_id, []).missing_bitmap == b""


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Client]:
    """A client of a registry whose leases last a second."""
    environment = {"HOLDFAST_REGISTRY_LEASE_TTL_S": "1", "HOLDFAST_REGISTRY_MAINTENANCE_INTERVAL_S": "0.05"}
    with RegistryProcess(tmp_path, environment=environment) as process, Client(process.target) as connected:
        yield connected


def test_expired_lease_ends_everything_under_it(hasty: Client, tmp_path: Path) -> None:
    content = content_of({"a": b"1"})
    begun = hasty.begin("late")
    lease_id = begun.lease.lease_id
    hasty.bring(lease_id, content.chunks)
    pack_id, data = pack_of(unique(1))
    grant = hasty.grant(lease_id, pack_id, len(data), 1)
    hasty.deliver(lease_id, grant, data)
    deadline = time.monotonic() + 20
    while os.path.exists(grant.filesystem.path):  # the lease was marked EXPIRED, then its uploads go
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for act in (
        lambda: hasty.find_missing(lease_id, content.chunks),
        lambda: hasty.grant(lease_id, os.urandom(16), 100, 1),
        lambda: hasty.seal(lease_id, pack_id, len(data)),
        lambda: hasty.commit(begun, content),
        lambda: hasty.call(hasty.versions.RenewLease, RenewLeaseRequest(lease_id=lease_id)),
        lambda: hasty.find_missing("unknown", content.chunks),
    ):
        assert reason_of(act) == "LEASE_EXPIRED"
    # What was sealed stays: the next upload finds it.
    again = hasty.begin("late")
    assert hasty.missing_of(again.lease.lease_id, content.chunks) == []
    assert hasty.commit(again, content).created


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[tuple[RegistryProcess, str]]:
    """A registry on TCP, and a token for it."""
    os.chmod(tmp_path, 0o700)
    made = run_registry("init", "--data-dir", str(tmp_path / "data"))
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("hf_reg_")
    port = free_port()
    with RegistryProcess(tmp_path, "--listen", f"127.0.0.1:{port}") as process:
        yield process, made.stdout.strip()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address(process: RegistryProcess) -> str:
    assert process.process is not None
    return str(process.process.args[process.process.args.index("--listen") + 1])  # type: ignore[index, union-attr]


def refusals(stranger: Client) -> set[str]:
    hello = HelloRequest(protocol_min=1, protocol_max=1)
    read = ReadPackRequest(entity="team", pack_id=bytes(16))
    return {
        reason_of(lambda: stranger.call(stranger.hello, hello)),
        reason_of(lambda: stranger.begin("c")),
        reason_of(lambda: list(stranger.call(stranger.packs.ReadPack, read))),
        reason_of(lambda: stranger.call(stranger.packs.WritePack, iter([WritePackRequest()]))),
    }


def test_tcp_needs_a_token_for_every_call(remote: tuple[RegistryProcess, str]) -> None:
    process, token = remote
    for wrong in (None, "", "hf_reg_wrong", token + "x"):
        with Client(address(process), wrong) as stranger:
            assert refusals(stranger) == {"UNAUTHENTICATED"}
    with Client(address(process), token) as known:
        assert known.begin("c").version_id
    assert token not in process.log.read_text()


def test_pack_is_streamed_resumed_and_read_back_over_tcp(remote: tuple[RegistryProcess, str]) -> None:
    process, token = remote
    with Client(address(process), token) as client:
        lease_id = client.begin("c").lease.lease_id
        chunks = [os.urandom(900_000) for _ in range(4)]
        pack_id, data = pack_of(chunks)
        assert client.grant(lease_id, pack_id, len(data), 4).grpc.committed_bytes == 0
        first = WritePackRequest(lease_id=lease_id, pack_id=pack_id, offset=0, data=data[:500_000])
        assert client.call(client.packs.WritePack, iter([first])).committed_bytes == 500_000
        with pytest.raises(grpc.RpcError) as refused:
            client.call(client.packs.WritePack, iter([first]))
        assert error_of(refused.value).metadata["expected"] == "500000"
        assert reason_of(lambda: client.seal(lease_id, pack_id, len(data))) == "GRANT_INVALID"
        grant = client.grant(lease_id, pack_id, len(data), 4)
        assert grant.grpc.committed_bytes == 500_000
        client.deliver(lease_id, grant, data)
        assert client.seal(lease_id, pack_id, len(data)).live_chunks == 4
        located = client.call(
            client.packs.LocateChunks,
            LocateChunksRequest(entity="team", digests=b"".join(map(digest_of, chunks))),
        )
        assert located.packs[0].HasField("grpc")
        request = ReadPackRequest(
            entity="team", pack_id=pack_id, offsets=list(located.offsets), lengths=list(located.stored_lengths)
        )
        messages = [message.data for message in client.call(client.packs.ReadPack, request)]
        assert max(map(len, messages)) <= 1 << 20
        assert b"".join(messages) == b"".join(chunks)
        outside = ReadPackRequest(entity="team", pack_id=pack_id, offsets=[len(data)], lengths=[1])
        assert reason_of(lambda: list(client.call(client.packs.ReadPack, outside))) == "INVALID_ARGUMENT"


def test_stream_cannot_bring_more_than_was_granted(remote: tuple[RegistryProcess, str]) -> None:
    process, token = remote
    with Client(address(process), token) as client:
        lease_id = client.begin("c").lease.lease_id
        pack_id = os.urandom(16)
        client.grant(lease_id, pack_id, 100, 1)
        more = WritePackRequest(lease_id=lease_id, pack_id=pack_id, offset=0, data=bytes(101))
        assert reason_of(lambda: client.call(client.packs.WritePack, iter([more]))) == "GRANT_INVALID"
        short = WritePackRequest(lease_id=lease_id, pack_id=pack_id, offset=0, data=bytes(99), finish=True)
        assert reason_of(lambda: client.call(client.packs.WritePack, iter([short]))) == "GRANT_INVALID"
        unknown = WritePackRequest(lease_id=lease_id, pack_id=os.urandom(16), data=b"x")
        assert reason_of(lambda: client.call(client.packs.WritePack, iter([unknown]))) == "GRANT_INVALID"
