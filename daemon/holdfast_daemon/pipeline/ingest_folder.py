"""Worker side of ingest for folders: lists, compares with what is known, reads, hashes and packs many small files.

Runs in a worker process and touches nothing but user files (reading) and its spool pack (appending).  Safe to repeat.
"""

import os
import stat
import time
import zlib
from dataclasses import dataclass, field
from urllib.parse import quote

from blake3 import blake3
from pyfastcdc import FastCDC

from holdfast_contract.digest import digest_of
from holdfast_contract.errors import ManifestPathError
from holdfast_contract.limits import (
    CHUNK_BYTES_AVG,
    CHUNK_BYTES_MAX,
    CHUNK_BYTES_MIN,
    MIB,
    SINGLE_CHUNK_FILE_BYTES_MAX,
)
from holdfast_contract.paths import check_path, check_paths
from holdfast_contract.reasons import Reason
from holdfast_daemon.codec import Compressor
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.rows import IngestYield
from holdfast_daemon.pipeline.columns import Chunks, EntryColumns
from holdfast_daemon.pipeline.folder_state import KnownFiles, StateColumns
from holdfast_daemon.pipeline.path_patterns import (
    IGNORE_FILE,
    IGNORE_FILE_BYTES_MAX,
    FolderRules,
    IgnoreFile,
    TreeFilter,
    read_lines,
)
from holdfast_daemon.pipeline.read_file import Stat5, is_settled, read_small, stat5, unreadable
from holdfast_daemon.spool.pack_writer import PackTarget, PackWriter

SMALL_FILE_BYTES_MAX = 1 * MIB
"""Larger files are read in blocks by threads; up to here a whole file in memory is cheaper than a hop for each."""
PROBLEMS_SHOWN_MAX = 5
"""Files named in a message besides the first: more are not read, and two dozen usually have one cause."""
SLICE_NAMES_MODULUS = 1024
SLICE_NAMES_MAX = 4096
"""A folder of more files is read in slices that end after a name whose crc32 is divisible by the modulus: a new file changes one
slice, and the others keep their stored state."""


@dataclass(frozen=True, slots=True)
class FolderSlice:
    """A folder below the root of a tree, or a run of its names."""

    relative: str
    """Path below the root, "" for the root itself; surrogates stand for bytes that are not UTF-8."""
    after_name: str = ""
    names: str | None = None
    """Names joined by "/", sorted; None: list the folder."""
    state: bytes | None = None
    """FolderState of what was known of these files."""
    large_states: tuple[bytes, ...] = ()
    """FolderStates of the folder's large files, one each."""
    through_link: bool = False
    """The folder is a symbolic link's target: check for a cycle."""
    ignore_files: tuple[IgnoreFile, ...] = ()
    """Those of the folders above, from the root down."""
    is_included: bool = False
    """The tree's `include` patterns have chosen this folder or one above it."""


@dataclass(frozen=True, slots=True)
class FolderTask:
    """Slices of one tree for one worker call."""

    root: bytes
    prefix: str
    slices: list[FolderSlice]
    target: PackTarget | None
    """None: hash only (references to files)."""
    reference_uri: str = ""
    """URI of the root, when the files are only referenced."""
    unread: bool = False
    """Of references: no file is opened, the digest of its URI stands for it."""
    distrusted: frozenset[bytes] = frozenset()
    """Chunks that the registry does not have although we thought so: files that need them are read again."""
    wanted: TreeFilter | None = None
    """Which files are wanted; None: all, ignore files among them."""


@dataclass(slots=True)
class FolderResult:
    """What a worker call found; `brought` becomes durable, the rest steers what follows."""

    brought: IngestYield = field(default_factory=IngestYield)
    folders: list[FolderSlice] = field(default_factory=list)
    """Sub-folders, and slices of folders with many names, to be done."""
    large_files: list[tuple[str, int]] = field(default_factory=list)
    """(path below the root, bytes)."""
    problem: bytes | None = None
    """ErrorDetail, encoded, of the first file that cannot be read; the others were read all the same."""
    problems: int = 0
    problem_paths: list[str] = field(default_factory=list)
    """The first of them."""


