"""Boxes that are shown over an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from holdfast._artifact_objects import StoredObject
from holdfast._object_fields import ObjectFields
from holdfast.media.arrays import plain_value
from holdfast.media.classes import checked_labels, classes_at, default_labels

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

_CORNERS = ("minX", "maxX", "minY", "maxY")
_EXTENT = ("width", "height")


class BoundingBoxes2D(StoredObject):
    """One layer of boxes, such as an image's predictions."""

    log_type: ClassVar[str] = "bounding-boxes"
    json_type: ClassVar[type] = list

    def __init__(self, val: Mapping[str, Any], key: str) -> None:
        """Checks the boxes and takes a copy.

        Args:
            val: `box_data`, a list with a dict for each box, and `class_labels`, names by class ids; default: "class_<id>".
                A box has a `position`, either `{"minX", "maxX", "minY", "maxY"}` or `{"middle": [x, y], "width", "height"}`, as
                fractions of the image, or in pixels with `"domain": "pixel"`; and if wanted `class_id` (a whole number),
                `scores` (numbers by names) and `box_caption` (text).
            key: name of the layer.

        Raises:
            TypeError: something of that is not so; the message names the box and the key.
        """
        if not isinstance(val, Mapping) or not isinstance(val.get("box_data"), list | tuple):
            raise TypeError(f"The boxes {key!r} need 'box_data', a list with a dict for each box")
        self._boxes = [_checked_box(f"box_data[{number}]", box) for number, box in enumerate(val["box_data"])]
        self._key = key
        self._labels = checked_labels(val["class_labels"]) if "class_labels" in val else None
        self._stored_classes: ObjectFields | None = None

    @property
    def box_data(self) -> list[dict[str, Any]]:
        """The boxes, as plain values."""
        return self._boxes

    @property
    def class_labels(self) -> dict[Any, str]:
        """Names by class ids."""
        if self._stored_classes is not None:
            return classes_at(self._stored_classes).labels
        if self._labels is not None:
            return self._labels
        return default_labels([box["class_id"] for box in self._boxes if "class_id" in box])

    @property
    def key(self) -> str:
        """Name of the layer."""
        return self._key

    def to_json(self, artifact: Artifact) -> list[dict[str, Any]]:
        """Returns the list of boxes; their classes belong to the image."""
        return self._boxes

    @classmethod
    def from_json(cls, json: Any, artifact: Artifact) -> Self:
        """Returns the boxes of a file.

        Raises:
            MalformedObjectError: a box is none; names it.
        """
        # The constructor knows only Python's values; which key of which file they come from is known here.
        fields = ObjectFields({"box_data": json}, cls.__name__, artifact)
        return cls.restored(fields, "box_data", "", None)

    @classmethod
    def restored(cls, fields: ObjectFields, key: str, layer: str, classes: ObjectFields | None) -> Self:
        """Returns the layer that lies under a key of an image's JSON.

        Args:
            fields: where the list is.
            key: its key there.
            layer: name of the layer.
            classes: where the image says which classes it has; None: it does not.

        Raises:
            MalformedObjectError: a box is none; names it.
        """
        try:
            boxes = cls({"box_data": fields.sequence(key)}, layer)
        except TypeError as error:
            raise fields.malformed(key, str(error)) from error
        boxes._stored_classes = classes
        return boxes

    def __eq__(self, other: object) -> bool:
        return self._boxes == other._boxes if isinstance(other, BoundingBoxes2D) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # the lists within are not

    def __repr__(self) -> str:
        return f"BoundingBoxes2D({self._key!r}, {len(self._boxes)} boxes)"


def _checked_box(name: str, box: Any) -> dict[str, Any]:
    if not isinstance(box, Mapping):
        raise TypeError(f"{name} must be a dict, not {box!r:.200}")
    plain = {str(key): plain_value(value) for key, value in box.items()}
    _check_position(f"{name}.position", plain.get("position"))
    scores = plain.get("scores", {})
    if not isinstance(scores, dict):
        raise TypeError(f"{name}.scores must be a dict of names to numbers, not {scores!r:.200}")
    for key, value in scores.items():
        if not isinstance(key, str) or not _is_number(value):
            raise TypeError(f"{name}.scores must be a dict of names to numbers; it has {key!r:.80}: {value!r:.80}")
    class_id = plain.get("class_id", 0)
    if not isinstance(class_id, int) or isinstance(class_id, bool):
        raise TypeError(f"{name}.class_id must be a whole number, not {class_id!r:.200}")
    if not isinstance(plain.get("box_caption", ""), str):
        raise TypeError(f"{name}.box_caption must be a text, not {plain['box_caption']!r:.200}")
    return plain


def _check_position(name: str, position: Any) -> None:
    if not isinstance(position, dict):
        raise TypeError(
            f"{name} must be a dict with minX, maxX, minY and maxY, or with middle, width and height; not {position!r:.200}"
        )
    if "middle" in position:
        middle = position["middle"]
        if not isinstance(middle, list) or len(middle) != 2 or not all(map(_is_number, middle)):
            raise TypeError(f"{name}.middle must be two numbers, not {middle!r:.200}")
    for key in _EXTENT if "middle" in position else _CORNERS:
        if not _is_number(position.get(key)):
            raise TypeError(f"{name}.{key} must be a number, not {position.get(key)!r:.200}")


def _is_number(value: Any) -> bool:
    # JSON knows neither NaN nor infinity.
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
