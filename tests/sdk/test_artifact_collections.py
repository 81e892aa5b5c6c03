"""Collections and types: what is asked of the registry, what is changed, what is refused before anybody is asked."""

import datetime
import json
from typing import Any

import pytest

import holdfast
from holdfast._ttl import ArtifactTTL
from holdfast.api import Api
from holdfast.artifact_collections import ArtifactCollection, ProjectArtifactCollections
from holdfast.errors import CommError, InvalidRequestError, NotFoundError
from holdfast_contract.reasons import Reason
from holdfastpb.registry.v1 import collection_pb2, version_pb2
from support.fake_daemon import FakeDaemon, Refusal

MADE_MS = 1_700_000_000_000


def record(name: str = "mnist", **fields: Any) -> collection_pb2.Collection:
    """A sequence as the registry tells of it."""
    known: dict[str, Any] = {
        "entity": "local",
        "project": "p",
        "name": name,
        "type": "dataset",
        "collection_id": f"id-{name}",
        "kind": collection_pb2.COLLECTION_KIND_SEQUENCE,
        "created_at_ms": MADE_MS,
        "tags": ["a tag"],
    }
    return collection_pb2.Collection(**(known | fields))


def answer(daemon: FakeDaemon, method: str, *responses: Any) -> None:
    daemon.faults.answers[method] += responses


def found(daemon: FakeDaemon, **fields: Any) -> ArtifactCollection:
    """The collection as `Api.artifact_collection` finds it."""
    kept = record(**fields)
    answer(daemon, "GetCollection", collection_pb2.GetCollectionResponse(collection=kept))
    return Api({"project": "p"}).artifact_collection(kept.type, kept.name)


def sent(daemon: FakeDaemon, method: str) -> Any:
    """The last request of a method."""
    return daemon.calls.requests[method][-1]


def test_collection_tells_what_is_stored(daemon: FakeDaemon) -> None:
    collection = found(daemon, description="d", has_description=True, version_count=3, aliases=["best", "latest"])
    asked = sent(daemon, "GetCollection")
    assert (asked.entity, asked.project, asked.name) == ("local", "p", "mnist")
    assert (collection.id, collection.entity, collection.project) == ("id-mnist", "local", "p")
    assert (collection.name, collection.type, collection.description) == ("mnist", "dataset", "d")
    assert (collection.tags, collection.aliases, collection.version_count) == (["a tag"], ["best", "latest"], 3)
    assert (collection.created_at, collection.updated_at) == ("2023-11-14T22:13:20Z", None)
    assert collection.is_sequence()
    assert collection.qualified_name == "local/p/mnist"
    assert repr(collection) == "<ArtifactCollection mnist (dataset)>"


def test_portfolio_is_no_sequence(daemon: FakeDaemon) -> None:
    assert not found(daemon, kind=collection_pb2.COLLECTION_KIND_PORTFOLIO).is_sequence()


def test_project_id_is_asked_for(daemon: FakeDaemon) -> None:
    collection = found(daemon)
    kept = collection_pb2.Project(entity="local", name="p", project_id="77")
    answer(daemon, "GetProject", *[collection_pb2.GetProjectResponse(project=kept)] * 2)
    assert (collection.project_id, collection.project_internal_id) == ("77", "77")


def test_aliases_of_a_listed_collection_are_asked_for_once(daemon: FakeDaemon) -> None:
    page = collection_pb2.ListCollectionsResponse(collections=[record()], total_count=1)
    answer(daemon, "ListCollections", page)
    [collection] = Api().artifact_collections("p", "dataset")
    answer(daemon, "GetCollection", collection_pb2.GetCollectionResponse(collection=record(aliases=["latest"])))
    assert (collection.aliases, collection.aliases) == (["latest"], ["latest"])
    assert [one.collection_id for one in daemon.calls.requests["GetCollection"]] == ["id-mnist"]


def test_other_type_is_not_found(daemon: FakeDaemon) -> None:
    answer(daemon, "GetCollection", collection_pb2.GetCollectionResponse(collection=record()))
    with pytest.raises(NotFoundError, match=r"of type 'model'.*its type is 'dataset'"):
        Api().artifact_collection("model", "p/mnist")


def test_exists_looks_at_the_type_and_does_not_hide_trouble(daemon: FakeDaemon) -> None:
    answer(daemon, "GetCollection", *[collection_pb2.GetCollectionResponse(collection=record())] * 2)
    assert Api().artifact_collection_exists("p/mnist", "dataset")
    assert not Api().artifact_collection_exists("p/mnist", "model")
    assert not Api().artifact_collection_exists("p/absent", "dataset")
    daemon.faults.refusals["GetCollection"] = [Refusal(Reason.PERMISSION_DENIED, "no")]
    with pytest.raises(CommError, match="no"):
        Api().artifact_collection_exists("p/mnist", "dataset")


# --- lists ------------------------------------------------------------------------------------------------------------


