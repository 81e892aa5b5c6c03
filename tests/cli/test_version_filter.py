"""`--where`: what people write becomes the documented filters."""

import datetime
from typing import Any

import pytest

from holdfast.cli.exit_codes import CommandError, ExitCode
from holdfast.cli.version_filter import parse_where

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("condition", "meaning"),
    [
        ("metadata.accuracy < 0.9", {"metadata.accuracy": {"$lt": 0.9}}),
        ("metadata.epoch>=3", {"metadata.epoch": {"$gte": 3}}),
        ("tag = draft", {"tag": {"$eq": "draft"}}),
        ('tag == "raw data"', {"tag": {"$eq": "raw data"}}),
        ("name ~ ^run-", {"name": {"$regex": "^run-"}}),
        ("type != model", {"type": {"$ne": "model"}}),
        ("age > 30d", {"created_at": {"$lt": "2026-10-22T12:00:00+00:00"}}),
        ("age <= 2h", {"created_at": {"$gte": "2026-11-21T10:00:00+00:00"}}),
        ('{"$or": [{"tag": "a"}, {"tag": "b"}]}', {"$or": [{"tag": "a"}, {"tag": "b"}]}),
    ],
)
def test_a_condition_means(condition: str, meaning: dict[str, Any]) -> None:
    assert parse_where([condition], NOW) == meaning


def test_several_conditions_must_all_hold() -> None:
    assert parse_where(["size > 5", "tag = old"], NOW) == {"$and": [{"size": {"$gt": 5}}, {"tag": {"$eq": "old"}}]}


@pytest.mark.parametrize("condition", ["", "nonsense", "age > soon", "age = 3d", "{broken", "= 3"])
def test_what_is_no_condition_is_refused_with_an_example(condition: str) -> None:
    with pytest.raises(CommandError) as refused:
        parse_where([condition], NOW)
    assert refused.value.code == ExitCode.USAGE
