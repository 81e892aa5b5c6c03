"""Tables in notebooks show the images of their first rows, small, and never fetch much for it."""

import base64
import io
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import holdfast
from holdfast.media.table import Table
from support.memory_artifact import FolderArtifact

RNG = np.random.default_rng(1)


def image(height: int = 100, width: int = 200, **arguments: Any) -> holdfast.Image:
    return holdfast.Image(RNG.integers(0, 256, (height, width, 3), np.uint8), **arguments)


def shown_in(page: str) -> list[Any]:
    found = re.findall(r'<img src="data:image/png;base64,([^"]+)"', page)
    return [Pillow.open(io.BytesIO(base64.b64decode(one))) for one in found]


class CountingArtifact(FolderArtifact):
    """Counts the files that are asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.fetched: list[str] = []

    def _read_small(self, paths: Sequence[str]) -> dict[str, bytes]:
        self.fetched.extend(paths)
        return super()._read_small(paths)

    def _add_small_part(self, read: Callable[[], bytes], path: str, _digest: str) -> str:
        return self._put(read(), path)

    def _add_part(self, local_path: str, path: str, _digest: str) -> str:
        return self._put(Path(local_path).read_bytes(), path)

    def _put(self, data: bytes, path: str) -> str:
        (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self._folder / path).write_bytes(data)
        return path


def test_images_of_the_first_rows_are_shown_small() -> None:
    table = Table(columns=["n", "image"], data=[[n, image(caption='<"cat">')] for n in range(15)])
    page = table._repr_html_()
    assert [one.size for one in shown_in(page)] == [(64, 32)] * 10
    assert 'alt="Image(' in page
    assert "&lt;&quot;cat&quot;&gt;" in page
    assert '<"cat">' not in page
    assert "base64" not in repr(table)


def test_images_of_many_columns_are_shown_up_to_a_number() -> None:
    cells = [image(8, 8) for _ in range(5)]
    assert len(shown_in(Table(columns=list("abcde"), data=[cells] * 10)._repr_html_())) == 20


def test_small_images_of_an_artifact_are_shown_and_large_ones_named(tmp_path: Path) -> None:
    artifact: Any = CountingArtifact(tmp_path / "a")
    rows = [[image(30 + n, 40)] for n in range(60)]
    rows[1] = [image(400, 400, caption="large")]
    artifact.add(Table(columns=["image"], data=rows), "t")
    read = artifact.get("t")
    assert "Image(" in repr(read)
    assert artifact.fetched == []
    page = read._repr_html_()
    assert len(shown_in(page)) == 9
    assert "<td>Image(" in page
    assert len(artifact.fetched) <= 20
    large = rows[1][0]
    assert not any(large._content.name in path for path in artifact.fetched)


def test_what_cannot_be_shown_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone.png").write_bytes(b"")
    Pillow.new("RGB", (4, 4)).save(tmp_path / "gone.png")
    gone = holdfast.Image(tmp_path / "gone.png")
    (tmp_path / "gone.png").unlink()
    damaged = image(8, 8)
    damaged._take_bytes(b"\x89PNG\r\n\x1a\nnone", ".png")
    table = Table(columns=["i"], data=[[gone], [damaged], [holdfast.Image("https://example.com/a.png")], [None]])
    assert shown_in(table._repr_html_()) == []
    assert table._repr_html_().count("<td>Image(") == 3
    there = Table(columns=["i"], data=[[image(8, 8)]])
    assert len(shown_in(there._repr_html_())) == 1
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert shown_in(there._repr_html_()) == []
    assert "<td>Image(" in there._repr_html_()
