"""Copies frames of a sealed pack into a new one: what is not stored already, what some of its jobs own, or a piece of it."""

import os
from pathlib import Path

from holdfast_contract import os_layer
from holdfast_contract.pack import PACK_ID_BYTES, PackIndex
from holdfast_daemon.spool.pack_writer import PackTarget, PackWriter, pack_path, seal


def rewrite(folder: Path, index: PackIndex, positions: list[int]) -> tuple[PackIndex, int]:
    """Copies some frames of a pack into a new, sealed one.

    Returns:
        The new pack's index, and the bytes of its file.

    Raises:
        OSError: no space, or the pack cannot be read.
    """
    offsets = index.offsets()
    target = PackTarget(str(folder), os.urandom(PACK_ID_BYTES), 0, 0)
    source = os.open(pack_path(folder, index.pack_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with PackWriter(target) as writer:
            for i in positions:
                stored = os.pread(source, index.stored_lengths[i], offsets[i])
                writer.append(index.digest_at(i), stored, index.lengths[i], index.codecs[i])
            (fragment,) = writer.fragments()
        rewritten = PackIndex.decode_fragment(fragment)
        size = seal(str(folder), rewritten)
    except OSError:
        os_layer.unlink_if_exists(pack_path(folder, target.pack_id))  # a full disk is tried again and again
        raise
    finally:
        os.close(source)
    os_layer.fsync_folder(folder)  # the old one, which is in the folder for certain, goes next
    return rewritten, size


def marked(bitmap: bytes, count: int) -> list[int]:
    """Positions of the bits that are set."""
    if bitmap.count(0xFF) == count // 8 and count % 8 == 0:
        return list(range(count))
    return [i for i in range(count) if bitmap[i >> 3] >> (i & 7) & 1]


def once_each(index: PackIndex, positions: list[int]) -> list[int]:
    """Leaves out further copies of a chunk: jobs that read the same new files at the same time append them to one pack."""
    first = {index.digest_at(i): i for i in reversed(positions)}
    return positions if len(first) == len(positions) else sorted(first.values())


def pieces(index: PackIndex, piece_bytes: int) -> list[list[int]]:
    """Positions of all frames, in runs of at least `piece_bytes`; the last one has what is left."""
    runs: list[list[int]] = [[]]
    run_bytes = 0
    for position, stored_bytes in enumerate(index.stored_lengths):
        if run_bytes >= piece_bytes:
            runs.append([])
            run_bytes = 0
        runs[-1].append(position)
        run_bytes += stored_bytes
    return runs
