"""The statements on `chunk` that go over tens of thousands of rows, in PostgreSQL's own words: arrays as parameters."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

_INSERT = """
INSERT INTO chunk (entity_id, digest, pack, "offset", stored_length, length, codec, condemned_at_ms)
SELECT entity_id, digest, pack, "offset", stored_length, length, codec, NULL
FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::integer[], $6::integer[], $7::smallint[])
  AS brought (entity_id, digest, pack, "offset", stored_length, length, codec)
ON CONFLICT (entity_id, digest) DO UPDATE SET
  pack = excluded.pack, "offset" = excluded."offset", stored_length = excluded.stored_length,
  length = excluded.length, codec = excluded.codec, condemned_at_ms = NULL
WHERE chunk.condemned_at_ms IS NOT NULL
"""
_PRESENT = "SELECT digest FROM chunk WHERE entity_id = $1 AND condemned_at_ms IS NULL AND digest = ANY($2::bytea[])"
_LENGTHS = """
SELECT digest, CASE WHEN condemned_at_ms IS NULL THEN length ELSE -length END
FROM chunk WHERE entity_id = $1 AND digest = ANY($2::bytea[])
"""
_PLACES = """
SELECT digest, pack, "offset", stored_length, length, codec
FROM chunk WHERE entity_id = $1 AND digest = ANY($2::bytea[])
"""
_PACKED = """
SELECT chunk.digest, pack.pack_id, pack.size_bytes, chunk."offset", chunk.stored_length, chunk.length, chunk.codec
FROM chunk JOIN pack ON pack.id = chunk.pack WHERE chunk.entity_id = $1 AND chunk.digest = ANY($2::bytea[])
"""
_REVIVE = "UPDATE chunk SET condemned_at_ms = NULL WHERE entity_id = $1 AND digest = ANY($2::bytea[])"


def select_present(connection: Connection, entity_id: int, digests: Sequence[bytes]) -> set[bytes]:
    """Returns those chunks that are stored and not condemned."""
    return set(connection.exec_driver_sql(_PRESENT, (entity_id, list(digests))).scalars())


def select_lengths(connection: Connection, entity_id: int, digests: Sequence[bytes]) -> dict[bytes, int]:
    """Returns digest → length of those chunks that have a row; the length of a condemned one is negative."""
    return {row[0]: row[1] for row in connection.exec_driver_sql(_LENGTHS, (entity_id, list(digests)))}


def select_places(
    connection: Connection, entity_id: int, digests: Sequence[bytes]
) -> dict[bytes, tuple[bytes, int, int, int, int, int]]:
    """Returns digest → (digest, pack row, offset, stored length, length, codec) of those chunks that have a row."""
    rows = connection.exec_driver_sql(_PLACES, (entity_id, list(digests)))
    return {row[0]: (row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows}


def select_packed(
    connection: Connection, entity_id: int, digests: Sequence[bytes]
) -> dict[bytes, tuple[bytes, bytes, int, int, int, int, int]]:
    """Returns digest → (digest, pack id, its bytes, offset, stored length, length, codec) of chunks that have a row."""
    rows = connection.exec_driver_sql(_PACKED, (entity_id, list(digests)))
    return {row[0]: (row[0], row[1], row[2], row[3], row[4], row[5], row[6]) for row in rows}


def insert_absent(connection: Connection, rows: Sequence[tuple[int, bytes, int, int, int, int, int]]) -> int:
    """Adds chunks that have no row, and moves condemned ones to where they were brought now, which revives them.

    Args:
        connection: in a transaction.
        rows: (entity, digest, pack row, offset, stored length, length, codec).

    Returns:
        How many of them serve from their new place; the others were stored before.
    """
    if not rows:
        return 0
    # A pack may hold a chunk twice, when two jobs have read the same files at once; one statement takes a row once only.
    unique = {row[:2]: row for row in rows}.values()
    # In one order for all writers: two that bring the same chunks wait for each other, and never in a circle.
    columns = tuple(list(column) for column in zip(*sorted(unique), strict=True))
    return connection.exec_driver_sql(_INSERT, columns).rowcount


def revive(connection: Connection, entity_id: int, digests: Sequence[bytes]) -> None:
    """Takes back the condemnation of chunks that a commit names."""
    connection.exec_driver_sql(_REVIVE, (entity_id, sorted(digests)))
