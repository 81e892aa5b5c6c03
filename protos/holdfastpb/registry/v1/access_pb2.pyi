from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Quota(_message.Message):
    __slots__ = ("entity", "project", "bytes_max", "bytes_used", "versions_max", "versions_used", "requests_per_s")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    BYTES_USED_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_MAX_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_USED_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_S_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    bytes_max: int
    bytes_used: int
    versions_max: int
    versions_used: int
    requests_per_s: float
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., bytes_max: _Optional[int] = ..., bytes_used: _Optional[int] = ..., versions_max: _Optional[int] = ..., versions_used: _Optional[int] = ..., requests_per_s: _Optional[float] = ...) -> None: ...

class SetQuotaRequest(_message.Message):
    __slots__ = ("entity", "project", "set_bytes", "bytes_max", "set_versions", "versions_max", "set_rate", "requests_per_s")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    SET_BYTES_FIELD_NUMBER: _ClassVar[int]
    BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    SET_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_MAX_FIELD_NUMBER: _ClassVar[int]
    SET_RATE_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_S_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    set_bytes: bool
    bytes_max: int
    set_versions: bool
    versions_max: int
    set_rate: bool
    requests_per_s: float
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., set_bytes: bool = ..., bytes_max: _Optional[int] = ..., set_versions: bool = ..., versions_max: _Optional[int] = ..., set_rate: bool = ..., requests_per_s: _Optional[float] = ...) -> None: ...

class SetQuotaResponse(_message.Message):
    __slots__ = ("quota",)
    QUOTA_FIELD_NUMBER: _ClassVar[int]
    quota: Quota
    def __init__(self, quota: _Optional[_Union[Quota, _Mapping]] = ...) -> None: ...

class GetQuotasRequest(_message.Message):
    __slots__ = ("entity", "project")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ...) -> None: ...

class GetQuotasResponse(_message.Message):
    __slots__ = ("quotas",)
    QUOTAS_FIELD_NUMBER: _ClassVar[int]
    quotas: _containers.RepeatedCompositeFieldContainer[Quota]
    def __init__(self, quotas: _Optional[_Iterable[_Union[Quota, _Mapping]]] = ...) -> None: ...

class Token(_message.Message):
    __slots__ = ("token_id", "name", "role", "entity", "project", "created_at_ms", "expires_at_ms", "last_used_at_ms", "revoked_at_ms")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    REVOKED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    name: str
    role: str
    entity: str
    project: str
    created_at_ms: int
    expires_at_ms: int
    last_used_at_ms: int
    revoked_at_ms: int
    def __init__(self, token_id: _Optional[str] = ..., name: _Optional[str] = ..., role: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., created_at_ms: _Optional[int] = ..., expires_at_ms: _Optional[int] = ..., last_used_at_ms: _Optional[int] = ..., revoked_at_ms: _Optional[int] = ...) -> None: ...

class WhoAmIRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WhoAmIResponse(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: Token
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ...) -> None: ...

class CreateTokenRequest(_message.Message):
    __slots__ = ("name", "role", "entity", "project", "lifetime_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    role: str
    entity: str
    project: str
    lifetime_s: int
    def __init__(self, name: _Optional[str] = ..., role: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., lifetime_s: _Optional[int] = ...) -> None: ...

class CreateTokenResponse(_message.Message):
    __slots__ = ("token", "secret")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    token: Token
    secret: str
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ..., secret: _Optional[str] = ...) -> None: ...

class ListTokensRequest(_message.Message):
    __slots__ = ("with_ended",)
    WITH_ENDED_FIELD_NUMBER: _ClassVar[int]
    with_ended: bool
    def __init__(self, with_ended: bool = ...) -> None: ...

class ListTokensResponse(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[Token]
    def __init__(self, tokens: _Optional[_Iterable[_Union[Token, _Mapping]]] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("token_id",)
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    def __init__(self, token_id: _Optional[str] = ...) -> None: ...

class RevokeTokenResponse(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: Token
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ...) -> None: ...

class RotateTokenRequest(_message.Message):
    __slots__ = ("token_id", "grace_s")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    GRACE_S_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    grace_s: int
    def __init__(self, token_id: _Optional[str] = ..., grace_s: _Optional[int] = ...) -> None: ...

class RotateTokenResponse(_message.Message):
    __slots__ = ("token", "secret")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    token: Token
    secret: str
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ..., secret: _Optional[str] = ...) -> None: ...

class SetProtectedAliasesRequest(_message.Message):
    __slots__ = ("entity", "project", "collection", "aliases")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    collection: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ...) -> None: ...

class SetProtectedAliasesResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetProtectedAliasesRequest(_message.Message):
    __slots__ = ("entity", "project", "collection")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    collection: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., collection: _Optional[str] = ...) -> None: ...

class GetProtectedAliasesResponse(_message.Message):
    __slots__ = ("aliases",)
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    aliases: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, aliases: _Optional[_Iterable[str]] = ...) -> None: ...

class ListAuditRequest(_message.Message):
    __slots__ = ("since_ms", "after_id", "page_size", "actor", "action")
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    AFTER_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    since_ms: int
    after_id: int
    page_size: int
    actor: str
    action: str
    def __init__(self, since_ms: _Optional[int] = ..., after_id: _Optional[int] = ..., page_size: _Optional[int] = ..., actor: _Optional[str] = ..., action: _Optional[str] = ...) -> None: ...

class ListAuditResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[AuditEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[AuditEntry, _Mapping]]] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("entry_id", "at_ms", "token_id", "token_name", "peer", "method", "entity", "project", "object", "outcome")
    ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_NAME_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    entry_id: int
    at_ms: int
    token_id: str
    token_name: str
    peer: str
    method: str
    entity: str
    project: str
    object: str
    outcome: str
    def __init__(self, entry_id: _Optional[int] = ..., at_ms: _Optional[int] = ..., token_id: _Optional[str] = ..., token_name: _Optional[str] = ..., peer: _Optional[str] = ..., method: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., object: _Optional[str] = ..., outcome: _Optional[str] = ...) -> None: ...
