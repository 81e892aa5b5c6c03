from holdfastpb.registry.v1 import version_pb2 as _version_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FindMissingRequest(_message.Message):
    __slots__ = ("lease_id", "digests")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    digests: bytes
    def __init__(self, lease_id: _Optional[str] = ..., digests: _Optional[bytes] = ...) -> None: ...

class FindMissingResponse(_message.Message):
    __slots__ = ("missing_bitmap", "missing_count", "lease")
    MISSING_BITMAP_FIELD_NUMBER: _ClassVar[int]
    MISSING_COUNT_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    missing_bitmap: bytes
    missing_count: int
    lease: _version_pb2.Lease
    def __init__(self, missing_bitmap: _Optional[bytes] = ..., missing_count: _Optional[int] = ..., lease: _Optional[_Union[_version_pb2.Lease, _Mapping]] = ...) -> None: ...

class GrantPacksRequest(_message.Message):
    __slots__ = ("lease_id", "packs")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    PACKS_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    packs: _containers.RepeatedCompositeFieldContainer[PackIntent]
    def __init__(self, lease_id: _Optional[str] = ..., packs: _Optional[_Iterable[_Union[PackIntent, _Mapping]]] = ...) -> None: ...

class PackIntent(_message.Message):
    __slots__ = ("pack_id", "size_bytes", "chunk_count", "sha256")
    PACK_ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    pack_id: bytes
    size_bytes: int
    chunk_count: int
    sha256: bytes
    def __init__(self, pack_id: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., chunk_count: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class GrantPacksResponse(_message.Message):
    __slots__ = ("grants",)
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    grants: _containers.RepeatedCompositeFieldContainer[PackGrant]
    def __init__(self, grants: _Optional[_Iterable[_Union[PackGrant, _Mapping]]] = ...) -> None: ...

class PackGrant(_message.Message):
    __slots__ = ("pack_id", "filesystem", "grpc", "http", "sealed", "needs_sha256")
    PACK_ID_FIELD_NUMBER: _ClassVar[int]
    FILESYSTEM_FIELD_NUMBER: _ClassVar[int]
    GRPC_FIELD_NUMBER: _ClassVar[int]
    HTTP_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    NEEDS_SHA256_FIELD_NUMBER: _ClassVar[int]
    pack_id: bytes
    filesystem: FilesystemGrant
    grpc: GrpcGrant
    http: HttpGrant
    sealed: bool
    needs_sha256: bool
    def __init__(self, pack_id: _Optional[bytes] = ..., filesystem: _Optional[_Union[FilesystemGrant, _Mapping]] = ..., grpc: _Optional[_Union[GrpcGrant, _Mapping]] = ..., http: _Optional[_Union[HttpGrant, _Mapping]] = ..., sealed: bool = ..., needs_sha256: bool = ...) -> None: ...

class FilesystemGrant(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class GrpcGrant(_message.Message):
    __slots__ = ("committed_bytes",)
    COMMITTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    committed_bytes: int
    def __init__(self, committed_bytes: _Optional[int] = ...) -> None: ...

class HttpGrant(_message.Message):
    __slots__ = ("url", "headers", "expires_in_s")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    URL_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_S_FIELD_NUMBER: _ClassVar[int]
    url: str
    headers: _containers.ScalarMap[str, str]
    expires_in_s: int
    def __init__(self, url: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ..., expires_in_s: _Optional[int] = ...) -> None: ...

class WritePackRequest(_message.Message):
    __slots__ = ("lease_id", "pack_id", "offset", "data", "finish")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    PACK_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    pack_id: bytes
    offset: int
    data: bytes
    finish: bool
    def __init__(self, lease_id: _Optional[str] = ..., pack_id: _Optional[bytes] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., finish: bool = ...) -> None: ...

class WritePackResponse(_message.Message):
    __slots__ = ("committed_bytes",)
    COMMITTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    committed_bytes: int
    def __init__(self, committed_bytes: _Optional[int] = ...) -> None: ...

class SealPackRequest(_message.Message):
    __slots__ = ("lease_id", "pack_id", "size_bytes")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    PACK_ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    pack_id: bytes
    size_bytes: int
    def __init__(self, lease_id: _Optional[str] = ..., pack_id: _Optional[bytes] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class SealPackResponse(_message.Message):
    __slots__ = ("live_chunks", "lease")
    LIVE_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    live_chunks: int
    lease: _version_pb2.Lease
    def __init__(self, live_chunks: _Optional[int] = ..., lease: _Optional[_Union[_version_pb2.Lease, _Mapping]] = ...) -> None: ...

class LocateChunksRequest(_message.Message):
    __slots__ = ("entity", "digests")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    entity: str
    digests: bytes
    def __init__(self, entity: _Optional[str] = ..., digests: _Optional[bytes] = ...) -> None: ...

class LocateChunksResponse(_message.Message):
    __slots__ = ("packs", "pack_indexes", "offsets", "stored_lengths", "lengths", "codecs")
    PACKS_FIELD_NUMBER: _ClassVar[int]
    PACK_INDEXES_FIELD_NUMBER: _ClassVar[int]
    OFFSETS_FIELD_NUMBER: _ClassVar[int]
    STORED_LENGTHS_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    CODECS_FIELD_NUMBER: _ClassVar[int]
    packs: _containers.RepeatedCompositeFieldContainer[PackReadGrant]
    pack_indexes: _containers.RepeatedScalarFieldContainer[int]
    offsets: _containers.RepeatedScalarFieldContainer[int]
    stored_lengths: _containers.RepeatedScalarFieldContainer[int]
    lengths: _containers.RepeatedScalarFieldContainer[int]
    codecs: bytes
    def __init__(self, packs: _Optional[_Iterable[_Union[PackReadGrant, _Mapping]]] = ..., pack_indexes: _Optional[_Iterable[int]] = ..., offsets: _Optional[_Iterable[int]] = ..., stored_lengths: _Optional[_Iterable[int]] = ..., lengths: _Optional[_Iterable[int]] = ..., codecs: _Optional[bytes] = ...) -> None: ...

class PackReadGrant(_message.Message):
    __slots__ = ("pack_id", "size_bytes", "filesystem", "grpc", "http")
    PACK_ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FILESYSTEM_FIELD_NUMBER: _ClassVar[int]
    GRPC_FIELD_NUMBER: _ClassVar[int]
    HTTP_FIELD_NUMBER: _ClassVar[int]
    pack_id: bytes
    size_bytes: int
    filesystem: FilesystemGrant
    grpc: GrpcReadGrant
    http: HttpReadGrant
    def __init__(self, pack_id: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., filesystem: _Optional[_Union[FilesystemGrant, _Mapping]] = ..., grpc: _Optional[_Union[GrpcReadGrant, _Mapping]] = ..., http: _Optional[_Union[HttpReadGrant, _Mapping]] = ...) -> None: ...

class GrpcReadGrant(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HttpReadGrant(_message.Message):
    __slots__ = ("url", "headers", "expires_in_s")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    URL_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_S_FIELD_NUMBER: _ClassVar[int]
    url: str
    headers: _containers.ScalarMap[str, str]
    expires_in_s: int
    def __init__(self, url: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ..., expires_in_s: _Optional[int] = ...) -> None: ...

class GrantReadsRequest(_message.Message):
    __slots__ = ("entity", "pack_ids")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PACK_IDS_FIELD_NUMBER: _ClassVar[int]
    entity: str
    pack_ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, entity: _Optional[str] = ..., pack_ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class GrantReadsResponse(_message.Message):
    __slots__ = ("grants",)
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    grants: _containers.RepeatedCompositeFieldContainer[PackReadGrant]
    def __init__(self, grants: _Optional[_Iterable[_Union[PackReadGrant, _Mapping]]] = ...) -> None: ...

class ReadPackRequest(_message.Message):
    __slots__ = ("entity", "pack_id", "offsets", "lengths")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PACK_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSETS_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    entity: str
    pack_id: bytes
    offsets: _containers.RepeatedScalarFieldContainer[int]
    lengths: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, entity: _Optional[str] = ..., pack_id: _Optional[bytes] = ..., offsets: _Optional[_Iterable[int]] = ..., lengths: _Optional[_Iterable[int]] = ...) -> None: ...

class ReadPackResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...
