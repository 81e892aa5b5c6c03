"""Tokens from their making to their end, on a registry that runs; and the audit log, which tells of everything that was changed."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from holdfast_contract.grpc_options import NO_GRPC_RETRIES
from holdfast_registry.auth.call_limits import RateLimits
from holdfast_registry.auth.permissions import PERMISSIONS
from holdfast_registry.auth.tokens import BELIEVED_S, TokenHolders, token_digest
from holdfast_registry.database.sqlite import SqliteDatabase
from holdfast_registry.database.tokens import TokenRepository
from holdfast_registry.domain.access import EVERYTHING, NewToken, Role
from holdfast_registry.errors import RegistryError
from holdfastpb.registry.v1 import (
    access_pb2,
    access_pb2_grpc,
    admin_pb2,
    admin_pb2_grpc,
    collection_pb2,
    run_pb2,
    version_pb2,
)
from registry.client import Client, content_of, new_request_id
from registry.permissions import PACKAGE, Answer, ask
from registry.processes import RegistryProcess, run_registry
from support.own_registry import free_port


class Desk:
    """A registry on TCP, and its administrator."""

    def __init__(self, folder: Path) -> None:
        os.chmod(folder, 0o700)
        self.secret = run_registry("init", "--data-dir", str(folder / "data")).stdout.strip()
        self.address = f"127.0.0.1:{free_port()}"
        self.process = RegistryProcess(folder, "--listen", self.address)
        self.channel = grpc.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1), NO_GRPC_RETRIES])
        self.database = folder / "data" / "registry.sqlite3"

    def ask(self, name: str, request: object, secret: str | None = None) -> Answer:
        return ask(self.channel, f"AccessService/{name}", request, secret or self.secret)

    def create(self, role: str = "reader", entity: str = "", project: str = "", **more: object) -> Answer:
        request = access_pb2.CreateTokenRequest(name="ci", role=role, entity=entity, project=project, **more)
        return self.ask("CreateToken", request)

    def who(self, secret: str) -> Answer:
        return self.ask("WhoAmI", access_pb2.WhoAmIRequest(), secret)

    def entries(self, **wanted: int) -> list[access_pb2.AuditEntry]:
        return list(self.ask("ListAudit", access_pb2.ListAuditRequest(**wanted)).response.entries)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    with made.process:
        yield made
    made.channel.close()


def test_secret_is_in_the_one_answer_and_its_digest_in_the_database(desk: Desk) -> None:
    made = desk.create("writer", "team", "vision").response
    assert made.secret.startswith("hf_reg_")
    assert desk.who(made.secret).response.token.token_id == made.token.token_id
    listed = desk.ask("ListTokens", access_pb2.ListTokensRequest()).response
    assert [(token.name, token.role, token.entity, token.project) for token in listed.tokens] == [
        ("admin", "admin", "", ""),
        ("ci", "writer", "team", "vision"),
    ]
    assert made.secret not in str(listed)
    desk.process.stop()
    kept = b"".join(path.read_bytes() for path in desk.database.parent.glob("registry.sqlite3*"))
    assert made.secret.encode() not in kept
    assert hashlib.sha256(made.secret.encode()).digest() in kept
    assert made.secret not in desk.process.log.read_text()


def test_revoked_token_is_refused_by_the_next_call(desk: Desk) -> None:
    made = desk.create().response
    assert desk.who(made.secret).reason == ""
    revoke = access_pb2.RevokeTokenRequest(token_id=made.token.token_id)
    assert desk.ask("RevokeToken", revoke).response.token.revoked_at_ms > 0
    assert desk.ask("RevokeToken", revoke).reason == "", "again is no error"
    assert desk.who(made.secret).reason == "UNAUTHENTICATED"


def test_successor_works_beside_its_predecessor_until_the_grace_ends(desk: Desk) -> None:
    made = desk.create("aliaser", "team", lifetime_s=1000).response
    rotate = access_pb2.RotateTokenRequest(token_id=made.token.token_id, grace_s=600)
    next_one = desk.ask("RotateToken", rotate, made.secret).response
    assert (next_one.token.role, next_one.token.entity) == ("aliaser", "team")
    assert next_one.token.expires_at_ms - next_one.token.created_at_ms == 1_000_000
    assert desk.who(made.secret).reason == desk.who(next_one.secret).reason == ""
    at_once = access_pb2.RotateTokenRequest(token_id=next_one.token.token_id)
    assert desk.ask("RotateToken", at_once).reason == ""
    assert desk.who(next_one.secret).reason == "UNAUTHENTICATED"


def test_administrator_of_an_entity_gives_and_sees_nothing_beyond_it(desk: Desk) -> None:
    chief = desk.create("admin", "team").response
    for entity, reason in (("team", ""), ("else", "NOT_FOUND"), ("", "NOT_FOUND")):
        request = access_pb2.CreateTokenRequest(name="x", role="reader", entity=entity)
        assert desk.ask("CreateToken", request, chief.secret).reason == reason
    listed = desk.ask("ListTokens", access_pb2.ListTokensRequest(), chief.secret).response.tokens
    assert {token.entity for token in listed} == {"team"}
    first = access_pb2.RevokeTokenRequest(token_id="1")
    assert desk.ask("RevokeToken", first, chief.secret).reason == "NOT_FOUND"


@pytest.mark.parametrize(
    "fields",
    [{"role": "king"}, {"role": ""}, {"role": "reader", "project": "p"}, {"role": "reader", "lifetime_s": 2**62}],
)
def test_token_that_makes_no_sense_is_refused(desk: Desk, fields: dict[str, object]) -> None:
    assert desk.create(**fields).reason == "INVALID_ARGUMENT"  # type: ignore[arg-type]


class SetClock:
    """Time that tests move."""

    def __init__(self) -> None:
        self.s = 1_000_000.0

    def now_ms(self) -> int:
        return int(self.s * 1000)

    def monotonic_s(self) -> float:
        return self.s


async def test_revocation_by_another_registry_counts_within_half_a_minute(tmp_path: Path) -> None:
    database, clock = SqliteDatabase(tmp_path / "r.sqlite3", readers=1), SetClock()
    tokens = TokenRepository(database)
    made = await tokens.add(NewToken("x", Role.READER, EVERYTHING), token_digest("hf_reg_x"), clock.now_ms())
    assert made is not None
    holders = TokenHolders(tokens, RateLimits(clock, replicas=1), clock)
    assert (await holders.caller("Bearer hf_reg_x")).token_id == made.token_id
    await tokens.revoke(made.token_id, clock.now_ms())
    clock.s += BELIEVED_S
    with pytest.raises(RegistryError, match="unknown, expired or revoked"):
        await holders.caller("Bearer hf_reg_x")
    await database.aclose()


async def test_token_ends_on_time_though_it_is_remembered(tmp_path: Path) -> None:
    database, clock = SqliteDatabase(tmp_path / "r.sqlite3", readers=1), SetClock()
    tokens = TokenRepository(database)
    await tokens.add(NewToken("x", Role.READER, EVERYTHING, 10), token_digest("hf_reg_x"), clock.now_ms())
    holders = TokenHolders(tokens, RateLimits(clock, replicas=1), clock)
    await holders.caller("Bearer hf_reg_x")
    clock.s += 10
    with pytest.raises(RegistryError, match="unknown, expired or revoked"):
        await holders.caller("Bearer hf_reg_x")
    await database.aclose()


def test_last_use_is_known_to_the_minute(desk: Desk) -> None:
    made = desk.create().response
    assert made.token.last_used_at_ms == 0
    desk.who(made.secret)
    desk.process.stop()  # after which what was to be written is written
    with sqlite3.connect(desk.database) as connection:
        used = connection.execute("SELECT last_used_at_ms FROM token WHERE id = ?", (made.token.token_id,)).fetchone()
    assert used[0] >= made.token.created_at_ms


def _delete_and_restore(client: Client, version_id: str) -> None:
    deletion = version_pb2.DeleteVersionRequest(request_id=new_request_id(), version_id=version_id, delete_aliases=True)
    client.call(client.versions.DeleteVersion, deletion)
    restoration = version_pb2.RestoreVersionRequest(
        request_id=new_request_id(), entity="team", project="vision", collection="cats", version_index=0
    )
    client.call(client.versions.RestoreVersion, restoration)


def _administer(client: Client, admin: admin_pb2_grpc.AdminServiceStub) -> None:
    named = {"entity": "team", "project": "vision", "collection": "kept"}
    policy = admin_pb2.SetRetentionRequest(request_id=new_request_id(), policy_json='{"keep_last": 9}', **named)
    client.call(admin.SetRetention, policy)
    assert list(client.call(admin.RunGc, admin_pb2.RunGcRequest()))[-1].ended


def walk_of_mutations(client: Client, access: access_pb2_grpc.AccessServiceStub) -> None:
    """Every audited RPC, once, so that it succeeds."""
    call, versions, collections, runs = client.call, client.versions, client.collections, client.runs
    content = content_of({"a": os.urandom(50)})
    begun = client.begin("cats")
    client.bring(begun.lease.lease_id, content.chunks)
    version_id = client.commit(begun, content, aliases=["best"], metadata_json=b"{}").version.version_id
    call(versions.AbortVersion, version_pb2.AbortVersionRequest(version_id=client.begin("cats").version_id))
    client.write_part("parts", "d1", "w1", {"b": b"b"})
    client.finish("parts", "d1")
    run = run_pb2.Run(entity="team", project="vision", run_id="r1")
    use = run_pb2.RecordUseRequest(run=run, version_id=version_id)
    call(runs.UpsertRun, run_pb2.UpsertRunRequest(run=run))
    call(runs.RecordUse, use)
    call(runs.RecordUses, run_pb2.RecordUsesRequest(uses=[use]))
    project = collection_pb2.Project(entity="team", name="wandb-registry-models")
    made = call(
        collections.CreateProject, collection_pb2.CreateProjectRequest(request_id=new_request_id(), project=project)
    )
    project_id = made.project.project_id
    call(
        collections.CreatePortfolio,
        collection_pb2.CreatePortfolioRequest(
            request_id=new_request_id(), entity="team", project="vision", name="shown", type="dataset"
        ),
    )
    linked = call(
        versions.LinkVersion,
        version_pb2.LinkVersionRequest(
            request_id=new_request_id(), version_id=version_id, entity="team", project="vision", collection="shown"
        ),
    ).version
    call(
        versions.UnlinkVersion,
        version_pb2.UnlinkVersionRequest(request_id=new_request_id(), link_id=linked.link.link_id),
    )
    call(
        versions.UpdateVersion,
        version_pb2.UpdateVersionRequest(request_id=new_request_id(), version_id=version_id, tags_to_add=["t"]),
    )
    _delete_and_restore(client, version_id)
    named = collection_pb2.GetCollectionRequest(entity="team", project="vision", name="cats")
    collection_id = call(collections.GetCollection, named).collection.collection_id
    call(
        collections.UpdateCollection,
        collection_pb2.UpdateCollectionRequest(request_id=new_request_id(), collection_id=collection_id, new_name="c2"),
    )
    call(
        collections.DeleteCollection,
        collection_pb2.DeleteCollectionRequest(request_id=new_request_id(), collection_id=collection_id),
    )
    call(
        collections.UpdateProject,
        collection_pb2.UpdateProjectRequest(
            request_id=new_request_id(), project_id=project_id, set_description=True, description="d"
        ),
    )
    call(
        collections.DeleteRegistry,
        collection_pb2.DeleteRegistryRequest(request_id=new_request_id(), project_id=project_id),
    )
    call(
        access.SetProtectedAliases,
        access_pb2.SetProtectedAliasesRequest(entity="team", project="vision", aliases=["production"]),
    )
    call(access.SetQuota, access_pb2.SetQuotaRequest(entity="team", set_bytes=True, bytes_max=1 << 40))
    token = call(access.CreateToken, access_pb2.CreateTokenRequest(name="n", role="reader", entity="team")).token
    next_one = call(access.RotateToken, access_pb2.RotateTokenRequest(token_id=token.token_id)).token
    call(access.RevokeToken, access_pb2.RevokeTokenRequest(token_id=next_one.token_id))


def test_every_change_has_an_entry_that_says_who_what_and_where(desk: Desk) -> None:
    with Client(desk.address, desk.secret) as client:
        walk_of_mutations(client, access_pb2_grpc.AccessServiceStub(desk.channel))
        client.log("kept", content_of({"a": b"a"}))
        _administer(client, admin_pb2_grpc.AdminServiceStub(desk.channel))
    entries = desk.entries()
    audited = {name.removeprefix(f"/{PACKAGE}.") for name, permission in PERMISSIONS.items() if permission.audited}
    assert {entry.method for entry in entries} == audited
    assert {(entry.token_id, entry.token_name, entry.outcome) for entry in entries} == {("1", "admin", "OK")}
    assert {entry.entity for entry in entries if entry.method != "AdminService/RunGc"} == {"team"}
    assert all(entry.peer.startswith("ipv4:127.0.0.1") and entry.at_ms for entry in entries)
    commit = next(entry for entry in entries if entry.method == "VersionService/CommitVersion")
    assert "collection=cats" in commit.object
    assert "aliases=best" in commit.object
    assert "version=v0" in commit.object
    policy = next(entry for entry in entries if entry.method == "AdminService/SetRetention")
    assert policy.object == 'collection=kept policy_json={"keep_last": 9}'
    assert "hf_reg_" not in str(entries)
    assert desk.entries(after_id=entries[2].entry_id, page_size=2) == entries[3:5]
    assert desk.entries(since_ms=entries[-1].at_ms + 60_000) == []


def test_refused_change_has_an_entry_and_reading_has_none(desk: Desk) -> None:
    reader = desk.create("reader", "team", "vision").response
    with Client(desk.address, reader.secret) as client:
        with pytest.raises(grpc.RpcError):
            client.begin("cats")
        client.call(client.versions.SearchVersions, version_pb2.SearchVersionsRequest(entity="team", project="vision"))
    with Client(desk.address, "hf_reg_stranger") as stranger, pytest.raises(grpc.RpcError):
        stranger.begin("cats")
    told = [(entry.method, entry.token_name, entry.outcome) for entry in desk.entries()]
    assert told == [
        ("AccessService/CreateToken", "admin", "OK"),
        ("VersionService/BeginVersion", "ci", "PERMISSION_DENIED"),
    ]


def test_owner_of_the_socket_is_in_the_log_without_a_token(own_registry: RegistryProcess) -> None:
    with own_registry, Client(own_registry.target) as client:
        client.log("cats", content_of({"a": b"a"}))
        channel = grpc.insecure_channel(own_registry.target)
        entries = ask(channel, "AccessService/ListAudit", access_pb2.ListAuditRequest(), None).response.entries
        channel.close()
    assert {(entry.token_id, entry.token_name) for entry in entries} == {("", "")}
    assert [entry.method for entry in entries] == ["VersionService/BeginVersion", "VersionService/CommitVersion"]
