"""Ranges of entries: only the frames that hold them travel, in place or by transfer, and what is known is not asked for again."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_contract.limits import KIB, MIB
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.workers import Workers
from support.fake_registry import CHUNK_BYTES
from support.fetching import Reading, reading

LARGE = random.Random(6).randbytes(20 * MIB + 12_345)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


def fetched_bytes(side: Reading) -> int:
    return side.client.fetched_bytes


@pytest.mark.parametrize("how", ["grpc", "filesystem"])
@pytest.mark.parametrize("parts_of", [4096, 10])
async def test_every_range_is_right(tmp_path: Path, workers: Workers, how: str, parts_of: int) -> None:
    rng = random.Random(parts_of)
    async with reading(tmp_path, workers, how=how) as side:
        side.registry.long_list_chunks = parts_of
        version = side.registry.add_version({"a": b"1", "large": LARGE, "z": b"26"})
        for _ in range(25):
            offset = rng.randrange(len(LARGE))
            length = rng.choice([1, 1000, CHUNK_BYTES, 3 * MIB, 9 * MIB])
            assert await side.read(version, "large", offset, length) == LARGE[offset : offset + length]
        assert await side.read(version, "large") == LARGE
        assert await side.read(version, "large", len(LARGE) - 5, 100) == LARGE[-5:]
        assert await side.read(version, "large", len(LARGE), 100) == b""
        assert await side.read(version, "z") == b"26"


@pytest.mark.parametrize("how", ["grpc", "filesystem"])
async def test_a_range_costs_its_chunks_and_little_more(tmp_path: Path, workers: Workers, how: str) -> None:
    async with reading(tmp_path, workers, how=how) as side:
        version = side.registry.add_version({"large": LARGE})
        await side.read(version, "large", 5 * MIB + 100, 1 * MIB)
        assert 1 * MIB < fetched_bytes(side) <= 1 * MIB + 2 * CHUNK_BYTES + 16 * KIB
        before = fetched_bytes(side)
        await side.read(version, "large", 15 * MIB, 100)
        assert fetched_bytes(side) - before <= CHUNK_BYTES + 1 * KIB


async def test_only_the_needed_parts_of_a_long_list_are_read_once(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers, how="grpc") as side:
        side.registry.long_list_chunks = 4
        version = side.registry.add_version({"large": LARGE})
        await side.read(version, "large", 0, 10)
        first, calls = fetched_bytes(side), side.registry.calls.locate
        await side.read(version, "large", 19 * MIB, 10)
        assert fetched_bytes(side) - first <= CHUNK_BYTES + 16 * KIB
        assert side.registry.calls.locate - calls == 3  # 19 parts in two goes, and the chunk
        before, calls = fetched_bytes(side), side.registry.calls.locate
        await side.read(version, "large", 18 * MIB, 10)
        assert side.registry.calls.locate - calls == 1
        assert fetched_bytes(side) - before <= CHUNK_BYTES + 1 * KIB


async def test_a_second_read_of_an_entry_asks_for_no_manifest(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers, how="grpc") as side:
        side.registry.segment_entries = 10
        version = side.registry.add_version({f"f{i:03}": b"%d" % i * 100 for i in range(100)})
        await side.read(version, "f055")
        calls = side.registry.calls
        pages, versions = calls.pages, calls.versions
        assert await side.read(version, "f055") == b"55" * 100
        assert await side.read(version, "f051") == b"51" * 100
        with pytest.raises(HoldfastError, match="no entry 'f0551'"):
            await side.read(version, "f0551")
        assert (calls.pages, calls.versions) == (pages, versions)
        assert await side.read(version, "f099") == b"99" * 100
        assert calls.pages == pages + 1


async def test_what_was_just_read_is_not_brought_again(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version({"large": LARGE})
        await side.read(version, "large", 1 * MIB, 1 * MIB)
        before = fetched_bytes(side)
        assert await side.read(version, "large", 1 * MIB + 5, 1 * MIB - 5) == LARGE[1 * MIB + 5 : 2 * MIB]
        assert fetched_bytes(side) == before


async def test_a_pack_that_was_asked_for_as_often_as_it_is_long_is_kept(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version({"large": LARGE})
        for _ in range(3):
            assert await side.read(version, "large") == LARGE
        assert side.cache.bytes_kept > 0
        sent = side.registry.calls.sent_bytes
        assert await side.read(version, "large") == LARGE
        assert side.registry.calls.sent_bytes == sent
        assert sent <= 3 * len(LARGE)


async def test_a_version_that_was_deleted_meanwhile_is_not_called_damaged(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version({"large": LARGE})
        await side.read(version, "large", 0, 10)
        side.registry.faults.forget_chunks = True
        with pytest.raises(HoldfastError) as damaged:
            await side.read(version, "large", 10 * MIB, 10)
        assert damaged.value.reason is Reason.STORE_DAMAGED
        del side.registry.versions[version]
        with pytest.raises(HoldfastError) as deleted:
            await side.read(version, "large", 10 * MIB, 10)
        assert deleted.value.reason is Reason.NOT_FOUND


async def test_a_download_of_a_version_that_was_deleted_meanwhile_says_so(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version({"large": LARGE})
        await side.read(version, "large", 0, 10)
        side.registry.faults.forget_chunks = True
        del side.registry.versions[version]
        with pytest.raises(HoldfastError) as told:
            await side.download(version, tmp_path / "out")
        assert told.value.reason is Reason.NOT_FOUND


async def test_leaving_early_leaves_nothing_behind(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version({"large": LARGE})
        pieces = side.read_entry.read(version, "large", 0, 0)
        assert LARGE.startswith(await anext(pieces))
        await pieces.aclose()
        assert not [path for path in side.cache.folder.iterdir() if path.suffix == ".tmp"]
        assert await side.read(version, "large", 7 * MIB, 10) == LARGE[7 * MIB : 7 * MIB + 10]


@pytest.mark.parametrize("how", ["grpc", "filesystem"])
async def test_small_entries_come_together_and_whole(tmp_path: Path, workers: Workers, how: str) -> None:
    rng = random.Random(1)
    files = {f"f{i:03}": rng.randbytes(rng.choice([0, 1, 10 * KIB, 600 * KIB])) for i in range(40)}
    files |= {"same": files["f007"], "whole": rng.randbytes(1 * MIB), "large": LARGE}
    async with reading(tmp_path, workers, how=how) as side:
        side.registry.segment_entries = 10
        version = side.registry.add_version(files, {"s3": ("s3://b/k", "etag", 7)})
        paths = ["same", *sorted(files, reverse=True), "absent", "s3", "f001"]
        messages = [message async for message in side.read_entry.read_small(version, paths)]
        assert all(sum(len(data) for _, data in message) <= MIB or len(message) == 1 for message in messages)
        found = [one for message in messages for one in message]
        wanted = [(number, path) for number, path in enumerate(paths) if path not in ("large", "absent", "s3")]
        assert found == [(number, files[path]) for number, path in wanted]


async def test_small_entries_are_looked_for_and_brought_at_once(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers, how="grpc") as side:
        files = {f"f{i:03}": b"%d" % i * 100 for i in range(1000)}
        version = side.registry.add_version(files)
        assert (
            len([one async for message in side.read_entry.read_small(version, list(files)) for one in message]) == 1000
        )
        assert side.registry.calls.locate == 1
