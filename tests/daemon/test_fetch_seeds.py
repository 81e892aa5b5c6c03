"""What is on a host already serves the downloads that come later or at the same time, and nothing of it is believed unseen."""

import asyncio
import os
import shutil
from array import array
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast_contract.digest import digest_of
from holdfast_contract.limits import DIGEST_BYTES, MIB
from holdfast_daemon.journal import placed_store
from holdfast_daemon.journal.placed_store import PlacedFile
from holdfast_daemon.pipeline.fetch import DownloadOrder
from holdfast_daemon.pipeline.fetch_tasks import LEFTOVER_SUFFIX, Located, Target
from holdfast_daemon.pipeline.large_target import LargeTarget
from holdfast_daemon.pipeline.read_file import stat5
from holdfast_daemon.pipeline.seeds import PARTIAL_TTL_S
from holdfast_daemon.workers import Workers
from support.fake_registry import CHUNK_BYTES
from support.fake_store import FakeStore, served_packs
from support.fetching import Reading, reading, tree_of
from support.trees import random_bytes

SIZE = 9 * MIB + 12_345
V1 = random_bytes(SIZE, 1)
CHANGED = range(3 * MIB, 9 * MIB, 4 * MIB)
OVERHEAD_MAX = 64 * 1024
"""Footers, and lists of chunks."""
RANKS = 8


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


@asynccontextmanager
async def over_http(folder: Path, workers: Workers) -> AsyncIterator[tuple[Reading, FakeStore]]:
    async with served_packs(folder / "packs") as store, reading(folder, workers, how=store.url) as side:
        yield side, store


@pytest.mark.parametrize("same_folder", [True, False], ids=["same folder", "own folders"])
async def test_file_that_comes_between_the_look_for_it_and_the_transfer_is_not_transferred_again(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch, same_folder: bool
) -> None:
    roots = [tmp_path / "first", tmp_path / ("first" if same_folder else "second")]
    async with over_http(tmp_path, workers) as (side, store):
        version = side.registry.add_version({"model": V1})
        look, looks = side.seeds.find, 0

        async def look_too_early(*wanted: Any) -> Any:
            nonlocal looks
            looks += 1
            is_first = looks == 1
            found = await look(*wanted)
            if is_first:
                await side.download(version, roots[0])
            return found

        monkeypatch.setattr(side.seeds, "find", look_too_early)
        await side.download(version, roots[1])
        assert store.sent_bytes < SIZE + 2 * OVERHEAD_MAX
    assert [(root / "model").read_bytes() == V1 for root in roots] == [True, True]


def changed(content: bytes) -> bytes:
    """Another version: two chunks are others."""
    data = bytearray(content)
    for at in CHANGED:
        data[at] ^= 1
    return bytes(data)


V2 = changed(V1)
V2_BYTES = len(CHANGED) * CHUNK_BYTES


@pytest.mark.parametrize("list_chunks", [4096, 16], ids=["one list", "four lists"])
@pytest.mark.parametrize("same_folder", [True, False], ids=["same folder", "own folders"])
async def test_a_file_that_many_want_at_once_is_transferred_once(
    tmp_path: Path, workers: Workers, same_folder: bool, list_chunks: int
) -> None:
    roots = [tmp_path / "out" / ("same" if same_folder else str(rank)) for rank in range(RANKS)]
    async with over_http(tmp_path, workers) as (side, store):
        side.registry.long_list_chunks = list_chunks
        version = side.registry.add_version({"d/model": V1})
        ends = await asyncio.gather(*(side.download(version, root) for root in roots))
        assert store.sent_bytes < SIZE + RANKS * OVERHEAD_MAX
        assert [end.bytes_done for end in ends] == [SIZE] * RANKS
        assert side.cache.bytes_kept < OVERHEAD_MAX
    for root in roots:
        assert tree_of(root) == {"d/model": V1}


async def test_files_that_share_packs_are_transferred_once_whoever_fetches_which(
    tmp_path: Path, workers: Workers
) -> None:
    tree = {str(number): random_bytes(SIZE, number) for number in range(5)}
    async with over_http(tmp_path, workers) as (side, store):
        version = side.registry.add_version(tree)
        wanted = [frozenset({name}) for name in tree] + [frozenset(), frozenset()]
        downloads = [side.download(version, tmp_path / "out" / str(n), paths=paths) for n, paths in enumerate(wanted)]
        await asyncio.gather(*downloads)
        assert store.sent_bytes < len(tree) * SIZE + len(wanted) * OVERHEAD_MAX
    for n, paths in enumerate(wanted):
        assert tree_of(tmp_path / "out" / str(n)) == {name: tree[name] for name in paths or tree}


@pytest.mark.parametrize("list_chunks", [4096, 16], ids=["one list", "four lists"])
@pytest.mark.parametrize("second", ["one", "two"], ids=["same folder", "another folder"])
async def test_of_a_new_version_only_changed_chunks_are_fetched(
    tmp_path: Path, workers: Workers, second: str, list_chunks: int
) -> None:
    async with over_http(tmp_path, workers) as (side, store):
        side.registry.long_list_chunks = list_chunks
        await side.download(side.registry.add_version({"model": V1}), tmp_path / "one")
        version = side.registry.add_version({"model": V2})
        sent = store.sent_bytes
        progress = await side.download(version, tmp_path / second)
        assert store.sent_bytes - sent < V2_BYTES + OVERHEAD_MAX
        assert progress.bytes_done == SIZE
        assert tree_of(tmp_path / second) == {"model": V2}


