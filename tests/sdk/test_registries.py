"""Registries and projects: what is asked for, what may be changed, what is refused; contents through chains of paginators."""

import datetime
import json
from typing import Any

import pytest

from holdfast._pagination import ChainedPaginator
from holdfast.api import Api, Registry
from holdfast.errors import CommError, InvalidRequestError, NotFoundError
from holdfast.registries import AddOnlyArtifactTypes
from holdfast_contract.reasons import Reason
from holdfastpb.registry.v1 import collection_pb2, version_pb2
from support.fake_daemon import FakeDaemon, Refusal

MADE_MS = 1_700_000_000_000


def record(name: str = "model", **fields: Any) -> collection_pb2.Project:
    """A registry as the registry tells of it."""
    known: dict[str, Any] = {
        "entity": "local",
        "name": f"wandb-registry-{name}",
        "project_id": f"id-{name}",
        "is_registry": True,
        "visibility": "organization",
        "created_at_ms": MADE_MS,
    }
    return collection_pb2.Project(**(known | fields))


def answer(daemon: FakeDaemon, method: str, *responses: Any) -> None:
    daemon.faults.answers[method] += responses


def found(daemon: FakeDaemon, **fields: Any) -> Registry:
    """The registry as `Api.registry` finds it."""
    answer(daemon, "GetProject", collection_pb2.GetProjectResponse(project=record(**fields)))
    return Api().registry("model")


def sent(daemon: FakeDaemon, method: str) -> Any:
    """The last request of a method."""
    return daemon.calls.requests[method][-1]


def collection(name: str, project: str = "wandb-registry-model") -> collection_pb2.Collection:
    return collection_pb2.Collection(entity="local", project=project, name=name, type="model", collection_id=name)


def linked(index: int, project: str = "wandb-registry-model") -> version_pb2.Version:
    """A version that is linked into a registry."""
    link = version_pb2.Link(link_id=str(index), entity="local", project=project, collection="c", version_index=index)
    return version_pb2.Version(
        version_id=str(index), entity="local", project="p", collection="a", type="model", link=link
    )


# --- one registry -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model", "wandb-registry-model"])
def test_registry_is_found_with_and_without_its_prefix(daemon: FakeDaemon, name: str) -> None:
    kept = record(description="d", artifact_types=["model"], visibility="restricted", updated_at_ms=MADE_MS + 1000)
    answer(daemon, "GetProject", collection_pb2.GetProjectResponse(project=kept))
    registry = Api().registry(name, "team")
    assert (sent(daemon, "GetProject").entity, sent(daemon, "GetProject").name) == ("team", "wandb-registry-model")
    assert (registry.name, registry.full_name, registry.id) == ("model", "wandb-registry-model", "id-model")
    assert (registry.entity, registry.organization, registry.internal_id) == ("local", "local", "id-model")
    assert (registry.path, registry.description) == (["local", "wandb-registry-model"], "d")
    assert (registry.visibility, registry.allow_all_artifact_types) == ("restricted", False)
    assert list(registry.artifact_types) == ["model"]
    assert (registry.created_at, registry.updated_at) == ("2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z")
    assert repr(registry) == "<Registry local/model>"


def test_absent_registry_is_not_found(daemon: FakeDaemon) -> None:
    daemon.faults.refusals["GetProject"] = [Refusal(Reason.NOT_FOUND, "There is no registry")]
    with pytest.raises(NotFoundError):
        Api().registry("model")


@pytest.mark.parametrize("name", ["", "a/b", "wandb-registry-", None])
def test_name_that_breaks_the_rules_is_refused(places: Any, name: str) -> None:
    with pytest.raises(CommError):
        Api().registry(name)


