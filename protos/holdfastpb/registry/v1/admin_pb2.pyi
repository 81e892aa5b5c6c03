from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RetentionSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETENTION_SOURCE_NONE: _ClassVar[RetentionSource]
    RETENTION_SOURCE_COLLECTION: _ClassVar[RetentionSource]
    RETENTION_SOURCE_PROJECT: _ClassVar[RetentionSource]

class RetentionReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETENTION_REASON_UNSPECIFIED: _ClassVar[RetentionReason]
    RETENTION_REASON_AGE: _ClassVar[RetentionReason]
    RETENTION_REASON_KEEP_LAST: _ClassVar[RetentionReason]
    RETENTION_REASON_MAX_BYTES: _ClassVar[RetentionReason]
RETENTION_SOURCE_NONE: RetentionSource
RETENTION_SOURCE_COLLECTION: RetentionSource
RETENTION_SOURCE_PROJECT: RetentionSource
RETENTION_REASON_UNSPECIFIED: RetentionReason
RETENTION_REASON_AGE: RetentionReason
RETENTION_REASON_KEEP_LAST: RetentionReason
RETENTION_REASON_MAX_BYTES: RetentionReason

class Retention(_message.Message):
    __slots__ = ("policy_json", "source")
    POLICY_JSON_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    policy_json: str
    source: RetentionSource
    def __init__(self, policy_json: _Optional[str] = ..., source: _Optional[_Union[RetentionSource, str]] = ...) -> None: ...

class SetRetentionRequest(_message.Message):
    __slots__ = ("request_id", "entity", "project", "collection", "policy_json")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    POLICY_JSON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    entity: str
    project: str
    collection: str
    policy_json: str
    def __init__(self, request_id: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., policy_json: _Optional[str] = ...) -> None: ...

class SetRetentionResponse(_message.Message):
    __slots__ = ("retention",)
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    retention: Retention
    def __init__(self, retention: _Optional[_Union[Retention, _Mapping]] = ...) -> None: ...

class GetRetentionRequest(_message.Message):
    __slots__ = ("entity", "project", "collection")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    collection: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ...) -> None: ...

class GetRetentionResponse(_message.Message):
    __slots__ = ("retention",)
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    retention: Retention
    def __init__(self, retention: _Optional[_Union[Retention, _Mapping]] = ...) -> None: ...

class PreviewRetentionRequest(_message.Message):
    __slots__ = ("entity", "project", "collection", "policy_json")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    POLICY_JSON_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    collection: str
    policy_json: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., policy_json: _Optional[str] = ...) -> None: ...

class DoomedVersion(_message.Message):
    __slots__ = ("collection", "version_id", "version_index", "size_bytes", "created_at_ms", "reason")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_INDEX_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    collection: str
    version_id: str
    version_index: int
    size_bytes: int
    created_at_ms: int
    reason: RetentionReason
    def __init__(self, collection: _Optional[str] = ..., version_id: _Optional[str] = ..., version_index: _Optional[int] = ..., size_bytes: _Optional[int] = ..., created_at_ms: _Optional[int] = ..., reason: _Optional[_Union[RetentionReason, str]] = ...) -> None: ...

class PreviewRetentionResponse(_message.Message):
    __slots__ = ("versions", "version_count", "kept_count", "freed_bytes")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    VERSION_COUNT_FIELD_NUMBER: _ClassVar[int]
    KEPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    FREED_BYTES_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[DoomedVersion]
    version_count: int
    kept_count: int
    freed_bytes: int
    def __init__(self, versions: _Optional[_Iterable[_Union[DoomedVersion, _Mapping]]] = ..., version_count: _Optional[int] = ..., kept_count: _Optional[int] = ..., freed_bytes: _Optional[int] = ...) -> None: ...

class RunGcRequest(_message.Message):
    __slots__ = ("dry_run", "now")
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    dry_run: bool
    now: bool
    def __init__(self, dry_run: bool = ..., now: bool = ...) -> None: ...

class RunGcResponse(_message.Message):
    __slots__ = ("phase", "report_json", "ended")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    REPORT_JSON_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    phase: str
    report_json: str
    ended: bool
    def __init__(self, phase: _Optional[str] = ..., report_json: _Optional[str] = ..., ended: bool = ...) -> None: ...

class GetGcStatusRequest(_message.Message):
    __slots__ = ("cycle_count",)
    CYCLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    cycle_count: int
    def __init__(self, cycle_count: _Optional[int] = ...) -> None: ...

class GcCycle(_message.Message):
    __slots__ = ("cycle", "phase", "started_at_ms", "ended_at_ms", "report_json")
    CYCLE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    REPORT_JSON_FIELD_NUMBER: _ClassVar[int]
    cycle: int
    phase: str
    started_at_ms: int
    ended_at_ms: int
    report_json: str
    def __init__(self, cycle: _Optional[int] = ..., phase: _Optional[str] = ..., started_at_ms: _Optional[int] = ..., ended_at_ms: _Optional[int] = ..., report_json: _Optional[str] = ...) -> None: ...

class GetGcStatusResponse(_message.Message):
    __slots__ = ("cycles",)
    CYCLES_FIELD_NUMBER: _ClassVar[int]
    cycles: _containers.RepeatedCompositeFieldContainer[GcCycle]
    def __init__(self, cycles: _Optional[_Iterable[_Union[GcCycle, _Mapping]]] = ...) -> None: ...
