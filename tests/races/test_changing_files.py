"""Files that are written to while they are read: what is committed was in the file at one moment, or nothing is (P13)."""

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast import errors
from holdfast_contract.digest import digest_of
from holdfast_contract.limits import KIB, MIB
from support.figures import figure
from support.sdk_calls import download, log, new_artifact
from support.sdk_host import SdkHost
from support.trees import random_bytes

RUNS = figure(20, 200)
SIZES = (3 * KIB, 60 * KIB, 200 * KIB, 6 * MIB)

pytestmark = pytest.mark.timeout(figure(120, 1800))


@contextmanager
def meanwhile(action: Callable[[], None]) -> Iterator[None]:
    """Repeats an action in a thread."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.is_set():
            action()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Writer:
    """Puts one of several contents of the same size in the place of another, in one of several ways."""

    def __init__(self, path: Path, size: int, seed: int) -> None:
        self._path = path
        self._random = random.Random(seed)
        self.contents = [random_bytes(size, seed * 10 + n) for n in range(3)]
        path.write_bytes(self.contents[0])

    def replace(self) -> None:
        """As careful programs do: every reader sees one content or another."""
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(self._random.choice(self.contents))
        temporary.replace(self._path)

    def overwrite(self) -> None:
        """In place: a reader may see a mixture."""
        with self._path.open("r+b") as file:
            file.write(self._random.choice(self.contents))

    def overwrite_and_restore_the_time(self) -> None:
        """In place, and the modification time is put back, as some tools do."""
        before = self._path.stat()
        self.overwrite()
        os.utime(self._path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("way", ["replace", "overwrite", "overwrite_and_restore_the_time"])
@pytest.mark.parametrize("policy", ["mutable", "immutable"])
def test_a_file_that_changes_is_committed_as_it_was_at_one_moment_or_not_at_all(
    host: SdkHost, tmp_path: Path, way: str, policy: str
) -> None:
    committed = 0
    for number in range(max(1, RUNS // 5)):
        writer = Writer(tmp_path / "in", SIZES[number % len(SIZES)], number)
        artifact = new_artifact()
        try:
            with meanwhile(getattr(writer, way)):
                artifact.add_file(str(tmp_path / "in"), "file", policy=policy)  # type: ignore[arg-type]
                log(artifact)
        except errors.FileChangedError:
            continue
        committed += 1
        data = (download(artifact, tmp_path / f"out{number}") / "file").read_bytes()
        assert artifact.get_entry("file").digest == digest_of(data).hex()
        if way == "replace":
            assert data in writer.contents
        assert len(data) == len(writer.contents[0])
    print(f"{way}, {policy}: {committed} committed")


def test_a_growing_file_is_committed_as_it_was_at_one_moment_or_not_at_all(host: SdkHost, tmp_path: Path) -> None:
    path = tmp_path / "in"
    for number in range(max(1, RUNS // 5)):
        path.write_bytes(bytes(SIZES[number % len(SIZES)]))

        def grow() -> None:
            with path.open("ab") as file:
                file.write(b"more")

        artifact = new_artifact()
        try:
            with meanwhile(grow):
                artifact.add_file(str(path), "file")
                log(artifact)
        except errors.FileChangedError:
            continue
        data = (download(artifact, tmp_path / f"out{number}") / "file").read_bytes()
        assert path.read_bytes().startswith(data)


def test_a_change_after_a_log_is_seen_even_if_size_and_time_are_the_same(host: SdkHost, tmp_path: Path) -> None:
    for number in range(RUNS):
        path = tmp_path / f"in{number}"
        writer = Writer(path, SIZES[number % 3], number)
        first = new_artifact()
        first.add_dir(str(tmp_path))
        log(first)
        before = path.stat()
        path.write_bytes(writer.contents[1])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        second = new_artifact(first.name.partition(":")[0])
        second.add_dir(str(tmp_path))
        log(second)
        assert second.version == "v1"
        assert second.get_entry(path.name).digest == digest_of(writer.contents[1]).hex()
