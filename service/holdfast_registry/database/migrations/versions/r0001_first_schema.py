"""First schema of the registry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Creates all tables."""
    _create_chunk()
    _create_entity()
    _create_request()
    _create_token()
    _create_project()
    _create_collection()
    _create_run()
    _create_version()
    _create_alias()
    _create_edge()
    _create_lease()
    _create_version_tag()
    _create_pack()


def _create_chunk() -> None:
    op.create_table(
        "chunk",
        sa.Column("entity_id", _ROW_ID, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("pack", _ROW_ID, nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("stored_length", sa.Integer(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("codec", sa.SmallInteger(), nullable=False),
        sa.Column("condemned_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("entity_id", "digest", name=op.f("pk_chunk")),
        sqlite_with_rowid=False,
    )


def _create_entity() -> None:
    op.create_table(
        "entity",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("chunk_epoch", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entity")),
        sa.UniqueConstraint("name", name=op.f("uq_entity_name")),
    )


def _create_request() -> None:
    op.create_table(
        "request",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_request")),
    )
    op.create_index(op.f("ix_request_created_at_ms"), "request", ["created_at_ms"])


def _create_token() -> None:
    op.create_table(
        "token",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_token_digest")),
    )


def _create_project() -> None:
    op.create_table(
        "project",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("entity_id", _ROW_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name=op.f("fk_project_entity_id_entity")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("entity_id", "name", name=op.f("uq_project_entity_id_name")),
    )


def _create_collection() -> None:
    op.create_table(
        "collection",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("project_id", _ROW_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("next_version_index", sa.BigInteger(), nullable=False),
        sa.Column("latest_version_id", sa.String(length=32)),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_collection_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collection")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_collection_project_id_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_collection_public_id")),
    )


def _create_run() -> None:
    op.create_table(
        "run",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("project_id", _ROW_ID, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("run_group", sa.Text(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("config_json", sa.LargeBinary(), nullable=False),
        sa.Column("tags_json", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_run_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("project_id", "run_id", name=op.f("uq_run_project_id_run_id")),
    )


def _create_version() -> None:
    op.create_table(
        "version",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("collection_id", _ROW_ID, nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("version_index", sa.BigInteger()),
        sa.Column("digest", sa.LargeBinary(length=32)),
        sa.Column("manifest_root", sa.LargeBinary(length=32)),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("entry_count", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("metadata_json", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("commit_hash", sa.Text(), nullable=False),
        sa.Column("logged_by", _ROW_ID),
        sa.Column("history_step", sa.BigInteger()),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name=op.f("fk_version_collection_id_collection")),
        sa.ForeignKeyConstraint(["logged_by"], ["run.id"], name=op.f("fk_version_logged_by_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version")),
        sa.UniqueConstraint("collection_id", "version_index", name=op.f("uq_version_collection_id_version_index")),
    )
    op.create_index(op.f("ix_version_collection_id_digest"), "version", ["collection_id", "digest"])


def _create_alias() -> None:
    op.create_table(
        "alias",
        sa.Column("collection_id", _ROW_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name=op.f("fk_alias_collection_id_collection")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_alias_version_id_version")),
        sa.PrimaryKeyConstraint("collection_id", "name", name=op.f("pk_alias")),
    )
    op.create_index(op.f("ix_alias_version_id"), "alias", ["version_id"])


def _create_edge() -> None:
    op.create_table(
        "edge",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("run_id", _ROW_ID, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_edge_run_id_run")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_edge_version_id_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edge")),
        sa.UniqueConstraint("version_id", "run_id", "kind", name=op.f("uq_edge_version_id_run_id_kind")),
    )
    op.create_index(op.f("ix_edge_run_id"), "edge", ["run_id"])


def _create_lease() -> None:
    op.create_table(
        "lease",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("entity_id", _ROW_ID, nullable=False),
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger()),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name=op.f("fk_lease_entity_id_entity")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_lease_version_id_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease")),
    )
    op.create_index(op.f("ix_lease_state_expires_at_ms"), "lease", ["state", "expires_at_ms"])
    op.create_index(op.f("ix_lease_version_id"), "lease", ["version_id"])


def _create_version_tag() -> None:
    op.create_table(
        "version_tag",
        sa.Column("version_id", sa.String(length=32), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_version_tag_version_id_version")),
        sa.PrimaryKeyConstraint("version_id", "tag", name=op.f("pk_version_tag")),
    )


def _create_pack() -> None:
    op.create_table(
        "pack",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("pack_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("entity_id", _ROW_ID, nullable=False),
        sa.Column("lease_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("chunk_count", sa.Integer(), nullable=False),
        sa.Column("live_chunks", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("sealed_at_ms", sa.BigInteger()),
        sa.Column("doomed_at_ms", sa.BigInteger()),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name=op.f("fk_pack_entity_id_entity")),
        sa.ForeignKeyConstraint(["lease_id"], ["lease.id"], name=op.f("fk_pack_lease_id_lease")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pack")),
        sa.UniqueConstraint("pack_id", name=op.f("uq_pack_pack_id")),
    )
    op.create_index(op.f("ix_pack_lease_id"), "pack", ["lease_id"])
