"""The statements on `chunk` that go over tens of thousands of rows, in the words of whichever database the connection has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection

from holdfast_registry.database import postgresql_chunks, sqlite_chunks

Place = tuple[bytes, int, int, int, int, int]
"""Digest, pack row, offset, stored length, length, codec."""
PackedPlace = tuple[bytes, bytes, int, int, int, int, int]
"""Digest, pack id, the pack's bytes, offset, stored length, length, codec."""
NewChunk = tuple[int, bytes, int, int, int, int, int]
"""Entity, digest, pack row, offset, stored length, length, codec."""
PageRow = tuple[bytes, int, int, int | None]
"""Digest, pack row, stored length, condemned stamp."""


class ChunkStatements(Protocol):
    """What each database has words of its own for; connections are in a transaction."""

    def select_present(self, connection: Connection, entity_id: int, digests: Sequence[bytes]) -> set[bytes]:
        """Returns those chunks that are stored and not condemned."""

    def select_lengths(self, connection: Connection, entity_id: int, digests: Sequence[bytes]) -> dict[bytes, int]:
        """Returns digest → length of those chunks that have a row; the length of a condemned one is negative."""

    def select_places(self, connection: Connection, entity_id: int, digests: Sequence[bytes]) -> dict[bytes, Place]:
        """Returns digest → place of those chunks that have a row."""

    def select_packed(
        self, connection: Connection, entity_id: int, digests: Sequence[bytes]
    ) -> dict[bytes, PackedPlace]:
        """Returns digest → place of those chunks that have a row, and a pack, in one statement for each group."""

    def select_in_packs(
        self, connection: Connection, entity_id: int, digests: Sequence[bytes], packs: Sequence[int]
    ) -> list[tuple[bytes, int]]:
        """Returns (digest, pack row) of those chunks that lie in one of a few packs, condemned ones too."""

    def select_page(self, connection: Connection, entity_id: int, after: bytes, count: int) -> list[PageRow]:
        """Returns the next rows in the order of digests."""

    def insert_absent(self, connection: Connection, rows: Sequence[NewChunk]) -> int:
        """Adds chunks that have no row, and moves condemned ones to where they were brought now, which revives them.

        Returns:
            How many of them serve from their new place; the others were stored before.
        """

    def insert_unread(self, connection: Connection, rows: Sequence[NewChunk]) -> int:
        """Adds chunks of a pack that nobody has read back, where they have no row; condemned ones are revived where they lie.

        A version may name a condemned chunk, and must not come to lean on another upload's pack before that was read.

        Returns:
            How many of them lie in the pack.
        """

    def revive(self, connection: Connection, entity_id: int, digests: Sequence[bytes]) -> None:
        """Takes back the condemnation of chunks that a commit names."""


def chunk_statements(connection: Connection) -> ChunkStatements:
    """Returns the statements for a connection."""
    if connection.dialect.name == "postgresql":
        return postgresql_chunks
    return sqlite_chunks
