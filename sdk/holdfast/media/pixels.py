"""Makes images of what people have: arrays, tensors, figures; in the range and the order of W&B's."""

from __future__ import annotations

import io
import sys
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from holdfast._warn_user import warn_user
from holdfast.media.optional_package import load_package

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image as PILImage

FILE_TYPES = ("png", "jpg", "jpeg", "bmp")
"""That arrays and the like can be stored as."""
_NEEDED_FOR = "Image"
_CHANNELS = (1, 3, 4)
_JPEG = ("jpg", "jpeg")
# What the formats can hold; all other modes become colours first.
_MODES_OF = {
    "png": ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"),
    "jpg": ("L", "RGB", "CMYK"),
    "jpeg": ("L", "RGB", "CMYK"),
    "bmp": ("1", "L", "P", "RGB", "RGBA"),
}


def pil() -> Any:
    """Returns the module PIL.Image.

    Raises:
        MissingPackageError: pillow is not installed.
    """
    return load_package("PIL.Image", _NEEDED_FOR, "pillow")


def image_of(data: Any, mode: str | None, file_type: str, *, normalize: bool) -> PILImage:
    """Returns the image of an array, a tensor, a figure or an image.

    Args:
        data: (height, width), (height, width, channels), of PyTorch (channels, height, width); a figure of matplotlib or a part of
            one; an image of PIL.
        mode: of PIL; default: by the number of channels.
        file_type: that it will be stored as.
        normalize: bring values of arrays to 0 … 255: those in 0 … 1 and in -1 … 1 are stretched, all others cut off.

    Raises:
        ValueError: no image has this shape.
        TypeError: it is nothing that an image can be made of.
        MissingPackageError: pillow or numpy is not installed.
    """
    if not is_plain_array(data):
        if isinstance(data, pil().Image):
            image: PILImage = data
            return image if mode is None else image.convert(mode)
        if is_figure(data):
            opened = pil().open(io.BytesIO(png_of_figure(data)))
            return opened if mode is None else opened.convert(mode)  # type: ignore[no-any-return]
    pixels = _in_range(_pixel_order(*_array_of(data)), normalize=normalize)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if mode is None and file_type in _JPEG and pixels.ndim == 3 and pixels.shape[2] == 4:
        warn_user("JPEG has no transparency; the alpha channel is left out. Use file_type='png' to keep it.")
        pixels = pixels[:, :, :3]
    image = pil().fromarray(_contiguous(pixels))
    return image if mode is None else _in_mode(image, mode)


def encoded(image: PILImage, file_type: str) -> bytes:
    """Returns the image as a file of this type, without loss except by JPEG.

    Raises:
        ValueError: the type cannot hold such an image.
    """
    if image.mode not in _MODES_OF[file_type]:
        if image.mode in ("F", "I", "I;16"):
            raise ValueError(
                f"An image of mode {image.mode!r} cannot be stored as {file_type}; pass mode='L' or convert it."
            )
        has_alpha = image.mode in ("LA", "PA", "La", "RGBa", "RGBA") and file_type not in _JPEG
        image = image.convert("RGBA" if has_alpha else "RGB")
    buffer = io.BytesIO()
    image.save(buffer, format="jpeg" if file_type in _JPEG else file_type)
    return buffer.getvalue()


