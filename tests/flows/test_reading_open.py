"""Reading entries where they are stored: `entry.open` and `entry.read_bytes`, from threads, forks and copies, and what it costs."""

import io
import os
import pickle
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast import errors
from holdfast_contract.limits import KIB, MIB
from support.own_registry import OwnRegistry
from support.sdk_calls import fetched, log, log_folder, new_artifact
from support.sdk_host import SdkHost
from support.status import daemon_status, fetched_by
from support.trees import random_bytes, write_tree

SIZE = 64 * MIB
LARGE = random_bytes(SIZE, 4)
TEXT = "eins\nzwei\ndreißig\n"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    own = OwnRegistry(tmp_path_factory.mktemp("registry"))
    own.start()
    yield own
    own.terminate()


@pytest.fixture(scope="module")
def host(registry: OwnRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHost]:
    """On a registry that is reached by TCP: whatever is read is transferred."""
    with SdkHost(tmp_path_factory.mktemp("host"), registry.daemon_settings()).entered() as host:
        yield host


@pytest.fixture(scope="module")
def artifact(host: SdkHost, tmp_path_factory: pytest.TempPathFactory) -> holdfast.Artifact:
    tree = {"large": LARGE, "text": TEXT.encode(), "empty": b""}
    return fetched(log_folder(write_tree(tmp_path_factory.mktemp("in"), tree)))


@pytest.fixture
def other_daemon(registry: OwnRegistry, tmp_path: Path, host: SdkHost) -> Iterator[SdkHost]:
    """A host that has read nothing yet."""
    with SdkHost(tmp_path / "other", registry.daemon_settings()).entered() as other:
        yield other
    host.use()


def test_one_mib_at_a_random_place_costs_at_most_three(artifact: holdfast.Artifact, other_daemon: SdkHost) -> None:
    offset = random.Random(1).randrange(SIZE - MIB)
    there = fetched(artifact)

    def read() -> None:
        with there.get_entry("large").open() as file:
            file.seek(offset)
            assert file.read(MIB) == LARGE[offset : offset + MIB]

    assert MIB < fetched_by(read) <= 3 * MIB
    assert fetched_by(read) <= 64 * KIB  # still in the daemon's memory
    assert daemon_status().cache_bytes == 0


def test_read_bytes_takes_any_range(artifact: holdfast.Artifact) -> None:
    entry = artifact.get_entry("large")
    assert entry.read_bytes(5, 10) == LARGE[5:15]
    assert entry.read_bytes(SIZE - 3) == LARGE[-3:]
    assert entry.read_bytes(SIZE - 3, 100) == LARGE[-3:]
    assert (entry.read_bytes(SIZE + 5), entry.read_bytes(7, 0)) == (b"", b"")
    assert artifact.get_entry("empty").read_bytes() == b""
    assert artifact.get_entry("text").read_bytes().decode() == TEXT
    for start, length in [(-1, None), (0, -1)]:
        with pytest.raises(ValueError, match="negative"):
            entry.read_bytes(start, length)


def test_all_of_a_file_one_piece_after_another_is_right(artifact: holdfast.Artifact) -> None:
    for size in (10_000, 64 * KIB, 3 * MIB + 1):
        with artifact.get_entry("large").open() as file:
            at = 0
            while data := file.read(size):
                assert data == LARGE[at : at + size]
                at += len(data)
            assert at == SIZE
    with artifact.get_entry("large").open() as file:
        assert file.read(10) == LARGE[:10]
        assert file.read() == LARGE[10:]
        assert file.read() == b""


