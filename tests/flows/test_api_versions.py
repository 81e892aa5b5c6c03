"""The public API over real versions, runs and links: filters, orders, cursors, lineage that is claimed later."""

import datetime
import json
from collections.abc import Sequence

import pytest

import holdfast
from holdfast import errors
from support.sdk_calls import PROJECT, fresh_name, log, new_artifact
from support.sdk_host import SdkHost


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here asks the registry."""


def logged(name: str, number: int, *, aliases: Sequence[str] = (), tags: Sequence[str] = ()) -> holdfast.Artifact:
    """Version `number` of a collection: so many bytes, and that many in its metadata."""
    artifact = new_artifact(name)
    artifact.metadata = {"accuracy": number / 10, "stage": {"name": "train" if number < 3 else "eval"}, "n": number}
    with artifact.new_file("file") as file:
        file.write("x" * number)
    return log(artifact, aliases=aliases, tags=tags)


@pytest.fixture(scope="module")
def name(host: SdkHost) -> str:
    """A collection of v0 to v5; the odd ones have the tag, v2 the alias."""
    name = fresh_name("filtered")
    for number in range(6):
        logged(name, number, aliases=["best"] if number == 2 else [], tags=["odd"] if number % 2 else [])
    return name


def indexes(artifacts: Sequence[holdfast.Artifact]) -> list[int]:
    return [int(artifact.version[1:]) for artifact in artifacts]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [5, 4, 3, 2, 1, 0]),
        ({"state": "COMMITTED"}, [5, 4, 3, 2, 1, 0]),
        ({"version": "v3"}, [3]),
        ({"versionIndex": {"$gte": 2, "$lt": 4}}, [3, 2]),
        ({"alias": "best"}, [2]),
        ({"alias": {"$in": ["best", "latest"]}}, [5, 2]),
        ({"tag": "odd"}, [5, 3, 1]),
        ({"tags": {"$ne": "odd"}}, [4, 2, 0]),
        ({"size": {"$gt": 3}}, [5, 4]),
        ({"metadata.accuracy": {"$gte": 0.4}}, [5, 4]),
        ({"metadata.stage.name": "train"}, [2, 1, 0]),
        ({"metadata.stage.name": {"$regex": "^ev"}, "tag": "odd"}, [5, 3]),
        ({"metadata.absent": None, "version": 1}, [1]),
        ({"$or": [{"version": 0}, {"alias": "best"}]}, [2, 0]),
        ({"$not": {"tag": "odd"}}, [4, 2, 0]),
        ({"created_at": {"$gt": "2100-01-01"}}, []),
        ({"type": "model"}, []),
    ],
    ids=json.dumps,
)
def test_filters_find_what_they_say(name: str, filters: dict[str, object], expected: list[int]) -> None:
    found = holdfast.Api().artifacts("dataset", f"{PROJECT}/{name}", filters=filters)
    assert (indexes(list(found)), len(found)) == (expected, len(expected))


def test_moments_are_compared_as_moments(name: str) -> None:
    api, path = holdfast.Api(), f"{PROJECT}/{name}"
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    assert len(api.artifacts("dataset", path, filters={"created_at": {"$gt": now - hour, "$lt": now + hour}})) == 6
    assert len(api.artifacts("dataset", path, filters={"created_at": {"$gt": now + hour}})) == 0


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"colour": "red"}, "known are"),
        ({"size": {"$near": 3}}, "known are"),
        ({"metadata": 1}, "metadata.KEY"),
        ({"name": {"$regex": "("}}, "regex"),
        ({"created_at": "yesterday"}, "is a time such as"),
    ],
    ids=json.dumps,
)
def test_filter_that_cannot_be_used_is_refused_with_what_can(name: str, filters: dict[str, object], said: str) -> None:
    found = holdfast.Api().artifacts("dataset", f"{PROJECT}/{name}", filters=filters)
    with pytest.raises(errors.CommError, match=said) as caught:
        list(found)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("order", "first"),
    [(None, 5), ("+version_index", 0), ("-versionIndex", 5), ("size", 0), ("-size", 5), ("+createdAt", 0)],
)
def test_orders_are_kept_over_pages(name: str, order: str | None, first: int) -> None:
    found = holdfast.Api().artifacts("dataset", f"{PROJECT}/{name}", order=order, per_page=2)
    assert indexes(list(found)) == (list(range(6)) if first == 0 else list(range(5, -1, -1)))


def test_unknown_order_is_refused(name: str) -> None:
    with pytest.raises(errors.CommError, match="known are"):
        list(holdfast.Api().artifacts("dataset", f"{PROJECT}/{name}", order="+colour"))


def test_cursor_goes_on_where_a_paginator_was_left(name: str) -> None:
    api = holdfast.Api()
    first = api.artifacts("dataset", f"{PROJECT}/{name}", per_page=2)
    assert indexes(first[:2]) == [5, 4]
    assert indexes(list(api.artifacts("dataset", f"{PROJECT}/{name}", per_page=2, start=first.cursor))) == [3, 2, 1, 0]


def test_all_tags_must_be_there(name: str) -> None:
    api = holdfast.Api()
    assert indexes(list(api.artifacts("dataset", f"{PROJECT}/{name}", tags=["odd"]))) == [5, 3, 1]
    assert list(api.artifacts("dataset", f"{PROJECT}/{name}", tags=["odd", "even"])) == []


def test_artifacts_of_a_run_are_counted_and_paged() -> None:
    stem = fresh_name()
    with holdfast.init(project=PROJECT, id=fresh_name("run")) as run:
        for number in range(5):
            artifact = new_artifact(f"{stem}-{number}")
            with artifact.new_file("file") as file:
                file.write(str(number))
            run.log_artifact(artifact).wait()
        run.use_artifact(f"{stem}-3:latest")
    found = holdfast.Api().run(f"{PROJECT}/{run.id}")
    made = found.logged_artifacts(per_page=2)
    assert (len(made), [one.name for one in made]) == (5, [f"{stem}-{number}:v0" for number in range(5)])
    assert [one.name for one in found.used_artifacts()] == [f"{stem}-3:v0"]


def test_run_claims_a_version_that_exists() -> None:
    name = fresh_name()
    version = logged(name, 1)
    with holdfast.init(project=PROJECT, id=fresh_name("run")) as run:
        run.use_artifact(f"{name}:v0")
    public = holdfast.Api().run(f"{PROJECT}/{run.id}")
    public.log_artifact(version, aliases=["claimed"], tags=["mine"])
    public.log_artifact(version)
    assert [one.name for one in public.logged_artifacts()] == [f"{name}:v0"]
    found = holdfast.Api().artifact(f"{PROJECT}/{name}:claimed")
    assert found.tags == ["mine"]
    first = found.logged_by()
    assert first is not None
    assert first.id != run.id


def test_run_is_changed_field_by_field() -> None:
    with holdfast.init(
        project=PROJECT, id=fresh_name("run"), group="g", tags=["a"], notes="n", config={"lr": 0.1}
    ) as run:
        artifact = new_artifact()
        with artifact.new_file("file") as file:
            file.write("x")
        run.log_artifact(artifact).wait()
    public = holdfast.Api().run(f"{PROJECT}/{run.id}")
    public.name, public.tags, public.notes, public.config["epochs"] = "Shown", [], None, 3
    public.update()
    again = holdfast.Api().run(f"{PROJECT}/{run.id}")
    assert (again.name, again.group, again.tags, again.notes) == ("Shown", "g", [], "")
    assert again.config == {"lr": 0.1, "epochs": 3}


def test_version_that_is_logged_again_is_an_output_of_both_runs() -> None:
    name = fresh_name()
    version = logged(name, 2)
    with holdfast.init(project=PROJECT, id=fresh_name("run")) as again:
        again.log_artifact(version, aliases=["again"])
    assert [one.name for one in holdfast.Api().run(f"{PROJECT}/{again.id}").logged_artifacts()] == [f"{name}:v0"]
    assert holdfast.Api().artifact(f"{PROJECT}/{name}:again").version == "v0"
