"""`holdfast login` and `holdfast logout`: the registry's token, which is never shown and never an argument."""

import getpass
import sys

from holdfast.cli import output
from holdfast.cli.exit_codes import CommandError, ExitCode


def login() -> None:
    """Gives the daemon a token of the registry, which is asked first whether it knows it.

    Asks for the token without showing it, or reads it from standard input when that is no terminal. It is kept in a file that
    only you can read.
    """
    from holdfast.cli.daemon_link import DaemonLink

    token = _token()
    if not token:
        raise CommandError("no token was given; nothing has changed", ExitCode.USAGE)
    found = DaemonLink.connect().login(token)
    where = "/".join(filter(None, (found.entity, found.project))) or "everything"
    output.print_line(f"logged in to {found.registry} as {found.name or found.token_id}: {found.role} of {where}")


def logout() -> None:
    """Removes the registry's token from this machine; the registry still knows it."""
    from holdfast.cli.daemon_link import DaemonLink

    answer = DaemonLink.connect().logout()
    output.print_line(f"logged out of {answer.registry}; to end the token: holdfast registry token revoke")


def _token() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("Token of the registry: ").strip()
    return sys.stdin.readline().strip()
