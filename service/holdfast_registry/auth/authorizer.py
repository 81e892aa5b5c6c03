"""Decides by the table of permissions whether a call may go on, and what of its answer the caller may see."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from holdfast_contract.reasons import Reason
from holdfast_registry.auth.needs import Kept, Kind, Named, Need, OwnScope, Shown, Whole, Within
from holdfast_registry.auth.permissions import Permission
from holdfast_registry.database.current_call import Guard
from holdfast_registry.database.places import PlaceRepository, Places, refuse_protected
from holdfast_registry.domain.access import Caller, Role, Scope
from holdfast_registry.domain.leases import lease_expired
from holdfast_registry.errors import RegistryError, not_found

_CALLED = {
    Kind.VERSION: "Version",
    Kind.COLLECTION: "Collection",
    Kind.PROJECT: "Project",
    Kind.LINK: "Link",
    Kind.TOKEN: "Token",
}


class Authorizer:
    """Looks up where things are only for callers who do not see everything."""

    def __init__(self, places: PlaceRepository) -> None:
        self._places = places

    async def check(self, permission: Permission, caller: Caller, request: Any) -> Scope:
        """Lets a call go on; returns where it happens, as far as that was looked up.

        Raises:
            RegistryError: NOT_FOUND or LEASE_EXPIRED: it is not there, or the caller may not know that it is;
                PERMISSION_DENIED: the caller may look, but not do this; INVALID_FILTER.
        """
        narrowed = _narrow(permission, caller, request)
        needs = list(permission.needs(request))
        things = [need.where for need in needs if isinstance(need.where, Kept)]
        found: dict[Kept, Places] = {}
        if things and (permission.by_name or not caller.is_unbound):
            found = await self._places.places(things)
        if not caller.is_unbound:
            for need in needs:
                _check_seen(need, caller, found, narrowed=narrowed)
        for need in needs:
            _check_role(need, caller, found)
        return next((places[0] for places in found.values() if places), Scope())

    def guards(self, permission: Permission, caller: Caller, request: Any) -> tuple[Guard, ...]:
        """Returns what is to be looked at inside of the call's transactions."""
        if caller.role >= Role.ALIASER:
            return ()
        return tuple(partial(refuse_protected, touched=touched) for touched in permission.aliases(request))

    async def hide(self, shown: Shown, caller: Caller, response: Any) -> None:
        """Takes out of a response what lies where the caller may not look."""
        items = getattr(response, shown.field)
        if caller.is_unbound or not items:
            return
        seen = [_covers(caller, shown.scope(item)) for item in items]
        version_id = shown.version_id
        if version_id is not None:
            unsure = [version_id(item) for item, is_seen in zip(items, seen, strict=True) if not is_seen]
            visible = await self.visible_versions(caller, unsure)
            seen = [is_seen or version_id(item) in visible for item, is_seen in zip(items, seen, strict=True)]
        kept = [item for item, is_seen in zip(items, seen, strict=True) if is_seen]
        if hasattr(response, "total_count"):
            response.total_count -= len(items) - len(kept)
        del items[:]
        items.extend(kept)

    async def visible_versions(self, caller: Caller, version_ids: Sequence[str]) -> frozenset[str]:
        """Returns those versions that the caller may look at; of one who sees everything all, also those that do not exist."""
        if caller.is_unbound or not version_ids:
            return frozenset(version_ids)
        found = await self._places.places([Kept(Kind.VERSION, version_id) for version_id in version_ids])
        return frozenset(
            thing.id for thing, places in found.items() if any(caller.scope.covers(place) for place in places)
        )


def _covers(caller: Caller, scope: Scope | None) -> bool:
    return scope is not None and caller.scope.covers(scope)


def _narrow(permission: Permission, caller: Caller, request: Any) -> bool:
    if permission.narrow is None or not caller.scope.project or request.entity != caller.scope.entity:
        return False
    permission.narrow(request, caller.scope.project)
    return True


def _check_seen(need: Need, caller: Caller, found: dict[Kept, Places], *, narrowed: bool) -> None:
    where = need.where
    if isinstance(where, OwnScope | Whole):
        return
    if isinstance(where, Within):
        if not caller.scope.reaches_into(where.entity):
            raise not_found(f"Entity {where.entity[:64]!r}")
    elif isinstance(where, Named):
        if not (caller.scope.covers(where.scope) or (narrowed and not where.scope.project)):
            raise not_found(str(where.scope)[:200])
    elif not (_is_own_token(where, caller) or any(map(caller.scope.covers, found[where]))):
        raise absent(where)


def _check_role(need: Need, caller: Caller, found: dict[Kept, Places]) -> None:
    where = need.where
    if isinstance(where, Kept):
        if _is_own_token(where, caller):
            return
        places = found.get(where, ())
        # What is seen through a link only can be read, and no more.
        if need.role > Role.READER and places and not caller.scope.covers(places[0]):
            raise _denied(need.role, caller)
    if caller.role < need.role or (isinstance(where, Whole) and not caller.is_unbound):
        raise _denied(need.role, caller, " of everything" if isinstance(where, Whole) else "")


def _is_own_token(where: Kept, caller: Caller) -> bool:
    return where.kind is Kind.TOKEN and caller.token_id is not None and where.id == str(caller.token_id)


def absent(thing: Kept) -> RegistryError:
    """Returns the answer of a thing that does not exist, in the words of whoever would have looked for it."""
    if thing.kind is Kind.LEASE:
        return lease_expired(thing.id)
    return not_found(f"{_CALLED[thing.kind]} {thing.id[:64]!r}")


def _denied(role: Role, caller: Caller, where: str = "") -> RegistryError:
    return RegistryError(
        Reason.PERMISSION_DENIED,
        f"This needs the role {role.name.lower()}{where}; the token {caller.token_name!r} is {_article(caller.role)} of "
        f"{caller.scope}.",
        {"role": role.name.lower()},
    )


def _article(role: Role) -> str:
    return f"an {role.name.lower()}" if role in (Role.ALIASER, Role.ADMIN) else f"a {role.name.lower()}"
