"""Images with all three processes: logged, got by another host's SDK, equal; stored once, or taken over from where they were got."""

import gc
import json
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import holdfast
from holdfast._fetch import Fetcher
from holdfast.errors import MalformedObjectError
from support.http_server import WebServer
from support.sdk_calls import fetched, log, new_artifact
from support.sdk_host import SdkHost

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(0, 256, (8, 6, 3), dtype=np.uint8)
LARGE = RNG.integers(0, 256, (200, 200, 3), dtype=np.uint8)
"""More than a record holds, as PNG."""
MASK = RNG.integers(0, 3, (8, 6), dtype=np.uint8)
LABELS = {0: "ground", 1: "tree", 2: "car"}
BOXES = [{"position": {"middle": [3, 4], "width": 2, "height": 2}, "domain": "pixel", "class_id": 2}]


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    return iter(())


def annotated(pixels: np.ndarray = PIXELS, caption: str = "scene") -> holdfast.Image:
    return holdfast.Image(
        pixels,
        caption=caption,
        grouping=3,
        boxes={"seen": {"box_data": BOXES, "class_labels": LABELS}},
        masks={"truth": {"mask_data": MASK, "class_labels": LABELS}},
    )


def forms(folder: Path) -> dict[str, holdfast.Image]:
    """An image of every form that the constructor takes."""
    PIL.Image.fromarray(PIXELS).save(folder / "of a user.png")
    return {
        "path": holdfast.Image(folder / "of a user.png"),
        "bytes": holdfast.Image((folder / "of a user.png").read_bytes()),
        "pil": holdfast.Image(PIL.Image.fromarray(PIXELS), file_type="bmp"),
        "grey": holdfast.Image(PIXELS[:, :, 0]),
        "rgba": holdfast.Image(np.dstack([PIXELS, MASK])),
        "float": holdfast.Image(PIXELS / 255),
        "bool": holdfast.Image(MASK > 1),
        "jpg": holdfast.Image(LARGE, file_type="jpg"),
        "large": holdfast.Image(LARGE, caption="large"),
        "annotated": annotated(),
        "image": holdfast.Image(annotated(), caption="another caption"),
    }


def test_every_form_comes_back_equal(tmp_path: Path) -> None:
    given = forms(tmp_path)
    artifact = new_artifact()
    for name, image in given.items():
        artifact[f"images/{name}"] = image
    version = fetched(log(artifact))
    for name, image in given.items():
        found = version.get(f"images/{name}")
        assert isinstance(found, holdfast.Image)
        np.testing.assert_array_equal(found.to_numpy(), image.to_numpy())
        assert found == image
        assert (found.format, found.width, found.height) == (image.format, image.width, image.height)
    layers = version.get("images/annotated")
    assert isinstance(layers, holdfast.Image)
    np.testing.assert_array_equal(layers.masks["truth"].mask_data, MASK)
    assert layers.masks["truth"].class_labels == layers.boxes["seen"].class_labels == LABELS


def test_images_of_a_table_are_read_in_few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = RNG.integers(0, 256, (60, 8, 6, 3), dtype=np.uint8)
    images = [holdfast.Image(one, masks={"m": {"mask_data": MASK, "class_labels": LABELS}}) for one in pixels]
    artifact = new_artifact()
    artifact["t"] = holdfast.Table(columns=["image"], data=[[one] for one in images])
    asked: list[int] = []
    read_small = Fetcher.read_small

    def counted(self: Fetcher, version_id: str, paths: Sequence[str]) -> dict[str, bytes]:
        asked.append(len(paths))
        return read_small(self, version_id, paths)

    monkeypatch.setattr(Fetcher, "read_small", counted)
    table = fetched(log(artifact)).get("t")
    assert isinstance(table, holdfast.Table)
    found = table.get_column("image")
    assert asked == []
    for image, one in zip(found, pixels, strict=True):
        np.testing.assert_array_equal(image.to_numpy(), one)
    assert asked == [1, 2, 4, 8, 16, 29]
    np.testing.assert_array_equal(found[-1].masks["m"].mask_data, MASK)


def content_of(version: holdfast.Artifact, path: str) -> Any:
    return json.loads(version.get_entry(path).read_bytes())


def test_what_is_written_has_exactly_the_documented_keys(tmp_path: Path) -> None:
    artifact = new_artifact()
    artifact.add(annotated(), "scene")
    artifact.add(forms(tmp_path)["path"], "plain")
    version = fetched(log(artifact))
    scene, plain = content_of(version, "scene.image-file.json"), content_of(version, "plain.image-file.json")
    assert plain.keys() == {"_type", "path", "sha256", "size", "format", "width", "height"}
    assert scene.keys() == plain.keys() | {"caption", "grouping", "boxes", "masks", "classes"}
    assert scene["masks"]["truth"].keys() == {"_type", "path", "sha256", "size"}
    assert scene["boxes"] == {"seen": BOXES}
    assert scene["classes"].keys() == {"type", "path", "digest"}
    classes = content_of(version, scene["classes"]["path"])
    assert classes == {"_type": "classes", "class_set": [{"id": key, "name": name} for key, name in LABELS.items()]}
    assert plain["path"] == f"media/images/{plain['sha256'][:20]}/of a user.png"
    assert scene["path"].startswith("media/images/")
    assert scene["path"].count("/") == 2
    assert scene["masks"]["truth"]["path"].startswith("media/images/mask/")
    assert scene["classes"]["path"].startswith("media/classes/")
    assert scene["classes"]["path"].endswith("_cls.classes.json")


