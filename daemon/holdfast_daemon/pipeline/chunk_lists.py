"""Lists the chunks of one file, part by part, so that a file of any size never has its whole list in memory."""

from collections.abc import AsyncGenerator

from google.protobuf.message import DecodeError

from holdfast_contract.limits import CHUNK_BYTES_MAX, DIGEST_BYTES, FIND_MISSING_DIGESTS_MAX
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.bring_packs import PackSource, Reader
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.fetch_tasks import chunk_columns
from holdfastpb.common.v1.manifest_pb2 import ChunkList


async def chunk_lists(
    packs: PackSource, reader: Reader, entries: EntryColumns, row: int
) -> AsyncGenerator[tuple[bytes, list[int]], None]:
    """Yields (digests, lengths) of a file's chunks in order: its only list, or the parts of a long one.

    Raises:
        HoldfastError: MANIFEST_INVALID, or as `PackSource.read`.
    """
    long = entries.long_chunks.get(row)
    if long is None:
        yield chunk_columns(entries, (row,))
        return
    path = entries.paths[row]
    size = chunks = 0
    for part, length in enumerate(long.list_lengths):
        digest = long.list_digests[DIGEST_BYTES * part : DIGEST_BYTES * (part + 1)]
        [encoded] = await packs.read(reader, path, digest, (length,))
        digests, lengths = decode_list(encoded, path)
        size, chunks = size + sum(lengths), chunks + len(lengths)
        if size > entries.sizes[row]:
            break
        yield digests, lengths
    if size != entries.sizes[row] or chunks != long.chunk_count:
        raise invalid_list(path)


def decode_list(encoded: bytes, path: str) -> tuple[bytes, list[int]]:
    """Returns (digests, lengths) of one part of a long list.

    Raises:
        HoldfastError: MANIFEST_INVALID.
    """
    try:
        found = ChunkList.FromString(encoded)
    except DecodeError as error:
        raise invalid_list(path) from error
    lengths = list(found.lengths)
    if not 0 < len(lengths) <= FIND_MISSING_DIGESTS_MAX or len(found.digests) != DIGEST_BYTES * len(lengths):
        raise invalid_list(path)
    if min(lengths) < 1 or max(lengths) > CHUNK_BYTES_MAX:
        raise invalid_list(path)
    return found.digests, lengths


def invalid_list(path: str) -> HoldfastError:
    """What is said of a list that contradicts its entry."""
    text = f"the manifest is not well formed: the list of chunks of {path!r} is wrong; run `holdfast registry fsck`"
    return HoldfastError(Reason.MANIFEST_INVALID, text, path=path)
