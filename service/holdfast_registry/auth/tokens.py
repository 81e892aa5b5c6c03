"""Bearer tokens: 256 random bits, shown once, kept as SHA-256; so much randomness needs no slow hash.

A token is looked up by its digest, which tells whoever guesses nothing: two secrets that share their first bytes share
nothing of their digests.  What was found is believed for 30 s, so a revocation counts within that time everywhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from holdfast_contract.reasons import Reason
from holdfast_registry.auth.call_limits import RateLimits
from holdfast_registry.clock import Clock
from holdfast_registry.database.tokens import TokenRepository
from holdfast_registry.domain.access import SOCKET_OWNER, Caller, TokenRecord
from holdfast_registry.errors import DatabaseError, RegistryError

logger = logging.getLogger(__name__)

TOKEN_PREFIX = "hf_reg_"
"""Lets scanners for leaked secrets recognise one."""
AUTHORIZATION_KEY = "authorization"
BELIEVED_S = 30.0
"""Half of the minute within which a revocation must count."""
UNKNOWN_BELIEVED_S = 2.0
"""Less: a token that was just made elsewhere is soon good here."""
KEPT_MAX = 4096
"""Tokens remembered, unknown ones too, so that guessing takes no memory."""
USE_NOTED_EVERY_MS = 60_000
_SCHEME = "Bearer "


def new_token() -> str:
    """Makes a token."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_digest(token: str) -> bytes:
    """Returns what is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


class Authenticator(Protocol):
    """Knows who calls."""

    async def caller(self, authorization: str | None) -> Caller:
        """Looks at the `authorization` metadata of a call, and counts it.

        Raises:
            RegistryError: UNAUTHENTICATED, RATE_LIMITED.
        """

    def forget(self) -> None:
        """Looks every token up again, because one has changed."""


class SocketOwner:
    """On a Unix socket in a private folder: whoever can connect is its owner."""

    async def caller(self, authorization: str | None) -> Caller:
        """Lets every call pass."""
        return SOCKET_OWNER

    def forget(self) -> None:
        """Knows no tokens."""


@dataclass(frozen=True, slots=True)
class _Known:
    record: TokenRecord | None
    until_s: float


class TokenHolders:
    """On TCP: a token is needed."""

    def __init__(self, tokens: TokenRepository, rates: RateLimits, clock: Clock) -> None:
        self._tokens = tokens
        self._rates = rates
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._noted_ms: dict[int, int] = {}
        self._noting: set[asyncio.Task[None]] = set()

    async def caller(self, authorization: str | None) -> Caller:
        """Returns whose token a call carries.

        Raises:
            RegistryError: UNAUTHENTICATED: none, or one that is unknown, revoked or expired; the answer does not say which.
                RATE_LIMITED: it calls too often.
        """
        if authorization is None or not authorization.startswith(_SCHEME):
            raise RegistryError(
                Reason.UNAUTHENTICATED, "This registry needs a token; send it as `authorization: Bearer <token>`."
            )
        record = await self._find(token_digest(authorization.removeprefix(_SCHEME)))
        now_ms = self._clock.now_ms()
        if record is None or not record.is_good(now_ms):
            raise RegistryError(
                Reason.UNAUTHENTICATED, "This token is unknown, expired or revoked; ask for another one."
            )
        self._note_use(record, now_ms)
        self._rates.take(record)
        return Caller(record.role, record.scope, record.token_id, record.name)

    def forget(self) -> None:
        """Looks every token up again, because one has changed."""
        self._known.clear()

    async def _find(self, digest: bytes) -> TokenRecord | None:
        known = self._known.get(digest)
        if known is not None and self._clock.monotonic_s() < known.until_s:
            self._known.move_to_end(digest)
            return known.record
        # From before the look: what is read may be revoked while the answer is on its way.
        asked_s = self._clock.monotonic_s()
        record = await self._tokens.find(digest)
        self._known[digest] = _Known(record, asked_s + (UNKNOWN_BELIEVED_S if record is None else BELIEVED_S))
        while len(self._known) > KEPT_MAX:
            self._known.popitem(last=False)
        return record

    def _note_use(self, record: TokenRecord, now_ms: int) -> None:
        noted_ms = self._noted_ms.get(record.token_id, record.last_used_at_ms or 0)
        if abs(now_ms - noted_ms) < USE_NOTED_EVERY_MS:
            return
        self._noted_ms[record.token_id] = now_ms
        task = asyncio.create_task(self._write_use(record.token_id, now_ms))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _write_use(self, token_id: int, now_ms: int) -> None:
        try:
            await self._tokens.note_use(token_id, now_ms)
        except (RegistryError, DatabaseError) as error:
            # A full disk must not keep readers out.
            logger.warning("last use of token id=%s not written: %s", token_id, error)
