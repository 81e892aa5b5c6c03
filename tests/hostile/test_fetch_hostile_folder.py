"""A target folder with traps in it, and downloads that are cut off: nothing is written outside, nothing half is left in place."""

import asyncio
import multiprocessing
import os
import random
import signal
import stat
import threading
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast_contract import failpoints
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.fetch_tasks import (
    LEFTOVER_SUFFIX,
    Located,
    PackFile,
    PlaceTask,
    Target,
    chunk_columns,
    decode_entries,
)
from holdfast_daemon.pipeline.place_files import place_files
from holdfast_daemon.pipeline.target_tree import TargetTree
from holdfast_daemon.workers import Workers
from support.fake_registry import FakeRegistry, make_segment
from support.fetching import Tree, reading, tree_of
from support.one_process import ThreadWorkers


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def task_for(folder: Path, tree: Tree, root: Path) -> PlaceTask:
    """The task that the loop would hand to a worker."""
    packs = folder / "packs"
    packs.mkdir(exist_ok=True)
    root.mkdir(exist_ok=True)
    registry = FakeRegistry(packs)
    registry.add_version(tree)
    encoded = make_segment({path: tree[path] for path in sorted(tree)}).SerializeToString()
    entries = decode_entries(encoded)
    rows = array("I", range(len(entries)))
    digests, lengths = chunk_columns(entries, rows)
    places = [registry.places[digests[at : at + 32]] for at in range(0, len(digests), 32)]
    ids = sorted({place.pack_id for place in places})
    located = Located(
        array("I", [ids.index(p.pack_id) for p in places]),
        array("I", [p.offset for p in places]),
        array("I", [p.stored_length for p in places]),
        array("I", lengths),
        bytes(p.codec for p in places),
    )
    files = tuple(PackFile(str(registry.pack_path(pack_id)), pack_id) for pack_id in ids)
    return PlaceTask(Target(os.fsencode(root), os.urandom(6).hex()), encoded, rows, files, located)


def temporaries(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.endswith(LEFTOVER_SUFFIX)]


@pytest.mark.parametrize("deep", [False, True])
async def test_symlinked_parent_is_refused_and_nothing_goes_through_it(
    tmp_path: Path, workers: Workers, deep: bool
) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    parent = out / "a" / "b" if deep else out
    parent.mkdir(parents=True)
    (parent / "d").symlink_to(outside)
    path = "a/b/d/f" if deep else "d/f"
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({path: b"1"})
        with pytest.raises(HoldfastError, match="symbolic link") as caught:
            await side.download(version, out)
        assert caught.value.reason is Reason.INVALID_PATH
        with pytest.raises(HoldfastError):
            await side.download(version, out, exact=True)
    assert list(outside.iterdir()) == []


async def test_root_may_be_a_link(tmp_path: Path, workers: Workers) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"d/f": b"1"})
        await side.download(version, tmp_path / "out")
        assert (await side.verify_folder(version, tmp_path / "out")).missing == []
    assert tree_of(tmp_path / "real") == {"d/f": b"1"}


async def test_link_in_the_place_of_a_file_is_replaced_and_not_written_through(
    tmp_path: Path, workers: Workers
) -> None:
    victim, out = tmp_path / "victim", tmp_path / "out"
    victim.write_bytes(b"new bytes")
    out.mkdir()
    (out / "f").symlink_to(victim)
    os.link(victim, out / "g")
    (out / "h").symlink_to(out / "nowhere")
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"f": b"new bytes", "g": b"other", "h": b"third"})
        await side.download(version, out)
    assert tree_of(out) == {"f": b"new bytes", "g": b"other", "h": b"third"}
    assert victim.read_bytes() == b"new bytes"


async def test_folder_in_the_place_of_a_file_and_the_reverse_are_named(tmp_path: Path, workers: Workers) -> None:
    out = tmp_path / "out"
    (out / "f" / "inner").mkdir(parents=True)
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"f": b"1"})
        with pytest.raises(HoldfastError, match="is a folder where the version has a file") as caught:
            await side.download(version, out)
        assert caught.value.metadata["path"] == str(out / "f")
        (out / "g").write_bytes(b"mine")
        version = side.registry.add_version({"g/x": b"1"})
        with pytest.raises(HoldfastError, match="is a file where the version has a folder") as caught:
            await side.download(version, out)
        assert caught.value.metadata["path"] == str(out / "g")
    assert (out / "g").read_bytes() == b"mine"
    assert temporaries(out) == []


