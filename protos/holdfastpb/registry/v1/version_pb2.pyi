from holdfastpb.registry.v1 import run_pb2 as _run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VersionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERSION_STATE_UNSPECIFIED: _ClassVar[VersionState]
    VERSION_STATE_PENDING: _ClassVar[VersionState]
    VERSION_STATE_COMMITTED: _ClassVar[VersionState]
    VERSION_STATE_DELETED: _ClassVar[VersionState]
    VERSION_STATE_FAILED: _ClassVar[VersionState]
    VERSION_STATE_PART: _ClassVar[VersionState]

class TtlKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TTL_KIND_INHERIT: _ClassVar[TtlKind]
    TTL_KIND_NONE: _ClassVar[TtlKind]
    TTL_KIND_DURATION: _ClassVar[TtlKind]

class VersionBump(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERSION_BUMP_UNSPECIFIED: _ClassVar[VersionBump]
    VERSION_BUMP_MAJOR: _ClassVar[VersionBump]
    VERSION_BUMP_MINOR: _ClassVar[VersionBump]
    VERSION_BUMP_PATCH: _ClassVar[VersionBump]
VERSION_STATE_UNSPECIFIED: VersionState
VERSION_STATE_PENDING: VersionState
VERSION_STATE_COMMITTED: VersionState
VERSION_STATE_DELETED: VersionState
VERSION_STATE_FAILED: VersionState
VERSION_STATE_PART: VersionState
TTL_KIND_INHERIT: TtlKind
TTL_KIND_NONE: TtlKind
TTL_KIND_DURATION: TtlKind
VERSION_BUMP_UNSPECIFIED: VersionBump
VERSION_BUMP_MAJOR: VersionBump
VERSION_BUMP_MINOR: VersionBump
VERSION_BUMP_PATCH: VersionBump

class Ttl(_message.Message):
    __slots__ = ("kind", "seconds")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    kind: TtlKind
    seconds: int
    def __init__(self, kind: _Optional[_Union[TtlKind, str]] = ..., seconds: _Optional[int] = ...) -> None: ...

class Link(_message.Message):
    __slots__ = ("link_id", "entity", "project", "collection", "version_index", "aliases", "created_at_ms")
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_INDEX_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    link_id: str
    entity: str
    project: str
    collection: str
    version_index: int
    aliases: _containers.RepeatedScalarFieldContainer[str]
    created_at_ms: int
    def __init__(self, link_id: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., version_index: _Optional[int] = ..., aliases: _Optional[_Iterable[str]] = ..., created_at_ms: _Optional[int] = ...) -> None: ...

class Version(_message.Message):
    __slots__ = ("version_id", "entity", "project", "collection", "type", "version_index", "state", "digest", "manifest_root", "size_bytes", "entry_count", "description", "has_description", "metadata_json", "aliases", "tags", "created_at_ms", "updated_at_ms", "commit_hash", "logged_by_run_id", "has_history_step", "history_step", "etag", "ttl", "expires_at_ms", "link", "link_count", "distributed_id", "semantic_version")
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VERSION_INDEX_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_ROOT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ENTRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    HAS_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_HASH_FIELD_NUMBER: _ClassVar[int]
    LOGGED_BY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    HAS_HISTORY_STEP_FIELD_NUMBER: _ClassVar[int]
    HISTORY_STEP_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_MS_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    LINK_COUNT_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTED_ID_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_VERSION_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    entity: str
    project: str
    collection: str
    type: str
    version_index: int
    state: VersionState
    digest: str
    manifest_root: bytes
    size_bytes: int
    entry_count: int
    description: str
    has_description: bool
    metadata_json: bytes
    aliases: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    created_at_ms: int
    updated_at_ms: int
    commit_hash: str
    logged_by_run_id: str
    has_history_step: bool
    history_step: int
    etag: str
    ttl: Ttl
    expires_at_ms: int
    link: Link
    link_count: int
    distributed_id: str
    semantic_version: str
    def __init__(self, version_id: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., type: _Optional[str] = ..., version_index: _Optional[int] = ..., state: _Optional[_Union[VersionState, str]] = ..., digest: _Optional[str] = ..., manifest_root: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., entry_count: _Optional[int] = ..., description: _Optional[str] = ..., has_description: bool = ..., metadata_json: _Optional[bytes] = ..., aliases: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., created_at_ms: _Optional[int] = ..., updated_at_ms: _Optional[int] = ..., commit_hash: _Optional[str] = ..., logged_by_run_id: _Optional[str] = ..., has_history_step: bool = ..., history_step: _Optional[int] = ..., etag: _Optional[str] = ..., ttl: _Optional[_Union[Ttl, _Mapping]] = ..., expires_at_ms: _Optional[int] = ..., link: _Optional[_Union[Link, _Mapping]] = ..., link_count: _Optional[int] = ..., distributed_id: _Optional[str] = ..., semantic_version: _Optional[str] = ...) -> None: ...

class SemanticVersionWish(_message.Message):
    __slots__ = ("exact", "bump", "if_free", "always_new")
    EXACT_FIELD_NUMBER: _ClassVar[int]
    BUMP_FIELD_NUMBER: _ClassVar[int]
    IF_FREE_FIELD_NUMBER: _ClassVar[int]
    ALWAYS_NEW_FIELD_NUMBER: _ClassVar[int]
    exact: str
    bump: VersionBump
    if_free: bool
    always_new: bool
    def __init__(self, exact: _Optional[str] = ..., bump: _Optional[_Union[VersionBump, str]] = ..., if_free: bool = ..., always_new: bool = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("lease_id", "ttl_s")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    ttl_s: int
    def __init__(self, lease_id: _Optional[str] = ..., ttl_s: _Optional[int] = ...) -> None: ...

class BeginVersionRequest(_message.Message):
    __slots__ = ("request_id", "entity", "project", "collection", "type", "distributed_id", "writer", "origin_id", "semantic_version")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTED_ID_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_ID_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_VERSION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    entity: str
    project: str
    collection: str
    type: str
    distributed_id: str
    writer: str
    origin_id: str
    semantic_version: SemanticVersionWish
    def __init__(self, request_id: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., type: _Optional[str] = ..., distributed_id: _Optional[str] = ..., writer: _Optional[str] = ..., origin_id: _Optional[str] = ..., semantic_version: _Optional[_Union[SemanticVersionWish, _Mapping]] = ...) -> None: ...

class BeginVersionResponse(_message.Message):
    __slots__ = ("version_id", "lease", "latest_digest", "latest_manifest_root", "latest_version_id")
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    LATEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    LATEST_MANIFEST_ROOT_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    lease: Lease
    latest_digest: str
    latest_manifest_root: bytes
    latest_version_id: str
    def __init__(self, version_id: _Optional[str] = ..., lease: _Optional[_Union[Lease, _Mapping]] = ..., latest_digest: _Optional[str] = ..., latest_manifest_root: _Optional[bytes] = ..., latest_version_id: _Optional[str] = ...) -> None: ...

class RenewLeaseRequest(_message.Message):
    __slots__ = ("lease_id",)
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    def __init__(self, lease_id: _Optional[str] = ...) -> None: ...

class RenewLeaseResponse(_message.Message):
    __slots__ = ("lease",)
    LEASE_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ...) -> None: ...

class CommitVersionRequest(_message.Message):
    __slots__ = ("request_id", "version_id", "lease_id", "artifact_digest", "manifest_root", "description", "has_description", "metadata_json", "aliases", "tags", "run", "has_history_step", "history_step", "use_after_commit", "ttl", "origin_id", "base_version_id", "semantic_version")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_ROOT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    HAS_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    HAS_HISTORY_STEP_FIELD_NUMBER: _ClassVar[int]
    HISTORY_STEP_FIELD_NUMBER: _ClassVar[int]
    USE_AFTER_COMMIT_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_ID_FIELD_NUMBER: _ClassVar[int]
    BASE_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_VERSION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    version_id: str
    lease_id: str
    artifact_digest: str
    manifest_root: bytes
    description: str
    has_description: bool
    metadata_json: bytes
    aliases: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    run: _run_pb2.Run
    has_history_step: bool
    history_step: int
    use_after_commit: bool
    ttl: Ttl
    origin_id: str
    base_version_id: str
    semantic_version: SemanticVersionWish
    def __init__(self, request_id: _Optional[str] = ..., version_id: _Optional[str] = ..., lease_id: _Optional[str] = ..., artifact_digest: _Optional[str] = ..., manifest_root: _Optional[bytes] = ..., description: _Optional[str] = ..., has_description: bool = ..., metadata_json: _Optional[bytes] = ..., aliases: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., has_history_step: bool = ..., history_step: _Optional[int] = ..., use_after_commit: bool = ..., ttl: _Optional[_Union[Ttl, _Mapping]] = ..., origin_id: _Optional[str] = ..., base_version_id: _Optional[str] = ..., semantic_version: _Optional[_Union[SemanticVersionWish, _Mapping]] = ...) -> None: ...

class CommitVersionResponse(_message.Message):
    __slots__ = ("version", "created", "missing_digests", "manifest_needed", "base_changed", "latest_version_id", "latest_digest")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    MISSING_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_NEEDED_FIELD_NUMBER: _ClassVar[int]
    BASE_CHANGED_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    LATEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    version: Version
    created: bool
    missing_digests: bytes
    manifest_needed: bool
    base_changed: bool
    latest_version_id: str
    latest_digest: str
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ..., created: bool = ..., missing_digests: _Optional[bytes] = ..., manifest_needed: bool = ..., base_changed: bool = ..., latest_version_id: _Optional[str] = ..., latest_digest: _Optional[str] = ...) -> None: ...

