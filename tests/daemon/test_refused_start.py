"""A daemon that refuses to start ends, whatever of it runs by then."""

import fcntl
import subprocess
import sys
from pathlib import Path

from support.processes import clean_environment

END_LIMIT_S = 60
"""It takes a second; without the promise it would never end."""


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
