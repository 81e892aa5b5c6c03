"""Frames to video files and back, by PyAV: which codec each format takes, and how arrays become frames.

What is encoded is equal for equal frames, so that equal videos are stored once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    Array = np.ndarray[Any, np.dtype[Any]]

SECOND_FRACTIONS_MAX = 65_535
"""Denominator of a frame rate at most; what MPEG-4's clocks hold, and finer than anyone films."""


@dataclass(frozen=True, slots=True)
class Coding:
    """How one format is written."""

    codec: str
    pixels: str
    even_sides: bool = False
    """The codec knows only even widths and heights; frames get a further row or column that repeats their last."""
    options: Mapping[str, str] = field(default_factory=dict)


CODINGS: Mapping[str, Coding] = {
    "gif": Coding("gif", "pal8"),
    # 4:2:0 is what every browser plays; one thread, because the cut into threads shows in the bytes.
    # Without B frames, whose choice differs from one encoding of equal frames to the next.
    "mp4": Coding("libx264", "yuv420p", even_sides=True, options={"threads": "1", "x264-params": "bframes=0"}),
    "webm": Coding("libvpx-vp9", "yuv420p", options={"threads": "1", "deadline": "good", "cpu-used": "4"}),
    # The wheels have no encoder for Theora; browsers play VP8 in Ogg.
    "ogg": Coding("libvpx", "yuv420p", options={"threads": "1", "deadline": "good", "cpu-used": "4"}),
}
"""By format, which is also the file's extension."""


def frames_of(video: Array, numpy: Any) -> Array:
    """Returns what a viewer shows of an array, as (frames, height, width, 3) of 8 bits.

    Several videos are laid out as tiles of a grid, with black ones where their number is no power of two.

    Args:
        video: (frames, channels, height, width), or several of them; 1, 3 or 4 channels, of which the fourth (how opaque a
            pixel is) is not shown.  Numbers with a fraction are taken as 0 to 1 when all lie between, else as 0 to 255.
        numpy: the module.

    Raises:
        InvalidInputError: another shape or type, or no frame.
    """
    if video.ndim not in (4, 5):
        raise InvalidInputError(
            f"Video must be atleast 4 dimensions: time, channels, height, width; or 5 with the batch first. "
            f"This array's shape is {video.shape}."
        )
    batch = video[numpy.newaxis] if video.ndim == 4 else video
    channels = batch.shape[2]
    if channels not in (1, 3, 4) or 0 in batch.shape:
        raise InvalidInputError(
            f"A video needs frames of 1, 3 or 4 channels; this array's shape {video.shape} says (…, frames, channels, "
            f"height, width), which are {batch.shape[1]}, {channels}, {batch.shape[3]}, {batch.shape[4]}."
        )
    tiled = _tiled(as_bytes(batch[:, :, :3], numpy), numpy)
    return tiled if channels > 1 else tiled.repeat(3, axis=3)


def as_bytes(values: Array, numpy: Any) -> Array:
    """Returns colours as numbers of 8 bits.

    Raises:
        InvalidInputError: they are no numbers.
    """
    kind = values.dtype.kind
    if values.dtype == numpy.uint8:
        return values
    if kind == "b":
        return values.astype(numpy.uint8) * 255
    if kind in "iu":
        return values.clip(0, 255).astype(numpy.uint8)
    if kind != "f":
        raise InvalidInputError(f"A video is made of numbers; this array's type is {values.dtype}.")
    # Of all, passing over what is no number.
    low, high = numpy.fmin.reduce(values, axis=None), numpy.fmax.reduce(values, axis=None)
    brightest = 255 if low >= 0 and high <= 1 else 1
    colours: Array = numpy.empty(values.shape, numpy.uint8)
    # One plane at a time: several copies of a whole video would not fit.
    for place in numpy.ndindex(values.shape[:-2]):
        colours[place] = numpy.rint(numpy.nan_to_num(values[place] * brightest, nan=0.0).clip(0, 255))
    return colours


