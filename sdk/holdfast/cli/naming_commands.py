"""`holdfast artifact alias | tag | link | unlink | copy`: the names and places of versions."""

from __future__ import annotations

from typing import Annotated

import typer

import holdfast
from holdfast.cli import output
from holdfast.cli.artifact_commands import artifact_app, version_as_json
from holdfast.cli.artifact_names import JsonOption, NameArgument, fetch_artifact, name_without_alias, require_version
from holdfast.cli.exit_codes import CommandError, ExitCode

AliasOption = Annotated[list[str] | None, typer.Option("--alias", "-a", help="May be given several times.")]


@artifact_app.command("alias")
def alias(
    name: NameArgument,
    aliases: Annotated[list[str] | None, typer.Argument(metavar="ALIAS…", help="None: the aliases are listed.")] = None,
    remove: Annotated[bool, typer.Option("--remove", "-r", help="Take these aliases away.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Gives aliases to a version, takes them away, or lists them.

    An alias names one version of an artifact: given to another one, it moves.
    """
    artifact = fetch_artifact(name)
    artifact.aliases = _changed(artifact.aliases, aliases or [], remove=remove, what="alias", name=artifact.name)
    if aliases:
        artifact.save()
    _print(artifact.aliases, as_json=as_json)


@artifact_app.command("tag")
def tag(
    name: NameArgument,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG…", help="None: the tags are listed.")] = None,
    remove: Annotated[bool, typer.Option("--remove", "-r", help="Take these tags away.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Puts tags on a version, takes them away, or lists them."""
    artifact = fetch_artifact(name)
    artifact.tags = _changed(artifact.tags, tags or [], remove=remove, what="tag", name=artifact.name)
    if tags:
        artifact.save()
    _print(artifact.tags, as_json=as_json)


def _changed(present: list[str], given: list[str], *, remove: bool, what: str, name: str) -> list[str]:
    if not remove:
        return [*present, *(word for word in dict.fromkeys(given) if word not in present)]
    absent = [word for word in given if word not in present]
    if absent:
        raise CommandError(f"{name} has no {what} {', '.join(map(repr, absent))}", ExitCode.NOT_FOUND)
    return [word for word in present if word not in given]


def _print(words: list[str], *, as_json: bool) -> None:
    if as_json:
        output.print_json(sorted(words))
        return
    for word in sorted(words):
        output.print_line(word)


@artifact_app.command("link")
def link(
    name: NameArgument,
    target: Annotated[str, typer.Argument(help="[[ENTITY/]PROJECT/]PORTFOLIO, or wandb-registry-NAME/COLLECTION.")],
    alias: AliasOption = None,
    as_json: JsonOption = False,
) -> None:
    """Links a version into a portfolio or registry, where it gets a number and aliases of its own.

    The portfolio is made when there is none.
    """
    linked = fetch_artifact(name).link(target, aliases=alias)
    if as_json:
        output.print_json(version_as_json(linked))
    else:
        output.print_line(linked.qualified_name)


@artifact_app.command("unlink")
def unlink(
    name: Annotated[str, typer.Argument(metavar="NAME:VERSION", help="[[ENTITY/]PROJECT/]PORTFOLIO:vN or an alias.")],
) -> None:
    """Takes a version out of a portfolio or registry; the version itself stays."""
    require_version(name)
    artifact = fetch_artifact(name)
    artifact.unlink()
    output.say(f"unlinked {artifact.qualified_name}; {artifact.source_qualified_name} stays")


@artifact_app.command("copy")
def copy(
    name: NameArgument,
    target: Annotated[str, typer.Argument(help="[[ENTITY/]PROJECT/]NAME of the copy.")],
    alias: AliasOption = None,
    as_json: JsonOption = False,
) -> None:
    """Logs a version again under another name or in another project of its entity, without moving its data.

    Description, metadata and tags come along; aliases do not.
    """
    source = fetch_artifact(name)
    place = name_without_alias(target, "TARGET")
    entity = place.entity or source.entity
    if entity != source.entity:
        raise CommandError(
            f"{source.qualified_name} cannot be copied to {entity}: content is kept apart by entity; carry it over with "
            "`holdfast bundle export` and `holdfast bundle import --entity`",
            ExitCode.USAGE,
        )
    draft = source.new_draft(name=place.collection)
    with holdfast.init(entity=entity, project=place.project or source.project, job_type="cli_copy") as run:
        run.use_artifact(source)
        copied = run.log_artifact(draft, aliases=alias or [], tags=source.tags)
    copied.wait()
    if as_json:
        output.print_json(version_as_json(copied))
    else:
        output.print_line(copied.qualified_name)
