"""A read-only fsspec file system over logged versions: `holdfast://entity/project/name:alias/path`.

Whatever opens files by fsspec (pandas, pyarrow, polars, dask, torch) reads straight from the store, and only the bytes it asks for.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, NoReturn

from fsspec import AbstractFileSystem

from holdfast._artifact_names import VersionName, complete_name
from holdfast._entry_file import BUFFER_BYTES, EntryFile, StoredFile, open_entry, read_entry, stored_bytes
from holdfast._fetch import Fetcher
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast.errors import NotFoundError
from holdfast.manifest import ArtifactManifest, ArtifactManifestEntry
from holdfast_contract.digest import digest_of
from holdfast_contract.errors import InvalidNameError
from holdfastpb.registry.v1.version_pb2 import Version

PROTOCOL = "holdfast"
ALIAS_TTL_S = 10.0
"""An alias is looked up once in so many seconds: a directory that is walked, and the files that are then opened, are of one version."""
VERSIONS_MAX = 1_000
"""Kept for their names: some MB, of versions with usual metadata."""
LISTINGS_MAX = 256
LISTED_NAMES_MAX = 200_000
"""Names kept for all listings, some 100 MB."""
RANGES_AT_ONCE = 8
"""Enough to hide the round trips of a line; the daemon shares its work among all who read anyway."""
NAME_PARTS_MAX = 3
"""entity/project/name."""

Info = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """A path taken apart."""

    root: str
    """The version as the caller wrote it: what names that are handed out begin with."""
    name: VersionName
    inner: str
    """Path in the artifact; empty: its root."""

    def outer(self, inner: str) -> str:
        return f"{self.root}/{inner}" if inner else self.root


class HoldfastFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Files of logged versions.

    Paths are `[[entity/]project/]name:alias/path`, where the alias may be "vN", a semantic version, a range of them or a digest.
    Without ":alias" the version is the latest, and entity and project must be there when a path follows.  Missing ones are those of the
    arguments, or the settings.  fsspec takes "*" for a pattern of paths: the range 1.2.* is written 1.2.x here.

    Example:
        pandas.read_parquet("holdfast://team/digits/mnist:latest/train.parquet", columns=["label"])
    """

    protocol = PROTOCOL
    root_marker = ""

    def __init__(
        self, entity: str | None = None, project: str | None = None, alias_ttl_s: float = ALIAS_TTL_S, **options: Any
    ) -> None:
        """Makes a file system; nothing is asked yet.

        Args:
            entity: of paths that name none; default: HOLDFAST_ENTITY, else "local".
            project: of paths that name none; default: HOLDFAST_PROJECT, else "uncategorized".
            alias_ttl_s: seconds for which the version that an alias names stays the same for this object.
            options: fsspec's own.
        """
        super().__init__(**options)
        self._entity = entity
        self._project = project
        self._alias_ttl_s = alias_ttl_s
        self._forget_all()

    def _forget_all(self) -> None:
        self._lock = threading.Lock()
        self._versions: OrderedDict[VersionName, tuple[Version, float]] = OrderedDict()
        self._listings: OrderedDict[tuple[str, str], dict[str, Info]] = OrderedDict()
        self._listed_names = 0
        _in_use[id(self)] = self

    # --- paths and versions -------------------------------------------------------------------------------------------

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        text = os.fspath(path)
        return text.removeprefix(f"{PROTOCOL}://").strip("/")

    @classmethod
    def _parent(cls, path: Any) -> str:
        stripped: str = cls._strip_protocol(path)
        return stripped.rpartition("/")[0]

    def _place(self, path: Any) -> _Place:
        parts = self._strip_protocol(path).split("/")
        marked = next((at for at, part in enumerate(parts[:NAME_PARTS_MAX]) if ":" in part), None)
        count = min(len(parts), NAME_PARTS_MAX) if marked is None else marked + 1
        root = "/".join(parts[:count])
        settings = this_process().settings
        try:
            name = complete_name(
                root, entity=self._entity or settings.entity, project=self._project or settings.project
            )
        except InvalidNameError as error:  # callers of file systems look for OSErrors
            raise FileNotFoundError(errno.ENOENT, f"{os.strerror(errno.ENOENT)} ({error})", os.fspath(path)) from error
        return _Place(root, name, "/".join(parts[count:]))

    def _version(self, place: _Place) -> Version:
        with self._lock:
            kept = self._versions.get(place.name)
        if kept is not None and time.monotonic() < kept[1]:
            return kept[0]
        try:
            version = _calls().resolve_version(place.name)
        except NotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, f"{os.strerror(errno.ENOENT)} ({error})", place.root) from error
        with self._lock:
            self._versions[place.name] = (version, time.monotonic() + self._alias_ttl_s)
            self._versions.move_to_end(place.name)
            while len(self._versions) > VERSIONS_MAX:
                self._versions.popitem(last=False)
        return version

    # --- listing ------------------------------------------------------------------------------------------------------

    def info(self, path: str, **_: Any) -> Info:
        """Returns what is known of a file or folder: name, size, type, and of a file its digest, and `ref` of a reference.

        Raises:
            FileNotFoundError: there is neither.
        """
        place = self._place(path)
        version = self._version(place)
        if not place.inner:
            return _folder_info(place.root, version)
        folder, name = os.path.split(place.inner)
        listing = self._kept_listing(version.version_id, folder)
        if listing is not None:
            if name not in listing:
                raise _absent(path)
            return _named(listing[name], place.outer(place.inner))
        manifest = _manifest(version, place.inner)
        entry = manifest.get_entry_by_path(place.inner)
        if entry is not None:
            return _file_info(place.outer(place.inner), entry, version)
        if next(manifest.items_from(f"{place.inner}/"), None) is None:
            raise _absent(path)
        return _folder_info(place.outer(place.inner), version)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """Returns the files and folders of a folder, or the file itself; only the part of the manifest below it is read.

        Raises:
            FileNotFoundError: there is neither.
        """
        place = self._place(path)
        version = self._version(place)
        listing = self._kept_listing(version.version_id, place.inner)
        if listing is None:
            listing = self._list(version, place.inner)
        if not listing and place.inner:
            infos = [self.info(path)]
        else:
            infos = [_named(info, place.outer(_join(place.inner, name))) for name, info in listing.items()]
        return infos if detail else [info["name"] for info in infos]

    def _list(self, version: Version, folder: str) -> dict[str, Info]:
        prefix = f"{folder}/" if folder else ""
        listing: dict[str, Info] = {}
        for path, entry in _manifest(version, prefix).items_from(prefix):
            name, slash, _ = path[len(prefix) :].partition("/")
            if not slash:
                listing[name] = _file_info(path, entry, version)
            elif name not in listing:
                listing[name] = _folder_info(prefix + name, version)
        listing = {name: listing[name] for name in sorted(listing)}  # "a-b" is before "a/b", and after "a"
        if listing:
            self._keep_listing(version.version_id, folder, listing)
        return listing

    def _kept_listing(self, version_id: str, folder: str) -> dict[str, Info] | None:
        with self._lock:
            listing = self._listings.get((version_id, folder))
            if listing is not None:
                self._listings.move_to_end((version_id, folder))
            return listing

    def _keep_listing(self, version_id: str, folder: str, listing: dict[str, Info]) -> None:
        with self._lock:
            self._listed_names -= len(self._listings.pop((version_id, folder), ()))
            self._listings[version_id, folder] = listing
            self._listed_names += len(listing)
            while len(self._listings) > LISTINGS_MAX or self._listed_names > LISTED_NAMES_MAX:
                self._listed_names -= len(self._listings.popitem(last=False)[1])

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **_: Any
    ) -> list[str] | dict[str, Info]:
        """Returns all files below a folder, in one go instead of folder by folder.

        Args:
            path: a folder, or a file, which is then the result.
            maxdepth: folders deep; None: all.
            withdirs: folders, too.
            detail: a dict from name to info instead of a list of names.
        """
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        place = self._place(path)
        version = self._version(place)
        found = {place.outer(inner): info for inner, info in _below(version, place.inner, maxdepth, withdirs)}
        if not found or withdirs:
            try:
                own = self.info(path)
            except FileNotFoundError:
                own = None  # as fsspec has it: nothing is found there
            if own is not None and (own["type"] == "file" or withdirs):
                found[own["name"]] = own
        infos = {name: _named(found[name], name) for name in sorted(found)}
        return infos if detail else list(infos)

    def exists(self, path: str, **_: Any) -> bool:
        """Returns whether there is such a file or folder.

        Raises:
            Error: nobody could be asked.
        """
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def ukey(self, path: str) -> str:
        """Returns a text that changes with the file: its digest."""
        info = self.info(path)
        return str(info.get("digest") or info["version_id"])

    def checksum(self, path: str) -> int:
        """Returns a number that changes with the file."""
        return int.from_bytes(digest_of(self.ukey(path).encode())[:16], "big")

    def created(self, path: str) -> datetime:
        """Returns when the version was committed."""
        return datetime.fromtimestamp(self.info(path)["created"], UTC)

    def modified(self, path: str) -> datetime:
        """Returns when the version was committed: files do not change after that."""
        return self.created(path)

    # --- reading ------------------------------------------------------------------------------------------------------

    def _open(self, path: str, mode: str = "rb", block_size: Any = None, **_: Any) -> IO[bytes]:
        """Opens a file; what fsspec would put before it (blocks, caches) is not: it would read more than is asked for."""
        if mode != "rb":
            self._refuse(path)
        version, entry = self._entry(path)
        if entry.is_reference:
            opened: IO[bytes] = open_entry(entry, "rb")
            return opened
        return EntryFile(StoredFile(version.version_id, entry.path, entry.size or 0), BUFFER_BYTES)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Returns the bytes from `start` to `end`; negative ones count from the file's end."""
        version, entry = self._entry(path)
        first, last = slice(start, end).indices(entry.size or 0)[:2]
        if last <= first:
            return b""
        if entry.is_reference:
            return read_entry(entry, first, last - first)
        return b"".join(stored_bytes(version.version_id, entry.path, first, last - first))

    def cat_ranges(
        self,
        paths: Sequence[str],
        starts: Sequence[int | None] | int | None,
        ends: Sequence[int | None] | int | None,
        max_gap: int | None = None,
        on_error: str = "return",
        **_: Any,
    ) -> list[Any]:
        """Returns the bytes of many ranges, several at a time.

        Args:
            paths: of each range.
            starts: of each, or of all of them.
            ends: of each, or of all of them.
            max_gap: accepted for compatibility; the daemon joins what lies close together.
            on_error: "return" gives the exception in the place of the bytes, "raise" raises the first one.

        Raises:
            ValueError: lists of unequal lengths.
        """
        count = len(paths)
        all_starts = [starts] * count if starts is None or isinstance(starts, int) else list(starts)
        all_ends = [ends] * count if ends is None or isinstance(ends, int) else list(ends)
        if len(all_starts) != count or len(all_ends) != count:
            raise ValueError("paths, starts and ends must be equally many")

        def read(path: str, start: int | None, end: int | None) -> Any:
            try:
                return self.cat_file(path, start, end)
            except Exception as error:  # whatever the file system raises is the caller's answer
                if on_error != "return":
                    raise
                return error  # fsspec's contract: in the place of the bytes

        with ThreadPoolExecutor(min(RANGES_AT_ONCE, count) or 1) as threads:
            return list(threads.map(read, paths, all_starts, all_ends))

    def get_file(self, rpath: str, lpath: str, callback: Any = None, outfile: Any = None, **_: Any) -> None:
        """Puts a file where the caller wants it: the daemon writes and checks it; it appears whole or not at all."""
        if outfile is not None:
            with self._open(rpath) as file:
                shutil.copyfileobj(file, outfile, 1 << 20)
            return
        if self.isdir(rpath):
            os.makedirs(lpath, exist_ok=True)
            return
        version, entry = self._entry(rpath)
        target = os.path.abspath(os.fspath(lpath))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".holdfast-", dir=os.path.dirname(target)) as folder:
            if entry.is_reference:
                source = os.path.join(folder, "reference")
                with open_entry(entry, "rb") as file, open(source, "wb") as copy:
                    shutil.copyfileobj(file, copy, 1 << 20)
            else:
                Fetcher(this_process().daemon).download(version.version_id, folder, paths=[entry.path])
                source = os.path.join(folder, entry.path)
            os.replace(source, target)
        if callback is not None:
            callback.set_size(entry.size)
            callback.absolute_update(entry.size or 0)

    def _entry(self, path: str) -> tuple[Version, ArtifactManifestEntry]:
        """Returns a file's entry.

        Raises:
            FileNotFoundError, IsADirectoryError: it is no file.
        """
        place = self._place(path)
        info = self.info(path)
        if info["type"] == "directory":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        version = self._version(place)
        if "ref" in info:
            return version, ArtifactManifestEntry(
                place.inner, info["digest"], ref=info["ref"], size=info["size"], extra=info["extra"]
            )
        return version, ArtifactManifestEntry(place.inner, info["digest"], size=info["size"])

    # --- writing ------------------------------------------------------------------------------------------------------

    def _refuse(self, path: Any = None, *_: Any, **__: Any) -> NoReturn:
        text = "versions are not written to; log a new one with holdfast.log_artifact"
        raise OSError(errno.EROFS, f"{os.strerror(errno.EROFS)}: {text}", path)

    mkdir: Callable[..., None] = _refuse
    makedirs: Callable[..., None] = _refuse
    rmdir: Callable[..., None] = _refuse
    rm: Callable[..., None] = _refuse
    rm_file: Callable[..., None] = _refuse
    _rm: Callable[..., None] = _refuse
    cp_file: Callable[..., None] = _refuse
    mv: Callable[..., None] = _refuse
    put_file: Callable[..., None] = _refuse
    pipe_file: Callable[..., None] = _refuse
    touch: Callable[..., None] = _refuse


