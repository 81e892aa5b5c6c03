"""`holdfast bench …`: measures; hands everything to the programs that know how."""

import typer

from holdfast.cli.server_process import become

PROGRAM = "holdfast_registry.bench"

bench_app = typer.Typer(help="How much a registry takes.", no_args_is_help=True)


@bench_app.callback()
def bench() -> None:
    """How much a registry takes."""


@bench_app.command(
    "registry",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def registry(context: typer.Context) -> None:
    """Drives a registry with many clients; prints rates and percentiles of each call."""
    become(PROGRAM, context.args)
