"""The examples of the W&B documents run unchanged under `import holdfast as wandb`.

Examples that are prose there are written out in words of our own.
"""

import os
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import holdfast
from support.gcs import GcsStandIn
from support.http_server import WebFile, WebServer
from support.seaweedfs import SeaweedFS

pytestmark = pytest.mark.usefixtures("project", "folder")

FIRST_USE = """
    wandb.init()

    artifact = wandb.Artifact("mnist", type="dataset")
    artifact.add_dir("mnist/")
    wandb.log_artifact(artifact)
"""
ADD_DIR = """
    artifact.add_dir("my_dir/")
    artifact.add_dir("my_dir/", name="destination")
    artifact.add_dir('my_dir/', path='older')
"""
ADD_FILE = """
    artifact.add_file("path/to/file.txt")
    artifact.add_file("path/to/file.txt", name="new/path/file.txt")
"""
LOCAL_NAME = """
    artifact = wandb.Artifact("my_dataset", type="dataset")
    artifact.add_file("path/to/file.txt", name="artifact/path/file.txt")

    name = artifact.get_added_local_path_name("path/to/file.txt")
"""
NEW_FILE = """
    artifact = wandb.Artifact("my_data", type="dataset")
    with artifact.new_file("hello.txt") as f:
        f.write("hello!")
    wandb.log_artifact(artifact)
"""
LOG_AND_USE = """
    # Run logging the artifact
    with wandb.init() as r:
        artifact = wandb.Artifact("my_dataset", type="dataset")
        artifact.add_file("path/to/file.txt")
        wandb.log_artifact(artifact)

    # Run using the artifact
    with wandb.init() as r:
        artifact = r.use_artifact("my_dataset:latest")
        path = artifact.get_path("file.txt")

        # Can now download 'file.txt' directly:
        path.download()
"""
HTTP_LINK = """
    # Adds `file.txt` to the root of the artifact as a reference.
    artifact.add_reference("http://myserver.com/file.txt")
"""
S3_PREFIX = """
    # All objects under `prefix/` will be added at the root of the artifact.
    artifact.add_reference("s3://mybucket/prefix")
"""
GCS_PREFIX = """
    # All objects under `prefix/` will be added under `path/` at the artifact
    # root.
    artifact.add_reference("gs://mybucket/prefix", name="path")
"""
DELETE_MODELS = """
    runs = api.runs(path="my_entity/my_project")
    for run in runs:
        for artifact in run.logged_artifacts():
            if artifact.type == "model":
                artifact.delete(delete_aliases=True)
"""
ALIASES = """
    artifact = wandb.Api().artifact("mnist:latest")
    artifact.aliases.append("best")
    artifact.description = "hand written digits"
    artifact.save()
"""
PATHS = """
    run = wandb.init()
    run.log_artifact("mnist", name="folder", type="dataset")
    run.log_artifact("path/to/file.txt", type="dataset", aliases=["first"])
    run.log_artifact(uri, name="reference", type="dataset")
"""
NAMES = """
    run = wandb.init()
    used = [run.use_artifact(name) for name in ("mnist", "mnist:v0", "mnist:latest", f"mnist:{digest}", digest)]
"""
MODELS = """
    run = wandb.init()
    run.log_model(path="model.h5", name="my_model", aliases=["production"])
    local = run.use_model(name="my_model:production")
    linked = run.link_model(path="model.h5", registered_model_name="My Model", name="my_model", aliases=["staging"])
"""
LINKS = """
    with wandb.init() as run:
        artifact = run.log_artifact("mnist", name="mnist", type="dataset").wait()
        artifact.link("shown/portfolio", aliases=["prod"])
        run.link_artifact(artifact, "wandb-registry-dataset/mnist")
"""
CONFIG = """
    run = wandb.init(config={"data": "wandb-artifact://" + name})
    folder = run.config.data.download()
"""
LINEAGE = """
    artifact = wandb.Api().artifact("mnist:v0")
    producer = artifact.logged_by()
    consumers = artifact.used_by()
"""
DISTRIBUTED = """
    for part in ("path/to/file.txt", "model.h5"):
        with wandb.init(group="night") as run:
            artifact = wandb.Artifact("parts", type="dataset")
            artifact.add_file(part)
            run.upsert_artifact(artifact)
    with wandb.init(group="night") as run:
        artifact = run.finish_artifact(wandb.Artifact("parts", type="dataset"))
"""
DRAFT = """
    draft = wandb.Api().artifact("mnist:latest").new_draft()
    draft.remove("a")
    draft.add_file("model.h5")
    wandb.log_artifact(draft)
"""


