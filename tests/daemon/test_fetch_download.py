"""Downloads: what arrives is the version, whole, and nothing else is touched."""

import asyncio
import os
import random
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_contract.digest import digest_of
from holdfast_contract.limits import CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, MIB
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline import fetch_tasks
from holdfast_daemon.pipeline.fetch import DownloadOrder
from holdfast_daemon.workers import Workers
from support.fetching import Tree, reading, tree_of

HOW = ("filesystem", "grpc")


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed * 7919 + size).randbytes(size)


def sample_tree() -> Tree:
    sizes = [0, 1, 255, CHUNK_BYTES_MIN - 1, CHUNK_BYTES_MIN, CHUNK_BYTES_MIN + 1]
    sizes += [CHUNK_BYTES_MAX - 1, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1, 3 * MIB + 17]
    tree = {f"sizes/{size}.bin": content(size) for size in sizes}
    tree |= {f"many/{i % 7}/f{i:04}": content(i % 300, i) for i in range(500)}
    tree |= {"deep/" * 30 + "leaf": b"down", "é/nfc": b"1", "e\u0301/nfd": b"2", "2026-01-01T10:00": b":", "dot.": b"."}
    tree |= {"same/a": b"twice", "same/b": b"twice", "a" * 255: b"long name", "large.bin": content(9 * MIB + 5)}
    return tree


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("compress", [False, True])
async def test_download_gives_back_every_byte(tmp_path: Path, workers: Workers, how: str, compress: bool) -> None:
    tree = sample_tree()
    async with reading(tmp_path, workers, how=how) as side:
        version = side.registry.add_version(tree, compress=compress)
        progress = await side.download(version, tmp_path / "out")
        assert tree_of(tmp_path / "out") == tree
    assert progress.done
    assert progress.entries_done == progress.entries_total == len(tree)
    assert progress.bytes_done == progress.bytes_total == sum(map(len, tree.values()))


async def test_second_download_writes_nothing(tmp_path: Path, workers: Workers) -> None:
    tree = sample_tree()
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(tree)
        await side.download(version, tmp_path / "out")
        before = {path: (tmp_path / "out" / path).stat() for path in tree}
        located = side.registry.calls.locate
        progress = await side.download(version, tmp_path / "out")
        assert side.registry.calls.locate == located
        after = {path: (tmp_path / "out" / path).stat() for path in tree}
    assert [(s.st_ino, s.st_mtime_ns) for s in before.values()] == [(s.st_ino, s.st_mtime_ns) for s in after.values()]
    assert progress.bytes_kept == progress.bytes_done == sum(map(len, tree.values()))


async def test_known_files_are_trusted_only_while_their_state_is_unchanged(tmp_path: Path, workers: Workers) -> None:
    tree = {f"f{i}": content(100, i) for i in range(20)}
    out = tmp_path / "out"
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(tree)
        await side.download(version, out)
        clock = side.fetch.clock_ns
        side.fetch.clock_ns = lambda: clock() + 10_000_000_000
        await side.download(version, out)
        assert side.placed.blobs, "settled files are remembered"
        (out / "f3").write_bytes(b"x" * 100)
        await side.download(version, out)
        assert tree_of(out) == tree


async def test_recently_written_files_are_not_remembered(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"f": b"bytes"})
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "f").write_bytes(b"bytes")
        progress = await side.download(version, tmp_path / "out")
        assert progress.bytes_kept == 5
        for blob in side.placed.blobs.values():
            assert b"f" not in blob


async def test_changed_missing_and_damaged_files_are_put_right(tmp_path: Path, workers: Workers) -> None:
    tree = sample_tree()
    out = tmp_path / "out"
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(tree)
        await side.download(version, out)
        (out / "same/a").unlink()
        (out / "same/b").write_bytes(b"TWICE")
        with (out / "large.bin").open("r+b") as file:
            file.seek(5 * MIB)
            file.write(b"!")
        (out / "mine.txt").write_bytes(b"stays")
        await side.download(version, out)
        assert tree_of(out) == tree | {"mine.txt": b"stays"}


