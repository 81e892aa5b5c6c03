"""Tokens, of which only digests are kept."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection, func, insert, select

from holdfast_registry.database.database import Database
from holdfast_registry.database.schema import token


class TokenRepository:
    """The digests of the tokens that may call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, digest: bytes, now_ms: int, *, only_first: bool = False) -> bool:
        """Adds a token; with `only_first` only when there is none yet.  Returns whether it was added."""
        return await self._database.write(partial(_add, name=name, digest=digest, now_ms=now_ms, only_first=only_first))

    async def active_digests(self) -> list[bytes]:
        """Returns the digests of all tokens that are not revoked."""

        def unit(connection: Connection) -> list[bytes]:
            found = connection.execute(select(token.c.digest).where(token.c.revoked_at_ms.is_(None)))
            return [bytes(digest) for digest in found.scalars()]

        return await self._database.read(unit)


def _add(connection: Connection, name: str, digest: bytes, now_ms: int, *, only_first: bool) -> bool:
    if only_first and connection.execute(select(func.count()).select_from(token)).scalar_one():
        return False
    connection.execute(insert(token), {"name": name, "digest": digest, "is_admin": True, "created_at_ms": now_ms})
    return True
