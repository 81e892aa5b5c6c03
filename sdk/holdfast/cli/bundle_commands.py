"""`holdfast bundle …`: versions in one file, to be carried to another machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import output
from holdfast.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from holdfast._offline_calls import OfflineCalls
    from holdfastpb.daemon.v1.bundle_pb2 import BundledVersion, ExportBundleResponse

bundle_app = typer.Typer(help="Carry versions to another machine in one file.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A bundle.")]


@bundle_app.callback()
def bundle() -> None:
    """Carry versions to another machine in one file."""


@bundle_app.command("export")
def export(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME…", help="[[ENTITY/]PROJECT/]NAME[:ALIAS], default latest.")
    ] = None,
    unsent: Annotated[
        bool, typer.Option("--unsent", help="Also everything that was logged and is not committed yet.")
    ] = False,
    file: Annotated[Path, typer.Option("--output", "-o", help="File to be made; it must not exist.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Writes versions, or what waits to be sent, into one file with all their bytes.

    The file gets its name when it is whole. What is exported stays here and is sent as before: it becomes one version, whichever
    way it arrives first.
    """
    if file == Path():
        raise CommandError("give the file to be made: -o FILE", ExitCode.USAGE)
    if not names and not unsent:
        raise CommandError("name what is to be exported, or give --unsent", ExitCode.USAGE)
    version_ids = [_version_id(name) for name in names or ()]
    calls = _calls()
    job_ids = [job.progress.job_id for job in calls.jobs(active_only=True) if job.qualified_name] if unsent else []
    if not version_ids and not job_ids:
        raise CommandError("nothing waits to be sent, so there is nothing to export", ExitCode.NOT_FOUND)
    path = file.absolute()
    done = _show(calls.export_bundle(str(path), job_ids=job_ids[::-1], version_ids=version_ids))
    size_bytes = path.stat().st_size
    if as_json:
        output.print_json({"file": str(path), "versions": done.versions, "size_bytes": size_bytes})
        return
    output.say(f"exported {done.versions:,} versions, {output.human_size(size_bytes)}")
    output.print_line(str(path))


@bundle_app.command("import")
def import_(
    file: FileArgument,
    project: Annotated[str, typer.Option("--project", "-p", help="Instead of the projects in the bundle.")] = "",
    entity: Annotated[str, typer.Option("--entity", "-e", help="Instead of the entities in the bundle.")] = "",
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Stay until the versions are committed (or nothing moves).")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Logs the versions of a bundle.

    When it returns the file is not needed any more. A version that arrived before, by another bundle or from its first machine, is
    not made again.
    """
    from holdfast.cli.job_watch import follow, report

    calls = _calls()
    job_ids = calls.import_bundle(str(file.absolute()), entity=entity, project=project)
    output.say(f"{len(job_ids):,} versions read")
    if wait:
        report(follow(calls, job_ids, patiently=False), as_json=as_json)
    elif as_json:
        output.print_json({"job_ids": job_ids})


@bundle_app.command("show")
def show(file: FileArgument, as_json: JsonOption = False) -> None:
    """Lists the versions of a bundle; checks its index, not every byte."""
    versions = _calls().describe_bundle(str(file.absolute()))
    if as_json:
        output.rows_as_json(map(_as_json, versions))
        return
    columns = ("artifact", "type", "version", "files", "size", "aliases", "digest")
    output.stdout_console().print(output.make_table(columns, map(_row, versions)))


def _as_json(version: BundledVersion) -> dict[str, Any]:
    return {
        "qualified_name": f"{version.entity}/{version.project}/{version.collection}",
        "type": version.type,
        "version": version.version or None,
        "semantic_version": version.semantic_version or None,
        "digest": version.digest,
        "size_bytes": version.size_bytes,
        "entry_count": version.entry_count,
        "aliases": list(version.aliases),
        "tags": list(version.tags),
    }


def _row(version: BundledVersion) -> tuple[str, ...]:
    return (
        f"{version.entity}/{version.project}/{version.collection}",
        version.type,
        version.version or "not sent yet",
        f"{version.entry_count:,}",
        output.human_size(version.size_bytes),
        ", ".join(version.aliases),
        version.digest[:16],
    )


def _calls() -> OfflineCalls:
    from holdfast._offline_calls import OfflineCalls
    from holdfast._process import this_process

    return OfflineCalls(this_process().daemon)


def _version_id(name: str) -> str:
    from holdfast.cli.artifact_names import fetch_artifact

    version_id = fetch_artifact(name).id
    assert version_id is not None, "a fetched version has an id"
    return version_id


def _show(updates: Iterable[ExportBundleResponse]) -> ExportBundleResponse:
    """Follows an export to its end, with a bar where there is a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    console = output.stderr_console()
    with Progress(
        TextColumn("exporting"),
        BarColumn(),
        DownloadColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=None)
        for update in updates:
            bar.update(task, total=update.bytes_total or None, completed=update.bytes_done)
            if update.done:
                return update
    raise CommandError("the export ended without a word; see `holdfast daemon logs`")