@pytest.mark.parametrize("how", HOW)
async def test_file_with_a_long_list_of_chunks(tmp_path: Path, workers: Workers, how: str) -> None:
    tree = {"a": b"1", "huge": content(10 * MIB + 1), "middle": content(MIB), "z": b"2"}
    async with reading(tmp_path, workers, how=how) as side:
        side.registry.long_list_chunks = 3
        version = side.registry.add_version(tree)
        progress = await side.download(version, tmp_path / "out")
        assert tree_of(tmp_path / "out") == tree
        assert progress.bytes_done == progress.bytes_total
        assert await side.read(version, "huge", 5 * MIB, 2 * MIB) == tree["huge"][5 * MIB : 7 * MIB]
        assert (await side.verify_folder(version, tmp_path / "out")).damaged == []


async def test_prefix_and_names_select_entries(tmp_path: Path, workers: Workers) -> None:
    tree = {f"{folder}/{i}": content(10, i) for folder in ("a", "ab", "b") for i in range(5)}
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(tree)
        await side.download(version, tmp_path / "p", path_prefix="a")
        assert tree_of(tmp_path / "p") == {p: d for p, d in tree.items() if p.startswith("a")}
        await side.download(version, tmp_path / "n", paths=frozenset({"a/1", "b/4"}))
        assert tree_of(tmp_path / "n") == {p: tree[p] for p in ("a/1", "b/4")}
        with pytest.raises(HoldfastError, match="no entry 'b/9'") as caught:
            await side.download(version, tmp_path / "n", paths=frozenset({"b/9"}))
        assert caught.value.reason is Reason.NOT_FOUND


def put_file_with_foreign_name(folder: Path) -> None:
    foreign = Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe"))
    foreign.mkdir()
    (foreign / "x").write_bytes(b"")


async def test_exact_deletes_what_does_not_belong(tmp_path: Path, workers: Workers) -> None:
    tree = {"a.b": b"1", "a/b": b"2", "c/d/e": b"3"}
    out = tmp_path / "out"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "safe").write_bytes(b"safe")
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(tree)
        await side.download(version, out)
        (out / "a" / "x").write_bytes(b"")
        (out / "z" / "y").mkdir(parents=True)
        (out / "z" / "y" / "f").write_bytes(b"")
        (out / "link").symlink_to(outside)
        (out / "c" / "empty").mkdir()
        put_file_with_foreign_name(out)
        await side.download(version, out, exact=True)
        assert tree_of(out) == tree
        assert sorted(p.name for p in out.iterdir()) == ["a", "a.b", "c"]
        assert not (out / "c" / "empty").exists()
        assert (outside / "safe").read_bytes() == b"safe"


async def test_file_gets_the_rights_that_cp_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    own_workers = Workers(2)
    try:
        async with reading(tmp_path, own_workers) as side:
            version = side.registry.add_version({"d/f": b"1", "d/large": content(9 * MIB)})
            await side.download(version, tmp_path / "out")
            assert stat.S_IMODE((tmp_path / "out/d/f").stat().st_mode) == 0o640
            assert stat.S_IMODE((tmp_path / "out/d/large").stat().st_mode) == 0o640
            assert stat.S_IMODE((tmp_path / "out/d").stat().st_mode) == 0o750
    finally:
        own_workers.close()
        os.umask(before)


async def test_leftovers_of_a_killed_download_are_removed(tmp_path: Path, workers: Workers) -> None:
    out = tmp_path / "out"
    (out / "d").mkdir(parents=True)
    old = out / "d" / f".f.0123456789ab1{fetch_tasks.LEFTOVER_SUFFIX}"
    old.write_bytes(b"half")
    os.utime(old, (1_000_000_000, 1_000_000_000))
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"d/f": b"whole"})
        await side.download(version, out)
        assert tree_of(out) == {"d/f": b"whole"}


