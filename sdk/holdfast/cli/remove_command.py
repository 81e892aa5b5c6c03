"""`holdfast artifact rm`: one version by its name, or all that fit a condition, after a look at what that frees."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast.cli import output
from holdfast.cli.artifact_commands import artifact_app
from holdfast.cli.artifact_names import JsonOption, fetch_artifact, require_version
from holdfast.cli.exit_codes import CommandError, ExitCode
from holdfast.cli.version_filter import parse_where
from holdfast.errors import HasAliasesError, NotFoundError
from holdfast_contract.limits import PAGE_SIZE_MAX
from holdfastpb.registry.v1.version_pb2 import SearchVersionsRequest

if TYPE_CHECKING:
    from holdfast.cli.daemon_link import DaemonLink
    from holdfastpb.registry.v1.version_pb2 import Version

SHOWN_MAX = 20


@artifact_app.command("rm")
def remove(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME:VERSION",
            help="One version; with --where: [ENTITY/]PROJECT or ENTITY/PROJECT/NAME to look through.",
        ),
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", help="Delete what fits: 'age > 30d', 'metadata.accuracy < 0.9', 'tag = draft', or JSON."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --where: only say what would go, and what that frees.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --where: do not ask.")] = False,
    delete_aliases: Annotated[
        bool,
        typer.Option("--delete-aliases", help="Also versions that carry aliases (`latest` included) or are linked."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Deletes one version, or with --where all versions of a project or an artifact that fit.

    The others keep their numbers and their bytes.  Several --where must all fit.
    """
    if where:
        _remove_many(name, where, dry_run=dry_run, yes=yes, delete_aliases=delete_aliases, as_json=as_json)
        return
    if dry_run or yes:
        raise CommandError("--dry-run and --yes go with --where", ExitCode.USAGE)
    _remove_one(name, delete_aliases=delete_aliases, as_json=as_json)


def _remove_one(name: str, *, delete_aliases: bool, as_json: bool) -> None:
    require_version(name)
    artifact = fetch_artifact(name)
    try:
        artifact.delete(delete_aliases=delete_aliases)
    except HasAliasesError as error:
        aliases = f"carries aliases ({', '.join(artifact.aliases)})" if artifact.aliases else "is linked"
        raise CommandError(f"{artifact.qualified_name} {aliases}; add --delete-aliases") from error
    if as_json:
        output.print_json({"deleted": [artifact.qualified_name], "kept": []})
    else:
        output.say(f"deleted {artifact.qualified_name}")


def _remove_many(
    scope: str, where: list[str], *, dry_run: bool, yes: bool, delete_aliases: bool, as_json: bool
) -> None:
    from holdfast.cli.daemon_link import DaemonLink

    link = DaemonLink.connect()
    request = _search(scope, where, link, delete_aliases=delete_aliases)
    versions = link.search_versions(request)
    freed_bytes = link.freed_bytes(request) if versions else 0
    named_count = 0 if delete_aliases else _count_of_named(scope, where, link, len(versions))
    names = [_name(version) for version in versions]
    if not as_json:
        for name in names[:SHOWN_MAX]:
            output.print_line(name)
        if len(names) > SHOWN_MAX:
            output.print_line(f"… and {len(names) - SHOWN_MAX:,} more")
        output.say(f"{len(names):,} versions; deleting them frees {output.human_size(freed_bytes)}")
        if named_count:
            output.say(f"{named_count:,} more fit and stay, since they carry aliases; --delete-aliases takes them, too")
    if dry_run or not versions:
        if as_json:
            output.print_json({"would_delete": names, "with_aliases": named_count, "freed_bytes": freed_bytes})
        return
    if not yes and not typer.confirm(f"Delete {len(names):,} versions?", err=True):
        raise CommandError("nothing was deleted")
    kept = _delete(versions, delete_aliases=delete_aliases)
    deleted = [name for name in names if name not in kept]
    if as_json:
        output.print_json({"deleted": deleted, "kept": sorted(kept), "freed_bytes": freed_bytes})
        return
    output.say(
        f"deleted {len(deleted):,} versions" + (f", kept {len(kept):,} that are linked or got an alias" if kept else "")
    )


def _search(scope: str, where: list[str], link: DaemonLink, *, delete_aliases: bool) -> SearchVersionsRequest:
    parts = scope.split("/")
    if len(parts) > 3 or not all(parts) or ":" in scope:
        raise CommandError(f"{scope}: with --where write [ENTITY/]PROJECT or ENTITY/PROJECT/NAME", ExitCode.USAGE)
    entity = parts[0] if len(parts) > 1 else link.default_entity
    wanted: list[dict[str, Any]] = [parse_where(where, datetime.datetime.now(datetime.UTC))]
    if len(parts) == 3:
        wanted.append({"collection": parts[2]})
    if not delete_aliases:
        wanted.append({"alias": {"$exists": False}})
    return SearchVersionsRequest(
        entity=entity,
        project=parts[min(len(parts), 2) - 1],
        filter_json=json.dumps({"$and": wanted}),
        page_size=PAGE_SIZE_MAX,
    )


def _count_of_named(scope: str, where: list[str], link: DaemonLink, unnamed_count: int) -> int:
    """How many versions fit and carry aliases, where `unnamed_count` carry none."""
    return max(0, link.version_count(_search(scope, where, link, delete_aliases=True)) - unnamed_count)


def _delete(versions: list[Version], *, delete_aliases: bool) -> set[str]:
    """Deletes versions; returns the names of those that had to stay."""
    calls = RegistryCalls(this_process().daemon)
    kept = set()
    for version in versions:
        try:
            calls.delete_version(version.version_id, delete_aliases=delete_aliases)
        except HasAliasesError:
            kept.add(_name(version))
        except NotFoundError:
            continue  # somebody else, or its time to live, was faster
    return kept


def _name(version: Version) -> str:
    return f"{version.entity}/{version.project}/{version.collection}:v{version.version_index}"
