"""`holdfast import …`: versions that were logged elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

import holdfast
from holdfast.cli import output
from holdfast.cli.artifact_commands import version_as_json
from holdfast.cli.artifact_names import JsonOption, name_without_alias
from holdfast.cli.exit_codes import CommandError, ExitCode
from holdfast.wandb_import import WandbEntry, add_entries, check_files, read_wandb_manifest

import_app = typer.Typer(help="Bring versions that were logged elsewhere.", no_args_is_help=True)


@import_app.callback()
def import_command() -> None:
    """Bring versions that were logged elsewhere."""


@import_app.command("wandb-manifest")
def wandb_manifest(  # noqa: PLR0913 - one parameter an option, as typer wants it
    manifest: Annotated[Path, typer.Argument(help="The wandb_manifest.json of one version.")],
    name: Annotated[str, typer.Option("--name", "-n", help="[[ENTITY/]PROJECT/]NAME.")],
    files: Annotated[
        Path | None, typer.Option("--files", "-f", help="Folder that download() has filled; default: the manifest's.")
    ] = None,
    type_: Annotated[str, typer.Option("--type", "-t", help="Type of the artifact.")] = "dataset",
    alias: Annotated[list[str] | None, typer.Option("--alias", "-a", help="May be given several times.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="May be given several times.")] = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="In your words.")] = None,
    metadata: Annotated[str | None, typer.Option("--metadata", "-m", help="JSON, or @FILE with JSON.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Logs a version of Weights & Biases from its manifest and its downloaded files.

    Every file's size and MD5 are checked first.  References are kept as they were recorded; references to other W&B versions
    become files.
    """
    target = name_without_alias(name, "--name")
    root = files if files is not None else manifest.parent
    entries = read_wandb_manifest(manifest)
    artifact = holdfast.Artifact(target.collection, type_, description, _metadata(metadata))
    _check(entries, root)
    add_entries(artifact, entries, root)
    config = {"manifest": str(manifest)}
    with holdfast.init(entity=target.entity, project=target.project, job_type="wandb_import", config=config) as run:
        run.log_artifact(artifact, aliases=alias or [], tags=tag or []).wait()
    if as_json:
        output.print_json(version_as_json(artifact))
        return
    output.say(f"imported {artifact.file_count:,} files, {output.human_size(artifact.size)}")
    output.print_line(artifact.qualified_name)


def _check(entries: list[WandbEntry], root: Path) -> None:
    total = sum(entry.size_bytes or 0 for entry in entries if entry.is_file)
    columns = (TextColumn("checking MD5"), BarColumn(), DownloadColumn(binary_units=True))
    console = output.stderr_console()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("check", total=total)
        check_files(entries, root, lambda size_bytes: progress.advance(task, size_bytes))


def _metadata(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    try:
        found: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise CommandError(f"--metadata is not JSON: {error}", ExitCode.USAGE) from error
    return found
