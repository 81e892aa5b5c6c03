"""Masks that are shown over an image: the class of each of its pixels."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast._object_fields import ObjectFields
from holdfast.errors import MalformedObjectError, MissingPackageError
from holdfast.media.classes import checked_labels, classes_at, default_labels
from holdfast.media.media_file import Media
from holdfast.media.optional_package import load_package
from holdfast.media.pixels import encoded, pil

if TYPE_CHECKING:
    import numpy as np

CLASS_ID_MAX = 255
"""A mask is an image with a byte for each pixel."""


class ImageMask(Media):
    """One layer of classes, such as a segmentation."""

    log_type: ClassVar[str] = "mask"
    media_subdir: ClassVar[str] = "media/images/mask"

    _labels: dict[Any, str] | None
    _stored_classes: ObjectFields | None
    _size_pixels: tuple[int, int] | None = None
    """Width and height, if they are known without reading the pixels."""

    def __init__(self, val: Mapping[str, Any], key: str) -> None:
        """Makes the mask's image, or takes one.

        Args:
            val: `mask_data`, whole numbers 0 … 255 of shape (height, width), or `path` of an image file that holds them; and
                `class_labels`, names by these numbers, by default "class_<number>".
            key: name of the layer.

        Raises:
            TypeError: there is neither, the shape is another one, or numbers or labels are no such.
            ValueError: there is no file of this path.
        """
        super().__init__()
        self._key = key
        labels = checked_labels(val["class_labels"]) if "class_labels" in val else None
        if "path" in val:
            self._take_path(val["path"])
            self._size_pixels = None if self.url is not None else _size_in(self._content.local_path())
        elif "mask_data" in val:
            classes = _checked_classes(val["mask_data"], key)
            labels = (
                default_labels(load_package("numpy", "ImageMask").unique(classes).tolist())
                if labels is None
                else labels
            )
            self._size_pixels = classes.shape[1], classes.shape[0]
            self._take_bytes(encoded(pil().fromarray(classes), "png"), ".mask.png")
        else:
            raise TypeError(f"The mask {key!r} needs 'mask_data', an array of whole numbers, or 'path', a file's")
        self._labels, self._stored_classes = labels, None

    @property
    def key(self) -> str:
        """Name of the layer."""
        return self._key

    @property
    def class_labels(self) -> dict[Any, str] | None:
        """Names by class ids; None: those of a file that nobody has named."""
        return self._labels if self._stored_classes is None else classes_at(self._stored_classes).labels

    @property
    def mask_data(self) -> np.ndarray:
        """The class of each pixel, of shape (height, width).

        Raises:
            MalformedObjectError: the artifact's file is no image.
        """
        numpy = load_package("numpy", "ImageMask")
        with self.open() as file:
            data = file.read()
        try:
            return numpy.asarray(pil().open(io.BytesIO(data)).convert("L"))  # type: ignore[no-any-return]
        except OSError as error:
            raise MalformedObjectError(
                f"The file {self._content.name} of the mask {self._key!r} is no image"
            ) from error

    def _restore(self, fields: ObjectFields) -> None:
        super()._restore(fields)
        self._key = ""
        self._labels, self._stored_classes = None, None

    def name_layer(self, key: str, classes: ObjectFields | None) -> None:
        """Tells a mask that was read which layer it is, and where the classes of its image are."""
        self._key = key
        self._stored_classes = classes

    def _shown(self) -> dict[str, Any]:
        return {"key": self._key}


def _size_in(path: str) -> tuple[int, int] | None:
    try:
        pillow = pil()
    except MissingPackageError:
        return None
    try:
        with pillow.open(path) as image:
            return image.size  # type: ignore[no-any-return]
    except (OSError, ValueError, pillow.DecompressionBombError):  # who looks at the pixels is told
        return None


def _checked_classes(mask: Any, key: str) -> np.ndarray:
    numpy = load_package("numpy", "ImageMask")
    if hasattr(mask, "detach") and hasattr(mask, "cpu"):
        mask = mask.detach().cpu()
    array = numpy.asarray(mask.numpy() if hasattr(mask, "numpy") else mask)
    if array.ndim != 2 or array.size == 0:
        raise TypeError(f"mask_data of {key!r} must be a 2D array, not one of shape {list(array.shape)}")
    if array.dtype.kind == "f" and numpy.isfinite(array).all() and (array == numpy.floor(array)).all():
        array = array.astype(numpy.int64)
    if array.dtype.kind not in "bui" or array.min() < 0 or array.max() > CLASS_ID_MAX:
        raise TypeError(f"mask_data of {key!r} must be whole numbers between 0 and {CLASS_ID_MAX}")
    return array.astype(numpy.uint8)  # type: ignore[no-any-return]
