from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HelloRequest(_message.Message):
    __slots__ = ("protocol_min", "protocol_max", "software_version")
    PROTOCOL_MIN_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MAX_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    protocol_min: int
    protocol_max: int
    software_version: str
    def __init__(self, protocol_min: _Optional[int] = ..., protocol_max: _Optional[int] = ..., software_version: _Optional[str] = ...) -> None: ...

class HelloResponse(_message.Message):
    __slots__ = ("protocol", "protocol_min", "protocol_max", "software_version", "limits", "chunking", "instance_id")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MIN_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MAX_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    CHUNKING_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    protocol_min: int
    protocol_max: int
    software_version: str
    limits: Limits
    chunking: Chunking
    instance_id: str
    def __init__(self, protocol: _Optional[int] = ..., protocol_min: _Optional[int] = ..., protocol_max: _Optional[int] = ..., software_version: _Optional[str] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., chunking: _Optional[_Union[Chunking, _Mapping]] = ..., instance_id: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("message_bytes_max", "records_batch_max", "find_missing_digests_max", "pack_bytes_max", "pack_chunks_max", "manifest_entries_max", "page_size_max")
    MESSAGE_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    RECORDS_BATCH_MAX_FIELD_NUMBER: _ClassVar[int]
    FIND_MISSING_DIGESTS_MAX_FIELD_NUMBER: _ClassVar[int]
    PACK_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    PACK_CHUNKS_MAX_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_ENTRIES_MAX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_MAX_FIELD_NUMBER: _ClassVar[int]
    message_bytes_max: int
    records_batch_max: int
    find_missing_digests_max: int
    pack_bytes_max: int
    pack_chunks_max: int
    manifest_entries_max: int
    page_size_max: int
    def __init__(self, message_bytes_max: _Optional[int] = ..., records_batch_max: _Optional[int] = ..., find_missing_digests_max: _Optional[int] = ..., pack_bytes_max: _Optional[int] = ..., pack_chunks_max: _Optional[int] = ..., manifest_entries_max: _Optional[int] = ..., page_size_max: _Optional[int] = ...) -> None: ...

class Chunking(_message.Message):
    __slots__ = ("algorithm", "chunk_bytes_min", "chunk_bytes_avg", "chunk_bytes_max", "single_chunk_file_bytes_max")
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    CHUNK_BYTES_MIN_FIELD_NUMBER: _ClassVar[int]
    CHUNK_BYTES_AVG_FIELD_NUMBER: _ClassVar[int]
    CHUNK_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    SINGLE_CHUNK_FILE_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    algorithm: str
    chunk_bytes_min: int
    chunk_bytes_avg: int
    chunk_bytes_max: int
    single_chunk_file_bytes_max: int
    def __init__(self, algorithm: _Optional[str] = ..., chunk_bytes_min: _Optional[int] = ..., chunk_bytes_avg: _Optional[int] = ..., chunk_bytes_max: _Optional[int] = ..., single_chunk_file_bytes_max: _Optional[int] = ...) -> None: ...
