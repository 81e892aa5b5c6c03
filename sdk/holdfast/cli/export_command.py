"""`holdfast artifact export`: a version as a plain folder or a tar file, for those who have no Holdfast."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import output
from holdfast.cli.artifact_commands import artifact_app
from holdfast.cli.artifact_names import NameArgument, fetch_artifact
from holdfast.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

TAR_MODES = {".tar": "w|", ".tar.gz": "w|gz", ".tgz": "w|gz", ".tar.bz2": "w|bz2", ".tar.xz": "w|xz"}
OTHER_ARCHIVES = (".zip", ".7z", ".tar.zst", ".tar.lz4", ".gz")
"""Who asks for one of these would be surprised by a folder."""


@artifact_app.command("export")
def export(
    name: NameArgument,
    target: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="A folder, a file that ends with .tar, .tar.gz, .tgz, .tar.bz2 or .tar.xz, or -."
        ),
    ],
    allow_missing_references: Annotated[
        bool, typer.Option("--allow-missing-references", help="Leave out references whose object is gone.")
    ] = False,
) -> None:
    """Writes a version as a plain folder or a tar file; - is a tar on standard output.

    A folder must not exist or be empty.  A tar holds the files under their paths, with the time of the version, so that two
    exports of one version are equal; it is written beside its name and renamed when it is whole.
    """
    mode = _tar_mode(target)
    if mode is None and target.endswith(OTHER_ARCHIVES):
        raise CommandError(
            f"{target} would be a folder; give a name that ends with {', '.join(TAR_MODES)}", ExitCode.USAGE
        )
    artifact = fetch_artifact(name)
    if target == "-":
        _write_tar(artifact, sys.stdout.buffer, "w|", allow_missing=allow_missing_references)
    elif mode is None:
        _export_folder(artifact, Path(target), allow_missing=allow_missing_references)
    else:
        _export_tar(artifact, Path(target), mode, allow_missing=allow_missing_references)
    output.say(f"exported {artifact.qualified_name}: {artifact.file_count:,} files, {output.human_size(artifact.size)}")


def _tar_mode(target: str) -> str | None:
    return next((mode for suffix, mode in TAR_MODES.items() if target.endswith(suffix)), None)


def _export_folder(artifact: Artifact, folder: Path, *, allow_missing: bool) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(f"{folder} exists already; export to a new or empty folder", ExitCode.USAGE)
    artifact.download(root=str(folder), allow_missing_references=allow_missing)


def _export_tar(artifact: Artifact, path: Path, mode: str, *, allow_missing: bool) -> None:
    if path.exists():
        raise CommandError(f"{path} exists already; remove it or choose another name", ExitCode.USAGE)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "xb") as file:
            _write_tar(artifact, file, mode, allow_missing=allow_missing)
            file.flush()
            os.fsync(file.fileno())
        # Not `rename`: a file that came up meanwhile stays.
        os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _write_tar(artifact: Artifact, file: IO[bytes], mode: Any, *, allow_missing: bool) -> None:
    modified_s = _seconds(artifact.created_at)
    with tarfile.open(fileobj=file, mode=mode, format=tarfile.PAX_FORMAT) as tar:
        for entry in artifact.manifest.entries.values():
            info = tarfile.TarInfo(entry.path)
            info.mtime, info.mode = modified_s, 0o644
            try:
                content = entry.open()
            except FileNotFoundError as error:
                if not allow_missing:
                    raise
                output.say(f"left out {entry.path}: {error}")
                continue
            with content:
                info.size = content.seek(0, io.SEEK_END)
                content.seek(0)
                tar.addfile(info, content)


def _seconds(iso_time: str) -> int:
    import datetime

    return int(datetime.datetime.fromisoformat(iso_time).timestamp())