def make_cutter() -> FastCDC:
    """The cutter with the parameters that all writers share."""
    return FastCDC(avg_size=CHUNK_BYTES_AVG, min_size=CHUNK_BYTES_MIN, max_size=CHUNK_BYTES_MAX)


def slice_names(names: list[str]) -> list[tuple[str, list[str]]]:
    """Cuts sorted names of one folder into (last name before, names); most folders are one slice."""
    if len(names) <= SLICE_NAMES_MODULUS:
        return [("", names)]
    slices, start, after = [], 0, ""
    for position, name in enumerate(names, 1):
        full = position - start >= SLICE_NAMES_MAX
        if full or zlib.crc32(name.encode("utf-8", "surrogateescape")) % SLICE_NAMES_MODULUS == 0:
            slices.append((after, names[start:position]))
            start, after = position, name
    if start < len(names):
        slices.append((after, names[start:]))
    return slices


def ingest_folders(task: FolderTask) -> FolderResult:
    """Does one task; problems with single files are collected, not raised.

    Raises:
        OSError: the spool cannot be written (no space); nothing of the task counts then.
    """
    if task.target is None:
        return _FolderIngest(task, None).run()
    with PackWriter(task.target) as writer:
        result = _FolderIngest(task, writer).run()
        result.brought.fragments = writer.fragments()
    return result


class SmallFilePacker:
    """Hashes whole small files and appends their chunks, each once."""

    file_bytes_max = SMALL_FILE_BYTES_MAX

    def __init__(self, writer: PackWriter | None) -> None:
        """Without a writer files are hashed only."""
        self._writer = writer
        self._compressor = Compressor()
        self._cutter = make_cutter()
        self._packed: set[bytes] = set()

    def pack(self, data: bytes) -> tuple[bytes, Chunks | None]:
        """Returns a file's digest, and its chunk list if it has one."""
        digest: bytes = blake3(data).digest()
        if self._writer is None:
            return digest, None
        if len(data) <= SINGLE_CHUNK_FILE_BYTES_MAX:
            if data:
                self._append(digest, data)
            return digest, None
        view = memoryview(data)
        digests, lengths = bytearray(), []
        for cut in self._cutter.cut_buf(data):
            chunk = view[cut.offset : cut.offset + cut.length]
            chunk_digest = blake3(chunk).digest()
            digests += chunk_digest
            lengths.append(cut.length)
            self._append(chunk_digest, chunk)
        return digest, (bytes(digests), lengths)

    def _append(self, digest: bytes, data: bytes | memoryview) -> None:
        assert self._writer is not None, "only called with a writer"
        if digest in self._packed:
            return
        self._packed.add(digest)
        stored, codec = self._compressor.encode(data)
        self._writer.append(digest, stored, len(data), codec)


