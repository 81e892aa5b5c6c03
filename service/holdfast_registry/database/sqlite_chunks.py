"""The statements on `chunk` that go over tens of thousands of rows, in SQLite's own words.

They take and give columns instead of rows as objects: 65,536 digests are looked up in about 0.15 s.
PostgreSQL gets a module of the same functions, with arrays as parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

from sqlalchemy import Connection

from holdfast_registry.database.sqlite import plain_rows

_PARAMETERS_MAX = 4096
"""Of 32,766 that SQLite allows by default; larger lists are no faster."""

_INSERT = """
INSERT INTO chunk (entity_id, digest, pack, "offset", stored_length, length, codec, condemned_at_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, NULL)
ON CONFLICT (entity_id, digest) DO UPDATE SET
  pack = excluded.pack, "offset" = excluded."offset", stored_length = excluded.stored_length,
  length = excluded.length, codec = excluded.codec, condemned_at_ms = NULL
WHERE chunk.condemned_at_ms IS NOT NULL
"""
_INSERT_UNREAD = """
INSERT INTO chunk (entity_id, digest, pack, "offset", stored_length, length, codec, condemned_at_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, NULL)
ON CONFLICT (entity_id, digest) DO UPDATE SET condemned_at_ms = NULL WHERE chunk.condemned_at_ms IS NOT NULL
"""
_PAGE = (
    "SELECT digest, pack, stored_length, condemned_at_ms FROM chunk WHERE entity_id = ? AND digest > ? "
    "ORDER BY digest LIMIT ?"
)


def _groups(digests: Sequence[bytes]) -> Iterable[tuple[str, tuple[bytes, ...]]]:
    """Yields placeholders and parameters; lists are filled up to powers of two, so that few statements are prepared."""
    ordered = sorted(digests)  # neighbours lie in one page
    for first in range(0, len(ordered), _PARAMETERS_MAX):
        group = tuple(ordered[first : first + _PARAMETERS_MAX])
        size = 1 << (len(group) - 1).bit_length()
        yield ",".join("?" * size), group + group[-1:] * (size - len(group))


def select_present(connection: Connection, entity_id: int, digests: Sequence[bytes]) -> set[bytes]:
    """Returns those chunks that are stored and not condemned."""
    present: set[bytes] = set()
    for marks, parameters in _groups(digests):
        statement = f"SELECT digest FROM chunk WHERE entity_id = ? AND condemned_at_ms IS NULL AND digest IN ({marks})"
        present.update(map(itemgetter(0), plain_rows(connection, statement, (entity_id, *parameters))))
    return present


def select_lengths(connection: Connection, entity_id: int, digests: Sequence[bytes]) -> dict[bytes, int]:
    """Returns digest → length of those chunks that have a row; the length of a condemned one is negative."""
    lengths: dict[bytes, int] = {}
    for marks, parameters in _groups(digests):
        statement = (
            "SELECT digest, CASE WHEN condemned_at_ms IS NULL THEN length ELSE -length END "
            f"FROM chunk WHERE entity_id = ? AND digest IN ({marks})"
        )
        lengths.update(plain_rows(connection, statement, (entity_id, *parameters)))
    return lengths


def select_places(
    connection: Connection, entity_id: int, digests: Sequence[bytes]
) -> dict[bytes, tuple[bytes, int, int, int, int, int]]:
    """Returns digest → (digest, pack row, offset, stored length, length, codec) of those chunks that have a row."""
    places: dict[bytes, tuple[bytes, int, int, int, int, int]] = {}
    for marks, parameters in _groups(digests):
        statement = (
            'SELECT digest, pack, "offset", stored_length, length, codec '
            f"FROM chunk WHERE entity_id = ? AND digest IN ({marks})"
        )
        rows = plain_rows(connection, statement, (entity_id, *parameters))
        places.update(zip(map(itemgetter(0), rows), rows, strict=True))
    return places


def select_packed(
    connection: Connection, entity_id: int, digests: Sequence[bytes]
) -> dict[bytes, tuple[bytes, bytes, int, int, int, int, int]]:
    """Returns digest → (digest, pack id, its bytes, offset, stored length, length, codec) of chunks that have a row."""
    packed: dict[bytes, tuple[bytes, bytes, int, int, int, int, int]] = {}
    for marks, parameters in _groups(digests):
        statement = (
            'SELECT chunk.digest, pack.pack_id, pack.size_bytes, chunk."offset", chunk.stored_length, chunk.length, chunk.codec '
            f"FROM chunk JOIN pack ON pack.id = chunk.pack WHERE chunk.entity_id = ? AND chunk.digest IN ({marks})"
        )
        rows = plain_rows(connection, statement, (entity_id, *parameters))
        packed.update(zip(map(itemgetter(0), rows), rows, strict=True))
    return packed


def select_in_packs(
    connection: Connection, entity_id: int, digests: Sequence[bytes], packs: Sequence[int]
) -> list[tuple[bytes, int]]:
    """Returns (digest, pack row) of those chunks that lie in one of a few packs, condemned ones too."""
    wanted, found = frozenset(packs), list[tuple[bytes, int]]()
    for marks, parameters in _groups(digests):
        statement = f"SELECT digest, pack FROM chunk WHERE entity_id = ? AND digest IN ({marks})"
        rows: list[tuple[bytes, int]] = plain_rows(connection, statement, (entity_id, *parameters))
        found += [row for row in rows if row[1] in wanted]
    return found


def select_page(
    connection: Connection, entity_id: int, after: bytes, count: int
) -> list[tuple[bytes, int, int, int | None]]:
    """Returns (digest, pack row, stored length, condemned stamp) of the next rows in the order of digests."""
    return plain_rows(connection, _PAGE, (entity_id, after, count))


def insert_absent(connection: Connection, rows: Sequence[tuple[int, bytes, int, int, int, int, int]]) -> int:
    """Adds chunks that have no row, and moves condemned ones to where they were brought now, which revives them.

    Args:
        connection: in a transaction.
        rows: (entity, digest, pack row, offset, stored length, length, codec).

    Returns:
        How many of them serve from their new place; the others were stored before.
    """
    # Sorted they go to neighbouring pages.
    return connection.exec_driver_sql(_INSERT, sorted(rows)).rowcount if rows else 0


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
    connection.exec_driver_sql(_INSERT_UNREAD, sorted(rows))
    entity_id, _, pack, *_ = rows[0]
    return len(dict(select_in_packs(connection, entity_id, [row[1] for row in rows], [pack])))


def revive(connection: Connection, entity_id: int, digests: Sequence[bytes]) -> None:
    """Takes back the condemnation of chunks that a commit names."""
    for marks, parameters in _groups(digests):
        connection.exec_driver_sql(
            f"UPDATE chunk SET condemned_at_ms = NULL WHERE entity_id = ? AND digest IN ({marks})",
            (entity_id, *parameters),
        )
