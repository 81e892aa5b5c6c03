from holdfastpb.common.v1 import error_pb2 as _error_pb2
from holdfastpb.registry.v1 import run_pb2 as _run_pb2
from holdfastpb.registry.v1 import version_pb2 as _version_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobPriority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_PRIORITY_UNSPECIFIED: _ClassVar[JobPriority]
    JOB_PRIORITY_LOW: _ClassVar[JobPriority]
    JOB_PRIORITY_NORMAL: _ClassVar[JobPriority]
    JOB_PRIORITY_HIGH: _ClassVar[JobPriority]

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_DRAFT: _ClassVar[JobState]
    JOB_STATE_INGEST: _ClassVar[JobState]
    JOB_STATE_UPLOAD: _ClassVar[JobState]
    JOB_STATE_COMMIT: _ClassVar[JobState]
    JOB_STATE_COMMITTED: _ClassVar[JobState]
    JOB_STATE_FAILED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]
JOB_PRIORITY_UNSPECIFIED: JobPriority
JOB_PRIORITY_LOW: JobPriority
JOB_PRIORITY_NORMAL: JobPriority
JOB_PRIORITY_HIGH: JobPriority
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_DRAFT: JobState
JOB_STATE_INGEST: JobState
JOB_STATE_UPLOAD: JobState
JOB_STATE_COMMIT: JobState
JOB_STATE_COMMITTED: JobState
JOB_STATE_FAILED: JobState
JOB_STATE_CANCELLED: JobState

class LogArtifactRequest(_message.Message):
    __slots__ = ("open", "batch", "finalize")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_FIELD_NUMBER: _ClassVar[int]
    open: Open
    batch: RecordBatch
    finalize: Finalize
    def __init__(self, open: _Optional[_Union[Open, _Mapping]] = ..., batch: _Optional[_Union[RecordBatch, _Mapping]] = ..., finalize: _Optional[_Union[Finalize, _Mapping]] = ...) -> None: ...

class Open(_message.Message):
    __slots__ = ("session_id", "client_id", "artifact_name", "artifact_type", "entity", "project", "hold", "priority")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_NAME_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    client_id: str
    artifact_name: str
    artifact_type: str
    entity: str
    project: str
    hold: bool
    priority: JobPriority
    def __init__(self, session_id: _Optional[str] = ..., client_id: _Optional[str] = ..., artifact_name: _Optional[str] = ..., artifact_type: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., hold: bool = ..., priority: _Optional[_Union[JobPriority, str]] = ...) -> None: ...

class RecordBatch(_message.Message):
    __slots__ = ("first_seq", "records")
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    first_seq: int
    records: _containers.RepeatedCompositeFieldContainer[Record]
    def __init__(self, first_seq: _Optional[int] = ..., records: _Optional[_Iterable[_Union[Record, _Mapping]]] = ...) -> None: ...

class Record(_message.Message):
    __slots__ = ("add_file", "add_tree", "add_bytes", "add_reference", "remove", "add_base", "add_entry", "retract", "add_bundle", "set_extra")
    ADD_FILE_FIELD_NUMBER: _ClassVar[int]
    ADD_TREE_FIELD_NUMBER: _ClassVar[int]
    ADD_BYTES_FIELD_NUMBER: _ClassVar[int]
    ADD_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    ADD_BASE_FIELD_NUMBER: _ClassVar[int]
    ADD_ENTRY_FIELD_NUMBER: _ClassVar[int]
    RETRACT_FIELD_NUMBER: _ClassVar[int]
    ADD_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    SET_EXTRA_FIELD_NUMBER: _ClassVar[int]
    add_file: AddFile
    add_tree: AddTree
    add_bytes: AddBytes
    add_reference: AddReference
    remove: Remove
    add_base: AddBase
    add_entry: AddEntry
    retract: Retract
    add_bundle: AddBundle
    set_extra: SetExtra
    def __init__(self, add_file: _Optional[_Union[AddFile, _Mapping]] = ..., add_tree: _Optional[_Union[AddTree, _Mapping]] = ..., add_bytes: _Optional[_Union[AddBytes, _Mapping]] = ..., add_reference: _Optional[_Union[AddReference, _Mapping]] = ..., remove: _Optional[_Union[Remove, _Mapping]] = ..., add_base: _Optional[_Union[AddBase, _Mapping]] = ..., add_entry: _Optional[_Union[AddEntry, _Mapping]] = ..., retract: _Optional[_Union[Retract, _Mapping]] = ..., add_bundle: _Optional[_Union[AddBundle, _Mapping]] = ..., set_extra: _Optional[_Union[SetExtra, _Mapping]] = ...) -> None: ...

