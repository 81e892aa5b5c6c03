"""The one table of what each RPC needs.  What is not in it is refused, whoever calls.

A row says which role is needed and where: at a place that the request names, or where a thing is whose id it carries.
Callers who may not read there get the answer of a thing that does not exist; callers who may read, but not more, are told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from holdfast_registry.auth.needs import Aliases, Kept, Kind, Named, Need, Needs, OwnScope, Shown, Whole, Within
from holdfast_registry.domain.access import Role, Scope
from holdfast_registry.domain.filters import PROJECT_FIELDS, parse_filter

PREFIX = "/holdfast.registry.v1."
READER, WRITER, ALIASER, ADMIN = Role

Request = Any


@dataclass(frozen=True, slots=True)
class Permission:
    """One row."""

    needs: Callable[[Request], Needs]
    aliases: Callable[[Request], Sequence[Aliases]] = lambda request: ()
    """Which aliases it gives or takes."""
    narrow: Callable[[Request, str], None] | None = None
    """Makes a request about a whole entity one about the only project that the caller may see."""
    audited: bool = False
    """Whether it leaves an entry in the audit log."""
    by_name: bool = False
    """Whether its entry needs a look-up, since neither request nor response says where it happened."""
    absent_is_fine: bool = False
    """Whether the answer for a thing that does not exist is the empty one."""
    shown: Shown | None = None
    """What of the response may be out of the caller's sight."""


def _nothing(request: Request) -> Needs:
    return ()


def _whole(request: Request) -> Needs:
    return (Need(ADMIN, Whole()),)


def _set_retention(request: Request) -> Needs:
    # As with other defaults of a project, and of a collection.
    return _at(WRITER if request.collection else ADMIN)(request)


def _at(role: Role, entity: str = "entity", project: str = "project") -> Callable[[Request], Needs]:
    def needs(request: Request) -> Needs:
        scope = Scope(getattr(request, entity), getattr(request, project) if project else "")
        return (Need(role, Named(scope)),)

    return needs


def _within(role: Role) -> Callable[[Request], Needs]:
    return lambda request: (Need(role, Within(request.entity)),)


def _kept(role: Role, kind: Kind, field: str) -> Callable[[Request], Needs]:
    return lambda request: (Need(role, Kept(kind, getattr(request, field))),)


def _run_of(request: Request) -> Needs:
    return (Need(WRITER, Named(Scope(request.run.entity, request.run.project))),) if request.HasField("run") else ()


def _commit(request: Request) -> Needs:
    leased = Need(WRITER, Kept(Kind.LEASE, request.lease_id))
    return (Need(WRITER, Kept(Kind.VERSION, request.version_id)), leased, *_run_of(request))


def _part(request: Request) -> Needs:
    return Need(WRITER, Kept(Kind.VERSION, request.version_id)), Need(WRITER, Kept(Kind.LEASE, request.lease_id))


def _finish(request: Request) -> Needs:
    return (*_at(WRITER)(request), *_run_of(request))


def _update_version(request: Request) -> Needs:
    changes_source = (
        request.set_description
        or request.set_metadata
        or request.tags_to_add
        or request.tags_to_remove
        or request.set_ttl
        or not request.link_id
    )
    needs = [Need(WRITER if changes_source else READER, Kept(Kind.VERSION, request.version_id))]
    if request.link_id:
        needs.append(Need(WRITER, Kept(Kind.LINK, request.link_id)))
    return needs


def _updated_aliases(request: Request) -> Sequence[Aliases]:
    names = (*request.aliases_to_add, *request.aliases_to_remove)
    if request.link_id:
        return _given(Kind.LINK, request.link_id, names)
    return _given(Kind.VERSION, request.version_id, names)


def _link(request: Request) -> Needs:
    return Need(READER, Kept(Kind.VERSION, request.version_id)), *_at(WRITER)(request)


def _get_collection(request: Request) -> Needs:
    if request.collection_id:
        return _kept(READER, Kind.COLLECTION, "collection_id")(request)
    return _at(READER)(request)


