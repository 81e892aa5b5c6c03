"""What must survive the daemon, as operations: one method, one transaction.

Order in which things become durable, and what a crash leaves:
  1. records, with what inline ones put into the spool  crash after: the SDK was told, or repeats them (numbers tell)
  2. runs of entries and pack fragments of a record     crash after: kept; before: the record is read again
  3. record ingested                                    crash before: its runs are dropped and it is done again (file_state: cheap)
  4. Finalize                                           crash after: the job goes on by itself with the next start
  5. request ids of begin and commit                    on disk before they are on the wire: a repeat is recognised
  6. pack gone (its chunks are in the registry)         crash before: the registry calls them present, the pack goes then
  7. result                                             crash before: the commit is repeated and answered from the registry's memory
"""

import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path

from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import DIGEST_BYTES
from holdfast_contract.pack import PACK_ID_BYTES, PackIndex
from holdfast_daemon.journal.database import Database, open_connection
from holdfast_daemon.journal.rows import (
    ACTIVE_STATES,
    ENDED_STATES,
    EntrySourceRow,
    IngestYield,
    JobRow,
    PackRow,
    RecordRow,
)
from holdfastpb.daemon.v1.log_pb2 import JOB_STATE_INGEST

KNOWN_CHUNKS_MAX = 2_000_000
"""About 100 MB of index: 600 GB of large files. Older hints go first; losing one costs a write to the spool, nothing else."""
FOLDER_STATES_MAX = 200_000
"""Rows of what is known of files, a folder or a large file each; the longest unchanged go first, which costs one more read of them."""
_VARIABLES_MAX = 500
_STORE_STATE = "INSERT OR REPLACE INTO file_state (folder, after_name, state) VALUES (?, ?, ?)"

_JOB_COLUMNS = (
    "job_id, client_id, opened, state, acked_seq, created_at_ms, finalize, finalize_order, begin_request_id, "
    "commit_request_id, result, finalized_at_ms, ended_at_ms, priority, paused"
)


