"""The cache of packs: what a remote registry sends is checked before it counts, and kept within its budget."""

import os
import random
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_contract.limits import MIB
from holdfast_contract.reasons import Reason
from holdfast_daemon.cache.pack_cache import PackCache
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.workers import Workers
from support.fetching import reading, tree_of


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


def tree_of_random(files: int, size: int) -> dict[str, bytes]:
    return {f"f{i:03}": random.Random(i).randbytes(size) for i in range(files)}


async def test_pack_is_sent_once_and_then_read_from_the_cache(tmp_path: Path, workers: Workers) -> None:
    tree = tree_of_random(30, 100_000)
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version(tree)
        await side.download(version, tmp_path / "one")
        sent = side.registry.calls.sent_bytes
        await side.download(version, tmp_path / "two")
        assert side.registry.calls.sent_bytes == sent
        assert tree_of(tmp_path / "two") == tree
        for path in side.cache.folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o400


async def test_few_bytes_of_a_pack_cost_few_bytes(tmp_path: Path, workers: Workers) -> None:
    tree = tree_of_random(100, 100_000)
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version(tree)
        await side.download(version, tmp_path / "out", paths=frozenset({"f007"}))
        assert tree_of(tmp_path / "out") == {"f007": tree["f007"]}
        assert side.registry.calls.sent_bytes < 300_000
        assert side.cache.bytes_kept == 0
        assert list(side.cache.folder.iterdir()) == []


async def test_skip_cache_neither_reads_nor_fills_it(tmp_path: Path, workers: Workers) -> None:
    tree = tree_of_random(30, 100_000)
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version(tree)
        await side.download(version, tmp_path / "one", skip_cache=True)
        assert tree_of(tmp_path / "one") == tree
        assert list(side.cache.folder.iterdir()) == []


async def test_damaged_pack_of_the_cache_is_fetched_anew(tmp_path: Path, workers: Workers) -> None:
    tree = tree_of_random(30, 100_000) | {"large": random.Random(1).randbytes(9 * MIB)}
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version(tree)
        await side.download(version, tmp_path / "one")
        for path in side.cache.folder.iterdir():
            path.chmod(0o600)
            data = bytearray(path.read_bytes())
            for at in range(50_000, len(data), 100_000):
                data[at] ^= 1
            path.write_bytes(data)
        await side.download(version, tmp_path / "two")
        assert tree_of(tmp_path / "two") == tree
        assert await side.read(version, "large") == tree["large"]


async def test_pack_that_vanished_from_the_cache_is_fetched_anew(tmp_path: Path, workers: Workers) -> None:
    tree = tree_of_random(10, 100_000)
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version(tree)
        await side.download(version, tmp_path / "one")
        for path in side.cache.folder.iterdir():
            path.unlink()
        await side.download(version, tmp_path / "two")
        assert tree_of(tmp_path / "two") == tree


async def test_pack_that_arrives_damaged_is_asked_for_again(tmp_path: Path, workers: Workers) -> None:
    tree = tree_of_random(10, 100_000)
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version(tree)
        side.registry.faults.flip_reads_left = 1
        await side.download(version, tmp_path / "out")
        assert tree_of(tmp_path / "out") == tree


@pytest.mark.parametrize("names", [frozenset[str](), frozenset({"f001"})])
async def test_pack_that_always_arrives_damaged_is_refused(
    tmp_path: Path, workers: Workers, names: frozenset[str]
) -> None:
    tree = tree_of_random(10, 100_000)
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version(tree)
        side.registry.faults.flip_reads_left = 1000
        with pytest.raises(HoldfastError) as caught:
            await side.download(version, tmp_path / "out", paths=names)
        assert caught.value.reason in (Reason.STORE_DAMAGED, Reason.DIGEST_MISMATCH)
        assert "fsck" in caught.value.message
        assert tree_of(tmp_path / "out") == {}
        assert list(side.cache.folder.iterdir()) == []


@pytest.mark.parametrize("length", [0, 1, 150_000])
async def test_transfer_that_ends_early_is_refused(tmp_path: Path, workers: Workers, length: int) -> None:
    async with reading(tmp_path, workers, how="grpc") as side:
        version = side.registry.add_version(tree_of_random(10, 100_000))
        side.registry.faults.truncate_reads_to = length
        with pytest.raises(HoldfastError) as caught:
            await side.download(version, tmp_path / "out")
        assert caught.value.reason is Reason.STORE_DAMAGED
        assert list(side.cache.folder.iterdir()) == []


async def test_version_larger_than_the_cache_is_downloaded_within_the_budget(tmp_path: Path, workers: Workers) -> None:
    tree = tree_of_random(60, 1_000_000)
    async with reading(tmp_path, workers, how="grpc", cache_bytes_max=20 * MIB) as side:
        version = side.registry.add_version(tree)
        await side.download(version, tmp_path / "out")
        assert tree_of(tmp_path / "out") == tree
        side.cache.trim(side.cache.bytes_max)
        assert side.cache.bytes_kept <= 20 * MIB


def add(cache: PackCache, number: int, size: int) -> bytes:
    pack_id = bytes([number]) * 16
    temporary = cache.folder / f".{number}.tmp"
    temporary.write_bytes(b"x" * size)
    cache.publish(pack_id, temporary, size)
    return pack_id


def opened(folder: Path, bytes_max: int) -> PackCache:
    cache = PackCache(folder, bytes_max)
    cache.open()
    return cache


def test_least_recently_used_pack_goes_first(tmp_path: Path) -> None:
    cache = opened(tmp_path / "c", 30)
    one, two, three = (add(cache, number, 10) for number in (1, 2, 3))
    assert cache.pin(one)
    cache.unpin(one)
    four = add(cache, 4, 10)
    assert cache.pin(two) is None
    assert all(cache.pin(pack) for pack in (one, three, four))
    assert cache.bytes_kept == 30


def test_pack_in_use_is_never_evicted(tmp_path: Path) -> None:
    cache = opened(tmp_path / "c", 30)
    one = add(cache, 1, 10)
    path = cache.pin(one)
    assert path
    assert cache.trim(0) == 0
    assert path.exists()
    cache.unpin(one)
    assert cache.trim(0) == 10
    assert not path.exists()


def test_cache_is_rebuilt_from_its_folder_and_torn_transfers_go(tmp_path: Path) -> None:
    cache = opened(tmp_path / "c", 100)
    packs = [add(cache, number, 10) for number in (1, 2, 3)]
    for age, pack in enumerate(packs):
        os.utime(cache.path_of(pack), (1000 - age, 1000 - age))
    torn = cache.folder / ".abc.tmp"
    torn.write_bytes(b"half")
    again = opened(tmp_path / "c", 20)
    assert again.bytes_kept == 20
    assert not torn.exists()
    assert again.pin(packs[2]) is None
    assert again.pin(packs[0])
