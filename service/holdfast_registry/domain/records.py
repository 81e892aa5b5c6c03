"""What the registry keeps, as plain values; the database fills them, the wire unpacks them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from holdfast_registry.domain.ttl import Ttl


class VersionState(IntEnum):
    """Life of a version; the numbers are those of the wire and of the database."""

    PENDING = 1
    COMMITTED = 2
    DELETED = 3
    FAILED = 4
    """Given up; or a part whose entries are in the version that was finished with it."""
    PART = 5
    """A writer's share of a distributed version that is not finished."""


class LeaseState(IntEnum):
    """Life of an upload's lease."""

    ACTIVE = 1
    CLOSED = 2
    EXPIRED = 3


class PackState(IntEnum):
    """Life of a pack; ids are random and never used again."""

    UPLOADING = 1
    LIVE = 2
    DOOMED = 3
    QUARANTINED = 4
    """Was LIVE, and is damaged: nothing is read from it any more, its object is kept."""


class EdgeKind(IntEnum):
    """How a run relates to a version."""

    LOGGED = 1
    USED = 2


class CollectionKind(IntEnum):
    """What a collection holds: versions logged into it, or links to versions."""

    SEQUENCE = 1
    PORTFOLIO = 2
    DELETED = 3
    """A sequence that is gone: its versions' rows stay, its name is free.  Never on the wire."""


@dataclass(frozen=True, slots=True)
class CollectionName:
    """Where a collection is."""

    entity: str
    project: str
    name: str

    def __str__(self) -> str:
        """Returns entity/project/name."""
        return f"{self.entity}/{self.project}/{self.name}"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run, as far as lineage needs it; empty fields are unknown."""

    entity: str
    project: str
    run_id: str
    display_name: str = ""
    group: str = ""
    job_type: str = ""
    config_json: bytes = b""
    tags: tuple[str, ...] = ()
    notes: str = ""
    state: str = ""
    host: str = ""
    created_at_ms: int = 0
    updated_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """A collection with a summary of its versions, or of a portfolio's links."""

    collection_id: str
    name: CollectionName
    kind: CollectionKind
    type: str
    description: str
    created_at_ms: int
    updated_at_ms: int
    version_count: int
    latest_version_index: int
    latest_size_bytes: int
    tags: tuple[str, ...]
    ttl: Ttl
    aliases: tuple[str, ...]
    """Only of one that was asked for alone."""


@dataclass(frozen=True, slots=True)
class TypeRecord:
    """An artifact type of a project."""

    name: str
    collection_count: int
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project or registry."""

    project_id: str
    entity: str
    name: str
    description: str | None
    ttl: Ttl
    is_registry: bool
    visibility: str
    types: tuple[str, ...]
    """That a registry takes; none: all."""
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """A version's place in a portfolio."""

    link_id: str
    name: CollectionName
    """The portfolio."""
    version_index: int
    """The portfolio's own count."""
    aliases: tuple[str, ...]
    created_at_ms: int

    def __str__(self) -> str:
        """Returns entity/project/portfolio:vN."""
        return f"{self.name}:v{self.version_index}"


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version with all that a reader sees of it."""

    version_id: str
    name: CollectionName
    type: str
    version_index: int
    state: VersionState
    digest: bytes
    manifest_root: bytes
    size_bytes: int
    entry_count: int
    description: str | None
    metadata_json: bytes
    aliases: tuple[str, ...]
    tags: tuple[str, ...]
    created_at_ms: int
    updated_at_ms: int
    commit_hash: str
    logged_by_run_id: str
    history_step: int | None
    etag: str
    ttl: Ttl
    """Its own wish."""
    expires_at_ms: int | None
    """By its own wish, else its collection's, else its project's; None: never, as for everything that is linked."""
    link_count: int
    link: LinkRecord | None = None
    """Where it was asked for through a portfolio."""
    distributed_id: str = ""
    """Of a part, and of a version that was finished from parts."""
    semantic_version: str = ""
    """Empty of what is not committed."""

    def __str__(self) -> str:
        """Returns entity/project/name:vN."""
        return f"{self.name}:v{self.version_index}"


@dataclass(frozen=True, slots=True)
class LeaseGrant:
    """A lease as its holder sees it."""

    lease_id: str
    ttl_s: int


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """Where one chunk lies."""

    pack_id: bytes
    pack_size_bytes: int
    offset: int
    stored_length: int
    length: int
    codec: int
