"""Comet's vocabulary over the same store: what is logged in one is found in the other, and downloads move what differs."""

import io
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast
import holdfast.comet as comet_ml
from holdfast import errors
from holdfast._fetch import Fetcher
from holdfast.comet import exceptions
from holdfast.comet._inherited import TICK_NS
from holdfastpb.daemon.v1.fetch_pb2 import DownloadResponse
from support.http_server import WebServer
from support.sdk_calls import fresh_name, log, new_artifact
from support.sdk_host import SdkHost
from support.trees import read_tree, write_tree

PROJECT = "experiments"


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here logs; a download that names no folder leaves one among the temporary files, here the test's."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("downloads")))


@pytest.fixture
def experiment() -> Iterator[comet_ml.Experiment]:
    with comet_ml.Experiment(project_name=PROJECT) as begun:
        yield begun


def logged(
    experiment: comet_ml.Experiment, files: dict[str, bytes], name: str | None = None, **more: object
) -> comet_ml.LoggedArtifact:
    artifact = comet_ml.Artifact(name or fresh_name(), "dataset", **more)  # type: ignore[arg-type]
    for path, data in files.items():
        artifact.add(io.BytesIO(data), path)
    return experiment.log_artifact(artifact).wait()


def brought(experiment: comet_ml.Experiment) -> int:
    """Bytes of assets that downloads of this experiment have moved so far."""
    assets = experiment.generate_summary().get("downloads", {}).get("artifact assets", {})
    return int(assets.get("size_bytes", 0))


# --- one store, two vocabularies --------------------------------------------------------------------------------------


