"""Schema of the journal, as numbered steps; an older journal is brought up to date before it is used.

`user_version` holds the number of the last step.  No migration library: the one for SQLite imports pandas where that is installed,
which costs each new daemon half a second and 100 MB.
"""

import sqlite3

from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError

_STEP_1 = """
CREATE TABLE job (
    job_id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    opened BLOB NOT NULL,              -- Open, as received
    state INTEGER NOT NULL,            -- JobState
    acked_seq INTEGER NOT NULL DEFAULT 0,
    finalize BLOB,                     -- Finalize, as received
    finalize_order INTEGER,            -- order of Finalize among all jobs
    begin_request_id TEXT,
    commit_request_id TEXT,
    result BLOB,                       -- WaitArtifactResponse, once the job has ended
    created_at_ms INTEGER NOT NULL,
    finalized_at_ms INTEGER,
    ended_at_ms INTEGER
);
CREATE INDEX job_state ON job (state);
CREATE TABLE record (
    job_id TEXT NOT NULL REFERENCES job ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    payload BLOB NOT NULL,             -- Record; inline bytes are left out once they are in the spool
    ingested INTEGER NOT NULL DEFAULT 0,
    error BLOB,                        -- ErrorDetail of a record that cannot be done
    PRIMARY KEY (job_id, seq)
) WITHOUT ROWID;
CREATE TABLE entry_run (
    run_id INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES job ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    segment BLOB NOT NULL              -- ManifestSegment: entries that the record gave, sorted within the run
);
CREATE INDEX entry_run_job ON entry_run (job_id, seq);
CREATE TABLE pack (
    pack_id BLOB PRIMARY KEY,
    entity TEXT NOT NULL,
    sealed INTEGER NOT NULL DEFAULT 0,
    size_bytes INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE pack_fragment (
    fragment_id INTEGER PRIMARY KEY,
    pack_id BLOB NOT NULL REFERENCES pack ON DELETE CASCADE,
    job_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    fragment BLOB NOT NULL             -- PackIndex fragment, in the order of the frames
);
CREATE INDEX pack_fragment_pack ON pack_fragment (pack_id);
CREATE INDEX pack_fragment_job ON pack_fragment (job_id);
CREATE TABLE file_state (
    folder BLOB NOT NULL,
    after_name TEXT NOT NULL,          -- last name of the slice before; empty for the first
    state BLOB NOT NULL,               -- FolderState
    stored_at_s INTEGER NOT NULL DEFAULT (strftime('%s', 'now')),
    PRIMARY KEY (folder, after_name)
) WITHOUT ROWID;
CREATE INDEX file_state_stored ON file_state (stored_at_s);
CREATE TABLE known_chunk (
    digest BLOB PRIMARY KEY            -- a chunk of a large file that was committed; a hint that saves spooling it again
) WITHOUT ROWID;
"""
_STEP_2 = """
CREATE TABLE pinned_version (
    entity TEXT NOT NULL,              -- as it was asked for: collection and full digest
    project TEXT NOT NULL,
    collection TEXT NOT NULL,
    digest TEXT NOT NULL,
    version_id TEXT NOT NULL,
    version BLOB NOT NULL,             -- Version, as the registry answered
    seen_at_ms INTEGER NOT NULL,
    PRIMARY KEY (entity, project, collection, digest)
) WITHOUT ROWID;
CREATE INDEX pinned_version_id ON pinned_version (version_id);
CREATE INDEX pinned_version_seen ON pinned_version (seen_at_ms);
CREATE TABLE kept_manifest (
    version_id TEXT PRIMARY KEY,
    segments BLOB NOT NULL             -- ListManifestSegmentsResponse with all segments of a small pinned version
) WITHOUT ROWID;
CREATE TABLE pending_use (
    use_id INTEGER PRIMARY KEY,
    request BLOB NOT NULL              -- RecordUseRequest that the registry has yet to hear of
);
"""
_STEP_3 = """
CREATE TABLE entry_source (
    job_id TEXT NOT NULL REFERENCES job ON DELETE CASCADE,
    seq INTEGER NOT NULL,              -- AddEntry record that takes entries over
    source_id TEXT NOT NULL,           -- session of the draft, or version, that they come from
    is_draft INTEGER NOT NULL,
    entity TEXT NOT NULL,              -- whose chunks they are; of a draft once it is committed
    version_id TEXT NOT NULL,          -- empty: the draft is not committed yet
    problem BLOB,                      -- ErrorDetail: the draft has ended without a version
    PRIMARY KEY (job_id, seq, source_id)
) WITHOUT ROWID;
CREATE INDEX entry_source_source ON entry_source (source_id);
"""
_STEP_4 = """
ALTER TABLE job ADD COLUMN priority INTEGER;           -- JobPriority that was set later; NULL: as Open and Finalize say
ALTER TABLE job ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
"""
_STEP_5 = """
CREATE TABLE placed_file (
    path BLOB PRIMARY KEY,             -- where a large file was downloaded to
    digest BLOB NOT NULL,
    device INTEGER NOT NULL,           -- its state when it was put there
    inode INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    placed_at_s INTEGER NOT NULL DEFAULT (strftime('%s', 'now'))
) WITHOUT ROWID;
CREATE INDEX placed_file_digest ON placed_file (digest);
CREATE INDEX placed_file_placed ON placed_file (placed_at_s);
CREATE TABLE chunk_run (
    run_id INTEGER PRIMARY KEY,
    file_digest BLOB NOT NULL,         -- consecutive chunks of a file of this digest
    first_offset INTEGER NOT NULL,     -- of the first one in the file
    chunks INTEGER NOT NULL,
    lengths BLOB NOT NULL,             -- u32 each, in this machine's order
    digests BLOB NOT NULL,
    UNIQUE (file_digest, first_offset)
);
CREATE INDEX chunk_run_chunks ON chunk_run (run_id, chunks);
CREATE TABLE chunk_sample (
    sample INTEGER NOT NULL,           -- of a chunk's digest; of long lists only some have one
    run_id INTEGER NOT NULL REFERENCES chunk_run ON DELETE CASCADE,
    PRIMARY KEY (sample, run_id)
) WITHOUT ROWID;
CREATE INDEX chunk_sample_run ON chunk_sample (run_id);
CREATE TABLE partial_file (
    path BLOB PRIMARY KEY,             -- temporary file of a download that is under way or was interrupted
    begun_at_s INTEGER NOT NULL
) WITHOUT ROWID;
"""

_STEPS = (_STEP_1, _STEP_2, _STEP_3, _STEP_4, _STEP_5)
"""In order; a step that was released is never changed.  The number of steps is the number of the schema."""
SCHEMA_VERSION = len(_STEPS)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Brings the schema up to date, each step in a transaction.

    Raises:
        HoldfastError: the journal was written by a newer version (PROTOCOL_MISMATCH); nothing was changed.
    """
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found == SCHEMA_VERSION:
        return
    if found > SCHEMA_VERSION:
        raise HoldfastError(
            Reason.PROTOCOL_MISMATCH,
            f"{path} was written by a newer Holdfast (schema {found}, this one knows {SCHEMA_VERSION}); upgrade this one.",
        )
    for number, script in enumerate(_STEPS[found:], start=found + 1):
        # One transaction: a step that a crash cut short has not happened, and its number says so.
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
