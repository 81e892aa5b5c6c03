"""Access: roles and scopes of tokens, protected aliases, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds columns and tables; tokens that exist stay administrators of everything, which is all that there was."""
    op.add_column("token", sa.Column("role", sa.SmallInteger(), server_default=sa.text("4"), nullable=False))
    op.add_column("token", sa.Column("entity", sa.Text()))
    op.add_column("token", sa.Column("project", sa.Text()))
    op.add_column("token", sa.Column("expires_at_ms", sa.BigInteger()))
    op.add_column("token", sa.Column("last_used_at_ms", sa.BigInteger()))
    op.drop_column("token", "is_admin")
    _create_protected_alias()
    _create_audit()


def _create_protected_alias() -> None:
    op.create_table(
        "protected_alias",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("project_id", _ROW_ID, nullable=False),
        sa.Column("collection_id", _ROW_ID),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_protected_alias_project_id_project"),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.id"], name="fk_protected_alias_collection_id_collection"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_protected_alias"),
        sa.UniqueConstraint(
            "project_id", "collection_id", "name", name="uq_protected_alias_project_id_collection_id_name"
        ),
    )
    op.create_index("ix_protected_alias_collection_id", "protected_alias", ["collection_id"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("token_id", sa.BigInteger()),
        sa.Column("token_name", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at_ms", "audit", ["at_ms"])
