"""What tests start as forks of a preloaded server are processes as any other, to whoever starts, signals and waits for them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support import preloaded
from support.processes import DidNotStartError, OneRegistry, clean_environment, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux" or preloaded.FULL, reason="every start is a user's own there")

START_AND_WAIT = """
import os, sys
from support import preloaded
from support.processes import clean_environment
preloaded.start("holdfast_registry", ["config"], clean_environment(), stdout=2).wait()
print(preloaded._servers["holdfast_registry"]._helper.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def registry(tmp_path: Path) -> OneRegistry:
    return OneRegistry(tmp_path, tmp_path)


def test_exit_code_of_a_killed_process_is_its_signal_and_nothing_is_left_of_it(registry: OneRegistry) -> None:
    registry.start()
    process = registry.process
    assert isinstance(process, preloaded.ForkedProcess)
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.kill()
    assert process.wait(30) == -signal.SIGKILL
    assert process.poll() == process.returncode == -signal.SIGKILL
    assert not psutil.pid_exists(process.pid), "not even a zombie"
    process.terminate()  # which says nothing


def test_a_process_leads_its_group_and_shows_its_command_line(registry: OneRegistry) -> None:
    registry.start()
    assert registry.process is not None
    assert os.getsid(registry.process.pid) == os.getpgid(registry.process.pid) == registry.process.pid
    shown = psutil.Process(registry.process.pid).cmdline()
    assert shown[: len(registry.process.args)] == registry.process.args
    assert registry.terminate() == 0


def test_settings_are_those_of_the_given_environment(registry: OneRegistry) -> None:
    with pytest.raises(DidNotStartError, match="HOLDFAST_REGISTRY_LEASE_TTL_S"):
        registry.start(HOLDFAST_REGISTRY_LEASE_TTL_S="soon")
    assert registry.wait() == 78
    environ = clean_environment({"HOLDFAST_REGISTRY_GC_PAUSE_S": "7"})
    done = preloaded.run("holdfast_registry", ["config"], environ)
    assert done.returncode == 0, done.stderr
    told = {setting["name"]: setting["value"] for setting in json.loads(done.stdout)}
    assert told["gc_pause_s"] == 7


def test_open_files_are_those_that_were_passed(registry: OneRegistry, tmp_path: Path) -> None:
    with (tmp_path / "not-passed").open("w"):
        registry.start()
        assert registry.process is not None
        held = [file.path for file in psutil.Process(registry.process.pid).open_files()]
    assert str(tmp_path / "not-passed") not in held
    registry.kill()


def test_a_command_ends_with_its_own_code_and_words(tmp_path: Path) -> None:
    done = preloaded.run("holdfast_registry", ["fsck", f"--data-dir={tmp_path / 'none'}"], clean_environment())
    assert done.returncode == 78
    assert done.stderr.startswith("holdfast registry:")
    assert preloaded.run("holdfast_daemon", [], clean_environment()).returncode == 2


def test_an_environment_that_imports_read_gets_an_interpreter_of_its_own(tmp_path: Path) -> None:
    preloaded.run("holdfast_registry", ["config"], clean_environment())
    with (tmp_path / "said").open("w") as said:
        environ = clean_environment({"PYTHONUTF8": "1"})
        process = preloaded.start("holdfast_registry", ["config"], environ, stdout=said.fileno())
        assert isinstance(process, subprocess.Popen)
        assert process.wait(60) == 0


def test_the_server_ends_with_a_test_process_that_is_killed() -> None:
    pipe = subprocess.PIPE
    tester = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT],
        env=clean_environment(),
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.DEVNULL,
    )
    with tester:
        assert tester.stdout is not None
        helper = psutil.Process(int(tester.stdout.readline()))
        tester.kill()
        wait_until(lambda: not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE)
