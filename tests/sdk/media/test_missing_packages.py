"""A library that is not installed is said in one line, with the command; what does not need it works all the same."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import holdfast
from holdfast.errors import MissingPackageError

EXTRA = "pip install 'holdfast[media]'"


@pytest.mark.parametrize(
    ("package", "module", "call", "command"),
    [
        ("soundfile", "soundfile", lambda: holdfast.Audio(np.zeros(3), 8_000), EXTRA),
        ("av", "av", lambda: holdfast.Video(np.zeros((1, 3, 2, 2))), EXTRA),
        ("plotly", "plotly.graph_objects", lambda: holdfast.Plotly({"data": []}).figure(), EXTRA),
        ("numpy", "numpy", lambda: holdfast.Object3D([[0, 0, 0]]).to_numpy(), EXTRA),
        ("rdkit", "rdkit.Chem", lambda: holdfast.Molecule.from_smiles("C"), "pip install rdkit"),
        ("rdkit", "rdkit.Chem", lambda: holdfast.Molecule.from_rdkit("a.mol"), "pip install rdkit"),
    ],
)
def test_a_missing_library_is_said_in_one_line(
    package: str, module: str, call: Callable[[], Any], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(f"need {package}: {command}") or str(caught.value).endswith(
        f"needs {package}: {command}"
    )


def test_bokeh_is_needed_for_its_object_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bokeh.json"
    path.write_text('{"roots": [], "title": "t", "version": "3.0.0"}')
    monkeypatch.setitem(sys.modules, "bokeh.document", None)
    plot = holdfast.Bokeh(path)
    assert plot.content["title"] == "t"
    with pytest.raises(MissingPackageError, match=r"needs bokeh: pip install 'holdfast\[media\]'"):
        _ = plot.b_obj


def test_files_need_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("soundfile", "av", "numpy"):
        monkeypatch.setitem(sys.modules, module, None)
    for name, kind in (("a.wav", holdfast.Audio), ("a.mp4", holdfast.Video), ("a.pts.json", holdfast.Object3D)):
        path = tmp_path / name
        path.write_bytes(b"[]")
        media = kind(path)
        assert (media.size, Path(media.path).name) == (2, name)
        assert kind.__name__ in repr(media)
