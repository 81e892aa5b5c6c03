"""PackService on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from holdfast_registry.blobstore.transfers import FileWay, HttpWay
from holdfast_registry.chunk_reader import ChunkReader, ReadablePack
from holdfast_registry.database.packs import PackIntent
from holdfast_registry.domain.records import ChunkPlace
from holdfast_registry.errors import invalid
from holdfast_registry.pack_intake import Grant, PackIntake, PackWriter
from holdfast_registry.rpc.boundary import Context
from holdfast_registry.rpc.conversion import bitmap, column_of_digests, lease_message
from holdfastpb.registry.v1 import pack_pb2, pack_pb2_grpc

MAP_IN_THREAD_MIN = 4096
"""Answers with more digests are put together in a thread: 65,536 would hold the event loop for 50 ms."""


class PackServicer(pack_pb2_grpc.PackServiceServicer):
    """Unpacks, calls, packs."""

    def __init__(self, intake: PackIntake, reader: ChunkReader) -> None:
        """Puts it together.

        Args:
            intake: takes packs in.
            reader: finds and reads them.
        """
        self._intake = intake
        self._reader = reader

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
        intents = [PackIntent(pack.pack_id, pack.size_bytes, pack.chunk_count, pack.sha256) for pack in request.packs]
        grants = await self._intake.grant(request.lease_id, intents)
        return pack_pb2.GrantPacksResponse(grants=map(_grant_message, grants))

    async def WritePack(
        self, request_iterator: AsyncIterator[pack_pb2.WritePackRequest], context: Context
    ) -> pack_pb2.WritePackResponse:
        """Takes a pack's bytes."""
        first = await anext(request_iterator, None)
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
        packs = await self._reader.ways_to({place.pack_id: place.pack_size_bytes for place in places})
        if len(places) >= MAP_IN_THREAD_MIN:
            return await asyncio.to_thread(_located_message, places, packs)
        return _located_message(places, packs)

    async def GrantReads(self, request: pack_pb2.GrantReadsRequest, context: Context) -> pack_pb2.GrantReadsResponse:
        """Grants reads anew."""
        packs = await self._reader.grant_reads(request.entity, list(request.pack_ids))
        return pack_pb2.GrantReadsResponse(grants=map(_read_grant, packs))

    async def ReadPack(
        self, request: pack_pb2.ReadPackRequest, context: Context
    ) -> AsyncIterator[pack_pb2.ReadPackResponse]:
        """Sends ranges of a pack."""
        if len(request.offsets) != len(request.lengths):
            raise invalid("Offsets and lengths differ in number; each range needs both.")
        ranges = list(zip(request.offsets, request.lengths, strict=True))
        async for data in self._reader.read_ranges(request.entity, request.pack_id, ranges):
            yield pack_pb2.ReadPackResponse(data=data)


def _grant_message(grant: Grant) -> pack_pb2.PackGrant:
    message = pack_pb2.PackGrant(pack_id=grant.pack_id, sealed=grant.sealed)
    way = grant.way
    if way is None:
        message.needs_sha256 = not grant.sealed
    elif isinstance(way, FileWay):
        message.filesystem.path = str(way.path)
    elif isinstance(way, HttpWay):
        http = pack_pb2.HttpGrant(url=way.url, headers=way.headers, expires_in_s=way.expires_in_s)
        message.http.CopyFrom(http)
    else:
        message.grpc.committed_bytes = way.received_bytes
        message.grpc.SetInParent()
    return message


def _read_grant(pack: ReadablePack) -> pack_pb2.PackReadGrant:
    message = pack_pb2.PackReadGrant(pack_id=pack.pack_id, size_bytes=pack.size_bytes)
    way = pack.way
    if isinstance(way, FileWay):
        message.filesystem.path = str(way.path)
    elif isinstance(way, HttpWay):
        http = pack_pb2.HttpReadGrant(url=way.url, headers=way.headers, expires_in_s=way.expires_in_s)
        message.http.CopyFrom(http)
    else:
        message.grpc.SetInParent()
    return message


def _located_message(places: list[ChunkPlace], packs: list[ReadablePack]) -> pack_pb2.LocateChunksResponse:
    numbers = {pack.pack_id: number for number, pack in enumerate(packs)}
    return pack_pb2.LocateChunksResponse(
        packs=map(_read_grant, packs),
        pack_indexes=[numbers[place.pack_id] for place in places],
        offsets=[place.offset for place in places],
        stored_lengths=[place.stored_length for place in places],
        lengths=[place.length for place in places],
        codecs=bytes([place.codec for place in places]),
    )


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
        message = await anext(messages, None)
    return received
