"""Points, boxes and vectors in space: what may stand in a point cloud, and the messages that name what may not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from holdfast.errors import InvalidInputError

SCENE_TYPES = ("lidar/beta",)
POINT_NUMBERS = (3, 4, 6)
"""Of a point: its place; with a category; or with red, green and blue."""
CORNERS = 8
SHAPES = "[[x, y, z], …], [[x, y, z, category], …] or [[x, y, z, r, g, b], …]"


def box3d(
    *,
    center: Iterable[float],
    size: Iterable[float],
    orientation: Iterable[float],
    color: Sequence[float],
    label: str | None = None,
    score: float | None = None,
) -> dict[str, Any]:
    """Returns a box for `Object3D.from_point_cloud`.

    Args:
        center: x, y, z.
        size: along the box's own axes.
        orientation: a quaternion (real part, i, j, k) that is not zero: how the scene's axes are turned to become the box's.
        color: red, green, blue.
        label: shown with the box.
        score: shown with the box.

    Raises:
        InvalidInputError: a number too few or too many, or a quaternion of zero length.
    """
    middle, sides = _numbers(center, 3, "center"), _numbers(size, 3, "size")
    turned = _turning(_numbers(orientation, 4, "orientation"))
    corners = []
    for signs in itertools.product((-0.5, 0.5), repeat=3):
        own = [sign * side for sign, side in zip(signs, sides, strict=True)]
        corners.append(
            [
                place + sum(part * row[axis] for part, row in zip(own, turned, strict=True))
                for axis, place in enumerate(middle)
            ]
        )
    return {"corners": corners, "color": plain(color), "label": label, "score": plain(score)}


def _turning(quaternion: Sequence[float]) -> list[list[float]]:
    """Returns the matrix that points of a box, as rows, are multiplied with."""
    # The largest first: squares of very small or very large numbers would vanish or overflow.
    largest = max(map(abs, quaternion))
    if largest == 0:
        raise InvalidInputError("orientation is a quaternion of zero length, which says no direction.")
    scaled = [part / largest for part in quaternion]
    length = math.sqrt(sum(part * part for part in scaled))
    r, i, j, k = (part / length for part in scaled)
    return [
        [1 - 2 * (j * j + k * k), 2 * (i * j + k * r), 2 * (i * k - j * r)],
        [2 * (i * j - k * r), 1 - 2 * (i * i + k * k), 2 * (j * k + i * r)],
        [2 * (i * k + j * r), 2 * (j * k - i * r), 1 - 2 * (i * i + j * j)],
    ]


def plain(value: Any) -> Any:
    """Returns a value with lists instead of arrays and tuples, as JSON holds it."""
    if hasattr(value, "tolist"):
        listed = value.tolist()
        # An array of objects may hold further arrays; one of numbers is done.
        return plain(listed) if value.dtype.kind == "O" else listed
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def checked_points(points: Any, what: str = "points") -> list[list[float]]:
    """Returns the points of a cloud as lists.

    Args:
        points: an array, or a sequence of sequences of numbers.
        what: how messages call them.

    Raises:
        InvalidInputError: a point has another number of numbers than the first one, or none that is known.
    """
    rows = plain(points)
    if not isinstance(rows, list):
        raise InvalidInputError(f"{what} must be {SHAPES}, not {type(points).__name__}.")
    # One pass each in C over what is nearly always right; the loop below only looks for the culprit.
    try:
        lengths = set(map(len, rows))
        right = len(lengths) <= 1 and lengths <= set(POINT_NUMBERS)
        right = right and set(map(type, itertools.chain.from_iterable(rows))) <= {int, float}
    except TypeError:
        right = False
    if not right:
        for number, row in enumerate(rows):
            _check_point(row, len(rows[0]) if isinstance(rows[0], list) else None, f"point {number} of {what}")
    return rows


def _check_point(row: Any, expected: int | None, where: str) -> None:
    if not isinstance(row, list) or len(row) not in POINT_NUMBERS:
        raise InvalidInputError(f"{where} is {_short(row)}; a point has 3, 4 or 6 numbers: {SHAPES}.")
    if len(row) != expected:
        raise InvalidInputError(
            f"{where} has {len(row)} numbers and the first point {expected}; all need equally many."
        )
    if not all(map(_is_number, row)):
        raise InvalidInputError(f"{where} is {_short(row)}, which are not all numbers.")


def checked_scene(scene: Mapping[str, Any], what: str = "the scene") -> dict[str, Any]:
    """Returns a scene as JSON holds it: type, points, boxes and vectors, the latter empty when they are not given.

    Raises:
        InvalidInputError: its type is not known, or a point, box or vector is malformed; the message has its number.
    """
    if scene.get("type") not in SCENE_TYPES:
        raise InvalidInputError(
            f"Type not supported, only 'lidar/beta' is currently supported: the type of {what} is {scene.get('type')!r}."
        )
    return {
        "type": scene["type"],
        "points": checked_points(scene.get("points", []), f"points of {what}"),
        "boxes": [_box(box, f"box {number} of {what}") for number, box in enumerate(_items(scene, "boxes", what))],
        "vectors": [
            _vector(vector, f"vector {number} of {what}")
            for number, vector in enumerate(_items(scene, "vectors", what))
        ],
    }


def _items(scene: Mapping[str, Any], key: str, what: str) -> list[Any]:
    items = plain(scene.get(key, []))
    if not isinstance(items, list):
        raise InvalidInputError(f"{key} of {what} must be a sequence, not {type(items).__name__}.")
    return items


def _box(box: Any, where: str) -> dict[str, Any]:
    if not isinstance(box, dict):
        raise InvalidInputError(f"{where} is {_short(box)}; a box is a dict with corners and color.")
    corners = box.get("corners")
    if not isinstance(corners, list) or len(corners) != CORNERS:
        raise InvalidInputError(f"{where} needs 8 corners; its 'corners' are {_short(corners)}.")
    for number, corner in enumerate(corners):
        _numbers(corner, 3, f"corner {number} of {where}")
    if box.get("color") is not None:
        _numbers(box["color"], 3, f"color of {where}")
    if not isinstance(box.get("label"), str | None):
        raise InvalidInputError(f"label of {where} is {_short(box['label'])}; a label is a text.")
    if box.get("score") is not None and not _is_number(box["score"]):
        raise InvalidInputError(f"score of {where} is {_short(box['score'])}; a score is a number.")
    return box


def _vector(vector: Any, where: str) -> dict[str, Any]:
    if not isinstance(vector, dict):
        raise InvalidInputError(f"{where} is {_short(vector)}; a vector is a dict with start and end.")
    for key in ("start", "end"):
        _numbers(vector.get(key), 3, f"{key} of {where}")
    return vector


def _numbers(values: Any, count: int, where: str) -> list[float]:
    numbers = plain(values)
    if not isinstance(numbers, list) or len(numbers) != count or not all(map(_is_number, numbers)):
        raise InvalidInputError(f"{where} must be {count} numbers, not {_short(numbers)}.")
    return numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
