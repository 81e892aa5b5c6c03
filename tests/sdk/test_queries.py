"""Filters and orders on their way to the registry, and the names of projects and runs."""

import datetime
import json
from typing import Any

import pytest

from holdfast._artifact_names import project_of_path, run_of_path
from holdfast._queries import filter_json, order_text
from holdfast._registry_contents import with_registry_prefix


def test_no_filter_is_no_text() -> None:
    assert filter_json(None) == filter_json({}) == ""


def test_filter_travels_as_it_was_written() -> None:
    filters = {"$or": [{"name": "a"}, {"tag": {"$in": ("x", "y")}}], "metadata.accuracy": {"$gt": 0.9}}
    assert json.loads(filter_json(filters)) == {
        "$or": [{"name": "a"}, {"tag": {"$in": ["x", "y"]}}],
        "metadata.accuracy": {"$gt": 0.9},
    }


def test_moments_and_sets_become_json() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    moment = datetime.datetime(2024, 5, 1, 12, 0, tzinfo=zone)
    filters = {"created_at": {"$gte": moment}, "updated_at": datetime.date(2024, 5, 1), "name": {"$in": {"b", "a"}}}
    assert json.loads(filter_json(filters)) == {
        "created_at": {"$gte": "2024-05-01T10:00:00Z"},
        "updated_at": "2024-05-01",
        "name": {"$in": ["a", "b"]},
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes"])
def test_value_that_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON|filter"):
        filter_json({"metadata.x": value})


@pytest.mark.parametrize("filters", ["name", ["name"], 1])
def test_filter_must_be_a_dict(filters: Any) -> None:
    with pytest.raises(TypeError, match="A filter is a dict"):
        filter_json(filters)


@pytest.mark.parametrize(
    ("order", "travels"),
    [
        (None, ""),
        ("", ""),
        ("created_at", "+created_at"),
        ("+created_at", "+created_at"),
        ("-createdAt", "-created_at"),
        ("versionIndex", "+version_index"),
    ],
)
def test_order_has_a_sign_and_one_spelling(order: str | None, travels: str) -> None:
    assert order_text(order) == travels


@pytest.mark.parametrize("order", ["+", "a b", "-a,b", "++a", 1])
def test_what_is_no_order_is_refused(order: Any) -> None:
    with pytest.raises(ValueError, match="order must be a field"):
        order_text(order)


@pytest.mark.parametrize(
    ("filters", "sent"),
    [
        (None, None),
        ({"name": "model"}, {"name": "wandb-registry-model"}),
        ({"name": "wandb-registry-model"}, {"name": "wandb-registry-model"}),
        ({"name": {"$in": ["a", "b"]}}, {"name": {"$in": ["wandb-registry-a", "wandb-registry-b"]}}),
        ({"name": {"$regex": "mod.*"}}, {"name": {"$regex": "mod.*"}}),
        ({"$or": [{"name": "a"}, {"description": "a"}]}, {"$or": [{"name": "wandb-registry-a"}, {"description": "a"}]}),
        ({"name": {"$ne": "a"}}, {"name": {"$ne": "wandb-registry-a"}}),
    ],
)
def test_names_of_registries_get_their_prefix(filters: Any, sent: Any) -> None:
    assert with_registry_prefix(filters) == sent


@pytest.mark.parametrize(
    ("text", "place"),
    [(None, ("e", "p")), ("", ("e", "p")), ("q", ("e", "q")), ("d/q", ("d", "q"))],
)
def test_path_of_a_project(text: str | None, place: tuple[str, str]) -> None:
    assert project_of_path(text, entity="e", project="p") == place


@pytest.mark.parametrize("text", ["a/b/c", "/q", "d/", "a:b"])
def test_what_is_no_path_of_a_project_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each part has its own words
        project_of_path(text, entity="e", project="p")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("r", ("e", "p", "r")),
        ("q/r", ("e", "q", "r")),
        ("d/q/r", ("d", "q", "r")),
        ("/d/q/runs/r", ("d", "q", "r")),
        ("d/q:r", ("d", "q", "r")),
        ("q:r", ("e", "q", "r")),
    ],
)
def test_path_of_a_run(text: str, place: tuple[str, str, str]) -> None:
    assert run_of_path(text, entity="e", project="p") == place


@pytest.mark.parametrize("text", ["", " ", "/", "a/b/c/d", None])
def test_what_is_no_path_of_a_run_is_refused(text: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each part has its own words
        run_of_path(text, entity="e", project="p")
