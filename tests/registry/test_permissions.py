"""Every RPC × every kind of caller: who is let in, who is told no, and who is not even told that something is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import grpc
import pytest

from holdfast_contract.call_context import REQUEST_ID_DETAIL
from holdfast_contract.grpc_options import NO_GRPC_RETRIES
from holdfast_registry.auth.permissions import PERMISSIONS
from holdfastpb.registry.v1 import access_pb2, access_pb2_grpc, admin_pb2, collection_pb2, run_pb2, version_pb2
from registry.client import Client, content_of, new_request_id
from registry.permissions import PACKAGE, Answer, Things, ask, methods, request_for, run_of, things_of
from registry.processes import RegistryProcess, run_registry
from support.own_registry import free_port

NEEDED = {
    "RegistryService/Hello": "any",
    "VersionService/BeginVersion": "writer",
    "VersionService/RenewLease": "writer",
    "VersionService/CommitVersion": "writer",
    "VersionService/AddPart": "writer",
    "VersionService/FinishDistributed": "writer",
    "VersionService/AbortVersion": "writer",
    "VersionService/GetVersion": "reader",
    "VersionService/ResolveVersion": "reader",
    "VersionService/ListVersions": "reader",
    "VersionService/ListManifestSegments": "reader",
    "VersionService/UpdateVersion": "writer",
    "VersionService/DeleteVersion": "writer",
    "VersionService/RestoreVersion": "writer",
    "VersionService/SearchVersions": "reader",
    "VersionService/ListRunArtifacts": "reader",
    "VersionService/LinkVersion": "writer",
    "VersionService/UnlinkVersion": "writer",
    "VersionService/ListLinks": "reader",
    "CollectionService/GetCollection": "reader",
    "CollectionService/ListCollections": "reader",
    "CollectionService/UpdateCollection": "writer",
    "CollectionService/DeleteCollection": "writer",
    "CollectionService/CreatePortfolio": "writer",
    "CollectionService/ListTypes": "reader",
    "CollectionService/ListProjects": "reader in entity",
    "CollectionService/GetProject": "reader",
    "CollectionService/CreateProject": "writer",
    "CollectionService/UpdateProject": "admin",
    "CollectionService/DeleteRegistry": "admin",
    "PackService/FindMissing": "writer",
    "PackService/GrantPacks": "writer",
    "PackService/WritePack": "writer",
    "PackService/SealPack": "writer",
    "PackService/LocateChunks": "reader in entity",
    "PackService/GrantReads": "reader in entity",
    "PackService/ReadPack": "reader in entity",
    "RunService/UpsertRun": "writer",
    "RunService/GetRun": "reader",
    "RunService/RecordUse": "writer",
    "RunService/RecordUses": "writer",
    "RunService/ListVersionRuns": "reader",
    "RunService/ListRunVersions": "reader",
    "RunService/ListRuns": "reader",
    "AccessService/WhoAmI": "any",
    "AccessService/CreateToken": "admin",
    "AccessService/ListTokens": "own admin",
    "AccessService/RevokeToken": "admin",
    "AccessService/RotateToken": "admin",
    "AccessService/SetProtectedAliases": "admin",
    "AccessService/GetProtectedAliases": "reader",
    "AccessService/ListAudit": "own admin",
    "AdminService/SetRetention": "writer",
    "AdminService/GetRetention": "reader",
    "AdminService/PreviewRetention": "reader",
    "AdminService/RunGc": "whole",
    "AdminService/GetGcStatus": "whole",
    "AccessService/SetQuota": "admin",
    "AccessService/GetQuotas": "reader",
}
"""Of each RPC: the least role, and whether it concerns the project, the entity as a whole, or the caller's own scope.

