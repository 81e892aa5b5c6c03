"""What the journal knows of large files that were downloaded: where they lie, what their chunks are, and what was left half-done.

All of it are hints.  A row of a file says in which state it was put in place; whoever takes bytes from there looks whether it still is
in that state, and compares each chunk with its digest.  Order of one download: partial file noted and lists of chunks kept (in one
transaction, about when the file is begun), the file renamed into place, then its row kept and the partial one dropped in one
transaction.  A crash leaves a row of a partial file, which is gone on with or removed after a day, or a file that nobody remembers.
"""

import sqlite3
from array import array
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from holdfast_contract.limits import DIGEST_BYTES
from holdfast_daemon.journal.journal import Journal

PLACED_FILES_MAX = 50_000
"""Files that are remembered; the oldest go first."""
PLACED_CHUNKS_MAX = 2_000_000
"""Chunks whose lists are kept: 80 MB of journal (twice that if all files are small), 500 GB of files; the oldest go first."""
FILES_OF_DIGEST_MAX = 8
"""Places of one file that are tried: most often the newest is still there."""
_SAMPLED_BELOW = 32
"""First bytes of the digests that are sampled: one chunk in eight.  Of 64 that two files share one is, save in one case of 5,000."""
_ALL_SAMPLED_MAX = 512
"""Chunks of a list of which all are sampled: those of a file of 128 MiB."""
_VARIABLES_MAX = 500

