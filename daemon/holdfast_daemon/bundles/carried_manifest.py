"""Writes a version's manifest into a bundle: its segments as they are, and a root that lists them."""

from collections.abc import AsyncIterator

from blake3 import blake3

from holdfast_contract.bundle import BundleWriter
from holdfast_contract.digest import EMPTY_DIGEST
from holdfast_contract.limits import CHUNK_BYTES_MAX
from holdfast_contract.reasons import Reason
from holdfast_daemon.codec import Compressor
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.assemble import BOUND_CHARS
from holdfast_daemon.pipeline.bounded_tasks import run_to_end
from holdfast_daemon.pipeline.manifest_pages import Segment
from holdfast_daemon.workers import Workers
from holdfastpb.common.v1.bundle_pb2 import CarriedVersion
from holdfastpb.common.v1.manifest_pb2 import ManifestRoot, SegmentRef


async def write_manifest(
    writer: BundleWriter, carried: CarriedVersion, segments: AsyncIterator[Segment], workers: Workers
) -> None:
    """Writes the manifest, and notes in `carried` where it is.

    Raises:
        HoldfastError: TOO_LARGE; or what reading the segments raises.
    """
    root = ManifestRoot(entry_count=carried.entry_count, size_bytes=carried.size_bytes)
    numbers: set[int] = set()
    compressor = Compressor()

    def put(encoded: bytes) -> bytes:
        digest: bytes = blake3(encoded).digest()
        number = writer.pack_of(digest)
        if number is None:
            stored, codec = compressor.encode(encoded)
            number = writer.append(digest, stored, len(encoded), codec)
        numbers.add(number)
        return digest

    async for segment in segments:
        paths, sizes = segment.entries.paths, segment.entries.sizes
        root.segments.append(
            SegmentRef(
                digest=await run_to_end(workers.in_thread(put, segment.encoded)),
                length=len(segment.encoded),
                entry_count=len(paths),
                size_bytes=sum(sizes),
                first_path=paths[0][:BOUND_CHARS],
                last_path=paths[-1][:BOUND_CHARS],
            )
        )
    encoded = root.SerializeToString() if root.segments else b""
    if len(encoded) > CHUNK_BYTES_MAX:
        raise HoldfastError(Reason.TOO_LARGE, f"the manifest of {carried.collection} is too large for a bundle")
    carried.manifest_root = await run_to_end(workers.in_thread(put, encoded)) if encoded else EMPTY_DIGEST
    carried.manifest_root_bytes = len(encoded)
    carried.manifest_packs.extend(sorted(numbers))
