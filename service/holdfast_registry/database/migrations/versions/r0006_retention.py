"""Retention: policies of projects and collections, and who does a piece of work that several registries could do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds columns and a table; what is stored stays as it is, and nothing has a policy."""
    op.add_column("project", sa.Column("retention_json", sa.Text()))
    op.add_column("collection", sa.Column("retention_json", sa.Text()))
    op.create_table(
        "duty",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("held_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("began_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_duty"),
    )
