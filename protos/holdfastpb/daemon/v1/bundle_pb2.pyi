from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportBundleRequest(_message.Message):
    __slots__ = ("local_path", "job_ids", "version_ids")
    LOCAL_PATH_FIELD_NUMBER: _ClassVar[int]
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    VERSION_IDS_FIELD_NUMBER: _ClassVar[int]
    local_path: bytes
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    version_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, local_path: _Optional[bytes] = ..., job_ids: _Optional[_Iterable[str]] = ..., version_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ExportBundleResponse(_message.Message):
    __slots__ = ("bytes_total", "bytes_done", "done", "versions")
    BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    BYTES_DONE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    bytes_total: int
    bytes_done: int
    done: bool
    versions: int
    def __init__(self, bytes_total: _Optional[int] = ..., bytes_done: _Optional[int] = ..., done: bool = ..., versions: _Optional[int] = ...) -> None: ...

class BundledVersion(_message.Message):
    __slots__ = ("entity", "project", "collection", "type", "version", "digest", "size_bytes", "entry_count", "aliases", "tags", "semantic_version")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ENTRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_VERSION_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    collection: str
    type: str
    version: str
    digest: str
    size_bytes: int
    entry_count: int
    aliases: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    semantic_version: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., type: _Optional[str] = ..., version: _Optional[str] = ..., digest: _Optional[str] = ..., size_bytes: _Optional[int] = ..., entry_count: _Optional[int] = ..., aliases: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., semantic_version: _Optional[str] = ...) -> None: ...

class DescribeBundleRequest(_message.Message):
    __slots__ = ("local_path",)
    LOCAL_PATH_FIELD_NUMBER: _ClassVar[int]
    local_path: bytes
    def __init__(self, local_path: _Optional[bytes] = ...) -> None: ...

class DescribeBundleResponse(_message.Message):
    __slots__ = ("versions",)
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[BundledVersion]
    def __init__(self, versions: _Optional[_Iterable[_Union[BundledVersion, _Mapping]]] = ...) -> None: ...

class ImportBundleRequest(_message.Message):
    __slots__ = ("local_path", "entity", "project")
    LOCAL_PATH_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    local_path: bytes
    entity: str
    project: str
    def __init__(self, local_path: _Optional[bytes] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ...) -> None: ...

class ImportBundleResponse(_message.Message):
    __slots__ = ("job_ids",)
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ...) -> None: ...
