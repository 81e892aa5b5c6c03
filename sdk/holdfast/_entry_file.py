"""File objects over entries of logged versions: they read where the entry is stored, through the daemon, and only what is asked for.

A first read, and one after a seek, asks for exactly the bytes that are wanted.  From the third read in a row on, a window is asked
for as one streaming call; the windows double.  What the daemon sends ahead waits in the call, so reading and bringing go on at once.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from holdfast._daemon_client import ATTEMPTS_MAX, backoff_s
from holdfast._process import this_process
from holdfast._rpc_errors import may_repeat
from holdfast._status_checks import not_logged
from holdfast.errors import Error, ReferenceChangedError
from holdfast.references.registration import default_handler
from holdfast_contract.limits import KIB, MIB
from holdfastpb.daemon.v1 import fetch_pb2

if TYPE_CHECKING:
    from holdfast._manifest_entry import ArtifactManifestEntry

READ_ENTRY = "/holdfast.daemon.v1.FetchService/ReadEntry"
BUFFER_BYTES = 64 * KIB
"""The smallest chunk of a large file: reading less would not fetch less."""
EXACT_READS = 2
"""Reads in a row before anything is read ahead: a header and what it points to often lie side by side."""
WINDOW_BYTES_MIN = 1 * MIB
WINDOW_BYTES_MAX = 64 * MIB
"""About a pack: its cost is the transfer by then, and what is left of it after a seek is cut off."""

_BINARY_MODES = frozenset({"rb", "br"})
_TEXT_MODES = frozenset({"r", "rt", "tr"})

_of_another_process: list[object] = []
"""Calls that a forked child inherited: kept as they are, since ending one would need threads that only the parent has."""


def stored_bytes(version_id: str, path: str, offset: int, length: int) -> Iterator[bytes]:
    """Yields the bytes of a range of a stored file; goes on where it was when the daemon is replaced.

    Args:
        version_id: a committed version.
        path: one of its entries, a file.
        offset: first byte.
        length: how many; more than 0.

    Raises:
        Error: by the table in `errors`.
    """
    end = offset + length
    lost = 0
    while offset < end:
        request = fetch_pb2.ReadEntryRequest(version_id=version_id, path=path, offset=offset, length=end - offset)
        daemon = this_process().daemon
        try:
            for message in daemon.server_stream(READ_ENTRY, request, fetch_pb2.ReadEntryResponse):
                offset += len(message.data)
                lost = 0
                yield message.data
            return
        except Error as error:
            lost += 1
            if lost >= ATTEMPTS_MAX or not may_repeat(error, request):
                raise
            daemon.pause(backoff_s(lost))


class StoredFile(io.RawIOBase):
    """An unbuffered file over one entry; see the module.  Wrapped in a buffer by `open_entry`."""

    def __init__(self, version_id: str, path: str, size: int) -> None:
        """Makes a file at position 0; nothing is asked yet.

        Args:
            version_id: a committed version.
            path: one of its entries, a file.
            size: of the entry in bytes.
        """
        super().__init__()
        self.version_id = version_id
        self.name = path
        self.mode = "rb"
        self.size = size
        self._position = 0
        self._reads_in_a_row = 0
        self._last_end = 0
        self._window_bytes = WINDOW_BYTES_MIN
        self._stream: Iterator[bytes] | None = None
        self._stream_pid = 0
        self._stream_left = 0
        self._arrived = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Returns the position."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves the position, which may lie beyond the end, and returns it; nothing is fetched.

        Raises:
            ValueError: the file is closed, or the position would be negative.
        """
        self._check_open()
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}.get(whence)
        if base is None:
            raise ValueError(f"whence is 0, 1 or 2, not {whence!r}")
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fills a buffer, all of it unless the file ends, and returns how many bytes there are."""
        self._check_open()
        wanted = memoryview(buffer).cast("B")
        length = max(0, min(len(wanted), self.size - self._position))
        if length:
            self._begin_read()
            self._fill(wanted[:length])
            self._last_end = self._position
        return length

    def readall(self) -> bytes:
        """Returns everything from the position to the end, as one call."""
        self._check_open()
        length = self.size - self._position
        if length <= 0:
            return b""
        self._begin_read()
        parts: list[bytes] = []
        if self._stream is not None:
            taken = min(self._stream_left, length)
            held = bytearray(taken)
            self._fill(memoryview(held))
            parts.append(bytes(held))
            length -= taken
        if length:
            parts.extend(stored_bytes(self.version_id, self.name, self._position, length))
            self._position += length
        self._last_end = self._position
        return b"".join(parts)

    def close(self) -> None:
        """Ends what is under way.  May be called again."""
        self._drop_stream()
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")

    def _begin_read(self) -> None:
        """Takes note of whether this read goes on where the last one ended."""
        if self._stream_pid != os.getpid():
            self._drop_stream()
        if self._position == self._last_end:
            self._reads_in_a_row += 1
        else:
            self._drop_stream()
            self._reads_in_a_row = 1
            self._window_bytes = WINDOW_BYTES_MIN

    def _fill(self, wanted: memoryview) -> None:
        while wanted:
            if not self._arrived:
                if not self._stream_left:
                    self._open_stream(len(wanted))
                self._arrived = self._next_message()
            part = self._arrived[: len(wanted)]
            wanted[: len(part)] = part
            wanted, self._arrived = wanted[len(part) :], self._arrived[len(part) :]
            self._position += len(part)
            self._stream_left -= len(part)
        if self._stream is not None and not self._stream_left:
            next(self._stream, None)  # takes the end of the call, which would be cancelled otherwise

    def _open_stream(self, wanted_bytes: int) -> None:
        length = wanted_bytes
        if self._reads_in_a_row > EXACT_READS:
            length = max(length, self._window_bytes)
            self._window_bytes = min(2 * self._window_bytes, WINDOW_BYTES_MAX)
        length = min(length, self.size - self._position)
        self._stream = stored_bytes(self.version_id, self.name, self._position, length)
        self._stream_pid = os.getpid()
        self._stream_left = length

    def _next_message(self) -> memoryview:
        assert self._stream is not None, "opened before"
        data = next(self._stream, b"")
        if not data:
            self._drop_stream()
            raise OSError(f"{self.name} ended at {self._position} of {self.size} bytes; open it again")
        return memoryview(data)

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        self._arrived = memoryview(b"")
        self._stream_left = 0
        if stream is None:
            return
        if self._stream_pid == os.getpid():
            stream.close()  # type: ignore[attr-defined]  # it is a generator
        else:
            _of_another_process.append(stream)


class EntryFile(io.BufferedReader):
    """A buffered binary file over one entry.  Can be pickled: the copy is opened where it is used, at the same position."""

    def __init__(self, raw: StoredFile, buffer_bytes: int = BUFFER_BYTES) -> None:
        """Puts a buffer before a stored file."""
        super().__init__(raw, buffer_bytes)
        self._stored = raw
        self._buffer_bytes = buffer_bytes

    @property
    def size(self) -> int:
        """Of the entry in bytes."""
        return self._stored.size

    def __reduce__(self) -> tuple[Any, ...]:
        stored = self._stored
        return _reopened, (stored.version_id, stored.name, stored.size, self._buffer_bytes, self.tell())


def _reopened(version_id: str, path: str, size: int, buffer_bytes: int, position: int) -> EntryFile:
    file = EntryFile(StoredFile(version_id, path, size), buffer_bytes)
    file.seek(position)
    return file


def open_entry(
    entry: ArtifactManifestEntry,
    mode: str = "rb",
    *,
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> IO[Any]:
    """Opens an entry for reading; see `ArtifactManifestEntry.open`."""
    if mode not in _BINARY_MODES | _TEXT_MODES:
        raise ValueError(f"invalid mode {mode!r}: entries of artifacts are read only; use 'rb' or 'r'")
    if mode in _BINARY_MODES and (encoding, errors, newline) != (None, None, None):
        raise ValueError("binary mode takes no encoding, errors or newline; use mode='r' for text")
    if buffering == 0 or buffering < -1:
        raise ValueError(f"buffering is -1 or at least 1, not {buffering}")
    binary = _open_binary(entry, BUFFER_BYTES if buffering == -1 else buffering)
    if mode in _BINARY_MODES:
        return binary
    return io.TextIOWrapper(binary, encoding or "utf-8", errors, newline)


def read_entry(entry: ArtifactManifestEntry, start: int, length: int | None) -> bytes:
    """Returns bytes of an entry; see `ArtifactManifestEntry.read_bytes`."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError(f"start and length must not be negative, not {start} and {length}")
    if entry.is_reference:
        with _open_reference(entry) as file:
            file.seek(start)
            data: bytes = file.read(-1 if length is None else length)
            return data
    version_id, size = _version_id(entry, "read_bytes"), entry.size or 0
    wanted = size - start if length is None else min(length, size - start)
    return b"".join(stored_bytes(version_id, entry.path, start, wanted)) if wanted > 0 else b""