OLD_TABLE = """
    artifact = wandb.Artifact('my_table', 'dataset')
    table = wandb.Table(columns=["a", "b", "c"], data=[[i, i*2, 2**i]])
    artifact.add(table, "my_table")

    wandb.log_artifact(artifact)
"""
ADD_TABLE = """
    artifact = wandb.Artifact("my_table", type="dataset")
    table = wandb.Table(
        columns=["a", "b", "c"], data=[(i, i * 2, 2**i) for i in range(10)]
    )
    artifact.add(table, "my_table")

    wandb.log_artifact(artifact)
"""
GET_TABLE = """
    artifact = wandb.use_artifact("my_table:latest")
    table = artifact.get("my_table")
"""
SET_TABLE = """
    artifact = wandb.Artifact("my_table", type="dataset")
    table = wandb.Table(
        columns=["a", "b", "c"], data=[(i, i * 2, 2**i) for i in range(10)]
    )
    artifact["my_table"] = table

    wandb.log_artifact(artifact)
"""
TABLE_ITEM = """
    artifact = wandb.use_artifact("my_table:latest")
    table = artifact["my_table"]
"""
TABLE_OF_A_RUN = """
    # Run logging the artifact
    with wandb.init() as r:
        artifact = wandb.Artifact("my_dataset", type="dataset")
        table = wandb.Table(
            columns=["a", "b", "c"], data=[(i, i * 2, 2**i) for i in range(10)]
        )
        artifact.add(table, "my_table")
        wandb.log_artifact(artifact)

    # Run using the artifact
    with wandb.init() as r:
        artifact = r.use_artifact("my_dataset:latest")
        table = artifact.get("my_table")
"""
TABLE_BY_HAND = """
    run = wandb.init()
    labels = wandb.Classes([{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}])
    table = wandb.Table(columns=["id", "image", "label"])
    table.cast("label", labels.get_type())
    for i, pixels in enumerate(images):
        table.add_data(i, wandb.Image(pixels, caption=i, classes=labels), np.int64(i % 2))
    table.add_column("score", np.linspace(0, 1, len(images)))
    table.add_computed_columns(lambda ndx, row: {"good": row["score"] > 0.5})
    run.log({"table": table, "first": wandb.Image(images[0]), "loss": 0.5})

    artifact = wandb.Artifact("my_table", type="dataset")
    artifact.add(table, "my_table")
    run.log_artifact(artifact)
    artifact.wait()

    table = run.use_artifact("my_table:latest").get("my_table")
    rows = [row for i, row in table.iterrows()]
    scores = table.get_column("score", convert_to="numpy")
    frame = table.get_dataframe()
"""


def run(example: str, **names: Any) -> dict[str, Any]:
    """Runs an example as it stands in a script; returns its names."""
    script = "import holdfast as wandb\n" + textwrap.dedent(example)
    exec(compile(script, "example", "exec"), names)
    return names


def draft(name: str = "my_data") -> holdfast.Artifact:
    return holdfast.Artifact(name, type="dataset")


def log_mnist() -> holdfast.Artifact:
    artifact: holdfast.Artifact = run(FIRST_USE)["artifact"].wait()
    holdfast.finish()
    return artifact


def without_variables(monkeypatch: pytest.MonkeyPatch, *prefixes: str) -> None:
    for name in [name for name in os.environ if name.startswith(prefixes)]:
        monkeypatch.delenv(name)


def test_the_first_use() -> None:
    artifact = run(FIRST_USE)["artifact"].wait()
    assert list(artifact.manifest.entries) == ["a"]
    assert artifact.name == "mnist:v0"


