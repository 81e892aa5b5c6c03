"""The registry as a process: its lock, its folder, its end, and what it says when it cannot start."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from holdfast_registry.errors import StartError
from holdfast_registry.lifecycle import check_local
from holdfastpb.common.v1.hello_pb2 import HelloRequest
from registry.client import Client, content_of
from registry.processes import RegistryProcess, command_environment, run_registry
from support.processes import wait_until


def serve_that_fails(*arguments: str) -> tuple[int, str]:
    """Returns exit code and the one line that it says."""
    done = run_registry("serve", *arguments)
    said = [line for line in done.stderr.splitlines() if line.startswith("holdfast registry:")]
    assert len(said) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, said[0]


def test_second_server_on_a_data_folder_is_refused(own_registry: RegistryProcess) -> None:
    with own_registry:
        other = str(own_registry.folder / "run" / "other.sock")
        code, said = serve_that_fails("--data-dir", str(own_registry.data_dir), "--socket", other)
        assert code == 73
        assert "Another registry uses" in said


def test_socket_of_another_server_is_not_taken_over(own_registry: RegistryProcess, tmp_path: Path) -> None:
    with own_registry:
        code, said = serve_that_fails("--data-dir", str(tmp_path / "other"), "--socket", str(own_registry.socket))
        assert code == 73
        assert "listens on" in said
        with Client(own_registry.target) as client:
            assert client.call(client.hello, HelloRequest(protocol_min=1, protocol_max=1)).protocol == 1


def test_socket_that_a_killed_server_left_is_no_hindrance(own_registry: RegistryProcess) -> None:
    own_registry.start()
    own_registry.kill()
    assert own_registry.socket.exists()
    own_registry.start()
    assert own_registry.stop() == 0
    assert not own_registry.socket.exists()


def test_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    code, said = serve_that_fails("--data-dir", str(tmp_path / "open"), "--socket", str(tmp_path / "run" / "s"))
    assert (code, "chmod 700" in said) == (78, True)
    assert not list((tmp_path / "open").iterdir())


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_everything_it_makes_is_for_its_user_alone(tmp_path: Path, umask: int) -> None:
    process = RegistryProcess(tmp_path)
    before = os.umask(umask)
    try:
        process.start()
    finally:
        os.umask(before)
    with Client(process.target) as client:
        client.log_files("c", {"a": b"a"})
    paths = [process.data_dir, *process.data_dir.rglob("*"), process.socket]
    # Packs are the daemon's own files, linked: their mode is its business.
    open_to_others = [p for p in paths if p.suffix != ".pack" and stat.S_IMODE(p.lstat().st_mode) & 0o077]
    process.kill()
    assert not open_to_others


def test_plaintext_for_others_needs_insecure(tmp_path: Path) -> None:
    code, said = serve_that_fails("--data-dir", str(tmp_path / "data"), "--listen", "0.0.0.0:0")
    assert (code, "--insecure" in said) == (78, True)


def test_tcp_without_any_token_is_refused(tmp_path: Path) -> None:
    code, said = serve_that_fails("--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    assert (code, "registry init" in said) == (78, True)


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:", ":80"])
def test_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    code, _ = serve_that_fails("--data-dir", str(tmp_path / "data"), "--listen", address)
    assert code == 78


def test_first_token_is_made_once_and_others_on_demand(tmp_path: Path) -> None:
    data_dir = str(tmp_path / "data")
    first = run_registry("init", "--data-dir", data_dir)
    assert (first.returncode, first.stdout.count("\n")) == (0, 1)
    again = run_registry("init", "--data-dir", data_dir)
    assert (again.returncode, again.stdout) == (78, "")
    more = run_registry("token", "create", "--data-dir", data_dir, "--name", "ci")
    assert more.stdout.startswith("hf_reg_")
    assert more.stdout != first.stdout
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert first.stdout.strip().encode() not in stored


def test_tokens_of_a_running_registry_are_left_alone(own_registry: RegistryProcess) -> None:
    with own_registry:
        refused = run_registry("token", "create", "--data-dir", str(own_registry.data_dir))
        assert (refused.returncode, refused.stdout) == (73, "")


def test_database_of_a_newer_version_is_refused_and_left_alone(own_registry: RegistryProcess) -> None:
    own_registry.start()
    own_registry.stop()
    path = own_registry.data_dir / "registry.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    code, said = serve_that_fails("--data-dir", str(own_registry.data_dir), "--socket", str(own_registry.socket))
    assert (code, "newer Holdfast" in said) == (78, True)
    assert run_registry("fsck", "--data-dir", str(own_registry.data_dir)).returncode == 78


def test_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    (data_dir / "registry.sqlite3").write_bytes(b"something else entirely" * 1000)
    code, said = serve_that_fails("--data-dir", str(data_dir), "--socket", str(tmp_path / "run" / "s"))
    assert (code, "damaged" in said) == (78, True)


def test_network_file_system_is_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda / ext4 rw 0 0\nserver:/x /mnt/my\\040share nfs4 rw 0 0\n")
    check_local(Path("/home/me"), mounts)
    check_local(Path("/mnt/my other"), mounts)
    with pytest.raises(StartError, match="nfs4 at /mnt/my share"):
        check_local(Path("/mnt/my share/holdfast"), mounts)


def test_settings_are_told_with_their_source() -> None:
    told = {setting["name"]: setting for setting in json.loads(run_registry("config").stdout)}
    assert told["lease_ttl_s"]["value"] == 3600
    assert all(setting["meaning"] and setting["source"] for setting in told.values())


def test_wrong_setting_is_named(tmp_path: Path) -> None:
    environment = command_environment({"HOLDFAST_REGISTRY_LEASE_TTL_S": "soon"})
    done = subprocess.run(
        [sys.executable, "-m", "holdfast_registry", "serve", "--data-dir", str(tmp_path / "data")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 78
    assert "HOLDFAST_REGISTRY_LEASE_TTL_S" in done.stderr


def test_idle_registry_ends_by_itself(tmp_path: Path) -> None:
    process = RegistryProcess(tmp_path, "--socket", str(tmp_path / "run" / "r.sock"), "--idle-exit-s", "0.3")
    process.start()
    assert process.wait() == 0


def test_sigterm_keeps_what_was_answered_and_ends_with_zero(own_registry: RegistryProcess) -> None:
    own_registry.start()
    with Client(own_registry.target) as client:
        version = client.log_files("c", {"a": b"1"})
    assert own_registry.stop() == 0
    assert {path.name for path in own_registry.data_dir.iterdir()} == {
        "incoming",
        "packs",
        "registry.lock",
        "registry.sqlite3",  # the write-ahead log was written into it
    }
    own_registry.start()
    with Client(own_registry.target) as client:
        assert client.log("c", content_of({"a": b"1"})).version.version_id == version.version_id


def test_calls_that_run_at_sigterm_are_finished(own_registry: RegistryProcess) -> None:
    own_registry.set_environment({"HOLDFAST_FAILPOINTS": "commit.after_validate=stop"})
    own_registry.start()
    assert own_registry.process is not None
    pid = own_registry.process.pid
    with Client(own_registry.target) as client:
        begun = client.begin("c")
        content = content_of({"a": b"1"})
        client.bring(begun.lease.lease_id, content.chunks)
        answers = []
        caller = threading.Thread(target=lambda: answers.append(client.commit(begun, content)))
        caller.start()
        wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)
        caller.join(30)
        assert answers[0].created
    assert own_registry.wait() == 0
