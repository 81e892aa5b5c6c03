"""Object3D: points in space with boxes and vectors, or a mesh of a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, ClassVar, Self

from holdfast.errors import InvalidInputError
from holdfast.media.content_errors import unreadable
from holdfast.media.given_files import given_path, known_extension, read_given
from holdfast.media.json_text import json_bytes, read_json
from holdfast.media.media_file import Media
from holdfast.media.optional_package import load_package
from holdfast.media.point_clouds import POINT_NUMBERS, SCENE_TYPES, SHAPES, checked_points, checked_scene

if TYPE_CHECKING:
    import numpy as np

POINTS_FILE = "pts.json"


class Object3D(Media):
    """Points in space, or a mesh.

    artifact["scan"] = holdfast.Object3D(points)  # of the shape (points, 3), (points, 4) or (points, 6)
    artifact["street"] = holdfast.Object3D.from_point_cloud(points, boxes=[holdfast.data_types.box3d(…)])
    artifact["chair"] = holdfast.Object3D("chair.glb")
    """

    SUPPORTED_TYPES: ClassVar[tuple[str, ...]] = ("obj", "gltf", "glb", "babylon", "stl", POINTS_FILE)
    SUPPORTED_POINT_CLOUD_TYPES: ClassVar[tuple[str, ...]] = SCENE_TYPES
    log_type: ClassVar[str] = "object3D-file"
    media_subdir: ClassVar[str] = "media/object3D"

    def __init__(self, data_or_path: Any, caption: str | None = None, file_type: str | None = None) -> None:
        """Takes points or a mesh.

        Args:
            data_or_path: an array, or a sequence, of points that are x, y, z; x, y, z and a category; or x, y, z, red, green, blue.
                Or a dict with "type": "lidar/beta" and "points", "boxes" and "vectors", as `from_point_cloud` takes them.
                Or the path of a file of one of `SUPPORTED_TYPES`, or an opened file.
            caption: shown beside it.
            file_type: one of `SUPPORTED_TYPES`, for an opened file.

        Raises:
            ValueError: no such file, another type, or a point, box or vector that is none; the message has its number.
        """
        super().__init__(caption)
        path = given_path(data_or_path)
        if path is not None:
            self._take_mesh(path)
        elif hasattr(data_or_path, "read"):
            if file_type is None:
                raise ValueError("Must pass file type keyword argument when using io objects.")
            if file_type not in self.SUPPORTED_TYPES:
                raise ValueError(f"file_type is {file_type!r}; Object3D takes {', '.join(self.SUPPORTED_TYPES)}")
            self._take_bytes(read_given(data_or_path), f".{file_type}")
        elif isinstance(data_or_path, Mapping):
            self._take_bytes(json_bytes(checked_scene(data_or_path)), f".{POINTS_FILE}")
        elif hasattr(data_or_path, "tolist") or isinstance(data_or_path, Sequence):
            self._take_bytes(json_bytes(_points(data_or_path)), f".{POINTS_FILE}")
        else:
            raise ValueError(f"data must be a numpy array, dict or a file object, not {type(data_or_path).__name__}")

    def _take_mesh(self, path: str) -> None:
        if known_extension(path, self.SUPPORTED_TYPES) is None:
            supported = ", ".join(self.SUPPORTED_TYPES)
            raise ValueError(f"File '{path}' is not compatible with Object3D: supported types are: {supported}")
        self._take_path(path)

    @classmethod
    def from_file(
        cls, data_or_path: str | os.PathLike[str] | IO[str] | IO[bytes], file_type: str | None = None
    ) -> Self:
        """Takes a file.

        Args:
            data_or_path: its path, or an opened file.
            file_type: one of `SUPPORTED_TYPES`, for an opened file.

        Raises:
            ValueError: no such file, or another type.
        """
        return cls(data_or_path, file_type=file_type)

    @classmethod
    def from_numpy(cls, data: np.ndarray[Any, np.dtype[Any]]) -> Self:
        """Takes an array of points, as the constructor.

        Raises:
            ValueError: it is no array, or of another shape.
        """
        if not hasattr(data, "shape"):
            raise ValueError(f"`data` must be a numpy array, not {type(data).__name__}")
        return cls(data)

    @classmethod
    def from_point_cloud(
        cls,
        points: Sequence[Sequence[float]],
        boxes: Sequence[Mapping[str, Any]],
        vectors: Sequence[Mapping[str, Any]] | None = None,
        point_cloud_type: str = "lidar/beta",
    ) -> Self:
        """Takes points with what is shown among them.

        Args:
            points: as the constructor takes them.
            boxes: dicts with "corners" (8 points), "color" (red, green, blue) and, if wanted, "label" and "score"; `box3d` makes them.
            vectors: dicts with "start" and "end", each a point.
            point_cloud_type: "lidar/beta", the only one.

        Raises:
            ValueError: another type, or a point, box or vector that is none; the message has its number.
        """
        return cls({"type": point_cloud_type, "points": points, "boxes": boxes, "vectors": vectors or []})

    def to_numpy(self) -> np.ndarray[Any, np.dtype[Any]]:
        """Returns the points, as an array of one row each.

        Raises:
            ValueError: it is a mesh.
            MalformedObjectError: the artifact's file holds no points.
            MissingPackageError: NumPy is not installed.
        """
        numpy = load_package("numpy", "points as an array")
        return numpy.array(self.scene()["points"], dtype=numpy.float64)  # type: ignore[no-any-return]

    def scene(self) -> dict[str, Any]:
        """Returns type, points, boxes and vectors, the latter empty for points alone.

        Raises:
            ValueError: it is a mesh.
            MalformedObjectError: the artifact's file holds no points.
        """
        if known_extension(self._content.name, (POINTS_FILE,)) is None:
            raise ValueError(f"{self._content.name} holds no points; path has the file for a program that shows it.")
        content = read_json(self)
        try:
            if isinstance(content, dict):
                return checked_scene(content)
            return {"type": SCENE_TYPES[0], "points": checked_points(content), "boxes": [], "vectors": []}
        except InvalidInputError as error:
            raise unreadable(self._content, str(error)) from error


def _points(data: Any) -> list[list[float]]:
    shape = getattr(data, "shape", None)
    if shape is not None and (len(shape) != 2 or shape[1] not in POINT_NUMBERS):
        raise InvalidInputError(f"The shape of the numpy array must be one of either {SHAPES}; it is {tuple(shape)}.")
    return checked_points(data)
