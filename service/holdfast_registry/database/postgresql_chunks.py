"""The statements on `chunk` that go over tens of thousands of rows, in PostgreSQL's own words: few large values."""

from __future__ import annotations

import struct
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
_INSERT_UNREAD = """
INSERT INTO chunk (entity_id, digest, pack, "offset", stored_length, length, codec, condemned_at_ms)
SELECT entity_id, digest, pack, "offset", stored_length, length, codec, NULL
FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::integer[], $6::integer[], $7::smallint[])
  AS brought (entity_id, digest, pack, "offset", stored_length, length, codec)
ON CONFLICT (entity_id, digest) DO UPDATE SET condemned_at_ms = NULL WHERE chunk.condemned_at_ms IS NOT NULL
"""
_DIGEST_BYTES = 32
# All digests in one value, and all that is found in another: as an array and as rows, 65,536 of them would take the event loop
# longer to write and to read than PostgreSQL takes to find them.  An array whose length the planner does not see is always looked
# up by the key.
_NAMED = f"""
chunk.entity_id = $1 AND chunk.digest = ANY(ARRAY(
  SELECT substring($2::bytea, {_DIGEST_BYTES} * n + 1, {_DIGEST_BYTES})
  FROM generate_series(0, length($2::bytea) / {_DIGEST_BYTES} - 1) AS n
))
"""
_PRESENT = f"SELECT string_agg(digest, '') FROM chunk WHERE condemned_at_ms IS NULL AND {_NAMED}"
_LENGTHS = f"""
SELECT string_agg(digest || int4send(CASE WHEN condemned_at_ms IS NULL THEN length ELSE -length END), '')
FROM chunk WHERE {_NAMED}
"""
_LENGTH = struct.Struct(f">{_DIGEST_BYTES}si")
_PLACES = f"""
SELECT string_agg(
  digest || int8send(pack) || int8send("offset") || int4send(stored_length) || int4send(length) || int2send(codec), ''
)
FROM chunk WHERE {_NAMED}
"""
_PLACE = struct.Struct(f">{_DIGEST_BYTES}sqqiih")
_PACKED = f"""
SELECT string_agg(
  chunk.digest || pack.pack_id || int8send(pack.size_bytes) || int8send(chunk."offset")
    || int4send(chunk.stored_length) || int4send(chunk.length) || int2send(chunk.codec), ''
)
FROM chunk JOIN pack ON pack.id = chunk.pack WHERE {_NAMED}
"""
_PACKED_PLACE = struct.Struct(f">{_DIGEST_BYTES}s16sqqiih")
_IN_PACKS = f"SELECT string_agg(digest || int8send(pack), '') FROM chunk WHERE pack = ANY($3::bigint[]) AND {_NAMED}"
_IN_PACK = struct.Struct(f">{_DIGEST_BYTES}sq")
_NOT_CONDEMNED = -1
_PAGE = f"""
SELECT string_agg(
  digest || int8send(pack) || int4send(stored_length) || int8send(coalesce(condemned_at_ms, {_NOT_CONDEMNED})), ''
  ORDER BY digest
)
FROM (
  SELECT digest, pack, stored_length, condemned_at_ms FROM chunk
  WHERE entity_id = $1 AND digest > $2 ORDER BY digest LIMIT $3
) AS page
"""
_PAGE_ROW = struct.Struct(f">{_DIGEST_BYTES}sqiq")
_REVIVE = "UPDATE chunk SET condemned_at_ms = NULL WHERE entity_id = $1 AND digest = ANY($2::bytea[])"


def select_present(connection: Connection, entity_id: int, digests: Sequence[bytes]) -> set[bytes]:
    """Returns those chunks that are stored and not condemned."""
    found = _found(connection, _PRESENT, entity_id, digests)
    return {found[at : at + _DIGEST_BYTES] for at in range(0, len(found), _DIGEST_BYTES)}


def select_lengths(connection: Connection, entity_id: int, digests: Sequence[bytes]) -> dict[bytes, int]:
    """Returns digest → length of those chunks that have a row; the length of a condemned one is negative."""
    return dict(_LENGTH.iter_unpack(_found(connection, _LENGTHS, entity_id, digests)))


