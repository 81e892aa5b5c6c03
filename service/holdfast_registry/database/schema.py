"""Tables of the registry; what the migrations arrive at (a test compares the two).

Written for SQLite and PostgreSQL alike.  A chunk belongs to an entity: nobody can ask what another one stores.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

HEAD_REVISION = "0010"
"""Revision of the last migration."""

# SQLite numbers rows only in a column that is exactly INTEGER.
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")
_ID = String(32)
_DIGEST = LargeBinary(32)
# Compared byte by byte on both databases.
_ORDERED_TEXT = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

entity = Table(
    "entity",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    # Raised by whatever condemns or deletes rows of `chunk`: while it stands, chunks once found are still there.
    Column("chunk_epoch", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

project = Table(
    "project",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("entity_id", ForeignKey("entity.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("is_registry", Boolean, nullable=False, server_default=text("false")),
    Column("description", Text),
    # TtlKind; the default of the project's collections.
    Column("ttl_kind", SmallInteger, nullable=False, server_default=text("0")),
    Column("ttl_s", BigInteger),
    # Of registries only: who sees it, and a JSON list of the types it takes (empty: all).
    Column("visibility", Text, nullable=False, server_default=text("''")),
    Column("types_json", Text, nullable=False, server_default=text("'[]'")),
    Column("updated_at_ms", BigInteger, nullable=False, server_default=text("0")),
    # A policy of retention; the default of the project's collections.
    Column("retention_json", Text),
    UniqueConstraint("entity_id", "name"),
)

collection = Table(
    "collection",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("public_id", _ID, nullable=False, unique=True),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("description", Text, nullable=False),
    # Only ever raised, in the transaction that commits: numbers have no gap and none is given twice.
    Column("next_version_index", BigInteger, nullable=False),
    # No foreign key: version and collection would point at each other.
    Column("latest_version_id", _ID),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    # TtlKind; the default of the collection's versions.
    Column("ttl_kind", SmallInteger, nullable=False, server_default=text("0")),
    Column("ttl_s", BigInteger),
    # Its own policy of retention; NULL: the project's.
    Column("retention_json", Text),
    UniqueConstraint("project_id", "name"),
)

collection_tag = Table(
    "collection_tag",
    metadata,
    Column("collection_id", ForeignKey("collection.id"), primary_key=True),
    Column("tag", Text, primary_key=True),
)

run = Table(
    "run",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("run_id", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("run_group", Text, nullable=False),
    Column("job_type", Text, nullable=False),
    Column("config_json", LargeBinary, nullable=False),
    Column("tags_json", Text, nullable=False),
    Column("notes", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("project_id", "run_id"),
)

version = Table(
    "version",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("collection_id", ForeignKey("collection.id"), nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("version_index", BigInteger),
    Column("digest", _DIGEST),
    Column("manifest_root", _DIGEST),
    Column("size_bytes", BigInteger, nullable=False),
    Column("entry_count", BigInteger, nullable=False),
    Column("description", Text),
    Column("metadata_json", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("commit_hash", Text, nullable=False),
    Column("logged_by", ForeignKey("run.id")),
    Column("history_step", BigInteger),
    Column("etag", Text, nullable=False),
    # TtlKind, and its seconds: when a version expires by its own wish.
    Column("ttl_kind", SmallInteger, nullable=False, server_default=text("0")),
    Column("ttl_s", BigInteger),
    # When garbage collection first saw it DELETED, by the registry's age; a version that is purged has no `manifest_root` any more.
    Column("deleted_age_ms", BigInteger),
    # Given with the number; the key has the order of precedence.  Rows of versions stay after their purge, so none is given twice.
    Column("semantic_version", Text),
    Column("semantic_version_key", _ORDERED_TEXT),
    UniqueConstraint("collection_id", "version_index"),
    Index(None, "collection_id", "semantic_version_key", unique=True),
    Index(None, "collection_id", "digest"),
    # All that a count for a quota reads.
    Index(None, "collection_id", "state"),
    Index(None, "state", "created_at_ms"),
)

origin = Table(
    "origin",
    metadata,
    # A writer's job and the version it came to: brought a second time (a copied journal, a bundle), it makes no second version.
    Column("collection_id", ForeignKey("collection.id"), primary_key=True),
    Column("origin_id", _ID, primary_key=True),
    Column("version_id", ForeignKey("version.id"), nullable=False, index=True),
)

link = Table(
    "link",
    metadata,
    # A place of a version in a portfolio, with the portfolio's own number.  Its aliases are in `alias`, by portfolio and version.
    Column("id", _ID, primary_key=True),
    Column("collection_id", ForeignKey("collection.id"), nullable=False),
    Column("version_id", ForeignKey("version.id"), nullable=False, index=True),
    Column("version_index", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("collection_id", "version_index"),
    UniqueConstraint("collection_id", "version_id"),
)

distributed = Table(
    "distributed",
    metadata,
    # A version that several writers fill; `version_id` is set when it is finished.
    Column("id", _ROW_ID, primary_key=True),
    Column("collection_id", ForeignKey("collection.id"), nullable=False),
    Column("distributed_id", Text, nullable=False),
    Column("version_id", ForeignKey("version.id"), index=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("finished_at_ms", BigInteger),
    UniqueConstraint("collection_id", "distributed_id"),
)

part = Table(
    "part",
    metadata,
    # One writer's share; its content is in its version's row (PENDING until it is brought, then PART).
    Column("version_id", ForeignKey("version.id"), primary_key=True),
    Column("distributed", ForeignKey("distributed.id"), nullable=False, index=True),
    Column("writer", Text, nullable=False),
    # The writer's job: when it begins again, because its lease had ended, it replaces what it had begun.
    Column("origin_id", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

alias = Table(
    "alias",
    metadata,
    Column("collection_id", ForeignKey("collection.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version_id", ForeignKey("version.id"), nullable=False, index=True),
)

version_tag = Table(
    "version_tag",
    metadata,
    Column("version_id", ForeignKey("version.id"), primary_key=True),
    Column("tag", Text, primary_key=True),
)

edge = Table(
    "edge",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("version_id", ForeignKey("version.id"), nullable=False),
    Column("run_id", ForeignKey("run.id"), nullable=False, index=True),
    Column("kind", SmallInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("version_id", "run_id", "kind"),
)

lease = Table(
    "lease",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("entity_id", ForeignKey("entity.id"), nullable=False),
    Column("version_id", ForeignKey("version.id"), nullable=False, index=True),
    Column("state", SmallInteger, nullable=False),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Index(None, "state", "expires_at_ms"),
)

pack = Table(
    "pack",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    # Random, never used again, also not after the pack is gone: a late deletion can only hit what is dead.
    Column("pack_id", LargeBinary(16), nullable=False, unique=True),
    Column("entity_id", ForeignKey("entity.id"), nullable=False),
    Column("lease_id", ForeignKey("lease.id"), nullable=False, index=True),
    # To whose quota it counts: the project under which it was brought.  SQLite adds no foreign key to a table that exists.
    Column("project_id", BigInteger),
    Column("state", SmallInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("chunk_count", Integer, nullable=False),
    # Chunks that served from this pack when it was sealed: the answer to a repeated seal.
    Column("live_chunks", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("sealed_at_ms", BigInteger),
    Column("doomed_at_ms", BigInteger),
    # By the registry's age; only of a pack that has served.
    Column("doomed_age_ms", BigInteger),
    Column("removed_at_ms", BigInteger),
    # Of a LIVE pack that serves nobody but its upload, because it was not read back; NULL: it was.
    Column("unread_since_ms", BigInteger),
    Index(None, "state", "removed_at_ms"),
    # All that a sum for a quota reads.
    Index(None, "entity_id", "state", "project_id", "size_bytes"),
    Index(
        "ix_pack_entity_id_unread_since_ms",
        "entity_id",
        "unread_since_ms",
        sqlite_where=text("unread_since_ms IS NOT NULL"),
        postgresql_where=text("unread_since_ms IS NOT NULL"),
    ),
)

chunk = Table(
    "chunk",
    metadata,
    # Without foreign keys: checked inside a savepoint they make SQLite's bulk insert a hundred times slower.  The one
    # method that inserts has just written the pack's row, and fsck looks for rows without one.
    Column("entity_id", _ROW_ID, primary_key=True, autoincrement=False),
    Column("digest", _DIGEST, primary_key=True),
    Column("pack", _ROW_ID, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("stored_length", Integer, nullable=False),
    Column("length", Integer, nullable=False),
    Column("codec", SmallInteger, nullable=False),
    Column("condemned_at_ms", BigInteger),
    # Look-ups go by the key alone; without a rowid the row lies in the key's own tree.
    sqlite_with_rowid=False,
)

request = Table(
    "request",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("method", Text, nullable=False),
    Column("request_digest", _DIGEST, nullable=False),
    Column("response", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False, index=True),
)

token = Table(
    "token",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", _DIGEST, nullable=False, unique=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("revoked_at_ms", BigInteger),
    # Role; of the scope, NULL is all.
    Column("role", SmallInteger, nullable=False, server_default=text("4")),
    Column("entity", Text),
    Column("project", Text),
    Column("expires_at_ms", BigInteger),
    Column("last_used_at_ms", BigInteger),
)

protected_alias = Table(
    "protected_alias",
    metadata,
    # Of one collection, or with NULL of all in the project.
    Column("id", _ROW_ID, primary_key=True),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("collection_id", ForeignKey("collection.id"), index=True),
    Column("name", Text, nullable=False),
    UniqueConstraint("project_id", "collection_id", "name"),
)

quota = Table(
    "quota",
    metadata,
    # Of an entity, or of one project of it; NULL: no limit.
    Column("id", _ROW_ID, primary_key=True),
    Column("entity_id", ForeignKey("entity.id"), nullable=False),
    Column("project_id", ForeignKey("project.id")),
    Column("bytes_max", BigInteger),
    Column("versions_max", BigInteger),
    Column("requests_per_s", Float),
    # What is used at most: the sum at some time, and all that was granted since.
    Column("bytes_noted", BigInteger),
    Column("noted_at_ms", BigInteger),
    UniqueConstraint("entity_id", "project_id"),
)

audit = Table(
    "audit",
    metadata,
    # Only ever added to.  Names, not rows: what was done outlives what it was done to.
    Column("id", _ROW_ID, primary_key=True),
    Column("at_ms", BigInteger, nullable=False, index=True),
    # NULL: the owner of the Unix socket, or a command on the data folder.
    Column("token_id", BigInteger),
    Column("token_name", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("entity", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("outcome", Text, nullable=False),
)

duty = Table(
    "duty",
    metadata,
    # A piece of work that any registry on this database could do, and that one does at a time.
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("held_until_ms", BigInteger, nullable=False),
    Column("began_at_ms", BigInteger, nullable=False),
)

gc_state = Table(
    "gc_state",
    metadata,
    # One row: what garbage collection goes by, and which cycle may change anything.
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("age_ms", BigInteger, nullable=False),
    Column("seen_at_ms", BigInteger, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("announced_epoch", Text, nullable=False),
    Column("cycle", _ROW_ID),
    Column("held_until_ms", BigInteger, nullable=False),
)

gc_cycle = Table(
    "gc_cycle",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    # `condemned_at_ms` of the rows that it condemned; only ever rises, whatever the clock does.
    Column("stamp", BigInteger, nullable=False, unique=True),
    # Whether `gc_awaited` has the leases that were ACTIVE when it condemned.
    Column("settled", Boolean, nullable=False),
    Column("phase", Text, nullable=False),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("report_json", Text, nullable=False),
)

gc_awaited = Table(
    "gc_awaited",
    metadata,
    Column("cycle", ForeignKey("gc_cycle.id"), primary_key=True),
    Column("lease_id", ForeignKey("lease.id"), primary_key=True),
)

gc_orphan = Table(
    "gc_orphan",
    metadata,
    # A pack in the store that no row names.
    Column("pack_id", LargeBinary(16), primary_key=True),
    Column("seen_age_ms", BigInteger, nullable=False),
    Column("listings", Integer, nullable=False),
)

copying = Table(
    "copying",
    metadata,
    # One row, in a database that `registry copy` or `restore` fills: nobody serves it before it is complete.
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    # By table: the key of the last row that was copied.
    Column("progress_json", Text, nullable=False),
    Column("is_complete", Boolean, nullable=False),
)

catalogue = Table(
    "catalogue",
    metadata,
    # One row: what of the names of versions the store has, for the day on which this database is lost.
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("recorded_up_to_ms", BigInteger, nullable=False),
    Column("whole_at_ms", BigInteger, nullable=False),
    # The last entry of the audit log then: without a later one nothing has changed.
    Column("audit_id", BigInteger, nullable=False),
)

scrub_round = Table(
    "scrub_round",
    metadata,
    # One reading of all packs in the order of their rows, and how far it is.
    Column("id", _ROW_ID, primary_key=True),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("after_pack", BigInteger, nullable=False),
    Column("packs_checked", BigInteger, nullable=False),
    Column("bytes_read", BigInteger, nullable=False),
    Column("packs_damaged", BigInteger, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    # A pack that was found damaged: nothing is read from it any more, its object stays.
    Column("pack", ForeignKey("pack.id"), primary_key=True),
    Column("problem", Text, nullable=False),
    Column("found_at_ms", BigInteger, nullable=False),
    Column("chunks_moved", Integer, nullable=False),
    Column("chunks_lost", Integer, nullable=False),
)

lost_chunk = Table(
    "lost_chunk",
    metadata,
    # A chunk whose row is gone because no sound copy was found; it is whole again as soon as it has a row again.
    Column("entity_id", ForeignKey("entity.id"), primary_key=True),
    Column("digest", _DIGEST, primary_key=True),
    Column("pack", ForeignKey("pack.id"), nullable=False),
    Column("found_at_ms", BigInteger, nullable=False),
    # Whether `hurt_version` has the versions that name it.
    Column("versions_known", Boolean, nullable=False),
)

hurt_version = Table(
    "hurt_version",
    metadata,
    # A version that names a lost chunk, with one path that needs it.
    Column("version_id", ForeignKey("version.id"), primary_key=True),
    Column("digest", _DIGEST, primary_key=True),
    Column("path", Text, nullable=False),
)
