"""Tokens, of which only digests are kept."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from holdfast_registry.database.database import Database
from holdfast_registry.database.quotas import RATE_OF_TOKEN
from holdfast_registry.database.schema import token
from holdfast_registry.database.statements import AnyRow
from holdfast_registry.domain.access import NewToken, Role, Scope, TokenRecord
from holdfast_registry.errors import not_found

_TOKEN = select(token, RATE_OF_TOKEN.label("requests_per_s"))
_BY_DIGEST = _TOKEN.where(token.c.digest == bindparam("wanted"))
_BY_ID = _TOKEN.where(token.c.id == bindparam("wanted"))


class TokenRepository:
    """Makes, finds, renews and ends tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, wanted: NewToken, digest: bytes, now_ms: int, *, only_first: bool = False
    ) -> TokenRecord | None:
        """Adds a token; with `only_first` only when there is none yet, and else returns None."""
        return await self._database.write(
            partial(_add, wanted=wanted, digest=digest, now_ms=now_ms, only_first=only_first)
        )

    async def find(self, digest: bytes) -> TokenRecord | None:
        """Returns the token of a digest, whatever has become of it."""

        def unit(connection: Connection) -> TokenRecord | None:
            row = connection.execute(_BY_DIGEST, {"wanted": digest}).first()
            return None if row is None else _record(row)

        return await self._database.read(unit)

    async def get(self, token_id: int) -> TokenRecord:
        """Returns a token.

        Raises:
            RegistryError: NOT_FOUND.
        """
        return await self._database.read(partial(_get, token_id=token_id))

    async def list(self, scope: Scope, now_ms: int, *, with_ended: bool) -> list[TokenRecord]:
        """Returns the tokens within a scope, oldest first."""
        wanted = _TOKEN.order_by(token.c.id)
        if scope.entity:
            wanted = wanted.where(token.c.entity == scope.entity)
        if scope.project:
            wanted = wanted.where(token.c.project == scope.project)

        def unit(connection: Connection) -> list[TokenRecord]:
            return [_record(row) for row in connection.execute(wanted)]

        found = await self._database.read(unit)
        return [record for record in found if with_ended or record.is_good(now_ms)]

    async def has_good(self, now_ms: int) -> bool:
        """Tells whether anybody could call."""
        good = (
            select(func.count())
            .select_from(token)
            .where(
                token.c.revoked_at_ms.is_(None), or_(token.c.expires_at_ms.is_(None), token.c.expires_at_ms > now_ms)
            )
        )
        return bool(await self._database.read(lambda connection: connection.execute(good).scalar_one()))

    async def revoke(self, token_id: int, now_ms: int) -> TokenRecord:
        """Ends a token; one that has ended stays as it is.

        Raises:
            RegistryError: NOT_FOUND.
        """

        def unit(connection: Connection) -> TokenRecord:
            ended = token.c.id == token_id, token.c.revoked_at_ms.is_(None)
            connection.execute(update(token).where(*ended).values(revoked_at_ms=now_ms))
            return _get(connection, token_id)

        return await self._database.write(unit)

    async def rotate(self, token_id: int, digest: bytes, now_ms: int, *, grace_s: int) -> TokenRecord:
        """Adds a successor that lives as long as the token did, and lets that one end after the grace.

        Raises:
            RegistryError: NOT_FOUND, also of one that has ended.
        """

        def unit(connection: Connection) -> TokenRecord:
            old = _get(connection, token_id)
            if not old.is_good(now_ms):
                raise _unknown(token_id)
            lifetime_s = 0 if old.expires_at_ms is None else max(1, (old.expires_at_ms - old.created_at_ms) // 1000)
            end_ms = now_ms + grace_s * 1000
            if old.expires_at_ms is not None:
                end_ms = min(end_ms, old.expires_at_ms)
            connection.execute(update(token).where(token.c.id == token_id).values(expires_at_ms=end_ms))
            successor = _add(connection, NewToken(old.name, old.role, old.scope, lifetime_s), digest, now_ms)
            assert successor is not None, "only first tokens may be refused"
            return successor

        return await self._database.write(unit)

    async def note_use(self, token_id: int, now_ms: int) -> None:
        """Writes down that a token was used."""
        used = update(token).where(token.c.id == token_id).values(last_used_at_ms=now_ms)

        def unit(connection: Connection) -> None:
            connection.execute(used)

        await self._database.write(unit)


def _add(
    connection: Connection, wanted: NewToken, digest: bytes, now_ms: int, *, only_first: bool = False
) -> TokenRecord | None:
    if only_first and connection.execute(select(func.count()).select_from(token)).scalar_one():
        return None
    values = {
        "name": wanted.name,
        "digest": digest,
        "role": wanted.role.value,
        "entity": wanted.scope.entity or None,
        "project": wanted.scope.project or None,
        "created_at_ms": now_ms,
        "expires_at_ms": wanted.expires_at_ms(now_ms),
    }
    token_id = connection.execute(insert(token).returning(token.c.id), values).scalar_one()
    return _get(connection, int(token_id))


def _get(connection: Connection, token_id: int) -> TokenRecord:
    row = connection.execute(_BY_ID, {"wanted": token_id}).first()
    if row is None:
        raise _unknown(token_id)
    return _record(row)


def _unknown(token_id: int) -> Exception:
    return not_found(f"Token {str(token_id)!r}")


def _record(row: AnyRow) -> TokenRecord:
    return TokenRecord(
        token_id=row.id,
        name=row.name,
        role=Role(row.role),
        scope=Scope(row.entity or "", row.project or ""),
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        last_used_at_ms=row.last_used_at_ms,
        revoked_at_ms=row.revoked_at_ms,
        requests_per_s=row.requests_per_s,
    )
