"""`holdfast daemon …`, `registry …` and `config` with real processes."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from holdfast.cli.exit_codes import ExitCode
from holdfast.cli.main import app
from support.sdk_host import SdkHost

COMMAND = [sys.executable, "-P", "-c", "from holdfast.cli.main import main; main()"]


@pytest.fixture
def own_host(tmp_path: Path) -> Iterator[SdkHost]:
    with SdkHost(tmp_path).entered() as entered:
        yield entered


def daemon_pid(host: SdkHost) -> int:
    return int(host.places.daemon_lock.read_text())


def run(host: SdkHost, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """The command as a process of its own, as a shell runs it."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env={**host.environ, **environ}, timeout=60
    )


def test_start_stop_and_status_are_about_one_daemon(own_host: SdkHost) -> None:
    runner = CliRunner()
    started = json.loads(runner.invoke(app, ["daemon", "start", "--json"]).stdout)
    assert started["pid"] == daemon_pid(own_host)
    again = json.loads(runner.invoke(app, ["daemon", "start", "--json"]).stdout)
    assert again["pid"] == started["pid"]
    shown = runner.invoke(app, ["daemon", "status"])
    assert f"process {started['pid']}" in shown.stdout
    assert str(own_host.places.data_dir) in shown.stdout
    stopped = runner.invoke(app, ["daemon", "stop"])
    assert (stopped.exit_code, "has ended" in stopped.stderr) == (0, True)
    assert own_host.daemon() is None
    assert runner.invoke(app, ["daemon", "status"]).exit_code == ExitCode.UNREACHABLE


def test_logs_shows_the_end_of_the_daemons_log(own_host: SdkHost) -> None:
    runner = CliRunner()
    runner.invoke(app, ["daemon", "start"])
    assert f"pid {daemon_pid(own_host)}" in runner.invoke(app, ["daemon", "logs", "-n", "50"]).stdout
    own_host.stop_daemon()
    own_host.places.registry_log.write_text("first\nlast\n")
    assert runner.invoke(app, ["daemon", "logs", "--registry", "-n", "1"]).stdout == "last\n"


def test_a_daemon_that_cannot_start_is_an_error_of_two_lines(own_host: SdkHost) -> None:
    done = run(own_host, "daemon", "start", HOLDFAST_DAEMON_UPLOADS_MAX="many")
    assert (done.returncode, done.stdout) == (ExitCode.UNREACHABLE, "")
    first, last = done.stderr.splitlines()
    assert first.startswith("error: The Holdfast daemon could not be started.")
    assert "HOLDFAST_DAEMON_UPLOADS_MAX" in last


def test_config_is_a_settings_file_that_sets_what_is_in_force(own_host: SdkHost) -> None:
    file = own_host.folder / "holdfast.toml"
    file.write_text('[daemon]\nuploads_max = 2\n[holdfast]\nproject = "vision"\n')
    done = run(own_host, "config", HOLDFAST_ENTITY="team", HOLDFAST_CONFIG=str(file))
    assert (done.returncode, done.stderr) == (0, "")
    config = tomllib.loads(done.stdout)
    assert set(config) == {"holdfast", "daemon", "registry"}
    assert (config["holdfast"]["entity"], config["holdfast"]["project"]) == ("team", "vision")
    assert config["daemon"]["uploads_max"] == 2
    assert f"# HOLDFAST_DAEMON_UPLOADS_MAX; from: {file}\n" in done.stdout
    assert "# HOLDFAST_ENTITY; from: environment\n" in done.stdout


def test_every_setting_says_what_it_is_for(own_host: SdkHost) -> None:
    settings: list[dict[str, Any]] = json.loads(run(own_host, "config", "--json").stdout)
    assert [s["environment_name"] for s in settings if not s["meaning"]] == []


def test_config_tells_of_names_that_nothing_reads(own_host: SdkHost) -> None:
    done = run(own_host, "config", HOLDFAST_DEAMON_UPLOADS_MAX="2")
    assert done.returncode == 0
    assert "nothing reads the environment variable HOLDFAST_DEAMON_UPLOADS_MAX" in done.stderr


def test_config_refuses_what_a_process_would_refuse(own_host: SdkHost) -> None:
    done = run(own_host, "config", HOLDFAST_REGISTRY_FILE_THREADS="some")
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert "HOLDFAST_REGISTRY_FILE_THREADS" in done.stderr


def test_registry_commands_are_the_registrys_own(own_host: SdkHost, tmp_path: Path) -> None:
    folder = str(tmp_path / "registry")
    made = run(own_host, "registry", "init", "--data-dir", folder)
    assert (made.returncode, made.stdout[:7]) == (0, "hf_reg_")
    token = run(own_host, "registry", "token", "create", "--data-dir", folder, "--name", "ci")
    assert (token.returncode, token.stdout[:7]) == (0, "hf_reg_")
    assert json.loads(run(own_host, "registry", "fsck", "--data-dir", folder, "--json").stdout)["clean"] is True
    assert run(own_host, "registry", "fsck", "--nonsense").returncode == ExitCode.USAGE
    assert "--listen" in run(own_host, "registry", "serve", "--help").stdout


def test_a_folder_of_the_user_never_shadows_a_module_of_ours(own_host: SdkHost, tmp_path: Path) -> None:
    (tmp_path / "holdfast_registry.py").write_text("raise SystemExit('shadowed')")
    done = subprocess.run(
        [*COMMAND, "registry", "--help"], capture_output=True, text=True, env=own_host.environ, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0
    done = subprocess.run(
        [*COMMAND, "registry", "fsck", "--help"], capture_output=True, text=True, env=own_host.environ, cwd=tmp_path
    )
    assert (done.returncode, "shadowed" in done.stderr) == (0, False)


def test_interrupted_watching_exits_130(own_host: SdkHost) -> None:
    CliRunner().invoke(app, ["daemon", "start"])
    command = [*COMMAND, "status", "--watch", "--json", "--interval", "0.1"]
    # A shell that runs the tests in the background ignores the signal, and what is ignored is inherited.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own_host.environ)
    signal.signal(signal.SIGINT, before)
    with watch:
        assert watch.stdout is not None
        assert json.loads(watch.stdout.readline())["daemon"]["pid"] == daemon_pid(own_host)
        watch.send_signal(signal.SIGINT)
        _, errors = watch.communicate(timeout=60)
    assert (watch.returncode, errors.startswith("interrupted")) == (ExitCode.INTERRUPTED, True)


def test_output_into_a_closed_pipe_is_no_traceback(own_host: SdkHost) -> None:
    CliRunner().invoke(app, ["daemon", "start"])
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as closed:
        done = subprocess.run(
            [*COMMAND, "config"], stdout=closed, stderr=subprocess.PIPE, text=True, env=own_host.environ, timeout=60
        )
    assert "Traceback" not in done.stderr
