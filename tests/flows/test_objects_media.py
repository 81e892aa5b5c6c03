"""Sounds, videos, pages and plots with all three processes: logged by one host, got by another, equal; W&B's files are read."""

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import holdfast
from holdfast.errors import MalformedObjectError, UsageError
from holdfast.media.media_file import Media
from holdfast.media.saved_model import SavedModel
from support.http_server import WebServer
from support.own_registry import OwnRegistry
from support.sdk_calls import PROJECT, fetched, log, new_artifact
from support.sdk_host import SdkHost

RATE = 8_000
SAMPLES = np.random.default_rng(1).integers(-(2**15), 2**15, (400, 2), dtype=np.int16)
FRAMES = np.random.default_rng(2).integers(0, 256, (3, 3, 16, 24), dtype=np.uint8)
POINTS = np.random.default_rng(3).random((30, 6))
BOX = {"corners": [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], "color": [0, 255, 0], "label": "car"}
PLOTLY = {"data": [{"type": "scatter", "y": [1, 2]}], "layout": {}}
PDB = b"ATOM      1  N   GLY A   1       0.000   0.000   0.000  1.00  0.00           N\nEND\n"
SOUND = "https://sounds.example/far.wav"


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def wav_bytes() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, SAMPLES, RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def bokeh_figure() -> Any:
    from bokeh.plotting import figure

    plot = figure(title="a plot")
    plot.scatter([1, 2], np.array([0.25, 4.0]))
    return plot


def plotly_figure() -> Any:
    from plotly import graph_objects

    return graph_objects.Figure(PLOTLY)


def audio_forms(folder: Path) -> dict[str, Media]:
    floats = (SAMPLES / 2**15).astype(np.float32)
    return {
        "audio-path": holdfast.Audio(written(folder, "a.wav", wav_bytes()), caption="bell"),
        "audio-int16": holdfast.Audio(SAMPLES, RATE),
        "audio-float32": holdfast.Audio(floats[:, 0], sample_rate=RATE, caption="mono"),
        "audio-float64": holdfast.Audio(floats.astype(np.float64), sample_rate=RATE),
        "audio-again": holdfast.Audio(SAMPLES, RATE, caption="again"),
        "audio-uint8": holdfast.Audio((SAMPLES >> 8).astype(np.uint8), sample_rate=RATE),
    }


def video_forms(folder: Path) -> dict[str, Media]:
    made = {format: holdfast.Video(FRAMES, fps=5, format=format) for format in holdfast.Video.EXTS}
    with made["webm"].open() as file:
        data = file.read()
    return {
        **{f"video-{format}": video for format, video in made.items()},
        "video-float": holdfast.Video(FRAMES / 255, caption="of 0 to 1"),
        "video-batch": holdfast.Video(np.stack([FRAMES, FRAMES, FRAMES])),
        "video-path": holdfast.Video(str(written(folder, "a.webm", data)), caption="drive"),
        "video-bytes": holdfast.Video(io.BytesIO(data), format="webm"),
    }


def object3d_forms(folder: Path) -> dict[str, Media]:
    meshes = {
        f"object3d-{extension}": holdfast.Object3D(written(folder, f"a.{extension}", b"mesh \xff" + extension.encode()))
        for extension in ("obj", "gltf", "glb", "babylon", "stl")
    }
    return {
        **meshes,
        "object3d-n6": holdfast.Object3D(POINTS, caption="cloud"),
        "object3d-n4": holdfast.Object3D.from_numpy(POINTS[:, :4]),
        "object3d-n3": holdfast.Object3D.from_numpy(POINTS[:, :3]),
        "object3d-scene": holdfast.Object3D.from_point_cloud(
            POINTS[:, :3].tolist(), [BOX], [{"start": [0, 0, 0], "end": [1, 1, 1]}]
        ),
        "object3d-dict": holdfast.Object3D({"type": "lidar/beta", "points": POINTS}),
        "object3d-file": holdfast.Object3D.from_file(io.StringIO("[[1, 2, 3]]"), file_type="pts.json"),
    }


