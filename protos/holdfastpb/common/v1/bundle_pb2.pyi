from holdfastpb.registry.v1 import run_pb2 as _run_pb2
from holdfastpb.registry.v1 import version_pb2 as _version_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CarriedVersion(_message.Message):
    __slots__ = ("entity", "project", "collection", "type", "version", "digest", "size_bytes", "entry_count", "description", "has_description", "metadata_json", "aliases", "tags", "ttl", "run", "has_history_step", "history_step", "use_after_commit", "origin_id", "incremental", "manifest_root", "manifest_root_bytes", "manifest_packs", "content_packs", "semantic_version")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ENTRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    HAS_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    HAS_HISTORY_STEP_FIELD_NUMBER: _ClassVar[int]
    HISTORY_STEP_FIELD_NUMBER: _ClassVar[int]
    USE_AFTER_COMMIT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_ID_FIELD_NUMBER: _ClassVar[int]
    INCREMENTAL_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_ROOT_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_ROOT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_PACKS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_PACKS_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_VERSION_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    collection: str
    type: str
    version: str
    digest: str
    size_bytes: int
    entry_count: int
    description: str
    has_description: bool
    metadata_json: bytes
    aliases: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    ttl: _version_pb2.Ttl
    run: _run_pb2.Run
    has_history_step: bool
    history_step: int
    use_after_commit: bool
    origin_id: str
    incremental: bool
    manifest_root: bytes
    manifest_root_bytes: int
    manifest_packs: _containers.RepeatedScalarFieldContainer[int]
    content_packs: _containers.RepeatedScalarFieldContainer[int]
    semantic_version: _version_pb2.SemanticVersionWish
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., type: _Optional[str] = ..., version: _Optional[str] = ..., digest: _Optional[str] = ..., size_bytes: _Optional[int] = ..., entry_count: _Optional[int] = ..., description: _Optional[str] = ..., has_description: bool = ..., metadata_json: _Optional[bytes] = ..., aliases: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., ttl: _Optional[_Union[_version_pb2.Ttl, _Mapping]] = ..., run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., has_history_step: bool = ..., history_step: _Optional[int] = ..., use_after_commit: bool = ..., origin_id: _Optional[str] = ..., incremental: bool = ..., manifest_root: _Optional[bytes] = ..., manifest_root_bytes: _Optional[int] = ..., manifest_packs: _Optional[_Iterable[int]] = ..., content_packs: _Optional[_Iterable[int]] = ..., semantic_version: _Optional[_Union[_version_pb2.SemanticVersionWish, _Mapping]] = ...) -> None: ...
