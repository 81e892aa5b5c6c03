"""`holdfast artifact …`: put, get, info and verify, with the options that Weights & Biases' command has."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import holdfast
from holdfast.cli import output
from holdfast.cli.artifact_names import JsonOption, NameArgument, fetch_artifact, name_without_alias
from holdfast.cli.exit_codes import CommandError, ExitCode
from holdfast_contract.names import ArtifactName

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

artifact_app = typer.Typer(help="Put, get, list, compare, name, link, copy and remove versions.", no_args_is_help=True)


class Policy(StrEnum):
    """Whether files may be changed while they are logged."""

    MUTABLE = "mutable"
    IMMUTABLE = "immutable"


class Bump(StrEnum):
    """What of the highest semantic version is raised."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@artifact_app.command("put")
def put(  # noqa: PLR0913 - one parameter an option, as typer wants it
    path: Annotated[str, typer.Argument(help="A file, a folder, or a URI to log as a reference.")],
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="[[ENTITY/]PROJECT/]NAME; default: the name of PATH.")
    ] = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="In your words.")] = None,
    type_: Annotated[str, typer.Option("--type", "-t", help="Type of the artifact.")] = "dataset",
    alias: Annotated[list[str] | None, typer.Option("--alias", "-a", help="May be given several times.")] = None,
    run_id: Annotated[str | None, typer.Option("--id", help="Id of the run that logs it; default: a new run.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run of --id.")] = False,
    semantic_version: Annotated[
        str | None, typer.Option("--semantic-version", help="Such as 1.2.0; default: the next one by --bump.")
    ] = None,
    bump: Annotated[Bump, typer.Option(help="What of the semantic version is raised.")] = Bump.MAJOR,
    skip_cache: Annotated[
        bool, typer.Option("--skip_cache", "--skip-cache", help="Accepted for compatibility; nothing is staged anyway.")
    ] = False,
    policy: Annotated[
        Policy, typer.Option(help="immutable: the files are left alone until it is done.")
    ] = Policy.MUTABLE,
    as_json: JsonOption = False,
) -> None:
    """Logs a file, a folder or a reference.

    Waits until the version is committed, and prints the line with which to use it.  Interrupted, the daemon
    finishes it: see `holdfast status`.
    """
    target = _target_name(path, name)
    artifact = holdfast.Artifact(target.collection, type=type_, description=description)
    artifact.semantic_version, artifact.version_bump = semantic_version, bump.value
    _add(artifact, path, skip_cache=skip_cache, policy=policy)
    with holdfast.init(
        entity=target.entity,
        project=target.project,
        config={"path": path},
        job_type="cli_put",
        id=run_id,
        resume=resume or None,
    ) as run:
        logged = run.log_artifact(artifact, aliases=alias or ["latest"])
    logged.wait()
    if as_json:
        output.print_json(version_as_json(logged))
        return
    output.say("Artifact uploaded, use this artifact in a run by adding:")
    output.print_line(f'artifact = run.use_artifact("{logged.qualified_name}")')


def _target_name(path: str, name: str | None) -> ArtifactName:
    if name is None:
        # A path is resolved, so that "." has a name, too.
        name = path.rstrip("/").rpartition("/")[2] if "://" in path else Path(path).absolute().resolve().name
    return name_without_alias(name, "--name")


def _add(artifact: "Artifact", path: str, *, skip_cache: bool, policy: Policy) -> None:
    local = Path(path)
    if local.is_dir():
        artifact.add_dir(path, skip_cache=skip_cache, policy=policy.value)
    elif local.is_file():
        artifact.add_file(path, skip_cache=skip_cache, policy=policy.value)
    elif "://" in path:
        artifact.add_reference(path)
    elif local.exists():
        raise CommandError(f"{path} is neither a file nor a folder", ExitCode.USAGE)
    else:
        raise CommandError(f"{path} does not exist; PATH must be a file, a folder or a URI", ExitCode.NOT_FOUND)


@artifact_app.command("get")
def get(
    name: NameArgument,
    root: Annotated[Path | None, typer.Option(help="Folder to download to; default: ./artifacts/NAME:vN.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Refuse a version of another type.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Downloads a version and prints the folder.

    Files that are there and right are left alone; files that do not belong to the version stay.
    """
    artifact = fetch_artifact(name, type_)
    output.say(f"Downloading {artifact.type} artifact {artifact.qualified_name} ({output.human_size(artifact.size)})")
    folder = artifact.download(root=None if root is None else str(root))
    if as_json:
        output.print_json({"root": str(folder), **version_as_json(artifact)})
    else:
        output.print_line(str(folder))


@artifact_app.command("info")
def info(
    name: NameArgument,
    files: Annotated[bool, typer.Option("--files", help="Also list the files.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Prints what is known of a version.

    Its digest, size, aliases and metadata, who logged it and who used it; with --files its entries, too.
    """
    artifact = fetch_artifact(name)
    logged_by = artifact.logged_by()
    used_by = [run.id for run in artifact.used_by()]
    found = {**version_as_json(artifact), "logged_by": logged_by.id if logged_by else None, "used_by": used_by}
    entries = [
        {"path": entry.path, "size_bytes": entry.size, "digest": entry.digest, "reference": entry.ref}
        for entry in (artifact.manifest.entries.values() if files else ())
    ]
    if as_json:
        output.print_json({**found, "files": entries} if files else found)
        return
    files_word = "file" if found["entry_count"] == 1 else "files"
    size = f"{output.human_size(found['size_bytes'])} in {found['entry_count']:,} {files_word}"
    output.print_fields({**_joined(found), "size_bytes": None, "entry_count": None, "size": size})
    for entry in entries:
        output.print_line(f"{entry['size_bytes'] or 0:>15}  {entry['digest']}  {entry['path']}")


@artifact_app.command("verify")
def verify(
    name: NameArgument,
    root: Annotated[Path | None, typer.Option(help="Folder to compare; default: where `get` puts it.")] = None,
) -> None:
    """Compares a folder with a version.

    Every file's digest, and files that do not belong to it; exits 4 on a difference.
    """
    artifact = fetch_artifact(name)
    if root is not None and not root.is_dir():
        raise CommandError(f"{root} is not a folder; nothing to verify", ExitCode.NOT_FOUND)
    try:
        artifact.verify(root=None if root is None else str(root))
    except (ValueError, FileNotFoundError) as difference:
        raise CommandError(str(difference), ExitCode.DAMAGED) from difference
    output.say(f"{artifact.qualified_name}: all {artifact.file_count:,} files are as they were logged")


def version_as_json(artifact: "Artifact") -> dict[str, Any]:
    """A committed version as one flat object; sizes in bytes, times as the registry's ISO text."""
    return {
        "qualified_name": artifact.qualified_name,
        "name": artifact.name,
        "version": artifact.version,
        "semantic_version": artifact.semantic_version,
        "type": artifact.type,
        "state": str(artifact.state),
        "digest": artifact.digest,
        "size_bytes": artifact.size,
        "entry_count": artifact.file_count,
        "aliases": list(artifact.aliases),
        "tags": list(artifact.tags),
        "description": artifact.description,
        "metadata": artifact.metadata,
        "created_at": artifact.created_at,
        "updated_at": artifact.updated_at,
    }


def _joined(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields for people: lists as words, metadata as one line of JSON."""
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in fields.items()}
    return {**shown, "metadata": json.dumps(fields["metadata"]) if fields["metadata"] else None}
