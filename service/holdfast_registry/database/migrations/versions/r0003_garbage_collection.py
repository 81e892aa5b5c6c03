"""Garbage collection: cycles, what they wait for, orphans; policies of retention."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ID = sa.String(length=32)


def upgrade() -> None:
    """Adds columns and tables; what is stored stays as it is."""
    op.add_column("version", sa.Column("deleted_age_ms", sa.BigInteger()))
    op.add_column("pack", sa.Column("doomed_age_ms", sa.BigInteger()))
    op.add_column("pack", sa.Column("removed_at_ms", sa.BigInteger()))
    op.create_index("ix_pack_state_removed_at_ms", "pack", ["state", "removed_at_ms"])
    _create_gc_state()
    _create_gc_cycle()
    _create_gc_awaited()
    _create_gc_orphan()


def _create_gc_state() -> None:
    op.create_table(
        "gc_state",
        sa.Column("id", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("age_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("announced_epoch", sa.Text(), nullable=False),
        sa.Column("cycle", _ROW_ID),
        sa.Column("held_until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gc_state"),
    )


def _create_gc_cycle() -> None:
    op.create_table(
        "gc_cycle",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger()),
        sa.Column("report_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gc_cycle"),
        sa.UniqueConstraint("stamp", name="uq_gc_cycle_stamp"),
    )


def _create_gc_awaited() -> None:
    op.create_table(
        "gc_awaited",
        sa.Column("cycle", _ROW_ID, nullable=False),
        sa.Column("lease_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(["cycle"], ["gc_cycle.id"], name="fk_gc_awaited_cycle_gc_cycle"),
        sa.ForeignKeyConstraint(["lease_id"], ["lease.id"], name="fk_gc_awaited_lease_id_lease"),
        sa.PrimaryKeyConstraint("cycle", "lease_id", name="pk_gc_awaited"),
    )


def _create_gc_orphan() -> None:
    op.create_table(
        "gc_orphan",
        sa.Column("pack_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("seen_age_ms", sa.BigInteger(), nullable=False),
        sa.Column("listings", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("pack_id", name="pk_gc_orphan"),
    )