def test_registry_is_made(daemon: FakeDaemon) -> None:
    answer(daemon, "CreateProject", collection_pb2.CreateProjectResponse(project=record(artifact_types=["model"])))
    registry = Api({"entity": "team"}).create_registry("model", "restricted", None, "d", ["model", "model"])
    asked = sent(daemon, "CreateProject").project
    assert (asked.entity, asked.name, asked.is_registry) == ("team", "wandb-registry-model", True)
    assert (asked.visibility, asked.description, list(asked.artifact_types)) == ("restricted", "d", ["model"])
    assert registry.name == "model"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": "r", "visibility": "public"},
            "Invalid visibility: 'public'. Must be one of: organization, restricted",
        ),
        ({"name": "a/b", "visibility": "organization"}, "Invalid project name"),
        ({"name": "r", "visibility": "organization", "artifact_types": ["a:b"]}, "Artifact type must not contain"),
    ],
)
def test_registry_with_bad_arguments_is_not_made(places: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        Api().create_registry(**arguments)


def test_save_sends_what_was_changed_and_nothing_when_nothing_was(daemon: FakeDaemon) -> None:
    registry = found(daemon, artifact_types=["model"])
    registry.save()
    assert daemon.calls.requests["UpdateProject"] == []
    registry.name, registry.description, registry.visibility = "best", "new", "restricted"
    registry.artifact_types.append("dataset")
    kept = record("best", description="new", visibility="restricted", artifact_types=["model", "dataset"])
    answer(daemon, "UpdateProject", collection_pb2.UpdateProjectResponse(project=kept))
    registry.save()
    asked = sent(daemon, "UpdateProject")
    assert (asked.project_id, asked.new_name) == ("id-model", "wandb-registry-best")
    assert (asked.set_description, asked.description, asked.visibility) == (True, "new", "restricted")
    assert (list(asked.artifact_types_to_add), asked.set_allow_all_types) == (["dataset"], False)
    assert (registry.name, list(registry.artifact_types), registry.artifact_types.draft) == (
        "best",
        ["model", "dataset"],
        (),
    )


def test_all_types_can_be_allowed_again(daemon: FakeDaemon) -> None:
    registry = found(daemon, artifact_types=["model"])
    registry.allow_all_artifact_types = True
    answer(daemon, "UpdateProject", collection_pb2.UpdateProjectResponse(project=record()))
    registry.save()
    assert (sent(daemon, "UpdateProject").set_allow_all_types, sent(daemon, "UpdateProject").allow_all_types) == (
        True,
        True,
    )
    assert registry.allow_all_artifact_types


def test_types_and_all_types_exclude_each_other(daemon: FakeDaemon) -> None:
    registry = found(daemon)
    registry.artifact_types.append("model")
    with pytest.raises(CommError, match="Set `allow_all_artifact_types` to `False` first"):
        registry.save()
    with pytest.raises(ValueError, match="Set `allow_all_artifact_types` to `False` first"):
        registry.allow_all_artifact_types = True
    registry.allow_all_artifact_types = False
    answer(daemon, "UpdateProject", collection_pb2.UpdateProjectResponse(project=record(artifact_types=["model"])))
    registry.save()
    assert (sent(daemon, "UpdateProject").set_allow_all_types, sent(daemon, "UpdateProject").allow_all_types) == (
        True,
        False,
    )


def test_registry_that_takes_nothing_is_refused(daemon: FakeDaemon) -> None:
    registry = found(daemon)
    registry.allow_all_artifact_types = False
    with pytest.raises(CommError, match="needs one in `artifact_types`"):
        registry.save()


def test_bad_values_are_refused_when_they_are_set(daemon: FakeDaemon) -> None:
    registry = found(daemon)
    with pytest.raises(ValueError, match="Invalid visibility"):
        registry.visibility = "public"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="Invalid project name"):
        registry.name = "a/b"


def test_saved_types_stay_and_new_ones_may_be_taken_back() -> None:
    types = AddOnlyArtifactTypes(["model"])
    types.append("dataset")
    types.append("dataset")
    types.extend(["model", "table"])
    assert (list(types), types.draft) == (["model", "dataset", "table"], ("dataset", "table"))
    types.remove("dataset")
    types[1] = "image"
    assert (list(types), len(types), types[-1]) == (["model", "image"], 2, "image")
    for change in (lambda: types.remove("model"), lambda: types.pop(0), lambda: types.__setitem__(0, "x")):
        with pytest.raises(ValueError, match="Cannot remove artifact type: 'model' that has been saved"):
            change()
    with pytest.raises(ValueError, match="Artifact type must not contain"):
        types.append("a:b")
    with pytest.raises(TypeError, match="one by one"):
        types[0:1] = ["x"]
    assert repr(types) == "['model', 'image']"


def test_load_forgets_what_was_not_saved_and_delete_goes_by_id(daemon: FakeDaemon) -> None:
    registry = found(daemon)
    registry.name = "never-saved"
    answer(daemon, "GetProject", collection_pb2.GetProjectResponse(project=record()))
    registry.load()
    assert (registry.name, sent(daemon, "GetProject").name) == ("model", "wandb-registry-model")
    answer(daemon, "DeleteRegistry", collection_pb2.DeleteRegistryResponse())
    registry.delete()
    assert sent(daemon, "DeleteRegistry").project_id == "id-model"


