"""The `holdfast` command: puts the sub-commands together and turns every error into one message and one exit code."""

import warnings
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

import holdfast
from holdfast.cli import (
    diff_command,
    export_command,
    lineage_command,
    listing_commands,
    naming_commands,
    output,
    remove_command,
    restore_command,
)
from holdfast.cli.artifact_commands import artifact_app
from holdfast.cli.bench_commands import bench_app
from holdfast.cli.bundle_commands import bundle_app
from holdfast.cli.cache_commands import cache_app
from holdfast.cli.config_command import config
from holdfast.cli.daemon_commands import daemon_app
from holdfast.cli.demo.command import demo
from holdfast.cli.exit_codes import CommandError, ExitCode, exit_code_of
from holdfast.cli.import_commands import import_app
from holdfast.cli.jobs_commands import jobs_app
from holdfast.cli.login_commands import login, logout
from holdfast.cli.registry_commands import registry_app
from holdfast.cli.retention_commands import retention_app
from holdfast.cli.status_command import status
from holdfast.cli.sync_command import sync

__all__ = [
    "app",
    "diff_command",
    "export_command",
    "lineage_command",
    "listing_commands",
    "main",
    "naming_commands",
    "remove_command",
    "restore_command",
]


class HoldfastGroup(TyperGroup):
    """The outermost group: no error of a user, a file or a server leaves it as a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the sub-command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            output.say("interrupted; what was acknowledged goes on in the daemon (holdfast status)")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            raise  # typer ends quietly when nobody reads the output any more
        except (CommandError, ValueError, LookupError, OSError, holdfast.Error) as error:
            output.print_error(_message(error))
            raise typer.Exit(exit_code_of(error)) from None


def _message(error: BaseException) -> str:
    """What an error says; a `KeyError` would put quotes around it."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    return str(error) or type(error).__name__


app = typer.Typer(
    cls=HoldfastGroup,
    no_args_is_help=True,
    help="Holdfast: datasets and models, versioned on machines of your own.",
    # Plain help and errors: the same in a terminal, a log and a pipe.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(artifact_app, name="artifact")
app.add_typer(daemon_app, name="daemon")
app.add_typer(registry_app, name="registry")
app.add_typer(bench_app, name="bench")
app.add_typer(jobs_app, name="jobs")
app.add_typer(cache_app, name="cache")
app.add_typer(retention_app, name="retention")
app.add_typer(bundle_app, name="bundle")
app.add_typer(import_app, name="import")
app.command("status")(status)
app.command("sync")(sync)
app.command("login")(login)
app.command("logout")(logout)
app.command("config")(config)
app.command("demo")(demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        output.print_line(f"holdfast {holdfast.__version__}")
        raise typer.Exit


@app.callback()
def holdfast_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Holdfast: datasets and models, versioned on machines of your own."""


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as a line for people; where in the code it was given says nothing to them."""
    del category, filename, lineno, file, line
    output.say(f"warning: {message}")


def main() -> None:
    """Entry point of the `holdfast` command."""
    warnings.showwarning = _show_warning
    app(prog_name="holdfast")
