"""The public API over real collections, types, portfolios, registries and projects: made, listed, changed, deleted."""

import datetime

import pytest

import holdfast
from holdfast import errors
from holdfast.apis.public import Projects
from support.sdk_calls import fresh_name, log, new_artifact
from support.sdk_host import SdkHost

PROJECT = "catalogue"


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here asks the registry."""


@pytest.fixture
def api() -> holdfast.Api:
    return holdfast.Api({"project": PROJECT})


def logged(name: str, content: str = "x", type: str = "dataset", project: str = PROJECT) -> holdfast.Artifact:
    artifact = new_artifact(name, type)
    with artifact.new_file("file") as file:
        file.write(content)
    return log(artifact, project=project)


# --- collections ------------------------------------------------------------------------------------------------------


def test_collection_is_described_tagged_and_renamed(api: holdfast.Api) -> None:
    name, new_name = fresh_name(), fresh_name("renamed")
    logged(name)
    collection = api.artifact_collection("dataset", name)
    assert (collection.is_sequence(), collection.aliases, collection.description) == (True, ["latest"], None)
    collection.description, collection.tags, collection.name = "All of it", ["one tag", "two"], new_name
    collection.ttl = datetime.timedelta(days=30)
    collection.save()
    again = api.artifact_collection("dataset", new_name)
    assert (again.id, again.name, again.description) == (collection.id, new_name, "All of it")
    assert (sorted(again.tags), again.ttl) == (["one tag", "two"], datetime.timedelta(days=30))
    assert api.artifact(new_name).version == "v0"
    assert not api.artifact_collection_exists(name, "dataset")
    again.description, again.tags = None, ["two"]
    again.save()
    assert (again.description, again.tags) == (None, ["two"])
    assert api.artifact_collection("dataset", new_name).tags == ["two"]


def test_name_that_is_taken_is_refused_and_nothing_changes(api: holdfast.Api) -> None:
    name, taken = fresh_name(), fresh_name("taken")
    logged(name)
    logged(taken)
    collection = api.artifact_collection("dataset", name)
    collection.name, collection.description = taken, "never"
    with pytest.raises(errors.CommError):
        collection.save()
    assert api.artifact_collection("dataset", name).description is None


def test_type_changes_with_all_versions(api: holdfast.Api) -> None:
    name = fresh_name()
    logged(name)
    collection = api.artifact_collection("dataset", name)
    collection.type = "images"
    collection.save()
    assert api.artifact(name).type == "images"
    assert api.artifact_collection_exists(name, "images")
    assert not api.artifact_collection_exists(name, "dataset")


def test_deleted_collection_is_gone_with_its_versions(api: holdfast.Api) -> None:
    name = fresh_name()
    logged(name)
    logged(name, "y")
    api.artifact_collection("dataset", name).delete()
    assert not api.artifact_exists(name)
    assert not api.artifact_collection_exists(name, "dataset")
    with pytest.raises(errors.NotFoundError):
        list(api.artifacts("dataset", name))


def test_collections_and_types_of_a_project_are_listed() -> None:
    project = fresh_name("listed")
    for number in range(3):
        logged(f"data-{number}", type="dataset", project=project)
    logged("net", type="model", project=project)
    api = holdfast.Api()
    assert [one.name for one in api.artifact_types(project)] == ["dataset", "model"]
    dataset = api.artifact_type("dataset", project)
    found = dataset.collections(per_page=2)
    assert (len(found), [one.name for one in found]) == (3, ["data-0", "data-1", "data-2"])
    assert [one.name for one in dataset.collections({"name": {"$regex": "[12]$"}}, order="-name")] == [
        "data-2",
        "data-1",
    ]
    assert [one.name for one in api.project(project).collections()] == ["data-0", "data-1", "data-2", "net"]
    assert dataset.collection("data-1").artifacts()[0].name == "data-1:v0"
    with pytest.raises(errors.NotFoundError):
        api.artifact_type("table", project)


def test_versions_belong_to_their_collection(api: holdfast.Api) -> None:
    name = fresh_name()
    for number in range(3):
        logged(name, str(number))
    artifact = api.artifact(f"{name}:v1")
    collection = artifact.collection
    assert (collection.name, collection.version_count) == (name, 3)
    assert [one.version for one in collection.versions(order="+version_index")] == ["v0", "v1", "v2"]
    assert [one.version for one in collection.artifacts(per_page=1)] == ["v2", "v1", "v0"]


# --- portfolios and registries ----------------------------------------------------------------------------------------


def test_portfolio_is_made_and_linked_into(api: holdfast.Api) -> None:
    name, shelf = fresh_name(), fresh_name("shelf")
    version = logged(name, type="model")
    portfolio = api.create_portfolio(shelf, "model", "The best")
    assert (portfolio.is_sequence(), portfolio.description, len(portfolio.artifacts())) == (False, "The best", 0)
    link = version.link(f"{PROJECT}/{shelf}", aliases=["production"])
    assert link.name == f"{shelf}:v0"
    again = api.artifact_collection("model", shelf)
    assert sorted(again.aliases) == ["latest", "production"]
    [found] = again.artifacts()
    assert (found.is_link, found.name, found.source_name) == (True, f"{shelf}:v0", f"{name}:v0")
    with pytest.raises(errors.CommError):
        api.create_portfolio(shelf, "model")
    again.delete()
    assert api.artifact_exists(f"{name}:v0")
    assert not api.artifact_collection_exists(shelf, "model")


def test_registry_is_made_changed_and_deleted(api: holdfast.Api) -> None:
    name, new_name = fresh_name("reg"), fresh_name("renamed")
    registry = api.create_registry(name, "restricted", description="d", artifact_types=["model"])
    assert (registry.full_name, registry.visibility) == (f"wandb-registry-{name}", "restricted")
    assert (registry.allow_all_artifact_types, list(registry.artifact_types)) == (False, ["model"])
    registry.artifact_types.append("dataset")
    registry.name, registry.description, registry.visibility = new_name, "e", "organization"
    registry.save()
    again = api.registry(new_name)
    assert (again.id, again.description, again.visibility) == (registry.id, "e", "organization")
    assert sorted(again.artifact_types) == ["dataset", "model"]
    with pytest.raises(errors.NotFoundError):
        api.registry(name)
    again.allow_all_artifact_types = True
    again.save()
    assert api.registry(new_name).allow_all_artifact_types
    with pytest.raises(errors.CommError):
        api.create_registry(new_name, "organization")
    again.delete()
    with pytest.raises(errors.NotFoundError):
        api.registry(new_name)


def test_contents_of_registries_are_found_through_chains(api: holdfast.Api) -> None:
    stem = fresh_name("chain")
    for number in range(2):
        api.create_registry(f"{stem}-{number}", "organization")
        for shelf in ("nets", "trees"):
            version = logged(f"{stem}-{number}-{shelf}", type="model")
            version.link(f"wandb-registry-{stem}-{number}/{shelf}", aliases=["best"] if shelf == "nets" else [])
    registries = api.registries(filter={"name": {"$regex": stem}})
    assert sorted(one.name for one in registries) == [f"{stem}-0", f"{stem}-1"]
    collections = registries.collections({"name": "nets"})
    assert [one.name for one in collections] == ["nets", "nets"]
    versions = list(registries.collections({"name": "nets"}).versions({"alias": "best"}, per_page=1))
    assert sorted(one.source_name for one in versions) == [f"{stem}-0-nets:v0", f"{stem}-1-nets:v0"]
    assert all(one.is_link for one in versions)
    assert len(list(registries.versions())) == 4
    one = api.registry(f"{stem}-0")
    assert [found.name for found in one.collections(order="-name")] == ["trees", "nets"]
    assert [found.source_name for found in one.versions({"alias": "best"})] == [f"{stem}-0-nets:v0"]
    one.delete()
    assert api.artifact_exists(f"{stem}-0-nets:v0")
    assert len(list(registries.versions())) == 2


def test_registries_in_an_order_give_their_contents_in_it(api: holdfast.Api) -> None:
    stem = fresh_name("order")
    for number in range(2):
        api.create_registry(f"{stem}-{number}", "organization")
        logged(f"{stem}-{number}", type="model").link(f"wandb-registry-{stem}-{number}/nets")
    registries = api.registries(filter={"name": {"$in": [f"{stem}-0", f"{stem}-1"]}}, order="-name")
    assert [one.project for one in registries.collections()] == [
        f"wandb-registry-{stem}-1",
        f"wandb-registry-{stem}-0",
    ]
    assert [one.source_name for one in registries.collections().versions()] == [f"{stem}-1:v0", f"{stem}-0:v0"]
    assert [one.source_name for one in registries.versions()] == [f"{stem}-1:v0", f"{stem}-0:v0"]


def test_linked_artifact_knows_who_logged_its_source(api: holdfast.Api) -> None:
    name, shelf = fresh_name(), fresh_name("shelf")
    version = logged(name, type="model", project=f"{PROJECT}-source")
    link = version.link(f"{PROJECT}/{shelf}")
    run = link.logged_by()
    assert run is not None
    assert run.project == f"{PROJECT}-source"


# --- projects and runs ------------------------------------------------------------------------------------------------


def test_projects_are_listed_and_described(api: holdfast.Api) -> None:
    name = fresh_name("project")
    logged(fresh_name(), project=name)
    api.create_registry(fresh_name("reg"), "organization")
    listed = api.projects(per_page=1)
    assert name in [one.name for one in listed]
    assert not [one.name for one in listed if one.name.startswith("wandb-registry-")]
    assert len(listed) == len(list(listed))
    assert [one.name for one in Projects("local", filters={"name": name})] == [name]
    project = api.project(name)
    project.description, project.ttl = "What it is for", datetime.timedelta(days=7)
    project.save()
    again = api.project(name)
    assert (again.description, again.ttl) == ("What it is for", datetime.timedelta(days=7))
    with pytest.raises(errors.NotFoundError):
        api.project(fresh_name("absent"))


def test_runs_are_found_by_what_they_are(api: holdfast.Api) -> None:
    project = fresh_name("runs")
    for number in range(4):
        with holdfast.init(
            project=project,
            id=f"run-{number}",
            name=f"Run {number}",
            group="even" if number % 2 == 0 else "odd",
            job_type="train",
            tags=["first"] if number == 0 else [],
            config={"lr": number / 10},
        ) as run:
            artifact = new_artifact()
            with artifact.new_file("file") as file:
                file.write(project + str(number))
            run.log_artifact(artifact).wait()
    runs = api.runs(project, per_page=3)
    assert (len(runs), [one.id for one in runs]) == (4, ["run-0", "run-1", "run-2", "run-3"])
    assert api.runs(project, order="-created_at")[0].id == "run-3"
    for filters, expected in (
        ({"group": "odd"}, ["run-1", "run-3"]),
        ({"jobType": "train", "tags": "first"}, ["run-0"]),
        ({"tags": {"$in": ["first", "other"]}}, ["run-0"]),
        ({"config.lr": {"$gt": 0.1}}, ["run-2", "run-3"]),
        ({"config.lr.value": 0.1}, ["run-1"]),
        ({"display_name": {"$regex": "[03]$"}}, ["run-0", "run-3"]),
        ({"$or": [{"name": "run-1"}, {"group": "even"}]}, ["run-0", "run-1", "run-2"]),
        ({"state": "crashed"}, []),
    ):
        assert [one.id for one in api.runs(project, filters)] == expected, filters
    with pytest.raises(errors.CommError, match="known are"):
        list(api.runs(project, {"summary_metrics.loss": {"$lt": 1}}))
    assert list(api.runs(fresh_name("absent"))) == []
