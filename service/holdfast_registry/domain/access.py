"""Roles, scopes, and who calls: what decides whether a call may go on, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from holdfast_contract.limits import NAME_CHARS_MAX
from holdfast_contract.names import check_entity, check_project
from holdfast_registry.errors import invalid

LIFETIME_S_MAX = 100 * 365 * 86_400
"""A hundred years; more is a mistake."""


class Role(IntEnum):
    """What a token may do; each may all that those before it may.  The numbers are those of the database."""

    READER = 1
    WRITER = 2
    ALIASER = 3
    """A writer who may also give and take protected aliases."""
    ADMIN = 4


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a token counts: one project, one entity (no project), or everything (no entity)."""

    entity: str = ""
    project: str = ""

    def covers(self, other: Scope) -> bool:
        """Tells whether the other lies within this one."""
        if not self.entity:
            return True
        return self.entity == other.entity and self.project in ("", other.project)

    def reaches_into(self, entity: str) -> bool:
        """Tells whether anything of the entity lies within this scope."""
        return self.entity in ("", entity)

    def __str__(self) -> str:
        """Returns it for messages."""
        return "/".join(filter(None, (self.entity, self.project))) or "everything"


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call."""

    role: Role
    scope: Scope
    token_id: int | None
    """None: the owner of the Unix socket."""
    token_name: str

    @property
    def is_unbound(self) -> bool:
        """Whether no place needs to be looked up for it."""
        return not self.scope.entity


SOCKET_OWNER = Caller(Role.ADMIN, EVERYTHING, None, "")


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token, without its secret."""

    token_id: int
    name: str
    role: Role
    scope: Scope
    created_at_ms: int
    expires_at_ms: int | None = None
    last_used_at_ms: int | None = None
    revoked_at_ms: int | None = None
    requests_per_s: float | None = None
    """The tightest quota of where its scope lies; None: none."""

    def is_good(self, now_ms: int) -> bool:
        """Tells whether calls with it may go on."""
        return self.revoked_at_ms is None and (self.expires_at_ms is None or now_ms < self.expires_at_ms)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to be made."""

    name: str
    role: Role
    scope: Scope
    lifetime_s: int = 0
    """0: without end."""

    def expires_at_ms(self, now_ms: int) -> int | None:
        """Returns when it ends."""
        return now_ms + self.lifetime_s * 1000 if self.lifetime_s else None


def checked_new_token(name: str, role: str, entity: str, project: str, lifetime_s: int) -> NewToken:
    """Returns a token that somebody asks for, once its words are known to be good.

    Raises:
        ContractError: INVALID_NAME.
        RegistryError: INVALID_ARGUMENT.
    """
    if role.upper() not in Role.__members__:
        raise invalid(f"A token's role is {', '.join(known.name.lower() for known in Role)}, not {role[:40]!r}.")
    if entity:
        check_entity(entity)
    if project:
        check_project(project)
    if project and not entity:
        raise invalid("A token for a project needs the project's entity.")
    if len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise invalid(f"A token's name has at most {NAME_CHARS_MAX} printable characters.")
    if lifetime_s > LIFETIME_S_MAX:
        raise invalid(f"A token lives for at most {LIFETIME_S_MAX} s, or with 0 without end.")
    return NewToken(name, Role[role.upper()], Scope(entity, project), lifetime_s)
