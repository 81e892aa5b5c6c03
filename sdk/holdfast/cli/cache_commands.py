"""`holdfast cache …`: the daemon's cache of packs."""

from typing import Annotated

import typer

from holdfast.cli import output
from holdfast.cli.exit_codes import CommandError, ExitCode

cache_app = typer.Typer(help="The daemon's cache of downloaded packs.", no_args_is_help=True)


@cache_app.callback()
def cache() -> None:
    """The daemon's cache of downloaded packs."""


@cache_app.command("trim")
def trim(
    size: Annotated[str, typer.Argument(help="Keep at most this much, for example 5GiB, 500MB or 0.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Shrinks the cache to SIZE.

    What was used longest ago is removed first.
    """
    try:
        bytes_max = output.parse_size(size)
    except ValueError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    from holdfast.cli.daemon_link import DaemonLink

    answer = DaemonLink.connect().trim_cache(bytes_max)
    if as_json:
        output.print_json({"freed_bytes": answer.freed_bytes, "cache_bytes": answer.cache_bytes})
    else:
        freed, left = output.human_size(answer.freed_bytes), output.human_size(answer.cache_bytes)
        output.print_line(f"freed {freed}; the cache holds {left}")