class _FolderIngest:
    """State of one call of `ingest_folders`."""

    def __init__(self, task: FolderTask, writer: PackWriter | None) -> None:
        self._task = task
        self._references_only = writer is None
        self._packer = SmallFilePacker(writer)
        self._result = FolderResult()
        self._columns = EntryColumns()

    def run(self) -> FolderResult:
        for piece in self._task.slices:
            try:
                self._ingest_slice(piece)
            except HoldfastError as error:
                self._note(error)
        brought = self._result.brought
        brought.entries = len(self._columns)
        if brought.entries:
            brought.segments = [self._columns.to_segment().SerializeToString()]
        return self._result

    def _note(self, error: HoldfastError) -> None:
        self._result.problems += 1
        if len(self._result.problem_paths) <= PROBLEMS_SHOWN_MAX:
            self._result.problem_paths.append(error.metadata.get("path", error.message))
        if self._result.problem is None:
            self._result.problem = error.to_detail().SerializeToString()

    def _ingest_slice(self, piece: FolderSlice) -> None:
        folder = os.path.join(self._task.root, os.fsencode(piece.relative)) if piece.relative else self._task.root
        shown = os.fsdecode(folder)
        if piece.through_link:
            _refuse_cycle(self._task.root, piece.relative, shown)
        names = self._list(piece, folder, shown) if piece.names is None else piece.names.split("/")
        if not names:
            return
        try:
            dir_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise unreadable(error, shown) from error
        try:
            self._ingest_names(piece, folder, dir_fd, names)
        finally:
            os.close(dir_fd)

    def _list(self, piece: FolderSlice, folder: bytes, shown: str) -> list[str]:
        """Names of the folder's files that belong to this call; queues sub-folders and further slices."""
        names: list[str] = []
        folders: list[tuple[str, bool]] = []
        links_too = self._task.wanted is None or not self._task.wanted.ignore_symlinks
        try:
            with os.scandir(os.fsdecode(folder)) as entries:
                for entry in entries:
                    if not links_too and entry.is_symlink():
                        continue
                    if entry.is_dir():
                        folders.append((entry.name, entry.is_symlink() or piece.through_link))
                    else:
                        names.append(entry.name)
        except OSError as error:
            raise unreadable(error, shown) from error
        names = self._choose(piece, folder, names, folders)
        names.sort()
        slices = slice_names(names)
        if len(slices) == 1:
            return names
        # The known state was looked up for the whole folder; the slices have theirs looked up when they are handed out.
        for after, part in slices:
            self._result.folders.append(FolderSlice(piece.relative, after, "/".join(part)))
        return []

    def _choose(
        self, piece: FolderSlice, folder: bytes, names: list[str], folders: list[tuple[str, bool]]
    ) -> list[str]:
        """Returns the names of the files that are wanted, and queues the folders that are not excluded."""
        base = piece.relative + "/" if piece.relative else ""
        wanted, ignore_files = self._task.wanted, piece.ignore_files
        if wanted is not None and IGNORE_FILE in names:
            names.remove(IGNORE_FILE)
            ignore_files = (*ignore_files, _read_ignore_file(piece.relative, folder))
        if wanted is None or not (wanted.include or wanted.exclude or ignore_files):
            self._result.folders.extend(FolderSlice(base + name, through_link=link) for name, link in folders)
            return names
        rules = FolderRules(wanted, ignore_files, is_included=piece.is_included)
        for name, link in folders:
            path = base + name
            if not rules.leaves_out(path, is_folder=True):
                chosen = bool(wanted.include) and rules.includes(path, is_folder=True)
                self._result.folders.append(
                    FolderSlice(path, through_link=link, ignore_files=ignore_files, is_included=chosen)
                )
        return [
            name
            for name in names
            if rules.includes(base + name, is_folder=False) and not rules.leaves_out(base + name, is_folder=False)
        ]

    def _ingest_names(self, piece: FolderSlice, folder: bytes, dir_fd: int, names: list[str]) -> None:
        base = "/".join(filter(None, (self._task.prefix, piece.relative)))
        base = base + "/" if base else ""
        names = self._admissible(base, names)
        if self._task.unread:
            self._add_unread(base, os.fsdecode(folder), dir_fd, names)
            return
        known = KnownFiles(piece.state, piece.large_states)
        now_ns = time.time_ns()
        if self._all_unchanged(known, names, dir_fd, base):
            return
        states = StateColumns()
        changed = False
        for name in names:
            try:
                changed |= self._ingest_file(name, base, folder, dir_fd, known, states, now_ns)
            except HoldfastError as error:
                self._note(error)
        if not self._references_only and (changed or len(states) != known.small_count):
            self._result.brought.states.append((folder, piece.after_name, states.encode()))

    def _admissible(self, base: str, names: list[str]) -> list[str]:
        try:
            check_paths([base + name for name in names])
        except ManifestPathError:
            return [name for name in names if self._is_admissible(base + name)]
        return names

    def _is_admissible(self, path: str) -> bool:
        try:
            check_path(path)
        except ManifestPathError as error:
            self._note(HoldfastError(Reason.INVALID_PATH, str(error), path=ascii(path)))
            return False
        return True

    def _all_unchanged(self, known: KnownFiles, names: list[str], dir_fd: int, base: str) -> bool:
        """Takes a whole slice from what is known, column by column, if every file is as it was."""
        if self._task.distrusted or self._references_only or names != known.names:
            return False
        try:
            found = [stat5(os.stat(name, dir_fd=dir_fd)) for name in names]
        except OSError:
            return False
        if found != known.stats():
            return False
        first = len(self._columns)
        self._columns.paths.extend([base + name for name in names])
        self._columns.digests += known.digests
        self._columns.sizes.extend(known.sizes)
        for index, chunks in known.chunks.items():
            self._columns.chunks[first + index] = chunks
        total = sum(known.sizes)
        self._result.brought.bytes_total += total
        self._result.brought.bytes_known += total
        return True

    def _ingest_file(
        self,
        name: str,
        base: str,
        folder: bytes,
        dir_fd: int,
        known: KnownFiles,
        states: StateColumns,
        now_ns: int,
    ) -> bool:
        """Adds one file's entry; returns whether anything is known of it now that was not before."""
        shown = os.path.join(os.fsdecode(folder), name)
        index = known.find(name)
        if index is not None:
            try:
                state = stat5(os.stat(name, dir_fd=dir_fd))
            except OSError as error:
                raise unreadable(error, shown) from error
            if state == known.stat_at(index) and not known.needs(index, self._task.distrusted):
                digest, chunks = known.digest_at(index), known.chunks.get(index)
                self._add(base + name, digest, state[2], chunks)
                self._result.brought.bytes_known += state[2]
                if state[2] <= SMALL_FILE_BYTES_MAX:
                    states.add(name, state, digest, chunks)
                return False
        state, data = read_small(name, shown, SMALL_FILE_BYTES_MAX, dir_fd)
        if data is None:
            relative = os.path.relpath(os.path.join(folder, os.fsencode(name)), self._task.root)
            self._result.large_files.append((os.fsdecode(relative), state[2]))
            return False
        digest, chunks = self._packer.pack(data)
        self._add(base + name, digest, len(data), chunks)
        self._result.brought.bytes_read += len(data)
        return self._remember(states, name, state, digest, chunks, now_ns)

    def _remember(
        self, states: StateColumns, name: str, state: Stat5, digest: bytes, chunks: Chunks | None, now_ns: int
    ) -> bool:
        if not is_settled(state, now_ns):
            return False
        states.add(name, state, digest, chunks)
        return True

    def _add(self, path: str, digest: bytes, size: int, chunks: Chunks | None) -> None:
        self._result.brought.bytes_total += size
        if self._references_only:
            self._columns.add_reference(path, self._uri_of(path), digest.hex(), size)
        else:
            self._columns.add_file(path, digest, size, chunks)

    def _add_unread(self, base: str, folder: str, dir_fd: int, names: list[str]) -> None:
        """Adds references to files that are only looked at from outside."""
        for name in names:
            path, shown = base + name, os.path.join(folder, name)
            try:
                found = os.stat(name, dir_fd=dir_fd)
            except OSError as error:
                self._note(unreadable(error, shown))
                continue
            if not stat.S_ISREG(found.st_mode):
                self._note(
                    HoldfastError(Reason.FILE_NOT_REGULAR, f"{shown} is not a regular file; leave it out", path=shown)
                )
                continue
            self._add(path, digest_of(self._uri_of(path).encode()), found.st_size, None)

    def _uri_of(self, path: str) -> str:
        below = path[len(self._task.prefix) + 1 :] if self._task.prefix else path
        return f"{self._task.reference_uri}/{quote(below)}"


