"""Semantic versions beside the numbers: versions that exist get them by their number, v0 1.0.0, v1 2.0.0, and so on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Adds two columns and an index, and fills them; keys are those of `domain.semver`, of numbers below 1,000,000,000."""
    op.add_column("version", sa.Column("semantic_version", sa.Text()))
    op.add_column("version", sa.Column("semantic_version_key", _KEY))
    op.execute(
        "UPDATE version SET semantic_version = CAST(version_index + 1 AS TEXT) || '.0.0', "
        "semantic_version_key = '00' || CAST(LENGTH(CAST(version_index + 1 AS TEXT)) AS TEXT) "
        "|| CAST(version_index + 1 AS TEXT) || '00100010~' "
        "WHERE version_index IS NOT NULL"
    )
    op.create_index(
        "ix_version_collection_id_semantic_version_key",
        "version",
        ["collection_id", "semantic_version_key"],
        unique=True,
    )