def other_forms(folder: Path) -> dict[str, Media]:
    bokeh = holdfast.Bokeh(bokeh_figure())
    with bokeh.open() as file:
        bokeh_path = written(folder, "a.bokeh.json", file.read())
    page = written(folder, "a.html", "<p>ü</p>".encode())
    return {
        "html-text": holdfast.Html("<html><head></head>é</html>"),
        "html-path": holdfast.Html(page, inject=False),
        "html-path-injected": holdfast.Html(str(page)),
        "html-file": holdfast.Html(io.StringIO("<p>from a file</p>"), inject=False),
        "molecule-path": holdfast.Molecule(written(folder, "a.pdb", PDB), caption="glycine"),
        "molecule-file": holdfast.Molecule(io.BytesIO(PDB), file_type="gro"),
        "plotly-figure": holdfast.Plotly(plotly_figure()),
        "plotly-path": holdfast.Plotly(written(folder, "a.plotly.json", json.dumps(PLOTLY).encode())),
        "plotly-json": holdfast.Plotly(PLOTLY),
        "bokeh-figure": bokeh,
        "bokeh-path": holdfast.Bokeh(bokeh_path),
    }


# --- files as W&B's client writes them, by hand ------------------------------------------------------------------------

GOLDEN: dict[str, tuple[dict[str, Any], dict[str, bytes]]] = {
    "g.audio-file.json": (
        {"_type": "audio-file", "caption": None, "path": "media/audio/0123/a.wav", "sha256": "ab" * 32, "size": 1644},
        {"media/audio/0123/a.wav": wav_bytes()},
    ),
    "g.video-file.json": (
        {
            "_type": "video-file",
            "path": "media/videos/v.gif",
            "sha256": "cd" * 32,
            "width": 24,
            "height": 16,
            "unknown": [1],
        },
        {"media/videos/v.gif": b"GIF89a"},
    ),
    "g.html-file.json": (
        {"_type": "html-file", "path": "media/html/h.html", "sha256": "ef" * 32},
        {"media/html/h.html": b"<p>golden</p>"},
    ),
    "g.object3D-file.json": (
        {"_type": "object3D-file", "path": "media/object3D/o.pts.json", "sha256": "01" * 32},
        {
            "media/object3D/o.pts.json": json.dumps(
                {"type": "lidar/beta", "points": [[1, 2, 3]], "boxes": [BOX]}
            ).encode()
        },
    ),
    "g.molecule-file.json": (
        {"_type": "molecule-file", "path": "media/molecule/m.pdb", "sha256": "23" * 32, "caption": 5},
        {"media/molecule/m.pdb": PDB},
    ),
    "g.plotly-file.json": (
        {"_type": "plotly-file", "path": "media/plotly/p.plotly.json", "sha256": "45" * 32},
        {"media/plotly/p.plotly.json": json.dumps(PLOTLY).encode()},
    ),
    "g.bokeh-file.json": (
        {"_type": "bokeh-file", "path": "media/bokeh/b.bokeh.json", "sha256": "67" * 32},
        {"media/bokeh/b.bokeh.json": b'{"version":"3.4.0","title":"golden","roots":[]}'},
    ),
    "g.pytorch-model-file.json": (
        {"type": "pytorch-model-file", "path": ".wb_data/saved_models/m.pt"},
        {".wb_data/saved_models/m.pt": b"pickled"},
    ),
    "g.tfkeras-model-file.json": (
        {"type": "tfkeras-model-file", "path": ".wb_data/saved_models/89ab"},
        {".wb_data/saved_models/89ab/saved_model.pb": b"graph", ".wb_data/saved_models/89ab/variables/v.0": b"1"},
    ),
}

