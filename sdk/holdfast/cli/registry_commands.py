"""`holdfast registry …`: hands everything to the registry's own program, whose options these are."""

import typer

from holdfast.cli.gc_command import collect_through_daemon, is_for_daemon
from holdfast.cli.server_process import become

PROGRAM = "holdfast_registry"

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

registry_app = typer.Typer(help="A registry of your own: serve it, make tokens, check its store.", no_args_is_help=True)
token_app = typer.Typer(help="Tokens that clients of a registry on TCP need.", no_args_is_help=True)
registry_app.add_typer(token_app, name="token")


@registry_app.command("serve", context_settings=_PASS_ON)
def serve(context: typer.Context) -> None:
    """Runs a registry in the foreground."""
    become(PROGRAM, ["serve", *context.args])


@registry_app.command("init", context_settings=_PASS_ON)
def init(context: typer.Context) -> None:
    """Makes a registry's data folder and prints its first token, once."""
    become(PROGRAM, ["init", *context.args])


@registry_app.command("fsck", context_settings=_PASS_ON)
def fsck(context: typer.Context) -> None:
    """Names every damage and the versions it hurts.

    Compares database, store and digests.  Exits 0 when all is well and 1 when something is damaged.
    """
    become(PROGRAM, ["fsck", *context.args])


@registry_app.command("gc", context_settings=_PASS_ON)
def gc(context: typer.Context) -> None:
    """Removes what no version needs any more; `gc status` shows the last cycles.

    Without --data-dir and --address it is the registry that this machine's daemon uses.  A running registry does it by itself,
    each hour by default.
    """
    if not is_for_daemon(context.args):
        become(PROGRAM, ["gc", *context.args])
    collect_through_daemon(context.args)


@registry_app.command("certs", context_settings=_PASS_ON)
def certs(context: typer.Context) -> None:
    """Makes certificates for TLS, signed by an authority of your own."""
    become(PROGRAM, ["certs", *context.args])


@registry_app.command("audit", context_settings=_PASS_ON)
def audit(context: typer.Context) -> None:
    """Prints what was done, by whom, with what outcome; --follow goes on as it happens."""
    become(PROGRAM, ["audit", *context.args])


@registry_app.command("protect", context_settings=_PASS_ON)
def protect(context: typer.Context) -> None:
    """Sets which aliases only aliasers and administrators may give and take."""
    become(PROGRAM, ["protect", *context.args])


@registry_app.command("quota", context_settings=_PASS_ON)
def quota(context: typer.Context) -> None:
    """Sets and shows limits of bytes, versions and calls: `quota set|show ENTITY[/PROJECT]`."""
    become(PROGRAM, ["quota", *context.args])


@token_app.command("list", context_settings=_PASS_ON)
def list_tokens(context: typer.Context) -> None:
    """Lists tokens without their secrets."""
    become(PROGRAM, ["token", "list", *context.args])


@token_app.command("revoke", context_settings=_PASS_ON)
def revoke_token(context: typer.Context) -> None:
    """Ends a token, everywhere within 30 s."""
    become(PROGRAM, ["token", "revoke", *context.args])


@token_app.command("rotate", context_settings=_PASS_ON)
def rotate_token(context: typer.Context) -> None:
    """Makes a token's successor and prints it, once."""
    become(PROGRAM, ["token", "rotate", *context.args])


@token_app.command("create", context_settings=_PASS_ON)
def create_token(context: typer.Context) -> None:
    """Makes a token and prints it, once."""
    become(PROGRAM, ["token", "create", *context.args])