class AddFile(_message.Message):
    __slots__ = ("local_path", "path", "overwrite", "mutable")
    LOCAL_PATH_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    MUTABLE_FIELD_NUMBER: _ClassVar[int]
    local_path: bytes
    path: str
    overwrite: bool
    mutable: bool
    def __init__(self, local_path: _Optional[bytes] = ..., path: _Optional[str] = ..., overwrite: bool = ..., mutable: bool = ...) -> None: ...

class AddTree(_message.Message):
    __slots__ = ("local_path", "prefix", "overwrite", "mutable", "include", "exclude", "ignore_symlinks")
    LOCAL_PATH_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    MUTABLE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    IGNORE_SYMLINKS_FIELD_NUMBER: _ClassVar[int]
    local_path: bytes
    prefix: str
    overwrite: bool
    mutable: bool
    include: _containers.RepeatedScalarFieldContainer[str]
    exclude: _containers.RepeatedScalarFieldContainer[str]
    ignore_symlinks: bool
    def __init__(self, local_path: _Optional[bytes] = ..., prefix: _Optional[str] = ..., overwrite: bool = ..., mutable: bool = ..., include: _Optional[_Iterable[str]] = ..., exclude: _Optional[_Iterable[str]] = ..., ignore_symlinks: bool = ...) -> None: ...

class AddBytes(_message.Message):
    __slots__ = ("path", "data", "overwrite", "local_path")
    PATH_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    LOCAL_PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    data: bytes
    overwrite: bool
    local_path: bytes
    def __init__(self, path: _Optional[str] = ..., data: _Optional[bytes] = ..., overwrite: bool = ..., local_path: _Optional[bytes] = ...) -> None: ...

class AddReference(_message.Message):
    __slots__ = ("path", "uri", "digest", "size", "extra_json", "overwrite", "local_path", "checksum", "objects_max")
    PATH_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    EXTRA_JSON_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    LOCAL_PATH_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_MAX_FIELD_NUMBER: _ClassVar[int]
    path: str
    uri: str
    digest: str
    size: int
    extra_json: bytes
    overwrite: bool
    local_path: bytes
    checksum: bool
    objects_max: int
    def __init__(self, path: _Optional[str] = ..., uri: _Optional[str] = ..., digest: _Optional[str] = ..., size: _Optional[int] = ..., extra_json: _Optional[bytes] = ..., overwrite: bool = ..., local_path: _Optional[bytes] = ..., checksum: bool = ..., objects_max: _Optional[int] = ...) -> None: ...

