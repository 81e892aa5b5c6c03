"""Finding and starting the daemon, with processes that play the daemon."""

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast._daemon_launcher import STARTS_MAX, STARTS_WINDOW_S, DaemonLauncher
from holdfast.errors import DaemonStartError
from holdfast_contract.places import Places

FAKE = [sys.executable, str(Path(__file__).parents[1] / "support" / "fake_daemon.py"), "serve"]

Make = Callable[..., DaemonLauncher]


@pytest.fixture
def make(places: Places) -> Iterator[Make]:
    """Makes launchers of the fake daemon; what they start is ended."""
    roots = [str(Path(__file__).parents[2] / name) for name in ("protos", "sdk", "tests")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    made = []

    def make(command: list[str] | None = None, start_timeout_s: float = 60, **arguments: object) -> DaemonLauncher:
        launcher = DaemonLauncher(
            places, start_timeout_s=start_timeout_s, command=command or FAKE, environ=environ, **arguments
        )  # type: ignore[arg-type]
        made.append(launcher)
        return launcher

    yield make
    for process in [process for launcher in made for process in launcher._started]:
        process.kill()
        process.wait()


def shell(script: str) -> list[str]:
    """A daemon of one shell line."""
    return ["sh", "-c", script, "daemon"]


READY_AND_GONE = [sys.executable, "-c", r"import os, sys; os.write(int(sys.argv[2]), b'READY\n')"]
"""Says READY and dies without ever having listened."""


def test_daemon_is_started_once_and_found_afterwards(make: Make, places: Places) -> None:
    first, second = make(), make()
    assert not first.is_listening()
    first.ensure_listening()
    second.ensure_listening()
    assert second.is_listening()
    assert (len(first._started), len(second._started)) == (1, 0)
    assert len(first.read_token()) == 32


def test_daemon_is_detached_from_its_starter(make: Make, places: Places) -> None:
    launcher = make()
    launcher.ensure_listening()
    [process] = launcher._started
    assert os.getsid(process.pid) == process.pid
    assert os.readlink(f"/proc/{process.pid}/cwd") == str(places.data_dir)
    assert os.readlink(f"/proc/{process.pid}/fd/0") == "/dev/null"
    assert stat.S_IMODE(places.daemon_log.stat().st_mode) == 0o600


def test_many_starters_end_with_one_daemon(make: Make) -> None:
    launchers = [make() for _ in range(8)]
    threads = [threading.Thread(target=launcher.ensure_listening) for launcher in launchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(launcher._started) for launcher in launchers) == 1
    assert all(launcher.is_listening() for launcher in launchers)


def test_many_starting_processes_end_with_one_daemon(make: Make, places: Places) -> None:
    watcher = make()
    script = f"""
import os
from holdfast._daemon_launcher import DaemonLauncher
from holdfast_contract.places import find_places
launcher = DaemonLauncher(find_places(os.environ), start_timeout_s=60, command={FAKE!r})
launcher.ensure_listening()
print(*[process.pid for process in launcher._started])
"""
    starters = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=dict(watcher._environ))
        for _ in range(4)
    ]
    started = [pid for starter in starters for pid in starter.communicate(timeout=100)[0].split()]
    try:
        assert watcher.is_listening()
        assert len(started) == 1
    finally:
        for pid in started:
            os.kill(int(pid), signal.SIGKILL)


def test_daemon_that_lost_the_race_is_no_error(make: Make, places: Places) -> None:
    winner = make()
    winner.ensure_listening()
    # Under the starter's feet: it saw nobody listen, and its daemon finds the lock taken.
    launcher = make(shell("exit 75"))
    launcher._start()
    assert launcher.is_listening()


