"""What every blob store promises; the same tests for the folder and for a real S3 server."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from holdfast_contract.digest import digest_of
from holdfast_contract.limits import MIB
from holdfast_contract.pack import Codec, build_pack, read_index, verify_frames
from holdfast_registry.blobstore.directory import DirectoryStore
from holdfast_registry.blobstore.epoch import EPOCH_NAME, DirectoryEpoch, EpochTakenError, ObjectEpoch, StoreEpoch
from holdfast_registry.blobstore.s3 import S3Store
from holdfast_registry.blobstore.s3_packs import BLOCK_BYTES, RangeCache, coalesced
from holdfast_registry.blobstore.s3_place import S3Place
from holdfast_registry.blobstore.s3_transfers import upload_way
from holdfast_registry.blobstore.store import BlobStore, PackGoneError, StoreUnavailableError
from holdfast_registry.blobstore.transfers import HttpWay, OutgoingPack
from holdfast_registry.blobstore.zstd import decompress
from holdfast_registry.clock import SystemClock
from holdfast_registry.errors import StartError
from support.own_registry import free_port
from support.s3_requests import REGION
from support.seaweedfs import SeaweedFS

BUCKET = "blob-stores"


@pytest.fixture(scope="module")
def server(seaweedfs: SeaweedFS) -> Iterator[SeaweedFS]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in seaweedfs.environ.items():
            patch.setenv(name, value)
        seaweedfs.make_bucket(BUCKET)
        yield seaweedfs


def s3_store(server: SeaweedFS, prefix: str = "", **fields: object) -> S3Store:
    place = {"bucket": BUCKET, "prefix": prefix or f"{uuid.uuid4().hex}/", "endpoint_url": server.endpoint}
    return S3Store(S3Place(**{**place, "region": REGION, **fields}), SystemClock())  # type: ignore[arg-type]


@pytest.fixture
def s3(server: SeaweedFS) -> Iterator[S3Store]:
    store = s3_store(server)
    yield store
    store.close()


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "s3":
        return request.getfixturevalue("s3")
    folder = DirectoryStore(tmp_path)
    folder.prepare()
    return folder


def pack(size_bytes: int = 3000) -> tuple[bytes, bytes]:
    """(id, bytes) of a pack with about so many bytes."""
    pack_id = os.urandom(16)
    chunks = [os.urandom(min(MIB, size_bytes)) for _ in range(-(-size_bytes // MIB))]
    return pack_id, build_pack(pack_id, [(digest_of(chunk), chunk, len(chunk), Codec.RAW) for chunk in chunks])


def published(store: BlobStore, size_bytes: int = 3000) -> tuple[bytes, bytes]:
    pack_id, encoded = pack(size_bytes)
    store.put(pack_id, encoded)
    incoming = store.open_incoming(pack_id)
    assert incoming is not None
    with incoming:
        incoming.publish()
    return pack_id, encoded


@pytest.mark.parametrize("size_bytes", [3000, BLOCK_BYTES - 500, 3 * BLOCK_BYTES + 5])
def test_pack_that_was_put_is_read_whole_checked_and_published(store: BlobStore, size_bytes: int) -> None:
    pack_id, encoded = pack(size_bytes)
    store.put(pack_id, encoded)
    incoming = store.open_incoming(pack_id)
    assert incoming is not None
    with incoming:
        assert incoming.size_bytes == len(encoded)
        index = read_index(incoming.pread, incoming.size_bytes, pack_id=pack_id)
        assert verify_frames(index, incoming.pread, decompress) == []
        incoming.publish()
    assert store.list_names().packs == {pack_id}
    for whole in (False, True):
        opened = store.open_pack(pack_id, whole=whole)
        assert opened is not None
        with opened:
            assert opened.pread(0, len(encoded)) == encoded


def test_packs_that_are_read_whole_at_once_never_see_each_others_bytes(store: BlobStore) -> None:
    packs = [published(store, 3 * BLOCK_BYTES + 5) for _ in range(2)]
    for _ in range(2):  # the second time in memory that had other bytes
        opened = [store.open_pack(pack_id, whole=True) for pack_id, _ in packs]
        assert opened[0] is not None
        assert opened[1] is not None
        with opened[0], opened[1]:
            for at in range(0, 3 * BLOCK_BYTES, BLOCK_BYTES - MIB):  # over the borders of blocks
                for file, (_, encoded) in zip(opened, packs, strict=True):
                    assert file is not None
                    assert file.view(at, 2 * MIB) == encoded[at : at + 2 * MIB]
                    assert file.view(len(encoded) - 4, 100) == encoded[-4:]


def test_ranges_come_in_the_order_asked_for_and_end_with_the_pack(store: BlobStore) -> None:
    pack_id, encoded = published(store, 2 * MIB)
    opened = store.open_pack(pack_id)
    assert opened is not None
    end = len(encoded)
    ranges = [(end - 10, 10), (0, 32), (70_000, 5), (70_002, 100), (1_500_000, 300_000), (0, 32)]
    with opened:
        for _ in range(2):  # the second time some of it may come from a cache
            assert opened.read_ranges(ranges) == [encoded[at : at + length] for at, length in ranges]
        assert opened.pread(end - 4, 100) == encoded[-4:]
        assert opened.pread(end + 1, 10) == b""


def test_publishing_again_after_a_crash_comes_to_the_same_end(store: BlobStore) -> None:
    pack_id, encoded = published(store)
    again = store.open_incoming(pack_id)
    assert again is not None
    with again:
        assert again.pread(0, again.size_bytes) == encoded
        again.publish()
    assert store.open_pack(pack_id) is not None


def test_absent_and_discarded_packs_are_not_there(store: BlobStore) -> None:
    assert store.open_pack(os.urandom(16)) is None
    assert store.open_incoming(os.urandom(16)) is None
    pack_id, _ = published(store)
    store.discard(pack_id)
    store.discard(pack_id)
    assert store.open_pack(pack_id) is None
    assert store.open_incoming(pack_id) is None
    assert not store.list_names().packs


def test_empty_object_is_opened_as_a_pack_of_no_bytes(store: BlobStore) -> None:
    pack_id = os.urandom(16)
    store.put(pack_id, b"")
    opened = store.open_incoming(pack_id)
    assert opened is not None
    with opened:
        assert opened.size_bytes == 0
        assert opened.pread(0, 10) == b""


def test_what_is_not_a_pack_is_listed_by_its_name(store: BlobStore, server: SeaweedFS, tmp_path: Path) -> None:
    if isinstance(store, S3Store):
        prefix = store.key(bytes(16)).partition("packs/")[0]
        server.put(BUCKET, f"{prefix}packs/zz/notes.txt", b"mine")
    else:
        (tmp_path / "packs" / "zz").mkdir()
        (tmp_path / "packs" / "zz" / "notes.txt").write_bytes(b"mine")
    names = store.list_names()
    assert (names.foreign, names.packs) == (["packs/zz/notes.txt"], set())


def epoch_of(store: BlobStore, folder: Path) -> StoreEpoch:
    return ObjectEpoch(store) if isinstance(store, S3Store) else DirectoryEpoch(folder)


def test_epoch_is_seen_by_whoever_opens_the_store_and_is_no_stranger_in_it(store: BlobStore, tmp_path: Path) -> None:
    assert epoch_of(store, tmp_path).read() == ""
    one = epoch_of(store, tmp_path)
    for word in ("first", "second"):
        one.read()
        one.write(word)
        assert epoch_of(store, tmp_path).read() == word
    one.write("third")
    assert epoch_of(store, tmp_path).read() == "third"
    assert not store.list_names().foreign


# --- S3 alone ---


def test_epoch_that_another_replica_has_written_meanwhile_is_not_replaced(server: SeaweedFS, s3: S3Store) -> None:
    one, other = ObjectEpoch(s3), ObjectEpoch(s3)
    assert one.read() == other.read() == ""
    one.write("first")
    with pytest.raises(EpochTakenError):
        other.write("late")
    assert other.read() == "first"
    other.write("second")
    with pytest.raises(EpochTakenError):
        one.write("late")
    server.delete(BUCKET, s3.key(bytes(16)).partition("packs/")[0] + EPOCH_NAME)
    with pytest.raises(EpochTakenError):
        other.write("late")
    assert ObjectEpoch(s3).read() == ""


def test_epoch_whose_answer_was_lost_is_taken_for_written(s3: S3Store) -> None:
    one = ObjectEpoch(s3)
    assert one.read() == ""
    assert s3.write_object(EPOCH_NAME, b"first", None)
    one.write("first")
    one.write("second")
    assert ObjectEpoch(s3).read() == "second"


def test_pack_that_vanishes_between_opening_and_reading_is_gone(server: SeaweedFS, s3: S3Store) -> None:
    pack_id, encoded = published(s3, 2 * MIB)
    opened = s3.open_pack(pack_id)
    assert opened is not None
    server.delete(BUCKET, s3.key(pack_id))
    with pytest.raises(PackGoneError):
        opened.pread(0, len(encoded))
    assert s3.open_pack(pack_id) is None


def test_missing_bucket_is_no_missing_pack(server: SeaweedFS) -> None:
    store = s3_store(server, bucket="nowhere-at-all")
    try:
        with pytest.raises(StoreUnavailableError, match="NoSuchBucket"):
            store.open_incoming(os.urandom(16))
    finally:
        store.close()


def test_server_that_does_not_answer_is_named_at_the_start(server: SeaweedFS) -> None:
    store = s3_store(server, endpoint_url=f"http://127.0.0.1:{free_port()}")
    try:
        with pytest.raises(StartError, match="s3://blob-stores/"):
            store.check_server()
    finally:
        store.close()


def send(way: HttpWay, body: bytes, headers: Mapping[str, str] | None = None) -> int:
    """The status of a PUT."""
    request = urllib.request.Request(way.url, body, dict(headers or way.headers), method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def granted(store: S3Store, pack_id: bytes, encoded: bytes, **more: int) -> HttpWay:
    return upload_way(
        store, store.signer(), OutgoingPack(pack_id, len(encoded), hashlib.sha256(encoded).digest()), **more
    )


def test_address_takes_exactly_the_announced_bytes_once(s3: S3Store) -> None:
    s3.check_server()
    pack_id, encoded = pack()
    way = granted(s3, pack_id, encoded)
    damaged = encoded[:-1] + bytes([encoded[-1] ^ 1])
    assert send(way, damaged) >= 400
    assert s3.open_incoming(pack_id) is None
    shorter = {**way.headers, "content-length": str(len(encoded) - 1)}
    assert send(way, encoded[:-1], shorter) == 403
    assert s3.open_incoming(pack_id) is None
    assert send(way, encoded) == 200
    assert send(way, encoded) == 412
    opened = s3.open_incoming(pack_id)
    assert opened is not None
    assert opened.pread(0, len(encoded)) == encoded


def test_address_allows_neither_another_key_nor_a_time_after_its_end(s3: S3Store) -> None:
    pack_id, encoded = pack()
    way = granted(s3, pack_id, encoded)
    other = HttpWay(way.url.replace(pack_id.hex(), os.urandom(16).hex()), way.headers)
    assert send(other, encoded) == 403
    late = granted(s3, pack_id, encoded, expires_in_s=0)
    assert send(late, encoded) == 403
    assert not s3.list_names().packs


def test_address_reads_one_pack_by_ranges_and_nothing_else(s3: S3Store) -> None:
    pack_id, encoded = published(s3)
    url = s3.signer().sign("GET", s3.key(pack_id), {}, 60)
    request = urllib.request.Request(url, headers={"Range": "bytes=10-19"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert (answer.status, answer.read()) == (206, encoded[10:20])
    assert send(HttpWay(url, {"content-length": "3"}), b"bad") == 403


def test_server_is_found_to_refuse_wrong_bytes_and_second_puts(s3: S3Store, server: SeaweedFS) -> None:
    s3.check_server()
    assert s3.put_headers == {"if-none-match": "*"}
    assert s3.list_names().foreign == []
    assert not s3.list_names().packs


@pytest.mark.parametrize(
    ("fields", "endpoint", "expected"),
    [
        ({}, "https://s3.eu-west-1.amazonaws.com", "https://data.s3.eu-west-1.amazonaws.com"),
        ({}, "http://s3.lan:9000", "http://s3.lan:9000/data"),
        ({"path_style": False}, "http://s3.lan:9000", "http://data.s3.lan:9000"),
        ({"public_endpoint_url": "https://s3.example.org/"}, "http://s3.lan:9000", "https://s3.example.org/data"),
    ],
)
def test_bucket_is_addressed_as_the_server_wants_it(fields: dict[str, object], endpoint: str, expected: str) -> None:
    assert S3Place("data", **fields).bucket_url(endpoint) == expected  # type: ignore[arg-type]


def test_close_ranges_are_requested_together_and_far_ones_apart() -> None:
    near = [(0, 10), (1000, 10), (60_000, 100)]
    assert coalesced([*near, (10 * MIB, 5)]) == [(0, 60_100, near), (10 * MIB, 5, [(10 * MIB, 5)])]
    assert [group[:2] for group in coalesced([(0, BLOCK_BYTES), (BLOCK_BYTES, 5)])] == [
        (0, BLOCK_BYTES),
        (BLOCK_BYTES, 5),
    ]


def test_cache_holds_no_more_than_it_may() -> None:
    cache = RangeCache(bytes_max=1000)
    for number in range(20):
        cache.keep(bytes([number]), 0, bytes(100))
    kept: Callable[[int], bool] = lambda number: cache.find(bytes([number]), 0, 100) is not None  # noqa: E731
    assert [number for number in range(20) if kept(number)] == list(range(10, 20))