async def test_bytes_that_have_moved_within_a_file_or_into_another_are_found(tmp_path: Path, workers: Workers) -> None:
    async with over_http(tmp_path, workers) as (side, store):
        await side.download(side.registry.add_version({"one": V1, "two": random_bytes(SIZE, 2)}), tmp_path / "v1")
        both = random_bytes(CHUNK_BYTES, 3) + V1[: 30 * CHUNK_BYTES] + random_bytes(SIZE, 2)[CHUNK_BYTES:]
        version = side.registry.add_version({"d/both": both})
        sent = store.sent_bytes
        await side.download(version, tmp_path / "v2")
        assert store.sent_bytes - sent < CHUNK_BYTES + OVERHEAD_MAX
        assert tree_of(tmp_path / "v2") == {"d/both": both}


async def test_seeds_are_remembered_by_the_next_daemon(tmp_path: Path, workers: Workers) -> None:
    async with over_http(tmp_path, workers) as (side, _):
        await side.download(side.registry.add_version({"model": V1}), tmp_path / "one")
    async with over_http(tmp_path, workers) as (side, store):
        version = side.registry.add_version({"elsewhere/model": V1})
        await side.download(version, tmp_path / "two")
        assert store.sent_bytes == 0
        assert tree_of(tmp_path / "two") == {"elsewhere/model": V1}


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(5 * MIB)
        byte = file.read(1)[0]
        file.seek(5 * MIB)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize(
    "change", [flip, Path.unlink, lambda path: os.truncate(path, MIB)], ids=["byte", "gone", "cut"]
)
async def test_a_seed_that_the_user_changed_counts_as_absent(
    tmp_path: Path, workers: Workers, change: Callable[[Path], None]
) -> None:
    async with over_http(tmp_path, workers) as (side, store):
        version = side.registry.add_version({"model": V1})
        await side.download(version, tmp_path / "one")
        change(tmp_path / "one" / "model")
        sent = store.sent_bytes
        await side.download(version, tmp_path / "two")
        assert tree_of(tmp_path / "two") == {"model": V1}
        assert store.sent_bytes - sent >= SIZE


async def test_a_seed_whose_change_cannot_be_seen_is_not_believed(tmp_path: Path, workers: Workers) -> None:
    async with over_http(tmp_path, workers) as (side, _):
        await side.download(side.registry.add_version({"model": V1}), tmp_path / "one")
        path = tmp_path / "one" / "model"
        flip(path)
        as_if_unchanged = PlacedFile(os.fsencode(path), digest_of(V1), stat5(path.stat()))
        await side.seed_store.end_file(as_if_unchanged, b"")
        for number, content in enumerate((V1, V2)):
            version = side.registry.add_version({"model": content})
            progress = await side.download(version, tmp_path / f"new{number}")
            assert tree_of(tmp_path / f"new{number}") == {"model": content}
            assert progress.bytes_done == SIZE


async def test_nothing_is_looked_for_in_files_that_share_nothing(tmp_path: Path, workers: Workers) -> None:
    async with over_http(tmp_path, workers) as (side, _):
        await side.download(side.registry.add_version({"model": V1}), tmp_path / "one")
        other = [random_bytes(CHUNK_BYTES, seed) for seed in range(40)]
        digests = b"".join(map(digest_of, other))
        assert await side.seeds.find(digest_of(b"".join(other)), digests, [CHUNK_BYTES] * 40, 0) is None


async def begun(side: Reading, store: FakeStore, version: str, root: Path, after_bytes: int) -> "asyncio.Task[None]":
    """A download that stands still after so many bytes, until `hold_after_bytes` is None and connections are broken."""
    store.hold_after_bytes = store.sent_bytes + after_bytes
    store.is_holding.clear()

    async def run() -> None:
        async for _ in side.fetch.download(DownloadOrder(version, os.fsencode(root))):
            pass

    running = asyncio.create_task(run())
    await store.is_holding.wait()
    return running


async def test_when_the_first_download_is_cancelled_the_others_finish_with_one_transfer(
    tmp_path: Path, workers: Workers
) -> None:
    async with over_http(tmp_path, workers) as (side, store):
        version = side.registry.add_version({"model": V1})
        first = await begun(side, store, version, tmp_path / "first", 4 * MIB)
        others = [asyncio.create_task(side.download(version, tmp_path / f"other{n}")) for n in range(3)]
        await side.registry.calls.until_located(1 + len(others))
        sent = store.sent_bytes
        store.hold_after_bytes = None
        first.cancel()
        await asyncio.wait({first})
        await asyncio.gather(*others)
        assert store.sent_bytes - sent < SIZE + len(others) * OVERHEAD_MAX
    for n in range(3):
        assert tree_of(tmp_path / f"other{n}") == {"model": V1}