async def test_file_references_are_copied_and_checked(tmp_path: Path, workers: Workers) -> None:
    source = tmp_path / "source data.bin"
    source.write_bytes(b"referenced")
    uri = source.as_uri()
    right = {"ref": (uri, digest_of(b"referenced").hex(), 10), "s3": ("s3://bucket/key", "etag", 5)}
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"f": b"1"}, right)
        progress = await side.download(version, tmp_path / "out")
        assert tree_of(tmp_path / "out") == {"f": b"1", "ref": b"referenced"}
        assert progress.unresolved_references == ["s3"]
        source.write_bytes(b"REFERENCED")
        with pytest.raises(HoldfastError) as changed:
            await side.download(version, tmp_path / "other")
        assert changed.value.reason is Reason.REFERENCE_CHANGED
        assert not (tmp_path / "other/ref").exists()
        source.unlink()
        with pytest.raises(HoldfastError) as missing:
            await side.download(version, tmp_path / "other")
        assert missing.value.reason is Reason.REFERENCE_MISSING
        progress = await side.download(version, tmp_path / "other", allow_missing_references=True)
        assert len(progress.warnings) == 1


async def test_reference_without_checksum_is_copied_as_it_is(tmp_path: Path, workers: Workers) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"anything")
    uri = source.as_uri()
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({}, {"ref": (uri, digest_of(uri.encode()).hex(), 0)})
        await side.download(version, tmp_path / "out")
        assert tree_of(tmp_path / "out") == {"ref": b"anything"}


@pytest.mark.parametrize("how", HOW)
async def test_ranges_of_an_entry(tmp_path: Path, workers: Workers, how: str) -> None:
    data = content(20 * MIB + 3)
    async with reading(tmp_path, workers, how=how) as side:
        version = side.registry.add_version({"big": data, "empty": b"", "small": b"0123456789"})
        assert await side.read(version, "big", 700_000, 5) == data[700_000:700_005]
        assert side.registry.calls.sent_bytes < MIB
        assert await side.read(version, "big") == data
        assert await side.read(version, "big", 12 * MIB - 1, 9 * MIB) == data[12 * MIB - 1 : 21 * MIB - 1]
        assert await side.read(version, "big", 30 * MIB) == b""
        assert await side.read(version, "small", 3, 4) == b"3456"
        assert await side.read(version, "empty") == b""
        with pytest.raises(HoldfastError) as caught:
            await side.read(version, "none")
        assert caught.value.reason is Reason.NOT_FOUND


async def test_verify_names_missing_damaged_and_extra(tmp_path: Path, workers: Workers) -> None:
    tree = sample_tree()
    out = tmp_path / "out"
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(tree, {"ref": ("s3://b/k", "etag", 1)})
        await side.download(version, out)
        clean = await side.verify_folder(version, out)
        assert (clean.missing, clean.damaged, clean.extra) == ([], [], [])
        assert (clean.entries_done, clean.references_skipped) == (len(tree) + 1, 1)
        (out / "same/a").unlink()
        (out / "same/b").write_bytes(b"TWICE")
        (out / "many/0/extra").write_bytes(b"")
        before = tree_of(out)
        found = await side.verify_folder(version, out)
        assert (found.missing, found.damaged, found.extra) == (["same/a"], ["same/b"], ["many/0/extra"])
        assert tree_of(out) == before


async def test_verify_of_an_absent_folder_says_so(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"f": b"1"})
        with pytest.raises(HoldfastError) as caught:
            await side.verify_folder(version, tmp_path / "nowhere")
        assert caught.value.reason is Reason.FILE_MISSING


async def test_two_downloads_into_one_folder_at_once_both_succeed(tmp_path: Path, workers: Workers) -> None:
    tree = sample_tree()
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(tree)
        await asyncio.gather(*(side.download(version, tmp_path / "out") for _ in range(3)))
        assert tree_of(tmp_path / "out") == tree


async def test_ending_the_iteration_stops_the_download_and_leaves_no_partial_file(
    tmp_path: Path, workers: Workers
) -> None:
    tree = {f"f{i}": content(9 * MIB, i) for i in range(6)}
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(tree)
        updates = side.fetch.download(DownloadOrder(version, os.fsencode(tmp_path / "out")))
        task_started = updates.asend(None)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(task_started, 0.01)
        await updates.aclose()
        assert not side.fetch.live_tokens
        found = tree_of(tmp_path / "out") if (tmp_path / "out").exists() else {}
        assert all(tree[path] == data for path, data in found.items())
