"""A registry that lies or lost data: nothing wrong is ever written, and the error says what to do."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast_contract.digest import digest_of
from holdfast_contract.limits import MIB
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.workers import Workers
from support.fake_registry import make_segment
from support.fetching import reading, tree_of

HOSTILE_PATHS = [
    "../escape",
    "a/../../escape",
    "/etc/holdfast-escape",
    "C:/x",
    "..",
    ".",
    "",
    "a//b",
    "a/./b",
    "a\\..\\b",
    "nul\0byte",
    "line\nfeed",
    "x" * 256,
    "/".join("d" * 65),
    "//server/share",
]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


@pytest.mark.parametrize("path", HOSTILE_PATHS)
async def test_unsafe_path_is_refused_before_anything_of_its_segment_is_written(
    tmp_path: Path, workers: Workers, path: str
) -> None:
    async with reading(tmp_path, workers) as side:
        side.registry.add_version({"x": b"1"})
        segment = make_segment({path: b"1", "~": b"1"}).SerializeToString()
        version = side.registry.add_segments([segment], 2, 2)
        before = everything_but(tmp_path, "out")
        with pytest.raises(HoldfastError) as caught:
            await side.download(version, tmp_path / "out")
        assert caught.value.reason is Reason.INVALID_PATH
        assert tree_of(tmp_path / "out") == {}
        assert everything_but(tmp_path, "out") == before


def everything_but(folder: Path, name: str) -> set[Path]:
    return {path for path in folder.rglob("*") if name not in path.parts}


@pytest.mark.parametrize("paths", [("b", "a"), ("a", "a"), ("a", "a/b")])
async def test_manifest_out_of_order_or_colliding_is_refused(
    tmp_path: Path, workers: Workers, paths: tuple[str, str]
) -> None:
    async with reading(tmp_path, workers) as side:
        side.registry.add_version({"x": b"1"})
        segments = [make_segment({path: b"1"}).SerializeToString() for path in paths]
        version = side.registry.add_segments(segments, 2, 2)
        with pytest.raises(HoldfastError) as caught:
            await side.download(version, tmp_path / "out")
        assert caught.value.reason in (Reason.MANIFEST_INVALID, Reason.PATH_COLLISION)


async def test_manifest_without_end_is_refused(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"x": b"1"})
        side.registry.faults.endless_pages = True
        with pytest.raises(HoldfastError) as caught:
            await side.download(version, tmp_path / "out")
        assert caught.value.reason is Reason.MANIFEST_INVALID


def _lie(kind: str) -> bytes:
    segment = make_segment({"a": b"small", "b": bytes(200_000)})
    if kind == "size":
        segment.sizes[0] = 4
    elif kind == "huge size":
        segment.sizes[0] = 1 << 62
    elif kind == "chunk length":
        segment.chunk_lengths[0] = 1 << 31
    elif kind == "chunk count":
        segment.chunk_counts[0] = 1 << 31
    elif kind == "chunked entry":
        segment.chunked_entries[0] = 7
    elif kind == "digests":
        segment.digests = segment.digests[:-1]
    elif kind == "empty with digest":
        segment.sizes[0] = 0
    elif kind == "no entries":
        segment.Clear()
    else:
        return b"\xff\xff not a message"
    return segment.SerializeToString()


@pytest.mark.parametrize(
    "kind",
    [
        "size",
        "huge size",
        "chunk length",
        "chunk count",
        "chunked entry",
        "digests",
        "empty with digest",
        "no entries",
        "garbage",
    ],
)
async def test_segment_that_contradicts_itself_is_refused(tmp_path: Path, workers: Workers, kind: str) -> None:
    async with reading(tmp_path, workers) as side:
        side.registry.add_version({"a": b"small", "b": bytes(200_000)})
        version = side.registry.add_segments([_lie(kind)], 2, 200_005)
        with pytest.raises(HoldfastError) as caught:
            await side.download(version, tmp_path / "out")
        assert caught.value.reason in (Reason.MANIFEST_INVALID, Reason.STORE_DAMAGED)
        assert tree_of(tmp_path / "out") == {}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_damage_to_a_segment_is_refused_or_harmless(flips: list[tuple[int, int]]) -> None:
    from holdfast_daemon.pipeline.fetch_tasks import chunk_columns, decode_entries

    data = bytearray(make_segment({"a": b"small", "b": bytes(300_000), "c": ("s3://x", "d", 1)}).SerializeToString())
    for at, value in flips:
        data[at % len(data)] = value
    try:
        entries = decode_entries(bytes(data))
    except HoldfastError:
        return
    digests, lengths = chunk_columns(entries, range(len(entries)))
    assert len(digests) == 32 * len(lengths)


async def test_chunk_that_the_registry_lost_is_data_loss(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"x": b"1"})
        side.registry.faults.forget_chunks = True
        with pytest.raises(HoldfastError, match="fsck") as caught:
            await side.download(version, tmp_path / "out")
        assert caught.value.reason is Reason.STORE_DAMAGED


async def test_answer_with_short_columns_is_refused(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"x": b"1", "y": b"2"})
        side.registry.faults.shorten_columns = True
        with pytest.raises(HoldfastError) as caught:
            await side.download(version, tmp_path / "out")
        assert caught.value.reason is Reason.STORE_DAMAGED


SIZES = {"small": 1000, "middle": 2 * MIB, "large": 10 * MIB}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("harm", ["flip", "truncate", "remove", "swap", "fifo"])
async def test_damaged_store_names_file_and_pack_and_writes_nothing_wrong(
    tmp_path: Path, workers: Workers, harm: str, size: int, compress: bool
) -> None:
    data = random.Random(size).randbytes(size)
    out = tmp_path / "out"
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version({"victim": data}, compress=compress)
        (path,) = side.registry.pack_paths()
        _harm(path, harm, tmp_path)
        out.mkdir()
        (out / "victim").write_bytes(b"old")
        with pytest.raises(HoldfastError) as caught:
            await side.download(version, out)
        assert caught.value.reason is Reason.STORE_DAMAGED
        assert "fsck" in caught.value.message
        assert str(out / "victim") in caught.value.message
        assert path.stem in caught.value.message
        assert tree_of(out) == {"victim": b"old"}


def _harm(path: Path, harm: str, spare: Path) -> None:
    data = bytearray(path.read_bytes())
    if harm == "flip":
        data[len(data) // 2 - 100] ^= 4
        path.write_bytes(data)
    elif harm == "truncate":
        path.write_bytes(data[: len(data) // 2])
    elif harm == "swap":
        path.write_bytes(bytes(len(data)))
    else:
        path.rename(spare / "gone")
        if harm == "fifo":
            os.mkfifo(path)


async def test_manifest_whose_chunks_do_not_make_the_file_is_refused(tmp_path: Path, workers: Workers) -> None:
    for size in (300_000, 10 * MIB):
        folder = tmp_path / str(size)
        folder.mkdir()
        async with reading(folder, workers) as side:
            data = random.Random(size).randbytes(size)
            side.registry.add_version({"x": data})
            segment = make_segment({"x": data})
            segment.digests = digest_of(b"another file")
            version = side.registry.add_segments([segment.SerializeToString()], 1, size)
            with pytest.raises(HoldfastError) as caught:
                await side.download(version, folder / "out")
            assert caught.value.reason is Reason.DIGEST_MISMATCH
            assert tree_of(folder / "out") == {}


async def test_good_files_beside_a_damaged_pack_are_still_right(tmp_path: Path, workers: Workers) -> None:
    tree = {f"f{i:03}": random.Random(i).randbytes(400_000) for i in range(100)}
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(tree)
        packs = side.registry.pack_paths()
        _harm(packs[-1], "swap", tmp_path)
        with pytest.raises(HoldfastError):
            await side.download(version, tmp_path / "out")
        assert all(tree[path] == data for path, data in tree_of(tmp_path / "out").items())