def media_of(version: holdfast.Artifact) -> dict[str, str | None]:
    return {path: entry.ref for path, entry in version.manifest.entries.items() if path.startswith("media/")}


def test_equal_images_are_stored_once(tmp_path: Path) -> None:
    PIL.Image.fromarray(LARGE).save(tmp_path / "x.png")
    artifact = new_artifact()
    artifact.add_file(str(tmp_path / "x.png"), "mine/x.png")
    for number in range(4):
        artifact.add(annotated(caption=str(number)), f"small/{number}")
        artifact.add(holdfast.Image(LARGE, caption=str(number)), f"large/{number}")
        artifact.add(holdfast.Image(str(tmp_path / "x.png"), caption=str(number)), f"file/{number}")
    version = fetched(log(artifact))
    assert len(media_of(version)) == 4, "one small, one large, one mask, one file of classes"
    assert content_of(version, "file/3.image-file.json")["path"] == "mine/x.png"


def test_a_users_file_that_has_changed_is_not_taken_for_the_one_that_was_added(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    PIL.Image.fromarray(PIXELS).save(file)
    artifact = new_artifact()
    artifact.add(holdfast.Image(file), "before")
    changed = holdfast.Image(file)
    PIL.Image.fromarray(255 - PIXELS).save(file)
    artifact.add(changed, "after")
    version = fetched(log(artifact))
    found = version.get("before"), version.get("after")
    assert [isinstance(one, holdfast.Image) for one in found] == [True, True]
    np.testing.assert_array_equal(found[0].to_numpy(), PIXELS)  # type: ignore[union-attr]
    np.testing.assert_array_equal(found[1].to_numpy(), 255 - PIXELS)  # type: ignore[union-attr]
    assert content_of(version, "before")["sha256"] != content_of(version, "after")["sha256"]


def test_files_of_an_object_that_could_not_be_added_are_read_all_the_same(tmp_path: Path) -> None:
    PIL.Image.fromarray(MASK).save(tmp_path / "mask.png")
    artifact = new_artifact()
    nameless = holdfast.Image(PIXELS, masks={"m": {"path": tmp_path / "mask.png"}})
    table = holdfast.Table(columns=["image"], data=[[holdfast.Image(LARGE)], [nameless]])
    # The first one was sent when the second one turns out to have no classes; its file goes with the table.
    with pytest.raises(ValueError, match="needs classes"):
        artifact.add(table, "table")
    del table
    gc.collect()
    with artifact.new_file("other") as file:
        file.write("x")
    version = fetched(log(artifact))
    assert len(media_of(version)) == 1
    assert len(version.manifest) == 2


def test_an_image_of_another_artifact_is_taken_over_with_all_that_belongs_to_it() -> None:
    artifact = new_artifact()
    artifact.add(annotated(), "scene")
    source = fetched(log(artifact))
    got = source.get("scene")
    assert isinstance(got, holdfast.Image)
    other = new_artifact()
    other.add(got, "whole")
    other.add(holdfast.Image(got, caption="new", masks=got.masks, boxes=got.boxes), "part")
    version = fetched(log(other))
    taken = {path: f"holdfast-artifact://{source.id}/{path}" for path in media_of(source)}
    assert media_of(version) == taken
    assert (
        version.manifest.entries["whole.image-file.json"].ref
        == f"holdfast-artifact://{source.id}/scene.image-file.json"
    )
    assert version.get("whole") == got
    part = version.get("part")
    assert isinstance(part, holdfast.Image)
    assert (part.caption, part.masks, part.boxes, part.classes) == ("new", got.masks, got.boxes, got.classes)


def test_an_image_of_an_artifact_travels_to_another_process() -> None:
    artifact = new_artifact()
    artifact.add(annotated(), "scene")
    got = fetched(log(artifact)).get("scene")
    other = pickle.loads(pickle.dumps(got))
    assert other == got == annotated()
    assert other.boxes["seen"].class_labels == LABELS


def test_an_image_goes_back_into_a_draft_of_its_own_version() -> None:
    artifact = new_artifact()
    artifact.add(annotated(), "scene")
    source = fetched(log(artifact))
    got = source.get("scene")
    assert isinstance(got, holdfast.Image)
    draft = source.new_draft()
    draft.add(holdfast.Image(got, caption="again"), "again")
    version = fetched(log(draft))
    assert sorted(media_of(version)) == sorted(media_of(source))
    assert [version.get("scene") == got, version.get("again") == holdfast.Image(got, caption="again")] == [True, True]


def test_a_url_becomes_a_reference_whose_pixels_are_read_from_there(tmp_path: Path) -> None:
    PIL.Image.fromarray(PIXELS).save(tmp_path / "x.png")
    with WebServer() as web:
        url = web.put("/folder/cat.png", (tmp_path / "x.png").read_bytes(), etag='"1"')
        artifact = new_artifact()
        artifact.add(holdfast.Image(url, caption="cat"), "cat")
        artifact.add(holdfast.Image(url, caption="same"), "same")
        version = fetched(log(artifact))
        ((path, ref),) = media_of(version).items()
        assert (ref, path.startswith("media/images/"), path.endswith("/cat.png")) == (url, True, True)
        found = version.get("cat")
        assert isinstance(found, holdfast.Image)
        assert (found == holdfast.Image(url, caption="cat"), found.format, found.url) == (True, "png", None)
        np.testing.assert_array_equal(found.to_numpy(), PIXELS)
        other = new_artifact()
        other.add(holdfast.Image(found, caption="taken"), "taken")
        assert media_of(fetched(log(other))) == {path: url}


def golden(folder: Path, content: dict[str, Any], name: str = "golden.image-file.json") -> holdfast.Artifact:
    """A version whose files are those that W&B's client writes."""
    (folder / "media/images/mask").mkdir(parents=True)
    (folder / "media/classes").mkdir()
    PIL.Image.fromarray(PIXELS).save(folder / "media/images/0a1b2c.png")
    PIL.Image.fromarray(MASK).save(folder / "media/images/mask/9f.mask.png")
    class_set = [{"id": key, "name": name} for key, name in LABELS.items()]
    (folder / "media/classes/77_cls.classes.json").write_text(json.dumps({"_type": "classes", "class_set": class_set}))
    (folder / name).write_text(json.dumps(content))
    artifact = new_artifact()
    artifact.add_dir(str(folder))
    return fetched(log(artifact))


def test_files_as_wandb_writes_them_are_read(tmp_path: Path) -> None:
    content = {
        "_type": "image-file",
        "path": "media/images/0a1b2c.png",
        "sha256": "ab" * 32,
        "format": "png",
        "width": 6,
        "height": 8,
        "classes": {"type": "classes-file", "path": "media/classes/77_cls.classes.json", "digest": "xyz=="},
        "boxes": {"seen": BOXES},
        "masks": {"truth": {"_type": "mask", "path": "media/images/mask/9f.mask.png", "sha256": "cd" * 32}},
        "key of a newer client": {"a": 1},
    }
    found = golden(tmp_path / "g", content).get("golden")
    assert isinstance(found, holdfast.Image)
    np.testing.assert_array_equal(found.to_numpy(), PIXELS)
    np.testing.assert_array_equal(found.masks["truth"].mask_data, MASK)
    assert found.boxes["seen"].box_data == BOXES
    assert found.classes is not None
    assert found.classes.labels == found.masks["truth"].class_labels == LABELS


def test_what_is_missing_beside_an_object_is_named(tmp_path: Path) -> None:
    lost = {"_type": "image-file", "path": "media/images/lost.png", "classes": {"path": "media/classes/lost"}}
    found = golden(tmp_path / "g", lost).get("golden")
    assert isinstance(found, holdfast.Image)
    with pytest.raises(MalformedObjectError, match=r"path: the artifact has no file 'media/images/lost\.png'"):
        found.to_numpy()
    with pytest.raises(MalformedObjectError, match=r"classes\.path: the artifact has no classes 'media/classes/lost'"):
        found.classes  # noqa: B018
    no_image = {"_type": "image-file", "path": "media/classes/77_cls.classes.json"}
    other = golden(tmp_path / "h", no_image).get("golden")
    assert isinstance(other, holdfast.Image)
    with pytest.raises(MalformedObjectError, match="is no image") as caught:
        other.to_numpy()
    assert caught.value.detail["path"] == "golden.image-file.json"


def test_boxes_and_masks_and_classes_are_objects_of_their_own_too() -> None:
    artifact = new_artifact()
    mask = holdfast.ImageMask({"mask_data": MASK, "class_labels": LABELS}, "m")
    boxes = holdfast.BoundingBoxes2D({"box_data": BOXES}, "b")
    classes = holdfast.Classes([{"id": 0, "name": "ground", "color": "#fff"}])
    for name, value in {"mask": mask, "boxes": boxes, "classes": classes}.items():
        artifact.add(value, name)
    version = fetched(log(artifact))
    assert {"mask.mask.json", "boxes.bounding-boxes.json", "classes.classes.json"} <= set(version.manifest.entries)
    assert (version["boxes"], version["classes"]) == (boxes, classes)
    found = version["mask"]
    assert isinstance(found, holdfast.ImageMask)
    np.testing.assert_array_equal(found.mask_data, MASK)


def test_an_artifact_shows_itself_in_notebooks() -> None:
    draft = new_artifact("shown")
    assert "a draft" in draft._repr_html_()
    draft.add(annotated(), "scene")
    shown = fetched(log(draft))._repr_html_()
    for expected in ("shown:v0", "latest", "KiB", "flows"):
        assert expected in shown
