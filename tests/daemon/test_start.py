"""A daemon that cannot start says why in a line, ends, and gives its lock back; one that ends in order says so."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import DidNotStartError, Host, clean_environment, running_host

END_LIMIT_S = 60
"""It takes a second; without the promise it would never end."""


def refused(host: Host) -> tuple[int, str]:
    """Exit code and last line of a daemon that is expected not to start."""
    with pytest.raises(DidNotStartError):
        host.start()
    return host.daemon.wait(), host.daemon.log_tail().strip().splitlines()[-1]


def test_a_damaged_journal_is_named_with_the_way_out(tmp_path: Path) -> None:
    with running_host(tmp_path) as host:
        host.places.data_dir.mkdir(mode=0o700)
        host.places.journal.write_bytes(b"this is no database" * 100)
        code, line = refused(host)
        assert code == 1
        assert str(host.places.journal) in line
        assert "move it away" in line
        host.places.journal.unlink()
        host.start()


def test_a_file_in_place_of_the_data_folder_is_named(tmp_path: Path) -> None:
    with running_host(tmp_path) as host:
        host.places.data_dir.write_text("a file")
        code, line = refused(host)
        assert code != 0
        assert str(host.places.data_dir) in line


def test_daemon_whose_token_file_is_missing_ends_and_frees_its_folder(tmp_path: Path) -> None:
    environ = clean_environment() | {
        "HOLDFAST_DATA_DIR": str(tmp_path / "data"),
        "HOLDFAST_RUNTIME_DIR": str(tmp_path / "run"),
        "HOLDFAST_DAEMON_REGISTRY": "localhost:1",
        "HOLDFAST_DAEMON_REGISTRY_TOKEN_FILE": str(tmp_path / "no-token"),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "holdfast_daemon", "serve"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=END_LIMIT_S,
        check=False,
    )
    assert (ended.returncode, "no-token cannot be read" in ended.stderr) == (2, True)
    with (tmp_path / "data" / "daemon.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_only_a_daemon_that_was_asked_to_end_leaves_a_note_of_its_end(tmp_path: Path) -> None:
    settings = {"HOLDFAST_DAEMON_REGISTRY": f"unix:{tmp_path}/nobody"}
    with running_host(tmp_path / "host", settings, own_registry=False) as host:
        host.start()
        host.kill()
        assert not host.places.daemon_ended.exists()
        host.start()
        assert host.terminate() == 0
        assert host.places.daemon_ended.exists()