def _created_project(request: Request) -> Needs:
    return (Need(WRITER, Named(Scope(request.project.entity, request.project.name))),)


def _use(request: Request) -> Needs:
    return (
        Need(WRITER, Named(Scope(request.run.entity, request.run.project))),
        Need(READER, Kept(Kind.VERSION, request.version_id)),
    )


def _uses(request: Request) -> Needs:
    # Versions that the caller may not know of are told apart by the servicer, which calls them unknown.
    return [Need(WRITER, Named(Scope(use.run.entity, use.run.project))) for use in request.uses]


def _run(request: Request) -> Needs:
    return (Need(WRITER, Named(Scope(request.run.entity, request.run.project))),)


def _given(kind: Kind, thing_id: str, names: Sequence[str]) -> Sequence[Aliases]:
    return (Aliases(kind, thing_id, tuple(names)),) if names else ()


def _committed_aliases(request: Request) -> Sequence[Aliases]:
    return _given(Kind.VERSION, request.version_id, request.aliases)


def _named_aliases(request: Request) -> Sequence[Aliases]:
    if not request.aliases:
        return ()
    place = {"entity": request.entity, "project": request.project, "collection": request.collection}
    return (Aliases(None, "", tuple(request.aliases), **place),)


def _held(kind: Kind, field: str) -> Callable[[Request], Sequence[Aliases]]:
    return lambda request: (Aliases(kind, getattr(request, field), None),)


_VERSIONS_SHOWN = Shown(
    "versions", lambda item: Scope(item.entity, item.project), version_id=lambda item: str(item.version_id)
)
_LINKS_SHOWN = Shown("versions", lambda item: Scope(item.link.entity, item.link.project))
_RUNS_SHOWN = Shown("runs", lambda item: Scope(item.entity, item.project))
_IDS_SHOWN = Shown("version_ids", lambda item: None, version_id=str)


def _narrow_project(request: Request, project: str) -> None:
    if not request.project:
        request.project = project


def _narrow_projects(request: Request, project: str) -> None:
    parse_filter(request.filter_json, PROJECT_FIELDS)  # refuses what is not one
    only = {"name": project}
    wanted = [only, json.loads(request.filter_json)] if request.filter_json else [only]
    request.filter_json = json.dumps({"$and": wanted})


