"""Where the one file of a media object is: on this machine, behind a URL, or in an artifact; and how it comes into another artifact.

Bytes are read and hashed once for each object, whatever it is added to.
"""

from __future__ import annotations

import hashlib
import io
import os
from typing import IO, TYPE_CHECKING, Any, Protocol

from holdfast.errors import FileUnreadableError, MalformedObjectError
from holdfast.media.read_ahead import current_order
from holdfast.media.spooled_bytes import SpooledBytes
from holdfast.media.temporary_file import TemporaryFile
from holdfast_contract.digest import file_digest, hasher
from holdfast_contract.limits import INLINE_BYTES_MAX, KIB

if TYPE_CHECKING:
    from holdfast._object_fields import ObjectFields
    from holdfast.artifact import Artifact
    from holdfast.manifest import ArtifactManifestEntry

_READ_BYTES = 1 << 20
_GLANCE_BYTES_MAX = 256 * KIB
"""Nobody who only glances at an object waits for more to be fetched."""
HASH_CHARS_IN_PATH = 20
"""Of a hash in hex, in paths of media: 80 bits."""


class MediaContent(Protocol):
    """The bytes of a media object, wherever they are."""

    @property
    def name(self) -> str:
        """The file's own name."""
        ...

    @property
    def sha256(self) -> str:
        """Of the bytes (of a URL: of the URL), in hex."""
        ...

    @property
    def size(self) -> int | None:
        """In bytes; None when nobody knows."""
        ...

    def put_into(self, artifact: Artifact, folder: str) -> str:
        """Adds the file to a draft unless it is there; returns its path."""
        ...

    def open(self) -> IO[bytes]:
        """Opens the bytes for reading."""
        ...

    def at_hand(self, bytes_max: int) -> bytes | None:
        """Returns the bytes for who only glances at the object; None: they are more than that, or too many to be fetched for it."""
        ...

    def local_path(self) -> str:
        """Returns the path of a file on this machine that holds them."""
        ...


class _Hashes:
    """The hashes of a file, taken in one go: SHA-256 for the object's JSON, ours for the artifact."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._digest = hasher()
        self.size = 0

    def add(self, data: bytes) -> None:
        self._sha256.update(data)
        self._digest.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()


def _hashes_of(data: bytes) -> tuple[str, str]:
    """SHA-256 and digest of what is in memory."""
    return hashlib.sha256(data).hexdigest(), file_digest(data).hex()


def _hashes_of_file(path: str) -> _Hashes:
    hashes = _Hashes()
    with open(path, "rb", buffering=0) as file:
        while data := file.read(_READ_BYTES):
            hashes.add(data)
    return hashes


class GeneratedFile:
    """A file that the object has made of what it was given.  Its name in artifacts is that of its content."""

    def __init__(
        self, kept: SpooledBytes | TemporaryFile, size: int, extension: str, hashes: tuple[str, str] | None
    ) -> None:
        """Takes over what nobody writes to any more; see `of_bytes` and `of_file`."""
        self._kept = kept
        self._extension = extension
        self.size = size
        # SHA-256 and digest; None: nobody has asked yet.
        self._hashes = hashes

    @classmethod
    def of_bytes(cls, data: bytes, extension: str) -> GeneratedFile:
        """Puts bytes aside; `extension` is such as ".png"."""
        size = len(data)
        if size <= INLINE_BYTES_MAX:
            # Hashed when they go into an artifact: the process then waits for the daemon anyway.
            return cls(SpooledBytes(data), size, extension, None)
        file = TemporaryFile(extension)
        file.write(data)
        return cls(file, size, extension, _hashes_of(data))

    @classmethod
    def of_file(cls, file: TemporaryFile) -> GeneratedFile:
        """Takes a file that was written."""
        _, dot, extension = os.path.basename(file.path).partition(".")
        hashes = _hashes_of_file(file.path)
        return cls(file, hashes.size, f"{dot}{extension}", (hashes.sha256, hashes.digest))

    def _known_hashes(self) -> tuple[str, str]:
        if self._hashes is None:
            with self.open() as file:
                self._hashes = _hashes_of(file.read())
        return self._hashes

    @property
    def sha256(self) -> str:
        """Of the bytes, in hex."""
        return self._known_hashes()[0]

    @property
    def name(self) -> str:
        """The beginning of the bytes' digest, and the extension."""
        return f"{self._known_hashes()[1][:HASH_CHARS_IN_PATH]}{self._extension}"

    def put_into(self, artifact: Artifact, folder: str) -> str:
        """Adds the file, unless an equal one is there."""
        kept = self._kept
        if not isinstance(kept, SpooledBytes):
            return artifact._add_part(kept.path, f"{folder}/{self.name}", self._known_hashes()[1])
        data = kept.read() if self._hashes is None else None
        if data is not None:
            self._hashes = _hashes_of(data)
        digest = self._known_hashes()[1]
        path = f"{folder}/{digest[:HASH_CHARS_IN_PATH]}{self._extension}"
        return artifact._add_small_part(kept.read if data is None else lambda: data, path, digest)

    def open(self) -> IO[bytes]:
        """Opens what was put aside."""
        return io.BytesIO(self._kept.read()) if isinstance(self._kept, SpooledBytes) else open(self._kept.path, "rb")

    def at_hand(self, bytes_max: int) -> bytes | None:
        """Reads what was put aside."""
        if self.size > bytes_max:
            return None
        with self.open() as file:
            return file.read()

    def local_path(self) -> str:
        """Returns the path of a file, which is there as long as this object."""
        if isinstance(self._kept, SpooledBytes):
            file = TemporaryFile(self._extension)
            file.write(self._kept.read())
            # One file for all threads that ask at once: a second one would go, and its path with it.
            first: TemporaryFile = self.__dict__.setdefault("_file", file)
            self._kept = first
            return first.path
        return self._kept.path


