"""A registry in memory for tests of the reading side: versions and packs made from dicts, with knobs for what may go wrong.

It speaks VersionService and PackService over a real server on a Unix socket; packs are real files below a folder.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import zstandard

from holdfast_contract.digest import digest_of
from holdfast_contract.limits import KIB, MIB, PACK_CHUNKS_MAX, SINGLE_CHUNK_FILE_BYTES_MAX
from holdfast_contract.pack import Codec, PackIndex, build_pack, read_index
from holdfast_contract.reasons import REASONS, Reason
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.common.v1.manifest_pb2 import ChunkList, LongChunkList, ManifestSegment, Reference
from holdfastpb.registry.v1.pack_pb2 import LocateChunksResponse, PackReadGrant, ReadPackResponse
from holdfastpb.registry.v1.pack_pb2_grpc import PackServiceServicer, add_PackServiceServicer_to_server
from holdfastpb.registry.v1.version_pb2 import (
    GetVersionResponse,
    ListManifestSegmentsResponse,
    Version,
    VersionState,
)
from holdfastpb.registry.v1.version_pb2_grpc import VersionServiceServicer, add_VersionServiceServicer_to_server

CHUNK_BYTES = 256 * KIB
PACK_FILL_BYTES = 16 * MIB
ENTITY = "team"


@dataclass
class Faults:
    """What goes wrong, from when it is set."""

    truncate_reads_to: int | None = None
    """ReadPack ends after so many bytes of data."""
    flip_reads_left: int = 0
    """So many ReadPack calls answer with their first byte changed."""
    forget_chunks: bool = False
    """LocateChunks answers NOT_FOUND."""
    shorten_columns: bool = False
    """LocateChunks answers one value too few."""
    endless_pages: bool = False


@dataclass
class Calls:
    """What was asked of it."""

    pages: int = 0
    versions: int = 0
    locate: int = 0
    read_pack: int = 0
    sent_bytes: int = 0
    located: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_located(self, times: int) -> None:
        """Waits until chunks were asked for so many times."""
        while self.locate < times:
            self.located.clear()
            await self.located.wait()


@dataclass
class _Place:
    pack_id: bytes
    offset: int
    stored_length: int
    length: int
    codec: int


@dataclass
class FakeRegistry:
    """`add_version` makes content; `serve` answers for it."""

    folder: Path
    how: str = "filesystem"
    """Kind of read grants: "filesystem", "grpc", or the address of a store that serves the folder."""
    segment_entries: int = 1000
    long_list_chunks: int = 4096
    """Files of more chunks have their list in chunks of its own, of so many each; real registries: 4,096."""
    faults: Faults = field(default_factory=Faults)
    calls: Calls = field(default_factory=Calls)
    places: dict[bytes, _Place] = field(default_factory=dict)
    pack_sizes: dict[bytes, int] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    segments: dict[str, list[bytes]] = field(default_factory=dict)

    def pack_path(self, pack_id: bytes) -> Path:
        return self.folder / f"{pack_id.hex()}.pack"

    def pack_paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.pack"))

    def add_version(
        self,
        files: Mapping[str, bytes],
        references: Mapping[str, tuple[str, str, int]] | None = None,
        *,
        compress: bool = False,
    ) -> str:
        """Stores files (and references: path → uri, digest, size); returns the version's id."""
        entries: dict[str, bytes | tuple[str, str, int]] = {**files, **(references or {})}
        paths = sorted(entries)
        encoded = []
        for start in range(0, len(paths), self.segment_entries):
            part = paths[start : start + self.segment_entries]
            encoded.append(self._segment({path: entries[path] for path in part}).SerializeToString())
        self._store(files.values(), compress)
        sizes = sum(len(e) if isinstance(e, bytes) else e[2] for e in entries.values())
        return self.add_segments(encoded, len(paths), sizes)

    def _segment(self, entries: Mapping[str, bytes | tuple[str, str, int]]) -> ManifestSegment:
        short = {p: e for p, e in entries.items() if isinstance(e, tuple) or len(cut(e)) <= self.long_list_chunks}
        segment = make_segment({path: entries[path] if path in short else b"" for path in entries})
        for row, (path, content) in enumerate(entries.items()):
            if path in short or isinstance(content, tuple):
                continue
            segment.sizes[row] = len(content)
            segment.digests = segment.digests[: 32 * row] + digest_of(content) + segment.digests[32 * row + 32 :]
            segment.long_chunk_lists.append(self._long_list(row, cut(content)))
        return segment

    def _long_list(self, row: int, chunks: list[bytes]) -> LongChunkList:
        long = LongChunkList(entry_index=row, chunk_count=len(chunks))
        for start in range(0, len(chunks), self.long_list_chunks):
            part = chunks[start : start + self.long_list_chunks]
            encoded = ChunkList(digests=b"".join(map(digest_of, part)), lengths=map(len, part)).SerializeToString()
            self._seal([(digest_of(encoded), encoded, len(encoded), Codec.RAW)])
            long.list_digests += digest_of(encoded)
            long.list_lengths.append(len(encoded))
        return long

    def add_segments(self, encoded: list[bytes], entry_count: int, size_bytes: int) -> str:
        """Makes a version of any segments, also of ones that no honest registry has."""
        version_id = os.urandom(16).hex()
        self.versions[version_id] = Version(
            version_id=version_id,
            entity=ENTITY,
            state=VersionState.VERSION_STATE_COMMITTED,
            entry_count=entry_count,
            size_bytes=size_bytes,
        )
        self.segments[version_id] = encoded
        return version_id

    def _store(self, contents: Iterable[bytes], compress: bool) -> None:
        frames: list[tuple[bytes, bytes, int, Codec]] = []
        size = 0
        for chunk in (c for content in contents for c in cut(content)):
            digest = digest_of(chunk)
            if digest in self.places or any(digest == f[0] for f in frames[-1:]):
                continue
            stored = zstandard.compress(chunk) if compress else chunk
            frames.append((digest, stored, len(chunk), Codec.ZSTD if compress else Codec.RAW))
            size += len(stored)
            if size > PACK_FILL_BYTES or len(frames) == PACK_CHUNKS_MAX:
                self._seal(frames)
                frames, size = [], 0
        if frames:
            self._seal(frames)

    def _seal(self, frames: list[tuple[bytes, bytes, int, Codec]]) -> None:
        pack_id = os.urandom(16)
        data = build_pack(pack_id, frames)
        self.pack_path(pack_id).write_bytes(data)
        self.pack_sizes[pack_id] = len(data)
        index: PackIndex = read_index(lambda at, n: data[at : at + n], len(data))
        for i, offset in enumerate(index.offsets()):
            place = _Place(pack_id, offset, index.stored_lengths[i], index.lengths[i], index.codecs[i])
            self.places.setdefault(index.digest_at(i), place)

    async def serve(self, socket: Path) -> grpc.aio.Server:
        """Starts a server; stop it with `await server.stop(None)`."""
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        add_VersionServiceServicer_to_server(_Versions(self), server)
        add_PackServiceServicer_to_server(_Packs(self), server)
        server.add_insecure_port(f"unix:{socket}")
        await server.start()
        return server


