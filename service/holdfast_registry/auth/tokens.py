"""Bearer tokens: 256 random bits, shown once, kept as SHA-256; so much randomness needs no slow hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Protocol

from holdfast_contract.reasons import Reason
from holdfast_registry.errors import RegistryError

TOKEN_PREFIX = "hf_reg_"
"""Lets scanners for leaked secrets recognise one."""
AUTHORIZATION_KEY = "authorization"
_SCHEME = "Bearer "


def new_token() -> str:
    """Makes a token."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_digest(token: str) -> bytes:
    """Returns what is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


class Authenticator(Protocol):
    """Decides whether a call may go on."""

    def check(self, authorization: str | None) -> None:
        """Looks at the `authorization` metadata of a call.

        Raises:
            RegistryError: UNAUTHENTICATED.
        """


class SocketOwner:
    """On a Unix socket in a private folder: whoever can connect is its owner."""

    def check(self, authorization: str | None) -> None:
        """Lets every call pass."""


class TokenHolders:
    """On TCP: a token is needed."""

    def __init__(self, digests: Sequence[bytes]) -> None:
        """Knows the tokens by their digests; they cannot change while the registry holds its data folder."""
        self._digests = tuple(digests)

    def check(self, authorization: str | None) -> None:
        """Refuses a call without a known token."""
        if authorization is None or not authorization.startswith(_SCHEME):
            raise RegistryError(
                Reason.UNAUTHENTICATED, "This registry needs a token; send it as `authorization: Bearer <token>`."
            )
        found = token_digest(authorization.removeprefix(_SCHEME))
        # Every digest is compared, so that the time taken says nothing.
        if not sum([hmac.compare_digest(found, digest) for digest in self._digests]):
            raise RegistryError(Reason.UNAUTHENTICATED, "This token is unknown or revoked; ask for another one.")
