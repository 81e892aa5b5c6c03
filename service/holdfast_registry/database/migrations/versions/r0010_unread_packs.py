"""Packs that nobody has read back yet: those that exist were read when they were sealed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Adds a column, and an index that holds only the rows that have a value in it."""
    op.add_column("pack", sa.Column("unread_since_ms", sa.BigInteger()))
    there = sa.text("unread_since_ms IS NOT NULL")
    op.create_index(
        "ix_pack_entity_id_unread_since_ms",
        "pack",
        ["entity_id", "unread_since_ms"],
        sqlite_where=there,
        postgresql_where=there,
    )