def cut(content: bytes) -> list[bytes]:
    """Chunks of a file; the daemon must take whatever cuts the manifest names."""
    if len(content) <= SINGLE_CHUNK_FILE_BYTES_MAX:
        return [content] if content else []
    return [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)]


def make_segment(entries: Mapping[str, bytes | tuple[str, str, int]]) -> ManifestSegment:
    """One segment of these entries, in the order given (which a test may have made wrong)."""
    segment = ManifestSegment()
    digests = []
    for row, (path, entry) in enumerate(entries.items()):
        segment.paths.append(path)
        if isinstance(entry, tuple):
            uri, digest, size = entry
            segment.references.append(Reference(entry_index=row, uri=uri, digest=digest))
            segment.sizes.append(size)
            digests.append(bytes(32))
            continue
        segment.sizes.append(len(entry))
        digests.append(digest_of(entry))
        chunks = cut(entry)
        if len(entry) > SINGLE_CHUNK_FILE_BYTES_MAX:
            segment.chunked_entries.append(row)
            segment.chunk_counts.append(len(chunks))
            segment.chunk_digests += b"".join(map(digest_of, chunks))
            segment.chunk_lengths.extend(map(len, chunks))
    segment.digests = b"".join(digests)
    return segment


async def _fail(context: Any, reason: Reason, message: str, **metadata: str) -> None:
    detail = ErrorDetail(reason=reason.value, domain="holdfast", message=message, metadata=metadata)
    status = grpc.StatusCode[REASONS[reason].status]
    await context.abort(status, message, (("holdfast-error-bin", detail.SerializeToString()),))


