from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class FolderState(_message.Message):
    __slots__ = ("names", "devices", "inodes", "sizes", "mtimes_ns", "ctimes_ns", "digests", "chunked_entries", "chunk_counts", "chunk_digests", "chunk_lengths")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    INODES_FIELD_NUMBER: _ClassVar[int]
    SIZES_FIELD_NUMBER: _ClassVar[int]
    MTIMES_NS_FIELD_NUMBER: _ClassVar[int]
    CTIMES_NS_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    CHUNKED_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_LENGTHS_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    devices: _containers.RepeatedScalarFieldContainer[int]
    inodes: _containers.RepeatedScalarFieldContainer[int]
    sizes: _containers.RepeatedScalarFieldContainer[int]
    mtimes_ns: _containers.RepeatedScalarFieldContainer[int]
    ctimes_ns: _containers.RepeatedScalarFieldContainer[int]
    digests: bytes
    chunked_entries: _containers.RepeatedScalarFieldContainer[int]
    chunk_counts: _containers.RepeatedScalarFieldContainer[int]
    chunk_digests: bytes
    chunk_lengths: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, names: _Optional[_Iterable[str]] = ..., devices: _Optional[_Iterable[int]] = ..., inodes: _Optional[_Iterable[int]] = ..., sizes: _Optional[_Iterable[int]] = ..., mtimes_ns: _Optional[_Iterable[int]] = ..., ctimes_ns: _Optional[_Iterable[int]] = ..., digests: _Optional[bytes] = ..., chunked_entries: _Optional[_Iterable[int]] = ..., chunk_counts: _Optional[_Iterable[int]] = ..., chunk_digests: _Optional[bytes] = ..., chunk_lengths: _Optional[_Iterable[int]] = ...) -> None: ...
