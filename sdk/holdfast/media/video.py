"""Video: moving pictures, of a file or of frames."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast._warn_user import warn_user
from holdfast.errors import InvalidInputError
from holdfast.media.arrays import as_array
from holdfast.media.content_errors import unreadable
from holdfast.media.given_files import given_path, known_extension, read_given
from holdfast.media.media_file import Media
from holdfast.media.optional_package import load_package
from holdfast.media.temporary_file import TemporaryFile
from holdfast.media.video_coding import decode_video, encode_video, frames_of

if TYPE_CHECKING:
    import numpy as np

    from holdfast._object_fields import ObjectFields
    from holdfast.artifact import Artifact

FPS = 4
"""Frames in a second, as W&B has it."""
SHOWN_BYTES_MAX = 10 << 20
"""Of a file that a notebook shows; it is written into the notebook."""
_BEGINNINGS = {b"GIF8": (0, "gif"), b"ftyp": (4, "mp4"), b"\x1aE\xdf\xa3": (0, "webm"), b"OggS": (0, "ogg")}
"""What files of each format have at an offset."""


class Video(Media):
    """Moving pictures.

    artifact["drive"] = holdfast.Video("drive.mp4", caption="a lap")
    artifact["game"] = holdfast.Video(frames, fps=30, format="mp4")  # of the shape (frames, channels, height, width)
    """

    EXTS: ClassVar[tuple[str, ...]] = ("gif", "mp4", "webm", "ogg")
    log_type: ClassVar[str] = "video-file"
    media_subdir: ClassVar[str] = "media/videos"

    _format: str | None
    _width: int | None = None
    _height: int | None = None

    def __init__(
        self, data_or_path: Any, caption: str | None = None, fps: float | None = None, format: str | None = None
    ) -> None:
        """Takes moving pictures.

        Args:
            data_or_path: the path of a file that ends in `.gif`, `.mp4`, `.webm` or `.ogg`; an opened file; or frames as an array
                or tensor of the shape (frames, channels, height, width), of 1, 3 or 4 channels, with a batch of videos before
                them, which are shown side by side.  8 bits each, or numbers from 0 to 1, or from 0 to 255.
            caption: shown beside it.
            fps: frames in a second, for frames; default 4.
            format: one of `EXTS`, for frames and opened files; default: what an opened file looks like, and "gif" for frames.

        Raises:
            ValueError: no such file, another format, or an array of another shape or type.
            MissingPackageError: av, which frames need, is not installed.
        """
        super().__init__(caption)
        if format is not None and format not in self.EXTS:
            raise ValueError(f"holdfast.Video accepts {', '.join(self.EXTS)} formats, not {format!r}")
        path = given_path(data_or_path)
        if fps is not None and fps <= 0:
            raise ValueError(f"fps is {fps}; it is a number of frames in a second, above 0.")
        if fps is not None and (path is not None or hasattr(data_or_path, "read")):
            warn_user(
                "`fps` argument does not affect the frame rate of the video when providing a file path or raw bytes."
            )
        if path is not None:
            self._format = known_extension(path, self.EXTS)
            if self._format is None:
                raise ValueError(
                    f"holdfast.Video accepts {', '.join(self.EXTS)} formats, and {path!r} ends in none of them"
                )
            self._take_path(path)
        elif hasattr(data_or_path, "read"):
            data = read_given(data_or_path)
            self._format = format or _format_of(data)
            self._take_bytes(data, f".{self._format}")
        else:
            self._take_frames(data_or_path, fps or FPS, format or "gif")

    def _take_frames(self, data: Any, fps: float, format: str) -> None:
        if not (hasattr(data, "shape") or hasattr(data, "numpy")):
            raise ValueError(
                f"holdfast.Video accepts a file path or numpy like data as input, not {type(data).__name__}"
            )
        av, numpy = load_package("av", "Video of frames"), load_package("numpy", "Video of frames")
        frames = frames_of(as_array(data, numpy), numpy)
        file = TemporaryFile(f".{format}")
        self._format = format
        self._width, self._height = encode_video(frames, file.path, format, fps, av, numpy)
        self._take_temporary(file)

    @property
    def format(self) -> str | None:
        """One of `EXTS`."""
        return self._format

    @property
    def width(self) -> int | None:
        """In pixels, of what was made of frames; None for others."""
        return self._width

    @property
    def height(self) -> int | None:
        """In pixels, of what was made of frames; None for others."""
        return self._height

    def to_numpy(self) -> np.ndarray[Any, np.dtype[Any]]:
        """Returns the frames of the file, decoded, of the shape (frames, 3, height, width) and 8 bits each.

        Raises:
            MalformedObjectError: the artifact's file is no video.
            MissingPackageError: av is not installed.
        """
        av, numpy = load_package("av", "reading Video"), load_package("numpy", "reading Video")
        try:
            return decode_video(self.path, av, numpy)
        except InvalidInputError as error:
            raise unreadable(self._content, str(error)) from error

    def to_json(self, artifact: Artifact) -> dict[str, Any]:
        """Puts the file into the artifact and returns where it is."""
        own = {"format": self._format, "width": self._width, "height": self._height}
        return super().to_json(artifact) | {key: value for key, value in own.items() if value is not None}

    def _restore(self, fields: ObjectFields) -> None:
        super()._restore(fields)
        self._width, self._height = fields.whole_or_none("width"), fields.whole_or_none("height")
        self._format = fields.text_or_none("format") or known_extension(self._content.name, self.EXTS)

    def _shown(self) -> dict[str, Any]:
        return {"width": self._width, "height": self._height}

    def _repr_html_(self) -> str:
        if self.size is None or self.size > SHOWN_BYTES_MAX or self._format is None:
            return escape(repr(self))
        with self.open() as file:
            data = base64.b64encode(file.read()).decode()
        if self._format == "gif":
            return f'<img src="data:image/gif;base64,{data}">'
        return f'<video controls src="data:video/{escape(self._format)};base64,{data}"></video>'


def _format_of(data: bytes) -> str:
    for beginning, (offset, format) in _BEGINNINGS.items():
        if data[offset : offset + len(beginning)] == beginning:
            return format
    return "gif"