def _open_binary(entry: ArtifactManifestEntry, buffer_bytes: int) -> IO[bytes]:
    if entry.is_reference:
        return _open_reference(entry)
    return EntryFile(StoredFile(_version_id(entry, "open"), entry.path, entry.size or 0), buffer_bytes)


def _version_id(entry: ArtifactManifestEntry, method: str) -> str:
    artifact = entry.parent_artifact()
    if not artifact.is_logged or artifact.id is None:
        raise not_logged(artifact, method)
    return artifact.id


def _open_reference(entry: ArtifactManifestEntry) -> IO[bytes]:
    """Opens a referenced object where it lies."""
    uri = entry.ref_target()
    handlers = default_handler()
    if uri.startswith("file://"):
        path = handlers.load_path(entry, local=True)
        file = open(path, "rb")  # noqa: SIM115  the caller's to close
        found = os.fstat(file.fileno()).st_size
        if entry.size is not None and found != entry.size:
            file.close()
            raise ReferenceChangedError(f"{path} has {found} bytes, and had {entry.size} when {entry.path} was logged")
        return file
    # Only handlers that can read a part of an object have this method; tracked URIs of unknown schemes have none that can.
    opener = getattr(handlers.handler_of(uri), "open_reference", None)
    if opener is None:
        raise ValueError(f"{entry.path} is a reference to {uri}, which nothing here can read; read it there")
    opened: IO[bytes] = opener(entry)
    return opened