def test_collections_are_paged_filtered_and_ordered_by_the_registry(daemon: FakeDaemon) -> None:
    answer(
        daemon,
        "ListCollections",
        collection_pb2.ListCollectionsResponse(collections=[record("a")], next_page_token="next", total_count=2),
        collection_pb2.ListCollectionsResponse(collections=[record("b")], total_count=2),
    )
    api = Api()
    collections = api.artifact_collections("e/p", "dataset", "-createdAt", 1, filters={"tag": "a tag"})
    assert len(collections) == 2
    assert [one.name for one in collections] == ["a", "b"]
    first, second = daemon.calls.requests["ListCollections"]
    assert (first.entity, first.project, first.type) == ("e", "p", "dataset")
    assert (first.order, first.page_size, json.loads(first.filter_json)) == ("-created_at", 1, {"tag": "a tag"})
    assert (first.page_token, second.page_token) == ("", "next")


def test_collections_of_all_types(daemon: FakeDaemon) -> None:
    answer(daemon, "ListCollections", collection_pb2.ListCollectionsResponse(collections=[record()], total_count=1))
    assert [one.name for one in ProjectArtifactCollections("local", "p")] == ["mnist"]
    assert sent(daemon, "ListCollections").type == ""


def test_types_of_a_project(daemon: FakeDaemon) -> None:
    types = [collection_pb2.ArtifactType(name=name, created_at_ms=MADE_MS) for name in ("dataset", "model")]
    answer(daemon, "ListTypes", *[collection_pb2.ListTypesResponse(types=types)] * 3)
    listed = Api().artifact_types("e/p")
    assert [one.name for one in listed] == ["dataset", "model"]
    with pytest.raises(TypeError):
        len(listed)  # type: ignore[arg-type]
    one = Api().artifact_type("model", "e/p")
    assert (one.id, one.type, one.created_at) == ("e/p/model", "model", "2023-11-14T22:13:20Z")
    with pytest.raises(NotFoundError, match="Could not find artifact type 'table' in e/p"):
        Api().artifact_type("table", "e/p")


def test_type_leads_to_its_collections(daemon: FakeDaemon) -> None:
    types = [collection_pb2.ArtifactType(name="dataset")]
    answer(daemon, "ListTypes", collection_pb2.ListTypesResponse(types=types))
    dataset = Api().artifact_type("dataset", "p")
    answer(daemon, "ListCollections", collection_pb2.ListCollectionsResponse(collections=[record()], total_count=1))
    assert [one.name for one in dataset.collections({"name": "mnist"}, order="name")] == ["mnist"]
    assert (sent(daemon, "ListCollections").type, sent(daemon, "ListCollections").order) == ("dataset", "+name")
    answer(daemon, "GetCollection", collection_pb2.GetCollectionResponse(collection=record()))
    assert dataset.collection("mnist").name == "mnist"


def test_versions_of_a_collection(daemon: FakeDaemon) -> None:
    collection = found(daemon)
    version = version_pb2.Version(version_id="1", entity="local", project="p", collection="mnist", type="dataset")
    pages = [version_pb2.ListVersionsResponse(versions=[version], total_count=1)] * 2
    answer(daemon, "ListVersions", *pages)
    assert [one.name for one in collection.artifacts(per_page=7)] == ["mnist:v0"]
    assert (sent(daemon, "ListVersions").page_size, sent(daemon, "ListVersions").order) == (7, "")
    filters = {"state": "COMMITTED", "metadata.x": 1}
    assert len(collection.versions(order="+size", filter=filters)) == 1
    asked = sent(daemon, "ListVersions")
    assert (asked.collection, asked.type, asked.order) == ("mnist", "dataset", "+size")
    assert json.loads(asked.filter_json) == filters


# --- changes ----------------------------------------------------------------------------------------------------------


def test_save_sends_what_was_changed_and_nothing_when_nothing_was(daemon: FakeDaemon) -> None:
    collection = found(daemon, description="old", has_description=True)
    collection.save()
    assert daemon.calls.requests["UpdateCollection"] == []
    collection.name, collection.type, collection.description = "digits", "images", None
    collection.tags = ["new", "new", "other"]
    collection.ttl = datetime.timedelta(days=1)
    kept = record(
        "digits",
        type="images",
        tags=["new", "other"],
        ttl=version_pb2.Ttl(kind=version_pb2.TTL_KIND_DURATION, seconds=86400),
    )
    answer(daemon, "UpdateCollection", collection_pb2.UpdateCollectionResponse(collection=kept))
    collection.save()
    asked = sent(daemon, "UpdateCollection")
    assert (asked.collection_id, asked.new_name, asked.new_type) == ("id-mnist", "digits", "images")
    assert (asked.set_description, asked.description_is_null) == (True, True)
    assert (list(asked.tags_to_add), list(asked.tags_to_remove)) == (["new", "other"], ["a tag"])
    assert (asked.set_ttl, asked.ttl.seconds) == (True, 86400)
    assert asked.request_id
    assert (collection.name, collection.ttl) == ("digits", datetime.timedelta(days=1))
    collection.save()
    assert len(daemon.calls.requests["UpdateCollection"]) == 1


