from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OverwritePolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OVERWRITE_POLICY_REPLACE: _ClassVar[OverwritePolicy]
    OVERWRITE_POLICY_KEEP: _ClassVar[OverwritePolicy]
    OVERWRITE_POLICY_FAIL: _ClassVar[OverwritePolicy]
OVERWRITE_POLICY_REPLACE: OverwritePolicy
OVERWRITE_POLICY_KEEP: OverwritePolicy
OVERWRITE_POLICY_FAIL: OverwritePolicy

class DownloadRequest(_message.Message):
    __slots__ = ("version_id", "root", "path_prefix", "paths", "exact", "allow_missing_references", "skip_cache", "include", "exclude", "overwrite", "name_kept")
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    PATH_PREFIX_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_REFERENCES_FIELD_NUMBER: _ClassVar[int]
    SKIP_CACHE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    NAME_KEPT_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    root: bytes
    path_prefix: str
    paths: _containers.RepeatedScalarFieldContainer[str]
    exact: bool
    allow_missing_references: bool
    skip_cache: bool
    include: _containers.RepeatedScalarFieldContainer[str]
    exclude: _containers.RepeatedScalarFieldContainer[str]
    overwrite: OverwritePolicy
    name_kept: bool
    def __init__(self, version_id: _Optional[str] = ..., root: _Optional[bytes] = ..., path_prefix: _Optional[str] = ..., paths: _Optional[_Iterable[str]] = ..., exact: bool = ..., allow_missing_references: bool = ..., skip_cache: bool = ..., include: _Optional[_Iterable[str]] = ..., exclude: _Optional[_Iterable[str]] = ..., overwrite: _Optional[_Union[OverwritePolicy, str]] = ..., name_kept: bool = ...) -> None: ...

class DownloadResponse(_message.Message):
    __slots__ = ("entries_total", "entries_done", "bytes_total", "bytes_done", "bytes_kept", "done", "warnings", "unresolved_references", "kept_paths", "kept_total")
    ENTRIES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_DONE_FIELD_NUMBER: _ClassVar[int]
    BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    BYTES_DONE_FIELD_NUMBER: _ClassVar[int]
    BYTES_KEPT_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    UNRESOLVED_REFERENCES_FIELD_NUMBER: _ClassVar[int]
    KEPT_PATHS_FIELD_NUMBER: _ClassVar[int]
    KEPT_TOTAL_FIELD_NUMBER: _ClassVar[int]
    entries_total: int
    entries_done: int
    bytes_total: int
    bytes_done: int
    bytes_kept: int
    done: bool
    warnings: _containers.RepeatedScalarFieldContainer[str]
    unresolved_references: _containers.RepeatedScalarFieldContainer[str]
    kept_paths: _containers.RepeatedScalarFieldContainer[str]
    kept_total: int
    def __init__(self, entries_total: _Optional[int] = ..., entries_done: _Optional[int] = ..., bytes_total: _Optional[int] = ..., bytes_done: _Optional[int] = ..., bytes_kept: _Optional[int] = ..., done: bool = ..., warnings: _Optional[_Iterable[str]] = ..., unresolved_references: _Optional[_Iterable[str]] = ..., kept_paths: _Optional[_Iterable[str]] = ..., kept_total: _Optional[int] = ...) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("version_id", "root")
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    root: bytes
    def __init__(self, version_id: _Optional[str] = ..., root: _Optional[bytes] = ...) -> None: ...

class VerifyResponse(_message.Message):
    __slots__ = ("entries_total", "entries_done", "done", "missing_paths", "damaged_paths", "extra_paths", "references_skipped")
    ENTRIES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_DONE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    MISSING_PATHS_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_PATHS_FIELD_NUMBER: _ClassVar[int]
    EXTRA_PATHS_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_SKIPPED_FIELD_NUMBER: _ClassVar[int]
    entries_total: int
    entries_done: int
    done: bool
    missing_paths: _containers.RepeatedScalarFieldContainer[str]
    damaged_paths: _containers.RepeatedScalarFieldContainer[str]
    extra_paths: _containers.RepeatedScalarFieldContainer[str]
    references_skipped: int
    def __init__(self, entries_total: _Optional[int] = ..., entries_done: _Optional[int] = ..., done: bool = ..., missing_paths: _Optional[_Iterable[str]] = ..., damaged_paths: _Optional[_Iterable[str]] = ..., extra_paths: _Optional[_Iterable[str]] = ..., references_skipped: _Optional[int] = ...) -> None: ...

class ReadEntryRequest(_message.Message):
    __slots__ = ("version_id", "path", "offset", "length")
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    path: str
    offset: int
    length: int
    def __init__(self, version_id: _Optional[str] = ..., path: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class ReadEntryResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class ReadEntriesRequest(_message.Message):
    __slots__ = ("version_id", "paths")
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    version_id: str
    paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version_id: _Optional[str] = ..., paths: _Optional[_Iterable[str]] = ...) -> None: ...

class ReadEntriesResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[EntryContent]
    def __init__(self, entries: _Optional[_Iterable[_Union[EntryContent, _Mapping]]] = ...) -> None: ...

class EntryContent(_message.Message):
    __slots__ = ("number", "data")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    number: int
    data: bytes
    def __init__(self, number: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...