def test_daemon_that_holds_its_lock_is_waited_for(make: Make, places: Places) -> None:
    places.data_dir.mkdir(mode=0o700)
    launcher = make()
    slept = []
    with open(places.daemon_lock, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def release(seconds: float) -> None:
            slept.append(seconds)
            fcntl.flock(lock, fcntl.LOCK_UN)

        launcher._sleep = release
        launcher.ensure_listening()
    assert slept
    assert launcher.is_listening()


def test_daemon_that_fails_is_told_of_with_the_end_of_its_log(make: Make, places: Places) -> None:
    launcher = make(shell("echo line one >&2; echo the reason >&2; exit 3"))
    with pytest.raises(DaemonStartError) as caught:
        launcher.ensure_listening()
    message = str(caught.value)
    assert "ended with code 3" in message
    assert str(places.daemon_log) in message
    assert message.endswith("line one\n  the reason")


def test_daemon_that_is_never_ready_is_told_of(make: Make) -> None:
    launcher = make(shell("exec sleep 60"), start_timeout_s=0.3)
    with pytest.raises(DaemonStartError, match="not ready within 0 s"):
        launcher.ensure_listening()


def count_start(launcher: DaemonLauncher) -> None:
    with launcher._start_lock(launcher._monotonic() + 5) as file:
        launcher._check_start_rate(file)


def test_daemon_that_does_not_stay_is_not_started_for_ever(make: Make) -> None:
    now = [1000.0]
    for _ in range(STARTS_MAX):
        count_start(make(READY_AND_GONE, wall_clock=lambda: now[0]))
    with pytest.raises(DaemonStartError, match=f"started {STARTS_MAX} times within a minute"):
        make(READY_AND_GONE, wall_clock=lambda: now[0]).ensure_listening()
    now[0] += STARTS_WINDOW_S + 1
    launcher = make(wall_clock=lambda: now[0])
    launcher.ensure_listening()
    assert launcher.is_listening()


def test_starts_that_the_user_asked_for_are_no_crash_loop(make: Make) -> None:
    launcher = make()
    for _ in range(STARTS_MAX):
        count_start(launcher)
    launcher.forget_starts()
    launcher.ensure_listening()
    assert launcher.is_listening()


def test_crash_loop_ends_in_an_error(make: Make) -> None:
    launcher = make(READY_AND_GONE)
    with pytest.raises(DaemonStartError, match="does not stay"):
        launcher.ensure_listening()
    assert len(launcher._started) <= STARTS_MAX


def test_starts_of_daemons_that_ended_in_order_do_not_count(make: Make, places: Places) -> None:
    launcher = make()
    for _ in range(3 * STARTS_MAX):
        count_start(launcher)
        places.daemon_ended.touch()
    launcher.ensure_listening()
    assert launcher.is_listening()


def test_one_orderly_end_forgives_only_its_own_start(make: Make, places: Places) -> None:
    launcher = make()
    count_start(launcher)
    places.daemon_ended.touch()
    for _ in range(STARTS_MAX):
        count_start(launcher)
    with pytest.raises(DaemonStartError, match="does not stay"):
        count_start(launcher)


def test_orderly_end_of_a_daemon_that_nobody_counted_forgives_nothing_later(make: Make, places: Places) -> None:
    launcher = make()
    places.daemon_ended.touch()
    for _ in range(STARTS_MAX):
        count_start(launcher)
    with pytest.raises(DaemonStartError, match="does not stay"):
        count_start(launcher)


def test_foreign_words_in_the_start_file_count_for_nothing(make: Make, places: Places) -> None:
    places.daemon_socket.with_suffix(".start").write_text("garbage nan\n12\n")
    launcher = make()
    launcher.ensure_listening()
    assert launcher.is_listening()


def test_socket_that_nobody_listens_on_is_no_daemon(make: Make, places: Places) -> None:
    launcher = make()
    launcher.ensure_listening()
    [process] = launcher._started
    process.kill()
    process.wait()
    assert places.daemon_socket.exists()
    assert not launcher.is_listening()
    launcher.ensure_listening()
    assert launcher.is_listening()


# --- folders that are not ours ----------------------------------------------------------------------------------------


def test_open_runtime_folder_is_refused(make: Make, places: Places) -> None:
    places.runtime_dir.chmod(0o755)
    with pytest.raises(PermissionError, match="chmod 700"):
        make().ensure_listening()
    places.runtime_dir.chmod(0o700)


def test_runtime_folder_that_is_a_link_is_refused(make: Make, places: Places, tmp_path: Path) -> None:
    places.runtime_dir.rmdir()
    places.runtime_dir.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="is not a folder"):
        make().ensure_listening()
    places.runtime_dir.unlink()
    places.runtime_dir.mkdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_runtime_folder_of_somebody_else_is_refused(make: Make, places: Places) -> None:
    os.chown(places.runtime_dir, 65534, 65534)
    with pytest.raises(PermissionError, match="belongs to user 65534"):
        make().ensure_listening()
    os.chown(places.runtime_dir, os.getuid(), os.getgid())


@pytest.mark.parametrize(("folder", "variable"), [("data", "HOLDFAST_DATA_DIR"), ("run", "HOLDFAST_RUNTIME_DIR")])
def test_folder_that_cannot_be_made_is_named_with_its_setting(
    folder: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder = os.mkdir

    def refused(path: Path, mode: int = 0o777) -> None:
        if Path(path).name == folder:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        make_folder(path, mode)

    monkeypatch.setattr(os, "mkdir", refused)
    launcher = DaemonLauncher(Places(tmp_path / "data", tmp_path / "run"), start_timeout_s=1, command=FAKE)
    with pytest.raises(DaemonStartError, match=rf"{folder} cannot be made: Read-only file system.*{variable}"):
        launcher.ensure_listening()


def test_runtime_path_too_long_for_a_socket_is_explained(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir(mode=0o700)
    launcher = DaemonLauncher(Places(tmp_path / "data", folder), start_timeout_s=1)
    with pytest.raises(DaemonStartError, match="set HOLDFAST_RUNTIME_DIR"):
        launcher.ensure_listening()


def test_relative_python_path_means_the_same_in_the_daemon(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from holdfast._daemon_launcher import _with_absolute_python_path

    monkeypatch.setattr(sys, "path", ["/begun/here/sdk"])
    child = _with_absolute_python_path({"PYTHONPATH": f"sdk{os.pathsep}/fixed{os.pathsep}unknown"})
    assert child["PYTHONPATH"].split(os.pathsep) == ["/begun/here/sdk", "/fixed", str(tmp_path / "unknown")]
