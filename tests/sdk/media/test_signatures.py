"""Constructors of the types of objects: names, order and defaults of W&B's newest client; ours come after, or by keyword only."""

import inspect
from typing import Any

import pytest

import holdfast

REQUIRED = inspect.Parameter.empty

DOCUMENTED: dict[type, dict[str, Any]] = {
    holdfast.Image: {
        "data_or_path": REQUIRED,
        "mode": None,
        "caption": None,
        "grouping": None,
        "classes": None,
        "boxes": None,
        "masks": None,
        "file_type": None,
        "normalize": True,
    },
    holdfast.ImageMask: {"val": REQUIRED, "key": REQUIRED},
    holdfast.BoundingBoxes2D: {"val": REQUIRED, "key": REQUIRED},
    holdfast.Classes: {"class_set": REQUIRED},
}


@pytest.mark.parametrize("kind", DOCUMENTED, ids=lambda kind: kind.__name__)
def test_the_constructor_is_the_documented_one(kind: type) -> None:
    parameters = inspect.signature(kind).parameters.values()
    ours = {p.name: p.default for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY}
    assert list(ours.items())[: len(DOCUMENTED[kind])] == list(DOCUMENTED[kind].items())
