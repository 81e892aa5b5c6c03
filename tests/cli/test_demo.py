"""`holdfast demo`: every promise kept, nothing of it left, nothing of the user's touched."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support.processes import SOURCE_ROOTS

COMMAND = [sys.executable, "-P", "-c", "from holdfast.cli.main import main; main()", "demo"]


def demo(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    # A daemon of the user's, were it asked, could not even be started with this.
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(SOURCE_ROOTS),
        "HOLDFAST_DATA_DIR": str(folder / "users"),
        "HOLDFAST_DAEMON_UPLOADS_MAX": "nonsense",
    }
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=environ, cwd=folder, timeout=280)


@pytest.mark.timeout(300)
def test_demo_keeps_its_promises_and_cleans_up(tmp_path: Path) -> None:
    done = demo(tmp_path, "--size", "32MiB", "--workers", "2")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "✗" not in done.stdout
    assert done.stdout.count("✓") >= 20
    assert list(tmp_path.iterdir()) == []
    assert [p.pid for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or [])] == []


def test_demo_leaves_a_folder_alone_that_it_has_not_made(tmp_path: Path) -> None:
    precious = tmp_path / "demo-data" / "precious"
    precious.parent.mkdir()
    precious.write_text("mine")
    done = demo(tmp_path)
    assert done.returncode == 2
    assert "was not made by the demo" in done.stderr
    assert precious.read_text() == "mine"
