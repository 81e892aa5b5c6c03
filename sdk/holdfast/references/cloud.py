"""What the handlers of S3, Google Cloud Storage and Azure Blob Storage have in common: objects in buckets, with ETags and versions."""

from __future__ import annotations

import os
import re
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import FileIO
from typing import IO, Any, ClassVar, TypeVar

from holdfast.errors import CommError, ReferenceChangedError, ReferenceMissingError
from holdfast.manifest import ArtifactManifestEntry
from holdfast.references.handlers import AddedReference, ReferenceRequest, StorageHandler, extra_json
from holdfast.references.network import NetworkLimits
from holdfast.references.object_reader import buffered
from holdfast.references.object_store import ObjectInfo, ObjectStore
from holdfast.references.target_file import TargetFile, md5_of
from holdfastpb.daemon.v1.log_pb2 import AddReference

LOOKS_AT_ONCE_MAX = 32
"""Requests about single objects while a folder is added: 32 hide 30 ms of distance well enough for a thousand objects a second."""
PART_BYTES = 32 << 20
"""Of an object that is fetched in parts: large against the cost of a request, small enough to be had within its time."""
PARTS_AT_ONCE_MAX = 4
STORES_KEPT_MAX = 64
"""Buckets whose connections are kept."""

_MD5 = re.compile("[0-9a-f]{32}")

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """What a URI names."""

    bucket: str
    key: str
    """Empty: the whole bucket.  Ends in "/": a folder."""
    version: str | None = None
    """The one version that is meant."""
    credentials: str = ""
    """What the URI itself brings along to be let in; never recorded."""