def test_members_are_nobody_and_cannot_be_changed(daemon: FakeDaemon) -> None:
    registry = found(daemon)
    assert (registry.members(), registry.user_members(), registry.team_members()) == ([], [], [])
    for change in (
        lambda: registry.add_members("ann"),
        lambda: registry.remove_members("ann"),
        lambda: registry.update_member("ann", "admin"),
    ):
        with pytest.raises(CommError, match="tokens"):
            change()


# --- what is in registries --------------------------------------------------------------------------------------------


def test_registries_are_listed_with_their_prefix_in_filters(daemon: FakeDaemon) -> None:
    page = collection_pb2.ListProjectsResponse(projects=[record("a"), record("b")], total_count=2)
    answer(daemon, "ListProjects", page)
    registries = Api().registries("team", {"name": {"$in": ["a", "b"]}}, "-created_at", 7)
    assert [one.name for one in registries] == ["a", "b"]
    asked = sent(daemon, "ListProjects")
    assert (asked.entity, asked.only_registries, asked.order, asked.page_size) == ("team", True, "-created_at", 7)
    assert json.loads(asked.filter_json) == {"name": {"$in": ["wandb-registry-a", "wandb-registry-b"]}}
    assert registries.length == 2
    with pytest.raises(TypeError):
        len(registries)  # type: ignore[arg-type]


def test_contents_of_one_registry(daemon: FakeDaemon) -> None:
    registry = found(daemon)
    answer(
        daemon, "ListCollections", collection_pb2.ListCollectionsResponse(collections=[collection("c")], total_count=1)
    )
    collections = registry.collections({"tag": "x"}, "name", 5)
    assert ([one.name for one in collections], len(collections)) == (["c"], 1)
    asked = sent(daemon, "ListCollections")
    assert (asked.project, asked.only_registries, asked.order) == ("wandb-registry-model", False, "+name")
    assert json.loads(asked.filter_json) == {"tag": "x"}
    answer(daemon, "SearchVersions", version_pb2.SearchVersionsResponse(versions=[linked(4)], total_count=1))
    [version] = registry.versions({"alias": "best"})
    assert (version.name, version.is_link, version.source_name) == ("c:v4", True, "a:v0")
    searched = sent(daemon, "SearchVersions")
    assert (searched.project, json.loads(searched.filter_json)) == ("wandb-registry-model", {"alias": "best"})


def test_contents_of_all_registries_are_one_query(daemon: FakeDaemon) -> None:
    answer(daemon, "SearchVersions", version_pb2.SearchVersionsResponse(versions=[linked(1), linked(2)], total_count=2))
    registries = Api().registries(filter={"name": "model"})
    versions = registries.collections({"name": "c"}).versions({"alias": "best"}, per_page=5)
    assert [one.version for one in versions] == ["v1", "v2"]
    assert [one.version for one in versions] == ["v1", "v2"]
    assert daemon.calls.requests["ListProjects"] == daemon.calls.requests["ListCollections"] == []
    [asked] = daemon.calls.requests["SearchVersions"]
    assert (asked.project, asked.only_registries, asked.page_size) == ("", True, 5)
    assert json.loads(asked.registry_filter_json) == {"name": "wandb-registry-model"}
    assert json.loads(asked.collection_filter_json) == {"name": "c"}
    assert json.loads(asked.filter_json) == {"alias": "best"}


def test_versions_of_registries_without_collections_between(daemon: FakeDaemon) -> None:
    answer(daemon, "SearchVersions", version_pb2.SearchVersionsResponse(versions=[linked(1)], total_count=1))
    assert len(list(Api().registries().versions())) == 1
    asked = sent(daemon, "SearchVersions")
    assert (asked.only_registries, asked.registry_filter_json, asked.collection_filter_json) == (True, "", "")


def test_collections_of_all_registries(daemon: FakeDaemon) -> None:
    page = collection_pb2.ListCollectionsResponse(collections=[collection("c"), collection("d")], total_count=2)
    answer(daemon, "ListCollections", page)
    assert len(Api().registries(filter={"name": "model"}).collections(order="-name")) == 2  # type: ignore[arg-type]
    asked = sent(daemon, "ListCollections")
    assert (asked.only_registries, asked.project, asked.order) == (True, "", "-name")
    assert json.loads(asked.registry_filter_json) == {"name": "wandb-registry-model"}