class UserFile:
    """A file of the user's, which stays where it is.  Its name in artifacts is its own, below its hash."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Reads the file once.

        Raises:
            ValueError: there is no such file.
            FileUnreadableError: it cannot be read.
        """
        self._path = os.path.abspath(os.fspath(path))
        self.name = os.path.basename(self._path)
        if not os.path.isfile(self._path):
            raise ValueError(f"Path is not a file: {os.fspath(path)!r}")
        self._look()

    def _look(self) -> None:
        try:
            self._stamp = _stamp(self._path)
            hashes = _hashes_of_file(self._path)
        except OSError as error:
            raise FileUnreadableError(f"{self._path} cannot be read: {error.strerror}.") from error
        self.sha256, self.size, self._digest = hashes.sha256, hashes.size, hashes.digest

    def put_into(self, artifact: Artifact, folder: str) -> str:
        """Adds the file; one that was added already, under whatever name, is not added again."""
        try:
            has_changed = _stamp(self._path) != self._stamp
        except OSError as error:
            raise FileUnreadableError(f"{self._path} cannot be read any more: {error.strerror}.") from error
        if has_changed:
            self._look()
        known = artifact.get_added_local_path_name(self._path)
        if known is not None and artifact._has_part(known, self._digest):
            return known
        return artifact._add_part(self._path, f"{folder}/{self.sha256[:HASH_CHARS_IN_PATH]}/{self.name}", self._digest)

    def open(self) -> IO[bytes]:
        """Opens the file."""
        return open(self._path, "rb")

    def at_hand(self, bytes_max: int) -> bytes | None:
        """Reads the file."""
        return _small_file(self._path, bytes_max)

    def local_path(self) -> str:
        """Returns its path."""
        return self._path


def _small_file(path: str, bytes_max: int) -> bytes | None:
    with open(path, "rb") as file:
        data = file.read(bytes_max + 1)
    return data if len(data) <= bytes_max else None


