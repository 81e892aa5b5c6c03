"""`Object3D`: points, boxes and vectors that are checked, and meshes as they are; `box3d`."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import holdfast
from holdfast.errors import InvalidInputError

CORNERS = [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]
BOX = {"corners": CORNERS, "color": [0, 255, 0], "label": "car", "score": 0.5}
VECTOR = {"start": [0, 0, 0], "end": [1, 1, 1]}
MESHES = ("obj", "gltf", "glb", "babylon", "stl", "pts.json")


@pytest.mark.parametrize("columns", [3, 4, 6])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_points_of_each_shape_come_back(columns: int, dtype: type) -> None:
    given = (np.random.default_rng(3).random((20, columns)) * 100).astype(dtype)
    for cloud in (holdfast.Object3D(given), holdfast.Object3D.from_numpy(given), holdfast.Object3D(given.tolist())):
        assert cloud.path.endswith(".pts.json")
        np.testing.assert_array_equal(cloud.to_numpy(), given)
        assert cloud.scene() == {"type": "lidar/beta", "points": given.tolist(), "boxes": [], "vectors": []}


def test_a_file_of_points_is_a_list_of_lists() -> None:
    cloud = holdfast.Object3D(np.array([[1, 2, 3]]))
    assert Path(cloud.path).read_text() == "[[1,2,3]]"


def test_scenes_come_back_however_they_are_given() -> None:
    expected = {"type": "lidar/beta", "points": [[1, 2, 3]], "boxes": [BOX], "vectors": [VECTOR]}
    arrays = {
        "type": "lidar/beta",
        "points": np.array([[1, 2, 3]]),
        "boxes": np.array([{**BOX, "corners": np.array(CORNERS), "score": np.float64(0.5)}]),
        "vectors": np.array([VECTOR]),
    }
    tuples = {**VECTOR, "start": (0, 0, 0)}
    scenes = [
        holdfast.Object3D.from_point_cloud([(1, 2, 3)], [BOX], [tuples]),
        holdfast.Object3D.from_point_cloud(
            points=[[1, 2, 3]], boxes=[BOX], vectors=[VECTOR], point_cloud_type="lidar/beta"
        ),
        holdfast.Object3D(arrays),
    ]
    for scene in scenes:
        assert scene.scene() == expected
        assert json.loads(Path(scene.path).read_text()) == expected
        assert scene == scenes[0]


def test_what_a_scene_lacks_is_empty() -> None:
    empty = {"type": "lidar/beta", "points": [], "boxes": [], "vectors": []}
    assert holdfast.Object3D({"type": "lidar/beta"}).scene() == empty
    assert holdfast.Object3D.from_point_cloud([], [], []).scene() == empty


@pytest.mark.parametrize("shape", [(3,), (5, 2), (5, 5), (2, 3, 3)])
def test_arrays_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    for take in (holdfast.Object3D, holdfast.Object3D.from_numpy):
        with pytest.raises(InvalidInputError, match="shape of the numpy array must be one of"):
            take(np.zeros(shape))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0, 0, 0], [0, 0]], r"point 1 of .* is \[0, 0\]"),
        ([[0, 0, 0], [0, 0, 0, 1]], "point 1 of .* has 4 numbers and the first point 3"),
        ([[0, 0, "a"]], "point 0 of .* are not all numbers"),
        ([[0, 0, 0], [0, None, 0]], "point 1 of .* are not all numbers"),
        ([5], "point 0 of .* is 5"),
        ([[0, 0, True]], "point 0 of .* are not all numbers"),
        ("text", "points of the scene must be"),
    ],
)
def test_a_point_that_is_none_is_named(points: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        holdfast.Object3D.from_point_cloud(points, [])


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ({"corners": CORNERS[:7], "color": [0, 0, 0]}, "box 1 of the scene needs 8 corners"),
        ({"color": [0, 0, 0]}, "box 1 of the scene needs 8 corners"),
        ({**BOX, "corners": [*CORNERS[:7], [0, 0]]}, "corner 7 of box 1 of the scene must be 3 numbers"),
        ({**BOX, "color": [0, 0]}, "color of box 1 of the scene must be 3 numbers"),
        ({**BOX, "label": 5}, "label of box 1 of the scene is 5"),
        ({**BOX, "score": "high"}, "score of box 1 of the scene is 'high'"),
        (5, "box 1 of the scene is 5"),
    ],
)
def test_a_box_that_is_none_is_named(box: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        holdfast.Object3D.from_point_cloud([], [BOX, box])


@pytest.mark.parametrize(
    ("vector", "message"),
    [({"start": [0, 0, 0]}, "end of vector 0"), ({**VECTOR, "start": 1}, "start of vector 0"), (1, "vector 0")],
)
def test_a_vector_that_is_none_is_named(vector: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        holdfast.Object3D.from_point_cloud([], [], [vector])


def test_other_types_of_scenes_are_refused() -> None:
    for scene in ({"type": "lidar/alpha"}, {"points": []}):
        with pytest.raises(InvalidInputError, match="only 'lidar/beta' is currently supported"):
            holdfast.Object3D(scene)
    with pytest.raises(InvalidInputError, match="boxes of the scene must be a sequence"):
        holdfast.Object3D({"type": "lidar/beta", "boxes": 5})


@pytest.mark.parametrize("extension", MESHES)
def test_files_of_each_type_are_taken_as_they_are(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"chair.{extension}"
    path.write_bytes(b"[[0,0,0]]\xff" if extension == "glb" else b"[[0,0,0]]")
    by_path = holdfast.Object3D(path, caption="chair")
    assert Path(by_path.path).read_bytes() == path.read_bytes()
    assert holdfast.Object3D.from_file(str(path)) == holdfast.Object3D.from_file(path)
    with path.open("rb") as file:
        assert holdfast.Object3D(file, caption="chair") == by_path
    read = holdfast.Object3D.from_file(io.BytesIO(path.read_bytes()), file_type=extension)
    assert read.sha256 == by_path.sha256
    assert read.path.endswith(f".{extension}")


def test_what_an_opened_file_holds_must_be_said() -> None:
    with pytest.raises(ValueError, match="Must pass file type"):
        holdfast.Object3D(io.StringIO("x"))
    with pytest.raises(ValueError, match="file_type is 'ply'"):
        holdfast.Object3D(io.StringIO("x"), file_type="ply")
    with pytest.raises(ValueError, match=r"File 'a\.ply' is not compatible with Object3D"):
        holdfast.Object3D("a.ply")
    with pytest.raises(ValueError, match="data must be a numpy array, dict or a file object"):
        holdfast.Object3D(5)
    with pytest.raises(ValueError, match="must be a numpy array, not list"):
        holdfast.Object3D.from_numpy([[0, 0, 0]])  # type: ignore[arg-type]


def test_a_mesh_has_no_points(tmp_path: Path) -> None:
    path = tmp_path / "chair.obj"
    path.write_text("v 0 0 0")
    with pytest.raises(ValueError, match=r"chair\.obj holds no points"):
        holdfast.Object3D(path).to_numpy()


@pytest.mark.parametrize("text", ["no json", "5", "[[1]]", '{"type":"x"}', '{"type":"lidar/beta","boxes":[{}]}'])
def test_a_file_that_holds_no_points_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.pts.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=r"a\.pts\.json cannot be read"):
        holdfast.Object3D(path).scene()


def test_a_box_of_middle_size_and_direction() -> None:
    box = holdfast.box3d(
        center=(1, 2, 3), size=np.array([2, 4, 6]), orientation=(2, 0, 0, 0), color=(1, 0, 0), label="car"
    )
    assert box["corners"] == [[x, y, z] for x in (0, 2) for y in (0, 4) for z in (0, 6)]
    assert (box["color"], box["label"], box["score"]) == ([1, 0, 0], "car", None)
    # A quarter turn about z: the box's x lies along the scene's y.
    turned = holdfast.box3d(center=(0, 0, 0), size=(2, 4, 6), orientation=(1, 0, 0, 1), color=(1, 0, 0))
    np.testing.assert_allclose(turned["corners"][0], [2, -1, -3], atol=1e-12)
    assert holdfast.Object3D.from_point_cloud([], [box, turned]).scene()["boxes"][0]["label"] == "car"


def test_a_box_without_direction_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="zero length"):
        holdfast.box3d(center=(0, 0, 0), size=(1, 1, 1), orientation=(0, 0, 0, 0), color=(0, 0, 0))
    with pytest.raises(InvalidInputError, match="size must be 3 numbers"):
        holdfast.box3d(center=(0, 0, 0), size=(1, 1), orientation=(1, 0, 0, 0), color=(0, 0, 0))
