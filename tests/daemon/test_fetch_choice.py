"""Downloads of some entries only, and into folders that hold something else already."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.path_patterns import EntryFilter
from holdfast_daemon.workers import Workers
from holdfastpb.daemon.v1.fetch_pb2 import OVERWRITE_POLICY_FAIL, OVERWRITE_POLICY_KEEP
from support.fetching import Tree, reading, tree_of
from support.trees import write_tree

LARGE = 9 << 20
FILES: Tree = {
    "a.txt": b"a",
    "a.bin": b"b",
    "data/one.txt": b"1",
    "data/two.bin": b"2",
    "data/deep/three.txt": b"3",
    "database.txt": b"4",
    "large.bin": bytes(LARGE),
}


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("prefix", "include", "exclude", "expected"),
    [
        ("", ("*.txt",), (), {"a.txt", "data/one.txt", "data/deep/three.txt", "database.txt"}),
        ("", (), ("data/", "large.bin"), {"a.txt", "a.bin", "database.txt"}),
        ("data", ("*.txt",), (), {"data/one.txt", "data/deep/three.txt", "database.txt"}),
        ("data/", ("/data/*.txt", "*.bin"), ("deep/",), {"data/one.txt", "data/two.bin"}),
        ("data/", ("/one.txt",), (), set()),
        ("none", ("*",), (), set()),
        ("", ("data/", "!*.bin"), (), {"data/one.txt", "data/deep/three.txt"}),
    ],
)
async def test_patterns_choose_among_what_the_prefix_leaves(
    tmp_path: Path,
    workers: Workers,
    prefix: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    expected: set[str],
) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(FILES)
        chosen = EntryFilter(include, exclude)
        progress = await side.download(version, tmp_path / "out", path_prefix=prefix, chosen=chosen)
        assert tree_of(tmp_path / "out") == {path: FILES[path] for path in expected}
    assert progress.entries_total == progress.entries_done == len(expected)
    assert progress.bytes_total == progress.bytes_done == sum(len(FILES[path]) for path in expected)


async def test_patterns_choose_among_named_paths(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(FILES)
        paths = frozenset({"a.txt", "a.bin"})
        await side.download(version, tmp_path / "out", paths=paths, chosen=EntryFilter((), ("*.bin",)))
        assert tree_of(tmp_path / "out") == {"a.txt": b"a"}


async def test_exact_deletes_nothing_that_the_patterns_left_out(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(FILES)
        write_tree(tmp_path / "out", {"a.bin": b"of the version by name", "foreign": b"f"})
        await side.download(version, tmp_path / "out", exact=True, chosen=EntryFilter((), ("*.bin", "data")))
        expected = {"a.txt": b"a", "database.txt": b"4", "a.bin": b"of the version by name"}
        assert tree_of(tmp_path / "out") == expected


async def test_files_with_other_content_are_kept(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(FILES)
        mine = {"a.txt": b"mine", "large.bin": b"mine too", "foreign": b"f"}
        write_tree(tmp_path / "out", mine)
        progress = await side.download(version, tmp_path / "out", overwrite=OVERWRITE_POLICY_KEEP)
        assert tree_of(tmp_path / "out") == FILES | mine
        assert progress.entries_done == progress.entries_total
        # What was kept is not taken for right by the next download.
        await side.download(version, tmp_path / "out")
        assert tree_of(tmp_path / "out") == FILES | {"foreign": b"f"}


async def test_files_that_are_kept_although_they_differ_are_named_when_asked_for(
    tmp_path: Path, workers: Workers
) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(FILES)
        mine = {"a.txt": b"mine", "large.bin": bytes(LARGE), "data/one.txt": b"mine, too"}
        write_tree(tmp_path / "out", mine)
        keep = {"overwrite": OVERWRITE_POLICY_KEEP}
        progress = await side.download(version, tmp_path / "out", **keep, name_kept=True)
        assert (progress.kept, progress.kept_total) == (["a.txt", "data/one.txt"], 2)
        assert tree_of(tmp_path / "out") == FILES | mine
        assert (await side.download(version, tmp_path / "out", **keep)).kept == []


async def test_a_folder_in_the_place_of_a_file_is_an_error_even_if_files_are_kept(
    tmp_path: Path, workers: Workers
) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(FILES)
        (tmp_path / "out" / "a.txt").mkdir(parents=True)
        with pytest.raises(HoldfastError, match=r"a\.txt"):
            await side.download(version, tmp_path / "out", overwrite=OVERWRITE_POLICY_KEEP)


async def test_a_download_that_may_not_replace_writes_nothing_and_names_what_stands_there(
    tmp_path: Path, workers: Workers
) -> None:
    files = FILES | {f"more/{at}": b"%d" % at for at in range(9)}
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(files)
        mine = {"a.txt": b"a", "large.bin": b"other"} | {f"more/{at}": b"mine" for at in range(9)}
        write_tree(tmp_path / "out", mine)
        with pytest.raises(HoldfastError) as caught:
            await side.download(version, tmp_path / "out", overwrite=OVERWRITE_POLICY_FAIL)
        assert caught.value.reason is Reason.ALREADY_EXISTS
        assert "10 files" in caught.value.message
        assert "large.bin, more/0, more/1" in caught.value.message
        assert tree_of(tmp_path / "out") == mine


async def test_a_download_that_may_not_replace_goes_on_where_all_that_is_there_is_right(
    tmp_path: Path, workers: Workers
) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(FILES)
        write_tree(tmp_path / "out", {"a.txt": b"a", "large.bin": bytes(LARGE), "foreign": b"f"})
        progress = await side.download(version, tmp_path / "out", overwrite=OVERWRITE_POLICY_FAIL)
        assert tree_of(tmp_path / "out") == FILES | {"foreign": b"f"}
        assert progress.entries_done == progress.entries_total == len(FILES)
        assert progress.bytes_kept == LARGE + 1


async def test_only_what_is_chosen_can_be_in_the_way(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(FILES)
        write_tree(tmp_path / "out", {"a.txt": b"mine", "data/one.txt": b"mine"})
        chosen = EntryFilter(("*.bin",))
        await side.download(version, tmp_path / "out", chosen=chosen, overwrite=OVERWRITE_POLICY_FAIL)
        assert tree_of(tmp_path / "out")["a.bin"] == b"b"


async def test_two_downloads_that_may_not_replace_agree_on_equal_content(tmp_path: Path, workers: Workers) -> None:
    async with reading(tmp_path, workers) as side:
        version = side.registry.add_version(FILES)
        await asyncio.gather(
            *(side.download(version, tmp_path / "out", overwrite=OVERWRITE_POLICY_FAIL) for _ in range(2))
        )
        assert tree_of(tmp_path / "out") == FILES
