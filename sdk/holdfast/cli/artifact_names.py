"""What several `holdfast artifact` commands need: a version by its name, and that a name says which one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import holdfast
from holdfast.cli.exit_codes import CommandError, ExitCode
from holdfast_contract.names import ArtifactName, parse_artifact_name

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="[[ENTITY/]PROJECT/]NAME[:ALIAS]; also :vN, :1.2.0, :^1.2; default latest."),
]


def fetch_artifact(name: str, type_: str | None = None) -> Artifact:
    """Returns the version that a name says.

    Raises:
        ValueError: it is no name.
        CommError: there is no such version, or nobody can be asked.
    """
    parse_artifact_name(name)
    return holdfast.Api().artifact(name, type=type_)


def require_version(name: str) -> None:
    """Refuses a name that leaves the version to the default, for commands that take something away.

    Raises:
        CommandError: it has no alias or version.
    """
    if parse_artifact_name(name).alias is None:
        raise CommandError(
            f"{name} names no version; write {name}:vN, so that nothing goes by accident", ExitCode.USAGE
        )


def name_without_alias(name: str, option: str) -> ArtifactName:
    """Returns the parts of a name that names a collection.

    Raises:
        CommandError: it has an alias.
    """
    target = parse_artifact_name(name)
    if target.alias is not None:
        raise CommandError(f"{option} {name} has an alias; give it as --alias {target.alias}", ExitCode.USAGE)
    return target
