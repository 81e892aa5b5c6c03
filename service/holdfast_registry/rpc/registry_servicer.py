"""RegistryService on the wire."""

from __future__ import annotations

from holdfast_contract import limits
from holdfast_contract.reasons import Reason
from holdfast_registry import __version__
from holdfast_registry.errors import RegistryError
from holdfast_registry.rpc.boundary import Context
from holdfastpb.common.v1 import hello_pb2
from holdfastpb.registry.v1 import registry_pb2_grpc


class RegistryServicer(registry_pb2_grpc.RegistryServiceServicer):
    """Says what this registry speaks and accepts."""

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id

    async def Hello(self, request: hello_pb2.HelloRequest, context: Context) -> hello_pb2.HelloResponse:
        """Agrees on a protocol."""
        protocol = min(request.protocol_max, limits.PROTOCOL_MAX)
        if protocol < max(request.protocol_min, limits.PROTOCOL_MIN):
            raise RegistryError(
                Reason.PROTOCOL_MISMATCH,
                f"Holdfast {request.software_version[:40] or '?'} speaks protocols {request.protocol_min} to "
                f"{request.protocol_max}, this registry (Holdfast {__version__}) {limits.PROTOCOL_MIN} to "
                f"{limits.PROTOCOL_MAX}; upgrade the older one.",
            )
        return hello_pb2.HelloResponse(
            protocol=protocol,
            protocol_min=limits.PROTOCOL_MIN,
            protocol_max=limits.PROTOCOL_MAX,
            software_version=__version__,
            limits=_LIMITS,
            chunking=_CHUNKING,
            instance_id=self._instance_id,
        )


_LIMITS = hello_pb2.Limits(
    message_bytes_max=limits.MESSAGE_BYTES_MAX,
    records_batch_max=limits.RECORDS_BATCH_MAX,
    find_missing_digests_max=limits.FIND_MISSING_DIGESTS_MAX,
    pack_bytes_max=limits.PACK_BYTES_MAX,
    pack_chunks_max=limits.PACK_CHUNKS_MAX,
    manifest_entries_max=limits.MANIFEST_ENTRIES_MAX,
    page_size_max=limits.PAGE_SIZE_MAX,
)
_CHUNKING = hello_pb2.Chunking(
    algorithm="fastcdc-2020",
    chunk_bytes_min=limits.CHUNK_BYTES_MIN,
    chunk_bytes_avg=limits.CHUNK_BYTES_AVG,
    chunk_bytes_max=limits.CHUNK_BYTES_MAX,
    single_chunk_file_bytes_max=limits.SINGLE_CHUNK_FILE_BYTES_MAX,
)
