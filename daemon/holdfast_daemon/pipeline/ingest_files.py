"""Worker side of ingest for files named one by one: compares with what is known, reads, hashes and packs the small ones.

Runs in a worker process, like `ingest_folder`, whose way of reading a file it shares.  Safe to repeat.
"""

import os
import time
from dataclasses import dataclass, field

from holdfast_contract.errors import ManifestPathError
from holdfast_contract.paths import check_path
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.rows import IngestYield
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.folder_state import KnownFiles, StateColumns
from holdfast_daemon.pipeline.ingest_folder import SmallFilePacker
from holdfast_daemon.pipeline.read_file import is_settled, read_small, stat5, unreadable
from holdfast_daemon.spool.pack_writer import PackTarget, PackWriter


def single_file_key(local_path: bytes) -> tuple[bytes, str]:
    """Where the state of one file that is not part of a folder step is kept: no name has a slash, so it can't be a slice's."""
    folder, name = os.path.split(local_path)
    return folder, "/" + os.fsdecode(name).encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class FileItem:
    """One file to read."""

    seq: int
    local_path: bytes
    path: str
    state: bytes | None
    """FolderState with what is known of it."""


@dataclass(frozen=True, slots=True)
class FileTask:
    """Files for one worker call, all of records that follow each other."""

    files: list[FileItem]
    target: PackTarget
    distrusted: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class FileResult:
    """What a worker call found."""

    brought: IngestYield = field(default_factory=IngestYield)
    done: list[int] = field(default_factory=list)
    large: list[int] = field(default_factory=list)
    failed: list[tuple[int, bytes]] = field(default_factory=list)
    """(seq, ErrorDetail encoded)."""


def ingest_files(task: FileTask) -> FileResult:
    """Does one task; problems with single files are collected, not raised.

    Raises:
        OSError: the spool cannot be written (no space); nothing of the task counts then.
    """
    result = FileResult()
    columns = EntryColumns()
    with PackWriter(task.target) as writer:
        packer = SmallFilePacker(writer)
        for item in task.files:
            try:
                kept = _ingest_file(item, columns, packer, result.brought, task.distrusted)
                (result.done if kept else result.large).append(item.seq)
            except HoldfastError as error:
                result.failed.append((item.seq, error.to_detail().SerializeToString()))
        result.brought.fragments = writer.fragments()
    result.brought.entries = len(columns)
    if len(columns):
        result.brought.segments = [columns.to_segment().SerializeToString()]
    return result


def _ingest_file(
    item: FileItem, columns: EntryColumns, packer: SmallFilePacker, brought: IngestYield, distrusted: frozenset[bytes]
) -> bool:
    """Adds one file's entry; False when it is too large for this way."""
    shown = os.fsdecode(item.local_path)
    try:
        check_path(item.path)
    except ManifestPathError as error:
        raise HoldfastError(Reason.INVALID_PATH, str(error), path=ascii(item.path)) from error
    known = KnownFiles(item.state)
    if len(known) and not known.needs(0, distrusted):
        try:
            state = stat5(os.stat(item.local_path))
        except OSError as error:
            raise unreadable(error, shown) from error
        if state == known.stat_at(0):
            columns.add_file(item.path, known.digest_at(0), state[2], known.chunks.get(0))
            brought.bytes_total += state[2]
            brought.bytes_known += state[2]
            return True
    now_ns = time.time_ns()
    state, data = read_small(item.local_path, shown, packer.file_bytes_max)
    if data is None:
        return False
    digest, chunks = packer.pack(data)
    columns.add_file(item.path, digest, len(data), chunks)
    brought.bytes_total += len(data)
    brought.bytes_read += len(data)
    if is_settled(state, now_ns):
        states = StateColumns()
        folder, key = single_file_key(item.local_path)
        states.add(key, state, digest, chunks)
        brought.states.append((folder, key, states.encode()))
    return True