def _read_ignore_file(relative: str, folder: bytes) -> IgnoreFile:
    path = os.path.join(folder, IGNORE_FILE.encode())
    _, data = read_small(path, os.fsdecode(path), IGNORE_FILE_BYTES_MAX)
    if data is None:
        text = f"{os.fsdecode(path)} is longer than {IGNORE_FILE_BYTES_MAX} bytes; use fewer patterns"
        raise HoldfastError(Reason.TOO_LARGE, text, path=os.fsdecode(path))
    return IgnoreFile(relative, read_lines(data))


def _refuse_cycle(root: bytes, relative: str, shown: str) -> None:
    """A folder reached through a link must not be one of the folders above it."""
    try:
        here = os.stat(os.path.join(root, os.fsencode(relative)))
        above = root
        for part in ["", *relative.split("/")[:-1]]:
            above = os.path.join(above, os.fsencode(part)) if part else above
            found = os.stat(above)
            if (found.st_dev, found.st_ino) == (here.st_dev, here.st_ino):
                raise HoldfastError(
                    Reason.SYMLINK_CYCLE,
                    f"{shown} is a symbolic link to a folder that contains it ({os.fsdecode(above)}); remove the link.",
                    path=shown,
                )
    except OSError as error:
        raise unreadable(error, shown) from error