def test_any_order_of_seeks_and_reads_gives_what_a_local_file_gives(artifact: holdfast.Artifact) -> None:
    rng, local = random.Random(2), io.BytesIO(LARGE)
    with artifact.get_entry("large").open() as file:
        assert (file.seekable(), file.readable(), file.writable(), file.tell()) == (True, True, False, 0)
        for _ in range(60):
            whence = rng.choice([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END])
            offset = {os.SEEK_SET: rng.randrange(SIZE), os.SEEK_CUR: 1000, os.SEEK_END: -rng.randrange(SIZE)}[whence]
            assert file.seek(offset, whence) == local.seek(offset, whence)
            for _ in range(rng.choice([1, 5])):
                size = rng.choice([0, 1, 100, 70_000, 2 * MIB])
                assert file.read(size) == local.read(size)
            assert file.tell() == local.tell()
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_text_is_utf_8_unless_something_else_is_said(artifact: holdfast.Artifact) -> None:
    entry = artifact.get_entry("text")
    with entry.open("r") as file:
        assert list(file) == TEXT.splitlines(keepends=True)
    with entry.open("r", encoding="latin-1") as file:
        assert file.read() == TEXT.encode().decode("latin-1")
    for mode in ("w", "a", "r+b", "x"):
        with pytest.raises(ValueError, match="read only"):
            entry.open(mode)
    with pytest.raises(ValueError, match="mode='r'"):
        entry.open("rb", encoding="utf-8")


def test_threads_and_copies_read_at_once(artifact: holdfast.Artifact) -> None:
    entry = artifact.get_entry("large")
    wrong: list[int] = []

    def read(number: int) -> None:
        rng = random.Random(number)
        with entry.open() as file:
            for _ in range(10):
                offset = rng.randrange(SIZE)
                file.seek(offset)
                if file.read(100_000) != LARGE[offset : offset + 100_000]:
                    wrong.append(offset)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    with entry.open() as file:
        file.seek(1234)
        with pickle.loads(pickle.dumps(file)) as copy:
            assert (copy.tell(), copy.read(100)) == (1234, LARGE[1234:1334])


def test_parent_and_child_go_on_reading_after_a_fork(host: SdkHost, artifact: holdfast.Artifact) -> None:
    code = """
import os, sys, holdfast, hashlib
entry = holdfast.Api().artifact(sys.argv[1]).get_entry("large")
whole = entry.read_bytes()
file = entry.open()
for _ in range(40):
    assert len(file.read(70_000)) == 70_000  # far enough for a stream to be under way
child = os.fork()
rest = file.read()
assert rest == whole[40 * 70_000:], len(rest)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("both")
"""
    done = host.run(code, artifact.qualified_name)
    assert done.stdout == "both\n", done.stderr


def test_reading_goes_on_when_the_daemon_is_replaced(tmp_path: Path) -> None:
    with SdkHost(tmp_path / "host").entered() as own:
        logged = fetched(log_folder(write_tree(tmp_path / "in", {"large": LARGE})))
        with logged.get_entry("large").open() as file:
            assert file.read(5 * MIB) == LARGE[: 5 * MIB]
            own.stop_daemon()
            assert file.read(30 * MIB) == LARGE[5 * MIB : 35 * MIB]
            own.kill_daemon()
            assert file.read() == LARGE[35 * MIB :]


def test_file_references_are_read_where_they_lie_if_they_are_as_they_were(host: SdkHost, tmp_path: Path) -> None:
    write_tree(tmp_path, {"there": b"0123456789"})
    draft = new_artifact()
    draft.add_reference(f"file://{tmp_path / 'there'}", "here")
    with pytest.warns(UserWarning, match="cannot be checksummed"):
        draft.add_reference("unknown://somewhere/far", "far")
    logged = fetched(log(draft))
    entry = logged.get_entry("here")
    with entry.open() as file:
        assert file.read() == b"0123456789"
    assert entry.read_bytes(3, 4) == b"3456"
    write_tree(tmp_path, {"there": b"longer than before"})
    with pytest.raises(errors.ReferenceChangedError, match="there"):
        entry.open()
    (tmp_path / "there").unlink()
    with pytest.raises(errors.ReferenceMissingError, match="there"):
        entry.open()
    with pytest.raises(ValueError, match="unknown://somewhere/far"):
        logged.get_entry("far").open()


def test_a_draft_s_entry_cannot_be_read_yet(host: SdkHost, tmp_path: Path) -> None:
    write_tree(tmp_path, {"one": b"1"})
    draft = new_artifact()
    entry = draft.add_file(str(tmp_path / "one"))
    with pytest.raises(holdfast.ArtifactNotLoggedError):
        entry.open()
    with pytest.raises(holdfast.ArtifactNotLoggedError):
        entry.read_bytes()