NO_SOUND = {"media/audio/no.wav": b"no sound", "media/videos/no.mp4": b"no video", "media/html/no.html": b"\xff\xfe"}
MALFORMED: dict[str, tuple[str, str, Callable[[Any], object] | None]] = {
    # File: its text, the key that is wrong, and what must be asked of the object before it shows.
    "no-json.audio-file.json": ("{", "", None),
    "no-object.html-file.json": ("[1]", "", None),
    "no-path.video-file.json": ('{"_type": "video-file"}', "path", None),
    "path-is-5.plotly-file.json": ('{"path": 5}', "path", None),
    "path-leads-out.bokeh-file.json": ('{"path": "../../etc/passwd"}', "path", None),
    "width-is-text.video-file.json": ('{"path": "media/videos/no.mp4", "width": "wide"}', "width", None),
    "caption-is-a-list.molecule-file.json": ('{"path": "media/molecule/m.pdb", "caption": [5]}', "caption", None),
    "no-model-path.sklearn-model-file.json": ('{"type": "sklearn-model-file"}', "path", None),
    "file-is-gone.audio-file.json": ('{"path": "media/audio/gone.wav"}', "path", lambda audio: audio.to_numpy()),
    "model-is-gone.tfkeras-model-file.json": ('{"path": ".wb_data/gone"}', "path", lambda model: model.path),
    "no-sound.audio-file.json": ('{"path": "media/audio/no.wav"}', "path", lambda audio: audio.to_numpy()),
    "no-rate.audio-file.json": ('{"path": "media/audio/no.wav"}', "path", lambda audio: audio.sample_rate),
    "no-video.video-file.json": ('{"path": "media/videos/no.mp4"}', "path", lambda video: video.to_numpy()),
    "no-text.html-file.json": ('{"path": "media/html/no.html"}', "path", lambda html: html.html),
    "no-cloud.object3D-file.json": ('{"path": "no.pts.json"}', "path", lambda cloud: cloud.scene()),
    "no-plot.plotly-file.json": ('{"path": "no.pts.json"}', "path", lambda plot: plot.content),
    "no-document.bokeh-file.json": ('{"path": "media/audio/no.wav"}', "path", lambda plot: plot.b_obj),
}


class Logged:
    """What one host has logged, as another one sees it."""

    def __init__(self, made: dict[str, Media], version: holdfast.Artifact) -> None:
        self.made = made
        self.version = version

    def got(self, name: str) -> Any:
        found = self.version.get(name)
        assert found is not None
        return found

    def json_of(self, name: str) -> dict[str, Any]:
        with self.version.get_entry(name).open() as file:
            return json.load(file)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    """All objects in one version; this process is the other host from then on."""
    folder = tmp_path_factory.mktemp("media")
    made = {**audio_forms(folder), **video_forms(folder), **object3d_forms(folder), **other_forms(folder)}
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(OwnRegistry(folder / "registry", tcp=False))
        registry.start()
        with SdkHost(folder / "one", registry.daemon_settings()).entered():
            artifact = new_artifact()
            for name, media in made.items():
                artifact.add(media, name)
            add_by_hand(artifact)
            log(artifact)
            name = artifact.qualified_name
        settings = {"HOLDFAST_ARTIFACT_DIR": str(folder / "artifacts"), **registry.daemon_settings()}
        stack.enter_context(SdkHost(folder / "other", settings).entered())
        yield Logged(made, holdfast.Api().artifact(name))


def add_by_hand(artifact: holdfast.Artifact) -> None:
    files: dict[str, bytes] = {**NO_SOUND, "no.pts.json": b"[[1]]"}
    for name, (fields, beside) in GOLDEN.items():
        files |= {name: json.dumps(fields).encode(), **beside}
    files |= {name: text.encode() for name, (text, _, _) in MALFORMED.items()}
    for name, data in files.items():
        with artifact.new_file(name, "xb") as file:
            file.write(data)


FORMS = [
    *("audio-path", "audio-int16", "audio-float32", "audio-float64", "audio-again", "audio-uint8"),
    *("video-gif", "video-mp4", "video-webm", "video-ogg", "video-float", "video-batch", "video-path", "video-bytes"),
    *(
        "object3d-obj",
        "object3d-gltf",
        "object3d-glb",
        "object3d-babylon",
        "object3d-stl",
        "object3d-n6",
        "object3d-n4",
    ),
    *("object3d-n3", "object3d-scene", "object3d-dict", "object3d-file"),
    *("html-text", "html-path", "html-path-injected", "html-file", "molecule-path", "molecule-file"),
    *("plotly-figure", "plotly-path", "plotly-json", "bokeh-figure", "bokeh-path"),
]
SUFFIX = {
    "audio": "audio",
    "video": "video",
    "object3d": "object3D",
    "html": "html",
    "molecule": "molecule",
    "plotly": "plotly",
    "bokeh": "bokeh",
}


