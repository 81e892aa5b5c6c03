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
VERSION_STATE_UNSPECIFIED: VersionState
VERSION_STATE_PENDING: VersionState
VERSION_STATE_COMMITTED: VersionState
VERSION_STATE_DELETED: VersionState
VERSION_STATE_FAILED: VersionState

class Version(_message.Message):
    __slots__ = ("version_id", "entity", "project", "collection", "type", "version_index", "state", "digest", "manifest_root", "size_bytes", "entry_count", "description", "has_description", "metadata_json", "aliases", "tags", "created_at_ms", "updated_at_ms", "commit_hash", "logged_by_run_id", "has_history_step", "history_step", "etag")
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
    def __init__(self, version_id: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., type: _Optional[str] = ..., version_index: _Optional[int] = ..., state: _Optional[_Union[VersionState, str]] = ..., digest: _Optional[str] = ..., manifest_root: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., entry_count: _Optional[int] = ..., description: _Optional[str] = ..., has_description: bool = ..., metadata_json: _Optional[bytes] = ..., aliases: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., created_at_ms: _Optional[int] = ..., updated_at_ms: _Optional[int] = ..., commit_hash: _Optional[str] = ..., logged_by_run_id: _Optional[str] = ..., has_history_step: bool = ..., history_step: _Optional[int] = ..., etag: _Optional[str] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("lease_id", "ttl_s")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    ttl_s: int
    def __init__(self, lease_id: _Optional[str] = ..., ttl_s: _Optional[int] = ...) -> None: ...

class BeginVersionRequest(_message.Message):
    __slots__ = ("request_id", "entity", "project", "collection", "type")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    entity: str
    project: str
    collection: str
    type: str
    def __init__(self, request_id: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., type: _Optional[str] = ...) -> None: ...

class BeginVersionResponse(_message.Message):
    __slots__ = ("version_id", "lease", "latest_digest", "latest_manifest_root")
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    LATEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    LATEST_MANIFEST_ROOT_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    lease: Lease
    latest_digest: str
    latest_manifest_root: bytes
    def __init__(self, version_id: _Optional[str] = ..., lease: _Optional[_Union[Lease, _Mapping]] = ..., latest_digest: _Optional[str] = ..., latest_manifest_root: _Optional[bytes] = ...) -> None: ...

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
    __slots__ = ("request_id", "version_id", "lease_id", "artifact_digest", "manifest_root", "description", "has_description", "metadata_json", "aliases", "tags", "run", "has_history_step", "history_step", "use_after_commit")
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
    def __init__(self, request_id: _Optional[str] = ..., version_id: _Optional[str] = ..., lease_id: _Optional[str] = ..., artifact_digest: _Optional[str] = ..., manifest_root: _Optional[bytes] = ..., description: _Optional[str] = ..., has_description: bool = ..., metadata_json: _Optional[bytes] = ..., aliases: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., has_history_step: bool = ..., history_step: _Optional[int] = ..., use_after_commit: bool = ...) -> None: ...

class CommitVersionResponse(_message.Message):
    __slots__ = ("version", "created", "missing_digests", "manifest_needed")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    MISSING_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_NEEDED_FIELD_NUMBER: _ClassVar[int]
    version: Version
    created: bool
    missing_digests: bytes
    manifest_needed: bool
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ..., created: bool = ..., missing_digests: _Optional[bytes] = ..., manifest_needed: bool = ...) -> None: ...

class AbortVersionRequest(_message.Message):
    __slots__ = ("version_id",)
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    def __init__(self, version_id: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("entity", "project", "collection", "alias")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    collection: str
    alias: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., alias: _Optional[str] = ...) -> None: ...

class ResolveVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: Version
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ...) -> None: ...

class ListVersionsRequest(_message.Message):
    __slots__ = ("entity", "project", "collection", "type", "page_size", "page_token", "oldest_first", "tags")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    collection: str
    type: str
    page_size: int
    page_token: str
    oldest_first: bool
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., type: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., oldest_first: bool = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

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
    __slots__ = ("request_id", "version_id", "expected_etag", "set_description", "description", "description_is_null", "set_metadata", "metadata_json", "aliases_to_add", "aliases_to_remove", "tags_to_add", "tags_to_remove")
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
    def __init__(self, request_id: _Optional[str] = ..., version_id: _Optional[str] = ..., expected_etag: _Optional[str] = ..., set_description: bool = ..., description: _Optional[str] = ..., description_is_null: bool = ..., set_metadata: bool = ..., metadata_json: _Optional[bytes] = ..., aliases_to_add: _Optional[_Iterable[str]] = ..., aliases_to_remove: _Optional[_Iterable[str]] = ..., tags_to_add: _Optional[_Iterable[str]] = ..., tags_to_remove: _Optional[_Iterable[str]] = ...) -> None: ...

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
