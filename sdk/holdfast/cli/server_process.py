"""Running the daemon's and the registry's own programs, which the SDK never imports."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from holdfast.cli.exit_codes import CommandError

PRINT_CONFIG_TIMEOUT_S = 30.0
"""Both programs import their libraries before they print; on a loaded machine that takes seconds."""


def module_command(module: str, arguments: Sequence[str]) -> list[str]:
    """Command line of a program of ours.  `-P` keeps files of the current folder from shadowing its imports."""
    return [sys.executable, "-P", "-m", module, *arguments]


def become(module: str, arguments: Sequence[str]) -> NoReturn:
    """Replaces this process by a program of ours: signals, terminal and exit code are the program's own."""
    command = module_command(module, arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)


def read_settings(module: str, arguments: Sequence[str]) -> list[dict[str, Any]]:
    """Settings in force in a program of ours, as the program itself sees them and prints them when called so.

    Raises:
        CommandError: the program could not say; its own message is passed on.
    """
    command = module_command(module, arguments)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PRINT_CONFIG_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{module} did not print its settings within {PRINT_CONFIG_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise CommandError(f"{module} refuses its settings: {_last_line(done.stderr)}")
    settings: list[dict[str, Any]] = json.loads(done.stdout)
    return settings


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