class _Versions(VersionServiceServicer):
    def __init__(self, registry: FakeRegistry) -> None:
        self._registry = registry

    async def GetVersion(self, request: Any, context: Any) -> GetVersionResponse:
        self._registry.calls.versions += 1
        version = self._registry.versions.get(request.version_id)
        if version is None:
            await _fail(context, Reason.NOT_FOUND, f"there is no version {request.version_id}")
        return GetVersionResponse(version=version)

    async def ListManifestSegments(self, request: Any, context: Any) -> ListManifestSegmentsResponse:
        self._registry.calls.pages += 1
        segments = [one for one in self._registry.segments[request.version_id] if _may_hold(one, request.path_prefix)]
        at = int(request.page_token or 0)
        following = at + 2
        more = following < len(segments) or self._registry.faults.endless_pages
        return ListManifestSegmentsResponse(
            segments=segments[at:following], next_page_token=str(following) if more else ""
        )


def _may_hold(encoded: bytes, prefix: str) -> bool:
    if not prefix:
        return True  # also what is no segment at all
    paths = ManifestSegment.FromString(encoded).paths
    return paths[-1] >= prefix and (paths[0] <= prefix or paths[0].startswith(prefix))


class _Packs(PackServiceServicer):
    def __init__(self, registry: FakeRegistry) -> None:
        self._registry = registry

    async def LocateChunks(self, request: Any, context: Any) -> LocateChunksResponse:
        registry = self._registry
        registry.calls.locate += 1
        registry.calls.located.set()
        response = LocateChunksResponse()
        codecs = bytearray()
        numbers: dict[bytes, int] = {}
        for at in range(0, len(request.digests), 32):
            digest = request.digests[at : at + 32]
            place = registry.places.get(digest)
            if place is None or registry.faults.forget_chunks:
                await _fail(context, Reason.NOT_FOUND, "no such chunk", digest=digest.hex())
                raise AssertionError("abort raises")
            if place.pack_id not in numbers:
                numbers[place.pack_id] = len(numbers)
                response.packs.append(self._grant(place.pack_id))
            response.pack_indexes.append(numbers[place.pack_id])
            response.offsets.append(place.offset)
            response.stored_lengths.append(place.stored_length)
            response.lengths.append(place.length)
            codecs.append(place.codec)
        response.codecs = bytes(codecs)
        if registry.faults.shorten_columns:
            response.offsets.pop()
        return response

    def _grant(self, pack_id: bytes) -> PackReadGrant:
        path = self._registry.pack_path(pack_id)
        grant = PackReadGrant(pack_id=pack_id, size_bytes=self._registry.pack_sizes[pack_id])
        if self._registry.how == "filesystem":
            grant.filesystem.path = str(path)
        elif self._registry.how.startswith("http"):
            grant.http.url = f"{self._registry.how}/{path.name}"
        else:
            grant.grpc.SetInParent()
        return grant

    async def ReadPack(self, request: Any, context: Any) -> AsyncIterator[ReadPackResponse]:
        registry = self._registry
        registry.calls.read_pack += 1
        data = registry.pack_path(request.pack_id).read_bytes()
        wanted = b"".join(data[o : o + n] for o, n in zip(request.offsets, request.lengths, strict=True))
        if registry.faults.truncate_reads_to is not None:
            wanted = wanted[: registry.faults.truncate_reads_to]
        if registry.faults.flip_reads_left:
            registry.faults.flip_reads_left -= 1
            middle = len(wanted) // 2
            wanted = wanted[:middle] + bytes([wanted[middle] ^ 1]) + wanted[middle + 1 :]
        registry.calls.sent_bytes += len(wanted)
        for at in range(0, len(wanted), MIB):
            yield ReadPackResponse(data=wanted[at : at + MIB])
