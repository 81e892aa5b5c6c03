"""`holdfast cache trim`, and `holdfast artifact cache cleanup` as W&B calls it: the daemon's cache of packs."""

from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import output
from holdfast.cli.artifact_commands import artifact_app
from holdfast.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from holdfastpb.daemon.v1.control_pb2 import TrimCacheResponse

_REMOVE_TEMP = "Remove also what interrupted downloads have left in their folders; by itself it goes after a day."

cache_app = typer.Typer(help="The daemon's cache of downloaded packs.", no_args_is_help=True)
artifact_cache_app = typer.Typer(help="The daemon's cache of downloaded packs.", no_args_is_help=True)
artifact_app.add_typer(artifact_cache_app, name="cache")


@cache_app.callback()
def cache() -> None:
    """The daemon's cache of downloaded packs."""


@cache_app.command("trim")
def trim(
    size: Annotated[str, typer.Argument(help="Keep at most this much, for example 5GiB, 500MB or 0.")],
    remove_temp: Annotated[bool, typer.Option("--remove-temp", help=_REMOVE_TEMP)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Shrinks the cache to SIZE.

    What was used longest ago is removed first.
    """
    answer = _trim(size, remove_temp)
    if as_json:
        output.print_json({"freed_bytes": answer.freed_bytes, "cache_bytes": answer.cache_bytes})
    else:
        freed, left = output.human_size(answer.freed_bytes), output.human_size(answer.cache_bytes)
        output.print_line(f"freed {freed}; the cache holds {left}")


@artifact_cache_app.callback()
def artifact_cache() -> None:
    """The daemon's cache of downloaded packs."""


@artifact_cache_app.command("cleanup")
def cleanup(
    target_size: Annotated[str, typer.Argument(help="Keep at most this much, for example 5GB.")],
    remove_temp: Annotated[
        bool,
        typer.Option("--remove-temp/--no-remove-temp", help=_REMOVE_TEMP),
    ] = False,
) -> None:
    """Shrinks the cache to TARGET_SIZE.

    What was used longest ago is removed first.
    """
    output.print_line(f"Reclaimed {output.human_size(_trim(target_size, remove_temp).freed_bytes)} of space")


def _trim(size: str, remove_temp: bool) -> "TrimCacheResponse":
    try:
        bytes_max = output.parse_size(size)
    except ValueError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    from holdfast.cli.daemon_link import DaemonLink

    return DaemonLink.connect().trim_cache(bytes_max, remove_temp=remove_temp)