_in_use: weakref.WeakValueDictionary[int, HoldfastFileSystem] = weakref.WeakValueDictionary()
"""By identity: fsspec takes those with the same arguments for equal."""


def _after_fork_in_child() -> None:
    # fsspec hands the same objects out again; another thread of the parent may have had a lock.
    for system in list(_in_use.values()):
        system._forget_all()


os.register_at_fork(after_in_child=_after_fork_in_child)


def _calls() -> RegistryCalls:
    return RegistryCalls(this_process().daemon)


def _manifest(version: Version, prefix: str) -> ArtifactManifest:
    """Returns the part of a version's manifest that can hold paths with this prefix."""
    return ArtifactManifest(_calls().manifest_segments(version.version_id, path_prefix=prefix))


def _below(version: Version, folder: str, maxdepth: int | None, withdirs: bool) -> Iterator[tuple[str, Info]]:
    """Yields what lies below a folder, by its path in the artifact."""
    prefix = f"{folder}/" if folder else ""
    above = prefix.count("/")
    told: set[str] = set()
    for path, entry in _manifest(version, prefix).items_from(prefix):
        if maxdepth is None or path.count("/") - above < maxdepth:
            yield path, _file_info(path, entry, version)
        parent = path.rpartition("/")[0]
        while withdirs and len(parent) > len(folder) and parent not in told:
            told.add(parent)
            if maxdepth is None or parent.count("/") - above < maxdepth:
                yield parent, _folder_info(parent, version)
            parent = parent.rpartition("/")[0]


def _file_info(name: str, entry: ArtifactManifestEntry, version: Version) -> Info:
    info = {**_common(name, version), "type": "file", "size": entry.size or 0, "digest": entry.digest}
    return {**info, "ref": entry.ref, "extra": entry.extra} if entry.is_reference else info


def _folder_info(name: str, version: Version) -> Info:
    return {**_common(name, version), "type": "directory", "size": 0}


def _common(name: str, version: Version) -> Info:
    seconds = version.created_at_ms / 1000
    return {"name": name, "version_id": version.version_id, "created": seconds, "mtime": seconds}


def _named(info: Info, name: str) -> Info:
    """Returns a copy that bears the name that the caller uses."""
    return {**info, "name": name}


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _absent(path: Any) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