class AddPartRequest(_message.Message):
    __slots__ = ("request_id", "version_id", "lease_id", "artifact_digest", "manifest_root", "origin_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_ROOT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    version_id: str
    lease_id: str
    artifact_digest: str
    manifest_root: bytes
    origin_id: str
    def __init__(self, request_id: _Optional[str] = ..., version_id: _Optional[str] = ..., lease_id: _Optional[str] = ..., artifact_digest: _Optional[str] = ..., manifest_root: _Optional[bytes] = ..., origin_id: _Optional[str] = ...) -> None: ...

class AddPartResponse(_message.Message):
    __slots__ = ("version", "missing_digests")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MISSING_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    version: Version
    missing_digests: bytes
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ..., missing_digests: _Optional[bytes] = ...) -> None: ...

class FinishDistributedRequest(_message.Message):
    __slots__ = ("request_id", "entity", "project", "collection", "type", "distributed_id", "description", "has_description", "metadata_json", "aliases", "tags", "run", "has_history_step", "history_step", "use_after_commit", "ttl", "origin_id", "without_lost_writers", "semantic_version")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTED_ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    HAS_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    HAS_HISTORY_STEP_FIELD_NUMBER: _ClassVar[int]
    HISTORY_STEP_FIELD_NUMBER: _ClassVar[int]
    USE_AFTER_COMMIT_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_ID_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_LOST_WRITERS_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_VERSION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    entity: str
    project: str
    collection: str
    type: str
    distributed_id: str
    description: str
    has_description: bool
    metadata_json: bytes
    aliases: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    run: _run_pb2.Run
    has_history_step: bool
    history_step: int
    use_after_commit: bool
    ttl: Ttl
    origin_id: str
    without_lost_writers: bool
    semantic_version: SemanticVersionWish
    def __init__(self, request_id: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., type: _Optional[str] = ..., distributed_id: _Optional[str] = ..., description: _Optional[str] = ..., has_description: bool = ..., metadata_json: _Optional[bytes] = ..., aliases: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., has_history_step: bool = ..., history_step: _Optional[int] = ..., use_after_commit: bool = ..., ttl: _Optional[_Union[Ttl, _Mapping]] = ..., origin_id: _Optional[str] = ..., without_lost_writers: bool = ..., semantic_version: _Optional[_Union[SemanticVersionWish, _Mapping]] = ...) -> None: ...

