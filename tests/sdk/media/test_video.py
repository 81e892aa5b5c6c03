"""`Video`: frames become files of each format and come back; grids of several; files as they are."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import holdfast
from holdfast.errors import InvalidInputError
from holdfast.media.video_coding import as_bytes, frames_of

FORMATS = ("gif", "mp4", "webm", "ogg")
LOSS_MEAN_MAX = 4.0
"""Of 255, between a smooth picture and what is left of it at the codecs' own settings."""


def smooth(frames: int = 4, height: int = 32, width: int = 48) -> np.ndarray:
    """Pictures as codecs like them; each frame differs."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([np.stack([x * 4 + t, y * 6, np.full_like(x, 30 * t)]) for t in range(frames)]).astype(np.uint8)


def encoded(frames: np.ndarray, format: str) -> bytes:
    with holdfast.Video(frames, format=format).open() as file:
        return file.read()


@pytest.mark.parametrize("format", FORMATS)
def test_frames_become_a_file_of_each_format_and_come_back(format: str) -> None:
    given = smooth()
    video = holdfast.Video(given, fps=10, format=format)
    assert video.path.endswith(f".{format}")
    assert (video.format, video.width, video.height) == (format, 48, 32)
    found = video.to_numpy()
    assert (found.shape, found.dtype) == ((4, 3, 32, 48), np.uint8)
    assert np.abs(found.astype(int) - given).mean() < LOSS_MEAN_MAX


@pytest.mark.parametrize("format", FORMATS)
def test_equal_frames_make_equal_files(format: str) -> None:
    given = smooth(3, 17, 21)
    assert len({holdfast.Video(given, format=format).sha256 for _ in range(2)}) == 1


def test_a_gif_keeps_up_to_256_colours_of_each_frame() -> None:
    few = (smooth() // 64) * 64
    found = holdfast.Video(few, format="gif").to_numpy()
    assert np.abs(found.astype(int) - few).max() <= 1


@pytest.mark.parametrize(("format", "expected"), [("gif", (5, 7)), ("mp4", (6, 8)), ("webm", (5, 7)), ("ogg", (5, 7))])
def test_odd_sides_get_a_further_row_or_column_only_where_the_codec_needs_it(
    format: str, expected: tuple[int, int]
) -> None:
    video = holdfast.Video(np.full((2, 3, 5, 7), 200, np.uint8), format=format)
    assert (video.height, video.width) == expected
    found = video.to_numpy()
    assert found.shape == (2, 3, *expected)
    assert np.abs(found.astype(int) - 200).max() <= 6, "what was added is no black edge"


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 1, 4), (4, 2, 2), (5, 2, 4), (8, 2, 4), (16, 4, 4)]
)
def test_several_videos_are_tiles_of_a_grid(count: int, rows: int, columns: int) -> None:
    batch = np.stack([np.full((2, 3, 4, 6), number + 1, np.uint8) for number in range(count)])
    grid = frames_of(batch, np)
    assert grid.shape == (2, rows * 4, columns * 6, 3)
    tiles = [int(grid[1, row * 4, column * 6, 0]) for row in range(rows) for column in range(columns)]
    assert tiles == [*range(1, count + 1), *[0] * (rows * columns - count)]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_frames_of_one_three_and_four_channels_are_shown(channels: int) -> None:
    frames = frames_of(np.full((2, channels, 4, 6), 9, np.uint8), np)
    assert frames.shape == (2, 4, 6, 3)
    assert (frames == 9).all()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([0.0, 0.5, 1.0]), [0, 128, 255]),
        (np.array([0.0, 127.4, 300.0, -5.0, np.nan], np.float32), [0, 127, 255, 0, 0]),
        (np.array([-1, 5, 256]), [0, 5, 255]),
        (np.array([True, False]), [255, 0]),
        (np.array([7, 255], np.uint8), [7, 255]),
        (np.array([np.nan, np.nan]), [0, 0]),
        (np.array([[[0.5, 0.0]], [[0.0, 2.0]]]), [[[0, 0]], [[0, 2]]]),
    ],
    ids=["0 to 1", "0 to 255", "whole", "truth", "bytes", "no number", "several planes"],
)
def test_numbers_of_each_kind_are_colours(given: np.ndarray, expected: list[int]) -> None:
    assert as_bytes(given, np).tolist() == expected


@pytest.mark.parametrize(
    "given",
    [
        np.zeros((3, 4, 6)),
        np.zeros((2, 5, 4, 6)),
        np.zeros((0, 3, 4, 6)),
        np.zeros((2, 3, 0, 6)),
        np.full((1, 3, 2, 2), "a"),
    ],
    ids=["one frame", "five channels", "no frame", "no row", "text"],
)
def test_what_is_no_video_is_refused(given: np.ndarray) -> None:
    with pytest.raises(InvalidInputError):
        holdfast.Video(given)


@pytest.mark.parametrize("given", [5, None, [[1]]])
def test_other_things_are_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="accepts a file path or numpy like data"):
        holdfast.Video(given)


def test_formats_are_four() -> None:
    with pytest.raises(ValueError, match="accepts gif, mp4, webm, ogg formats, not 'avi'"):
        holdfast.Video(smooth(), format="avi")
    with pytest.raises(ValueError, match=r"'a\.avi' ends in none of them"):
        holdfast.Video("a.avi")
    with pytest.raises(ValueError, match="fps is 0"):
        holdfast.Video(smooth(), fps=0)


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.MP4"
    path.write_bytes(encoded(smooth(), "mp4"))
    video = holdfast.Video(path, caption="drive")
    assert (video.format, video.width, video.caption, video.size) == ("mp4", None, "drive", path.stat().st_size)
    assert video.to_numpy().shape == (4, 3, 32, 48)
    with path.open("rb") as file:
        assert holdfast.Video(file, caption="drive") == video


@pytest.mark.parametrize("format", FORMATS)
def test_bytes_are_of_the_format_that_they_look_like(format: str) -> None:
    data = encoded(smooth(2), format)
    assert holdfast.Video(io.BytesIO(data)).format == format
    assert holdfast.Video(io.BytesIO(data), format="gif").path.endswith(".gif")


def test_the_rate_of_a_file_is_its_own() -> None:
    data = encoded(smooth(2), "mp4")
    with pytest.warns(UserWarning, match="`fps` argument does not affect"):
        holdfast.Video(io.BytesIO(data), fps=30)


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video at all")
    with pytest.raises(InvalidInputError, match=r"a\.mp4 cannot be read: it is no video"):
        holdfast.Video(path).to_numpy()


def test_a_file_may_say_its_title_in_any_encoding(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.webm"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "title in utf-8"
        stream = container.add_stream("libvpx", rate=5)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    assert b"title in utf-8" in data
    path.write_bytes(data.replace(b"title in utf-8", b"\xfcber die Stra"))
    assert holdfast.Video(path).to_numpy().shape == (1, 3, 16, 16)


def test_notebooks_play_short_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    video = holdfast.Video(smooth(2), format="webm", caption="lap")
    assert video._repr_html_().startswith('<video controls src="data:video/webm;base64,')
    assert holdfast.Video(smooth(2))._repr_html_().startswith('<img src="data:image/gif;base64,R0lGOD')
    assert repr(video) == f"Video('{video._content.name}', caption='lap', width=48, height=32)"
    monkeypatch.setattr("holdfast.media.video.SHOWN_BYTES_MAX", 100)
    assert video._repr_html_().startswith("Video(")