async def test_root_that_is_a_file_is_refused(tmp_path: Path, workers: Workers) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"f": b"1"})
        with pytest.raises(HoldfastError):
            await side.download(version, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"mine"


def test_links_put_in_place_between_steps_never_lead_outside(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    tree = {f"d{i % 10}/s/f{i:03}": b"x" * 50 for i in range(300)}
    task = task_for(tmp_path, tree, root)
    stop = threading.Event()

    def swap_folders() -> None:
        generator = random.Random(5)
        while not stop.is_set():
            folder = root / f"d{generator.randrange(10)}" / generator.choice(["", "s"])
            aside = folder.with_name(f"{folder.name}-{generator.random()}")
            try:
                folder.rename(aside)
                folder.symlink_to(outside)
                folder.unlink()
                aside.rename(folder)
            except OSError:
                continue

    attacker = threading.Thread(target=swap_folders)
    attacker.start()
    try:
        for _ in range(20):
            place_files(task)
    finally:
        stop.set()
        attacker.join()
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("errno_name", ["ENOSPC", "EDQUOT"])
@pytest.mark.parametrize("place", ["fetch.before_rename=", "fetch.after_first_file="])
def test_full_disk_is_said_and_leaves_no_temporary_file(tmp_path: Path, errno_name: str, place: str) -> None:
    tree = {"a": b"1", "b": bytes(300_000), "c": b"3"}
    task = task_for(tmp_path, tree, tmp_path / "out")
    failpoints.arm(place + errno_name)
    result = place_files(task)
    assert result.failure is not None
    assert Reason.OUT_OF_SPACE.value.encode() in result.failure.detail
    assert temporaries(tmp_path / "out") == []
    assert all(tree[path] == data for path, data in tree_of(tmp_path / "out").items())
    failpoints.arm("")
    assert place_files(task).failure is None
    assert tree_of(tmp_path / "out") == tree


async def test_full_disk_reaches_the_caller_by_its_reason(tmp_path: Path) -> None:
    failpoints.arm("fetch.before_rename=ENOSPC@3+")
    own_workers = ThreadWorkers(2)
    try:
        async with reading(tmp_path, own_workers) as side:
            version = side.registry.add_version({f"f{i}": b"x" * i for i in range(50)})
            with pytest.raises(HoldfastError) as caught:
                await side.download(version, tmp_path / "out")
            assert caught.value.reason is Reason.OUT_OF_SPACE
    finally:
        own_workers.close()
        failpoints.arm("")
    assert temporaries(tmp_path / "out") == []


def place_until_killed(task: PlaceTask, armed: str) -> None:
    failpoints.arm(armed)
    place_files(task)


@pytest.mark.parametrize("passage", [1, 2, 7, 19, 20, 21])
@pytest.mark.parametrize("point", ["fetch.before_rename", "fetch.after_first_file"])
def test_kill_leaves_each_file_old_new_or_absent(tmp_path: Path, point: str, passage: int) -> None:
    new = {f"f{i:02}": bytes([i]) * (500 + i) for i in range(19)} | {"z": os.urandom(700_000), "y": os.urandom(200_000)}
    root = tmp_path / "out"
    root.mkdir()
    old = {"f03": b"old", "z": b"old z"}
    for path, data in old.items():
        (root / path).write_bytes(data)
    task = task_for(tmp_path, new, root)
    process = multiprocessing.get_context("spawn").Process(
        target=place_until_killed, args=(task, f"{point}=kill@{passage}")
    )
    process.start()
    process.join()
    found = tree_of(root)
    partial = [path for path in found if path.endswith(LEFTOVER_SUFFIX)]
    for path, data in found.items():
        if path not in partial:
            assert data == new[path] or data == old.get(path)
    assert len(partial) <= 1


def wait_for_first_file(root: Path) -> None:
    while not any(root.glob("*/f*")):
        pass


async def test_killed_worker_does_not_end_the_download(tmp_path: Path) -> None:
    own_workers = Workers(2)
    tree = {f"d{i % 50}/f{i:05}": b"%d" % i * 20 for i in range(20_000)}
    try:
        async with reading(tmp_path, own_workers) as side:
            version = side.registry.add_version(tree)
            await own_workers.in_process(os.getpid)
            running = asyncio.create_task(side.download(version, tmp_path / "out"))
            await asyncio.to_thread(wait_for_first_file, tmp_path / "out")
            os.kill(own_workers.pids()[0], signal.SIGKILL)
            await running
            assert tree_of(tmp_path / "out").items() >= tree.items()
    finally:
        own_workers.close()


async def test_fifo_or_socket_in_the_place_of_a_file_does_not_hold_us(tmp_path: Path, workers: Workers) -> None:
    out = tmp_path / "out"
    out.mkdir()
    os.mkfifo(out / "f")
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"f": b""})
        assert (await side.verify_folder(version, out)).damaged == ["f"]
        await side.download(version, out)
    assert stat.S_ISREG((out / "f").stat().st_mode)


async def test_unwritable_folder_is_named(tmp_path: Path, workers: Workers) -> None:
    if os.getuid() == 0:
        pytest.skip("the superuser may write everywhere")
    out = tmp_path / "out"
    (out / "d").mkdir(parents=True)
    (out / "d").chmod(0o500)
    try:
        async with reading(tmp_path, workers) as side:
            version = side.registry.add_version({"d/f": b"1"})
            with pytest.raises(HoldfastError) as caught:
                await side.download(version, out)
            assert str(out / "d/f") in caught.value.message
    finally:
        (out / "d").chmod(0o700)


@pytest.mark.parametrize("make", [lambda n: "é" * (n // 2), lambda n: "x" * n])
def test_longest_names_have_room_for_their_temporary_names(tmp_path: Path, make: Callable[[int], str]) -> None:
    name = make(254)
    with TargetTree(Target(os.fsencode(tmp_path), os.urandom(6).hex())) as tree:
        tree.write_file(name, b"1")
    assert tree_of(tmp_path) == {name: b"1"}
