"""What reading keeps in the journal: versions that were asked for by digest, their manifests, and uses on their way to the registry.

Uses are durable before they are acknowledged and go only when the registry has them: a crash in between sends them again, which changes
nothing there.  Versions and manifests are copies of what the registry has; losing one costs a request.
"""

import sqlite3
from collections.abc import Sequence

from holdfast_daemon.journal.journal import Journal

PINNED_VERSIONS_MAX = 2_000
"""With a manifest of at most 64 KiB each: 128 MiB of journal if all are as large as that."""

Pin = tuple[str, str, str, str]
"""Entity, project, collection, digest: what somebody asked for."""

_FORGET_SURPLUS = (
    "DELETE FROM pinned_version WHERE (entity, project, collection, digest) IN"
    " (SELECT entity, project, collection, digest FROM pinned_version ORDER BY seen_at_ms DESC LIMIT -1 OFFSET ?)"
)
_FORGET_MANIFESTS = "DELETE FROM kept_manifest WHERE version_id NOT IN (SELECT version_id FROM pinned_version)"


class ReadingStore:
    """Typed operations, each one transaction."""

    def __init__(self, journal: Journal) -> None:
        self._db = journal._db  # one file, one writer: the journal's

    async def load_version(self, pin: Pin) -> tuple[bytes, int] | None:
        """The Version, encoded, that was the answer, and when (ms)."""
        sql = (
            "SELECT version, seen_at_ms FROM pinned_version"
            " WHERE entity = ? AND project = ? AND collection = ? AND digest = ?"
        )
        row: tuple[bytes, int] | None = await self._db.read(lambda c: c.execute(sql, pin).fetchone())
        return row

    async def store_version(self, pin: Pin, version_id: str, version: bytes, seen_at_ms: int) -> None:
        """Keeps an answer; the ones that were seen longest ago make room."""

        def write(c: sqlite3.Connection) -> None:
            c.execute(
                "INSERT OR REPLACE INTO pinned_version VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*pin, version_id, version, seen_at_ms),
            )
            if c.execute("SELECT count(*) FROM pinned_version").fetchone()[0] > PINNED_VERSIONS_MAX:
                c.execute(_FORGET_SURPLUS, (PINNED_VERSIONS_MAX * 9 // 10,))
                c.execute(_FORGET_MANIFESTS)

        await self._db.write(write)

    async def load_pins(self) -> dict[Pin, str]:
        """All pins that are kept, with the ids of their versions."""
        sql = "SELECT entity, project, collection, digest, version_id FROM pinned_version"
        return {row[:4]: row[4] for row in await self._db.read(lambda c: c.execute(sql).fetchall())}

    async def forget_pins(self, pins: Sequence[Pin]) -> None:
        """Drops the answers to these; manifests stay until room is made."""
        await self._db.executemany(
            "DELETE FROM pinned_version WHERE entity = ? AND project = ? AND collection = ? AND digest = ?", pins
        )

    async def load_manifest(self, version_id: str) -> bytes | None:
        """A whole manifest as an encoded ListManifestSegmentsResponse."""
        sql = "SELECT segments FROM kept_manifest WHERE version_id = ?"
        row = await self._db.read(lambda c: c.execute(sql, (version_id,)).fetchone())
        return row[0] if row else None

    async def store_manifest(self, version_id: str, segments: bytes) -> None:
        """Keeps a whole small manifest, which never changes; those of versions that are pinned no more make room."""

        def write(c: sqlite3.Connection) -> None:
            c.execute("INSERT OR REPLACE INTO kept_manifest VALUES (?, ?)", (version_id, segments))
            if c.execute("SELECT count(*) FROM kept_manifest").fetchone()[0] > PINNED_VERSIONS_MAX:
                c.execute(_FORGET_MANIFESTS)

        await self._db.write(write)

    async def add_use(self, request: bytes) -> None:
        """Keeps a use (RecordUseRequest) until `drop_uses`."""
        await self._db.execute("INSERT INTO pending_use (request) VALUES (?)", (request,))

    async def load_uses(self, count_max: int) -> list[tuple[int, bytes]]:
        """Uses that are kept, oldest first, with their numbers."""
        sql = "SELECT use_id, request FROM pending_use ORDER BY use_id LIMIT ?"
        return await self._db.read(lambda c: c.execute(sql, (count_max,)).fetchall())

    async def drop_uses(self, first_id: int, last_id: int) -> None:
        """Forgets uses that the registry has."""
        await self._db.execute("DELETE FROM pending_use WHERE use_id BETWEEN ? AND ?", (first_id, last_id))
