"""The command as a whole: help everywhere, errors in a line or two, never a traceback for a user's mistake."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

import holdfast
from holdfast.cli.exit_codes import ExitCode
from holdfast.cli.main import app

runner = CliRunner()


def all_commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below a group with the words that name it."""
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from all_commands(command, (*path, name))


COMMANDS = dict(all_commands(typer.main.get_command(app)))


def test_version_is_the_packages() -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"holdfast {holdfast.__version__}\n")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_and_option_says_what_it_is_for(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    assert command.help
    silent = [p.name for p in command.params if not getattr(p, "help", None) and p.name not in ("name", "args")]
    assert not silent


@pytest.mark.parametrize(
    "words",
    [
        w
        for w in COMMANDS
        if w[0] not in ("registry", "bench") or w in {("registry",), ("registry", "token"), ("bench",)}
    ],
    ids=" ".join,
)
def test_help_is_printed_without_touching_a_daemon(words: tuple[str, ...], no_daemon: Path) -> None:
    result = runner.invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.output
    assert not list(no_daemon.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["artifact", "put"],
        ["artifact", "put", "x", "--policy", "sometimes"],
        ["artifact", "put", ".", "-n", "project/name:alias"],
        ["artifact", "put", ".", "-n", "a/b/c/d"],
        ["artifact", "info", "a/b/c/d:v0"],
        ["artifact", "ls", "a/b/c/d"],
        ["artifact", "rm", "project/name"],
        ["cache", "trim", "much"],
        ["status", "--interval", "0"],
        ["demo", "--size", "1MB"],
        ["demo", "--workers", "0"],
    ],
    ids=" ".join,
)
def test_wrong_use_exits_2_and_says_why(arguments: list[str], no_daemon: Path) -> None:
    result = runner.invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (ExitCode.USAGE, "")
    assert "rror: " in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(no_daemon.iterdir())


def test_what_is_put_must_exist(no_daemon: Path) -> None:
    result = runner.invoke(app, ["artifact", "put", str(no_daemon / "absent"), "-n", "p/absent"])
    assert result.exit_code == ExitCode.NOT_FOUND
    assert "does not exist" in result.stderr


@pytest.mark.parametrize("words", [["status"], ["daemon", "status"]], ids=" ".join)
def test_looking_never_starts_a_daemon(words: list[str], no_daemon: Path) -> None:
    result = runner.invoke(app, words)
    assert (result.exit_code, result.stdout) == (ExitCode.UNREACHABLE, "")
    assert result.stderr.startswith("error: no daemon runs for ")
    assert not list(no_daemon.iterdir())


def test_stopping_what_does_not_run_is_done(no_daemon: Path) -> None:
    result = runner.invoke(app, ["daemon", "stop"])
    assert (result.exit_code, result.stderr) == (0, "no daemon is running\n")
    assert not list(no_daemon.iterdir())


def test_logs_that_do_not_exist_are_not_found(no_daemon: Path) -> None:
    result = runner.invoke(app, ["daemon", "logs"])
    assert (result.exit_code, result.stdout) == (ExitCode.NOT_FOUND, "")
    assert "does not exist" in result.stderr


def test_a_misspelt_setting_is_a_warning_of_one_line(tmp_path: Path) -> None:
    environ = {**os.environ, "HOLDFAST_DATA_DIR": str(tmp_path), "HOLDFAST_PROJETC": "vision"}
    command = [sys.executable, "-c", "from holdfast.cli.main import main; main()", "daemon", "stop"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60)
    warning, answer = done.stderr.splitlines()
    assert warning.startswith("warning: ")
    assert "HOLDFAST_PROJETC" in warning
    assert answer == "no daemon is running"


def test_a_setting_that_is_not_understood_is_an_error_of_one_line(tmp_path: Path) -> None:
    environ = {**os.environ, "HOLDFAST_DATA_DIR": str(tmp_path), "HOLDFAST_START_TIMEOUT_S": "soon"}
    command = [sys.executable, "-c", "from holdfast.cli.main import main; main()", "status"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60)
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.splitlines() == ["error: HOLDFAST_START_TIMEOUT_S = 'soon' is not a number"]
