"""Hosts for the command line: one where nothing runs, and one with a daemon of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast._process import reset_process
from support.sdk_host import SdkHost


@pytest.fixture
def no_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder in which data and sockets would lie."""
    for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOLDFAST_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HOLDFAST_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("HOLDFAST_CONFIG", str(tmp_path / "absent.toml"))
    reset_process()
    yield tmp_path
    reset_process()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHost]:
    """A data folder with a daemon, shared by the tests of a module; they use collections of their own."""
    with SdkHost(tmp_path_factory.mktemp("host")).entered() as entered:
        yield entered
