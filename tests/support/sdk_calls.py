"""What nearly every test of the whole system does with the SDK: log, wait, download, compare."""

import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import holdfast

PROJECT = "flows"


def fresh_name(stem: str = "art") -> str:
    """A collection that no other test uses."""
    return f"{stem}-{uuid.uuid4().hex[:10]}"


def new_artifact(name: str | None = None, type: str = "dataset") -> holdfast.Artifact:
    return holdfast.Artifact(name or fresh_name(), type)


def log(
    artifact: holdfast.Artifact, *, aliases: Sequence[str] = (), tags: Sequence[str] = (), project: str = PROJECT
) -> holdfast.Artifact:
    """Logs and waits for the commit."""
    with holdfast.init(project=project) as run:
        return run.log_artifact(artifact, aliases=list(aliases), tags=list(tags)).wait()


def log_folder(folder: str | os.PathLike[str], name: str | None = None) -> holdfast.Artifact:
    """Logs everything below a folder and waits."""
    artifact = new_artifact(name)
    artifact.add_dir(os.fspath(folder))
    return log(artifact)


def fetched(artifact: holdfast.Artifact) -> holdfast.Artifact:
    """The same version as another process would see it."""
    return holdfast.Api().artifact(artifact.qualified_name)


def download(artifact: holdfast.Artifact, root: Path, **how: object) -> Path:
    """Downloads as another process would, to `root`."""
    return Path(fetched(artifact).download(str(root), **how))  # type: ignore[arg-type]
