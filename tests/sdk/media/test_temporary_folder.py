"""Folders of large files: who has one keeps it, and what a killed process leaves is removed by the next."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from holdfast.media.temporary_file import TemporaryFile
from holdfast.media.temporary_folder import GRACE_S, PREFIX, TemporaryFolder, remove_abandoned

KILLED = """
import os
from holdfast.media.temporary_folder import TemporaryFolder
folder = TemporaryFolder()
print(folder.path, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_killed_processes_folder_goes_and_those_in_use_stay(parent: Path) -> None:
    in_use = TemporaryFolder()
    environment = {**os.environ, "TMPDIR": str(parent)}
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, env=environment, timeout=60)
    left = Path(done.stdout.strip())
    (left / "0.parquet").write_bytes(b"rows")
    other = parent / "holdfast-of-someone"
    other.mkdir()
    remove_abandoned(str(parent), time.time())
    assert left.exists(), "it may be just being made"
    remove_abandoned(str(parent), time.time() + GRACE_S + 1)
    assert not left.exists()
    assert Path(in_use.path).exists()
    assert other.exists()


def test_a_folder_goes_with_its_object_and_not_with_a_child() -> None:
    folder = TemporaryFolder()
    path = Path(folder.path)
    child = os.fork()
    if child == 0:
        del folder
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert path.exists()
    remove_abandoned(str(path.parent), time.time() + GRACE_S + 1)
    assert path.exists()
    del folder
    assert not path.exists()


def test_files_made_by_a_forked_child_lie_in_a_folder_of_its_own(parent: Path) -> None:
    ours = TemporaryFile(".a")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, TemporaryFile(".b").path.encode())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    theirs = Path(os.read(reading, 4096).decode())
    os.close(reading)
    os.close(writing)
    assert theirs.parent != Path(ours.path).parent
    assert theirs.parent.name.startswith(PREFIX)
    remove_abandoned(str(parent), time.time() + GRACE_S + 1)
    assert not theirs.parent.exists()
    assert Path(ours.path).exists()