class FinishDistributedResponse(_message.Message):
    __slots__ = ("version", "created", "waiting_for", "parts")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    version: Version
    created: bool
    waiting_for: _containers.RepeatedScalarFieldContainer[str]
    parts: int
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ..., created: bool = ..., waiting_for: _Optional[_Iterable[str]] = ..., parts: _Optional[int] = ...) -> None: ...

class AbortVersionRequest(_message.Message):
    __slots__ = ("version_id", "withdrawn")
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    withdrawn: bool
    def __init__(self, version_id: _Optional[str] = ..., withdrawn: bool = ...) -> None: ...

class AbortVersionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetVersionRequest(_message.Message):
    __slots__ = ("version_id",)
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    def __init__(self, version_id: _Optional[str] = ...) -> None: ...

class GetVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: Version
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ...) -> None: ...

class ResolveVersionRequest(_message.Message):
    __slots__ = ("entity", "project", "collection", "alias", "numbers_first")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIRST_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    collection: str
    alias: str
    numbers_first: bool
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., alias: _Optional[str] = ..., numbers_first: bool = ...) -> None: ...

class ResolveVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: Version
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ...) -> None: ...

class ListVersionsRequest(_message.Message):
    __slots__ = ("entity", "project", "collection", "type", "page_size", "page_token", "oldest_first", "tags", "filter_json", "order")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    FILTER_JSON_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    collection: str
    type: str
    page_size: int
    page_token: str
    oldest_first: bool
    tags: _containers.RepeatedScalarFieldContainer[str]
    filter_json: str
    order: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., type: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., oldest_first: bool = ..., tags: _Optional[_Iterable[str]] = ..., filter_json: _Optional[str] = ..., order: _Optional[str] = ...) -> None: ...