def test_contents_follow_the_order_of_the_registries(daemon: FakeDaemon) -> None:
    answer(daemon, "ListProjects", collection_pb2.ListProjectsResponse(projects=[record("b"), record("a")]))
    pages = [
        collection_pb2.ListCollectionsResponse(collections=[collection("c", f"wandb-registry-{name}")], total_count=1)
        for name in ("b", "a")
    ]
    answer(daemon, "ListCollections", *pages)
    collections = Api().registries(order="-name").collections()
    assert isinstance(collections, ChainedPaginator)
    assert [one.project for one in collections] == ["wandb-registry-b", "wandb-registry-a"]
    assert [one.project for one in daemon.calls.requests["ListCollections"]] == ["wandb-registry-b", "wandb-registry-a"]


def test_versions_follow_the_order_of_registries_and_collections(daemon: FakeDaemon) -> None:
    answer(daemon, "ListProjects", *[collection_pb2.ListProjectsResponse(projects=[record("a")])] * 2)
    found_versions = version_pb2.SearchVersionsResponse(versions=[linked(3)], total_count=1)
    answer(daemon, "SearchVersions", found_versions)
    assert [one.version for one in Api().registries(order="name").versions()] == ["v3"]
    listed = collection_pb2.ListCollectionsResponse(collections=[collection("c"), collection("d")], total_count=2)
    answer(daemon, "ListCollections", listed)
    pages = [version_pb2.ListVersionsResponse(versions=[linked(index)], total_count=1) for index in (5, 6)]
    answer(daemon, "ListVersions", *pages)
    versions = Api().registries(order="name").collections().versions({"tag": "x"})
    assert [one.version for one in versions] == ["v5", "v6"]
    assert [one.collection for one in daemon.calls.requests["ListVersions"]] == ["c", "d"]
    assert json.loads(sent(daemon, "ListVersions").filter_json) == {"tag": "x"}


# --- projects ---------------------------------------------------------------------------------------------------------


def project(**fields: Any) -> collection_pb2.Project:
    known: dict[str, Any] = {"entity": "e", "name": "p", "project_id": "7", "created_at_ms": MADE_MS}
    return collection_pb2.Project(**(known | fields))


def test_projects_of_an_entity(daemon: FakeDaemon) -> None:
    answer(daemon, "ListProjects", collection_pb2.ListProjectsResponse(projects=[project()], total_count=1))
    projects = Api().projects("e")
    assert len(projects) == 1
    [one] = projects
    assert (one.entity, one.name, one.id, one.path) == ("e", "p", "7", ["e", "p"])
    assert (one.url, one.created_at) == ("holdfast://e/p", "2023-11-14T22:13:20Z")
    assert (sent(daemon, "ListProjects").entity, sent(daemon, "ListProjects").only_registries) == ("e", False)


def test_project_leads_to_types_and_collections(daemon: FakeDaemon) -> None:
    answer(daemon, "GetProject", collection_pb2.GetProjectResponse(project=project()))
    one = Api().project("p", "e")
    types = [collection_pb2.ArtifactType(name="dataset")]
    answer(daemon, "ListTypes", collection_pb2.ListTypesResponse(types=types))
    assert [found.name for found in one.artifacts_types()] == ["dataset"]
    answer(
        daemon, "ListCollections", collection_pb2.ListCollectionsResponse(collections=[collection("c")], total_count=1)
    )
    assert [found.name for found in one.collections({"name": "c"})] == ["c"]


def test_project_keeps_description_and_time_to_live(daemon: FakeDaemon) -> None:
    answer(daemon, "GetProject", collection_pb2.GetProjectResponse(project=project()))
    one = Api().project("e/p")
    one.save()
    assert daemon.calls.requests["UpdateProject"] == []
    one.description, one.ttl = "d", datetime.timedelta(hours=1)
    kept = project(
        description="d", has_description=True, ttl=version_pb2.Ttl(kind=version_pb2.TTL_KIND_DURATION, seconds=3600)
    )
    answer(daemon, "UpdateProject", collection_pb2.UpdateProjectResponse(project=kept))
    one.save()
    asked = sent(daemon, "UpdateProject")
    assert (asked.project_id, asked.set_description, asked.description) == ("7", True, "d")
    assert (asked.set_ttl, asked.ttl.seconds) == (True, 3600)
    assert (one.description, one.ttl) == ("d", datetime.timedelta(hours=1))


def test_api_says_what_names_are_completed_with(places: Any) -> None:
    api = Api({"entity": "team", "project": "mine"})
    assert api.settings == {"entity": "team", "project": "mine"}
    api.flush()
    assert repr(api) == "<Api team/mine>"
