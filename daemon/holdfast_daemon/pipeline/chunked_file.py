"""Puts together a file of several chunks: long reads, one hash over all bytes, the name only when all of it is right."""

import os
from collections.abc import Iterator

from blake3 import blake3

from holdfast_contract.limits import DIGEST_BYTES
from holdfast_contract.os_layer import WRITE_BYTES_MAX
from holdfast_contract.pack import Codec
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.fetch_tasks import Located
from holdfast_daemon.pipeline.pack_chunks import PackChunks, PackUnusableError
from holdfast_daemon.pipeline.target_tree import TargetTree


class ChunkedFile:
    """One file on its way into place: `append` its chunks in order, then `finish`, or `abandon`.

    The hash over the whole file proves every byte, so chunks that are stored raw are not hashed once more; only when it does
    not come out right each chunk is looked at, to name the pack.
    """

    def __init__(self, tree: TargetTree, path: str, digest: bytes) -> None:
        """Makes its temporary file."""
        self._tree = tree
        self._path = path
        self._digest = digest
        self._hasher = blake3()
        _, self._temporary, self._descriptor = tree.create(path)

    def append(self, chunks: PackChunks, located: Located, digests: bytes, buffer: memoryview) -> int:
        """Writes the next chunks by way of the buffer; returns their bytes.

        Raises:
            PackUnusableError: a pack is truncated, or a compressed chunk is damaged.
            OSError: the file cannot be written.
        """
        total = 0
        for run in contiguous_runs(located, len(buffer)):
            data = buffer[: fill(chunks, located, digests, run, buffer)]
            self._hasher.update(data)
            self._write(data)
            total += len(data)
        return total

    def _write(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._descriptor, data[:WRITE_BYTES_MAX]) :]

    def finish(self) -> None:
        """Gives the file its name.

        Raises:
            HoldfastError: DIGEST_MISMATCH; nothing is left of the file.
            OSError: as `append`.
        """
        os.close(self._descriptor)
        self._descriptor = -1
        if self._hasher.digest() != self._digest:
            shown = self._tree.shown(self._path)
            text = f"{shown}: the stored bytes do not have the file's digest; run `holdfast registry fsck`"
            raise HoldfastError(Reason.DIGEST_MISMATCH, text, path=shown)
        self._tree.publish(self._temporary, self._path)

    def abandon(self) -> None:
        """Removes what was written; harmless after `finish`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._tree.discard(self._temporary, self._path)


def contiguous_runs(located: Located, bytes_max: int) -> Iterator[tuple[int, int]]:
    """Slices of chunks that follow one another in one pack, raw together or compressed together, of at most so many bytes."""
    packs, offsets, stored, lengths = located.pack_indexes, located.offsets, located.stored_lengths, located.lengths
    first = 0
    out_bytes = 0
    for at in range(len(located)):
        follows = at and packs[at] == packs[at - 1] and offsets[at] == offsets[at - 1] + stored[at - 1]
        alike = at and located.codecs[at] == located.codecs[at - 1]
        if at and not (follows and alike and out_bytes + lengths[at] <= bytes_max):
            yield first, at
            first, out_bytes = at, 0
        out_bytes += lengths[at]
    if len(located):
        yield first, len(located)


def fill(
    chunks: PackChunks,
    located: Located,
    digests: bytes,
    run: tuple[int, int],
    buffer: memoryview,
    *,
    checked: bool = False,
) -> int:
    """Reads one run into the buffer; returns its bytes.

    Args:
        chunks: the packs.
        located: where the chunks are.
        digests: of the chunks.
        run: one of `contiguous_runs`.
        buffer: has room for it.
        checked: whether raw chunks are compared with their digests, too.

    Raises:
        PackUnusableError: a pack is truncated, or a chunk that is compared is damaged.
    """
    first, end = run
    pack, start = located.pack_indexes[first], located.offsets[first]
    stored_bytes = located.offsets[end - 1] + located.stored_lengths[end - 1] - start
    out_bytes = sum(located.lengths[first:end])
    if located.codecs[first] == Codec.RAW:
        if stored_bytes != out_bytes:
            raise PackUnusableError(pack, "is not what the registry says of it")
        chunks.read_into(pack, start, buffer[:out_bytes])
        if checked:
            _check(chunks, located, digests, run, buffer)
        return out_bytes
    frames = memoryview(bytearray(stored_bytes))
    chunks.read_into(pack, start, frames)
    filled = 0
    for position in range(first, end):
        at = located.offsets[position] - start
        digest = digests[DIGEST_BYTES * position : DIGEST_BYTES * (position + 1)]
        data = chunks.decode(located, position, digest, frames[at : at + located.stored_lengths[position]])
        buffer[filled : filled + len(data)] = data
        filled += len(data)
    return filled


def _check(chunks: PackChunks, located: Located, digests: bytes, run: tuple[int, int], frames: memoryview) -> None:
    at = 0
    for position in range(*run):
        digest = digests[DIGEST_BYTES * position : DIGEST_BYTES * (position + 1)]
        chunks.decode(located, position, digest, frames[at : at + located.stored_lengths[position]])
        at += located.stored_lengths[position]


def find_damage(chunks: PackChunks, located: Located, digests: bytes) -> None:
    """Looks at each chunk of a file whose digest did not come out right.

    Raises:
        PackUnusableError: names the first damaged pack.
    """
    column = [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]
    for _ in chunks.in_pack_order(located, column, range(len(located))):
        pass