def test_folders_are_added_at_the_root_and_below_a_name() -> None:
    artifact = run(ADD_DIR, artifact=draft())["artifact"]
    assert list(artifact.manifest.entries) == ["b", "destination/b", "older/b"]


def test_files_are_added_under_their_own_and_another_name() -> None:
    artifact = run(ADD_FILE, artifact=draft())["artifact"]
    assert list(artifact.manifest.entries) == ["file.txt", "new/path/file.txt"]


def test_the_name_of_a_local_file_is_found() -> None:
    assert run(LOCAL_NAME)["name"] == "artifact/path/file.txt"


def test_a_new_file_is_written_into_the_artifact() -> None:
    holdfast.init()
    artifact = run(NEW_FILE)["artifact"].wait()
    assert Path(artifact.file()).read_text() == "hello!"


def test_what_one_run_logged_another_one_uses() -> None:
    used = run(LOG_AND_USE)
    assert Path(used["artifact"].download(), "file.txt").read_text() == "three"
    assert [one.id for one in used["artifact"].used_by()] == [used["r"].id]


def test_a_link_of_the_web_is_added(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy is asked for whole URLs, so the example's server can be played here.
    web.files["http://myserver.com/file.txt"] = WebFile(b"served", etag='"1"')
    monkeypatch.setenv("http_proxy", web.url)
    monkeypatch.delenv("no_proxy", raising=False)
    artifact = run(HTTP_LINK, artifact=draft())["artifact"]
    entry = artifact.manifest.entries["file.txt"]
    assert (entry.ref, entry.digest, entry.size) == ("http://myserver.com/file.txt", "1", 6)
    holdfast.init()
    version = holdfast.log_artifact(artifact).wait()
    assert Path(version.download(), "file.txt").read_bytes() == b"served"


def test_a_prefix_of_s3_is_added_at_the_root(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    without_variables(monkeypatch, "AWS_")
    for name, value in {**seaweedfs.environ, "AWS_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    seaweedfs.make_bucket("mybucket")
    try:
        for key in ("prefix/a", "prefix/deep/b", "prefix2/c"):
            seaweedfs.put("mybucket", key, key.encode())
        artifact = run(S3_PREFIX, artifact=draft())["artifact"]
        assert list(artifact.manifest.entries) == ["a", "deep/b"]
        holdfast.init()
        version = holdfast.log_artifact(artifact).wait()
        assert Path(version.download(), "deep/b").read_bytes() == b"prefix/deep/b"
    finally:
        seaweedfs.drop_bucket("mybucket")


def test_a_prefix_of_google_is_added_below_a_name(gcs: GcsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    without_variables(monkeypatch, "GOOGLE_")
    for name, value in gcs.environ.items():
        monkeypatch.setenv(name, value)
    for key in ("prefix/a", "prefix/deep/b"):
        gcs.put("mybucket", key, key.encode())
    artifact = run(GCS_PREFIX, artifact=draft())["artifact"]
    assert list(artifact.manifest.entries) == ["path/a", "path/deep/b"]
    holdfast.init()
    version = holdfast.log_artifact(artifact).wait()
    assert Path(version.download(), "path/a").read_bytes() == b"prefix/a"


def test_all_models_that_runs_have_logged_are_deleted() -> None:
    with holdfast.init(entity="my_entity", project="my_project") as active:
        made = [active.log_artifact("model.h5", name=f"my-{kind}", type=kind) for kind in ("model", "dataset")]
        for artifact in made:
            artifact.wait()
    api = holdfast.Api()
    run(DELETE_MODELS, api=api)
    assert not api.artifact_exists("my_entity/my_project/my-model:v0")
    assert api.artifact_exists("my_entity/my_project/my-dataset:v0")


def test_changes_of_a_version_are_saved() -> None:
    log_mnist()
    run(ALIASES)
    found = holdfast.Api().artifact("mnist:best")
    assert (found.version, found.description) == ("v0", "hand written digits")


def test_a_path_is_logged_in_every_documented_form() -> None:
    active = run(PATHS, uri=Path("model.h5").absolute().as_uri())["run"]
    names = ["folder", f"run-{active.id}-file.txt:first", "reference"]
    found = [holdfast.Api().artifact(name).manifest.entries for name in names]
    assert [list(entries) for entries in found] == [["a"], ["file.txt"], ["model.h5"]]
    assert [entry.is_reference for entries in found for entry in entries.values()] == [False, False, True]


def test_an_artifact_is_used_by_every_documented_name() -> None:
    digest = log_mnist().digest
    assert [one.name for one in run(NAMES, digest=digest)["used"]] == ["mnist:v0"] * 5


def test_a_model_is_logged_used_and_linked() -> None:
    names = run(MODELS)
    assert Path(names["local"]).read_text() == "w"
    assert names["linked"].qualified_name == "local/model-registry/My Model:v0"
    assert set(names["linked"].aliases) == {"staging", "latest"}


def test_a_version_is_linked_into_portfolio_and_registry() -> None:
    artifact = run(LINKS)["artifact"]
    links = [link.qualified_name.rpartition(":")[0] for link in artifact.linked_artifacts]
    assert links == ["local/shown/portfolio", "local/wandb-registry-dataset/mnist"]


def test_an_artifact_of_the_config_is_used() -> None:
    names = run(CONFIG, name=log_mnist().qualified_name)
    assert Path(names["folder"], "a").read_text() == "1"
    assert [one.id for one in names["run"].config.data.used_by()] == [names["run"].id]


def test_makers_and_users_are_known() -> None:
    log_mnist()
    with holdfast.init(job_type="train") as trainer:
        trainer.use_artifact("mnist:v0")
    names = run(LINEAGE)
    assert names["producer"].id != trainer.id
    assert [(one.id, one.job_type) for one in names["consumers"]] == [(trainer.id, "train")]


def test_several_runs_of_a_group_write_one_version() -> None:
    artifact = run(DISTRIBUTED)["artifact"].wait()
    assert list(artifact.manifest.entries) == ["file.txt", "model.h5"]


def test_a_version_is_changed_by_a_draft() -> None:
    log_mnist()
    holdfast.init()
    version = run(DRAFT)["draft"].wait()
    assert (version.name, list(version.manifest.entries)) == ("mnist:v1", ["model.h5"])


POWERS = [[i, i * 2, 2**i] for i in range(10)]


def test_a_table_of_the_oldest_document_is_added() -> None:
    holdfast.init()
    run(OLD_TABLE, i=3)["artifact"].wait()
    assert run(GET_TABLE)["table"].data == [[3, 6, 8]]


@pytest.mark.parametrize(("add", "get"), [(ADD_TABLE, GET_TABLE), (SET_TABLE, TABLE_ITEM)])
def test_a_table_is_added_and_retrieved(add: str, get: str) -> None:
    holdfast.init()
    run(add)["artifact"].wait()
    table = run(get)["table"]
    assert (table.columns, table.data) == (["a", "b", "c"], POWERS)


def test_a_table_that_one_run_logged_another_one_gets() -> None:
    names = run(TABLE_OF_A_RUN)
    assert names["table"].data == POWERS
    assert [one.id for one in names["artifact"].used_by()] == [names["r"].id]


@pytest.mark.filterwarnings("ignore:Holdfast keeps artifacts, not metrics")
def test_a_table_of_images_is_made_row_by_row_and_looked_at() -> None:
    images = np.random.default_rng(1).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    names = run(TABLE_BY_HAND, np=np, images=images)
    assert [row[:1] + row[2:] for row in names["rows"]] == [[i, i % 2, i / 3, i > 1] for i in range(4)]
    for row, pixels in zip(names["rows"], images, strict=True):
        np.testing.assert_array_equal(row[1].to_numpy(), pixels)
        assert row[1].caption == str(row[0])
    np.testing.assert_array_equal(names["scores"], np.linspace(0, 1, 4))
    assert list(names["frame"].columns) == ["id", "image", "label", "score", "good"]
