"""Projects and registries: made by use or by wish, changed, listed; what a registry takes and what its end leaves."""

from __future__ import annotations

import json

from holdfastpb.registry.v1.version_pb2 import TTL_KIND_DURATION, TTL_KIND_NONE, Ttl
from registry.client import Client, new_request_id, reason_of


def registry_name(collection: str) -> str:
    return f"wandb-registry-{collection}"


def test_project_is_made_by_its_first_version_and_changed(client: Client, collection: str) -> None:
    client.log_files("a", {"a": b"a"}, project=collection)
    project = client.project(collection)
    assert (project.is_registry, project.visibility, project.has_description) == (False, "", False)
    assert project.created_at_ms == project.updated_at_ms > 0
    ttl = Ttl(kind=TTL_KIND_DURATION, seconds=10)
    changed = client.update_project(
        project.project_id, set_description=True, description="words", set_ttl=True, ttl=ttl
    )
    assert (changed.description, changed.ttl) == ("words", ttl)
    version = client.resolve("a", project=collection)
    assert version.expires_at_ms == version.created_at_ms + 10_000
    never = client.update_collection(
        client.collection("a", project=collection).collection_id, set_ttl=True, ttl=Ttl(kind=TTL_KIND_NONE)
    )
    assert client.resolve(never.name, project=collection).expires_at_ms == 0
    assert reason_of(lambda: client.update_project(project.project_id, new_name="wandb-registry-x")) == "KIND_MISMATCH"
    assert reason_of(lambda: client.delete_registry(project.project_id)) == "KIND_MISMATCH"
    assert reason_of(lambda: client.update_project("1-1")) == "NOT_FOUND"
    assert reason_of(lambda: client.update_project("nonsense")) == "NOT_FOUND"
    assert reason_of(lambda: client.project("nothing-here")) == "NOT_FOUND"


def test_registry_is_made_with_what_it_takes_and_once(client: Client, collection: str) -> None:
    name, request_id = registry_name(collection), new_request_id()
    fields = {"description": "d", "has_description": True, "visibility": "restricted", "artifact_types": ["model"]}
    made = client.create_project(name, id=request_id, **fields)
    assert (made.is_registry, made.visibility, list(made.artifact_types)) == (True, "restricted", ["model"])
    assert client.create_project(name, id=request_id, **fields) == made == client.project(name)
    assert reason_of(lambda: client.create_project(name)) == "ALREADY_EXISTS"
    assert reason_of(lambda: client.create_project("plain", is_registry=True)) == "INVALID_NAME"
    assert reason_of(lambda: client.create_project(name + "x", visibility="public")) == "INVALID_ARGUMENT"
    plain = client.create_project(f"plain-{collection}")
    assert (plain.is_registry, plain.visibility) == (False, "")


def test_registry_takes_its_types_only(client: Client, collection: str) -> None:
    name = registry_name(collection)
    registry = client.create_project(name, artifact_types=["model"])
    assert registry.visibility == "organization"
    dataset = client.log_files(collection, {"a": b"a"})
    assert reason_of(lambda: client.link(dataset.version_id, "c", project=name)) == "TYPE_MISMATCH"
    assert reason_of(lambda: client.create_portfolio("c", project=name)) == "TYPE_MISMATCH"
    changed = client.update_project(registry.project_id, artifact_types_to_add=["dataset"])
    assert list(changed.artifact_types) == ["dataset", "model"]
    client.link(dataset.version_id, "c", project=name)
    everything = client.update_project(registry.project_id, set_allow_all_types=True, allow_all_types=True)
    assert list(everything.artifact_types) == []
    add = {"artifact_types_to_add": ["model"]}
    assert reason_of(lambda: client.update_project(registry.project_id, **add)) == "INVALID_ARGUMENT"
    restricted = client.update_project(registry.project_id, set_allow_all_types=True, **add)
    assert list(restricted.artifact_types) == ["dataset", "model"]


