"""Classes, boxes and masks: what is refused, and what of an object's file that is none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import holdfast
from holdfast._object_fields import ObjectFields, reading_file, reading_key
from holdfast.artifact import Artifact
from holdfast.errors import MalformedObjectError

BOX = {"position": {"minX": 0.1, "maxX": 0.5, "minY": 0, "maxY": 1}, "class_id": 2, "scores": {"acc": 0.5}}
PIXELS = np.zeros((4, 6), np.uint8)
SHA = "00" * 32


def boxes_of(**changes: Any) -> holdfast.BoundingBoxes2D:
    box = {key: value for key, value in {**BOX, **changes}.items() if value != "absent"}
    return holdfast.BoundingBoxes2D({"box_data": [BOX, box]}, "layer")


def source() -> Artifact:
    return Artifact("source", "dataset")


def test_boxes_are_kept_as_plain_values() -> None:
    middle = {"middle": np.array([3, 4]), "width": np.float32(0.5), "height": np.int64(2)}
    boxes = boxes_of(position=middle, class_id=np.int64(7), domain="pixel", box_caption="seven", scores={})
    assert boxes.box_data[1] == {
        "position": {"middle": [3, 4], "width": 0.5, "height": 2},
        "class_id": 7,
        "domain": "pixel",
        "box_caption": "seven",
        "scores": {},
    }
    assert boxes.class_labels == {2: "class_2", 7: "class_7"}
    assert json.loads(json.dumps(boxes.box_data)) == boxes.box_data


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"position": "absent"}, r"box_data\[1\]\.position must be a dict"),
        ({"position": {"minX": 0}}, r"box_data\[1\]\.position\.maxX must be a number, not None"),
        (
            {"position": {"middle": [1], "width": 1, "height": 1}},
            r"box_data\[1\]\.position\.middle must be two numbers",
        ),
        ({"position": {"middle": [1, 2], "width": 1}}, r"box_data\[1\]\.position\.height must be a number"),
        (
            {"position": {**BOX["position"], "minY": float("nan")}},
            r"box_data\[1\]\.position\.minY must be a number, not nan",
        ),  # type: ignore[dict-item]
        ({"class_id": 1.5}, r"box_data\[1\]\.class_id must be a whole number"),
        ({"class_id": True}, r"box_data\[1\]\.class_id must be a whole number"),
        ({"scores": [1]}, r"box_data\[1\]\.scores must be a dict"),
        (
            {"scores": {"acc": "high"}},
            r"box_data\[1\]\.scores must be a dict of names to numbers; it has 'acc': 'high'",
        ),
        ({"box_caption": 5}, r"box_data\[1\]\.box_caption must be a text"),
    ],
)
def test_a_box_that_is_none_is_refused_by_its_number_and_key(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        boxes_of(**changes)


@pytest.mark.parametrize("value", [{}, {"box_data": 5}, [], {"box_data": {}}])
def test_boxes_need_a_list(value: Any) -> None:
    with pytest.raises(TypeError, match="'layer' need 'box_data'"):
        holdfast.BoundingBoxes2D(value, "layer")


@pytest.mark.parametrize("labels", [{"a": "b"}, {0: 5}, ["a"]])
def test_labels_are_texts_by_numbers(labels: Any) -> None:
    with pytest.raises(TypeError, match="class_labels must be a dict of numbers to text"):
        holdfast.BoundingBoxes2D({"box_data": [], "class_labels": labels}, "layer")


@pytest.mark.parametrize(
    "mask", [PIXELS, PIXELS.astype(bool), PIXELS.astype(np.float64), PIXELS.tolist(), PIXELS.astype(np.int64) + 255]
)
def test_masks_hold_the_class_of_each_pixel(mask: Any) -> None:
    made = holdfast.ImageMask({"mask_data": mask}, "layer")
    np.testing.assert_array_equal(made.mask_data, np.asarray(mask).astype(np.uint8))
    number = int(np.asarray(mask)[0, 0])
    assert made.class_labels == {number: f"class_{number}"}
    assert made.path.endswith(".mask.png")


@pytest.mark.parametrize("mask", [PIXELS - 1.0, PIXELS + 256.0, PIXELS + 0.5, PIXELS[0], PIXELS.astype(str)])
def test_masks_of_anything_else_are_refused(mask: Any) -> None:
    with pytest.raises(TypeError, match="mask_data of 'layer' must be"):
        holdfast.ImageMask({"mask_data": mask}, "layer")


def test_a_mask_of_another_size_than_its_image_is_told_with_both_sizes(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[:2]).save(tmp_path / "mask.png")
    for mask in ({"mask_data": PIXELS[:2]}, {"path": str(tmp_path / "mask.png")}):
        with pytest.warns(UserWarning, match="mask 'm' has 6×2 pixels, its image 6×4"):
            holdfast.Image(PIXELS, masks={"m": mask})
    (tmp_path / "none.png").write_bytes(b"none")
    holdfast.Image(PIXELS, masks={"m": {"path": str(tmp_path / "none.png")}, "n": {"mask_data": PIXELS}})


def test_a_mask_needs_data_or_a_file() -> None:
    with pytest.raises(TypeError, match="'layer' needs 'mask_data'"):
        holdfast.ImageMask({}, "layer")


@pytest.mark.parametrize("class_set", [[{"id": 0}], [{"name": "a"}], ["a"], [5]])
def test_classes_have_id_and_name(class_set: Any) -> None:
    with pytest.raises(TypeError, match=r"class_set\[0\] must be a dict with the keys 'id' and 'name'"):
        holdfast.Classes(class_set)


def test_classes_of_an_image_are_those_of_its_layers_and_its_own() -> None:
    image = holdfast.Image(
        PIXELS,
        classes=holdfast.Classes([{"id": 2, "name": "two"}, {"id": 9, "name": "nine"}]),
        boxes={"b": {"box_data": [BOX]}},
        masks={"m": {"mask_data": PIXELS, "class_labels": {0: "ground"}}},
    )
    assert image.classes is not None
    assert image.classes.labels == {2: "two", 0: "ground", 9: "nine"}


@pytest.mark.parametrize("layers", [{"boxes": [1]}, {"masks": [1]}])
def test_layers_are_dicts(layers: Any) -> None:
    with pytest.raises(ValueError, match="argument must be a dictionary"):
        holdfast.Image(PIXELS, **layers)


def test_a_mask_without_classes_is_refused_when_it_is_added() -> None:
    kept = holdfast.Image(PIXELS)
    image = holdfast.Image(PIXELS, masks={"m": {"path": kept.path}})
    with pytest.raises(ValueError, match="needs classes"):
        image.to_json(source())


# --- files that hold no such object -----------------------------------------------------------------------------------

WHOLE = {
    "_type": "image-file",
    "path": "media/images/x.png",
    "sha256": SHA,
    "size": 9,
    "format": "png",
    "width": 6,
    "height": 4,
    "caption": "c",
    "grouping": 1,
    "classes": {"type": "classes-file", "path": "media/classes/a_cls.classes.json", "digest": "d"},
    "boxes": {"b": [BOX]},
    "masks": {"m": {"_type": "mask", "path": "media/images/mask/m.png", "sha256": SHA}},
}
KEYS = sorted(WHOLE.keys() - {"_type"})
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def read(content: Any) -> holdfast.Image:
    with reading_file("i.image-file.json"):
        return holdfast.Image.from_json(content, source())


def test_what_is_read_fetches_nothing() -> None:
    image = read({**WHOLE, "something": "newer"})
    assert (image.width, image.height, image.format, image.caption, image.grouping) == (6, 4, "png", "c", 1)
    assert image.sha256 == SHA
    assert image.boxes["b"].box_data == [BOX]
    assert image.masks["m"].key == "m"
    assert "6×4" in repr(image)


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        ({"path": 5}, "path", "is 5, and must be text"),
        ({"path": "../x"}, "path", "is no path of an artifact"),
        ({"width": "6"}, "width", "is '6', and must be a whole number"),
        ({"grouping": True}, "grouping", "is True"),
        ({"caption": ["a", "b"]}, "caption", "must be text"),
        ({"classes": {"type": "classes-file"}}, "classes.path", "is missing"),
        ({"boxes": {"b": {}}}, "boxes.b", "must be a list"),
        ({"boxes": {"b": [{}]}}, "boxes.b", r"box_data\[0\]\.position"),
        ({"masks": {"m": {}}}, "masks.m.path", "is missing, and must be text"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(change: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(MalformedObjectError, match=said) as caught:
        read({**WHOLE, **change})
    assert caught.value.detail["key"].startswith(key)
    assert (caught.value.detail["path"], caught.value.detail["artifact"]) == ("i.image-file.json", "source")
    assert str(caught.value).startswith("i.image-file.json of source holds no ")


@settings(max_examples=60)
@given(st.sampled_from([*KEYS, None]), ANY_JSON)
def test_any_other_content_is_an_image_or_an_error_that_names_file_and_key(key: str | None, value: Any) -> None:
    detail = None
    try:
        image = read(value if key is None else {**WHOLE, key: value})
        assert [image.boxes[name].key for name in image.boxes] == list(image.boxes)
    except MalformedObjectError as error:
        detail = error.detail
    if detail is not None:
        assert detail["path"] == "i.image-file.json"
        assert key is None or detail["key"].partition(".")[0] == key


def test_keys_are_named_from_the_outermost_one_on() -> None:
    with reading_file("t.table.json"), reading_key("data[3][1]"):
        fields = ObjectFields({"outer": {"number": 1, "rate": "x"}}, "Thing", source())
    inner = fields.below("outer")
    assert (inner.whole("number"), inner.number_or_none("number"), inner.sequence_or_none("absent")) == (1, 1, None)
    with pytest.raises(MalformedObjectError, match=r"data\[3\]\[1\]\.outer\.rate: is 'x', and must be a number"):
        inner.number_or_none("rate")
