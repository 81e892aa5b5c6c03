"""The attributes of an artifact: what the user may set, and what the registry has given to a logged version."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from holdfast._registry_calls import new_request_id
from holdfast._status_checks import ensure_logged
from holdfast_contract.metadata import decode_metadata, encode_metadata, to_plain_metadata
from holdfast_contract.names import check_alias, check_tags, is_version_alias
from holdfastpb.registry.v1 import version_pb2

_STATES = {
    version_pb2.VERSION_STATE_PENDING: "PENDING",
    version_pb2.VERSION_STATE_COMMITTED: "COMMITTED",
    version_pb2.VERSION_STATE_DELETED: "DELETED",
    version_pb2.VERSION_STATE_FAILED: "FAILED",
}


class VersionAttributes:
    """Base of `Artifact`: everything about a version but its contents."""

    def __init__(self, name: str, type: str, description: str | None, metadata: dict[str, Any]) -> None:
        """Makes the attributes of a draft."""
        self._name = name
        self._type = type
        self._description = description
        self._metadata = metadata
        self._aliases: list[str] = []
        self._tags: list[str] = []
        self._version: version_pb2.Version | None = None
        self._finalized = False

    def _take_version(self, version: version_pb2.Version) -> None:
        """Becomes, or is refreshed to, a logged version."""
        self._version = version
        self._name = version.collection
        self._type = version.type
        self._description = version.description if version.has_description else None
        self._metadata = decode_metadata(version.metadata_json)
        self._aliases = list(version.aliases)
        self._tags = list(version.tags)

    @property
    def _logged(self) -> version_pb2.Version:
        assert self._version is not None, "only called where ensure_logged has passed"
        return self._version

    @property
    def is_logged(self) -> bool:
        """Whether there is a committed version behind this object."""
        return self._version is not None

    @property
    def is_final(self) -> bool:
        """Whether nothing can be added or removed any more."""
        return self._finalized

    # --- identity -----------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str | None:
        """The version's id; None before it is logged."""
        return self._version.version_id if self._version is not None else None

    @property
    @ensure_logged
    def entity(self) -> str:
        """The entity (tenant) that the artifact belongs to."""
        return str(self._logged.entity)

    @property
    @ensure_logged
    def project(self) -> str:
        """The project that the artifact belongs to."""
        return str(self._logged.project)

    @property
    def name(self) -> str:
        """`name:vN`; before it is logged the bare name, since the version is not known yet."""
        return f"{self._name}:v{self._version.version_index}" if self._version is not None else self._name

    @property
    def qualified_name(self) -> str:
        """`entity/project/name:vN`; raises `ArtifactNotLoggedError` on a draft."""
        return f"{self.entity}/{self.project}/{self.name}"

    @property
    @ensure_logged
    def version(self) -> str:
        """`vN`; counted from v0 in each collection, without gaps."""
        return f"v{self._logged.version_index}"

    @property
    @ensure_logged
    def source_entity(self) -> str:
        """The entity of the collection that the version was logged into."""
        return self.entity

    @property
    @ensure_logged
    def source_project(self) -> str:
        """The project of the collection that the version was logged into."""
        return self.project

    @property
    def source_name(self) -> str:
        """As `name`, in the collection that the version was logged into."""
        return self.name

    @property
    def source_qualified_name(self) -> str:
        """As `qualified_name`, in the collection that the version was logged into."""
        return self.qualified_name

    @property
    @ensure_logged
    def source_version(self) -> str:
        """As `version`, in the collection that the version was logged into."""
        return self.version

    @property
    def is_link(self) -> bool:
        """Whether this object was reached through a link; then it has a name and a version of the link's collection."""
        return False

    @property
    def type(self) -> str:
        """The artifact's type, for example "dataset" or "model"."""
        return self._type

    @property
    @ensure_logged
    def url(self) -> str:
        """A URL that names the version."""
        return f"holdfast://{self.qualified_name}"

    # --- what the user may change -------------------------------------------------------------------------------------

    @property
    def description(self) -> str | None:
        """Free text, Markdown; `save()` keeps a change of a logged version."""
        return self._description

    @description.setter
    def description(self, description: str | None) -> None:
        self._description = description

    @property
    def metadata(self) -> dict[str, Any]:
        """Structured data: at most 100 keys and 1 MiB of JSON.  Changes are checked when logged or saved."""
        return self._metadata

    @metadata.setter
    def metadata(self, metadata: dict[str, Any]) -> None:
        self._metadata = to_plain_metadata(metadata)

    @property
    @ensure_logged
    def aliases(self) -> list[str]:
        """The version's aliases; may be changed in place or set, and `save()` keeps the change."""
        return self._aliases

    @aliases.setter
    @ensure_logged
    def aliases(self, aliases: list[str]) -> None:
        for alias in aliases:
            check_alias(alias)
        self._aliases = list(aliases)

    @property
    @ensure_logged
    def tags(self) -> list[str]:
        """The version's tags; may be changed in place or set, and `save()` keeps the change."""
        return self._tags

    @tags.setter
    @ensure_logged
    def tags(self, tags: list[str]) -> None:
        check_tags(tags)
        self._tags = list(dict.fromkeys(tags))

    # --- what the registry knows --------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """PENDING before the commit, COMMITTED after it, DELETED after `delete()`."""
        return _STATES.get(self._version.state, "PENDING") if self._version is not None else "PENDING"

    @property
    @ensure_logged
    def commit_hash(self) -> str:
        """A random text that the commit has given to the version."""
        return str(self._logged.commit_hash)

    @property
    @ensure_logged
    def file_count(self) -> int:
        """The number of entries, references included."""
        return int(self._logged.entry_count)

    @property
    @ensure_logged
    def created_at(self) -> str:
        """When it was committed, by the registry's clock: ISO 8601, UTC."""
        return _iso_time(self._logged.created_at_ms)

    @property
    @ensure_logged
    def updated_at(self) -> str:
        """When its aliases, tags, description or metadata changed last: ISO 8601, UTC."""
        return _iso_time(self._logged.updated_at_ms or self._logged.created_at_ms)

    @property
    @ensure_logged
    def history_step(self) -> int | None:
        """The step of the run's history at which it was logged; None when there was none."""
        return int(self._logged.history_step) if self._logged.has_history_step else None

    @ensure_logged
    def json_encode(self) -> dict[str, Any]:
        """Returns what stands for the artifact in a run's config."""
        return {
            "_type": "artifactVersion",
            "_version": "v0",
            "id": self.id,
            "version": self.version,
            "sequenceName": self._name,
            "usedAs": None,
        }

    def _update_request(self) -> version_pb2.UpdateVersionRequest | None:
        """Returns what was changed since the version was read or saved; None when nothing was.

        Raises:
            ValueError: an alias, tag or the metadata breaks its rules.
        """
        saved = self._logged
        check_tags(self._tags)
        for alias in self._aliases:
            check_alias(alias)
        metadata_json = encode_metadata(to_plain_metadata(self._metadata))
        description = saved.description if saved.has_description else None
        request = version_pb2.UpdateVersionRequest(
            version_id=saved.version_id,
            set_description=self._description != description,
            description=self._description or "",
            description_is_null=self._description is None,
            set_metadata=decode_metadata(metadata_json) != decode_metadata(saved.metadata_json),
            metadata_json=metadata_json,
            aliases_to_add=_difference(self._aliases, saved.aliases),
            aliases_to_remove=_difference(saved.aliases, self._aliases),
            tags_to_add=_difference(self._tags, saved.tags),
            tags_to_remove=_difference(saved.tags, self._tags),
        )
        changes = (request.aliases_to_add, request.aliases_to_remove, request.tags_to_add, request.tags_to_remove)
        if not (request.set_description or request.set_metadata or any(changes)):
            return None
        request.request_id = new_request_id()
        return request


def _difference(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Names that are not among the others, once each; versions are no aliases that one could move."""
    absent = set(others)
    return [name for name in dict.fromkeys(names) if name not in absent and not is_version_alias(name)]


def _iso_time(milliseconds: int) -> str:
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def encode_for_log(metadata: dict[str, Any]) -> bytes:
    """Returns metadata as it travels; judged again, since the dict may have been changed since it was set."""
    return encode_metadata(to_plain_metadata(metadata))
