"""Keeps what a large folder's listing finds, in little memory, until all of it is known."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator

from holdfast.references.handlers import AddedReference
from holdfastpb.daemon.v1.log_pb2 import AddReference

MEMORY_BYTES_MAX = 8 << 20
"""About 40,000 references; what lies above goes to a file that has no name."""
_LENGTH_BYTES = 4


class SpooledReferences:
    """References, to be gone through as often as wished."""

    def __init__(self, found: Iterable[AddedReference]) -> None:
        """Collects all that a handler finds.

        Raises:
            ValueError: one of them is a folder, or an entry of another artifact: those come one at a time.
        """
        import tempfile  # 4 ms that most programs need not spend

        # Kept open for as long as somebody looks at it.
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES_MAX, prefix="holdfast-")  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        for added in found:
            if not isinstance(added.record, AddReference) or added.is_folder or added.must_be_read:
                raise ValueError(f"{added.record} cannot be one of many references")
            encoded = added.record.SerializeToString()
            self._file.write(len(encoded).to_bytes(_LENGTH_BYTES) + encoded)
        self._bytes = self._file.tell()

    def __iter__(self) -> Iterator[AddReference]:
        """Yields the records in the order in which they were found."""
        position = 0
        while position < self._bytes:
            # By position: two may go through at a time.
            self._file.seek(position)
            length = int.from_bytes(self._file.read(_LENGTH_BYTES))
            yield AddReference.FromString(self._file.read(length))
            position += _LENGTH_BYTES + length
