"""Large files over HTTP: they go straight into place, each byte is fetched once, and nothing wrong ever gets a name."""

import asyncio
import os
import random
import shutil
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast_contract.limits import MIB
from holdfast_contract.pack import Codec
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.fetch import DownloadOrder
from holdfast_daemon.pipeline.fetch_tasks import LEFTOVER_SUFFIX, Located
from holdfast_daemon.pipeline.straight import Scatter, StraightLedger, raw_positions
from holdfast_daemon.workers import Workers
from support.fake_store import FakeStore, served_packs
from support.fetching import Reading, reading, tree_of

SIZE = 20 * MIB + 12_345
OVERHEAD_MAX = 1 * MIB
"""Footers, and frames of small files."""


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


@asynccontextmanager
async def over_http(folder: Path, workers: Workers) -> AsyncIterator[tuple[Reading, FakeStore]]:
    async with served_packs(folder / "packs") as store, reading(folder, workers, how=store.url) as side:
        yield side, store


def content(size: int = SIZE) -> bytes:
    return random.Random(size).randbytes(size)


async def test_the_first_download_copies_nothing_into_the_cache_and_those_that_find_no_file_fill_and_use_it(
    tmp_path: Path, workers: Workers
) -> None:
    tree = {"large": content(), "twice": content() + b"2", "small": b"s"}
    async with over_http(tmp_path, workers) as (side, store):
        version = side.registry.add_version(tree)
        progress = await side.download(version, tmp_path / "one")
        assert tree_of(tmp_path / "one") == tree
        assert progress.bytes_done == progress.bytes_total == sum(map(len, tree.values()))
        assert store.sent_bytes < 2 * SIZE + OVERHEAD_MAX
        assert side.cache.bytes_kept == 0
        shutil.rmtree(tmp_path / "one")
        await side.download(version, tmp_path / "two")
        assert tree_of(tmp_path / "two") == tree
        shutil.rmtree(tmp_path / "two")
        sent = store.sent_bytes
        await side.download(version, tmp_path / "three")
        assert store.sent_bytes == sent
        assert tree_of(tmp_path / "three") == tree


async def test_compressed_chunks_come_by_way_of_the_cache(tmp_path: Path, workers: Workers) -> None:
    tree = {"large": bytes(9 * MIB) + content()}
    async with over_http(tmp_path, workers) as (side, _):
        version = side.registry.add_version(tree, compress=True)
        await side.download(version, tmp_path / "out")
        assert tree_of(tmp_path / "out") == tree
        assert side.cache.bytes_kept > 0


async def interrupt(side: Reading, store: FakeStore, version: str, root: Path, after_bytes: int) -> None:
    """Ends a download when so many bytes have been sent."""
    store.hold_after_bytes = store.sent_bytes + after_bytes
    store.is_holding.clear()
    updates = side.fetch.download(DownloadOrder(version, os.fsencode(root)))

    async def run() -> None:
        async for _ in updates:
            pass

    running = asyncio.create_task(run())
    await store.is_holding.wait()
    running.cancel()
    await asyncio.wait({running})
    store.hold_after_bytes = None


async def test_a_download_that_was_interrupted_fetches_only_what_is_not_there(tmp_path: Path, workers: Workers) -> None:
    out = tmp_path / "out"
    async with over_http(tmp_path, workers) as (side, store):
        version = side.registry.add_version({"d/large": content()})
        await interrupt(side, store, version, out, 12 * MIB)
        [left] = [path for path in out.rglob("*") if path.is_file()]
        assert left.name.endswith(LEFTOVER_SUFFIX)
        with left.open("r+b") as file:  # as after a loss of power: some of what was written is not there
            file.write(bytes(100))
        sent = store.sent_bytes
        await side.download(version, out)
        assert store.sent_bytes - sent < SIZE - 8 * MIB
        assert tree_of(out) == {"d/large": content()}


