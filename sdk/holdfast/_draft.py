"""What an artifact is before it is logged: a session with the daemon, and the little that the SDK itself must remember.

The contents are in the daemon.  Here are only the paths that were added one by one, since adding one of them again must be judged
at once, and the folders that were added, by their local names.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, overload

from holdfast._local_file import LocalFile, digest_of_file, read_small
from holdfast._log_session import LogSession
from holdfast._process import this_process
from holdfast.errors import ArtifactError
from holdfast.manifest import ArtifactManifest, ArtifactManifestEntry
from holdfast.references.handlers import AddedReference
from holdfast_contract.digest import file_digest
from holdfast_contract.limits import COMMIT_DEADLINE_S, INLINE_BYTES_MAX
from holdfastpb.daemon.v1 import log_pb2

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

LIST_DRAFT_ENTRIES = "/holdfast.daemon.v1.LogService/ListDraftEntries"

FEW_REFERENCES = 64
"""Found by one `add_reference`; more of them are not remembered one by one."""
RECORD_OVERHEAD_BYTES = 64
"""Of a record's encoding, beside its path and data; an estimate is enough, batches leave room."""


@dataclass(frozen=True, slots=True)
class DraftListing:
    """A draft's contents, as the daemon has them after all records so far."""

    last_seq: int
    manifest: ArtifactManifest
    digest: str
    size_bytes: int


