"""Compares the files of a folder with entries of a version, in a worker process, without writing."""

import os
import stat
from array import array

from blake3 import blake3

from holdfast_contract.digest import EMPTY_DIGEST
from holdfast_contract.limits import MIB
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.fetch_tasks import LARGE_FILE_BYTES_MIN, CheckResult, CheckTask, trusted_entries
from holdfast_daemon.pipeline.folder_state import KnownFiles, StateColumns
from holdfast_daemon.pipeline.read_file import Stat5, is_settled, stat5
from holdfast_daemon.pipeline.target_tree import TargetTree

READ_BYTES = 1 * MIB
"""Large enough that BLAKE3 uses its widest path; stays in the processor's cache while it is hashed."""


def check_files(task: CheckTask) -> CheckResult:
    """Finds the entries that are not right in place.

    A file whose state is as at the last check is not read again, unless it had been written to less than 2 s before (a later
    write could then have left its times as they were).  A link is never followed and is never right.
    """
    with TargetTree(task.target) as tree:
        if task.leftovers is not None:
            left = task.leftovers
            tree.remove_leftovers(left.folders, left.before_ns, left.live_tokens)
        return _Checking(task, tree).check_all()


class _Checking:
    def __init__(self, task: CheckTask, tree: TargetTree) -> None:
        self._task = task
        self._tree = tree
        self._entries: EntryColumns = trusted_entries(task.segment)
        self._known = KnownFiles(task.known)
        self._state = StateColumns()
        self._news = False
        self._buffer: memoryview | None = None

    def check_all(self) -> CheckResult:
        entries, rows = self._entries, self._task.rows
        missing, damaged, others = array("I"), array("I"), array("I")
        bytes_right = 0
        for row in rows:
            found = self._stat(entries.paths[row])
            if found is None:
                missing.append(row)
            elif self._may_stay(found):
                bytes_right += entries.sizes[row]
                if self._task.name_others and not self._is_right(row, found):
                    others.append(row)
            elif self._is_right(row, found):
                bytes_right += entries.sizes[row]
            else:
                damaged.append(row)
        changed = not self._task.keep_others and (self._news or len(self._state) != len(self._known))
        return CheckResult(missing, damaged, bytes_right, self._state.encode() if changed else None, others)

    def _may_stay(self, found: os.stat_result) -> bool:
        return self._task.keep_others and not stat.S_ISDIR(found.st_mode)

    def _stat(self, path: str) -> os.stat_result | None:
        try:
            return self._tree.stat(path)
        except (OSError, HoldfastError):
            # What stands in the way (a link, a file, a permission) is named by the write that meets it again.
            return None

    def _is_right(self, row: int, found: os.stat_result) -> bool:
        if not stat.S_ISREG(found.st_mode) or found.st_size != self._entries.sizes[row]:
            return False
        path, digest, state = self._entries.paths[row], self._entries.digest_at(row), stat5(found)
        place = self._known.find(path)
        if place is not None and self._known.stat_at(place) == state:
            right = self._known.digest_at(place) == digest
        else:
            right = self._digest_of_file(path, state) == digest
            self._news = True
        if right and is_settled(state, self._task.now_ns):
            self._state.add(path, state, digest, None)
        return right

    def _digest_of_file(self, path: str, state: Stat5) -> bytes | None:
        """Digest of what is in the file; None when it cannot be read or did not hold still."""
        try:
            descriptor = self._tree.open_file(path)
        except OSError:
            return None
        try:
            if stat5(os.fstat(descriptor)) != state:
                return None
            digest = self._hash(descriptor, state[2])
            return digest if stat5(os.fstat(descriptor)) == state else None
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def _hash(self, descriptor: int, size: int) -> bytes:
        if not size:
            return EMPTY_DIGEST
        if size <= READ_BYTES // 16:
            return blake3(os.read(descriptor, size)).digest()
        if self._buffer is None:
            self._buffer = memoryview(bytearray(READ_BYTES))
        hasher = blake3(max_threads=blake3.AUTO if size >= LARGE_FILE_BYTES_MIN else 1)
        left = size
        while left:
            count = os.readv(descriptor, [self._buffer[: min(left, READ_BYTES)]])
            if not count:
                break
            hasher.update(self._buffer[:count])
            left -= count
        return hasher.digest()