def log_type_of(form: str) -> str:
    return f"{SUFFIX[form.partition('-')[0]]}-file"


def test_every_form_is_tried(logged: Logged) -> None:
    assert sorted(logged.made) == sorted(FORMS)


@pytest.mark.parametrize("form", FORMS)
def test_an_object_comes_back_on_another_host_with_the_bytes_that_were_logged(logged: Logged, form: str) -> None:
    given, got = logged.made[form], logged.got(form)
    assert type(got) is type(given)
    assert got == given
    assert (got.caption, got.size, got.sha256) == (given.caption, given.size, given.sha256)
    with given.open() as expected, got.open() as found:
        assert found.read() == expected.read()


@pytest.mark.parametrize("form", FORMS)
def test_the_keys_are_the_documented_ones(logged: Logged, form: str) -> None:
    given, log_type = logged.made[form], log_type_of(form)
    fields = logged.json_of(f"{form}.{log_type}.json")
    assert fields.pop("_type") == log_type
    assert fields.pop("sha256") == given.sha256
    assert fields.pop("size") == given.size
    path = fields.pop("path")
    assert path in logged.version.manifest.entries
    media, folder, *_ = path.split("/")
    assert (media, folder) == (
        "media",
        {"audio": "audio", "video": "videos"}.get(form.partition("-")[0], log_type[:-5]),
    )
    expected: dict[str, Any] = {} if given.caption is None and "audio" not in form else {"caption": given.caption}
    if isinstance(given, holdfast.Video):
        own = {"width": given.width, "height": given.height, "format": given.format}
        expected |= {key: value for key, value in own.items() if value is not None}
    assert fields == expected


def test_files_of_users_lie_below_their_hash_and_made_ones_have_theirs_for_a_name(logged: Logged) -> None:
    given = logged.made["audio-path"]
    assert logged.json_of("audio-path")["path"] == f"media/audio/{given.sha256[:20]}/a.wav"
    made = logged.json_of("object3d-n6")["path"]
    assert made.endswith(".pts.json")
    assert made.count("/") == 2


@pytest.mark.parametrize("form", [form for form in FORMS if form.startswith("audio")])
def test_samples_come_back(logged: Logged, form: str) -> None:
    given, got = logged.made[form], logged.got(form)
    assert isinstance(given, holdfast.Audio)
    found, expected = got.to_numpy(), given.to_numpy()
    assert (found.dtype, got.sample_rate, got.duration) == (expected.dtype, RATE, 400 / RATE)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("form", [form for form in FORMS if form.startswith("video")])
def test_frames_come_back(logged: Logged, form: str) -> None:
    given, got = logged.made[form], logged.got(form)
    assert isinstance(given, holdfast.Video)
    assert (got.format, got.width, got.height) == (given.format, given.width, given.height)
    np.testing.assert_array_equal(got.to_numpy(), given.to_numpy())


@pytest.mark.parametrize("form", ["object3d-n3", "object3d-n4", "object3d-n6", "object3d-scene", "object3d-dict"])
def test_points_come_back(logged: Logged, form: str) -> None:
    columns = {"object3d-n4": 4, "object3d-n3": 3, "object3d-scene": 3}.get(form, 6)
    got = logged.got(form)
    np.testing.assert_array_equal(got.to_numpy(), POINTS[:, :columns])
    assert got.scene()["boxes"] == ([BOX] if form == "object3d-scene" else [])


def test_files_are_downloaded_one_by_one(logged: Logged) -> None:
    mesh = logged.got("object3d-glb")
    assert Path(mesh.path).read_bytes() == b"mesh \xffglb"
    assert mesh.path == mesh._path
    # The other meshes lie below the same root, where nobody has asked for this one.
    root = mesh.path.removesuffix(logged.json_of("object3d-glb")["path"])
    assert Path(root).is_dir()
    assert not Path(root, logged.json_of("object3d-stl")["path"]).exists()