class ListVersionsResponse(_message.Message):
    __slots__ = ("versions", "next_page_token", "total_count")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[Version]
    next_page_token: str
    total_count: int
    def __init__(self, versions: _Optional[_Iterable[_Union[Version, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_count: _Optional[int] = ...) -> None: ...

class ListManifestSegmentsRequest(_message.Message):
    __slots__ = ("version_id", "page_token", "path_prefix")
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PATH_PREFIX_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    page_token: str
    path_prefix: str
    def __init__(self, version_id: _Optional[str] = ..., page_token: _Optional[str] = ..., path_prefix: _Optional[str] = ...) -> None: ...

class ListManifestSegmentsResponse(_message.Message):
    __slots__ = ("segments", "next_page_token", "entry_count", "size_bytes")
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ENTRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    segments: _containers.RepeatedScalarFieldContainer[bytes]
    next_page_token: str
    entry_count: int
    size_bytes: int
    def __init__(self, segments: _Optional[_Iterable[bytes]] = ..., next_page_token: _Optional[str] = ..., entry_count: _Optional[int] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class UpdateVersionRequest(_message.Message):
    __slots__ = ("request_id", "version_id", "expected_etag", "set_description", "description", "description_is_null", "set_metadata", "metadata_json", "aliases_to_add", "aliases_to_remove", "tags_to_add", "tags_to_remove", "set_ttl", "ttl", "link_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ETAG_FIELD_NUMBER: _ClassVar[int]
    SET_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_IS_NULL_FIELD_NUMBER: _ClassVar[int]
    SET_METADATA_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    ALIASES_TO_ADD_FIELD_NUMBER: _ClassVar[int]
    ALIASES_TO_REMOVE_FIELD_NUMBER: _ClassVar[int]
    TAGS_TO_ADD_FIELD_NUMBER: _ClassVar[int]
    TAGS_TO_REMOVE_FIELD_NUMBER: _ClassVar[int]
    SET_TTL_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    version_id: str
    expected_etag: str
    set_description: bool
    description: str
    description_is_null: bool
    set_metadata: bool
    metadata_json: bytes
    aliases_to_add: _containers.RepeatedScalarFieldContainer[str]
    aliases_to_remove: _containers.RepeatedScalarFieldContainer[str]
    tags_to_add: _containers.RepeatedScalarFieldContainer[str]
    tags_to_remove: _containers.RepeatedScalarFieldContainer[str]
    set_ttl: bool
    ttl: Ttl
    link_id: str
    def __init__(self, request_id: _Optional[str] = ..., version_id: _Optional[str] = ..., expected_etag: _Optional[str] = ..., set_description: bool = ..., description: _Optional[str] = ..., description_is_null: bool = ..., set_metadata: bool = ..., metadata_json: _Optional[bytes] = ..., aliases_to_add: _Optional[_Iterable[str]] = ..., aliases_to_remove: _Optional[_Iterable[str]] = ..., tags_to_add: _Optional[_Iterable[str]] = ..., tags_to_remove: _Optional[_Iterable[str]] = ..., set_ttl: bool = ..., ttl: _Optional[_Union[Ttl, _Mapping]] = ..., link_id: _Optional[str] = ...) -> None: ...

class UpdateVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: Version
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ...) -> None: ...

class DeleteVersionRequest(_message.Message):
    __slots__ = ("request_id", "version_id", "delete_aliases")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    DELETE_ALIASES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    version_id: str
    delete_aliases: bool
    def __init__(self, request_id: _Optional[str] = ..., version_id: _Optional[str] = ..., delete_aliases: bool = ...) -> None: ...

class DeleteVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: Version
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ...) -> None: ...

class RestoreVersionRequest(_message.Message):
    __slots__ = ("request_id", "entity", "project", "collection", "version_index")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_INDEX_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    entity: str
    project: str
    collection: str
    version_index: int
    def __init__(self, request_id: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., version_index: _Optional[int] = ...) -> None: ...

class RestoreVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: Version
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ...) -> None: ...

class SearchVersionsRequest(_message.Message):
    __slots__ = ("entity", "project", "type", "filter_json", "order", "page_size", "page_token", "collection_filter_json", "registry_filter_json", "only_registries")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    FILTER_JSON_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FILTER_JSON_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_FILTER_JSON_FIELD_NUMBER: _ClassVar[int]
    ONLY_REGISTRIES_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    type: str
    filter_json: str
    order: str
    page_size: int
    page_token: str
    collection_filter_json: str
    registry_filter_json: str
    only_registries: bool
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., type: _Optional[str] = ..., filter_json: _Optional[str] = ..., order: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., collection_filter_json: _Optional[str] = ..., registry_filter_json: _Optional[str] = ..., only_registries: bool = ...) -> None: ...

class SearchVersionsResponse(_message.Message):
    __slots__ = ("versions", "next_page_token", "total_count", "freed_bytes")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    FREED_BYTES_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[Version]
    next_page_token: str
    total_count: int
    freed_bytes: int
    def __init__(self, versions: _Optional[_Iterable[_Union[Version, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_count: _Optional[int] = ..., freed_bytes: _Optional[int] = ...) -> None: ...

class ListRunArtifactsRequest(_message.Message):
    __slots__ = ("entity", "project", "run_id", "kind", "page_size", "page_token")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    run_id: str
    kind: _run_pb2.EdgeKind
    page_size: int
    page_token: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., run_id: _Optional[str] = ..., kind: _Optional[_Union[_run_pb2.EdgeKind, str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRunArtifactsResponse(_message.Message):
    __slots__ = ("versions", "next_page_token", "total_count")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[Version]
    next_page_token: str
    total_count: int
    def __init__(self, versions: _Optional[_Iterable[_Union[Version, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_count: _Optional[int] = ...) -> None: ...

class LinkVersionRequest(_message.Message):
    __slots__ = ("request_id", "version_id", "entity", "project", "collection", "aliases")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    version_id: str
    entity: str
    project: str
    collection: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_id: _Optional[str] = ..., version_id: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ...) -> None: ...

class LinkVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: Version
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ...) -> None: ...

class UnlinkVersionRequest(_message.Message):
    __slots__ = ("request_id", "link_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    link_id: str
    def __init__(self, request_id: _Optional[str] = ..., link_id: _Optional[str] = ...) -> None: ...

class UnlinkVersionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLinksRequest(_message.Message):
    __slots__ = ("version_id",)
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    def __init__(self, version_id: _Optional[str] = ...) -> None: ...

class ListLinksResponse(_message.Message):
    __slots__ = ("versions",)
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[Version]
    def __init__(self, versions: _Optional[_Iterable[_Union[Version, _Mapping]]] = ...) -> None: ...
