from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ManifestSegment(_message.Message):
    __slots__ = ("paths", "digests", "sizes", "chunked_entries", "chunk_counts", "chunk_digests", "chunk_lengths", "references", "extras", "long_chunk_lists", "origins")
    PATHS_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    SIZES_FIELD_NUMBER: _ClassVar[int]
    CHUNKED_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_LENGTHS_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    EXTRAS_FIELD_NUMBER: _ClassVar[int]
    LONG_CHUNK_LISTS_FIELD_NUMBER: _ClassVar[int]
    ORIGINS_FIELD_NUMBER: _ClassVar[int]
    paths: _containers.RepeatedScalarFieldContainer[str]
    digests: bytes
    sizes: _containers.RepeatedScalarFieldContainer[int]
    chunked_entries: _containers.RepeatedScalarFieldContainer[int]
    chunk_counts: _containers.RepeatedScalarFieldContainer[int]
    chunk_digests: bytes
    chunk_lengths: _containers.RepeatedScalarFieldContainer[int]
    references: _containers.RepeatedCompositeFieldContainer[Reference]
    extras: _containers.RepeatedCompositeFieldContainer[Extra]
    long_chunk_lists: _containers.RepeatedCompositeFieldContainer[LongChunkList]
    origins: _containers.RepeatedCompositeFieldContainer[Origin]
    def __init__(self, paths: _Optional[_Iterable[str]] = ..., digests: _Optional[bytes] = ..., sizes: _Optional[_Iterable[int]] = ..., chunked_entries: _Optional[_Iterable[int]] = ..., chunk_counts: _Optional[_Iterable[int]] = ..., chunk_digests: _Optional[bytes] = ..., chunk_lengths: _Optional[_Iterable[int]] = ..., references: _Optional[_Iterable[_Union[Reference, _Mapping]]] = ..., extras: _Optional[_Iterable[_Union[Extra, _Mapping]]] = ..., long_chunk_lists: _Optional[_Iterable[_Union[LongChunkList, _Mapping]]] = ..., origins: _Optional[_Iterable[_Union[Origin, _Mapping]]] = ...) -> None: ...

class Origin(_message.Message):
    __slots__ = ("entry_index", "uri")
    ENTRY_INDEX_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    entry_index: int
    uri: str
    def __init__(self, entry_index: _Optional[int] = ..., uri: _Optional[str] = ...) -> None: ...

class LongChunkList(_message.Message):
    __slots__ = ("entry_index", "list_digests", "list_lengths", "chunk_count")
    ENTRY_INDEX_FIELD_NUMBER: _ClassVar[int]
    LIST_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    LIST_LENGTHS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    entry_index: int
    list_digests: bytes
    list_lengths: _containers.RepeatedScalarFieldContainer[int]
    chunk_count: int
    def __init__(self, entry_index: _Optional[int] = ..., list_digests: _Optional[bytes] = ..., list_lengths: _Optional[_Iterable[int]] = ..., chunk_count: _Optional[int] = ...) -> None: ...

class ChunkList(_message.Message):
    __slots__ = ("digests", "lengths")
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    digests: bytes
    lengths: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, digests: _Optional[bytes] = ..., lengths: _Optional[_Iterable[int]] = ...) -> None: ...

class Reference(_message.Message):
    __slots__ = ("entry_index", "uri", "digest")
    ENTRY_INDEX_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    entry_index: int
    uri: str
    digest: str
    def __init__(self, entry_index: _Optional[int] = ..., uri: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class Extra(_message.Message):
    __slots__ = ("entry_index", "json")
    ENTRY_INDEX_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    entry_index: int
    json: bytes
    def __init__(self, entry_index: _Optional[int] = ..., json: _Optional[bytes] = ...) -> None: ...

class ManifestRoot(_message.Message):
    __slots__ = ("segments", "entry_count", "size_bytes")
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    ENTRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    segments: _containers.RepeatedCompositeFieldContainer[SegmentRef]
    entry_count: int
    size_bytes: int
    def __init__(self, segments: _Optional[_Iterable[_Union[SegmentRef, _Mapping]]] = ..., entry_count: _Optional[int] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class SegmentRef(_message.Message):
    __slots__ = ("digest", "length", "entry_count", "size_bytes", "first_path", "last_path")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    ENTRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FIRST_PATH_FIELD_NUMBER: _ClassVar[int]
    LAST_PATH_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    length: int
    entry_count: int
    size_bytes: int
    first_path: str
    last_path: str
    def __init__(self, digest: _Optional[bytes] = ..., length: _Optional[int] = ..., entry_count: _Optional[int] = ..., size_bytes: _Optional[int] = ..., first_path: _Optional[str] = ..., last_path: _Optional[str] = ...) -> None: ...