"whole": it concerns the registry, so an administrator of everything is needed, and nobody is told that it is not there.
"""

RANKS = {"reader": 1, "writer": 2, "aliaser": 3, "admin": 4}
REFUSALS = {"UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "LEASE_EXPIRED"}
BY_LEASE = {"RenewLease", "FindMissing", "GrantPacks", "WritePack", "SealPack"}


@dataclass(frozen=True)
class World:
    """A registry on TCP with tokens of all kinds."""

    channel: grpc.Channel
    address: str
    process: RegistryProcess
    admin: Client
    admin_token: str
    access: access_pb2_grpc.AccessServiceStub
    tokens: dict[str, str]
    things: Things

    def token(self, name: str, role: str, entity: str = "", project: str = "") -> access_pb2.CreateTokenResponse:
        request = access_pb2.CreateTokenRequest(name=name, role=role, entity=entity, project=project)
        return self.admin.call(self.access.CreateToken, request)

    def ask(self, name: str, things: Things, caller: str) -> Answer:
        return ask(self.channel, name, request_for(name, things), self.tokens[caller])


def tokens_of_all_kinds(admin: Client, access: access_pb2_grpc.AccessServiceStub) -> dict[str, str]:
    """A token for each kind of caller that `NEEDED` tells apart, but for who has none or may do everything."""

    def token(name: str, role: str, entity: str, project: str = "") -> access_pb2.CreateTokenResponse:
        request = access_pb2.CreateTokenRequest(name=name, role=role, entity=entity, project=project)
        return admin.call(access.CreateToken, request)

    tokens = {}
    for role in RANKS:
        tokens[role] = token(role, role, "team", "vision").secret
        tokens[f"{role} of entity"] = token(role, role, "team").secret
    tokens["other entity"] = token("other entity", "admin", "else").secret
    tokens["other project"] = token("other project", "admin", "team", "other").secret
    revoked = token("revoked", "admin", "team", "vision")
    admin.call(access.RevokeToken, access_pb2.RevokeTokenRequest(token_id=revoked.token.token_id))
    tokens["revoked"] = revoked.secret
    expired = token("expired", "admin", "team", "vision")
    admin.call(access.RotateToken, access_pb2.RotateTokenRequest(token_id=expired.token.token_id))
    tokens["expired"] = expired.secret
    return tokens


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("access")
    os.chmod(folder, 0o700)
    admin_token = run_registry("init", "--data-dir", str(folder / "data")).stdout.strip()
    address = f"127.0.0.1:{free_port()}"
    with RegistryProcess(folder, "--listen", address) as process, Client(address, admin_token) as admin:
        channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1), NO_GRPC_RETRIES])
        access = access_pb2_grpc.AccessServiceStub(channel)
        things = things_of(admin, access, "team", "vision")
        things_of(admin, access, "team", "other")
        things_of(admin, access, "else", "vision")
        made = World(channel, address, process, admin, admin_token, access, {}, things)
        made.tokens.update(tokens_of_all_kinds(admin, access) | {"everything": admin_token, "none": ""})
        yield made
        channel.close()


def is_let_in(name: str, caller: str) -> bool:
    needed = NEEDED[name]
    if needed in ("any", "own admin"):
        return needed == "any" or caller in ("admin", "admin of entity", "everything", "other entity", "other project")
    if needed == "whole":
        return caller == "everything"
    if caller == "other entity":
        return False
    if caller == "other project":
        return needed.endswith(" in entity")
    role = "admin" if caller == "everything" else caller.removesuffix(" of entity")
    return RANKS[role] >= RANKS[needed.removesuffix(" in entity")]


def test_every_rpc_has_a_declared_permission_and_an_expected_one() -> None:
    assert set(methods()) == set(NEEDED)
    assert {f"/{PACKAGE}.{name}" for name in methods()} == set(PERMISSIONS)


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_rpc_lets_in_whom_the_matrix_lets_in(name: str, world: World) -> None:
    for caller in world.tokens:
        # An upload of its own for each: some of the calls end it.
        begun = world.admin.begin("cats", entity="team", project="vision")
        things = Things(
            *astuple(world.things)[:5],
            begun.version_id
            if name.endswith(("AbortVersion", "AddPart", "CommitVersion"))
            else world.things.version_id,
            begun.lease.lease_id,
            *astuple(world.things)[7:],
        )
        answer = world.ask(name, things, caller)
        check_answer(name, caller, answer)
        if caller.startswith("other ") and name == "VersionService/AbortVersion":
            state = world.admin.call(
                world.admin.versions.RenewLease, version_pb2.RenewLeaseRequest(lease_id=things.lease_id)
            )
            assert state.lease.lease_id == things.lease_id, "a stranger's abort does nothing"


def check_answer(name: str, caller: str, answer: Answer) -> None:
    """That a caller was told what the matrix says, who asks for something in team/vision that is there."""
    if caller in ("none", "revoked", "expired"):
        assert answer.reason == "UNAUTHENTICATED", (name, caller)
    elif is_let_in(name, caller):
        assert answer.reason not in REFUSALS - {"NOT_FOUND"}, (name, caller, answer)
        assert answer.reason != "NOT_FOUND" or name in FINDS_NOTHING, (name, caller, answer)
    elif caller.startswith("other ") and name == "VersionService/AbortVersion":
        assert answer.reason == "", (name, caller)
    elif caller.startswith("other ") and NEEDED[name] not in ("own admin", "whole"):
        assert answer.reason == ("LEASE_EXPIRED" if name.split("/")[1] in BY_LEASE else "NOT_FOUND"), (name, caller)
    else:
        assert answer.reason == "PERMISSION_DENIED", (name, caller, answer)


FINDS_NOTHING = {
    "VersionService/FinishDistributed",
    "PackService/ReadPack",
    "PackService/GrantReads",
    "PackService/LocateChunks",
}
"""Calls that are let in and then find that the thing itself is not there."""


@pytest.mark.parametrize("name", sorted(set(NEEDED) - {"RegistryService/Hello", "AccessService/WhoAmI"}))
@pytest.mark.parametrize("caller", ["other entity", "other project"])
def test_what_is_another_tenants_is_answered_as_what_does_not_exist(name: str, caller: str, world: World) -> None:
    absent = Things.nowhere("team", "vision")
    forbidden, missing = world.ask(name, world.things, caller), world.ask(name, absent, caller)
    assert forbidden.reason == missing.reason
    if forbidden.detail is not None and missing.detail is not None:
        assert normal(forbidden, world.things) == normal(missing, absent)


def normal(answer: Answer, things: Things) -> str:
    assert answer.detail is not None
    # Each call has a request id of its own, which tells nothing of what is there.
    told = sorted(item for item in answer.detail.metadata.items() if item[0] != REQUEST_ID_DETAIL)
    text = answer.detail.message + str(told)
    for value in (*astuple(things), things.pack_id.hex()):
        if isinstance(value, str) and len(value) > 7:
            text = text.replace(value, "…")
    return text.replace(f"'{things.token_id}'", "'…'")


def test_method_that_no_service_has_is_unimplemented_for_everybody(world: World) -> None:
    for path in (f"/{PACKAGE}.VersionService/DropEverything", "/nothing.Service/Call"):
        with pytest.raises(grpc.RpcError) as refused:
            world.channel.unary_unary(path)(
                b"", timeout=10, metadata=(("authorization", f"Bearer {world.admin_token}"),)
            )
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_token_of_a_project_sees_its_project_only_in_lists_of_the_entity(world: World) -> None:
    collections = Client(world.address, world.tokens["reader"])
    projects = collections.call(collections.collections.ListProjects, collection_pb2.ListProjectsRequest(entity="team"))
    assert [project.name for project in projects.projects] == ["vision"]
    listed = collections.call(
        collections.collections.ListCollections, collection_pb2.ListCollectionsRequest(entity="team")
    )
    assert {found.project for found in listed.collections} == {"vision"}
    found = collections.call(
        collections.versions.SearchVersions, version_pb2.SearchVersionsRequest(entity="team", page_size=100)
    )
    assert {version.project for version in found.versions} == {"vision"}


def test_policy_of_a_whole_project_is_an_administrators_to_set(world: World) -> None:
    request = admin_pb2.SetRetentionRequest(
        request_id=new_request_id(), entity="team", project="vision", policy_json='{"keep_last": 1000}'
    )
    for caller, reason in (("aliaser", "PERMISSION_DENIED"), ("other project", "NOT_FOUND"), ("admin", "")):
        assert ask(world.channel, "AdminService/SetRetention", request, world.tokens[caller]).reason == reason


def test_runs_and_links_in_other_projects_are_not_shown(world: World) -> None:
    elsewhere = run_pb2.Run(entity="team", project="other", run_id="secret-run")
    use = run_pb2.RecordUseRequest(run=elsewhere, version_id=world.things.version_id)
    world.admin.call(world.admin.runs.RecordUse, use)
    asked = run_pb2.ListVersionRunsRequest(version_id=world.things.version_id, kind=run_pb2.EDGE_KIND_USED)
    with (
        Client(world.address, world.tokens["reader"]) as reader,
        Client(world.address, world.tokens["reader of entity"]) as whole,
    ):
        seen = [run.run_id for run in reader.call(reader.runs.ListVersionRuns, asked).runs]
        assert "secret-run" not in seen
        assert "secret-run" in [run.run_id for run in whole.call(whole.runs.ListVersionRuns, asked).runs]


def test_version_that_is_linked_into_a_readable_project_can_be_read_and_not_changed(world: World) -> None:
    with Client(world.address, world.tokens["other project"]) as other:
        get = version_pb2.GetVersionRequest(version_id=world.things.version_id)
        with pytest.raises(grpc.RpcError):
            other.call(other.versions.GetVersion, get)
        world.admin.call(
            world.admin.versions.LinkVersion,
            version_pb2.LinkVersionRequest(
                request_id=new_request_id(),
                version_id=world.things.version_id,
                entity="team",
                project="other",
                collection="on-show",
            ),
        )
        assert other.call(other.versions.GetVersion, get).version.version_id == world.things.version_id
        change = version_pb2.UpdateVersionRequest(
            request_id=new_request_id(), version_id=world.things.version_id, tags_to_add=["mine"]
        )
        refused = ask(world.channel, "VersionService/UpdateVersion", change, world.tokens["other project"])
        assert refused.reason == "PERMISSION_DENIED"


def test_uses_of_versions_out_of_sight_are_called_unknown(world: World) -> None:
    mine = Things(**{**world.things.__dict__, "entity": "else", "run_id": "r9"})
    uses = [
        run_pb2.RecordUseRequest(run=run_of(mine), version_id=version_id)
        for version_id in (world.things.version_id, "0" * 32)
    ]
    answer = ask(
        world.channel, "RunService/RecordUses", run_pb2.RecordUsesRequest(uses=uses), world.tokens["other entity"]
    )
    assert sorted(answer.response.unknown_version_ids) == sorted([world.things.version_id, "0" * 32])


def test_protected_alias_is_given_and_taken_by_aliasers_only(world: World) -> None:
    protect = access_pb2.SetProtectedAliasesRequest(entity="team", project="vision", aliases=["production"])
    world.admin.call(world.access.SetProtectedAliases, protect)
    begun = world.admin.begin("guarded", entity="team", project="vision")
    content = content_of({"a": os.urandom(50)})
    world.admin.bring(begun.lease.lease_id, content.chunks)
    commit = version_pb2.CommitVersionRequest(
        request_id=new_request_id(),
        version_id=begun.version_id,
        lease_id=begun.lease.lease_id,
        artifact_digest=content.artifact_digest,
        manifest_root=content.root_digest,
        metadata_json=b"{}",
        aliases=["production"],
    )
    assert (
        ask(world.channel, "VersionService/CommitVersion", commit, world.tokens["writer"]).reason == "PERMISSION_DENIED"
    )
    del commit.aliases[:]
    assert ask(world.channel, "VersionService/CommitVersion", commit, world.tokens["writer"]).reason == ""

    def update(caller: str, **aliases: list[str]) -> str:
        request = version_pb2.UpdateVersionRequest(request_id=new_request_id(), version_id=begun.version_id, **aliases)
        return ask(world.channel, "VersionService/UpdateVersion", request, world.tokens[caller]).reason

    assert update("writer", aliases_to_add=["production"]) == "PERMISSION_DENIED"
    assert update("writer", aliases_to_add=["staging"]) == ""
    assert update("aliaser", aliases_to_add=["production"]) == ""
    assert update("writer", aliases_to_remove=["production"]) == "PERMISSION_DENIED"
    delete = version_pb2.DeleteVersionRequest(
        request_id=new_request_id(), version_id=begun.version_id, delete_aliases=True
    )
    assert (
        ask(world.channel, "VersionService/DeleteVersion", delete, world.tokens["writer"]).reason == "PERMISSION_DENIED"
    )
    guarded = collection_pb2.GetCollectionRequest(entity="team", project="vision", name="guarded")
    held = world.admin.call(world.admin.collections.GetCollection, guarded).collection
    drop = collection_pb2.DeleteCollectionRequest(request_id=new_request_id(), collection_id=held.collection_id)
    assert (
        ask(world.channel, "CollectionService/DeleteCollection", drop, world.tokens["writer"]).reason
        == "PERMISSION_DENIED"
    )
    assert update("aliaser", aliases_to_remove=["production"]) == ""
    assert ask(world.channel, "CollectionService/DeleteCollection", drop, world.tokens["writer"]).reason == ""


def test_alias_that_one_collection_protects_is_free_elsewhere(world: World) -> None:
    for name in ("kept", "free"):
        world.admin.log(name, content_of({"a": os.urandom(50)}))
    protect = access_pb2.SetProtectedAliasesRequest(
        entity="team", project="vision", collection="kept", aliases=["best"]
    )
    world.admin.call(world.access.SetProtectedAliases, protect)
    for name, reason in (("kept", "PERMISSION_DENIED"), ("free", "")):
        resolve = version_pb2.ResolveVersionRequest(entity="team", project="vision", collection=name)
        version = world.admin.call(world.admin.versions.ResolveVersion, resolve).version
        change = version_pb2.UpdateVersionRequest(
            request_id=new_request_id(), version_id=version.version_id, aliases_to_add=["best"]
        )
        assert ask(world.channel, "VersionService/UpdateVersion", change, world.tokens["writer"]).reason == reason