def test_tags_changed_in_place_are_saved(daemon: FakeDaemon) -> None:
    collection = found(daemon)
    collection.tags.append("second")
    answer(daemon, "UpdateCollection", collection_pb2.UpdateCollectionResponse(collection=record()))
    collection.save()
    assert list(sent(daemon, "UpdateCollection").tags_to_add) == ["second"]
    assert not sent(daemon, "UpdateCollection").set_description


def test_time_to_live_is_a_time_nothing_or_inherited(daemon: FakeDaemon) -> None:
    collection = found(daemon)
    assert collection.ttl is ArtifactTTL.INHERIT
    collection.ttl = None
    answer(daemon, "UpdateCollection", collection_pb2.UpdateCollectionResponse(collection=record()))
    collection.save()
    assert sent(daemon, "UpdateCollection").ttl.kind == version_pb2.TTL_KIND_NONE
    with pytest.raises(ValueError, match="positive"):
        collection.ttl = datetime.timedelta(0)
    with pytest.raises(TypeError, match="timedelta"):
        collection.ttl = 7  # type: ignore[assignment]


def test_bad_values_are_refused_when_they_are_set(daemon: FakeDaemon) -> None:
    collection = found(daemon)
    with pytest.raises(ValueError, match="must not contain"):
        collection.name = "a/b"
    with pytest.raises(ValueError, match="Invalid tag"):
        collection.tags = ["a/b"]
    with pytest.raises(ValueError, match="reserved for internal use"):
        collection.type = "wandb-history"
    with pytest.raises(ValueError, match="must not contain"):
        collection.type = "a:b"


def test_bad_tag_that_was_put_in_place_is_refused_by_save(daemon: FakeDaemon) -> None:
    collection = found(daemon)
    collection.tags.append("a/b")
    with pytest.raises(InvalidRequestError, match="Invalid tag"):
        collection.save()


def test_reserved_type_stays(daemon: FakeDaemon) -> None:
    collection = found(daemon, type="job")
    with pytest.raises(ValueError, match="reserved for internal use"):
        collection.type = "dataset"


def test_type_of_a_portfolio_stays(daemon: FakeDaemon) -> None:
    portfolio = found(daemon, kind=collection_pb2.COLLECTION_KIND_PORTFOLIO)
    with pytest.raises(ValueError, match="only be changed if the artifact collection is a sequence"):
        portfolio.type = "model"


def test_change_type_is_deprecated_and_saves(daemon: FakeDaemon) -> None:
    collection = found(daemon)
    answer(daemon, "UpdateCollection", collection_pb2.UpdateCollectionResponse(collection=record(type="images")))
    with pytest.warns(DeprecationWarning, match="change_type"):
        collection.change_type("images")
    assert (sent(daemon, "UpdateCollection").new_type, collection.type) == ("images", "images")
    with pytest.warns(DeprecationWarning, match="change_type"), pytest.raises(CommError, match="reserved"):
        collection.change_type("job")


def test_load_forgets_what_was_not_saved(daemon: FakeDaemon) -> None:
    collection = found(daemon)
    collection.description = "never saved"
    answer(daemon, "GetCollection", collection_pb2.GetCollectionResponse(collection=record()))
    assert collection.load("local", "p", "dataset", "mnist") is collection
    assert collection.description is None
    with pytest.raises(NotFoundError):
        collection.load("local", "p", "dataset", "absent")


def test_delete_names_the_collection_by_its_id(daemon: FakeDaemon) -> None:
    collection = found(daemon)
    answer(daemon, "DeleteCollection", collection_pb2.DeleteCollectionResponse(versions_deleted=2))
    collection.delete()
    assert (sent(daemon, "DeleteCollection").collection_id, bool(sent(daemon, "DeleteCollection").request_id)) == (
        "id-mnist",
        True,
    )


def test_portfolio_is_made(daemon: FakeDaemon) -> None:
    made = record("best", kind=collection_pb2.COLLECTION_KIND_PORTFOLIO)
    answer(daemon, "CreatePortfolio", collection_pb2.CreatePortfolioResponse(collection=made))
    portfolio = Api().create_portfolio("e/p/best", "model", "of the year")
    asked = sent(daemon, "CreatePortfolio")
    assert (asked.entity, asked.project, asked.name, asked.type) == ("e", "p", "best", "model")
    assert asked.description == "of the year"
    assert not portfolio.is_sequence()


def test_artifact_versions_is_an_older_name_of_artifacts(daemon: FakeDaemon) -> None:
    answer(daemon, "ListVersions", version_pb2.ListVersionsResponse())
    with pytest.warns(DeprecationWarning, match=r"use Api.artifacts\(\)"):
        assert len(holdfast.Api().artifact_versions("dataset", "p/mnist")) == 0
