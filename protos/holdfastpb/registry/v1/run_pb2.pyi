from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EdgeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EDGE_KIND_UNSPECIFIED: _ClassVar[EdgeKind]
    EDGE_KIND_LOGGED: _ClassVar[EdgeKind]
    EDGE_KIND_USED: _ClassVar[EdgeKind]
EDGE_KIND_UNSPECIFIED: EdgeKind
EDGE_KIND_LOGGED: EdgeKind
EDGE_KIND_USED: EdgeKind

class Run(_message.Message):
    __slots__ = ("entity", "project", "run_id", "display_name", "group", "job_type", "config_json", "tags", "notes", "state", "host", "created_at_ms", "updated_at_ms")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    JOB_TYPE_FIELD_NUMBER: _ClassVar[int]
    CONFIG_JSON_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    run_id: str
    display_name: str
    group: str
    job_type: str
    config_json: bytes
    tags: _containers.RepeatedScalarFieldContainer[str]
    notes: str
    state: str
    host: str
    created_at_ms: int
    updated_at_ms: int
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., run_id: _Optional[str] = ..., display_name: _Optional[str] = ..., group: _Optional[str] = ..., job_type: _Optional[str] = ..., config_json: _Optional[bytes] = ..., tags: _Optional[_Iterable[str]] = ..., notes: _Optional[str] = ..., state: _Optional[str] = ..., host: _Optional[str] = ..., created_at_ms: _Optional[int] = ..., updated_at_ms: _Optional[int] = ...) -> None: ...

class UpsertRunRequest(_message.Message):
    __slots__ = ("run", "cleared")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CLEARED_FIELD_NUMBER: _ClassVar[int]
    run: Run
    cleared: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ..., cleared: _Optional[_Iterable[str]] = ...) -> None: ...

class UpsertRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("entity", "project", "run_id")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    run_id: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., run_id: _Optional[str] = ...) -> None: ...

class GetRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class RecordUseRequest(_message.Message):
    __slots__ = ("run", "version_id", "kind")
    RUN_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    run: Run
    version_id: str
    kind: EdgeKind
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ..., version_id: _Optional[str] = ..., kind: _Optional[_Union[EdgeKind, str]] = ...) -> None: ...

class RecordUseResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListVersionRunsRequest(_message.Message):
    __slots__ = ("version_id", "kind")
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    kind: EdgeKind
    def __init__(self, version_id: _Optional[str] = ..., kind: _Optional[_Union[EdgeKind, str]] = ...) -> None: ...

class ListVersionRunsResponse(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ...) -> None: ...

class ListRunVersionsRequest(_message.Message):
    __slots__ = ("entity", "project", "run_id", "kind")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    run_id: str
    kind: EdgeKind
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., run_id: _Optional[str] = ..., kind: _Optional[_Union[EdgeKind, str]] = ...) -> None: ...

class ListRunVersionsResponse(_message.Message):
    __slots__ = ("version_ids",)
    VERSION_IDS_FIELD_NUMBER: _ClassVar[int]
    version_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RecordUsesRequest(_message.Message):
    __slots__ = ("uses",)
    USES_FIELD_NUMBER: _ClassVar[int]
    uses: _containers.RepeatedCompositeFieldContainer[RecordUseRequest]
    def __init__(self, uses: _Optional[_Iterable[_Union[RecordUseRequest, _Mapping]]] = ...) -> None: ...

class RecordUsesResponse(_message.Message):
    __slots__ = ("unknown_version_ids",)
    UNKNOWN_VERSION_IDS_FIELD_NUMBER: _ClassVar[int]
    unknown_version_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, unknown_version_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("entity", "project", "filter_json", "order", "page_size", "page_token")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    FILTER_JSON_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    filter_json: str
    order: str
    page_size: int
    page_token: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., filter_json: _Optional[str] = ..., order: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs", "next_page_token", "total_count")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    next_page_token: str
    total_count: int
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_count: _Optional[int] = ...) -> None: ...