_VERSIONS = {
    "BeginVersion": Permission(_at(WRITER), audited=True),
    "RenewLease": Permission(_kept(WRITER, Kind.LEASE, "lease_id")),
    "CommitVersion": Permission(_commit, _committed_aliases, audited=True),
    "AddPart": Permission(_part, audited=True),
    "FinishDistributed": Permission(_finish, _named_aliases, audited=True),
    "AbortVersion": Permission(
        _kept(WRITER, Kind.VERSION, "version_id"), audited=True, by_name=True, absent_is_fine=True
    ),
    "GetVersion": Permission(_kept(READER, Kind.VERSION, "version_id")),
    "ResolveVersion": Permission(_at(READER)),
    "ListVersions": Permission(_at(READER)),
    "ListManifestSegments": Permission(_kept(READER, Kind.VERSION, "version_id")),
    "UpdateVersion": Permission(_update_version, _updated_aliases, audited=True),
    "DeleteVersion": Permission(
        _kept(WRITER, Kind.VERSION, "version_id"), _held(Kind.VERSION, "version_id"), audited=True
    ),
    "RestoreVersion": Permission(_at(WRITER), audited=True),
    "SearchVersions": Permission(_at(READER), narrow=_narrow_project),
    "ListRunArtifacts": Permission(_at(READER), shown=_VERSIONS_SHOWN),
    "LinkVersion": Permission(_link, _named_aliases, audited=True),
    "UnlinkVersion": Permission(
        _kept(WRITER, Kind.LINK, "link_id"), _held(Kind.LINK, "link_id"), audited=True, by_name=True
    ),
    "ListLinks": Permission(_kept(READER, Kind.VERSION, "version_id"), shown=_LINKS_SHOWN),
}
_COLLECTIONS = {
    "GetCollection": Permission(_get_collection),
    "ListCollections": Permission(_at(READER), narrow=_narrow_project),
    "UpdateCollection": Permission(_kept(WRITER, Kind.COLLECTION, "collection_id"), audited=True),
    "DeleteCollection": Permission(
        _kept(WRITER, Kind.COLLECTION, "collection_id"),
        _held(Kind.COLLECTION, "collection_id"),
        audited=True,
        by_name=True,
    ),
    "CreatePortfolio": Permission(_at(WRITER), audited=True),
    "ListTypes": Permission(_at(READER)),
    "ListProjects": Permission(_at(READER, project=""), narrow=_narrow_projects),
    "GetProject": Permission(_at(READER, project="name")),
    "CreateProject": Permission(_created_project, audited=True),
    "UpdateProject": Permission(_kept(ADMIN, Kind.PROJECT, "project_id"), audited=True),
    "DeleteRegistry": Permission(_kept(ADMIN, Kind.PROJECT, "project_id"), audited=True, by_name=True),
}
_PACKS = {
    "FindMissing": Permission(_kept(WRITER, Kind.LEASE, "lease_id")),
    "GrantPacks": Permission(_kept(WRITER, Kind.LEASE, "lease_id")),
    "WritePack": Permission(_kept(WRITER, Kind.LEASE, "lease_id")),
    "SealPack": Permission(_kept(WRITER, Kind.LEASE, "lease_id")),
    "LocateChunks": Permission(_within(READER)),
    "GrantReads": Permission(_within(READER)),
    "ReadPack": Permission(_within(READER)),
}
_RUNS = {
    "UpsertRun": Permission(_run, audited=True),
    "GetRun": Permission(_at(READER)),
    "RecordUse": Permission(_use, audited=True),
    "RecordUses": Permission(_uses, audited=True),
    "ListVersionRuns": Permission(_kept(READER, Kind.VERSION, "version_id"), shown=_RUNS_SHOWN),
    "ListRunVersions": Permission(_at(READER), shown=_IDS_SHOWN),
    "ListRuns": Permission(_at(READER)),
}
_ACCESS = {
    "WhoAmI": Permission(_nothing),
    "CreateToken": Permission(_at(ADMIN), audited=True),
    # What lies within the caller's scope is the servicer's to choose; that the caller is an administrator there is asked here.
    "ListTokens": Permission(lambda request: (Need(ADMIN, OwnScope()),)),
    "RevokeToken": Permission(_kept(ADMIN, Kind.TOKEN, "token_id"), audited=True, by_name=True),
    "RotateToken": Permission(_kept(ADMIN, Kind.TOKEN, "token_id"), audited=True, by_name=True),
    "SetProtectedAliases": Permission(_at(ADMIN), audited=True),
    "GetProtectedAliases": Permission(_at(READER)),
    "ListAudit": Permission(lambda request: (Need(ADMIN, OwnScope()),)),
    "SetQuota": Permission(_at(ADMIN), audited=True),
    "GetQuotas": Permission(_at(READER)),
}
_ADMIN = {
    "SetRetention": Permission(_set_retention, audited=True),
    "GetRetention": Permission(_at(READER)),
    "PreviewRetention": Permission(_at(READER)),
    "RunGc": Permission(_whole, audited=True),
    "GetGcStatus": Permission(_whole),
}
PERMISSIONS: Mapping[str, Permission] = MappingProxyType(
    {
        PREFIX + service + "/" + method: permission
        for service, methods in (
            ("RegistryService", {"Hello": Permission(_nothing)}),
            ("VersionService", _VERSIONS),
            ("CollectionService", _COLLECTIONS),
            ("PackService", _PACKS),
            ("RunService", _RUNS),
            ("AccessService", _ACCESS),
            ("AdminService", _ADMIN),
        )
        for method, permission in methods.items()
    }
)
PUBLIC = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.health.v1.Health/List",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }
)
"""What balancers ask without a token, and (when it is on) which services there are; neither tells of what is stored."""
