"""What objects make for themselves is on disk as long as somebody has it, and neither process of a fork harms the other's."""

import gc
import hashlib
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.media import spooled_bytes
from holdfast.media.media_content import GeneratedFile
from holdfast.media.spooled_bytes import SpooledBytes
from holdfast.media.temporary_file import TemporaryFile
from holdfast_contract.digest import file_digest


def test_bytes_come_back_whoever_writes_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled_bytes, "WINDOW_BYTES", 2_000)
    datas = [os.urandom(number * 37 % 3_000) for number in range(500)]
    with ThreadPoolExecutor(8) as threads:
        kept = list(threads.map(SpooledBytes, datas))
    assert [one.read() for one in kept] == datas
    assert [one.read() for one in reversed(kept)] == datas[::-1]


def test_a_full_file_is_followed_by_another_and_goes_with_its_last_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled_bytes, "SEGMENT_BYTES", 10)
    monkeypatch.setattr(spooled_bytes, "_current", None)
    closed: list[int] = []
    monkeypatch.setattr(spooled_bytes._Segment.__del__, "__defaults__", (closed.append,))
    kept = [SpooledBytes(b"0123456789") for _ in range(5)]
    files = [one._segment._descriptor for one in kept]
    assert len(set(files)) == 5
    del kept[1:]
    gc.collect()
    # The last file is the one that would be written to next.
    assert set(files) & set(closed) == set(files[1:4])
    assert kept[0].read() == b"0123456789"
    for descriptor in closed:
        os.close(descriptor)


def test_a_child_reads_what_its_parent_wrote_and_harms_none_of_it() -> None:
    script = """
import os
from holdfast.media.spooled_bytes import SpooledBytes
from holdfast.media.temporary_file import TemporaryFile
kept, file = SpooledBytes(b"parent"), TemporaryFile(".png")
file.write(b"parent")
pid = os.fork()
if pid == 0:
    own, own_file = SpooledBytes(b"child"), TemporaryFile(".png")
    own_file.write(b"child")
    assert (kept.read(), own.read(), open(own_file.path, "rb").read()) == (b"parent", b"child", b"child")
    assert own_file.path != file.path
    del file
    raise SystemExit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
later = SpooledBytes(b"later")
assert (kept.read(), later.read(), open(file.path, "rb").read()) == (b"parent", b"later", b"parent")
print(file.path)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert not os.path.exists(done.stdout.strip())


def test_a_file_goes_with_its_object() -> None:
    file = TemporaryFile(".pts.json")
    file.write(b"x" * 100_000)
    path = Path(file.path)
    assert (path.name.partition(".")[2], path.stat().st_size, path.stat().st_mode & 0o777) == (
        "pts.json",
        100_000,
        0o600,
    )
    del file
    assert not path.exists()


def test_threads_that_ask_for_a_path_at_once_get_one_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    both_have_written = threading.Barrier(2)
    write = TemporaryFile.write

    def written(self: TemporaryFile, data: bytes) -> None:
        write(self, data)
        both_have_written.wait(30)

    monkeypatch.setattr(TemporaryFile, "write", written)
    content = GeneratedFile.of_bytes(b"pixels", ".png")
    with ThreadPoolExecutor(2) as threads:
        paths = list(threads.map(lambda _: content.local_path(), range(2)))
    gc.collect()
    assert paths[0] == paths[1]
    assert Path(paths[0]).read_bytes() == b"pixels"


@pytest.mark.parametrize("size_bytes", [0, 3_000, 70_000])
def test_whoever_asks_late_gets_the_hashes_of_the_bytes(size_bytes: int) -> None:
    data = os.urandom(size_bytes)
    asked_at_once, as_a_file = (GeneratedFile.of_bytes(data, ".png") for _ in range(2))
    copied = pickle.loads(pickle.dumps(GeneratedFile.of_bytes(data, ".png")))
    as_a_file.local_path()
    for content in (asked_at_once, as_a_file, copied):
        assert (content.size, content.sha256) == (size_bytes, hashlib.sha256(data).hexdigest())
        assert content.name == f"{file_digest(data).hex()[:20]}.png"
