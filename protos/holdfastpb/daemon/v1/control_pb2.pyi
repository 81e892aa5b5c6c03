from holdfastpb.common.v1 import hello_pb2 as _hello_pb2
from holdfastpb.daemon.v1 import log_pb2 as _log_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("pid", "started_at_ms", "software_version", "data_dir", "registry", "registry_reachable", "registry_problem", "spool_bytes", "spool_bytes_max", "cache_bytes", "cache_bytes_max", "jobs_active", "clients", "read_bytes_per_s", "sent_bytes_per_s", "peak_memory_bytes", "fetched_bytes", "held_bytes", "jobs_held", "figures", "up_bytes_per_s_max", "down_bytes_per_s_max", "jobs_paused")
    PID_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    DATA_DIR_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_REACHABLE_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SPOOL_BYTES_FIELD_NUMBER: _ClassVar[int]
    SPOOL_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    CACHE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CACHE_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    JOBS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    READ_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    SENT_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    PEAK_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    FETCHED_BYTES_FIELD_NUMBER: _ClassVar[int]
    HELD_BYTES_FIELD_NUMBER: _ClassVar[int]
    JOBS_HELD_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    UP_BYTES_PER_S_MAX_FIELD_NUMBER: _ClassVar[int]
    DOWN_BYTES_PER_S_MAX_FIELD_NUMBER: _ClassVar[int]
    JOBS_PAUSED_FIELD_NUMBER: _ClassVar[int]
    pid: int
    started_at_ms: int
    software_version: str
    data_dir: str
    registry: str
    registry_reachable: bool
    registry_problem: str
    spool_bytes: int
    spool_bytes_max: int
    cache_bytes: int
    cache_bytes_max: int
    jobs_active: int
    clients: int
    read_bytes_per_s: int
    sent_bytes_per_s: int
    peak_memory_bytes: int
    fetched_bytes: int
    held_bytes: int
    jobs_held: int
    figures: DaemonFigures
    up_bytes_per_s_max: int
    down_bytes_per_s_max: int
    jobs_paused: int
    def __init__(self, pid: _Optional[int] = ..., started_at_ms: _Optional[int] = ..., software_version: _Optional[str] = ..., data_dir: _Optional[str] = ..., registry: _Optional[str] = ..., registry_reachable: bool = ..., registry_problem: _Optional[str] = ..., spool_bytes: _Optional[int] = ..., spool_bytes_max: _Optional[int] = ..., cache_bytes: _Optional[int] = ..., cache_bytes_max: _Optional[int] = ..., jobs_active: _Optional[int] = ..., clients: _Optional[int] = ..., read_bytes_per_s: _Optional[int] = ..., sent_bytes_per_s: _Optional[int] = ..., peak_memory_bytes: _Optional[int] = ..., fetched_bytes: _Optional[int] = ..., held_bytes: _Optional[int] = ..., jobs_held: _Optional[int] = ..., figures: _Optional[_Union[DaemonFigures, _Mapping]] = ..., up_bytes_per_s_max: _Optional[int] = ..., down_bytes_per_s_max: _Optional[int] = ..., jobs_paused: _Optional[int] = ...) -> None: ...