def select_places(
    connection: Connection, entity_id: int, digests: Sequence[bytes]
) -> dict[bytes, tuple[bytes, int, int, int, int, int]]:
    """Returns digest → (digest, pack row, offset, stored length, length, codec) of those chunks that have a row."""
    found = _found(connection, _PLACES, entity_id, digests)
    return {row[0]: (row[0], row[1], row[2], row[3], row[4], row[5]) for row in _PLACE.iter_unpack(found)}


def select_packed(
    connection: Connection, entity_id: int, digests: Sequence[bytes]
) -> dict[bytes, tuple[bytes, bytes, int, int, int, int, int]]:
    """Returns digest → (digest, pack id, its bytes, offset, stored length, length, codec) of chunks that have a row."""
    rows = _PACKED_PLACE.iter_unpack(_found(connection, _PACKED, entity_id, digests))
    return {row[0]: (row[0], row[1], row[2], row[3], row[4], row[5], row[6]) for row in rows}


def select_in_packs(
    connection: Connection, entity_id: int, digests: Sequence[bytes], packs: Sequence[int]
) -> list[tuple[bytes, int]]:
    """Returns (digest, pack row) of those chunks that lie in one of a few packs, condemned ones too."""
    found = _found(connection, _IN_PACKS, entity_id, digests, list(packs))
    return [(digest, pack) for digest, pack in _IN_PACK.iter_unpack(found)]


def select_page(
    connection: Connection, entity_id: int, after: bytes, count: int
) -> list[tuple[bytes, int, int, int | None]]:
    """Returns (digest, pack row, stored length, condemned stamp) of the next rows in the order of digests."""
    found = connection.exec_driver_sql(_PAGE, (entity_id, after, count)).scalar_one() or b""
    return [
        (digest, pack, length, None if condemned == _NOT_CONDEMNED else condemned)
        for digest, pack, length, condemned in _PAGE_ROW.iter_unpack(found)
    ]


def _found(connection: Connection, statement: str, entity_id: int, digests: Sequence[bytes], *more: list[int]) -> bytes:
    """Returns the one value that a statement comes to; empty when it has found nothing."""
    return bytes(connection.exec_driver_sql(statement, (entity_id, b"".join(digests), *more)).scalar_one() or b"")


def insert_absent(connection: Connection, rows: Sequence[tuple[int, bytes, int, int, int, int, int]]) -> int:
    """Adds chunks that have no row, and moves condemned ones to where they were brought now, which revives them.

    Args:
        connection: in a transaction.
        rows: (entity, digest, pack row, offset, stored length, length, codec).

    Returns:
        How many of them serve from their new place; the others were stored before.
    """
    return connection.exec_driver_sql(_INSERT, _columns(rows)).rowcount if rows else 0


def insert_unread(connection: Connection, rows: Sequence[tuple[int, bytes, int, int, int, int, int]]) -> int:
    """Adds chunks of a pack that nobody has read back, where they have no row; condemned ones are revived where they lie.

    Args:
        connection: in a transaction.
        rows: as for `insert_absent`, of one pack.

    Returns:
        How many of them lie in the pack.
    """
    if not rows:
        return 0
    connection.exec_driver_sql(_INSERT_UNREAD, _columns(rows))
    entity_id, _, pack, *_ = rows[0]
    return len(select_in_packs(connection, entity_id, [row[1] for row in rows], [pack]))


def _columns(rows: Sequence[tuple[int, bytes, int, int, int, int, int]]) -> tuple[list[object], ...]:
    # A pack may hold a chunk twice, when two jobs have read the same files at once; one statement takes a row once only.
    unique = {row[:2]: row for row in rows}.values()
    # In one order for all writers: two that bring the same chunks wait for each other, and never in a circle.
    return tuple(list(column) for column in zip(*sorted(unique), strict=True))


def revive(connection: Connection, entity_id: int, digests: Sequence[bytes]) -> None:
    """Takes back the condemnation of chunks that a commit names."""
    connection.exec_driver_sql(_REVIVE, (entity_id, sorted(digests)))
