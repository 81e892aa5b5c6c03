"""Writes the files of one task below a folder, in a worker process: each whole and checked under its name, or not at all."""

import os
from array import array
from itertools import accumulate

from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import DIGEST_BYTES
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.chunked_file import ChunkedFile, find_damage
from holdfast_daemon.pipeline.fetch_tasks import (
    Failure,
    PlaceResult,
    PlaceTask,
    chunk_columns,
    chunk_counts,
    trusted_entries,
)
from holdfast_daemon.pipeline.pack_chunks import RUN_BYTES_MAX, PackChunks, PackUnusableError
from holdfast_daemon.pipeline.target_tree import TargetTree, write_error


def place_files(task: PlaceTask) -> PlaceResult:
    """Writes all files of a task; safe to repeat.

    Returns:
        What was written; a failure names the file, and the pack if that is the cause.  Files written before it stay.
    """
    placing = None
    try:
        with TargetTree(task.target) as tree, PackChunks(task.packs) as chunks:
            placing = _Placing(task, tree, chunks)
            placing.place_all()
            return PlaceResult(placing.files, placing.bytes_written)
    except OSError as error:
        return _failed(placing, write_error(error, placing.shown if placing else os.fsdecode(task.target.root)))
    except HoldfastError as error:
        return _failed(placing, error)
    except PackUnusableError as error:
        assert placing is not None, "packs are opened by the placing"
        failure = Failure(placing.shown, b"", error.index, error.problem, error.missing)
        return PlaceResult(placing.files, placing.bytes_written, failure)


def _failed(placing: "_Placing | None", error: HoldfastError) -> PlaceResult:
    failure = Failure(error.metadata.get("path", ""), error.to_detail().SerializeToString())
    return PlaceResult(placing.files if placing else 0, placing.bytes_written if placing else 0, failure)


class _Placing:
    """One task under way; knows how far it got and which file it is at."""

    def __init__(self, task: PlaceTask, tree: TargetTree, chunks: PackChunks) -> None:
        self._task = task
        self._tree = tree
        self._chunks = chunks
        self._entries = trusted_entries(task.segment)
        self._digests, _ = chunk_columns(self._entries, task.rows)
        self._at = ""
        self.files = 0
        self.bytes_written = 0

    @property
    def shown(self) -> str:
        """The file that is being written."""
        return self._tree.shown(self._at)

    def place_all(self) -> None:
        """Small files in the order of the packs, so that reading is sequential; then those of several chunks."""
        entries, rows = self._entries, self._task.rows
        counts = chunk_counts(entries, rows)
        firsts = accumulate(counts, initial=0)
        row_of: dict[int, int] = {}
        chunked: list[tuple[int, int, int]] = []
        for row, first, count in zip(rows, firsts, counts, strict=False):
            if row in entries.chunks:
                chunked.append((row, first, count))
            elif count:
                row_of[first] = row
            else:
                self._write(row, b"")
        self._place_single(row_of)
        buffer = memoryview(bytearray(RUN_BYTES_MAX if chunked else 0))
        for row, first, count in chunked:
            self._place_chunked(row, first, first + count, buffer)

    def _place_single(self, row_of: dict[int, int]) -> None:
        digests = self._digests
        column = [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]
        located = self._task.located
        order = array("I", row_of)
        try:
            for position, data in self._chunks.in_pack_order(located, column, order):
                self._write(row_of[position], data)
        except PackUnusableError as error:
            self._at = self._entries.paths[row_of[error.position]]
            raise

    def _write(self, row: int, data: bytes | memoryview) -> None:
        self._at = self._entries.paths[row]
        self._tree.write_file(self._at, data)
        self._count(len(data))

    def _count(self, size: int) -> None:
        self.files += 1
        self.bytes_written += size
        if self.files == 1:
            failpoint("fetch.after_first_file")

    def _place_chunked(self, row: int, first: int, end: int, buffer: memoryview) -> None:
        self._at = self._entries.paths[row]
        located = self._task.located.part(first, end)
        digests = self._digests[DIGEST_BYTES * first : DIGEST_BYTES * end]
        file = ChunkedFile(self._tree, self._at, self._entries.digest_at(row))
        try:
            size = file.append(self._chunks, located, digests, buffer)
            file.finish()
        except HoldfastError as error:
            file.abandon()
            if error.reason is Reason.DIGEST_MISMATCH:
                find_damage(self._chunks, located, digests)
            raise
        except (OSError, PackUnusableError):
            file.abandon()
            raise
        self._count(size)