def _tiled(batch: Array, numpy: Any) -> Array:
    count, length, channels, height, width = batch.shape
    # The grid of W&B: as many rows as columns or half as many.
    tiles = 1 << (count - 1).bit_length()
    rows = 1 << ((count.bit_length() - 1) // 2)
    if tiles != count:
        black = numpy.zeros((tiles - count, length, channels, height, width), numpy.uint8)
        batch = numpy.concatenate((batch, black))
    grid = batch.reshape(rows, tiles // rows, length, channels, height, width).transpose(2, 0, 4, 1, 5, 3)
    return grid.reshape(length, rows * height, (tiles // rows) * width, channels)


def encode_video(frames: Array, path: str, format: str, fps: float, av: Any, numpy: Any) -> tuple[int, int]:
    """Writes a video file.

    Args:
        frames: (frames, height, width, 3) of 8 bits.
        path: of the new file.
        format: one of `CODINGS`.
        fps: frames in a second.
        av: the module.
        numpy: the module.

    Returns:
        Width and height of the video in pixels.
    """
    coding = CODINGS[format]
    rate = Fraction(fps).limit_denominator(SECOND_FRACTIONS_MAX)
    height, width = frames.shape[1:3]
    odd = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    if coding.even_sides and (height % 2 or width % 2):
        frames = numpy.pad(frames, odd, mode="edge")
        height, width = frames.shape[1:3]
    # Neither time nor version of the writer: both would make files of equal frames differ.
    with av.open(path, "w", format=format, options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(coding.codec, rate=rate, options=dict(coding.options))
        stream.width, stream.height, stream.pix_fmt = width, height, coding.pixels
        pictures = _pictures(frames, rate, av)
        if coding.pixels == "pal8":
            pictures = _with_palettes(pictures, width, height, rate, av)
        _write(pictures, container, stream)
    return width, height


def _pictures(frames: Array, rate: Fraction, av: Any) -> Iterator[VideoFrame]:
    for number, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(frame.copy(), format="rgb24")
        picture.pts, picture.time_base = number, 1 / rate
        yield picture


def _with_palettes(
    pictures: Iterator[VideoFrame], width: int, height: int, rate: Fraction, av: Any
) -> Iterator[VideoFrame]:
    """Gives each frame a palette of its own: up to 256 colours come back as they were."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat("rgb24"), time_base=1 / rate)
    split = graph.add("split")
    choose = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    use = graph.add("paletteuse", "new=1:dither=none")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(choose, 0, 0)
    split.link_to(use, 1, 0)
    choose.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    for picture in (*pictures, None):
        graph.push(picture)
        while True:
            try:
                yield graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break


def _write(pictures: Iterator[VideoFrame], container: OutputContainer, stream: VideoStream) -> None:
    for picture in pictures:
        container.mux(stream.encode(picture))
    container.mux(stream.encode(None))


def decode_video(path: str, av: Any, numpy: Any) -> Array:
    """Returns the frames of a video file as (frames, channels, height, width) of 8 bits.

    Raises:
        InvalidInputError: it is no video file; the message does not name it.
    """
    frames: list[Array] = []
    try:
        # What a file says about its author may be in any encoding.
        with av.open(path, metadata_errors="replace") as container:
            if not container.streams.video:
                raise InvalidInputError("it holds no video")
            for frame in container.decode(container.streams.video[0]):
                # A stream may change its size on the way; its first frame tells the size of all.
                height, width = frames[0].shape[:2] if frames else (frame.height, frame.width)
                frames.append(frame.to_ndarray(format="rgb24", width=width, height=height))
    except av.error.FFmpegError as error:
        raise InvalidInputError(f"it is no video ({error.strerror})") from error
    if not frames:
        raise InvalidInputError("it holds no frame")
    decoded: Array = numpy.stack(frames)
    return decoded.transpose(0, 3, 1, 2)
