"""Media of tables are fetched with those that are looked into next, within bounds, and none for who looks into none."""

import copy
import os
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from holdfast.errors import UnavailableError
from holdfast.media import read_ahead
from holdfast.media.html import Html
from holdfast.media.image import Image
from holdfast.media.read_ahead import FILE_BYTES_MAX, HELD_BYTES_MAX, NEAR_FILES, WINDOW_BYTES_MAX, MediaOrder
from holdfast_contract.limits import KIB
from support.memory_artifact import FolderArtifact

MANY = 3000


class Files:
    """A version that counts what is asked for."""

    name = "a:v0"

    def __init__(self, size: int = 10) -> None:
        self.id = os.urandom(8).hex()
        self.size = size
        self.asked: list[list[str]] = []
        self.fails = False
        self.absent: set[str] = set()

    def content(self, path: str) -> bytes:
        return path.encode().ljust(self.size)

    def _read_small(self, paths: Sequence[str]) -> dict[str, bytes]:
        self.asked.append(list(paths))
        if self.fails:
            raise UnavailableError("away")
        return {path: self.content(path) for path in paths if path not in self.absent}


@pytest.fixture(autouse=True)
def _nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "_held", read_ahead._Held())


def order_of(files: Any, paths: Sequence[str], size: int | None = 10) -> MediaOrder:
    order = MediaOrder(files)
    for path in paths:
        order.add(path, size)
    return order


def names(count: int) -> list[str]:
    return [f"f{number}" for number in range(count)]


def test_windows_double_while_the_files_are_looked_into_in_order() -> None:
    files = Files()
    order = order_of(files, names(MANY))
    assert files.asked == []
    assert [order.read(number) for number in range(MANY)] == list(map(files.content, names(MANY)))
    counts = list(map(len, files.asked))
    assert counts[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert sum(counts) == MANY
    assert max(counts) == 512


def test_here_and_there_nothing_is_fetched_ahead() -> None:
    files = Files()
    order = order_of(files, names(MANY))
    for number in range(0, MANY, NEAR_FILES + 2):
        order.read(number)
    assert set(map(len, files.asked)) == {1}


def test_a_request_and_what_is_held_have_bounds() -> None:
    files = Files(100 * KIB)
    order = order_of(files, names(MANY), 100 * KIB)
    for number in range(MANY):
        order.read(number)
    assert max(map(len, files.asked)) == WINDOW_BYTES_MAX // (100 * KIB)
    held = read_ahead._held
    assert held._bytes == sum(map(len, held._contents.values())) <= HELD_BYTES_MAX


def test_equal_files_are_fetched_once_and_unknown_sizes_count_as_large() -> None:
    files = Files()
    paths = ["a", "b", "a", "b", "c"] * 40
    order = order_of(files, paths, None)
    assert [order.read(number) for number in range(len(paths))] == list(map(files.content, paths))
    assert sorted(path for paths in files.asked for path in paths) == ["a", "b", "c"]


def test_large_files_and_what_was_left_out_are_not_asked_for_again() -> None:
    files = Files()
    files.absent = {"f1", "f2"}
    order = order_of(files, names(4))
    large = order.add("large", FILE_BYTES_MAX + 1)
    assert [order.read(number) for number in (0, 1, 1, 2, 2, large)] == [files.content("f0"), *[None] * 5]
    assert files.asked == [["f0"], ["f1", "f2"]]


def test_what_cannot_be_fetched_is_left_to_the_single_file() -> None:
    files = Files()
    order = order_of(files, names(10))
    files.fails = True
    assert order.read(0) is None
    files.fails = False
    assert order.read(0) == files.content("f0")


def test_threads_fetch_each_file_once() -> None:
    files = Files()
    order = order_of(files, names(MANY))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(order.read, range(MANY))) == list(map(files.content, names(MANY)))
    asked = [path for paths in files.asked for path in paths]
    assert len(asked) == len(set(asked)) == MANY


def test_a_child_forked_in_the_middle_of_a_request_reads_on() -> None:
    files = Files()
    order = order_of(files, names(3))
    order.read(0)
    with order._own_lock():
        pid = os.fork()
        if pid == 0:
            os._exit(0 if order.read(1) == files.content("f1") else 1)
        assert os.waitpid(pid, 0)[1] == 0


def test_copies_are_looked_into_by_themselves(tmp_path: Any) -> None:
    artifact: Any = FolderArtifact(tmp_path / "artifact")
    artifact.write("media/a.html", "one")
    with read_ahead.noting_order():
        html = Html.from_json({"_type": "html-file", "path": "media/a.html"}, artifact)
    assert html.html == "one"
    for other in (copy.deepcopy(html), pickle.loads(pickle.dumps(html))):
        assert other.html == "one"
        assert other._content._order is None


def test_kinds_have_orders_of_their_own() -> None:
    files: Any = Files()
    with read_ahead.noting_order():
        order = read_ahead.current_order("Image", files)
        assert read_ahead.current_order("ImageMask", files) is not order
        with read_ahead.noting_order():  # a table in a cell
            assert read_ahead.current_order("Image", files) is order
    assert read_ahead.current_order("Image", files) is None
    assert Image.from_json({"_type": "image-file", "path": "a.png"}, files)._content._order is None