class Remove(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class AddBase(_message.Message):
    __slots__ = ("version_id",)
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    def __init__(self, version_id: _Optional[str] = ...) -> None: ...

class AddEntry(_message.Message):
    __slots__ = ("version_id", "session_id", "source_path", "path", "overwrite")
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_PATH_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    session_id: str
    source_path: str
    path: str
    overwrite: bool
    def __init__(self, version_id: _Optional[str] = ..., session_id: _Optional[str] = ..., source_path: _Optional[str] = ..., path: _Optional[str] = ..., overwrite: bool = ...) -> None: ...

class Retract(_message.Message):
    __slots__ = ("seq",)
    SEQ_FIELD_NUMBER: _ClassVar[int]
    seq: int
    def __init__(self, seq: _Optional[int] = ...) -> None: ...

class AddBundle(_message.Message):
    __slots__ = ("local_path", "number")
    LOCAL_PATH_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    local_path: bytes
    number: int
    def __init__(self, local_path: _Optional[bytes] = ..., number: _Optional[int] = ...) -> None: ...

class SetExtra(_message.Message):
    __slots__ = ("path", "extra_json")
    PATH_FIELD_NUMBER: _ClassVar[int]
    EXTRA_JSON_FIELD_NUMBER: _ClassVar[int]
    path: str
    extra_json: bytes
    def __init__(self, path: _Optional[str] = ..., extra_json: _Optional[bytes] = ...) -> None: ...

class Finalize(_message.Message):
    __slots__ = ("entity", "project", "collection", "type", "description", "has_description", "metadata_json", "aliases", "tags", "run", "has_history_step", "history_step", "use_after_commit", "last_seq", "ttl", "hold", "incremental", "distributed_id", "distributed_finish", "distributed_without_lost_writers", "writer", "origin_id", "priority", "traceparent", "semantic_version")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    HAS_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    HAS_HISTORY_STEP_FIELD_NUMBER: _ClassVar[int]
    HISTORY_STEP_FIELD_NUMBER: _ClassVar[int]
    USE_AFTER_COMMIT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    INCREMENTAL_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTED_ID_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTED_FINISH_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTED_WITHOUT_LOST_WRITERS_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_VERSION_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    collection: str
    type: str
    description: str
    has_description: bool
    metadata_json: bytes
    aliases: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    run: _run_pb2.Run
    has_history_step: bool
    history_step: int
    use_after_commit: bool
    last_seq: int
    ttl: _version_pb2.Ttl
    hold: bool
    incremental: bool
    distributed_id: str
    distributed_finish: bool
    distributed_without_lost_writers: bool
    writer: str
    origin_id: str
    priority: JobPriority
    traceparent: str
    semantic_version: _version_pb2.SemanticVersionWish
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., type: _Optional[str] = ..., description: _Optional[str] = ..., has_description: bool = ..., metadata_json: _Optional[bytes] = ..., aliases: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., has_history_step: bool = ..., history_step: _Optional[int] = ..., use_after_commit: bool = ..., last_seq: _Optional[int] = ..., ttl: _Optional[_Union[_version_pb2.Ttl, _Mapping]] = ..., hold: bool = ..., incremental: bool = ..., distributed_id: _Optional[str] = ..., distributed_finish: bool = ..., distributed_without_lost_writers: bool = ..., writer: _Optional[str] = ..., origin_id: _Optional[str] = ..., priority: _Optional[_Union[JobPriority, str]] = ..., traceparent: _Optional[str] = ..., semantic_version: _Optional[_Union[_version_pb2.SemanticVersionWish, _Mapping]] = ...) -> None: ...

class LogArtifactResponse(_message.Message):
    __slots__ = ("opened", "acked_seq", "ingested_seq", "record_failed", "finalized")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    ACKED_SEQ_FIELD_NUMBER: _ClassVar[int]
    INGESTED_SEQ_FIELD_NUMBER: _ClassVar[int]
    RECORD_FAILED_FIELD_NUMBER: _ClassVar[int]
    FINALIZED_FIELD_NUMBER: _ClassVar[int]
    opened: Opened
    acked_seq: int
    ingested_seq: int
    record_failed: RecordFailed
    finalized: Finalized
    def __init__(self, opened: _Optional[_Union[Opened, _Mapping]] = ..., acked_seq: _Optional[int] = ..., ingested_seq: _Optional[int] = ..., record_failed: _Optional[_Union[RecordFailed, _Mapping]] = ..., finalized: _Optional[_Union[Finalized, _Mapping]] = ...) -> None: ...