async def test_what_was_left_of_another_file_is_removed_and_never_used(tmp_path: Path, workers: Workers) -> None:
    out = tmp_path / "out"
    async with over_http(tmp_path, workers) as (side, store):
        old = side.registry.add_version({"large": content()})
        new = side.registry.add_version({"large": content(SIZE + 1)})
        await interrupt(side, store, old, out, 12 * MIB)
        await side.download(new, out)
        assert tree_of(out) == {"large": content(SIZE + 1)}


async def test_two_downloads_of_one_file_into_one_folder_do_not_meet(tmp_path: Path, workers: Workers) -> None:
    async with over_http(tmp_path, workers) as (side, _):
        version = side.registry.add_version({"large": content()})
        await asyncio.gather(*(side.download(version, tmp_path / "out") for _ in range(3)))
        assert tree_of(tmp_path / "out") == {"large": content()}


async def test_bytes_that_were_damaged_on_the_way_are_fetched_again_and_only_they(
    tmp_path: Path, workers: Workers
) -> None:
    async with over_http(tmp_path, workers) as (side, store):
        version = side.registry.add_version({"large": content()})
        store.flips_left = 1
        progress = await side.download(version, tmp_path / "out")
        assert tree_of(tmp_path / "out") == {"large": content()}
        assert progress.bytes_done == progress.bytes_total
        assert store.sent_bytes < SIZE + 2 * OVERHEAD_MAX


async def test_a_damaged_pack_never_becomes_a_file(tmp_path: Path, workers: Workers) -> None:
    async with over_http(tmp_path, workers) as (side, _):
        version = side.registry.add_version({"large": content()})
        path = side.registry.pack_paths()[0]
        data = bytearray(path.read_bytes())
        data[MIB] ^= 1
        path.write_bytes(data)
        with pytest.raises(HoldfastError) as caught:
            await side.download(version, tmp_path / "out")
        assert caught.value.reason is Reason.STORE_DAMAGED
        assert path.stem in caught.value.message
        assert tree_of(tmp_path / "out") == {}


def located(*chunks: tuple[int, int, Codec]) -> Located:
    """Chunks of one pack: (offset, length, codec)."""
    offsets, lengths, codecs = zip(*chunks, strict=True)
    column = array("I", lengths)
    return Located(array("I", bytes(4 * len(chunks))), array("I", offsets), column, column, bytes(codecs))


def test_blocks_are_put_where_their_chunks_belong_whatever_their_cut() -> None:
    source = content(1000)
    chunks = located((100, 50, Codec.RAW), (150, 50, Codec.RAW), (400, 70, Codec.RAW), (210, 30, Codec.RAW))
    targets = (0, 50, 500, 100)
    for step in (7, 50, 64, 1000):
        file = bytearray(570)

        def write(block: memoryview, offset: int, file: bytearray = file) -> None:
            file[offset : offset + len(block)] = block

        scatter = Scatter(chunks, range(4), targets, write)
        assert scatter.frames == [(100, 100), (210, 30), (400, 70)]
        for at in range(0, len(source), step):
            scatter.write(memoryview(source)[at : at + step], at)
        assert file == source[100:200] + source[210:240] + bytes(370) + source[400:470]


def test_a_pack_of_which_much_is_compressed_does_not_go_straight() -> None:
    few = located(*[(100 * n, 100, Codec.RAW) for n in range(9)], (900, 100, Codec.ZSTD))
    assert raw_positions(few, range(10)) == list(range(9))
    many = located((0, 100, Codec.RAW), (100, 100, Codec.ZSTD))
    assert raw_positions(many, range(2)) == []


def test_each_byte_of_a_pack_goes_straight_once_unless_its_reader_gives_up() -> None:
    first, second, third = object(), object(), object()
    ledger = StraightLedger(packs_max=2)
    assert ledger.take(b"a", 100, 60, first)
    assert ledger.take(b"a", 100, 40, second)
    assert not ledger.take(b"a", 100, 1, third)
    assert ledger.take(b"a", 100, 60, first)
    ledger.forget(first)
    assert not ledger.take(b"a", 100, 61, third)
    assert ledger.take(b"a", 100, 60, third)
    for other in (b"b", b"c"):
        ledger.take(other, 100, 1, first)
    assert ledger.take(b"a", 100, 100, first)