class Draft:
    """The contents of one artifact until it is logged.  Thread-safe."""

    def __init__(self, owner: Artifact, base_version_id: str | None = None) -> None:
        """Makes an empty draft, or one with the entries of a committed version."""
        self._owner = weakref.ref(owner)
        self._base_version_id = base_version_id
        self._lock = threading.RLock()
        self._session: LogSession | None = None
        self._last_seq = 0
        # Path -> digest where the SDK knows it, "" where only the daemon does.
        self._added: dict[str, str] = {}
        self._local_names: dict[str, str] = {}
        self._local_files: dict[str, str] = {}
        # Files of objects that the daemon has yet to read, by the numbers of their records.
        self._unread: dict[int, str] = {}
        self._trees: list[tuple[str, str]] = []
        # Whether there are paths that are not in `_added`: too many of them.
        self._has_unlisted = False
        self._listing: DraftListing | None = None
        # What has changed since the first listing, by the number of the last record that did it: one path, and whether it is gone (it
        # may be a folder), or paths that only the daemon knows.  All others are as the listing has them.
        self._is_listed = False
        self._paths_changed: dict[str, tuple[int, bool]] = {}
        self._many_changed_seq = 0

    # --- adding -------------------------------------------------------------------------------------------------------

    def add_file(self, file: LocalFile, path: str, *, mutable: bool, overwrite: bool) -> ArtifactManifestEntry:
        """Adds one file; with `mutable` returns after it was read.

        Raises:
            ValueError: the path has another content already.
        """
        session = self.session()
        data = read_small(file) if mutable else None
        digest = "" if data is None else file_digest(data).hex()
        if not overwrite and self._may_exist(path):
            existing = self._same_or_raise(path, digest or digest_of_file(file))
            if existing is not None:
                return existing
        record, size_bytes = file_record(file, path, data, overwrite=overwrite, mutable=mutable)
        with self._lock:
            seq = self._append(record, size_bytes, path)
            self._added[path] = digest
            self._local_names[file.path] = path
            self._local_files[path] = file.path
        if mutable and data is None:
            self._wait_for_path(session, seq, path)
            return self._entry(path, local_path=file.path)
        return self._entry(path, digest=digest or None, size=file.size_bytes, local_path=file.path)

    def add_part(self, file: LocalFile, path: str, digest: str) -> None:
        """Adds a file of an object, as `add_file` with `mutable`, and does not wait for it: `wait_for_parts` does for all of them.

        Args:
            file: is left alone until then.
            path: in the artifact.
            digest: of the file's bytes.

        Raises:
            ValueError: the path has another content already.
        """
        if self._may_exist(path) and self._same_or_raise(path, digest) is not None:
            return
        data = read_small(file) if file.size_bytes <= INLINE_BYTES_MAX else None
        record, size_bytes = file_record(file, path, data, overwrite=False, mutable=True)
        with self._lock:
            seq = self._append(record, size_bytes, path)
            self._added[path] = digest
            self._local_names[file.path] = path
            self._local_files[path] = file.path
            if record.HasField("add_file"):
                self._unread[seq] = path

    def add_small_part(self, read: Callable[[], bytes], path: str, digest: str) -> None:
        """As `add_part`, of at most 64 KiB that are no file, and are read if they are not there.

        Raises:
            ValueError: the path has another content already.
        """
        if self._added.get(path) == digest:
            return
        if self._may_exist(path) and self._same_or_raise(path, digest) is not None:
            return
        data = read()
        record = log_pb2.Record()
        # Into the record itself: a message that is given to another one is copied.
        record.add_bytes.path = path
        record.add_bytes.data = data
        with self._lock:
            self._append(record, len(path) + len(data), path)
            self._added[path] = digest

    def wait_for_parts(self) -> None:
        """Returns when the daemon has read all files of objects.

        Raises:
            Error: the first one that it could not read, which is taken back.
        """
        while self._unread:
            with self._lock:
                seq = min(self._unread, default=0)
                path = self._unread.pop(seq, None)
            if path is not None:
                self._wait_for_path(self.session(), seq, path)

    def has_part(self, path: str, digest: str | None = None) -> bool:
        """Whether the path is taken, or with `digest`: by a file of this content."""
        known = self._added.get(path)
        if known and digest is not None:
            return known == digest
        existing = self.entry_at(path)
        return existing is not None and (digest is None or existing.digest == digest)

    def add_tree(self, tree: log_pb2.AddTree) -> None:
        """Adds files below a folder; the daemon walks.  With `mutable` returns after they were read."""
        session = self.session()
        local_path = os.fsdecode(tree.local_path)
        size_bytes = len(tree.local_path) + len(tree.prefix) + sum(map(len, [*tree.include, *tree.exclude]))
        with self._lock:
            seq = self._append(log_pb2.Record(add_tree=tree), size_bytes)
            self._trees.append((local_path, tree.prefix))
            if tree.overwrite:
                below = f"{tree.prefix}/" if tree.prefix else ""
                self._added.update((path, "") for path in self._added if path.startswith(below))
        if tree.mutable:
            try:
                session.wait_ingested(seq)
            except ArtifactError:
                with self._lock:
                    self._trees.remove((local_path, tree.prefix))
                raise

    def add_references(self, found: Iterable[AddedReference]) -> Sequence[ArtifactManifestEntry]:
        """Adds what a handler finds, all of it or nothing; waits for what the daemon has to read.

        Raises:
            ValueError: a path has another content already.
        """
        found = iter(found)
        first = list(itertools.islice(found, FEW_REFERENCES + 1))
        if len(first) > FEW_REFERENCES:
            return self._add_many_references(itertools.chain(first, found))
        if len(first) == 1 and first[0].is_folder:
            record = cast("log_pb2.AddReference", first[0].record)
            self._send_reference(first[0])
            return ReferencedEntries(lambda: self._references_below(record))
        existing = [self._existing(added) for added in first]
        return [entry or self._add_reference(added) for added, entry in zip(first, existing, strict=True)]

    def _add_many_references(self, found: Iterable[AddedReference]) -> Sequence[ArtifactManifestEntry]:
        """Sends nothing before all is known, and keeps it on disk meanwhile."""
        from holdfast.references.spooled import SpooledReferences

        spooled = SpooledReferences(found)
        listing = None if self.is_empty else self.listing().manifest
        with self._lock:
            for record in spooled:
                known = listing and listing.get_entry_by_path(record.path)
                if known and known.digest != record.digest:
                    raise _same_path_twice(record.path)
            self._has_unlisted = True
            for record in spooled:
                if not (listing and listing.get_entry_by_path(record.path)):
                    self._append(log_pb2.Record(add_reference=record), record.ByteSize())
        return ReferencedEntries(lambda: [self._tied(AddedReference(record).entry()) for record in spooled])

    def _existing(self, added: AddedReference) -> ArtifactManifestEntry | None:
        """The entry that is there already with the same path and digest."""
        record = added.record
        digest = record.digest if isinstance(record, log_pb2.AddReference) else added.digest
        if added.must_be_read or not digest or not self._may_exist(record.path):
            return None
        return self._same_or_raise(record.path, digest)

    def _add_reference(self, added: AddedReference) -> ArtifactManifestEntry:
        self._send_reference(added)
        entry = added.entry()
        with self._lock:
            self._added[added.record.path] = entry._digest or ""
        return self._tied(entry)

    def _tied(self, entry: ArtifactManifestEntry) -> ArtifactManifestEntry:
        owner = self._owner()
        assert owner is not None, "the artifact lives while one of its methods runs"
        entry.belong_to(owner, self._resolve)
        return entry

    def _send_reference(self, added: AddedReference) -> None:
        session = self.session()
        what = added.record
        record = (
            log_pb2.Record(add_entry=what) if isinstance(what, log_pb2.AddEntry) else log_pb2.Record(add_reference=what)
        )
        with self._lock:
            seq = self._append(record, what.ByteSize(), None if added.is_folder else what.path)
        if added.must_be_read:
            session.wait_ingested(seq)

    def send(self, record: log_pb2.Record, size_bytes: int) -> None:
        """Sends a record whose paths the caller has judged; nobody looks whether they are taken."""
        with self._lock:
            self._append(record, size_bytes)

    def wait_until_read(self) -> None:
        """Returns when all records so far have been read.

        Raises:
            Error: one of them failed, or the daemon cannot be reached.
        """
        self.session().wait_ingested()

    def remove(self, path: str) -> None:
        """Removes an entry, or all below a folder.

        Raises:
            FileNotFoundError: there is neither.
        """
        self.session()
        owner = self._owner()
        is_file = path in self._added
        # What an incremental draft is laid over is known at its commit only.
        if not is_file and not (owner is not None and owner.incremental):
            is_file = self._entry_now(path) is not None
            if not is_file and not self._has_below(path):
                raise FileNotFoundError(f"No such file or directory: {path}")
        with self._lock:
            self._append(log_pb2.Record(remove=log_pb2.Remove(path=path)), len(path), path)
            # Nothing is below a file; so many of them can be removed without looking at all others each time.
            for gone in [path] if is_file else [p for p in self._added if p == path or p.startswith(f"{path}/")]:
                self._forget(gone)

    def _has_below(self, folder: str) -> bool:
        return not self.is_empty and next(self.listing().manifest.items_from(f"{folder}/"), None) is not None

    def _forget(self, path: str) -> None:
        self._added.pop(path, None)
        local = self._local_files.pop(path, None)
        if local is not None and self._local_names.get(local) == path:
            del self._local_names[local]

    def _append(self, record: log_pb2.Record, size_bytes: int, path: str | None = None) -> int:
        """Sends a record that changes one path, or several that only the daemon knows; with the lock held."""
        seq = self._last_seq = self.session().append(record, size_bytes + RECORD_OVERHEAD_BYTES)
        if path is None:
            self._many_changed_seq = seq
        elif self._is_listed:
            self._paths_changed[path] = seq, record.HasField("remove")
        return seq

    def _wait_for_path(self, session: LogSession, seq: int, path: str) -> None:
        try:
            session.wait_ingested(seq)
        except ArtifactError:
            with self._lock:
                self._forget(path)
            raise

    def _may_exist(self, path: str) -> bool:
        """Whether the path may be taken; never wrong when it says no."""
        if path in self._added or self._base_version_id is not None or self._has_unlisted:
            return True
        for local_path, prefix in self._trees:
            below = path.removeprefix(f"{prefix}/") if prefix else path
            if (not prefix or below != path) and os.path.lexists(os.path.join(local_path, below)):
                return True
        return False

    def _same_or_raise(self, path: str, digest: str) -> ArtifactManifestEntry | None:
        """Returns the entry that has this path and digest already, or None if the path is free.

        Raises:
            ValueError: the path has another digest.
        """
        known = self._added.get(path)
        existing = self._entry_now(path) if not known else None
        if not known and existing is None:
            return None
        if digest != (known or (existing and existing.digest)):
            raise _same_path_twice(path)
        return existing or self._entry(path)

    def entry_at(self, path: str) -> ArtifactManifestEntry | None:
        """Returns the entry of a path; asks the daemon only if the path may be taken."""
        return self._entry_now(path) if self._may_exist(path) else None

    def _entry_now(self, path: str) -> ArtifactManifestEntry | None:
        """Returns the entry of a path; lists the draft only if something has changed there since that was done."""
        if self.is_empty:
            return None
        with self._lock:
            known = self._listing
            parents = itertools.accumulate(path.split("/"), lambda folder, name: f"{folder}/{name}")
            changes = [self._paths_changed[parent] for parent in parents if parent in self._paths_changed]
            changed_seq, is_gone = max([(self._many_changed_seq, False), *changes])
        if known is None or changed_seq > known.last_seq:
            if is_gone:
                return None
            known = self.listing()
        return known.manifest.get_entry_by_path(path)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever added, nor taken over from a version."""
        return self._last_seq == 0 and self._base_version_id is None

    # --- looking ------------------------------------------------------------------------------------------------------

    def listing(self) -> DraftListing:
        """Returns the contents after all records so far; waits until their files are read.

        Raises:
            Error: a record failed, or the daemon cannot be reached.
        """
        session = self.session()
        with self._lock:
            last_seq, known = self._last_seq, self._listing
            self._is_listed = True
        if known is not None and known.last_seq == last_seq:
            return known
        session.wait_ingested()
        request = log_pb2.ListDraftEntriesRequest(session_id=session.session_id)
        segments: list[bytes] = []
        while True:
            page = this_process().daemon.unary(
                LIST_DRAFT_ENTRIES, request, log_pb2.ListDraftEntriesResponse, deadline_s=COMMIT_DEADLINE_S
            )
            segments += page.segments
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        manifest = ArtifactManifest(segments, parent=self._owner())
        found = DraftListing(last_seq, manifest, page.digest, page.size_bytes)
        with self._lock:
            self._listing = found
            self._paths_changed = {path: change for path, change in self._paths_changed.items() if change[0] > last_seq}
        return found

    def local_name(self, local_path: str) -> str | None:
        """Returns the path that a local file was added under, or None."""
        local = os.path.abspath(local_path)
        if local in self._local_names:
            return self._local_names[local]
        for folder, prefix in reversed(self._trees):
            if local.startswith(os.path.join(folder, "")) and os.path.isfile(local):
                below = os.path.relpath(local, folder)
                return f"{prefix}/{below}" if prefix else below
        return None

    def has_path(self, path: str) -> bool:
        """Whether this very path was added by itself."""
        return path in self._added

    def _entry(
        self, path: str, *, digest: str | None = None, size: int | None = None, local_path: str | None = None
    ) -> ArtifactManifestEntry:
        entry = ArtifactManifestEntry(path, digest, size=size)
        entry.local_path = local_path
        return self._tied(entry)

    def _resolve(self, path: str) -> ArtifactManifestEntry:
        entry = self.listing().manifest.get_entry_by_path(path)
        if entry is None:
            raise KeyError(f"Path not contained in artifact: {path}")
        return entry

    def _references_below(self, record: log_pb2.AddReference) -> list[ArtifactManifestEntry]:
        entries = self.listing().manifest.get_entries_in_directory(record.path)
        return [entry for entry in entries if (entry.ref or "").startswith(f"{record.uri}/")]

    # --- the session --------------------------------------------------------------------------------------------------

    def session(self) -> LogSession:
        """Returns the stream to the daemon; begins it at the first call.

        Raises:
            ArtifactError: the draft was begun by the process that this one was forked from.
        """
        session = self._session
        if session is None:
            with self._lock:
                session = self._session = self._session or self._begin()
        if not session.is_of_this_process:
            raise ArtifactError(
                "This artifact was begun in the parent process, which alone can go on with it;"
                " make a new Artifact in the forked child."
            )
        return session

    @property
    def session_if_begun(self) -> LogSession | None:
        """The stream to the daemon; None as long as nothing was added or logged."""
        return self._session

    def _begin(self) -> LogSession:
        owner = self._owner()
        assert owner is not None, "the artifact lives while one of its methods runs"
        process, opening = owner._opening()
        session = LogSession(process.daemon, opening)
        # Without a name, nobody can log it any more; the daemon need not keep it.
        weakref.finalize(self, session.abandon).atexit = False
        if self._base_version_id is not None:
            base = log_pb2.AddBase(version_id=self._base_version_id)
            self._last_seq = session.append(log_pb2.Record(add_base=base), RECORD_OVERHEAD_BYTES)
        return session


def _same_path_twice(path: str) -> ValueError:
    return ValueError(f"Cannot add the same path twice: {path!r}; pass overwrite=True to replace it.")


def file_record(
    file: LocalFile, path: str, data: bytes | None, *, overwrite: bool, mutable: bool
) -> tuple[log_pb2.Record, int]:
    """Returns the record that adds a file, by its bytes or by its name, and about how large it is."""
    local_path = os.fsencode(file.path)
    size_bytes = len(path) + len(local_path)
    if data is None:
        large = log_pb2.AddFile(path=path, overwrite=overwrite, local_path=local_path, mutable=mutable)
        return log_pb2.Record(add_file=large), size_bytes
    small = log_pb2.AddBytes(path=path, data=data, overwrite=overwrite, local_path=local_path)
    return log_pb2.Record(add_bytes=small), size_bytes + len(data)


class ReferencedEntries(Sequence[ArtifactManifestEntry]):
    """The entries that one reference to a folder has made; they are asked for when somebody looks."""

    def __init__(self, load: Callable[[], list[ArtifactManifestEntry]]) -> None:
        """Makes the sequence of what `load` will return."""
        self._load = load
        self._loaded: list[ArtifactManifestEntry] | None = None

    @property
    def _entries(self) -> list[ArtifactManifestEntry]:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    @overload
    def __getitem__(self, index: int) -> ArtifactManifestEntry: ...

    @overload
    def __getitem__(self, index: slice) -> list[ArtifactManifestEntry]: ...

    def __getitem__(self, index: int | slice) -> ArtifactManifestEntry | list[ArtifactManifestEntry]:
        return self._entries[index]

    def __iter__(self) -> Iterator[ArtifactManifestEntry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
