"""`Image`: what it is made of, the file that it becomes, and how its numbers are brought into range."""

import base64
import copy
import gc
import io
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import holdfast
from holdfast.errors import MissingPackageError

RNG = np.random.default_rng(3)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
RGBA = RNG.integers(0, 256, (5, 7, 4), dtype=np.uint8)


class Tensor:
    """What an Image asks of a tensor of PyTorch: channels first, on a device, with a gradient."""

    def __init__(self, array: np.ndarray, steps: tuple[str, ...] = ()) -> None:
        self.array, self.steps, self.dtype = array, steps, f"torch.{array.dtype}"

    def detach(self) -> "Tensor":
        return Tensor(self.array, (*self.steps, "detach"))

    def cpu(self) -> "Tensor":
        return Tensor(self.array, (*self.steps, "cpu"))

    def numpy(self) -> np.ndarray:
        assert self.steps == ("detach", "cpu"), "numpy() of a tensor with a gradient, or on another device, raises"
        return self.array


class Eager:
    """A tensor of TensorFlow."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def numpy(self) -> np.ndarray:
        return self.array


def image_file(folder: Path, name: str = "user's.png", array: np.ndarray = RGB) -> Path:
    path = folder / name
    PIL.Image.fromarray(array).save(path)
    return path


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (GREY, GREY),
        (RGB, RGB),
        (RGBA, RGBA),
        (GREY[:, :, None], GREY),
        (GREY[None], GREY),
        (RGB[None], RGB),
        (RGB[:1], RGB[:1]),
        (RGB.tolist(), RGB),
        (RGB.astype(np.int64), RGB),
        (RGB[::-1, ::2], RGB[::-1, ::2]),
        (GREY > 100, (GREY > 100) * 255),
        (Tensor(RGB.transpose(2, 0, 1)), RGB),
        (Tensor(RGB.transpose(2, 0, 1)[None]), RGB),
        (Tensor(GREY[None]), GREY),
        (Tensor(GREY), GREY),
        (Eager(RGB), RGB),
        (PIL.Image.fromarray(RGBA), RGBA),
        (PIL.Image.fromarray(GREY > 100), GREY > 100),
    ],
    ids=lambda value: None,
)
def test_pixels_of_each_form_come_back(data: Any, pixels: np.ndarray) -> None:
    image = holdfast.Image(data)
    np.testing.assert_array_equal(image.to_numpy(), pixels)
    assert (image.height, image.width, image.format) == (*pixels.shape[:2], "png")


@pytest.mark.parametrize(
    ("values", "bytes_"),
    [
        ([0.0, 0.5, 1.0], [0, 127, 255]),
        ([-1.0, 0.0, 1.0], [0, 127, 255]),
        ([0, 1, 1], [0, 255, 255]),
        ([0.0, 10.7, 255.0], [0, 10, 255]),
    ],
)
def test_values_are_brought_into_range_by_the_rules_of_wandb(values: list[float], bytes_: list[int]) -> None:
    assert holdfast.Image(np.array([values])).to_numpy().tolist() == [bytes_]


def test_values_beyond_the_range_are_cut_off_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="0 … 255"):
        image = holdfast.Image(np.array([[-5.0, 300.0, np.nan, 7.0]]))
    assert image.to_numpy()[0, [0, 1, 3]].tolist() == [0, 255, 7]


def test_without_normalizing_values_are_taken_as_they_are() -> None:
    assert holdfast.Image(np.array([[0, 1, 200]]), normalize=False).to_numpy().tolist() == [[0, 1, 200]]


@pytest.mark.parametrize("shape", [(2,), (2, 3, 5), (2, 3, 4, 5), (0, 4), (3, 5, 7)])
def test_shapes_of_no_image_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=str(list(shape)).replace("[", r"\[")):
        holdfast.Image(np.zeros(shape))


@pytest.mark.parametrize(
    ("shape", "help_"), [((3, 5, 7), r"array\.transpose\(1, 2, 0\)"), ((2, 5, 7, 3), "of each picture")]
)
def test_the_message_says_what_helps_with_other_orders_and_many_pictures(shape: tuple[int, ...], help_: str) -> None:
    with pytest.raises(ValueError, match=help_):
        holdfast.Image(np.zeros(shape))


@pytest.mark.parametrize("value", [None, 5j, object(), {"a": 1}, np.array(["text"])])
def test_what_is_no_image_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="An Image is made of"):
        holdfast.Image(value)


@pytest.mark.parametrize(("file_type", "kind"), [("png", "PNG"), ("jpg", "JPEG"), ("jpeg", "JPEG"), ("bmp", "BMP")])
def test_file_type_is_what_is_stored(file_type: str, kind: str) -> None:
    image = holdfast.Image(RGB, file_type=file_type)
    assert image.format == file_type
    assert image.path.endswith(f".{file_type}")
    assert PIL.Image.open(image.path).format == kind


def test_other_file_types_are_refused() -> None:
    with pytest.raises(ValueError, match=r"file_type must be one of \['png', 'jpg', 'jpeg', 'bmp'\]"):
        holdfast.Image(RGB, file_type="gif")


def test_jpeg_leaves_transparency_out_and_says_so() -> None:
    with pytest.warns(UserWarning, match="no transparency"):
        image = holdfast.Image(RGBA, file_type="jpg")
    assert image.image is not None
    assert image.image.mode == "RGB"
    assert holdfast.Image(PIL.Image.fromarray(RGBA), file_type="jpg").to_numpy().shape == (5, 7, 3)


def test_mode_is_that_of_pil() -> None:
    assert holdfast.Image(RGB, mode="L").to_numpy().shape == (5, 7)
    assert holdfast.Image(PIL.Image.fromarray(RGB), mode="L").to_numpy().shape == (5, 7)
    # Numbers that are meant in this mode are stored as the colours that they stand for.
    luma = holdfast.Image(RGB, mode="YCbCr").to_numpy()
    np.testing.assert_array_equal(luma, PIL.Image.frombytes("YCbCr", (7, 5), RGB.tobytes()).convert("RGB"))


@pytest.mark.parametrize("as_path", [str, Path], ids=["text", "path"])
def test_a_users_file_stays_as_it_is(tmp_path: Path, as_path: Any) -> None:
    path = image_file(tmp_path, "picture.JPG")
    image = holdfast.Image(as_path(path))
    assert (image.path, image.format, image.width, image.height) == (str(path), "jpg", 7, 5)
    assert image.open().read() == path.read_bytes()


@pytest.mark.parametrize("wrap", [bytes, bytearray, io.BytesIO], ids=["bytes", "bytearray", "file"])
def test_bytes_of_an_image_file_stay_as_they_are(tmp_path: Path, wrap: Any) -> None:
    data = image_file(tmp_path).read_bytes()
    image = holdfast.Image(wrap(data))
    assert image.open().read() == data
    assert (image.format, image.width, image.height) == ("png", 7, 5)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Path is not a file"):
        holdfast.Image(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(OSError, match=r"text\.png"):
        holdfast.Image(tmp_path / "text.png")


def test_figures_are_drawn() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(2, 1), dpi=50)
    try:
        for form in (figure, axes, pyplot):
            image = holdfast.Image(form)
            assert (image.width, image.height, image.format) == (100, 50, "png")
        assert holdfast.Image(figure, file_type="jpg").format == "jpg"
    finally:
        pyplot.close(figure)


def test_an_image_of_an_image_shares_its_file_and_keeps_what_is_not_given_anew() -> None:
    mask = {"mask_data": np.zeros((5, 7), np.uint8), "class_labels": {0: "ground"}}
    first = holdfast.Image(RGB, caption="first", grouping=4, masks={"m": mask})
    second = holdfast.Image(first, caption="second")
    assert second._content is first._content
    assert (second.caption, second.grouping, second.classes) == ("second", 4, first.classes)
    assert (second.masks, second.boxes) == ({}, {})


def test_equal_pixels_make_equal_images(tmp_path: Path) -> None:
    png, bmp = holdfast.Image(RGB), holdfast.Image(RGB, file_type="bmp")
    assert png == bmp == holdfast.Image(image_file(tmp_path))
    assert png != holdfast.Image(RGB, caption="another")
    assert png != holdfast.Image(RGB, grouping=1)
    assert png != holdfast.Image(RGB, classes=[{"id": 0, "name": "ground"}])
    assert png != holdfast.Image(255 - RGB)
    assert png != "png"


def test_a_url_is_kept_and_asked_for_nothing() -> None:
    image = holdfast.Image("https://127.0.0.1:9/folder/cat.JPEG?size=2#part", caption="cat")
    assert (image.url, image.format, image.image, image.width) == (
        "https://127.0.0.1:9/folder/cat.JPEG?size=2#part",
        "jpeg",
        None,
        None,
    )
    assert image.to_data_array() == []
    with pytest.raises(ValueError, match="after it was logged"):
        image.to_numpy()


def test_pixels_as_lists() -> None:
    assert holdfast.Image(GREY).to_data_array() == GREY.tolist()
    assert holdfast.Image(RGB).to_data_array() == [[tuple(pixel) for pixel in row] for row in RGB.tolist()]


def test_notebooks_show_it_and_text_is_escaped() -> None:
    image = holdfast.Image(np.zeros((10, 3000), np.uint8), caption="<b>&")
    shown = image._repr_png_()
    assert shown is not None
    assert PIL.Image.open(io.BytesIO(shown)).width == 1024
    bundle = image._repr_mimebundle_()
    assert base64.b64encode(shown).decode() in bundle["text/html"]
    assert "&lt;b&gt;&amp;" in bundle["text/html"]
    assert "3000×10" in repr(image)
    assert holdfast.Image("https://x/?a=<b>")._repr_png_() is None
    assert "https://x/?a=&lt;b&gt;" in holdfast.Image("https://x/?a=<b>")._repr_html_()


@pytest.mark.parametrize(("module", "package"), [("PIL.Image", "pillow"), ("numpy", "numpy")])
def test_a_library_that_is_not_installed_is_named_with_the_command(
    module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=rf"^Image needs {package}: pip install 'holdfast\[media\]'$"):
        holdfast.Image(RGB)


def test_names_are_where_scripts_look() -> None:
    from holdfast import data_types

    assert data_types.Image is holdfast.Image
    assert data_types.WBValue in holdfast.Image.__mro__
    assert {"Image", "Table"} <= set(dir(data_types))
    with pytest.raises(AttributeError, match="Nothing"):
        data_types.Nothing  # noqa: B018


def test_a_file_of_small_bytes_appears_when_somebody_wants_its_path() -> None:
    image = holdfast.Image(RGB)
    data = image.open().read()
    path = image.path
    assert Path(path).read_bytes() == data == image.open().read()
    del image
    assert not os.path.exists(path)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda image: pickle.loads(pickle.dumps(image))])
@pytest.mark.parametrize("size", [(5, 7, 3), (200, 200, 3)], ids=["small", "large"])
def test_a_copy_outlives_the_original(size: tuple[int, ...], copied: Any) -> None:
    array = RNG.integers(0, 256, size, dtype=np.uint8)
    masks = {"m": {"mask_data": array[:, :, 0] // 99}}
    image = holdfast.Image(array, caption="c", masks=masks, boxes={"b": {"box_data": []}})
    assert image.image is not None
    other = copied(image)
    assert other == image
    del image
    gc.collect()
    np.testing.assert_array_equal(other.to_numpy(), array)
    assert other.masks["m"].class_labels == other.classes.labels


@pytest.mark.parametrize("caption", [5, np.int64(5), np.str_("5")])
def test_captions_are_texts_whatever_labels_are(caption: Any) -> None:
    image = holdfast.Image(RGB, caption=caption, grouping=np.int64(3))
    assert (image.caption, type(image.caption), type(image.grouping)) == ("5", str, int)