async def test_when_the_first_download_fails_the_others_finish(tmp_path: Path, workers: Workers) -> None:
    async with over_http(tmp_path, workers) as (side, store):
        version = side.registry.add_version({"model": V1})
        first = await begun(side, store, version, tmp_path / "first", 4 * MIB)
        other = asyncio.create_task(side.download(version, tmp_path / "other"))
        shutil.rmtree(tmp_path / "first")
        store.hold_after_bytes = None
        store.break_connections()
        with pytest.raises(Exception, match="first"):
            await first
        await other
        assert tree_of(tmp_path / "other") == {"model": V1}


async def test_a_first_file_that_is_moved_away_at_once_hinders_nobody(tmp_path: Path, workers: Workers) -> None:
    async with over_http(tmp_path, workers) as (side, _):
        version = side.registry.add_version({"model": V1})

        async def download_and_remove(root: Path) -> None:
            await side.download(version, root)
            shutil.rmtree(root)

        gone = [download_and_remove(tmp_path / f"gone{n}") for n in range(3)]
        await asyncio.gather(*gone, side.download(version, tmp_path / "out"))
        assert tree_of(tmp_path / "out") == {"model": V1}


async def test_who_skips_the_cache_takes_nothing_from_this_host(tmp_path: Path, workers: Workers) -> None:
    async with over_http(tmp_path, workers) as (side, store):
        version = side.registry.add_version({"model": V1})
        await side.download(version, tmp_path / "one")
        sent = store.sent_bytes
        await side.download(version, tmp_path / "two", skip_cache=True)
        assert store.sent_bytes - sent >= SIZE


async def test_what_interrupted_downloads_leave_is_removed_after_a_day_unless_it_is_in_use(
    tmp_path: Path, workers: Workers
) -> None:
    async with over_http(tmp_path, workers) as (side, store):
        version = side.registry.add_version({"d/model": V1})
        running = await begun(side, store, version, tmp_path / "out", 4 * MIB)
        [left] = (tmp_path / "out" / "d").iterdir()
        assert left.name.endswith(LEFTOVER_SUFFIX)
        assert await side.seeds.remove_partials() == 0
        running.cancel()
        await asyncio.wait({running})
        assert await side.seeds.remove_partials(PARTIAL_TTL_S) == 0
        assert left.exists()
        assert await side.seeds.remove_partials() > 3 * MIB
        assert not left.exists()
        assert await side.seed_store.load_partials(1 << 40) == []


async def test_of_what_is_remembered_the_oldest_goes_first(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with over_http(tmp_path, workers) as (side, store):
        for name, content in (("old", V1), ("new", random_bytes(SIZE, 2))):
            await side.download(side.registry.add_version({name: content}), tmp_path / name)
        monkeypatch.setattr(placed_store, "PLACED_CHUNKS_MAX", SIZE // CHUNK_BYTES + 2)
        await side.seed_store.trim(())
        sent = store.sent_bytes
        await side.download(side.registry.add_version({"new": random_bytes(SIZE, 2)}), tmp_path / "again")
        assert store.sent_bytes == sent
        await side.download(side.registry.add_version({"old": V1}), tmp_path / "again")
        assert store.sent_bytes - sent >= SIZE


@pytest.mark.parametrize("is_right", [True, False])
def test_a_file_that_shares_the_blocks_of_another_is_hashed_before_it_gets_its_name(
    tmp_path: Path, is_right: bool
) -> None:
    content = V1[: 2 * CHUNK_BYTES]
    (tmp_path / "seed").write_bytes(content if is_right else content[:-1] + b"?")

    def copy(descriptor: int, source: int) -> None:  # as a file system does that can
        os.pwrite(descriptor, os.pread(source, len(content), 0), 0)

    hashers = ThreadPoolExecutor(1)
    file = LargeTarget(Target(os.fsencode(tmp_path), "t"), "new", digest_of(content), hashers, copy)
    file.open(resumable=True)
    assert not file.clone(os.fsencode(tmp_path / "seed"), len(content) + 1)
    assert file.clone(os.fsencode(tmp_path / "seed"), len(content))
    digests = digest_of(content[:CHUNK_BYTES]) + digest_of(content[CHUNK_BYTES:])
    assert len(digests) == 2 * DIGEST_BYTES
    located = Located(array("I", (0, 0)), array("I", (0, 0)), *(array("I", (CHUNK_BYTES, CHUNK_BYTES)),) * 2, bytes(2))
    flags = file.present(located.lengths, digests, 0)
    assert list(flags) == [1, 1]
    file.take((), located, digests, 0, flags)
    if is_right:
        file.finish()
        assert (tmp_path / "new").read_bytes() == content
    else:
        with pytest.raises(Exception, match="do not have the file's digest"):
            file.finish()
        file.start_over()
        assert list(file.present(located.lengths, digests, 0)) == [1, 0]
    file.close(keep=False)
    hashers.shutdown()
    assert {path.name for path in tmp_path.iterdir()} == {"seed", "new"} if is_right else {"seed"}