State = tuple[int, int, int, int, int]
"""Device, inode, size, mtime and ctime in nanoseconds."""


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file that was put in place."""

    path: bytes
    digest: bytes
    state: State


@dataclass(frozen=True, slots=True)
class ChunkRun:
    """Consecutive chunks of a file."""

    file_digest: bytes
    offset: int
    """Of the first one in the file."""
    digests: bytes
    lengths: "array[int]"


class PlacedStore:
    """Typed operations, each one transaction."""

    def __init__(self, journal: Journal) -> None:
        self._db = journal._db  # one file, one writer: the journal's

    async def begin_file(self, run: ChunkRun, partial: bytes, now_s: int) -> None:
        """Keeps a list of chunks, and notes that a temporary file is being written (empty: none is to be noted)."""

        def write(c: sqlite3.Connection) -> None:
            if partial:
                c.execute("INSERT OR REPLACE INTO partial_file VALUES (?, ?)", (partial, now_s))
            sql = "INSERT OR IGNORE INTO chunk_run (file_digest, first_offset, chunks, lengths, digests) VALUES (?, ?, ?, ?, ?)"
            row = (run.file_digest, run.offset, len(run.lengths), run.lengths.tobytes(), run.digests)
            added = c.execute(sql, row)
            if added.rowcount:
                rows = [(sample, added.lastrowid) for sample in samples_of(run.digests)]
                c.executemany("INSERT OR IGNORE INTO chunk_sample VALUES (?, ?)", rows)

        await self._db.write(write)

    async def end_file(self, file: PlacedFile, partial: bytes) -> None:
        """Keeps where a file was put, instead of its temporary one."""

        def write(c: sqlite3.Connection) -> None:
            sql = (
                "INSERT OR REPLACE INTO placed_file (path, digest, device, inode, size_bytes, mtime_ns, ctime_ns)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)"
            )
            c.execute(sql, (file.path, file.digest, *file.state))
            c.execute("DELETE FROM partial_file WHERE path = ?", (partial,))

        await self._db.write(write)

    async def drop_partials(self, paths: Collection[bytes]) -> None:
        """Forgets temporary files that are not there any more."""
        await self._db.executemany("DELETE FROM partial_file WHERE path = ?", [(path,) for path in paths])

    async def load_partials(self, before_s: int) -> list[bytes]:
        """Temporary files that were begun before a time."""
        sql = "SELECT path FROM partial_file WHERE begun_at_s < ?"
        return [row[0] for row in await self._db.read(lambda c: c.execute(sql, (before_s,)).fetchall())]

    async def find_runs(self, digests: bytes, file_digest: bytes, offset: int, runs_max: int) -> list[ChunkRun]:
        """Lists of files in place that most likely share chunks with these, those that share most first.

        Args:
            digests: of the chunks, 32 bytes each.
            file_digest: of the file that they belong to: another one of the same content comes first.
            offset: of the first one in the file.
            runs_max: so many at most.
        """

        def read(c: sqlite3.Connection) -> list[ChunkRun]:
            same = _run_of(c, file_digest, offset)
            if same is not None and same.digests == digests:
                return [same]
            shared = _count_shared(c, samples_of(digests))
            sql = "SELECT file_digest, first_offset, digests, lengths FROM chunk_run WHERE run_id = ?"
            best = [run_id for run_id, _ in shared.most_common(runs_max)]
            return [_to_run(c.execute(sql, (run_id,)).fetchone()) for run_id in best]

        return await self._db.read(read)

    async def find_files(self, digest: bytes) -> list[PlacedFile]:
        """Where a file of this digest was put, newest first."""
        sql = (
            "SELECT path, device, inode, size_bytes, mtime_ns, ctime_ns FROM placed_file"
            " WHERE digest = ? ORDER BY placed_at_s DESC LIMIT ?"
        )
        rows = await self._db.read(lambda c: c.execute(sql, (digest, FILES_OF_DIGEST_MAX)).fetchall())
        return [PlacedFile(path, digest, tuple(state)) for path, *state in rows]

    async def drop_files(self, paths: Collection[bytes]) -> None:
        """Forgets files that are not what they were."""
        await self._db.executemany("DELETE FROM placed_file WHERE path = ?", [(path,) for path in paths])

    async def trim(self, needed: Collection[bytes]) -> None:
        """Forgets the oldest files and lists over their numbers, and lists of files that are in no place.

        Args:
            needed: digests of files that are under way.
        """
        files = (
            "DELETE FROM placed_file WHERE path IN"
            " (SELECT path FROM placed_file ORDER BY placed_at_s DESC LIMIT -1 OFFSET ?)"
        )
        orphans = "SELECT DISTINCT file_digest FROM chunk_run WHERE file_digest NOT IN (SELECT digest FROM placed_file)"
        sums = "SELECT run_id, sum(chunks) OVER (ORDER BY run_id DESC) AS total FROM chunk_run"
        surplus = f"SELECT max(run_id) FROM ({sums}) WHERE total > ?"

        def write(c: sqlite3.Connection) -> None:
            c.execute(files, (PLACED_FILES_MAX,))
            gone = [row for row in c.execute(orphans).fetchall() if row[0] not in needed]
            c.executemany("DELETE FROM chunk_run WHERE file_digest = ?", gone)
            c.execute(f"DELETE FROM chunk_run WHERE run_id <= ({surplus})", (PLACED_CHUNKS_MAX,))

        await self._db.write(write)


def samples_of(digests: bytes) -> list[int]:
    """What of a list of chunks is indexed, and looked for: all of few chunks, of many always the same ones of the same chunks."""
    below = _SAMPLED_BELOW if len(digests) > DIGEST_BYTES * _ALL_SAMPLED_MAX else 256
    return [
        int.from_bytes(digests[at + 1 : at + 8]) for at in range(0, len(digests), DIGEST_BYTES) if digests[at] < below
    ]


def _run_of(c: sqlite3.Connection, file_digest: bytes, offset: int) -> ChunkRun | None:
    sql = (
        "SELECT file_digest, first_offset, digests, lengths FROM chunk_run WHERE file_digest = ? AND first_offset = ?"
        " AND EXISTS (SELECT 1 FROM placed_file WHERE digest = file_digest)"
    )
    row = c.execute(sql, (file_digest, offset)).fetchone()
    return _to_run(row) if row else None


def _count_shared(c: sqlite3.Connection, samples: Sequence[int]) -> "Counter[int]":
    shared: Counter[int] = Counter()
    for start in range(0, len(samples), _VARIABLES_MAX):
        part = samples[start : start + _VARIABLES_MAX]
        marks = ",".join("?" * len(part))
        sql = (
            f"SELECT run_id, count(*) FROM chunk_sample JOIN chunk_run USING (run_id) WHERE sample IN ({marks})"
            " AND EXISTS (SELECT 1 FROM placed_file WHERE digest = file_digest) GROUP BY run_id"
        )
        shared.update(dict(c.execute(sql, part).fetchall()))
    return shared


def _to_run(row: tuple[bytes, int, bytes, bytes]) -> ChunkRun:
    file_digest, offset, digests, lengths = row
    return ChunkRun(file_digest, offset, digests, array("I", lengths))
