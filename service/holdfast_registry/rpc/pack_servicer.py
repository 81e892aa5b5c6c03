"""PackService on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from holdfast_contract.limits import STREAM_IDLE_S
from holdfast_contract.reasons import Reason
from holdfast_registry.blobstore.store import BlobStore
from holdfast_registry.chunk_reader import ChunkReader
from holdfast_registry.database.packs import PackIntent
from holdfast_registry.domain.records import ChunkPlace
from holdfast_registry.errors import RegistryError, invalid
from holdfast_registry.pack_intake import Grant, PackIntake, PackWriter
from holdfast_registry.rpc.boundary import Context
from holdfast_registry.rpc.conversion import bitmap, column_of_digests, lease_message
from holdfastpb.registry.v1 import pack_pb2, pack_pb2_grpc

MAP_IN_THREAD_MIN = 4096
"""Answers with more digests are put together in a thread: 65,536 would hold the event loop for 50 ms."""


class PackServicer(pack_pb2_grpc.PackServiceServicer):
    """Unpacks, calls, packs."""

    def __init__(self, intake: PackIntake, reader: ChunkReader, store: BlobStore, *, same_machine: bool) -> None:
        """Puts it together.

        Args:
            intake: takes packs in.
            reader: finds and reads them.
            store: knows their paths.
            same_machine: the callers are processes of this user and may use those paths.
        """
        self._intake = intake
        self._reader = reader
        self._store = store
        self._same_machine = same_machine

    async def FindMissing(self, request: pack_pb2.FindMissingRequest, context: Context) -> pack_pb2.FindMissingResponse:
        """Looks chunks up."""
        missing = await self._intake.find_missing(request.lease_id, column_of_digests(request.digests))
        return pack_pb2.FindMissingResponse(
            missing_bitmap=bitmap(missing.flags),
            missing_count=sum(missing.flags),
            lease=lease_message(missing.lease),
        )

    async def GrantPacks(self, request: pack_pb2.GrantPacksRequest, context: Context) -> pack_pb2.GrantPacksResponse:
        """Grants packs."""
        intents = [PackIntent(pack.pack_id, pack.size_bytes, pack.chunk_count) for pack in request.packs]
        grants = await self._intake.grant(request.lease_id, intents)
        return pack_pb2.GrantPacksResponse(grants=map(self._grant_message, grants))

    def _grant_message(self, grant: Grant) -> pack_pb2.PackGrant:
        if self._same_machine:
            path = str(self._store.incoming_path(grant.pack_id))
            how = pack_pb2.FilesystemGrant(path=path)
            return pack_pb2.PackGrant(pack_id=grant.pack_id, filesystem=how, sealed=grant.sealed)
        stream = pack_pb2.GrpcGrant(committed_bytes=grant.received_bytes)
        return pack_pb2.PackGrant(pack_id=grant.pack_id, grpc=stream, sealed=grant.sealed)

    async def WritePack(
        self, request_iterator: AsyncIterator[pack_pb2.WritePackRequest], context: Context
    ) -> pack_pb2.WritePackResponse:
        """Takes a pack's bytes."""
        first = await _next_message(request_iterator)
        if first is None:
            raise invalid("The stream ended before its first message.")
        async with self._intake.writing(first.lease_id, first.pack_id) as writer:
            return pack_pb2.WritePackResponse(committed_bytes=await _write_all(writer, first, request_iterator))

    async def SealPack(self, request: pack_pb2.SealPackRequest, context: Context) -> pack_pb2.SealPackResponse:
        """Seals a pack."""
        sealed = await self._intake.seal(request.lease_id, request.pack_id, request.size_bytes)
        return pack_pb2.SealPackResponse(live_chunks=sealed.live_chunks, lease=lease_message(sealed.lease))

    async def LocateChunks(
        self, request: pack_pb2.LocateChunksRequest, context: Context
    ) -> pack_pb2.LocateChunksResponse:
        """Tells where chunks lie."""
        places = await self._reader.locate(request.entity, column_of_digests(request.digests))
        if len(places) >= MAP_IN_THREAD_MIN:
            return await asyncio.to_thread(self._located_message, places)
        return self._located_message(places)

    def _located_message(self, places: list[ChunkPlace]) -> pack_pb2.LocateChunksResponse:
        sizes = {place.pack_id: place.pack_size_bytes for place in places}
        numbers = {pack_id: number for number, pack_id in enumerate(sizes)}
        return pack_pb2.LocateChunksResponse(
            packs=[self._read_grant(pack_id, size_bytes) for pack_id, size_bytes in sizes.items()],
            pack_indexes=[numbers[place.pack_id] for place in places],
            offsets=[place.offset for place in places],
            stored_lengths=[place.stored_length for place in places],
            lengths=[place.length for place in places],
            codecs=bytes([place.codec for place in places]),
        )

    def _read_grant(self, pack_id: bytes, size_bytes: int) -> pack_pb2.PackReadGrant:
        if self._same_machine:
            file = pack_pb2.FilesystemGrant(path=str(self._store.pack_path(pack_id)))
            return pack_pb2.PackReadGrant(pack_id=pack_id, size_bytes=size_bytes, filesystem=file)
        return pack_pb2.PackReadGrant(pack_id=pack_id, size_bytes=size_bytes, grpc=pack_pb2.GrpcReadGrant())

    async def ReadPack(
        self, request: pack_pb2.ReadPackRequest, context: Context
    ) -> AsyncIterator[pack_pb2.ReadPackResponse]:
        """Sends ranges of a pack."""
        if len(request.offsets) != len(request.lengths):
            raise invalid("Offsets and lengths differ in number; each range needs both.")
        ranges = list(zip(request.offsets, request.lengths, strict=True))
        async for data in self._reader.read_ranges(request.entity, request.pack_id, ranges):
            yield pack_pb2.ReadPackResponse(data=data)


async def _next_message(messages: AsyncIterator[pack_pb2.WritePackRequest]) -> pack_pb2.WritePackRequest | None:
    try:
        return await asyncio.wait_for(anext(messages, None), STREAM_IDLE_S)
    except TimeoutError as error:
        raise RegistryError(
            Reason.DEADLINE, f"Nothing came for {STREAM_IDLE_S} s; go on from what has arrived."
        ) from error


async def _write_all(
    writer: PackWriter, first: pack_pb2.WritePackRequest, messages: AsyncIterator[pack_pb2.WritePackRequest]
) -> int:
    message: pack_pb2.WritePackRequest | None = first
    received = first.offset
    while message is not None:
        if message.data:
            received = await writer.write(message.offset, message.data)
        if message.finish:
            return await writer.finish()
        message = await _next_message(messages)
    return received
