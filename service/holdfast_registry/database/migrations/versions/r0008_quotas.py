"""Quotas, and to which project the bytes of a pack count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds a table and a column; packs that exist count to the project of the upload that brought them."""
    op.create_table(
        "quota",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("entity_id", _ROW_ID, nullable=False),
        sa.Column("project_id", _ROW_ID),
        sa.Column("bytes_max", sa.BigInteger()),
        sa.Column("versions_max", sa.BigInteger()),
        sa.Column("requests_per_s", sa.Float()),
        sa.Column("bytes_noted", sa.BigInteger()),
        sa.Column("noted_at_ms", sa.BigInteger()),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name="fk_quota_entity_id_entity"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_quota_project_id_project"),
        sa.PrimaryKeyConstraint("id", name="pk_quota"),
        sa.UniqueConstraint("entity_id", "project_id", name="uq_quota_entity_id_project_id"),
    )
    op.add_column("pack", sa.Column("project_id", sa.BigInteger()))
    op.create_index("ix_version_collection_id_state", "version", ["collection_id", "state"])
    op.execute(
        "UPDATE pack SET project_id = (SELECT c.project_id FROM lease l JOIN version v ON v.id = l.version_id "
        "JOIN collection c ON c.id = v.collection_id WHERE l.id = pack.lease_id)"
    )
    op.create_index(
        "ix_pack_entity_id_state_project_id_size_bytes", "pack", ["entity_id", "state", "project_id", "size_bytes"]
    )