class CloudHandler(StorageHandler):
    """Refers to objects, or to all objects below a folder; pins their versions where the store keeps versions."""

    noun: ClassVar[str]
    """What messages call the place."""

    def __init__(self, *, limits: NetworkLimits | None = None) -> None:
        """Makes a handler; nothing is loaded or asked yet."""
        self._limits = limits or NetworkLimits()
        self._lock = threading.Lock()
        self._stores: dict[ObjectPlace, tuple[int, ObjectStore]] = {}
        # Where ETags look like MD5s and are not: of objects encrypted with a key of one's own.
        self._not_md5: set[str] = set()

    @abstractmethod
    def parse(self, uri: str) -> ObjectPlace:
        """Returns what a URI names.

        Raises:
            ValueError: it names nothing of this kind.
        """

    @abstractmethod
    def uri_of(self, place: ObjectPlace, key: str) -> str:
        """Returns the URI that is recorded for an object beside `place`."""

    @abstractmethod
    def open_store(self, place: ObjectPlace) -> Any:
        """Returns obstore's store of the bucket.

        Raises:
            MissingPackageError: obstore is not installed.
        """

    def is_folder_marker(self, info: ObjectInfo) -> bool:
        """Whether an object only says that a folder is there."""
        return info.size == 0 and "x-directory" in info.attributes.get("Content-Type", "")

    # --- adding -------------------------------------------------------------------------------------------------------

    def references(self, request: ReferenceRequest) -> Iterator[AddedReference]:
        """Yields a reference to the object, or to each object below the folder.

        Raises:
            ReferenceMissingError: (a ValueError) there is neither.
            CommError: the store refuses, or cannot be asked.
        """
        place = self.parse(request.uri)
        if not request.checksum:
            yield self._unchecked(request, place)
            return
        store = self._store(place)
        if place.key and not place.key.endswith("/"):
            info = store.head(place.key, place.version)
            if info is not None and not self.is_folder_marker(info):
                yield self._added(request.name or os.path.basename(place.key), place, info)
                return
            if place.version:
                raise ReferenceMissingError(f"Object does not exist: {request.uri} (version {place.version})")
        yield from self._below(request, place, store)

    def _unchecked(self, request: ReferenceRequest, place: ObjectPlace) -> AddedReference:
        uri = self.uri_of(place, place.key)
        path = request.name or (place.key or place.bucket).rstrip("/")
        extra = extra_json({"versionID": place.version} if place.version else {})
        return AddedReference(AddReference(path=path, uri=uri, digest=uri, extra_json=extra))

    def _added(self, path: str, place: ObjectPlace, info: ObjectInfo) -> AddedReference:
        uri = self.uri_of(place, info.key)
        extra: dict[str, object] = {"etag": info.etag} if info.etag else {}
        if info.version:
            extra["versionID"] = info.version
        digest = info.etag or uri
        return AddedReference(
            AddReference(path=path, uri=uri, digest=digest, size=info.size, extra_json=extra_json(extra))
        )

    def _below(self, request: ReferenceRequest, place: ObjectPlace, store: ObjectStore) -> Iterator[AddedReference]:
        """One page of the listing after another, so that memory does not grow with the folder."""
        folder = place.key.strip("/")
        below = len(folder) + 1 if folder else 0
        seen_any, keeps_versions = False, None
        with ThreadPoolExecutor(LOOKS_AT_ONCE_MAX, "holdfast-reference") as pool:
            for page in store.pages(folder):
                seen_any = seen_any or bool(page)
                objects = [info for info in page if info.key != folder]
                if keeps_versions is None and objects:
                    keeps_versions = _keeps_versions(store, objects)
                look = partial(self._looked_at, store, keeps_versions=bool(keeps_versions))
                for info in pool.map(look, objects):
                    if info is not None:
                        yield self._added(request.path_below(info.key[below:]), place, info)
        if not seen_any:
            raise ReferenceMissingError(
                f"Unable to find object at {request.uri}: there is no such {self.noun}, and nothing below it."
            )

    def _looked_at(self, store: ObjectStore, info: ObjectInfo, *, keeps_versions: bool) -> ObjectInfo | None:
        """What is to be recorded of a listed object; None: it is no object, but the marker of a folder.

        Listings tell neither versions nor, of something empty, whether it is a file.
        """
        if info.size and not keeps_versions:
            return info
        found = store.head(info.key)
        if found is None or self.is_folder_marker(found):
            return None
        return found

    # --- fetching -----------------------------------------------------------------------------------------------------

    def fetch(self, entry: ArtifactManifestEntry, target: TargetFile) -> None:
        """Fetches the object, of the recorded version and with the recorded ETag, and puts it in place."""
        wanted = self._wanted(entry)
        place, etag = wanted.place, wanted.etag
        if etag and _MD5.fullmatch(etag) and target.holds(entry.size or 0, etag):
            return
        store = self._store(place)
        try:
            with target.writing() as file:
                self._fetch_checked(store, wanted, file)
        except ReferenceMissingError as error:
            raise ReferenceMissingError(_gone(entry, wanted.version)) from error
        except ReferenceChangedError as error:
            found = store.head(place.key, wanted.version)
            if found is None:  # not every store tells the two apart
                raise ReferenceMissingError(_gone(entry, wanted.version)) from error
            raise ReferenceChangedError(_changed(entry, etag, found)) from error

    def open_reference(self, entry: ArtifactManifestEntry) -> IO[bytes]:
        """Opens the object where it lies, for reading any part of it; each part is checked to be of the recorded object.

        Raises:
            ReferenceMissingError: it is gone.
            CommError: the store refuses, or cannot be asked.
        """
        wanted = self._wanted(entry)
        key, version, etag = wanted.place.key, wanted.version, wanted.etag
        store = self._store(wanted.place)
        info = store.head(key, version)
        if info is None:
            raise ReferenceMissingError(_gone(entry, version))
        if etag and info.etag != etag:
            raise ReferenceChangedError(_changed(entry, etag, info))

        def read_span(start: int, end: int) -> bytes:
            pieces: list[bytes] = []
            store.read(key, pieces.append, version=version, etag=etag or info.etag, span=(start, end))
            return b"".join(pieces)

        return buffered(info.size, read_span)

    def _wanted(self, entry: ArtifactManifestEntry) -> _Wanted:
        uri = entry.ref_target()
        place = self.parse(uri)
        etag = None if entry.digest == uri else str(entry.extra.get("etag") or entry.digest)
        version = str(entry.extra.get("versionID") or place.version or "") or None
        return _Wanted(place, etag, version, entry.size or 0)

    def _fetch_checked(self, store: ObjectStore, wanted: _Wanted, file: FileIO) -> None:
        _fetch_all(store, wanted, file)
        place, etag = wanted.place, wanted.etag
        if wanted.version or not etag or not _MD5.fullmatch(etag) or place.bucket in self._not_md5:
            return
        first = md5_of(file)
        if first == etag:
            return
        # Either bytes were lost on the way, or this ETag is no MD5 (encryption with a key of one's own): the second try tells.
        _fetch_all(store, wanted, file)
        second = md5_of(file)
        if second == etag:
            return
        if second != first:
            raise CommError(f"{self.uri_of(place, place.key)} came damaged, twice and differently; try again.")
        self._not_md5.add(place.bucket)

    # --- connections --------------------------------------------------------------------------------------------------

    def _store(self, place: ObjectPlace) -> ObjectStore:
        """The store of a bucket, kept with its connections; another one after a change of the environment's settings."""
        bucket = ObjectPlace(place.bucket, "", None, place.credentials)
        settings = _settings_fingerprint()
        with self._lock:
            kept = self._stores.get(bucket)
            if kept is not None and kept[0] == settings:
                return kept[1]
        opened = ObjectStore(partial(self.open_store, bucket), self.uri_of(bucket, "").rstrip("/"))
        with self._lock:
            if len(self._stores) >= STORES_KEPT_MAX:
                self._stores.clear()
            self._stores[bucket] = (settings, opened)
        return opened


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One object that is to be fetched."""

    place: ObjectPlace
    etag: str | None
    """None: whatever is there now."""
    version: str | None
    size: int
    """Recorded; counts only with an ETag."""


def _fetch_all(store: ObjectStore, wanted: _Wanted, file: FileIO) -> None:
    """Writes the whole object into an open file, large ones in several parts at once."""
    file.seek(0)
    file.truncate()
    key, etag, size = wanted.place.key, wanted.etag, wanted.size
    if not etag:
        info = store.head(key, wanted.version)
        if info is None:
            raise ReferenceMissingError(key)
        # All parts are at least of the same object.
        etag, size = info.etag, info.size
    if size <= PART_BYTES:
        store.read(key, partial(_write_all, file), version=wanted.version, etag=etag)
        return

    def fetch_part(start: int) -> None:
        span = (start, min(start + PART_BYTES, size))
        store.read(key, _WriteAt(file.fileno(), start), version=wanted.version, etag=etag, span=span)

    with ThreadPoolExecutor(PARTS_AT_ONCE_MAX, "holdfast-reference-part") as pool:
        for _ in _in_order(pool, fetch_part, range(0, size, PART_BYTES)):
            pass


class _WriteAt:
    """Writes pieces one after another, from a place on, while others write elsewhere in the same file."""

    def __init__(self, descriptor: int, offset: int) -> None:
        self._descriptor = descriptor
        self._offset = offset

    def __call__(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, self._offset)
            self._offset += written
            view = view[written:]


def _write_all(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _in_order(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """As `pool.map`; the first failure keeps what has not begun from beginning."""
    futures = [pool.submit(work, item) for item in items]
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _keeps_versions(store: ObjectStore, objects: list[ObjectInfo]) -> bool:
    """Whether the store gives its objects versions, from the first one that is still there."""
    for info in objects:
        found = store.head(info.key)
        if found is not None:
            return found.version is not None
    return False


def _settings_fingerprint() -> int:
    prefixes = ("AWS_", "GOOGLE_", "AZURE_", "STORAGE_EMULATOR_HOST")
    chosen = sorted((name, value) for name, value in os.environ.items() if name.startswith(prefixes))
    return hash((os.getpid(), *chosen))


def _gone(entry: ArtifactManifestEntry, version: str | None) -> str:
    what = f"version {version} of it" if version else "the object"
    return (
        f"{entry.path} refers to {entry.ref}, but {what} does not exist any more;"
        " put it back, or pass allow_missing_references=True."
    )


def _changed(entry: ArtifactManifestEntry, etag: str | None, found: ObjectInfo) -> str:
    return (
        f"Digest mismatch for {entry.path}: {entry.ref} was recorded with ETag {etag} and {entry.size} bytes,"
        f" and has ETag {found.etag} and {found.size} bytes now; log the artifact again, or put the object back."
    )
