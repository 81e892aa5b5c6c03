"""`holdfast artifact ls`: the collections of a project, or the versions of a collection."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import output
from holdfast.cli.artifact_commands import artifact_app
from holdfast.cli.artifact_names import JsonOption
from holdfast.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from holdfastpb.registry.v1.collection_pb2 import Collection
    from holdfastpb.registry.v1.version_pb2 import Version


@artifact_app.command("ls")
def ls(
    path: Annotated[
        str, typer.Argument(help="[ENTITY/]PROJECT lists its artifacts, ENTITY/PROJECT/NAME the versions of one.")
    ] = "",
    type_: Annotated[str | None, typer.Option("--type", "-t", help="Only artifacts of this type.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Lists the artifacts of a project, or the versions of one.

    One a line: type, last change, size and name of the latest version; or of each version, with its aliases.
    """
    entity, project, name = _parse(path)
    from holdfast.cli.daemon_link import DaemonLink

    link = DaemonLink.connect()
    entity, project = entity or link.default_entity, project or link.default_project
    if name is None:
        collections = link.list_collections(entity, project, type_ or "")
        if not collections and path:
            link.require_project(entity, project)
        _show(as_json, [_collection_as_json(c) for c in collections], [_collection_line(c) for c in collections])
        if not collections:
            output.say(_nothing_found(entity, project, type_))
    else:
        versions = link.list_versions(entity, project, name, type_ or "")
        _show(as_json, [_version_as_json(v) for v in versions], [_version_line(v) for v in versions])


def _parse(path: str) -> tuple[str | None, str | None, str | None]:
    parts = path.split("/") if path else []
    match parts:
        case []:
            return None, None, None
        case [project]:
            return None, project, None
        case [entity, project]:
            return entity, project, None
        case [entity, project, name]:
            return entity, project, name
        case _:
            raise CommandError(
                f"{path} has too many parts; write ENTITY/PROJECT or ENTITY/PROJECT/NAME", ExitCode.USAGE
            )


def _nothing_found(entity: str, project: str, type_: str | None) -> str:
    """Elsewhere two parts are PROJECT/NAME; `wandb artifact ls` takes them for ENTITY/PROJECT, and so does this."""
    wanted = f"artifacts of type {type_!r}" if type_ else "artifacts"
    return f"no {wanted} in project {entity}/{project}; the versions of one: holdfast artifact ls ENTITY/PROJECT/NAME"


def _show(as_json: bool, objects: list[dict[str, Any]], lines: Sequence[str]) -> None:
    if as_json:
        output.print_json(objects)
        return
    for line in lines:
        output.print_line(line)


def _collection_line(collection: "Collection") -> str:
    """The line that `wandb artifact ls` prints, so that scripts which cut it go on working."""
    if collection.latest_version_index < 0:
        return f"{collection.type:<15}{'N/A':<15}{'0 B':>15} {collection.name + ' (no versions)':<20}"
    name = f"{collection.name}:v{collection.latest_version_index}"
    return _line(collection.type, collection.updated_at_ms, collection.latest_size_bytes, name)


def _version_line(version: "Version") -> str:
    aliases = f"  {', '.join(version.aliases)}" if version.aliases else ""
    name = f"{version.collection}:v{version.version_index}"
    return (
        _line(version.type, version.created_at_ms, version.size_bytes, f"{name:<20} {version.semantic_version:<9}")
        + aliases
    )


def _line(type_: str, changed_ms: int, size_bytes: int, name: str) -> str:
    return f"{type_:<15}{output.human_time(changed_ms)[:10]:<15}{output.human_size(size_bytes):>15} {name:<20}"


def _collection_as_json(collection: "Collection") -> dict[str, Any]:
    latest = collection.latest_version_index
    return {
        "entity": collection.entity,
        "project": collection.project,
        "name": collection.name,
        "type": collection.type,
        "version_count": collection.version_count,
        "latest_version": f"v{latest}" if latest >= 0 else None,
        "latest_size_bytes": collection.latest_size_bytes,
        "created_at_ms": collection.created_at_ms,
        "updated_at_ms": collection.updated_at_ms,
    }


def _version_as_json(version: "Version") -> dict[str, Any]:
    return {
        "entity": version.entity,
        "project": version.project,
        "name": f"{version.collection}:v{version.version_index}",
        "version": f"v{version.version_index}",
        "semantic_version": version.semantic_version,
        "type": version.type,
        "digest": version.digest,
        "size_bytes": version.size_bytes,
        "entry_count": version.entry_count,
        "aliases": list(version.aliases),
        "tags": list(version.tags),
        "created_at_ms": version.created_at_ms,
    }
