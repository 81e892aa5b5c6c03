"""AccessService on the wire."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_contract.names import check_entity, check_project, check_user_aliases
from holdfast_registry.auth.authorizer import absent
from holdfast_registry.auth.needs import Kept, Kind
from holdfast_registry.auth.tokens import Authenticator, new_token, token_digest
from holdfast_registry.clock import Clock
from holdfast_registry.database.audit import AuditRepository
from holdfast_registry.database.current_call import AuditEntry, current_call
from holdfast_registry.database.places import ProtectedAliasRepository, token_row
from holdfast_registry.database.quotas import QuotaRepository
from holdfast_registry.database.tokens import TokenRepository
from holdfast_registry.domain.access import LIFETIME_S_MAX, Caller, Scope, TokenRecord, checked_new_token
from holdfast_registry.domain.quotas import PlacedQuota, QuotaChange
from holdfast_registry.domain.records import CollectionName
from holdfast_registry.errors import invalid
from holdfast_registry.rpc.boundary import Context
from holdfast_registry.rpc.conversion import page_size
from holdfastpb.registry.v1 import access_pb2, access_pb2_grpc


@dataclass(frozen=True, slots=True)
class AccessRepositories:
    """What access is kept in."""

    tokens: TokenRepository
    protected: ProtectedAliasRepository
    quotas: QuotaRepository
    audit: AuditRepository


class AccessServicer(access_pb2_grpc.AccessServiceServicer):
    """Unpacks, calls, packs.  Secrets are made here and go into the one response, nowhere else."""

    def __init__(self, repositories: AccessRepositories, authenticator: Authenticator, clock: Clock) -> None:
        self._tokens = repositories.tokens
        self._protected = repositories.protected
        self._quotas = repositories.quotas
        self._audit = repositories.audit
        self._authenticator = authenticator
        self._clock = clock

    async def WhoAmI(self, request: access_pb2.WhoAmIRequest, context: Context) -> access_pb2.WhoAmIResponse:
        """Says who calls."""
        caller = _caller()
        if caller.token_id is not None:
            return access_pb2.WhoAmIResponse(token=token_message(await self._tokens.get(caller.token_id)))
        owner = access_pb2.Token(role=caller.role.name.lower(), name="owner of the socket")
        return access_pb2.WhoAmIResponse(token=owner)

    async def CreateToken(
        self, request: access_pb2.CreateTokenRequest, context: Context
    ) -> access_pb2.CreateTokenResponse:
        """Makes a token."""
        wanted = checked_new_token(request.name, request.role, request.entity, request.project, request.lifetime_s)
        secret = new_token()
        record = await self._tokens.add(wanted, token_digest(secret), self._clock.now_ms())
        assert record is not None, "only first tokens may be refused"
        self._authenticator.forget()
        return access_pb2.CreateTokenResponse(token=token_message(record), secret=secret)

    async def ListTokens(
        self, request: access_pb2.ListTokensRequest, context: Context
    ) -> access_pb2.ListTokensResponse:
        """Lists tokens."""
        records = await self._tokens.list(_caller().scope, self._clock.now_ms(), with_ended=request.with_ended)
        return access_pb2.ListTokensResponse(tokens=map(token_message, records))

    async def RevokeToken(
        self, request: access_pb2.RevokeTokenRequest, context: Context
    ) -> access_pb2.RevokeTokenResponse:
        """Ends a token."""
        record = await self._tokens.revoke(_token_id(request.token_id), self._clock.now_ms())
        self._authenticator.forget()
        return access_pb2.RevokeTokenResponse(token=token_message(record))

    async def RotateToken(
        self, request: access_pb2.RotateTokenRequest, context: Context
    ) -> access_pb2.RotateTokenResponse:
        """Makes a token's successor."""
        if request.grace_s > LIFETIME_S_MAX:
            raise invalid(f"grace_s is at most {LIFETIME_S_MAX}.")
        secret = new_token()
        record = await self._tokens.rotate(
            _token_id(request.token_id), token_digest(secret), self._clock.now_ms(), grace_s=request.grace_s
        )
        self._authenticator.forget()
        return access_pb2.RotateTokenResponse(token=token_message(record), secret=secret)

    async def SetProtectedAliases(
        self, request: access_pb2.SetProtectedAliasesRequest, context: Context
    ) -> access_pb2.SetProtectedAliasesResponse:
        """Sets protected aliases."""
        check_entity(request.entity)
        check_project(request.project)
        check_user_aliases(request.aliases)
        where = CollectionName(request.entity, request.project, request.collection)
        await self._protected.set(where, request.aliases)
        return access_pb2.SetProtectedAliasesResponse()

    async def GetProtectedAliases(
        self, request: access_pb2.GetProtectedAliasesRequest, context: Context
    ) -> access_pb2.GetProtectedAliasesResponse:
        """Shows protected aliases."""
        where = CollectionName(request.entity, request.project, request.collection)
        return access_pb2.GetProtectedAliasesResponse(aliases=await self._protected.get(where))

    async def ListAudit(self, request: access_pb2.ListAuditRequest, context: Context) -> access_pb2.ListAuditResponse:
        """Lists what was done."""
        entries = await self._audit.list(
            _caller().scope,
            since_ms=request.since_ms,
            after_id=min(request.after_id, (1 << 63) - 1),
            count=page_size(request.page_size),
            actor=request.actor,
            action=request.action,
        )
        return access_pb2.ListAuditResponse(entries=map(_entry_message, entries))

    async def SetQuota(self, request: access_pb2.SetQuotaRequest, context: Context) -> access_pb2.SetQuotaResponse:
        """Sets limits."""
        scope = _quota_scope(request.entity, request.project)
        change = QuotaChange(
            bytes_max=request.bytes_max if request.set_bytes else None,
            versions_max=request.versions_max if request.set_versions else None,
            requests_per_s=request.requests_per_s if request.set_rate else None,
        )
        placed = await self._quotas.set(scope, change.checked())
        self._authenticator.forget()
        return access_pb2.SetQuotaResponse(quota=_quota_message(placed))

    async def GetQuotas(self, request: access_pb2.GetQuotasRequest, context: Context) -> access_pb2.GetQuotasResponse:
        """Shows limits and use."""
        found = await self._quotas.get(_quota_scope(request.entity, request.project))
        return access_pb2.GetQuotasResponse(quotas=map(_quota_message, found))