def test_registry_that_takes_nothing_cannot_be(client: Client, collection: str) -> None:
    registry = client.create_project(registry_name(collection))
    nothing = {"set_allow_all_types": True, "allow_all_types": False}
    assert reason_of(lambda: client.update_project(registry.project_id, **nothing)) == "INVALID_ARGUMENT"


def test_registry_is_renamed_within_registries(client: Client, collection: str) -> None:
    name = registry_name(collection)
    registry = client.create_project(name)
    client.create_project(f"{name}-taken")
    update = lambda **fields: reason_of(lambda: client.update_project(registry.project_id, **fields))  # noqa: E731
    assert update(new_name="plain") == "INVALID_NAME"
    assert update(new_name=f"{name}-taken") == "ALREADY_EXISTS"
    renamed = client.update_project(registry.project_id, new_name=f"{name}-new", visibility="restricted")
    assert (renamed.name, renamed.visibility, renamed.project_id) == (f"{name}-new", "restricted", registry.project_id)
    assert reason_of(lambda: client.project(name)) == "NOT_FOUND"


def test_deleted_registry_leaves_the_versions(client: Client, collection: str) -> None:
    name = registry_name(collection)
    version = client.log_files(collection, {"a": b"a"})
    client.link(version.version_id, "c", project=name, aliases=["prod"])
    project_id = client.project(name).project_id
    client.delete_registry(project_id)
    assert reason_of(lambda: client.project(name)) == "NOT_FOUND"
    assert reason_of(lambda: client.resolve("c", project=name)) == "NOT_FOUND"
    assert client.resolve(collection) == version
    client.link(version.version_id, "c", project=name)
    assert client.resolve("c", "v0", project=name).version_id == version.version_id


def test_runs_do_not_live_in_registries(client: Client, collection: str) -> None:
    assert reason_of(lambda: client.upsert_run("r", project=registry_name(collection))) == "KIND_MISMATCH"


def test_projects_and_registries_are_listed_by_filter_and_order(client: Client, collection: str) -> None:
    entity = f"e-{collection}"
    for name in ("b", "a", "wandb-registry-m", "wandb-registry-d"):
        client.create_project(name, entity=entity, description=f"about {name}")
    listed = lambda **fields: [found.name for found in client.list_projects(entity=entity, **fields).projects]  # noqa: E731
    assert listed() == ["a", "b", "wandb-registry-d", "wandb-registry-m"]
    assert listed(only_registries=True, order="-name") == ["wandb-registry-m", "wandb-registry-d"]
    assert listed(order="+created_at") == ["b", "a", "wandb-registry-m", "wandb-registry-d"]
    assert listed(filter_json=json.dumps({"description": {"$regex": "m$"}})) == ["wandb-registry-m"]
    page = client.list_projects(entity=entity, page_size=3)
    assert (page.total_count, len(page.projects)) == (4, 3)
    assert listed(page_size=3, page_token=page.next_page_token) == ["wandb-registry-m"]
    assert listed(filter_json=json.dumps({"name": {"$in": ["a", "c"]}})) == ["a"]
    unknown = json.dumps({"colour": "red"})
    assert reason_of(lambda: client.list_projects(entity=entity, filter_json=unknown)) == "INVALID_FILTER"


def test_collections_of_all_registries_are_listed_and_filtered_by_registry(client: Client, collection: str) -> None:
    entity = f"e-{collection}"
    version = client.log_files("x", {"a": b"a"}, entity=entity)
    for registry, name in (("one", "b"), ("two", "a")):
        client.link(version.version_id, name, project=f"wandb-registry-{registry}", entity=entity)
    fields = {"entity": entity, "project": "", "only_registries": True}
    assert [found.name for found in client.list_collections(**fields).collections] == ["a", "b"]
    only = json.dumps({"name": "wandb-registry-one"})
    found = client.list_collections(**fields, registry_filter_json=only).collections
    assert [(one.project, one.name) for one in found] == [("wandb-registry-one", "b")]