def test_pages_and_plots_come_back(logged: Logged) -> None:
    assert logged.got("html-path").html == "<p>ü</p>"
    assert logged.got("html-text").html == logged.made["html-text"].html  # type: ignore[attr-defined]
    assert logged.got("plotly-json").content == PLOTLY
    assert list(logged.got("plotly-figure").figure().data[0].y) == [1, 2]
    (root,) = logged.got("bokeh-figure").b_obj.roots
    np.testing.assert_array_equal(root.renderers[0].data_source.data["y"], [0.25, 4.0])


# --- W&B's files ------------------------------------------------------------------------------------------------------


def test_files_of_wandb_are_read(logged: Logged) -> None:
    np.testing.assert_array_equal(logged.got("g.audio-file.json").to_numpy(), SAMPLES)
    video = logged.got("g.video-file.json")
    assert (video.width, video.height, video.format) == (24, 16, "gif")
    assert logged.got("g.html-file.json").html == "<p>golden</p>"
    cloud = logged.got("g.object3D-file.json")
    assert (cloud.to_numpy().tolist(), cloud.scene()["boxes"]) == ([[1, 2, 3]], [BOX])
    molecule = logged.got("g.molecule-file.json")
    assert (molecule.caption, molecule.open().read()) == ("5", PDB)
    assert logged.got("g.plotly-file.json").figure().data[0].type == "scatter"
    assert logged.got("g.bokeh-file.json").content["title"] == "golden"


def test_models_that_wandb_has_pickled_are_found_and_never_run(logged: Logged) -> None:
    model = logged.got("g.pytorch-model-file.json")
    assert isinstance(model, SavedModel)
    assert Path(model.path).read_bytes() == b"pickled"
    with pytest.raises(UsageError, match=r"torch\.load\(model\.path"):
        model.model_obj()
    with pytest.raises(UsageError, match="is only read"):
        type(model)()
    folder = Path(logged.got("g.tfkeras-model-file.json").path)
    assert (folder / "saved_model.pb").read_bytes() == b"graph"
    assert (folder / "variables" / "v.0").read_bytes() == b"1"


@pytest.mark.parametrize("file", MALFORMED)
def test_a_malformed_file_is_named_with_its_key(logged: Logged, file: str) -> None:
    _, key, ask = MALFORMED[file]
    # Some are found out when they are read, others when somebody looks into the file beside them.
    found = logged.version.get(file) if ask is not None else None
    with pytest.raises(MalformedObjectError) as caught:
        ask(found) if ask is not None else logged.version.get(file)
    assert caught.value.detail == {"artifact": logged.version.name, "path": file, "key": key}
    assert file in str(caught.value)


# --- from one artifact into another -------------------------------------------------------------------------------------


def test_objects_taken_from_an_artifact_are_referred_to(logged: Logged) -> None:
    names = ("audio-int16", "video-mp4", "html-text", "object3d-n6", "g.tfkeras-model-file.json")
    other = new_artifact()
    for name in names:
        other.add(logged.got(name), name)
    version = fetched(log(other))
    assert all(entry.ref is not None for entry in version.manifest.entries.values())
    for name in names[:-1]:
        assert version.get(name) == logged.made[name]
    keras = version.get("g.tfkeras-model-file.json")
    assert isinstance(keras, SavedModel)
    assert (Path(keras.path) / "saved_model.pb").read_bytes() == b"graph"


def test_a_sound_behind_a_url_is_a_reference_and_is_read_from_there(logged: Logged) -> None:
    with WebServer() as web:
        url = web.put("/far.wav", wav_bytes(), etag='"1"')
        artifact = new_artifact()
        artifact["far"] = holdfast.Audio(url, caption="far")
        with holdfast.init(project=PROJECT) as run:
            version = fetched(run.log_artifact(artifact).wait())
        got = version.get("far")
        assert isinstance(got, holdfast.Audio)
        assert (got.resolve_ref(), got.caption) == (url, "far")
        np.testing.assert_array_equal(got.to_numpy(), SAMPLES)
        assert got == holdfast.Audio(url, caption="far")
        (path,) = [path for path in version.manifest.entries if path.startswith("media/audio/")]
        assert version.manifest.entries[path].ref == url


def test_equal_media_are_stored_once(logged: Logged) -> None:
    assert logged.json_of("audio-again")["path"] == logged.json_of("audio-int16")["path"]