def _caller() -> Caller:
    call = current_call()
    assert call is not None, "the boundary lets no call in without saying whose it is"
    return call.caller


def _token_id(text: str) -> int:
    token_id = token_row(text)
    if token_id is None:
        raise absent(Kept(Kind.TOKEN, text))
    return token_id


def _quota_scope(entity: str, project: str) -> Scope:
    check_entity(entity)
    if project:
        check_project(project)
    return Scope(entity, project)


def _quota_message(placed: PlacedQuota) -> access_pb2.Quota:
    return access_pb2.Quota(
        entity=placed.scope.entity,
        project=placed.scope.project,
        bytes_max=placed.quota.bytes_max or 0,
        bytes_used=placed.bytes_used,
        versions_max=placed.quota.versions_max or 0,
        versions_used=placed.versions_used,
        requests_per_s=placed.quota.requests_per_s or 0.0,
    )


def token_message(record: TokenRecord) -> access_pb2.Token:
    """Packs a token, of which the registry does not have the secret."""
    return access_pb2.Token(
        token_id=str(record.token_id),
        name=record.name,
        role=record.role.name.lower(),
        entity=record.scope.entity,
        project=record.scope.project,
        created_at_ms=record.created_at_ms,
        expires_at_ms=record.expires_at_ms or 0,
        last_used_at_ms=record.last_used_at_ms or 0,
        revoked_at_ms=record.revoked_at_ms or 0,
    )


def _entry_message(entry: AuditEntry) -> access_pb2.AuditEntry:
    return access_pb2.AuditEntry(
        entry_id=entry.entry_id,
        at_ms=entry.at_ms,
        token_id="" if entry.token_id is None else str(entry.token_id),
        token_name=entry.token_name,
        peer=entry.peer,
        method=entry.method,
        entity=entry.entity,
        project=entry.project,
        object=entry.object,
        outcome=entry.outcome,
    )