class Opened(_message.Message):
    __slots__ = ("acked_seq", "ingested_seq", "finalized")
    ACKED_SEQ_FIELD_NUMBER: _ClassVar[int]
    INGESTED_SEQ_FIELD_NUMBER: _ClassVar[int]
    FINALIZED_FIELD_NUMBER: _ClassVar[int]
    acked_seq: int
    ingested_seq: int
    finalized: bool
    def __init__(self, acked_seq: _Optional[int] = ..., ingested_seq: _Optional[int] = ..., finalized: bool = ...) -> None: ...

class RecordFailed(_message.Message):
    __slots__ = ("seq", "error")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    seq: int
    error: _error_pb2.ErrorDetail
    def __init__(self, seq: _Optional[int] = ..., error: _Optional[_Union[_error_pb2.ErrorDetail, _Mapping]] = ...) -> None: ...

class Finalized(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class WaitArtifactRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class JobProgress(_message.Message):
    __slots__ = ("job_id", "state", "artifact_name", "artifact_type", "entries_read", "entries_total", "bytes_total", "bytes_read", "bytes_deduplicated", "bytes_sent", "waiting_for", "created_at_ms", "finalized_at_ms", "paused", "priority")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_NAME_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_READ_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    BYTES_READ_FIELD_NUMBER: _ClassVar[int]
    BYTES_DEDUPLICATED_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    FINALIZED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    state: JobState
    artifact_name: str
    artifact_type: str
    entries_read: int
    entries_total: int
    bytes_total: int
    bytes_read: int
    bytes_deduplicated: int
    bytes_sent: int
    waiting_for: str
    created_at_ms: int
    finalized_at_ms: int
    paused: bool
    priority: JobPriority
    def __init__(self, job_id: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., artifact_name: _Optional[str] = ..., artifact_type: _Optional[str] = ..., entries_read: _Optional[int] = ..., entries_total: _Optional[int] = ..., bytes_total: _Optional[int] = ..., bytes_read: _Optional[int] = ..., bytes_deduplicated: _Optional[int] = ..., bytes_sent: _Optional[int] = ..., waiting_for: _Optional[str] = ..., created_at_ms: _Optional[int] = ..., finalized_at_ms: _Optional[int] = ..., paused: bool = ..., priority: _Optional[_Union[JobPriority, str]] = ...) -> None: ...

class WaitArtifactResponse(_message.Message):
    __slots__ = ("progress", "version", "error", "created", "warnings", "held")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    progress: JobProgress
    version: _version_pb2.Version
    error: _error_pb2.ErrorDetail
    created: bool
    warnings: _containers.RepeatedScalarFieldContainer[str]
    held: bool
    def __init__(self, progress: _Optional[_Union[JobProgress, _Mapping]] = ..., version: _Optional[_Union[_version_pb2.Version, _Mapping]] = ..., error: _Optional[_Union[_error_pb2.ErrorDetail, _Mapping]] = ..., created: bool = ..., warnings: _Optional[_Iterable[str]] = ..., held: bool = ...) -> None: ...

class CancelArtifactRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class CancelArtifactResponse(_message.Message):
    __slots__ = ("cancelled",)
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    cancelled: bool
    def __init__(self, cancelled: bool = ...) -> None: ...

class ListDraftEntriesRequest(_message.Message):
    __slots__ = ("session_id", "page_token")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    page_token: str
    def __init__(self, session_id: _Optional[str] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDraftEntriesResponse(_message.Message):
    __slots__ = ("segments", "next_page_token", "entry_count", "size_bytes", "digest")
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ENTRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    segments: _containers.RepeatedScalarFieldContainer[bytes]
    next_page_token: str
    entry_count: int
    size_bytes: int
    digest: str
    def __init__(self, segments: _Optional[_Iterable[bytes]] = ..., next_page_token: _Optional[str] = ..., entry_count: _Optional[int] = ..., size_bytes: _Optional[int] = ..., digest: _Optional[str] = ...) -> None: ...

class EndRunRequest(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ...) -> None: ...

class EndRunResponse(_message.Message):
    __slots__ = ("must_report",)
    MUST_REPORT_FIELD_NUMBER: _ClassVar[int]
    must_report: bool
    def __init__(self, must_report: bool = ...) -> None: ...
