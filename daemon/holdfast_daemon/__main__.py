"""`python -m holdfast_daemon`: starts the daemon, or prints its settings."""

import argparse
import asyncio
import dataclasses
import json
import logging
import os
import sys
from typing import NoReturn

from holdfast_contract.log_lines import formatter
from holdfast_contract.os_layer import EXIT_CODE_FSYNC, FsyncError
from holdfast_contract.places import find_places
from holdfast_contract.settings import SettingError, explain_settings, load_settings
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.lifecycle import EXIT_CODE_ANOTHER_RUNS, AnotherDaemonRunsError
from holdfast_daemon.settings import DaemonSettings

EXIT_CODE_USAGE = 2
EXIT_CODE_FAILED = 1
EXIT_CODE_DEFECT = 70


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns the exit code (75: another daemon runs, 74: the disk fails, 70: a defect, 2: settings)."""
    parser = argparse.ArgumentParser(prog="holdfast_daemon", description="Holdfast's daemon")
    parser.add_argument("command", nargs="?", choices=["serve"], help="run until stopped")
    parser.add_argument("--ready-fd", type=int, help="descriptor that is told READY")
    parser.add_argument("--print-config", action="store_true", help="print the settings in force as JSON")
    parser.add_argument("--json", action="store_true", help="accepted for symmetry; the output is JSON")
    options = parser.parse_args(arguments)
    try:
        if options.print_config:
            found = explain_settings(DaemonSettings, "daemon", os.environ)
            print(json.dumps([dataclasses.asdict(value) for value in found], indent=2))
            return 0
        if options.command is None:
            parser.error("say what to do: serve, or --print-config")
        return _serve(options.ready_fd)
    except (SettingError, PermissionError) as error:
        print(f"holdfast daemon: {error}", file=sys.stderr)
        return EXIT_CODE_USAGE


def _serve(ready_fd: int | None) -> int:
    from holdfast_daemon.server import serve

    settings = load_settings(DaemonSettings, "daemon", os.environ)
    places = find_places(os.environ)
    # The log is stderr; whoever starts the daemon decides where that goes.
    _start_log(settings)
    download_umask = os.umask(0o077)
    try:
        asyncio.run(serve(settings, places, ready_fd, download_umask))
    except AnotherDaemonRunsError as error:
        print(f"holdfast daemon: {error}", file=sys.stderr)
        return EXIT_CODE_ANOTHER_RUNS
    except FsyncError as error:
        print(f"holdfast daemon: {error}", file=sys.stderr)
        return EXIT_CODE_FSYNC
    except (SettingError, PermissionError):
        raise
    except (HoldfastError, OSError) as error:
        print(f"holdfast daemon: {_in_words(error)}", file=sys.stderr)
        return EXIT_CODE_FAILED
    except Exception:  # the log must have it, and _end must give the lock back
        logging.getLogger(__name__).critical("the daemon has a defect", exc_info=True)
        return EXIT_CODE_DEFECT
    return 0


def _start_log(settings: DaemonSettings) -> None:
    handler = logging.StreamHandler(sys.stderr)
    try:
        # Tracebacks keep their lines: whoever started the daemon is shown the last ones.
        handler.setFormatter(formatter(settings.log_format, one_line=False))
    except ValueError as error:
        raise SettingError(str(error)) from error
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])


def _in_words(error: HoldfastError | OSError) -> str:
    if isinstance(error, HoldfastError):
        return error.message
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _end(code: int) -> NoReturn:
    """Ends the process; a daemon that could not start ends although the journal's thread lives.

    That thread waits for work, and a process that waits for it would hold the data folder's lock for ever: not even
    a daemon with better settings could start.  What was acknowledged is in the journal, so nothing is lost.
    """
    if code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    _end(main())
