"""The public API under W&B's name for its module."""

from holdfast._artifact_files import ArtifactFiles, File
from holdfast._registry_contents import Collections, Versions
from holdfast._version_lists import Artifacts, RunArtifacts
from holdfast.api import Api
from holdfast.artifact import Artifact
from holdfast.artifact_collections import (
    ArtifactCollection,
    ArtifactCollections,
    ArtifactType,
    ArtifactTypes,
    ProjectArtifactCollections,
)
from holdfast.projects import Project, Projects
from holdfast.public_runs import Run, Runs
from holdfast.registries import Registries, Registry

__all__ = [
    "Api",
    "Artifact",
    "ArtifactCollection",
    "ArtifactCollections",
    "ArtifactFiles",
    "ArtifactType",
    "ArtifactTypes",
    "Artifacts",
    "Collections",
    "File",
    "Project",
    "ProjectArtifactCollections",
    "Projects",
    "Registries",
    "Registry",
    "Run",
    "RunArtifacts",
    "Runs",
    "Versions",
]