def _stamp(path: str) -> tuple[int, ...]:
    """What changes when somebody writes to the file."""
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class RemoteFile:
    """What a URL leads to; artifacts refer to it."""

    size = None

    def __init__(self, url: str) -> None:
        """Takes the URL; asks nobody."""
        self.url = url
        self.sha256 = hashlib.sha256(url.encode()).hexdigest()
        self.name = url.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2] or "object"

    def put_into(self, artifact: Artifact, folder: str) -> str:
        """Adds a reference; its server is asked for what identifies the object now."""
        path = f"{folder}/{self.sha256[:HASH_CHARS_IN_PATH]}/{self.name}"
        if not artifact._has_part(path):
            artifact.add_reference(self.url, name=path)
        return path

    def open(self) -> IO[bytes]:
        """Refuses: what the URL leads to is read once the object is in an artifact.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{self.url} is read by this object only after it was logged; open the URL itself.")

    def at_hand(self, bytes_max: int) -> bytes | None:
        """Returns None: nobody asks the server for a glance."""
        return None

    def local_path(self) -> str:
        """Refuses, as `open`.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{self.url} is no file of this machine.")


class StoredFile:
    """A file of a logged artifact; fetched when somebody looks into it."""

    def __init__(self, fields: ObjectFields) -> None:
        """Takes path, hash and size from an object's JSON.

        Raises:
            MalformedObjectError: a key is missing or of another type.
        """
        self.fields = fields
        self.path = fields.path()
        self.name = self.path.rpartition("/")[2]
        self._sha256 = fields.text_or_none("sha256")
        self._size = fields.whole_or_none("size")
        self._local_path: str | None = None
        self._order = current_order(fields.kind, fields.artifact)
        self._number = 0 if self._order is None else self._order.add(self.path, self._size)

    def __getstate__(self) -> dict[str, Any]:
        """A copy is looked into by itself: the order has the whole table."""
        return {**self.__dict__, "_order": None}

    @property
    def entry(self) -> ArtifactManifestEntry:
        """The file's entry.

        Raises:
            MalformedObjectError: the artifact has none.
        """
        try:
            return self.fields.artifact.get_entry(self.path)
        except KeyError as error:
            raise self.missing() from error

    def missing(self) -> MalformedObjectError:
        """Returns the error for a file that the artifact does not have."""
        return self.fields.malformed("path", f"the artifact has no file {self.path!r}")

    def unreadable(self, problem: str) -> MalformedObjectError:
        """Returns the error for a file whose bytes are not what the object needs."""
        return self.fields.malformed("path", f"the file {self.path!r} cannot be read: {problem}")

    @property
    def sha256(self) -> str:
        """As the JSON says; else the file is read."""
        if self._sha256 is None:
            with self.open() as file:
                hashes = _Hashes()
                while data := file.read(_READ_BYTES):
                    hashes.add(data)
            self._sha256 = hashes.sha256
        return self._sha256

    @property
    def size(self) -> int | None:
        """As the JSON says; else the entry."""
        return self.entry.size if self._size is None else self._size

    def put_into(self, artifact: Artifact, folder: str) -> str:
        """Takes the entry over, by the same path; the bytes are neither fetched nor sent."""
        entry = self.entry
        for path in (self.path, f"{folder}/{entry.digest[:HASH_CHARS_IN_PATH]}/{self.name}"):
            if artifact._has_part(path, entry.digest):
                return path
            if not artifact._has_part(path):
                artifact.add_reference(entry, path)
                return path
        raise ValueError(f"Cannot add {self.path!r}: the artifact has other files of this path and of its digest's.")

    def open(self) -> IO[bytes]:
        """Opens the file where it is stored, or its downloaded copy; what is only referred to is downloaded.

        A small one of a table is fetched whole, with those that are likely to be looked into next.
        """
        if self._order is not None and self._local_path is None:
            data = self._order.read(self._number)
            if data is not None:
                return io.BytesIO(data)
        entry = self.entry if self._local_path is None else None
        if entry is None or entry.is_reference:
            return open(self.local_path(), "rb")
        return entry.open()

    def at_hand(self, bytes_max: int) -> bytes | None:
        """Reads its downloaded copy; a small file of a table is fetched with those that are likely to be looked into next."""
        if self._local_path is not None:
            return _small_file(self._local_path, bytes_max)
        if self._order is None or (self._size is not None and self._size > min(bytes_max, _GLANCE_BYTES_MAX)):
            return None
        data = self._order.read(self._number)
        return data if data is not None and len(data) <= bytes_max else None

    def local_path(self) -> str:
        """Downloads this one file and returns where it is."""
        if self._local_path is None:
            self._local_path = self.entry.download()
        return self._local_path