def is_plain_array(data: Any) -> bool:
    """Whether it is an array of numpy's itself: the usual case, which need not be asked for all that it might be else."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(data) is getattr(numpy, "ndarray", None)


def is_figure(data: Any) -> bool:
    """Whether it is a figure of matplotlib, a part of one, or its module `pyplot`, which stands for the current figure."""
    if is_plain_array(data):
        return False
    if isinstance(data, ModuleType):
        return data.__name__ == "matplotlib.pyplot"
    return _is_of_matplotlib(type(data))  # type: ignore[arg-type]  # every class is hashable


@lru_cache(maxsize=64)
def _is_of_matplotlib(kind: type) -> bool:
    return any(cls.__module__.partition(".")[0] == "matplotlib" for cls in kind.__mro__)


def png_of_figure(data: Any) -> bytes:
    """Returns a figure as PNG.

    Raises:
        TypeError: a thing of matplotlib that belongs to no figure.
    """
    if isinstance(data, ModuleType):
        data = data.gcf()
    elif not hasattr(data, "savefig"):
        data = getattr(data, "figure", None)
    if not hasattr(data, "savefig"):
        raise TypeError("Only figures of matplotlib, and what belongs to one, can become an Image")
    buffer = io.BytesIO()
    data.savefig(buffer, format="png")
    return buffer.getvalue()


def _array_of(data: Any) -> tuple[np.ndarray, bool]:
    """Returns the numbers, and whether their channels come first, as in PyTorch."""
    numpy = load_package("numpy", _NEEDED_FOR)
    channels_first = False
    if is_plain_array(data):
        pass
    elif hasattr(data, "detach") and hasattr(data, "cpu"):
        channels_first = True
        data = data.detach().cpu()
        # numpy has no such type.
        data = (data.float() if "bfloat16" in str(data.dtype) else data).numpy()
    elif hasattr(data, "numpy"):
        data = data.numpy()
    array = numpy.asarray(data)
    if array.dtype.kind not in "buif":
        given = f"an array of {array.dtype}" if isinstance(data, numpy.ndarray) else str(type(data))
        raise TypeError(f"An Image is made of a path, an array of numbers, a PIL image or a figure, not of {given}")
    if array.size == 0:
        raise ValueError(f"An image cannot be made of an empty array of shape {list(array.shape)}")
    return array, channels_first


def _pixel_order(array: np.ndarray, channels_first: bool) -> np.ndarray:
    """Returns (height, width) or (height, width, channels)."""
    shape = list(array.shape)
    while array.ndim > 3 and 1 in array.shape:
        array = array.squeeze(array.shape.index(1))
    if array.ndim == 3 and channels_first and array.shape[0] in _CHANNELS:
        return array.transpose(1, 2, 0)
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS):
        return array
    if array.ndim == 3 and 1 in array.shape:
        return array.squeeze(array.shape.index(1))
    hint = ""
    if array.ndim == 3 and array.shape[0] in _CHANNELS:
        hint = "; channels come last: array.transpose(1, 2, 0)"
    elif array.ndim == 4:
        hint = "; make an Image of each picture"
    raise ValueError(
        f"Un-supported shape for image conversion {shape}; "
        f"an image is (height, width) or (height, width, 1, 3 or 4 channels){hint}"
    )


def _in_range(array: np.ndarray, *, normalize: bool) -> np.ndarray:
    """Returns whole numbers 0 … 255."""
    numpy = load_package("numpy", _NEEDED_FOR)
    if array.dtype.kind == "b":
        array = array.astype(numpy.uint8)
    # The usual case, told by one pixel or one row: the whole array is looked at only when these are dark.
    if array.dtype == numpy.uint8 and (not normalize or array.item(0) > 1 or array[0].max() > 1):
        return array
    if not normalize:
        return array.astype(numpy.uint8)
    most = array.max()
    if array.dtype == numpy.uint8 and most > 1:
        return array
    if most != most:
        array = numpy.nan_to_num(array)
        most = array.max()
    least = array.min()
    if least >= 0 and most <= 1:
        return (array * 255).astype(numpy.uint8) if array.dtype.kind == "f" else array.astype(numpy.uint8) * 255
    if least >= -1 and most <= 1:
        return (255 * 0.5 * (array.astype(numpy.float64) + 1)).astype(numpy.uint8)
    if least < 0 or most > 255:
        warn_user("Data of an Image should lie in 0 … 255; what is beyond is cut off.")
    return array.clip(0, 255).astype(numpy.uint8)


def _contiguous(array: np.ndarray) -> np.ndarray:
    return load_package("numpy", _NEEDED_FOR).ascontiguousarray(array)  # type: ignore[no-any-return]


def _in_mode(image: PILImage, mode: str) -> PILImage:
    """Returns the image in a mode: the numbers taken for it when there are as many channels, else converted."""
    if image.mode == mode:
        return image
    # Nine pixels: eight would hide that a mode packs bits.
    same_bytes = len(pil().new(mode, (9, 1)).tobytes()) == 9 * len(image.getbands())
    if same_bytes:
        return pil().frombytes(mode, image.size, image.tobytes())  # type: ignore[no-any-return]
    return image.convert(mode)
