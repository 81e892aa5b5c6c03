"""Scrub: how far it is, packs in quarantine, chunks that were lost with them and the versions that this hurts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ID = sa.String(length=32)
_DIGEST = sa.LargeBinary(length=32)


def upgrade() -> None:
    """Adds tables; what is stored stays as it is, and nothing of it is known to be damaged."""
    op.create_table(
        "scrub_round",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger()),
        sa.Column("after_pack", sa.BigInteger(), nullable=False),
        sa.Column("packs_checked", sa.BigInteger(), nullable=False),
        sa.Column("bytes_read", sa.BigInteger(), nullable=False),
        sa.Column("packs_damaged", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scrub_round"),
    )
    op.create_table(
        "quarantine",
        sa.Column("pack", _ROW_ID, nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("found_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("chunks_moved", sa.Integer(), nullable=False),
        sa.Column("chunks_lost", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["pack"], ["pack.id"], name="fk_quarantine_pack_pack"),
        sa.PrimaryKeyConstraint("pack", name="pk_quarantine"),
    )
    op.create_table(
        "lost_chunk",
        sa.Column("entity_id", _ROW_ID, nullable=False),
        sa.Column("digest", _DIGEST, nullable=False),
        sa.Column("pack", _ROW_ID, nullable=False),
        sa.Column("found_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("versions_known", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name="fk_lost_chunk_entity_id_entity"),
        sa.ForeignKeyConstraint(["pack"], ["pack.id"], name="fk_lost_chunk_pack_pack"),
        sa.PrimaryKeyConstraint("entity_id", "digest", name="pk_lost_chunk"),
    )
    op.create_table(
        "hurt_version",
        sa.Column("version_id", _ID, nullable=False),
        sa.Column("digest", _DIGEST, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name="fk_hurt_version_version_id_version"),
        sa.PrimaryKeyConstraint("version_id", "digest", name="pk_hurt_version"),
    )
