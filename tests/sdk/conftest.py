"""A fake daemon in this process, and the SDK of this process tied to it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast import _active_run
from holdfast._process import reset_process, this_process
from holdfast_contract.places import Places, find_places
from support.fake_daemon import FakeDaemon


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    """Folders of a host of its own, in the environment; the SDK knows no other."""
    for name in [name for name in os.environ if name.startswith(("HOLDFAST_", "WANDB_"))]:
        monkeypatch.delenv(name)
    # Sockets need a short path, which pytest's folders are not.
    runtime_dir = tempfile.mkdtemp(prefix="hf-")
    monkeypatch.setenv("HOLDFAST_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HOLDFAST_RUNTIME_DIR", runtime_dir)
    monkeypatch.setenv("HOLDFAST_CONFIG", str(tmp_path / "holdfast.toml"))
    monkeypatch.chdir(tmp_path)
    reset_process()
    yield find_places(os.environ)
    started = this_process().daemon.launcher._started
    for process in started:
        process.kill()
        process.wait()
    reset_process()
    shutil.rmtree(runtime_dir)
    assert not started, "the fake daemon was not found, and a real one was started"


@pytest.fixture
def daemon(places: Places) -> Iterator[FakeDaemon]:
    """A fake daemon that listens."""
    with FakeDaemon(places) as running:
        yield running
        # The end of an offline run is told to this daemon, and streams of the SDK end before it does.
        _active_run.finish()
        this_process().close()


@pytest.fixture(autouse=True)
def no_active_run() -> Iterator[None]:
    """Each test begins and ends without a run."""
    from holdfast._known_types import known_types

    _active_run.finish()
    known_types.cache_clear()
    yield
    _active_run.finish()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree: a file of each kind of size, nested and empty ones."""
    root = tmp_path / "tree"
    (root / "nested" / "deep").mkdir(parents=True)
    (root / "empty").write_bytes(b"")
    (root / "hello.txt").write_bytes(b"hello")
    (root / "nested" / "limit").write_bytes(os.urandom(64 * 1024))
    (root / "nested" / "deep" / "large").write_bytes(os.urandom(300_000))
    return root
