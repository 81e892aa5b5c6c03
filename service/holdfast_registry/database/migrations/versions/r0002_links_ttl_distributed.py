"""Links and registries, time to live, tags of collections, distributed versions, origins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ID = sa.String(length=32)


def upgrade() -> None:
    """Adds columns and tables; what is stored stays as it is."""
    _add_columns()
    _create_collection_tag()
    _create_origin()
    _create_link()
    _create_distributed()
    _create_part()


def _add_columns() -> None:
    for table in ("project", "collection", "version"):
        op.add_column(table, sa.Column("ttl_kind", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
        op.add_column(table, sa.Column("ttl_s", sa.BigInteger()))
    for table in ("project", "run"):
        op.add_column(table, sa.Column("updated_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("project", sa.Column("is_registry", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("project", sa.Column("description", sa.Text()))
    op.add_column("project", sa.Column("visibility", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("project", sa.Column("types_json", sa.Text(), server_default=sa.text("'[]'"), nullable=False))
    op.create_index("ix_version_state_created_at_ms", "version", ["state", "created_at_ms"])


def _create_collection_tag() -> None:
    op.create_table(
        "collection_tag",
        sa.Column("collection_id", _ROW_ID, nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.id"], name="fk_collection_tag_collection_id_collection"
        ),
        sa.PrimaryKeyConstraint("collection_id", "tag", name="pk_collection_tag"),
    )


def _create_origin() -> None:
    op.create_table(
        "origin",
        sa.Column("collection_id", _ROW_ID, nullable=False),
        sa.Column("origin_id", _ID, nullable=False),
        sa.Column("version_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_origin_collection_id_collection"),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name="fk_origin_version_id_version"),
        sa.PrimaryKeyConstraint("collection_id", "origin_id", name="pk_origin"),
    )
    op.create_index("ix_origin_version_id", "origin", ["version_id"])


def _create_link() -> None:
    op.create_table(
        "link",
        sa.Column("id", _ID, nullable=False),
        sa.Column("collection_id", _ROW_ID, nullable=False),
        sa.Column("version_id", _ID, nullable=False),
        sa.Column("version_index", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_link_collection_id_collection"),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name="fk_link_version_id_version"),
        sa.PrimaryKeyConstraint("id", name="pk_link"),
        sa.UniqueConstraint("collection_id", "version_index", name="uq_link_collection_id_version_index"),
        sa.UniqueConstraint("collection_id", "version_id", name="uq_link_collection_id_version_id"),
    )
    op.create_index("ix_link_version_id", "link", ["version_id"])


def _create_distributed() -> None:
    op.create_table(
        "distributed",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("collection_id", _ROW_ID, nullable=False),
        sa.Column("distributed_id", sa.Text(), nullable=False),
        sa.Column("version_id", _ID),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_at_ms", sa.BigInteger()),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_distributed_collection_id_collection"),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name="fk_distributed_version_id_version"),
        sa.PrimaryKeyConstraint("id", name="pk_distributed"),
        sa.UniqueConstraint("collection_id", "distributed_id", name="uq_distributed_collection_id_distributed_id"),
    )
    op.create_index("ix_distributed_version_id", "distributed", ["version_id"])


def _create_part() -> None:
    op.create_table(
        "part",
        sa.Column("version_id", _ID, nullable=False),
        sa.Column("distributed", _ROW_ID, nullable=False),
        sa.Column("writer", sa.Text(), nullable=False),
        sa.Column("origin_id", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["distributed"], ["distributed.id"], name="fk_part_distributed_distributed"),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name="fk_part_version_id_version"),
        sa.PrimaryKeyConstraint("version_id", name="pk_part"),
    )
    op.create_index("ix_part_distributed", "part", ["distributed"])
