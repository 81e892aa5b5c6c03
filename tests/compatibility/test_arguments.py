"""Arguments and attributes of W&B's that no other test shows: accepted ones change nothing, others mean what is documented."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import holdfast
from support.trees import read_tree

pytestmark = pytest.mark.usefixtures("project", "folder")


def log(text: str = "x", name: str = "data") -> holdfast.Artifact:
    artifact = holdfast.Artifact(name, "dataset")
    with artifact.new_file("f") as file:
        file.write(text)
    with holdfast.init(reinit="create_new") as run:
        return run.log_artifact(artifact).wait()


def test_arguments_without_a_meaning_here_change_nothing() -> None:
    artifact = holdfast.Artifact("data", "dataset")
    artifact.add_file("model.h5", skip_cache=True)
    artifact.add_dir("my_dir", skip_cache=True)
    with artifact.new_file("new", policy="immutable") as file:
        file.write("text")
    with holdfast.init() as run:
        version = run.log_artifact(artifact).wait()
    expected = {"model.h5": b"w", "b": b"2", "new": b"text"}
    assert read_tree(Path(version.download("all", multipart=True, recursive=True))) == expected
    assert read_tree(Path(version.download("past", skip_cache=True, multipart=False))) == expected
    with ThreadPoolExecutor() as executor:
        path = version.get_entry("new").download("one", skip_cache=True, executor=executor)
    assert Path(path).read_bytes() == b"text"
    with version.files(["new"])[0].download("file", api=holdfast.Api()) as opened:
        assert opened.read() == "text"


def test_the_region_of_the_storage_is_kept_with_the_draft() -> None:
    assert holdfast.Artifact("data", "dataset", storage_region="eu-1").storage_region == "eu-1"


def test_a_use_has_no_name_of_its_own() -> None:
    log()
    with holdfast.init() as run, pytest.warns(DeprecationWarning, match="`use_as` is deprecated"):
        assert run.use_artifact("data", use_as="train").use_as is None


def test_a_version_is_encoded_for_configs() -> None:
    version = log()
    assert version.json_encode() == {
        "_type": "artifactVersion",
        "_version": "v0",
        "id": version.id,
        "version": "v0",
        "sequenceName": "data",
        "usedAs": None,
    }


def test_commit_hashes_are_their_versions_own_and_updates_are_dated() -> None:
    first, second = log("1"), log("2")
    assert first.commit_hash != second.commit_hash
    assert first.file_count == 1
    assert first.created_at <= first.updated_at
    first.description = "other"
    first.save()
    assert holdfast.Api().artifact("data:v0").updated_at >= first.created_at
    assert holdfast.Api().artifact("data:v0").created_at == first.created_at


def test_default_folders_are_named_as_documented() -> None:
    version = log()
    artifacts = Path("artifacts").absolute()
    assert Path(version.download()) == artifacts / "data:v0"
    assert Path(version.file()) == artifacts / "data:v0" / "f"
    assert Path(version.checkout()) == artifacts / "data"
    assert Path(version.get_entry("f").download()) == artifacts / "data:v0" / "f"


def test_an_entry_tells_what_it_is() -> None:
    version = log()
    entry = version.get_entry("f")
    assert (entry.name, entry.path, entry.ref, entry.birth_artifact_id, entry.extra) == ("f", "f", None, None, {})
    assert entry.to_json() == {"digest": entry.digest, "size": 1}
    assert entry.parent_artifact() is version
    assert entry.ref_url() == f"holdfast-artifact://{version.id}/f"


def test_a_version_is_equal_content_only_to_the_latest_one() -> None:
    first, second, third = log("1"), log("2"), log("1")
    assert [one.version for one in (first, second, third)] == ["v0", "v1", "v2"]
    assert third.digest == first.digest
    assert log("1").version == "v2"


def test_aliases_are_moved_and_never_doubled() -> None:
    log("1")
    with holdfast.init() as run:
        run.use_artifact("data:v0", aliases="best")
    log("2")
    with holdfast.init() as run:
        run.use_artifact("data:v1", aliases=["best"])
    assert holdfast.Api().artifact("data:best").version == "v1"
    assert holdfast.Api().artifact("data:v0").aliases == []


def test_an_id_is_none_before_logging_and_names_the_version_after() -> None:
    assert holdfast.Artifact("data", "dataset").id is None
    version = log()
    with holdfast.init(config={"data": f"wandb-artifact://_id/{version.id}"}) as run:
        assert run.config.data.qualified_name == version.qualified_name


def test_names_may_have_128_characters() -> None:
    assert log(name="n" * 128).name == "n" * 128 + ":v0"


def test_a_disabled_run_takes_everything() -> None:
    with holdfast.init(mode="disabled") as run:
        artifact = holdfast.Artifact("data", "dataset")
        assert run.log_artifact(artifact) is artifact
        assert artifact.wait() is artifact
        run.use_artifact("absent").download()
        run.log_model("model.h5", "m")
        assert run.link_artifact(artifact, "p") is artifact
    assert not holdfast.Api().artifact_exists("data")


def test_a_part_of_a_version_has_no_aliases() -> None:
    with holdfast.init(group="night") as run:
        part, whole = holdfast.Artifact("data", "dataset"), holdfast.Artifact("data", "dataset")
        part.add_file("model.h5")
        with pytest.warns(UserWarning, match="A part has no aliases; give them to finish_artifact"):
            run.upsert_artifact(part, aliases=["early"])
        version = run.finish_artifact(whole, aliases=["late"]).wait()
    assert set(version.aliases) == {"late", "latest"}


def test_variables_and_settings_without_a_meaning_here_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_SERVICE", "WANDB_X_EXTRA_HTTP_HEADERS", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, "nothing")
    monkeypatch.setenv("WANDB_ARTIFACT_FETCH_FILE_URL_BATCH_SIZE", "1")
    settings = holdfast.Settings(
        x_file_transfer_retry_max=1, x_file_transfer_timeout_seconds=1, allow_offline_artifacts=True
    )
    with holdfast.init(settings=settings) as run:
        version = run.log_artifact("model.h5", name="data", type="dataset").wait()
    assert Path(version.file("out")).read_text() == "w"
    assert not Path("nothing").exists()


@pytest.fixture
def catalogue(project: str) -> Iterator[str]:
    """Two collections of two versions, each linked into each of two registries; two runs."""
    stem = f"r{project.removeprefix('p-')}"
    for name in ("one", "two"):
        for text in ("1", "2"):
            version = log(text + name, name)
            for registry in ("a", "b"):
                version.link(f"wandb-registry-{stem}{registry}/{name}")
    yield stem
    for registry in holdfast.Api().registries(filter={"name": {"$regex": stem}}):
        registry.delete()


Lister = Callable[[holdfast.Api, str], Callable[..., Any]]

LISTS: dict[str, Lister] = {
    "Api.artifacts": lambda api, stem: partial(api.artifacts, "dataset", "one"),
    "Api.artifact_collections": lambda api, stem: partial(api.artifact_collections, api.default_project, "dataset"),
    "Api.runs": lambda api, stem: api.runs,
    "Api.registries": lambda api, stem: partial(api.registries, filter={"name": {"$regex": stem}}),
    "ArtifactType.collections": lambda api, stem: api.artifact_type("dataset").load().collections,
    "ArtifactCollection.artifacts": lambda api, stem: api.artifact_collection("dataset", "one").artifacts,
    "Artifact.files": lambda api, stem: two_files().files,
    "Registry.collections": lambda api, stem: api.registry(f"{stem}a").collections,
    "Registry.versions": lambda api, stem: api.registry(f"{stem}a").versions,
    "Registries.collections": lambda api, stem: api.registries(filter={"name": {"$regex": stem}}).collections,
    "Registries.versions": lambda api, stem: api.registries(filter={"name": {"$regex": stem}}).versions,
    "Collections.versions": lambda api, stem: api.registry(f"{stem}a").collections().versions,
}


def two_files() -> holdfast.Artifact:
    artifact = holdfast.Artifact("files", "dataset")
    artifact.add_file("model.h5")
    artifact.add_dir("my_dir")
    with holdfast.init(reinit="create_new") as run:
        return run.log_artifact(artifact).wait()


@pytest.mark.parametrize("name", LISTS)
def test_every_list_goes_on_from_a_cursor(name: str, catalogue: str) -> None:
    ask = LISTS[name](holdfast.Api(), catalogue)
    whole = [repr(one) for one in ask()]
    first = ask(per_page=1)
    begun = repr(first[0])
    assert len(whole) > 1
    assert [begun, *(repr(one) for one in ask(per_page=1, start=first.cursor))] == whole
    assert ask(per_page=100).length in (len(whole), None)


def test_types_are_one_page(catalogue: str) -> None:
    assert [one.name for one in holdfast.Api().artifact_types(start="anything")] == ["dataset"]


def test_handlers_take_the_scheme_they_are_for(folder: Path) -> None:
    own = holdfast.LocalFileHandler(scheme="nfs")
    assert own.can_handle(urlsplit("nfs:///x"))
    assert not own.can_handle(urlsplit("file:///x"))
    assert holdfast.LocalFileHandler().can_handle(urlsplit("file:///x"))
    assert holdfast.TrackingHandler(scheme="nfs").can_handle(urlsplit("nfs://x"))
    assert not holdfast.TrackingHandler(scheme="nfs").can_handle(urlsplit("tape://x"))
    assert holdfast.WBArtifactHandler().can_handle(urlsplit("wandb-artifact://1/x"))
