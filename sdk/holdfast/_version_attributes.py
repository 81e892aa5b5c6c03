"""The attributes of an artifact: what the user may set, and what the registry has given to a logged version."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from holdfast._process import this_process
from holdfast._registry_calls import new_request_id
from holdfast._status_checks import ensure_logged, ensure_not_finalized, not_logged
from holdfast._times import iso_time
from holdfast._ttl import ArtifactTTL, TimeToLive, ttl_message, ttl_of
from holdfast._warn_user import warn_user
from holdfast.errors import InvalidInputError
from holdfast_contract.metadata import decode_metadata, encode_metadata, to_plain_metadata
from holdfast_contract.names import check_tags, check_user_alias, is_version_alias
from holdfast_contract.semantic_versions import check_semantic_version
from holdfastpb.registry.v1 import version_pb2

HISTORY_TYPE = "wandb-history"
"""Of versions that W&B keeps for itself; they have no time to live."""

_STATES = {
    version_pb2.VERSION_STATE_PENDING: "PENDING",
    version_pb2.VERSION_STATE_COMMITTED: "COMMITTED",
    version_pb2.VERSION_STATE_DELETED: "DELETED",
    version_pb2.VERSION_STATE_FAILED: "FAILED",
}


_BUMPS = {
    "major": version_pb2.VERSION_BUMP_MAJOR,
    "minor": version_pb2.VERSION_BUMP_MINOR,
    "patch": version_pb2.VERSION_BUMP_PATCH,
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
        self._ttl: TimeToLive = ArtifactTTL.INHERIT
        self._incremental = False
        self._use_as: str | None = None
        self._storage_region: str | None = None
        self._distributed_id: str | None = None
        self._semantic_version: str | None = None
        self._version_bump = "major"
        self._is_part = False
        self._version: version_pb2.Version | None = None
        self._finalized = False

    def _take_version(self, version: version_pb2.Version) -> None:
        """Becomes, or is refreshed to, a logged version."""
        self._version = version
        self._name = version.collection
        self._type = version.type
        self._description = version.description if version.has_description else None
        self._metadata = decode_metadata(version.metadata_json)
        self._aliases = list(_aliases_of(version))
        self._tags = list(version.tags)
        self._ttl = ttl_of(version.ttl)
        self._distributed_id = version.distributed_id or self._distributed_id

    @property
    def _logged(self) -> version_pb2.Version:
        assert self._version is not None, "only called where ensure_logged has passed"
        return self._version

    @property
    def is_logged(self) -> bool:
        """Whether there is a committed version behind this object."""
        return self._version is not None

    @property
    def is_part(self) -> bool:
        """Whether it is a part of a version that several writers make together, and that nobody has finished here."""
        return self._is_part and self._version is None

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
    def _link(self) -> version_pb2.Link | None:
        """The link by which this object was reached; None when it was reached where it was logged."""
        return self._version.link if self._version is not None and self._version.HasField("link") else None

    @property
    def _place(self) -> version_pb2.Version | version_pb2.Link:
        """What says where this object was found: the link, or the version itself."""
        return self._link or self._logged

    @property
    @ensure_logged
    def entity(self) -> str:
        """The entity (tenant) of the collection that the artifact was reached in."""
        return str(self._place.entity)

    @property
    @ensure_logged
    def project(self) -> str:
        """The project of the collection that the artifact was reached in."""
        return str(self._place.project)

    @property
    def name(self) -> str:
        """`name:vN`; before it is logged the bare name, since the version is not known yet.

        Of a link: name and version of the collection that it was linked into.
        """
        if self._version is None:
            return self._name
        return f"{self._place.collection}:v{self._place.version_index}"

    @property
    def qualified_name(self) -> str:
        """`entity/project/name:vN`; raises `ArtifactNotLoggedError` on a draft."""
        return f"{self.entity}/{self.project}/{self.name}"

    @property
    @ensure_logged
    def version(self) -> str:
        """`vN`; counted from v0 in each collection, without gaps.  A link is counted by the collection it was linked into."""
        return f"v{self._place.version_index}"

    @property
    def semantic_version(self) -> str | None:
        """`MAJOR.MINOR.PATCH[-prerelease][+build]`, unique in its collection: what the version is called beside `vN`.

        None on a draft, which gets the next one by `version_bump`.  A draft may be given one that the collection has never given; then
        it is a version of its own even where its content equals the latest's.
        """
        return self._version.semantic_version if self._version is not None else self._semantic_version

    @semantic_version.setter
    @ensure_not_finalized
    def semantic_version(self, semantic_version: str | None) -> None:
        if semantic_version is not None:
            check_semantic_version(semantic_version)
        self._semantic_version = semantic_version

    @property
    def version_bump(self) -> str:
        """By how much the semantic version of a draft will be above the highest of its collection: "major", "minor" or "patch"."""
        return self._version_bump

    @version_bump.setter
    @ensure_not_finalized
    def version_bump(self, version_bump: str) -> None:
        if version_bump not in _BUMPS:
            raise InvalidInputError(f"version_bump is one of {', '.join(_BUMPS)}, not {version_bump!r:.80}")
        self._version_bump = version_bump

    def _say_semantic_version(self, wish: version_pb2.SemanticVersionWish) -> None:
        """Fills in what a draft was told; the rest is as it was."""
        if self._semantic_version is not None:
            wish.exact = self._semantic_version
        if self._version_bump != "major":
            wish.bump = _BUMPS[self._version_bump]

    @property
    @ensure_logged
    def source_entity(self) -> str:
        """The entity of the collection that the version was logged into."""
        return str(self._logged.entity)

    @property
    @ensure_logged
    def source_project(self) -> str:
        """The project of the collection that the version was logged into."""
        return str(self._logged.project)

    @property
    def source_name(self) -> str:
        """As `name`, in the collection that the version was logged into."""
        return f"{self._name}:v{self._version.version_index}" if self._version is not None else self._name

    @property
    def source_qualified_name(self) -> str:
        """As `qualified_name`, in the collection that the version was logged into."""
        return f"{self.source_entity}/{self.source_project}/{self.source_name}"

    @property
    @ensure_logged
    def source_version(self) -> str:
        """As `version`, in the collection that the version was logged into."""
        return f"v{self._logged.version_index}"

    @property
    def is_link(self) -> bool:
        """Whether this object was reached through a link; then it has a name and a version of the link's collection."""
        return self._link is not None

    @property
    def type(self) -> str:
        """The artifact's type, for example "dataset" or "model"."""
        return self._type

    @property
    @ensure_logged
    def url(self) -> str:
        """A URL that names the version: below the setting `app_url` when there is one, else `holdfast://entity/project/name:vN`."""
        app_url = this_process().settings.app_url.rstrip("/")
        if not app_url:
            return f"holdfast://{self.qualified_name}"
        place = self._place
        path = (place.entity, place.project, "artifacts", self._type, place.collection, self.version)
        return f"{app_url}/{'/'.join(quote(part, safe='') for part in path)}"

    # --- what the user may change -------------------------------------------------------------------------------------

    @property
    def description(self) -> str | None:
        """Free text, Markdown; `save()` keeps a change of a logged version."""
        return self._description

    @description.setter
    def description(self, description: str | None) -> None:
        self._description = checked_description(description)

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
            self._check_new_alias(alias)
        self._aliases = list(aliases)

    def _check_new_alias(self, alias: str) -> None:
        """Refuses versions, except its own: lists that W&B's clients gave have it among the aliases, where it changes nothing."""
        if alias != self.version:
            check_user_alias(alias)

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

    @property
    def ttl(self) -> datetime.timedelta | None:
        """How long the version is kept, counted from its creation; None: for ever.

        May be set to a positive time, to None, or to `ArtifactTTL.INHERIT` (the default of its collection, else of its project);
        `save()` keeps a change of a logged version.  What is inherited is known once it is logged and saved: before that, reading it
        raises `ArtifactNotLoggedError`.
        """
        if not isinstance(self._ttl, ArtifactTTL):
            return self._ttl
        if self._version is None or not isinstance(ttl_of(self._version.ttl), ArtifactTTL):
            raise not_logged(self, "ttl")
        if not self._version.expires_at_ms:
            return None
        return datetime.timedelta(milliseconds=self._version.expires_at_ms - self._version.created_at_ms)

    @ttl.setter
    def ttl(self, ttl: TimeToLive) -> None:
        if self._type == HISTORY_TYPE:
            raise ValueError(f"Cannot set artifact TTL for type {HISTORY_TYPE}")
        if self.is_link:
            raise ValueError(
                f"Cannot set TTL for link artifact {self.name}. Set it on its source_artifact, or unlink it first."
            )
        self._ttl = ttl_of(ttl_message(ttl))

    @property
    def distributed_id(self) -> str | None:
        """What names the version that several writers make together; see `Run.upsert_artifact`."""
        return self._distributed_id

    @distributed_id.setter
    def distributed_id(self, distributed_id: str | None) -> None:
        self._distributed_id = distributed_id

    @property
    def incremental(self) -> bool:
        """Whether the entries come on top of those of the collection's latest version."""
        return self._incremental

    @property
    def use_as(self) -> str | None:
        """What was given when the draft was made; without effect."""
        return self._use_as

    @property
    def storage_region(self) -> str | None:
        """What was given when the draft was made; the registry decides where bytes are."""
        return self._storage_region

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
        return iso_time(self._logged.created_at_ms)

    @property
    @ensure_logged
    def updated_at(self) -> str:
        """When its aliases, tags, description or metadata changed last: ISO 8601, UTC."""
        return iso_time(self._logged.updated_at_ms or self._logged.created_at_ms)

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
            "version": self.source_version,
            "sequenceName": self._name,
            "usedAs": self._use_as,
        }

    def _update_request(self) -> version_pb2.UpdateVersionRequest | None:
        """Returns what was changed since the version was read or saved; None when nothing was.

        Raises:
            ValueError: an alias, tag or the metadata breaks its rules.
        """
        saved, request = self._logged, version_pb2.UpdateVersionRequest()
        self._say_names_to_change(request)
        metadata_json = encode_metadata(to_plain_metadata(self._metadata))
        if decode_metadata(metadata_json) != decode_metadata(saved.metadata_json):
            request.set_metadata, request.metadata_json = True, metadata_json
        if self._description != (saved.description if saved.has_description else None):
            request.set_description = True
            request.description = self._description or ""
            request.description_is_null = self._description is None
        if self._ttl != ttl_of(saved.ttl):
            request.set_ttl = True
            request.ttl.CopyFrom(ttl_message(self._ttl))
        if not request.ListFields():
            return None
        request.version_id = saved.version_id
        request.request_id = new_request_id()
        if self._link is not None:
            request.link_id = self._link.link_id
        return request

    def _say_names_to_change(self, request: version_pb2.UpdateVersionRequest) -> None:
        saved_aliases, saved_tags = _aliases_of(self._logged), self._logged.tags
        for alias in self._aliases:
            self._check_new_alias(alias)
        check_tags(self._tags)
        request.aliases_to_add.extend(_difference(self._aliases, saved_aliases))
        request.aliases_to_remove.extend(_difference(saved_aliases, self._aliases))
        request.tags_to_add.extend(_difference(self._tags, saved_tags))
        request.tags_to_remove.extend(_difference(saved_tags, self._tags))
        if self.is_link and (request.tags_to_add or request.tags_to_remove):
            warn_user(f"Editing the tags of the link {self.name} edits those of its source.")


def checked_description(description: str | None) -> str | None:
    """Returns the description.

    Raises:
        TypeError: it is no text.
    """
    if description is not None and not isinstance(description, str):
        raise TypeError(f"description must be a str or None, not {type(description).__name__}")
    return description


def _aliases_of(version: version_pb2.Version) -> Iterable[str]:
    """The aliases in the collection that a version was reached in."""
    return version.link.aliases if version.HasField("link") else version.aliases


def _difference(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Names that are not among the others, once each; versions are no aliases that one could move."""
    absent = set(others)
    return [name for name in dict.fromkeys(names) if name not in absent and not is_version_alias(name)]


def encode_for_log(metadata: dict[str, Any]) -> bytes:
    """Returns metadata as it travels; judged again, since the dict may have been changed since it was set."""
    return encode_metadata(to_plain_metadata(metadata))