def test_what_comet_logs_is_found_by_the_other_vocabulary(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    artifact = comet_ml.Artifact(fresh_name(), "dataset", aliases=["prod"], metadata={"k": 1}, version_tags=["good"])
    folder = write_tree(tmp_path / "mnist", {"train/a": b"a", "b": bytes(200_000)})
    artifact.add(folder, metadata={"split": "all"})
    artifact.add(io.StringIO("naïve"), "notes.txt")
    artifact.add_remote("other://place/of/things", "thing")
    done = experiment.log_artifact(artifact)
    assert str(done.wait().version) == "1.0.0"
    found = holdfast.Api().artifact(f"{artifact.name}:prod")
    assert (found.type, found.version, found.metadata, found.tags) == ("dataset", "v0", {"k": 1}, ["good"])
    assert set(found.aliases) == {"latest", "prod"}
    assert list(found.manifest.entries) == ["mnist/b", "mnist/train/a", "notes.txt", "thing"]
    assert found.get_entry("mnist/b").extra == {"metadata": {"split": "all"}}
    assert found.get_entry("notes.txt").read_bytes() == "naïve".encode()
    assert found.get_entry("thing").ref == "other://place/of/things"
    logged_by = found.logged_by()
    assert logged_by is not None
    assert (logged_by.id, logged_by.project) == (experiment.get_key(), PROJECT)


def test_what_the_other_vocabulary_logs_is_found_by_comet(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    theirs = new_artifact()
    theirs.metadata = {"k": [1]}
    with theirs.new_file("a/file") as file:
        file.write("x")
    version = log(theirs, aliases=["best"], tags=["t"], project="uncategorized")
    found = experiment.get_artifact(f"local/{version.source_name.split(':')[0]}:best")
    assert (found.name, found.workspace, found.artifact_type) == (theirs.source_name.split(":")[0], "local", "dataset")
    assert str(found.version) == "1.0.0"
    assert (found.aliases, found.version_tags) == ({"Latest", "best"}, {"t"})
    assert (found.metadata, found.size) == ({"k": [1]}, 1)
    assert found.source_experiment_key == version._logged.logged_by_run_id
    assert [run.id for run in version.used_by()] == [experiment.get_key()]
    asset = found.get_asset("a/file")
    assert (asset.size, asset.remote, asset.link, asset.metadata) == (1, False, None, {})
    assert read_tree(Path(found.download(str(tmp_path)).download_local_path or "")) == {"a/file": b"x"}


def test_every_log_is_a_version_and_semantic_versions_count_up_or_are_said(experiment: comet_ml.Experiment) -> None:
    name = fresh_name()
    files = {"same": b"same"}
    assert [str(logged(experiment, files, name).version) for _ in range(2)] == ["1.0.0", "2.0.0"]
    assert str(logged(experiment, files, name, version="2.5.0").version) == "2.5.0"
    assert str(logged(experiment, files, name, version="0.1.0-rc.1").version) == "0.1.0-rc.1"
    assert experiment.get_artifact(name, version_or_alias="^2.1").version.minor == 5
    assert str(experiment.get_artifact(f"{name}:v0").version) == "1.0.0"
    assert str(experiment.get_artifact(f"{name}:LATEST").version) == "0.1.0-rc.1"
    assert holdfast.Api().artifact(f"{name}:2.5.0").version == "v2"
    with pytest.raises(exceptions.LogArtifactException) as caught:
        logged(experiment, files, name, version="2.0.0")
    assert caught.value.sdk_error_code == exceptions.VERSION_EXISTS
    artifact = comet_ml.Artifact(name, "dataset")
    artifact.version = "2.0"  # type: ignore[assignment]
    with pytest.raises(exceptions.LogArtifactException, match="MAJOR") as malformed:
        experiment.log_artifact(artifact)
    assert malformed.value.sdk_error_code == exceptions.INVALID_VERSION
    holdfast.Api().artifact(f"{name}:2.0.0").delete(delete_aliases=True)
    with pytest.raises(exceptions.LogArtifactException) as reused:
        logged(experiment, files, name, version="2.0.0")
    assert reused.value.sdk_error_code == exceptions.VERSION_DELETED
    assert isinstance(reused.value.__cause__, errors.Error)


def test_an_alias_that_reads_like_a_number_does_not_stand_in_front_of_it(experiment: comet_ml.Experiment) -> None:
    name = fresh_name()
    for text in (b"one", b"two"):
        logged(experiment, {"f": text}, name)
    theirs = holdfast.Api().artifact(f"{name}:v1")
    theirs.aliases.append("1.0.0")
    theirs.save()
    assert holdfast.Api().artifact(f"{name}:1.0.0").version == "v1"
    assert experiment.get_artifact(f"{name}:1.0.0").get_asset("f").open_stream().read() == b"one"


def test_metadata_of_assets_is_kept_also_where_the_contents_are_equal(experiment: comet_ml.Experiment) -> None:
    name, ids = fresh_name(), []
    for label in ("cat", "dog"):
        artifact = comet_ml.Artifact(name, "dataset")
        artifact.add(io.BytesIO(b"pixels"), "image", metadata={"label": label})
        [asset] = artifact.assets
        found = experiment.log_artifact(artifact).wait().get_asset("image")
        assert found.metadata == asset.metadata == {"label": label}
        ids += [asset.id, found.id]
    assert len(set(ids)) == 1


# --- downloads --------------------------------------------------------------------------------------------------------

TREE = {"equal": bytes(300_000), "sub/changed": b"theirs", "sub/missing": b"m" * 70_000}
MINE = {"equal": bytes(300_000), "sub/changed": b"mine!!", "extra": b"e"}


@pytest.mark.parametrize("strategy", [False, "FAIL", "fail"])
def test_fail_refuses_before_anything_is_written(
    experiment: comet_ml.Experiment, tmp_path: Path, strategy: bool | str
) -> None:
    version = logged(experiment, TREE)
    folder = write_tree(tmp_path / "out", MINE)
    with pytest.raises(exceptions.ArtifactDownloadException, match="sub/changed") as caught:
        version.download(str(folder), overwrite_strategy=strategy)
    assert isinstance(caught.value.__cause__, errors.PathConflictError)
    assert read_tree(folder) == MINE
    assert brought(experiment) == 0


def test_fail_brings_what_is_missing_where_the_rest_is_equal(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    version = logged(experiment, TREE)
    folder = write_tree(tmp_path / "out", {"equal": TREE["equal"], "sub/changed": b"theirs", "extra": b"e"})
    version.download(str(folder))
    assert read_tree(folder) == TREE | {"extra": b"e"}
    assert brought(experiment) == len(TREE["sub/missing"])
    version.download(str(folder))
    assert brought(experiment) == len(TREE["sub/missing"])


def test_preserve_keeps_what_differs_and_a_warning_names_it(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    version = logged(experiment, TREE)
    folder = write_tree(tmp_path / "out", MINE)
    with pytest.warns(UserWarning, match="1 file was kept") as told:
        artifact = version.download(str(folder), overwrite_strategy="Preserve")
    assert "sub/changed" in str(told[0].message)
    assert read_tree(folder) == TREE | MINE
    assert brought(experiment) == len(TREE["sub/missing"])
    again = experiment.log_artifact(artifact).wait()
    assert again.get_asset("sub/changed").open_stream().read() == b"mine!!"


def test_kept_files_that_the_daemon_does_not_name_are_logged_as_they_are(
    experiment: comet_ml.Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = logged(experiment, TREE)
    run = Fetcher.run

    def run_without_names(*arguments: Any) -> DownloadResponse:
        response = run(*arguments)
        del response.kept_paths[:]  # as if there were more than fit into the message
        return response

    monkeypatch.setattr(Fetcher, "run", run_without_names)
    artifact = version.download(str(write_tree(tmp_path / "out", MINE)), overwrite_strategy="PRESERVE")
    again = experiment.log_artifact(artifact).wait()
    assert again.get_asset("sub/changed").open_stream().read() == b"mine!!"


@pytest.mark.parametrize("strategy", [True, "OVERWRITE"])
def test_overwrite_replaces_what_differs_and_moves_nothing_else(
    experiment: comet_ml.Experiment, tmp_path: Path, strategy: bool | str
) -> None:
    version = logged(experiment, TREE)
    folder = write_tree(tmp_path / "out", MINE)
    version.download(str(folder), overwrite_strategy=strategy)
    assert read_tree(folder) == TREE | {"extra": b"e"}
    assert brought(experiment) == len(TREE["sub/changed"]) + len(TREE["sub/missing"])


def test_another_strategy_is_no_strategy(experiment: comet_ml.Experiment) -> None:
    version = logged(experiment, {"f": b"f"})
    with pytest.raises(ValueError, match="Invalid user_overwrite value 'MERGE'"):
        version.download(overwrite_strategy="MERGE")


def test_a_downloaded_artifact_shares_what_was_not_changed(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    files = {f"sub/{number}": bytes([number]) * 100_000 for number in range(5)} | {"gone": b"g", "edited": b"before"}
    first = logged(experiment, files, aliases=["old"], metadata={"k": 1})
    artifact = first.download()
    assert (artifact.version, artifact.aliases, artifact.metadata) == (None, set(), {"k": 1})
    artifact.metadata["more"] = 2
    folder = Path(artifact.download_local_path or "")
    (folder / "edited").write_bytes(b"after")
    (folder / "sub/1").unlink()
    artifact.add(io.BytesIO(b"new"), "new")
    artifact.add(io.BytesIO(b"other"), "sub/0")
    artifact.remove("gone")
    assert str(artifact.increment_minor_version()) == "1.1.0"
    second = experiment.log_artifact(artifact)
    assert second._stored is not None
    assert second._stored.wait().progress().bytes_read < 100
    expected = {**files, "edited": b"after", "new": b"new", "sub/0": b"other"}
    del expected["gone"]
    assert read_tree(Path(second.download(str(tmp_path)).download_local_path or "")) == expected
    assert (str(second.version), second.aliases, second.metadata) == ("1.1.0", {"Latest"}, {"k": 1, "more": 2})


def test_a_file_that_was_edited_keeps_the_metadata_of_its_asset(
    experiment: comet_ml.Experiment, tmp_path: Path
) -> None:
    (tmp_path / "object").write_bytes(b"object")
    artifact = comet_ml.Artifact(fresh_name(), "dataset")
    artifact.add(io.BytesIO(b"x"), "edited", metadata={"k": 1})
    artifact.add(io.BytesIO(b"x"), "replaced", metadata={"k": 2})
    artifact.add_remote((tmp_path / "object").as_uri(), "link", metadata={"k": 3})
    changed = experiment.log_artifact(artifact).download()
    folder = Path(changed.download_local_path or "")
    newest = max(path.stat().st_ctime_ns for path in folder.iterdir())
    assert time.time_ns() - newest >= TICK_NS, "a change has a later time from now on"
    for path in ("edited", "link"):
        (folder / path).write_bytes(b"y")
    changed.add(io.BytesIO(b"y"), "replaced")
    again = experiment.log_artifact(changed).wait()
    assert {a.logical_path: (a.remote, a.metadata) for a in again.assets} == {
        "edited": (False, {"k": 1}),
        "replaced": (False, {}),
        "link": (False, {"k": 3}),
    }


def test_everything_below_an_inherited_folder_can_be_removed(experiment: comet_ml.Experiment) -> None:
    artifact = logged(experiment, {"a/b/c": b"c", "a/d": b"d", "ab": b"ab"}).download()
    artifact.remove("a")
    artifact.add(io.BytesIO(b"n"), "a/b/n")
    with pytest.raises(exceptions.ArtifactAssetNotFound):
        artifact.remove("a/d")
    assert [asset.logical_path for asset in artifact.assets] == ["ab", "a/b/n"]
    found = experiment.log_artifact(artifact).wait()
    assert [asset.logical_path for asset in found.assets] == ["a/b/n", "ab"]


def test_files_of_a_dataset_are_brought_once(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    version = logged(experiment, {"train/a.csv": b"a" * 1_000, "train/b.txt": b"b", "c.csv": b"c"})
    for _ in range(2):
        found = experiment.get_hf_dataset(version.name, download_directory=str(tmp_path), pathname="**/*.csv")
        assert found == [str(tmp_path / "c.csv"), str(tmp_path / "train/a.csv")]
        assert brought(experiment) == 1_002
    assert len(experiment.get_hf_dataset(version.name, download_directory=str(tmp_path), use_cached_dataset=False)) == 3
    assert brought(experiment) == 2 * 1_002


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [pytest.param(1_100, marks=pytest.mark.long), 110])
def test_all_objects_are_links_of_their_own(experiment: comet_ml.Experiment, tmp_path: Path, count: int) -> None:
    objects = write_tree(tmp_path / "store", {f"{number:04}.txt": b"%d" % number for number in range(count)})
    artifact = comet_ml.Artifact(fresh_name(), "dataset")
    artifact.add_remote(objects.as_uri(), "links", metadata={"k": 1})
    version = experiment.log_artifact(artifact).wait()
    assert len(version.remote_assets) == len(artifact.assets) == count
    assert len(comet_ml.API().get_artifact_files("local", version.name)["files"]) == count


def test_objects_of_links_are_brought_and_checked(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    objects = write_tree(tmp_path / "store", {"a": b"a", "sub/b": b"b"})
    artifact = comet_ml.Artifact(fresh_name(), "dataset")
    artifact.add_remote(objects.as_uri(), "links", metadata={"k": 1})
    version = experiment.log_artifact(artifact).wait()
    asset = version.get_asset("links/a")
    assert asset.is_remote_and_synced()
    assert asset.metadata == {"k": 1, "synced": True, "file_size": 1, "checksum": asset._entry.digest}
    (objects / "a").write_bytes(b"x")
    with pytest.raises(exceptions.ArtifactDownloadException, match="links/a"):
        version.download(str(tmp_path / "out"))
    (objects / "a").write_bytes(b"a")
    version.download(str(tmp_path / "out"))
    assert read_tree(tmp_path / "out" / "links") == read_tree(objects)


def test_an_object_of_a_link_that_is_in_the_way_is_found_before_anything_is_written(
    experiment: comet_ml.Experiment, tmp_path: Path
) -> None:
    with WebServer() as web:
        url = web.put("/object", b"theirs", etag='"v1"')
        artifact = comet_ml.Artifact(fresh_name(), "dataset")
        artifact.add(io.BytesIO(b"f"), "file")
        artifact.add_remote(url)
        version = experiment.log_artifact(artifact).wait()
        folder = write_tree(tmp_path / "out", {"object": b"mine!!"})
        with pytest.raises(exceptions.ArtifactDownloadException, match="nothing was written"):
            version.download(str(folder))
        assert read_tree(folder) == {"object": b"mine!!"}
        with pytest.warns(UserWarning, match="was kept"):
            version.get_asset("object").download(str(folder), overwrite_strategy="PRESERVE")
        version.download(str(folder), overwrite_strategy=True)
        version.download(str(folder))
        with version.get_asset("object").open_stream() as stream:
            assert stream.read() == b"theirs"
    assert read_tree(folder) == {"object": b"theirs", "file": b"f"}


def test_links_that_are_not_followed_stay_links(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    (tmp_path / "object [1]").write_bytes(b"o")
    artifact = comet_ml.Artifact(fresh_name(), "dataset")
    artifact.add_remote((tmp_path / "object [1]").as_uri(), "noted [1]", sync_mode=False)
    artifact.add_remote((tmp_path / "object [1]").as_uri(), "synced", metadata={"k": 1})
    artifact.add_remote("other://somewhere")
    version = experiment.log_artifact(artifact).wait()
    downloadable = {asset.logical_path: asset.is_asset_downloadable() for asset in version.assets}
    assert downloadable == {"noted [1]": False, "remote": False, "synced": True}
    out = version.download(str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == {"synced": b"o"}
    links = {asset.logical_path: (asset.link, asset.local_path_or_data) for asset in out.assets}
    assert links["remote"] == ("other://somewhere", None)
    assert links["synced"][1] == str(tmp_path / "out" / "synced")
    version.download(str(tmp_path / "none"), sync_mode=False)
    assert read_tree(tmp_path / "none") == {}
    again = experiment.log_artifact(out).wait()
    assert [(a.logical_path, a.link, a.metadata) for a in again.assets] == [
        (a.logical_path, a.link, a.metadata) for a in version.assets
    ]
    with pytest.raises(exceptions.ArtifactDownloadException, match="other://somewhere"):
        version.get_asset("remote").download()


def test_what_could_not_be_looked_at_is_one_link_that_is_not_brought(
    experiment: comet_ml.Experiment, tmp_path: Path
) -> None:
    write_tree(tmp_path / "store", {"a": b"a", "b": b"b"})
    artifact = comet_ml.Artifact(fresh_name(), "dataset")
    with pytest.warns(UserWarning, match="max_synced_objects"):
        artifact.add_remote((tmp_path / "store").as_uri(), max_synced_objects=1)
    [asset] = artifact.assets
    assert (asset.logical_path, asset.size, asset.metadata["synced"]) == ("store", 0, False)
    version = experiment.log_artifact(artifact).wait()
    with pytest.raises(exceptions.ArtifactDownloadException, match="Exceeded 1 objects"):
        version.download()
    assert version.download(sync_mode=False).assets[0].link == asset.link


# --- single assets ----------------------------------------------------------------------------------------------------


def test_an_asset_is_brought_under_any_name_and_compared_first(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    asset = logged(experiment, {"sub/file": b"content"}).get_asset("sub/file")
    assert Path(asset.download().local_path_or_data).read_bytes() == b"content"
    asset.download(str(tmp_path))
    asset.download(str(tmp_path), "other/name")
    asset.download(str(tmp_path / "whole"), "")
    asset.download(str(tmp_path / "path"), False)
    asset.download(str(tmp_path / "path"), False)
    assert set(read_tree(tmp_path)) == {"sub/file", "other/name", "whole", "path"}
    target = tmp_path / "path"
    target.write_bytes(b"CONTENT")
    with pytest.raises(exceptions.ArtifactDownloadException, match="OVERWRITE"):
        asset.download(str(target), False)
    with pytest.warns(UserWarning, match="was kept"):
        asset.download(str(target), False, "PRESERVE")
    assert target.read_bytes() == b"CONTENT"
    asset.download(str(target), False, True)
    assert target.read_bytes() == b"content"
    stream = io.BytesIO()
    asset.write_to(stream)
    assert stream.getvalue() == b"content"


def test_an_asset_that_is_not_there_has_its_own_exception(experiment: comet_ml.Experiment) -> None:
    version = logged(experiment, {"f": b"f"})
    with pytest.raises(exceptions.ArtifactAssetNotFound, match="absent"):
        version.get_asset("absent")


# --- names, tags, lineage ---------------------------------------------------------------------------------------------


def test_aliases_and_tags_are_replaced_as_sets(experiment: comet_ml.Experiment) -> None:
    version = logged(experiment, {"f": b"f"}, aliases=["a", "b"], version_tags=["t"])
    holdfast.Api().artifact(f"{version.name}:latest").aliases.append("unsaved")
    other = experiment.get_artifact(version.name)
    other.update_aliases(["b", "c"])
    version.update_version_tags(["u", "v"])
    version.update_artifact_tags(["raw"])
    found = experiment.get_artifact(version.name)
    assert (found.aliases, found.version_tags, found.artifact_tags) == ({"Latest", "b", "c"}, {"u", "v"}, {"raw"})
    assert holdfast.Api().artifact_collection("dataset", version.name).tags == ["raw"]
    found.update_artifact_tags([])
    assert experiment.get_artifact(version.name).artifact_tags == frozenset()


def test_lineage_knows_source_and_consumers(experiment: comet_ml.Experiment) -> None:
    version = logged(experiment, {"f": b"f"})
    with comet_ml.Experiment(project_name="consumers") as consumer:
        used = consumer.get_artifact(version.name)
        assert used.source_experiment_key == experiment.get_key()
    source = used.get_source_experiment()
    assert (source.key, source.project_name) == (experiment.get_key(), PROJECT)
    row = source.get_artifact_lineage("output")["output"][0]
    assert (row["artifactName"], row["artifactVersion"]) == (version.name, "1.0.0")
    reader = comet_ml.API().get_experiment("local", "consumers", consumer.get_key())
    lineage = reader.get_artifact_lineage()
    assert ([one["artifactName"] for one in lineage["input"]], lineage["output"]) == ([version.name], [])


def test_the_read_calls_tell_everything(experiment: comet_ml.Experiment) -> None:
    name = fresh_name()
    for text in (b"one", b"three"):
        logged(experiment, {"sub/f": text, "g": b"g"}, name, aliases=[text.decode()], version_tags=["t"])
    api = comet_ml.API()
    assert str(api.get_artifact("local", name, version="1.0.0").version) == "1.0.0"
    assert str(api.get_artifact("local", name, alias="three").version) == "2.0.0"
    listed = {one["name"]: one for one in api.get_artifact_list("local", "dataset")["artifacts"]}
    assert listed[name]["version"] == "2.0.0"
    details = api.get_artifact_details("local", name)
    assert (details["latestVersion"], details["sizeInBytes"]) == ("2.0.0", 6)
    shown = [(one["version"], one["alias"], one["state"], one["tags"]) for one in details["versions"]]
    assert shown == [("2.0.0", ["Latest", "three"], "CLOSED", ["t"]), ("1.0.0", ["one"], "CLOSED", ["t"])]
    files = api.get_artifact_files(artifact_id=details["artifactId"], version="1.0.0")["files"]
    assert [(one["fileName"], one["fileSize"], one["dir"]) for one in files] == [("g", 1, ""), ("sub/f", 3, "sub")]
    assert files[0]["assetId"] == experiment.get_artifact(name).get_asset("g").id
    with pytest.raises(exceptions.ArtifactNotFound):
        api.get_artifact("local", fresh_name())
    with pytest.raises(exceptions.GetArtifactException):
        api.get_artifact_details("local")


def test_one_made_by_hand_reads_the_version_of_its_id(experiment: comet_ml.Experiment) -> None:
    version = logged(experiment, {"f": b"f"})
    known = ("", "", "", version._version_id, "", None, None, "", [], None, [], 0, {}, None, comet_ml.Summary(), None)
    made = comet_ml.LoggedArtifact(*known)
    assert [asset.logical_path for asset in made.assets] == ["f"]
    assert (made.name, made.version, made.size, made.artifact_tags) == (version.name, version.version, 1, frozenset())


# --- experiments ------------------------------------------------------------------------------------------------------


def test_threads_of_one_experiment_log_at_once(experiment: comet_ml.Experiment) -> None:
    name = fresh_name()

    def work(number: int) -> None:
        artifact = comet_ml.Artifact(name, "dataset")
        artifact.add(io.BytesIO(b"%d" % number), "number")
        experiment.log_artifact(artifact)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert experiment.flush()
    details = comet_ml.API().get_artifact_details("local", name)
    assert [one["version"] for one in details["versions"]] == [f"{number}.0.0" for number in range(8, 0, -1)]


def test_a_forked_child_goes_on_with_the_experiment_and_does_not_end_it(experiment: comet_ml.Experiment) -> None:
    version = logged(experiment, {"parent": b"p"})
    with experiment._lock:  # as another thread might hold it
        pid = os.fork()
        if not pid:
            code = 1
            try:
                code = 0 if str(logged(experiment, {"child": b"c"}, version.name).version) == "2.0.0" else 2
            finally:
                os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert experiment.alive
    assert [asset.logical_path for asset in experiment.get_artifact(version.name).assets] == ["child"]


def test_the_end_waits_for_what_was_logged(tmp_path: Path) -> None:
    artifact = comet_ml.Artifact(fresh_name())
    artifact.add(io.BytesIO(bytes(3_000_000)), "file")
    experiment = comet_ml.Experiment(project_name=PROJECT)
    done = experiment.log_artifact(artifact)
    experiment.end()
    assert done.wait(0).size == 3_000_000
    experiment.end()
    with pytest.raises(exceptions.ExperimentNotAlive):
        experiment.log_artifact(artifact)


def test_an_experiment_whose_block_fails_has_failed() -> None:
    with pytest.raises(ZeroDivisionError), comet_ml.Experiment(project_name=PROJECT) as experiment:
        raise ZeroDivisionError
    assert comet_ml.API().get_experiment("local", PROJECT, experiment.get_key()).get_state() == "failed"


def test_the_end_tells_of_failures_that_nobody_has_waited_for(experiment: comet_ml.Experiment) -> None:
    version = logged(experiment, {"f": b"f"})
    version._committed.delete(delete_aliases=True)
    artifact = comet_ml.Artifact(version.name, "dataset", version="1.0.0")
    artifact.add(io.BytesIO(b"not sent for nothing"), "f")
    other = comet_ml.Experiment(project_name=PROJECT)
    refused = other.log_artifact(artifact)
    assert not other.flush()
    assert refused._stored is not None
    assert refused._stored.progress().bytes_sent == 0
    with pytest.raises(exceptions.ExperimentCleaningException, match=r"1\.0\.0"):
        other.end()


def test_a_file_that_is_gone_is_told_at_once(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    artifact = comet_ml.Artifact(fresh_name())
    (tmp_path / "file").write_bytes(b"f")
    artifact.add(tmp_path / "file")
    (tmp_path / "file").unlink()
    with pytest.raises(exceptions.LogArtifactException, match="file"):
        experiment.log_artifact(artifact)


def test_files_may_be_changed_once_log_artifact_has_returned(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    files = {"small": b"s", "large": bytes(2_000_000)}
    folder = write_tree(tmp_path / "in", files)
    artifact = comet_ml.Artifact(fresh_name())
    artifact.add(folder, "")
    done = experiment.log_artifact(artifact)
    for path in files:
        (folder / path).write_bytes(b"changed")
    assert read_tree(Path(done.download(str(tmp_path / "out")).download_local_path or "")) == files


def test_what_an_offline_experiment_logs_waits_for_sync(host: SdkHost) -> None:
    artifact = comet_ml.Artifact(fresh_name())
    artifact.add(io.BytesIO(b"f"), "f")
    with comet_ml.OfflineExperiment(project_name=PROJECT) as experiment:
        experiment.log_artifact(artifact)
    with pytest.raises(exceptions.ArtifactNotFound):
        comet_ml.API().get_artifact("local", artifact.name)
    done = host.run("from holdfast.cli.main import main; main()", "sync")
    assert done.returncode == 0, done.stderr
    found = comet_ml.API().get_artifact("local", artifact.name)
    assert found.source_experiment_key == experiment.get_key()


def test_an_empty_artifact_is_logged_with_a_warning(experiment: comet_ml.Experiment) -> None:
    with pytest.warns(UserWarning, match="without adding any assets"):
        done = experiment.log_artifact(comet_ml.Artifact(fresh_name()))
    assert done.wait().assets == []


def test_nothing_here_warns_without_need(experiment: comet_ml.Experiment) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        artifact = logged(experiment, {"f": b"f"}).download()
        experiment.log_artifact(artifact).wait()
