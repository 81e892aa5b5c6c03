"""Links: a version's places in portfolios and registries, beside the collection that it was logged into."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from holdfast._catalogue_calls import CatalogueCalls
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast._status_checks import ensure_logged
from holdfast._text_list import text_list
from holdfast._version_reading import VersionReading
from holdfast._warn_user import warn_user
from holdfast_contract.names import (
    check_collection_name,
    check_entity,
    check_project,
    check_user_aliases,
)
from holdfastpb.registry.v1 import version_pb2

if TYPE_CHECKING:
    from holdfast.artifact import Artifact
    from holdfast.artifact_collections import ArtifactCollection

_TARGET_PARTS_MAX = 3


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """The collection that a version is to be linked into; None where the text does not say."""

    entity: str | None
    project: str | None
    """A project, or a registry: "wandb-registry-<name>"."""
    collection: str


def parse_link_target(text: str) -> LinkTarget:
    """Takes apart `collection`, `project/collection`, `entity/project/collection`; a registry stands for the project.

    Raises:
        ValueError: more parts, a version or alias, or a part that breaks its rules.
    """
    if not isinstance(text, str):
        raise ValueError(f"target_path must be text such as 'project/portfolio', not {text!r:.200}")
    if ":" in text:
        raise ValueError(f"target_path {text!r:.200} must not name a version or alias; pass aliases=[…] instead.")
    parts = text.split("/")
    if len(parts) > _TARGET_PARTS_MAX:
        raise ValueError(
            f"Invalid target_path {text!r:.200}; use portfolio, project/portfolio, entity/project/portfolio or"
            " wandb-registry-NAME/collection."
        )
    entity, project, collection = [None] * (_TARGET_PARTS_MAX - len(parts)) + parts
    assert collection is not None, "a text has at least one part"
    check_collection_name(collection)
    if project is not None:
        check_project(project)
    if entity is not None:
        check_entity(entity)
    return LinkTarget(entity, project, collection)


class VersionLinks(VersionReading):
    """Base of `Artifact`: the collections that a version is in."""

    # --- linking ------------------------------------------------------------------------------------------------------

    def link(self, target_path: str, aliases: Iterable[str] | None = None) -> Artifact:
        """Links the version into a portfolio or registry, which then shows it under a name and number of its own.

        A draft is saved and waited for first.  Linking a link links its source.

        Args:
            target_path: `portfolio`, `project/portfolio`, `entity/project/portfolio`, `wandb-registry-NAME/collection`, or
                `entity/wandb-registry-NAME/collection`; what is missing is the entity of the version and the project of the settings.
                The collection is made when absent.
            aliases: of the link, in the target collection; "latest" moves there by itself.

        Returns:
            The artifact as the target collection shows it.

        Raises:
            ValueError: the target or an alias breaks its rules, versions are logged into the target, or it holds another type.
            ArtifactNotLoggedError: a draft of an offline run.
        """
        target = parse_link_target(target_path)
        return self._link_to(target, aliases, entity=None, project=this_process().settings.project)

    def _link_to(
        self, target: LinkTarget, aliases: Iterable[str] | str | None, *, entity: str | None, project: str
    ) -> Artifact:
        """As `link`, with the entity and project of targets that name none; `entity` None is the version's own."""
        wanted = text_list("aliases", aliases)
        check_user_aliases(wanted)
        artifact = cast("Artifact", self)
        if not artifact.is_logged:
            if not artifact.is_final:
                artifact.save()
            artifact.wait()
        if self.is_link:
            warn_user(f"Linking the link {self.name} links its source {self.source_name}.")
        version = CatalogueCalls(this_process().daemon).link_version(
            self._logged.version_id,
            entity=target.entity or entity or self._logged.entity,
            project=target.project or project,
            collection=target.collection,
            aliases=dict.fromkeys(wanted),
        )
        return _of(version)

    @ensure_logged
    def unlink(self) -> None:
        """Takes the version out of the portfolio or registry that this object was reached in; the version itself stays.

        Raises:
            ArtifactNotLoggedError: the artifact is a draft.
            ValueError: this object was reached where it was logged.
        """
        link = self._link
        if link is None:
            raise ValueError(
                f"Artifact {self.qualified_name} is not a linked artifact and cannot be unlinked. To delete it, use"
                " delete instead."
            )
        CatalogueCalls(this_process().daemon).unlink_version(link.link_id)

    # --- looking ------------------------------------------------------------------------------------------------------

    @property
    @ensure_logged
    def linked_artifacts(self) -> list[Artifact]:
        """The version as each collection shows it that it was linked into, oldest link first; none of a link."""
        if self.is_link:
            return []
        return [_of(version) for version in CatalogueCalls(this_process().daemon).list_links(self._logged.version_id)]

    @property
    @ensure_logged
    def source_artifact(self) -> Artifact:
        """The version where it was logged; this object itself unless it is a link."""
        if not self.is_link:
            return cast("Artifact", self)
        return _of(RegistryCalls(this_process().daemon).get_version(self._logged.version_id))

    @property
    @ensure_logged
    def collection(self) -> ArtifactCollection:
        """The collection that the artifact was reached in: the portfolio's for a link."""
        place = self._place
        return _collection_of(place.entity, place.project, place.collection)

    @property
    @ensure_logged
    def source_collection(self) -> ArtifactCollection:
        """The collection that the version was logged into."""
        source = self._logged
        return _collection_of(source.entity, source.project, source.collection)


def _of(version: version_pb2.Version) -> Artifact:
    from holdfast.artifact import Artifact

    return Artifact._of_version(version)


def _collection_of(entity: str, project: str, name: str) -> ArtifactCollection:
    from holdfast.artifact_collections import ArtifactCollection

    return ArtifactCollection._of(CatalogueCalls(this_process().daemon).get_collection(entity, project, name))
