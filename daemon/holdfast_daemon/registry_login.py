"""Login and logout: a token is asked about before it is kept, and used at once."""

import asyncio

from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.registry_client import RegistryClient
from holdfastpb.daemon.v1.control_pb2 import LoginResponse, LogoutResponse

TOKEN_CHARS_MAX = 512


class Login:
    """Keeps the registry's token.

    Args:
        registry: is asked, and called with the token from then on.
        is_needed: whether this registry asks for tokens; a private socket does not.
    """

    def __init__(self, registry: RegistryClient, *, is_needed: bool) -> None:
        self._registry = registry
        self._is_needed = is_needed

    async def login(self, token: str) -> LoginResponse:
        """Checks a token and takes it.

        Raises:
            HoldfastError: UNAUTHENTICATED, UNAVAILABLE; INVALID_ARGUMENT: it is none, or none is needed.
        """
        if not self._is_needed:
            raise HoldfastError(
                Reason.INVALID_ARGUMENT,
                "the registry in use needs no token: set HOLDFAST_DAEMON_REGISTRY to the address of one that does",
            )
        if not token.isascii() or not token.isprintable() or " " in token or not 1 <= len(token) <= TOKEN_CHARS_MAX:
            raise HoldfastError(Reason.INVALID_ARGUMENT, "that is no token: one is a single word of ASCII characters")
        found = (await self._registry.who_am_i(token)).token
        await asyncio.to_thread(self._registry.token.store, token)
        self._registry.refuse_calls(None)
        self._registry.hurry()
        return LoginResponse(
            registry=self._registry.address,
            token_id=found.token_id,
            name=found.name,
            role=found.role,
            entity=found.entity,
            project=found.project,
        )

    async def logout(self) -> LogoutResponse:
        """Forgets the token."""
        await asyncio.to_thread(self._registry.token.forget)
        return LogoutResponse(registry=self._registry.address)
