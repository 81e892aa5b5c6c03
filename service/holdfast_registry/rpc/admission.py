"""Lets calls in: who calls, whether they may, what their transactions guard and record, and what they get to see."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from holdfast_contract.call_context import CallContext
from holdfast_contract.limits import NAME_CHARS_MAX
from holdfast_contract.reasons import REASONS, Reason
from holdfast_registry.auth.authorizer import Authorizer
from holdfast_registry.auth.describe import describe, response_classes
from holdfast_registry.auth.permissions import PERMISSIONS, PREFIX, Permission
from holdfast_registry.auth.tokens import Authenticator
from holdfast_registry.clock import Clock
from holdfast_registry.database.audit import AuditRepository
from holdfast_registry.database.current_call import AuditEntry, CurrentCall, set_current_call
from holdfast_registry.domain.access import EVERYTHING, Caller, Scope
from holdfast_registry.errors import DatabaseError, RegistryError

logger = logging.getLogger(__name__)

OUTCOME_OK = "OK"
PEER_CHARS_MAX = 200


@dataclass(slots=True)
class Visit:
    """One call, as far as is known of it."""

    method: str
    peer: str
    caller: Caller | None = None
    request: Any = None
    permission: Permission | None = None
    scope: Scope = EVERYTHING
    """Where it happens, if that was looked up."""
    context: CallContext = field(default_factory=CallContext)
    """As logs show it."""
    refused: str = ""
    """Reason of its refusal."""


class Admission:
    """Goes by the table of permissions; a method that is not in it is refused."""

    def __init__(
        self,
        authenticator: Authenticator,
        authorizer: Authorizer,
        audit: AuditRepository,
        clock: Clock,
        permissions: Mapping[str, Permission] = PERMISSIONS,
    ) -> None:
        """Puts it together.

        Args:
            authenticator: knows who calls.
            authorizer: knows whether they may.
            audit: keeps refusals; what succeeds is kept by its own transaction.
            clock: for entries.
            permissions: the table; others are for tests.
        """
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._audit = audit
        self._clock = clock
        self._permissions = permissions
        self._responses = response_classes()

    async def recognize(self, visit: Visit, authorization: str | None) -> None:
        """Finds out who calls.

        Raises:
            RegistryError: UNAUTHENTICATED.
        """
        visit.caller = await self._authenticator.caller(authorization)

    async def admit(self, visit: Visit, request: Any) -> Message | None:
        """Lets a call go on; returns its answer when there is nothing to be done.

        Raises:
            RegistryError: PERMISSION_DENIED, NOT_FOUND, LEASE_EXPIRED, INVALID_FILTER.
        """
        assert visit.caller is not None, "it was recognized"
        permission = self._permissions.get(visit.method)
        if permission is None:
            raise RegistryError(
                Reason.PERMISSION_DENIED, f"No permission is declared for {visit.method}, so nobody may call it."
            )
        visit.permission, visit.request = permission, request
        try:
            visit.scope = await self._authorizer.check(permission, visit.caller, request)
        except RegistryError as error:
            if error.reason is Reason.NOT_FOUND and permission.absent_is_fine:
                return self._responses[visit.method]()
            raise
        guards = self._authorizer.guards(permission, visit.caller, request)
        call = CurrentCall(visit.caller, guards)
        if permission.audited:
            call.entry_of = lambda result: self._entry_of(visit, result)
        set_current_call(call)
        return None

    async def hide(self, visit: Visit, response: Any) -> None:
        """Takes out of a response what its caller may not see."""
        if visit.permission is not None and visit.permission.shown is not None and visit.caller is not None:
            await self._authorizer.hide(visit.permission.shown, visit.caller, response)

    async def note_refusal(self, visit: Visit, reason: Reason) -> None:
        """Records that a change was refused to somebody who is known; what will be repeated is not recorded."""
        if visit.permission is None or not visit.permission.audited or REASONS[reason].retryable:
            return
        try:
            await self._audit.add(self._entry(visit, None, reason.value))
        except (RegistryError, DatabaseError) as error:
            # The caller's answer is ready; a full disk does not change it.
            logger.error("refusal not recorded method=%s reason=%s: %s", visit.method, reason, error)

    def _entry_of(self, visit: Visit, result: object) -> AuditEntry | None:
        """Of a mutation that is done once, the transaction that matters is the one that comes to its encoded response."""
        if isinstance(result, bytes):
            return self._entry(visit, self._responses[visit.method].FromString(result), OUTCOME_OK)
        if hasattr(visit.request, "request_id"):
            return None
        return self._entry(visit, None, OUTCOME_OK)

    def _entry(self, visit: Visit, response: Message | None, outcome: str) -> AuditEntry:
        assert visit.caller is not None, "strangers leave no entries"
        said, words = describe(visit.request, response)
        scope = visit.scope if visit.scope.entity else said
        return AuditEntry(
            at_ms=self._clock.now_ms(),
            token_id=visit.caller.token_id,
            token_name=visit.caller.token_name,
            peer=visit.peer[:PEER_CHARS_MAX],
            method=visit.method.removeprefix(PREFIX),
            entity=scope.entity[:NAME_CHARS_MAX],
            project=scope.project[:NAME_CHARS_MAX],
            object=words,
            outcome=outcome,
        )
