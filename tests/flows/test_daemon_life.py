"""The daemon's life as its users see it: started by whoever comes first, ended when idle, replaced, in a folder with strangers."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import holdfast
from support.sdk_calls import log_folder
from support.sdk_host import SdkHost
from support.trees import read_tree, write_tree

LOG_ONE = """
import sys, holdfast
artifact = holdfast.Artifact("from-many", "dataset")
with artifact.new_file("file") as file:
    file.write(sys.argv[1])
with holdfast.init(project="p") as run:
    print(run.log_artifact(artifact).wait(60).version)
"""

SPEAKS_ANOTHER_PROTOCOL = """
from holdfast_contract import limits
limits.PROTOCOL_MIN = limits.PROTOCOL_MAX = 99
import holdfast
try:
    print(holdfast.Api().artifact_exists("p/x"))
except holdfast.Error as error:
    print(type(error).__name__, error)
"""


def test_many_processes_that_start_at_once_share_one_daemon(tmp_path: Path) -> None:
    with SdkHost(tmp_path).entered() as host:
        command = [sys.executable, "-c", LOG_ONE]
        processes = [
            subprocess.Popen(
                [*command, str(number)], env=host.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for number in range(8)
        ]
        outcomes = [process.communicate(timeout=90) for process in processes]
        assert sorted(out.strip() for out, _ in outcomes) == [f"v{n}" for n in range(8)], outcomes
        # Their workers are children of one leader.
        wanted = host.environ["HOLDFAST_DATA_DIR"]
        leaders = [p for p in psutil.process_iter(["cmdline"]) if _serves(p, wanted)]
        assert len(leaders) == 1


def _serves(process: psutil.Process, data_dir: str) -> bool:
    try:
        return "holdfast_daemon" in process.cmdline() and process.environ().get("HOLDFAST_DATA_DIR") == data_dir
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@pytest.mark.parametrize("umask", [0o000, 0o027])
def test_downloads_have_the_rights_that_cp_gives_and_all_else_is_for_its_user_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with SdkHost(tmp_path / "host").entered() as host:
            source = write_tree(tmp_path / "in", {"small": b"1", "large": os.urandom(9 * 1024 * 1024)})
            out = Path(log_folder(source, "rights").download(str(tmp_path / "out")))
            assert stat.S_IMODE(out.stat().st_mode) == 0o777 & ~umask
            assert {stat.S_IMODE((out / name).stat().st_mode) for name in ("small", "large")} == {0o644 & ~umask}
            kept = [path for path in host.places.data_dir.rglob("*") if not path.is_symlink()]
            assert len(kept) > 5
            assert [path for path in kept if path.stat().st_mode & 0o077] == []
    finally:
        os.umask(before)


def test_an_idle_daemon_ends_and_the_next_call_starts_another(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"file": b"1"})
    with SdkHost(tmp_path / "host", {"HOLDFAST_DAEMON_IDLE_EXIT_S": "0.5"}).entered() as host:
        first = log_folder(source)
        daemon = host.daemon()
        assert daemon is not None
        host.wait_for_daemon_end(daemon)
        assert not host.places.daemon_socket.exists()
        again = holdfast.Api().artifact(first.qualified_name)
        assert read_tree(again.download(str(tmp_path / "out"))) == {"file": b"1"}
        assert host.daemon() not in (None, daemon)


def test_a_daemon_of_another_protocol_is_named(tmp_path: Path) -> None:
    with SdkHost(tmp_path).entered() as host:
        holdfast.Api().artifact_exists("p/x")
        done = host.run(SPEAKS_ANOTHER_PROTOCOL)
        assert done.stdout.startswith("ProtocolMismatchError"), done
        assert "99" in done.stdout
        # The daemon is none the worse for it.
        assert not holdfast.Api().artifact_exists("p/x")


def test_files_of_others_in_the_data_folder_hurt_nothing(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"file": b"1", "large": bytes(200_000)})
    with SdkHost(tmp_path / "host").entered() as host:
        first = log_folder(source)
        host.stop()
        foreign = ["note", "spool/note", "spool/0123.pack", "cache/note", "cache/x.pack", "registry/note"]
        foreign += ["registry/packs/note", "registry/packs/ab/x.pack", "logs/note"]
        write_tree(host.places.data_dir, dict.fromkeys(foreign, b"not ours"))
        (host.places.spool / "folder").mkdir()
        assert read_tree(holdfast.Api().artifact(first.qualified_name).download(str(tmp_path / "out"))) == {
            "file": b"1",
            "large": bytes(200_000),
        }
        assert log_folder(write_tree(source, {"file": b"2"})).state == "COMMITTED"
        host.stop()
        assert all(
            (host.places.data_dir / name).exists() for name in foreign if not name.startswith(("spool", "cache"))
        )
        checked = host.registry_command("fsck", f"--data-dir={host.places.registry_dir}", "--deep")
        assert "x.pack" in checked.stdout, checked
        assert "Traceback" not in checked.stderr


@pytest.mark.parametrize("name", ["HOLDFAST_DAEMON_SPOOL_BYTES_MAX", "HOLDFAST_DAEMON_IDLE_EXIT_S"])
def test_a_setting_that_cannot_be_understood_is_named(tmp_path: Path, name: str) -> None:
    host = SdkHost(tmp_path, {name: "much"})
    try:
        done = host.run("import holdfast; holdfast.Api().artifact_exists('p/x')")
    finally:
        host.close()
    assert done.returncode != 0
    assert name in done.stderr