class DaemonFigures(_message.Message):
    __slots__ = ("jobs", "jobs_ended", "hashed_bytes", "uploaded_bytes", "deduplicated_bytes", "upload_queue", "retries", "registry_calls", "registry_call_seconds", "registry_latency_p50_s", "registry_latency_p99_s")
    class JobsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class JobsEndedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    JOBS_FIELD_NUMBER: _ClassVar[int]
    JOBS_ENDED_FIELD_NUMBER: _ClassVar[int]
    HASHED_BYTES_FIELD_NUMBER: _ClassVar[int]
    UPLOADED_BYTES_FIELD_NUMBER: _ClassVar[int]
    DEDUPLICATED_BYTES_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_QUEUE_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_CALLS_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_CALL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_LATENCY_P50_S_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_LATENCY_P99_S_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.ScalarMap[str, int]
    jobs_ended: _containers.ScalarMap[str, int]
    hashed_bytes: int
    uploaded_bytes: int
    deduplicated_bytes: int
    upload_queue: int
    retries: int
    registry_calls: int
    registry_call_seconds: float
    registry_latency_p50_s: float
    registry_latency_p99_s: float
    def __init__(self, jobs: _Optional[_Mapping[str, int]] = ..., jobs_ended: _Optional[_Mapping[str, int]] = ..., hashed_bytes: _Optional[int] = ..., uploaded_bytes: _Optional[int] = ..., deduplicated_bytes: _Optional[int] = ..., upload_queue: _Optional[int] = ..., retries: _Optional[int] = ..., registry_calls: _Optional[int] = ..., registry_call_seconds: _Optional[float] = ..., registry_latency_p50_s: _Optional[float] = ..., registry_latency_p99_s: _Optional[float] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("active_only", "page_size")
    ACTIVE_ONLY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    active_only: bool
    page_size: int
    def __init__(self, active_only: bool = ..., page_size: _Optional[int] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("progress", "qualified_name", "version", "error", "held")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    QUALIFIED_NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    progress: _log_pb2.JobProgress
    qualified_name: str
    version: str
    error: str
    held: bool
    def __init__(self, progress: _Optional[_Union[_log_pb2.JobProgress, _Mapping]] = ..., qualified_name: _Optional[str] = ..., version: _Optional[str] = ..., error: _Optional[str] = ..., held: bool = ...) -> None: ...

class SyncRequest(_message.Message):
    __slots__ = ("job_ids",)
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class SyncResponse(_message.Message):
    __slots__ = ("job_ids",)
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class PauseJobsRequest(_message.Message):
    __slots__ = ("job_ids",)
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class PauseJobsResponse(_message.Message):
    __slots__ = ("job_ids",)
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ResumeJobsRequest(_message.Message):
    __slots__ = ("job_ids",)
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ResumeJobsResponse(_message.Message):
    __slots__ = ("job_ids",)
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CancelJobsRequest(_message.Message):
    __slots__ = ("job_ids",)
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CancelJobsResponse(_message.Message):
    __slots__ = ("job_ids",)
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class SetJobPriorityRequest(_message.Message):
    __slots__ = ("job_ids", "priority")
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    priority: _log_pb2.JobPriority
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ..., priority: _Optional[_Union[_log_pb2.JobPriority, str]] = ...) -> None: ...

class SetJobPriorityResponse(_message.Message):
    __slots__ = ("job_ids",)
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class SetLimitsRequest(_message.Message):
    __slots__ = ("up_bytes_per_s", "down_bytes_per_s")
    UP_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    DOWN_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    up_bytes_per_s: int
    down_bytes_per_s: int
    def __init__(self, up_bytes_per_s: _Optional[int] = ..., down_bytes_per_s: _Optional[int] = ...) -> None: ...

class SetLimitsResponse(_message.Message):
    __slots__ = ("up_bytes_per_s", "down_bytes_per_s")
    UP_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    DOWN_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    up_bytes_per_s: int
    down_bytes_per_s: int
    def __init__(self, up_bytes_per_s: _Optional[int] = ..., down_bytes_per_s: _Optional[int] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DrainResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LoginRequest(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: str
    def __init__(self, token: _Optional[str] = ...) -> None: ...

class LoginResponse(_message.Message):
    __slots__ = ("registry", "token_id", "name", "role", "entity", "project")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    registry: str
    token_id: str
    name: str
    role: str
    entity: str
    project: str
    def __init__(self, registry: _Optional[str] = ..., token_id: _Optional[str] = ..., name: _Optional[str] = ..., role: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ...) -> None: ...

class LogoutRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LogoutResponse(_message.Message):
    __slots__ = ("registry",)
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    registry: str
    def __init__(self, registry: _Optional[str] = ...) -> None: ...

class TrimCacheRequest(_message.Message):
    __slots__ = ("bytes_max", "remove_partial_files")
    BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    REMOVE_PARTIAL_FILES_FIELD_NUMBER: _ClassVar[int]
    bytes_max: int
    remove_partial_files: bool
    def __init__(self, bytes_max: _Optional[int] = ..., remove_partial_files: bool = ...) -> None: ...

class TrimCacheResponse(_message.Message):
    __slots__ = ("freed_bytes", "cache_bytes")
    FREED_BYTES_FIELD_NUMBER: _ClassVar[int]
    CACHE_BYTES_FIELD_NUMBER: _ClassVar[int]
    freed_bytes: int
    cache_bytes: int
    def __init__(self, freed_bytes: _Optional[int] = ..., cache_bytes: _Optional[int] = ...) -> None: ...
