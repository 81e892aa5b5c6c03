"""`holdfast artifact restore`: takes the deletion of a version back."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from holdfast.cli import output
from holdfast.cli.artifact_commands import artifact_app
from holdfast.cli.exit_codes import CommandError, ExitCode
from holdfast_contract.names import parse_artifact_name

_VERSION = re.compile("v[0-9]{1,18}")


@artifact_app.command("restore")
def restore(
    name: Annotated[str, typer.Argument(metavar="NAME:vN", help="[[ENTITY/]PROJECT/]NAME and the number it had.")],
) -> None:
    """Brings a deleted version back, with its number, its tags and its files, within 7 days by default.

    Aliases and links that it had do not come back; `latest` names the highest version again.
    """
    from holdfast.cli.daemon_link import DaemonLink

    wanted = parse_artifact_name(name)
    if wanted.alias is None or not _VERSION.fullmatch(wanted.alias):
        raise CommandError(f"{name} names no version by its number; write {name.partition(':')[0]}:vN", ExitCode.USAGE)
    link = DaemonLink.connect()
    entity, project = wanted.entity or link.default_entity, wanted.project or link.default_project
    version = link.restore_version(entity, project, wanted.collection, int(wanted.alias[1:]))
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    output.say(f"restored {version.entity}/{version.project}/{version.collection}:v{version.version_index}{aliases}")
