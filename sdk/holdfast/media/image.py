"""Images: of a file, an array, a tensor, a figure or PIL, with what is shown over them."""

from __future__ import annotations

import base64
import html
import io
import os
import weakref
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, ClassVar, TypeVar

from holdfast._object_fields import ObjectFields
from holdfast._warn_user import warn_user
from holdfast.media.bounding_boxes import BoundingBoxes2D
from holdfast.media.classes import Classes, classes_at, classes_entry, classes_of_labels
from holdfast.media.image_mask import ImageMask
from holdfast.media.media_content import StoredFile
from holdfast.media.media_file import Media, is_url
from holdfast.media.optional_package import load_package
from holdfast.media.pixels import FILE_TYPES, encoded, image_of, is_figure, is_plain_array, pil, png_of_figure

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image as PILImage

    from holdfast.artifact import Artifact

SHOWN_PIXELS_MAX = 1024
"""Of an image's longer side in notebooks, which keep what they show."""

L = TypeVar("L", BoundingBoxes2D, ImageMask)


class Image(Media):
    """An image, with caption, boxes, masks and the classes that these speak of.

    Two images are equal when pixels, caption, grouping, classes, boxes and masks are.
    """

    log_type: ClassVar[str] = "image-file"
    media_subdir: ClassVar[str] = "media/images"

    _format: str
    _size_pixels: tuple[int, int] | None

    def __init__(  # noqa: PLR0913 - W&B's signature
        self,
        data_or_path: Any,
        mode: str | None = None,
        caption: str | None = None,
        grouping: int | None = None,
        classes: Classes | Sequence[Mapping[str, Any]] | None = None,
        boxes: Mapping[str, BoundingBoxes2D | Mapping[str, Any]] | None = None,
        masks: Mapping[str, ImageMask | Mapping[str, Any]] | None = None,
        file_type: str | None = None,
        normalize: bool = True,
    ) -> None:
        """Makes the image's file, or takes one.

        Args:
            data_or_path: path of an image file; URL (`s3`, `gs`, `http`, `https`), to which artifacts will refer; bytes of an image
                file, or an open one; array (height, width) or (height, width, channels) with 1, 3 or 4 channels; tensor of PyTorch
                (channels, height, width) or of TensorFlow; image of PIL; figure of matplotlib; another Image, whose caption,
                grouping and classes hold where none are given here (its boxes and masks are not taken over).
            mode: of PIL; default: "L", "RGB" or "RGBA" by the channels.
            caption: is shown beside it.
            grouping: number of the group that it belongs to.
            classes: what boxes and masks speak of, such as `[{"id": 0, "name": "person"}]`.
            boxes: layers of boxes by their names; see `BoundingBoxes2D`.
            masks: layers of masks by their names, as large as the image (else there is a warning); see `ImageMask`.
            file_type: "png" (default), "jpg", "jpeg" or "bmp"; a file stays as it is.
            normalize: bring values of arrays to 0 … 255: those in 0 … 1 are multiplied by 255, those in -1 … 1 stretched, all others
                cut off.

        Raises:
            ValueError: no such file, file type or shape, or boxes or masks are no dict.
            TypeError: it is nothing that an image can be made of, or a box or mask breaks its rules.
            OSError: the file is no image.
            MissingPackageError: pillow or numpy is not installed.
        """
        super().__init__(caption)
        if file_type is not None and file_type not in FILE_TYPES:
            raise ValueError(f"file_type must be one of {list(FILE_TYPES)}, not {file_type!r}")
        self._grouping = None if grouping is None else int(grouping)
        self._own_classes: Classes | None = None
        self._stored_classes: ObjectFields | None = None
        self._decoded: weakref.ref[PILImage] | None = None
        # First what scripts make thousands of, at no cost.
        if is_plain_array(data_or_path):
            self._take_data(data_or_path, mode, file_type or "png", normalize=normalize)
        elif isinstance(data_or_path, Image):
            self._take_image(data_or_path)
        elif isinstance(data_or_path, str | os.PathLike):
            self._take_image_path(data_or_path)
        elif isinstance(data_or_path, bytes | bytearray | memoryview) or hasattr(data_or_path, "read"):
            self._take_encoded(data_or_path)
        else:
            self._take_data(data_or_path, mode, file_type or "png", normalize=normalize)
        self._take_layers(classes, boxes, masks)

    def _take_image(self, other: Image) -> None:
        self._content = other._content
        self._format, self._size_pixels = other._format, other._size_pixels
        self._caption = other._caption if self._caption is None else self._caption
        self._grouping = other._grouping if self._grouping is None else self._grouping
        self._own_classes, self._stored_classes = other._own_classes, other._stored_classes

    def _take_image_path(self, path: str | os.PathLike[str]) -> None:
        self._take_path(path)
        self._format = self._extension
        self._size_pixels = None
        if not is_url(path):
            with pil().open(path) as image:
                self._size_pixels = image.size

    def _take_encoded(self, source: bytes | bytearray | memoryview | IO[bytes]) -> None:
        data = source if isinstance(source, bytes | bytearray | memoryview) else source.read()
        with pil().open(io.BytesIO(data)) as image:
            self._size_pixels = image.size
            self._format = {"JPEG": "jpg"}.get(image.format, str(image.format).lower())
        self._take_bytes(bytes(data), f".{self._format}")

    def _take_data(self, data: Any, mode: str | None, file_type: str, *, normalize: bool) -> None:
        self._format = file_type
        if mode is None and file_type == "png" and is_figure(data):
            self._take_encoded(png_of_figure(data))
            return
        image = image_of(data, mode, file_type, normalize=normalize)
        self._size_pixels = image.size
        self._take_bytes(encoded(image, file_type), f".{file_type}")

    def _take_layers(
        self,
        classes: Classes | Sequence[Mapping[str, Any]] | None,
        boxes: Mapping[str, BoundingBoxes2D | Mapping[str, Any]] | None,
        masks: Mapping[str, ImageMask | Mapping[str, Any]] | None,
    ) -> None:
        self._boxes = _layers("boxes", boxes, BoundingBoxes2D)
        self._masks = _layers("masks", masks, ImageMask)
        if classes is None and not self._boxes and not self._masks:
            return
        for key, mask in self._masks.items():
            self._compare_sizes(key, mask)
        labels: dict[Any, str] = {}
        for boxes_layer in self._boxes.values():
            labels.update(boxes_layer.class_labels)
        for mask in self._masks.values():
            labels.update(mask.class_labels or {})
        if classes is not None:
            labels.update((classes if isinstance(classes, Classes) else Classes(classes)).labels)
        # Those of an artifact stay its own, so that they are taken over from there.
        if labels and (self.classes is None or self.classes.labels != labels):
            self._own_classes = classes_of_labels(labels)

    def _compare_sizes(self, key: str, mask: ImageMask) -> None:
        own, of_mask = self._size_pixels, mask._size_pixels
        if own is not None and of_mask is not None and own != of_mask:
            warn_user(
                f"The mask {key!r} has {_of_pixels(of_mask)} pixels, its image {_of_pixels(own)}: they will not lie over each other."
            )

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def image(self) -> PILImage | None:
        """The pixels, as an image of PIL; None: of a URL that was not logged yet.

        Raises:
            MalformedObjectError: the artifact does not have the file, or it is no image.
        """
        if self.url is not None:
            return None
        known = self._decoded() if self._decoded is not None else None
        if known is None:
            # Whoever has many images need not have all their pixels.
            known = self._decode()
            self._decoded = weakref.ref(known)
        return known

    def _decode(self) -> PILImage:
        with self.open() as file:
            data = file.read()
        try:
            image: PILImage = pil().open(io.BytesIO(data))
            image.load()
        except (OSError, ValueError) as error:
            if isinstance(self._content, StoredFile):
                raise self._content.fields.malformed("path", f"{self._content.path!r} is no image ({error})") from error
            raise
        return image

    def to_numpy(self) -> np.ndarray:
        """Returns the pixels, (height, width) or (height, width, channels), as whole numbers 0 … 255.

        Raises:
            ValueError: of a URL that was not logged yet.
            MalformedObjectError: the artifact does not have the file, or it is no image.
        """
        image = self.image
        if image is None:
            raise ValueError(f"{self.url} is read only after it was logged.")
        return load_package("numpy", "Image").asarray(image)  # type: ignore[no-any-return]

    def to_data_array(self) -> list[Any]:
        """Returns the pixels as lists: rows of numbers, or of tuples of channels."""
        image = self.image
        if image is None:
            return []
        rows = self.to_numpy().tolist()
        return rows if len(image.getbands()) == 1 else [[tuple(pixel) for pixel in row] for row in rows]

    @property
    def width(self) -> int | None:
        """In pixels; None: of a URL."""
        size = self._pixels()
        return None if size is None else size[0]

    @property
    def height(self) -> int | None:
        """In pixels; None: of a URL."""
        size = self._pixels()
        return None if size is None else size[1]

    def _pixels(self) -> tuple[int, int] | None:
        if self._size_pixels is None and self.url is None:
            image = self.image
            self._size_pixels = None if image is None else image.size
        return self._size_pixels

    @property
    def format(self) -> str:
        """End of the file's name, such as "png"."""
        return self._format

    @property
    def grouping(self) -> int | None:
        """Number of the group that it belongs to."""
        return self._grouping

    @property
    def classes(self) -> Classes | None:
        """What boxes and masks speak of.

        Raises:
            MalformedObjectError: the artifact does not have them.
        """
        if self._own_classes is None and self._stored_classes is not None:
            self._own_classes = classes_at(self._stored_classes)
        return self._own_classes

    @property
    def boxes(self) -> dict[str, BoundingBoxes2D]:
        """Layers of boxes by their names."""
        return dict(self._boxes)

    @property
    def masks(self) -> dict[str, ImageMask]:
        """Layers of masks by their names."""
        return dict(self._masks)

    # --- storing ------------------------------------------------------------------------------------------------------

    def to_json(self, artifact: Artifact) -> dict[str, Any]:
        """Puts the file, the masks and the classes into the artifact and returns where they are.

        Raises:
            ValueError: there are boxes or masks, and nobody has said of which classes they speak.
        """
        classes = self.classes
        if (self._boxes or self._masks) and classes is None:
            raise ValueError("An Image with masks or boxes needs classes to be added to an artifact; pass classes=")
        fields = super().to_json(artifact)
        fields["format"] = self._format
        size_pixels = self._pixels()
        if size_pixels is not None:
            fields["width"], fields["height"] = size_pixels
        if self._grouping is not None:
            fields["grouping"] = self._grouping
        if classes is not None:
            entry = classes_entry(classes, artifact)
            fields["classes"] = {"type": "classes-file", "path": entry.path, "digest": entry.digest}
        if self._boxes:
            fields["boxes"] = {key: layer.to_json(artifact) for key, layer in self._boxes.items()}
        if self._masks:
            fields["masks"] = {key: layer.to_json(artifact) for key, layer in self._masks.items()}
        return fields

    def _restore(self, fields: ObjectFields) -> None:
        super()._restore(fields)
        self._grouping = fields.whole_or_none("grouping")
        self._format = fields.text_or_none("format") or self._extension
        width, height = fields.whole_or_none("width"), fields.whole_or_none("height")
        self._size_pixels = None if width is None or height is None else (width, height)
        self._decoded = None
        self._own_classes = None
        self._stored_classes = fields.below("classes") if fields.mapping_or_none("classes") else None
        if self._stored_classes is not None:
            self._stored_classes.path()
        self._boxes, self._masks = {}, {}
        if fields.mapping_or_none("boxes"):
            of_boxes = fields.below("boxes")
            for key in of_boxes.values:
                self._boxes[key] = BoundingBoxes2D.restored(of_boxes, key, key, self._stored_classes)
        if fields.mapping_or_none("masks"):
            of_masks = fields.below("masks")
            for key in of_masks.values:
                self._masks[key] = of_masks.object_at(key, ImageMask.from_json)
                self._masks[key].name_layer(key, self._stored_classes)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_decoded": None}

    # --- comparing and showing ----------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Image):
            return NotImplemented
        mine = (self._caption, self._grouping, self._boxes, self._masks)
        theirs = (other._caption, other._grouping, other._boxes, other._masks)
        return mine == theirs and self.classes == other.classes and self._has_pixels_of(other)

    def _has_pixels_of(self, other: Image) -> bool:
        if self.sha256 == other.sha256:
            return True
        mine, theirs = self.image, other.image
        if mine is None or theirs is None:
            return False
        return (mine.mode, mine.size, mine.tobytes()) == (theirs.mode, theirs.size, theirs.tobytes())

    __hash__ = None

    def _shown(self) -> dict[str, Any]:
        size = "" if self._size_pixels is None else _of_pixels(self._size_pixels)
        return {
            "size": size or None,
            "grouping": self._grouping,
            "boxes": list(self._boxes) or None,
            "masks": list(self._masks) or None,
        }

    def _repr_png_(self) -> bytes | None:
        image = self.image
        if image is None:
            return None
        if max(image.size) > SHOWN_PIXELS_MAX:
            image = image.copy()
            image.thumbnail((SHOWN_PIXELS_MAX, SHOWN_PIXELS_MAX))
        return _shown_png(image)

    def thumbnail(self, side_pixels_max: int, bytes_max: int, pixels_max: int) -> bytes | None:
        """Returns a PNG of the image, made small, for those who show many.

        Args:
            side_pixels_max: of the longer side of what is returned.
            bytes_max: of the file.
            pixels_max: of the image.

        Returns:
            None: it is larger, or has to be fetched by itself, or cannot be shown, whatever the reason.
        """
        try:
            data = self._content.at_hand(bytes_max)
            if data is None:
                return None
            with pil().open(io.BytesIO(data)) as image:
                if image.width * image.height > pixels_max:
                    return None
                self._size_pixels = self._size_pixels or image.size
                image.draft(None, (side_pixels_max, side_pixels_max))  # formats that can are decoded small
                image.thumbnail((side_pixels_max, side_pixels_max))
                return _shown_png(image)
        except Exception:  # noqa: BLE001 - of damaged files PIL raises anything; who looks into the image is told
            return None

    def _repr_html_(self) -> str:
        shown = self._repr_png_()
        source = html.escape(self.url or "") if shown is None else png_url(shown)
        caption = "" if self._caption is None else f"<figcaption>{html.escape(self._caption)}</figcaption>"
        return f'<figure style="display:inline-block;margin:0"><img src="{source}" style="max-width:100%">{caption}</figure>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


def _of_pixels(size: tuple[int, int]) -> str:
    return "{}×{}".format(*size)


def _shown_png(image: PILImage) -> bytes:
    return encoded(image if image.mode not in ("F", "I", "I;16") else image.convert("L"), "png")


def png_url(png: bytes) -> str:
    """Returns a URL that holds a PNG itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _layers(name: str, given: Mapping[str, Any] | None, kind: type[L]) -> dict[str, L]:
    if not given:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError(f'Images "{name}" argument must be a dictionary')
    return {key: value if isinstance(value, kind) else kind(value, key) for key, value in given.items()}