def _placeholders(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


BASE_SEQ = 0
"""Stands in an incremental job's runs of entries for the version that it is laid over; records are numbered from 1."""


def _store_yield(c: sqlite3.Connection, job_id: str, seq: int, brought: IngestYield, entity: str) -> None:
    if not c.execute("SELECT 1 FROM job WHERE job_id = ?", (job_id,)).fetchone():
        return  # dropped while a worker was still reading for it
    c.executemany(
        "INSERT INTO entry_run (job_id, seq, segment) VALUES (?, ?, ?)", [(job_id, seq, s) for s in brought.segments]
    )
    packs = [(f[:PACK_ID_BYTES], entity) for f in brought.fragments]
    c.executemany("INSERT OR IGNORE INTO pack (pack_id, entity) VALUES (?, ?)", packs)
    c.executemany(
        "INSERT INTO pack_fragment (pack_id, job_id, seq, fragment) VALUES (?, ?, ?, ?)",
        [(f[:PACK_ID_BYTES], job_id, seq, f) for f in brought.fragments],
    )
    c.executemany(_STORE_STATE, brought.states)


class Journal:
    """Typed operations on the journal's database; every `async` method that writes returns after the COMMIT."""

    def __init__(self, path: Path) -> None:
        self._db = Database(path)

    @property
    def path(self) -> Path:
        """The file, for workers that read runs by themselves."""
        return self._db.path

    def close(self) -> None:
        """Finishes queued writes and closes the file."""
        self._db.close()

    async def open_job(self, row: JobRow) -> None:
        """Adds a draft; one that exists is left alone."""
        await self._db.execute(
            "INSERT OR IGNORE INTO job (job_id, client_id, opened, state, created_at_ms) VALUES (?, ?, ?, ?, ?)",
            (row.job_id, row.client_id, row.opened, row.state, row.created_at_ms),
        )

    async def load_job(self, job_id: str) -> JobRow | None:
        """One job, whatever its state."""
        sql = f"SELECT {_JOB_COLUMNS} FROM job WHERE job_id = ?"
        row = await self._db.read(lambda c: c.execute(sql, (job_id,)).fetchone())
        return JobRow(*row) if row else None

    async def load_active_jobs(self) -> list[JobRow]:
        """Jobs that have not ended, oldest first."""
        sql = f"SELECT {_JOB_COLUMNS} FROM job WHERE state IN ({_placeholders(ACTIVE_STATES)}) ORDER BY created_at_ms"
        return [JobRow(*r) for r in await self._db.read(lambda c: c.execute(sql, ACTIVE_STATES).fetchall())]

    async def list_ended_jobs(self, count_max: int) -> list[JobRow]:
        """Jobs that have ended, newest first."""
        sql = (
            f"SELECT {_JOB_COLUMNS} FROM job WHERE state IN ({_placeholders(ENDED_STATES)}) "
            "ORDER BY ended_at_ms DESC LIMIT ?"
        )
        return [
            JobRow(*r) for r in await self._db.read(lambda c: c.execute(sql, (*ENDED_STATES, count_max)).fetchall())
        ]

    async def load_records(self, job_id: str) -> list[RecordRow]:
        """Records of a job in their order."""
        sql = "SELECT seq, payload, ingested, error FROM record WHERE job_id = ? ORDER BY seq"
        return [
            RecordRow(s, p, bool(i), e)
            for s, p, i, e in await self._db.read(lambda c: c.execute(sql, (job_id,)).fetchall())
        ]

    async def append_records(
        self,
        job_id: str,
        first_seq: int,
        payloads: Sequence[bytes],
        inline: dict[int, IngestYield],
        entity: str,
    ) -> None:
        """Adds records and raises `acked_seq`; `inline` holds what records with their bytes inside have brought."""

        def write(c: sqlite3.Connection) -> None:
            c.executemany(
                "INSERT OR IGNORE INTO record (job_id, seq, payload, ingested) VALUES (?, ?, ?, ?)",
                [(job_id, first_seq + i, p, (first_seq + i) in inline) for i, p in enumerate(payloads)],
            )
            for seq, brought in inline.items():
                _store_yield(c, job_id, seq, brought, entity)
            c.execute("UPDATE job SET acked_seq = ? WHERE job_id = ?", (first_seq + len(payloads) - 1, job_id))

        failpoint("intake.before_records")
        await self._db.write(write)
        failpoint("intake.after_records")

    async def store_yield(
        self, job_id: str, seq: int, brought: IngestYield, entity: str, done: Sequence[int] = ()
    ) -> None:
        """Keeps what one step of ingest has brought, and says which records are done with it."""

        def write(c: sqlite3.Connection) -> None:
            _store_yield(c, job_id, seq, brought, entity)
            c.executemany("UPDATE record SET ingested = 1 WHERE job_id = ? AND seq = ?", [(job_id, s) for s in done])

        failpoint("ingest.before_store")
        await self._db.write(write)
        failpoint("ingest.after_store")

    async def mark_ingested(self, job_id: str, seq: int, error: bytes | None = None) -> None:
        """Says that a record is done, or that it cannot be done and why."""
        await self._db.execute(
            "UPDATE record SET ingested = 1, error = ? WHERE job_id = ? AND seq = ?", (error, job_id, seq)
        )
        failpoint("ingest.after_mark")

    async def reset_record(self, job_id: str, seq: int) -> None:
        """Forgets the entries that a record gave, so that it is read again; packs and file states stay."""

        def write(c: sqlite3.Connection) -> None:
            c.execute("DELETE FROM entry_run WHERE job_id = ? AND seq = ?", (job_id, seq))
            c.execute("UPDATE record SET ingested = 0, error = NULL WHERE job_id = ? AND seq = ?", (job_id, seq))

        await self._db.write(write)

    async def retract(self, job_id: str, target: int, seq: int) -> None:
        """Empties a failed record and drops what it left; the record that asks for it is done in the same transaction.

        A crash before the COMMIT leaves both as they were, one after it finds nothing left to do.  The number stays, since
        numbers have no gaps.
        """

        def write(c: sqlite3.Connection) -> None:
            c.execute("DELETE FROM entry_run WHERE job_id = ? AND seq = ?", (job_id, target))
            c.execute("DELETE FROM entry_source WHERE job_id = ? AND seq = ?", (job_id, target))
            empty = "UPDATE record SET payload = x'', ingested = 1, error = NULL WHERE job_id = ? AND seq = ?"
            c.execute(empty, (job_id, target))
            c.execute("UPDATE record SET ingested = 1 WHERE job_id = ? AND seq = ?", (job_id, seq))

        await self._db.write(write)

    async def finalize_job(self, job_id: str, finalize: bytes, begin_id: str, commit_id: str, now_ms: int) -> int:
        """Makes a draft a job; returns its place in the order of all Finalizes.  Repeating changes nothing."""

        def write(c: sqlite3.Connection) -> int:
            order = c.execute("SELECT finalize_order FROM job WHERE job_id = ?", (job_id,)).fetchone()[0]
            if order is not None:
                return int(order)
            order = c.execute("SELECT coalesce(max(finalize_order), 0) + 1 FROM job").fetchone()[0]
            c.execute(
                "UPDATE job SET finalize = ?, finalize_order = ?, state = ?, begin_request_id = ?, "
                "commit_request_id = ?, finalized_at_ms = ? WHERE job_id = ?",
                (finalize, order, JOB_STATE_INGEST, begin_id, commit_id, now_ms, job_id),
            )
            return int(order)

        failpoint("finalize.before_store")
        order = await self._db.write(write)
        failpoint("finalize.after_store")
        return order

    async def release_jobs(self, finalizes: Sequence[tuple[str, bytes]]) -> None:
        """Lets held jobs go: (job, its Finalize without the hold).  A crash before the COMMIT leaves all of them held."""
        failpoint("sync.before_release")
        await self.replace_finalizes(finalizes)
        failpoint("sync.after_release")

    async def replace_finalizes(self, finalizes: Sequence[tuple[str, bytes]]) -> None:
        """Changes what is said of jobs that have not ended: (job, its Finalize).  A crash before the COMMIT changes none of them."""
        rows = [(finalize, job_id) for job_id, finalize in finalizes]
        await self._db.executemany("UPDATE job SET finalize = ? WHERE job_id = ?", rows)

    async def set_paused(self, job_ids: Sequence[str], paused: bool) -> None:
        """Notes which jobs rest until they are resumed.  A crash before the COMMIT leaves all of them as they were."""
        await self._db.executemany("UPDATE job SET paused = ? WHERE job_id = ?", [(paused, j) for j in job_ids])

    async def set_priority(self, job_ids: Sequence[str], priority: int) -> None:
        """Notes a priority that counts instead of what Finalize says.  A crash before the COMMIT changes none of them."""
        await self._db.executemany("UPDATE job SET priority = ? WHERE job_id = ?", [(priority, j) for j in job_ids])

    async def replace_base(self, job_id: str, segments: Sequence[bytes]) -> None:
        """Keeps the entries over which those of an incremental job are laid, instead of those that were kept before."""

        def write(c: sqlite3.Connection) -> None:
            c.execute("DELETE FROM entry_run WHERE job_id = ? AND seq = ?", (job_id, BASE_SEQ))
            c.executemany(
                "INSERT INTO entry_run (job_id, seq, segment) VALUES (?, ?, ?)",
                [(job_id, BASE_SEQ, s) for s in segments],
            )

        await self._db.write(write)

    async def set_request_ids(self, job_id: str, begin_id: str, commit_id: str) -> None:
        """New ids for a job whose lease ended: it begins again."""
        await self._db.execute(
            "UPDATE job SET begin_request_id = ?, commit_request_id = ? WHERE job_id = ?",
            (begin_id, commit_id, job_id),
        )

    async def add_entry_sources(self, job_id: str, sources: Sequence[EntrySourceRow]) -> None:
        """Notes what records take entries over from, before they do."""
        sql = (
            "INSERT OR REPLACE INTO entry_source (job_id, seq, source_id, is_draft, entity, version_id, problem) "
            "SELECT ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM job WHERE job_id = ?)"
        )
        rows = [(job_id, s.seq, s.source_id, s.is_draft, s.entity, s.version_id, s.problem, job_id) for s in sources]
        failpoint("take.before_sources")
        await self._db.executemany(sql, rows)
        failpoint("take.after_sources")

    async def load_entry_sources(self, job_id: str) -> list[EntrySourceRow]:
        """What the records of a job take entries over from."""
        sql = "SELECT seq, source_id, is_draft, entity, version_id, problem FROM entry_source WHERE job_id = ?"
        rows = await self._db.read(lambda c: c.execute(sql, (job_id,)).fetchall())
        return [EntrySourceRow(seq, source, bool(d), entity, version, p) for seq, source, d, entity, version, p in rows]

    async def store_taken(self, job_id: str, runs: Sequence[tuple[int, bytes]]) -> None:
        """Keeps the entry that each of some records has taken over; those records are done with it."""

        def write(c: sqlite3.Connection) -> None:
            if not c.execute("SELECT 1 FROM job WHERE job_id = ?", (job_id,)).fetchone():
                return  # dropped meanwhile
            c.executemany(
                "INSERT INTO entry_run (job_id, seq, segment) VALUES (?, ?, ?)",
                [(job_id, seq, run) for seq, run in runs],
            )
            done = "UPDATE record SET ingested = 1 WHERE job_id = ? AND seq = ?"
            c.executemany(done, [(job_id, seq) for seq, _ in runs])

        failpoint("take.before_store")
        await self._db.write(write)

    async def end_job(
        self,
        job_id: str,
        state: int,
        result: bytes,
        now_ms: int,
        known: Sequence[bytes] = (),
        as_source: EntrySourceRow | None = None,
    ) -> None:
        """Records how a job ended, drops what it needed only before, and keeps the hints about its chunks.

        In the same transaction all drafts that take entries over from it are told by `as_source`, so that none waits for one
        that nobody remembers.
        """

        def write(c: sqlite3.Connection) -> None:
            c.execute(
                "UPDATE job SET state = ?, result = ?, ended_at_ms = ? WHERE job_id = ?",
                (state, result, now_ms, job_id),
            )
            c.execute("DELETE FROM record WHERE job_id = ?", (job_id,))
            c.execute("DELETE FROM entry_run WHERE job_id = ?", (job_id,))
            c.execute("DELETE FROM entry_source WHERE job_id = ?", (job_id,))
            if as_source is not None:
                c.execute(
                    "UPDATE entry_source SET entity = ?, version_id = ?, problem = ? WHERE source_id = ? AND is_draft",
                    (as_source.entity, as_source.version_id, as_source.problem, job_id),
                )
            c.executemany("INSERT OR IGNORE INTO known_chunk VALUES (?)", [(d,) for d in known])

        failpoint("commit.before_result")
        await self._db.write(write)
        failpoint("commit.after_result")

    async def drop_job(self, job_id: str) -> None:
        """Forgets a job altogether (a draft whose caller is gone, a job that ended long ago)."""
        await self._db.execute("DELETE FROM job WHERE job_id = ?", (job_id,))

    async def drop_ended_jobs(self, before_ms: int) -> None:
        """Forgets jobs that ended before a time, and hints and file states over their numbers."""

        def write(c: sqlite3.Connection) -> None:
            c.execute(
                f"DELETE FROM job WHERE state IN ({_placeholders(ENDED_STATES)}) AND ended_at_ms < ?",
                (*ENDED_STATES, before_ms),
            )
            surplus = c.execute("SELECT count(*) FROM file_state").fetchone()[0] - FOLDER_STATES_MAX
            if surplus > 0:
                oldest = "SELECT folder, after_name FROM file_state ORDER BY stored_at_s LIMIT ?"
                c.execute(f"DELETE FROM file_state WHERE (folder, after_name) IN ({oldest})", (surplus,))
            surplus = c.execute("SELECT count(*) FROM known_chunk").fetchone()[0] - KNOWN_CHUNKS_MAX
            if surplus > 0:
                # Digests are random: the first ones in order are as good a choice as any, and cost no extra index.
                c.execute(
                    "DELETE FROM known_chunk WHERE digest IN (SELECT digest FROM known_chunk ORDER BY digest LIMIT ?)",
                    (surplus,),
                )

        await self._db.write(write)

    async def seal_pack(self, pack_id: bytes, size_bytes: int) -> None:
        """Says that a pack is whole and flushed."""
        failpoint("spool.before_seal_row")
        await self._db.execute("UPDATE pack SET sealed = 1, size_bytes = ? WHERE pack_id = ?", (size_bytes, pack_id))

    async def replace_pack(self, old_id: bytes, new_id: bytes, entity: str, fragment: bytes, size_bytes: int) -> None:
        """Puts a rewritten, sealed pack in the place of another."""

        def write(c: sqlite3.Connection) -> None:
            sql = "SELECT DISTINCT job_id, seq FROM pack_fragment WHERE pack_id = ?"
            owners = c.execute(sql, (old_id,)).fetchall()
            c.execute("INSERT INTO pack VALUES (?, ?, 1, ?)", (new_id, entity, size_bytes))
            # Every record that needs the pack stays its owner; the frames are the first one's, since they are counted once.
            nothing = PackIndex(new_id).encode_fragment()
            c.executemany(
                "INSERT INTO pack_fragment (pack_id, job_id, seq, fragment) VALUES (?, ?, ?, ?)",
                [(new_id, job_id, seq, nothing if i else fragment) for i, (job_id, seq) in enumerate(owners)],
            )
            c.execute("DELETE FROM pack_fragment WHERE pack_id = ?", (old_id,))
            c.execute("DELETE FROM pack WHERE pack_id = ?", (old_id,))

        await self._db.write(write)

    async def split_pack(
        self,
        old_id: bytes,
        old_owner: str,
        new_id: bytes,
        entity: str,
        fragment: bytes,
        size_bytes: int,
        job_ids: Collection[str],
    ) -> None:
        """Gives some jobs of a pack a sealed pack of their own; the frames of the old one stay as they are, as `old_owner`'s."""

        def write(c: sqlite3.Connection) -> None:
            sql = f"SELECT DISTINCT job_id, seq FROM pack_fragment WHERE pack_id = ? AND job_id IN ({_placeholders(moved)})"
            owners = c.execute(sql, (old_id, *moved)).fetchall()
            c.execute("INSERT INTO pack VALUES (?, ?, 1, ?)", (new_id, entity, size_bytes))
            nothing = PackIndex(new_id).encode_fragment()
            c.executemany(
                "INSERT INTO pack_fragment (pack_id, job_id, seq, fragment) VALUES (?, ?, ?, ?)",
                [(new_id, job_id, seq, nothing if i else fragment) for i, (job_id, seq) in enumerate(owners)],
            )
            c.execute(
                f"UPDATE pack_fragment SET job_id = ?, seq = 0 WHERE pack_id = ? AND job_id IN ({_placeholders(moved)})",
                (old_owner, old_id, *moved),
            )

        moved = sorted(job_ids)
        await self._db.write(write)

    async def load_pack_owners(self, pack_id: bytes) -> list[tuple[str, int]]:
        """Whose the frames of a pack are: (job, number of frames), in their order; 0 frames: it shares some of the others'."""
        sql = "SELECT job_id, fragment FROM pack_fragment WHERE pack_id = ? ORDER BY fragment_id"
        rows = await self._db.read(lambda c: c.execute(sql, (pack_id,)).fetchall())
        return [(job_id, len(PackIndex.decode_fragment(fragment))) for job_id, fragment in rows]

    async def drop_pack(self, pack_id: bytes) -> None:
        """Forgets a pack whose chunks are stored (or needed by nobody)."""

        def write(c: sqlite3.Connection) -> None:
            c.execute("DELETE FROM pack_fragment WHERE pack_id = ?", (pack_id,))
            c.execute("DELETE FROM pack WHERE pack_id = ?", (pack_id,))

        failpoint("upload.before_drop_pack")
        await self._db.write(write)

    async def keep_fragments(self, pack_id: bytes, count: int) -> None:
        """Forgets all but the first fragments of a pack: the frames of the others did not survive."""
        first = "SELECT fragment_id FROM pack_fragment WHERE pack_id = ? ORDER BY fragment_id LIMIT ?"
        sql = f"DELETE FROM pack_fragment WHERE pack_id = ? AND fragment_id NOT IN ({first})"
        await self._db.execute(sql, (pack_id, pack_id, count))

    async def load_packs(self) -> list[PackRow]:
        """All packs with their fragments, for the start of the daemon."""

        def read(c: sqlite3.Connection) -> list[PackRow]:
            packs = {r[0]: PackRow(r[0], r[1], bool(r[2]), r[3]) for r in c.execute("SELECT * FROM pack")}
            rows = c.execute("SELECT pack_id, job_id, seq, fragment FROM pack_fragment ORDER BY fragment_id")
            for pack_id, job_id, seq, fragment in rows:
                packs[pack_id].fragments.append((job_id, seq, fragment))
            return list(packs.values())

        return await self._db.read(read)

    async def load_folder_states(self, keys: Sequence[tuple[bytes, str]]) -> dict[tuple[bytes, str], bytes]:
        """What is known of the files of folders (or slices of them)."""

        def read(c: sqlite3.Connection) -> dict[tuple[bytes, str], bytes]:
            sql = "SELECT state FROM file_state WHERE folder = ? AND after_name = ?"
            found = ((key, c.execute(sql, key).fetchone()) for key in keys)
            return {key: row[0] for key, row in found if row is not None}

        return await self._db.read(read)

    async def load_large_file_states(self, folders: Sequence[bytes]) -> dict[bytes, tuple[bytes, ...]]:
        """What is known of the large files of folders, one state a file."""

        def read(c: sqlite3.Connection) -> dict[bytes, tuple[bytes, ...]]:
            # "0" follows "/": the range holds the keys of single files, which begin with a slash.
            sql = "SELECT state FROM file_state WHERE folder = ? AND after_name >= '/' AND after_name < '0'"
            return {f: tuple(row[0] for row in c.execute(sql, (f,))) for f in folders}

        return await self._db.read(read)

    async def store_folder_states(self, states: Sequence[tuple[bytes, str, bytes]]) -> None:
        """Replaces what is known of the files of folders."""
        await self._db.executemany(_STORE_STATE, states)

    async def find_known_chunks(self, digests: bytes) -> set[bytes]:
        """Which of these chunks (32 bytes each) were committed before, as far as remembered: a hint, never a promise."""
        wanted = [digests[i : i + DIGEST_BYTES] for i in range(0, len(digests), DIGEST_BYTES)]

        def read(c: sqlite3.Connection) -> set[bytes]:
            found: set[bytes] = set()
            for start in range(0, len(wanted), _VARIABLES_MAX):
                part = wanted[start : start + _VARIABLES_MAX]
                sql = f"SELECT digest FROM known_chunk WHERE digest IN ({_placeholders(part)})"
                found.update(row[0] for row in c.execute(sql, part))
            return found

        return await self._db.read(read)

    async def forget_known_chunks(self, digests: Sequence[bytes]) -> None:
        """Takes hints back that turned out wrong."""
        await self._db.executemany("DELETE FROM known_chunk WHERE digest = ?", [(d,) for d in digests])


class PlacedFileStates:
    """What is known of downloaded files, kept beside what is known of logged ones; the keys are the caller's."""

    SLOT = "/placed/"
    """No name of a file, so never mistaken for a slice of a folder."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def load(self, folder: bytes) -> bytes | None:
        """What was stored under the key."""
        return (await self._journal.load_folder_states([(folder, self.SLOT)])).get((folder, self.SLOT))

    async def store(self, folder: bytes, blob: bytes) -> None:
        """Replaces it."""
        await self._journal.store_folder_states([(folder, self.SLOT, blob)])


def read_runs_and_records(path: Path, job_id: str) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
    """Runs of entries of a job as (seq, ManifestSegment), and its records as (seq, Record), both in order.

    For workers, on a read-only connection of their own.
    """
    connection = open_connection(path, read_only=True)
    try:
        runs = "SELECT seq, segment FROM entry_run WHERE job_id = ? ORDER BY seq, run_id"
        records = "SELECT seq, payload FROM record WHERE job_id = ? ORDER BY seq"
        return connection.execute(runs, (job_id,)).fetchall(), connection.execute(records, (job_id,)).fetchall()
    finally:
        connection.close()
