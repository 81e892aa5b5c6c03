"""References to objects of Google Cloud Storage, against a stand-in for its XML API; and damage on the way."""

import os
from pathlib import Path

import pytest

import holdfast
import holdfast.comet as comet
from holdfast.errors import CommError, ReferenceChangedError, ReferenceMissingError
from support.gcs import GcsStandIn
from support.sdk_calls import PROJECT, download, fresh_name, log, new_artifact
from support.sdk_host import SdkHost
from support.trees import read_tree


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost, gcs: GcsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here logs, and finds the server by settings alone."""
    for name in [name for name in os.environ if name.startswith("GOOGLE_")]:
        monkeypatch.delenv(name)
    for name, value in gcs.environ.items():
        monkeypatch.setenv(name, value)


def refer(uri: str, name: str | None = None) -> holdfast.Artifact:
    artifact = new_artifact()
    artifact.add_reference(uri, name)
    return log(artifact)


def test_the_generation_is_pinned(gcs: GcsStandIn, tmp_path: Path) -> None:
    first = gcs.put("bucket", "d/x", b"first")
    folder = refer("gs://bucket/d", "folder")
    second = gcs.put("bucket", "d/x", b"second")
    latest = refer("gs://bucket/d/x", "latest")
    named = refer(f"gs://bucket/d/x#{first.generation}", "named")
    gcs.put("bucket", "d/x", b"third")
    entry = folder.get_entry("folder/x")
    assert (entry.ref, entry.digest) == ("gs://bucket/d/x", first.etag)
    assert entry.extra == {"etag": first.etag, "versionID": str(first.generation)}
    assert latest.get_entry("latest").extra["versionID"] == str(second.generation)
    assert named.get_entry("named").ref == "gs://bucket/d/x"
    for artifact, expected in ((folder, b"first"), (latest, b"second"), (named, b"first")):
        (content,) = read_tree(download(artifact, tmp_path / artifact.source_name.partition(":")[0])).values()
        assert content == expected


def test_a_generation_that_is_not_there_is_missing(gcs: GcsStandIn, tmp_path: Path) -> None:
    gcs.put("bucket", "x", b"first")
    with pytest.raises(ValueError, match="Object does not exist: gs://bucket/x#7"):
        refer("gs://bucket/x#7")
    artifact = refer("gs://bucket/x")
    gcs.delete("bucket", "x")
    with pytest.raises(ReferenceMissingError, match="does not exist any more"):
        artifact.download(str(tmp_path))


def test_a_folder_is_its_own_objects_and_no_markers(gcs: GcsStandIn, tmp_path: Path) -> None:
    for key in ("my_dir/", "my_dir/a", "my_dir/empty", "my_dir/sub/", "my_dir/sub/b#c", "my_dir2/other"):
        gcs.put("bucket", key, b"" if key.endswith(("/", "empty")) else key.encode())
    expected = {"a": b"my_dir/a", "empty": b"", "sub/b#c": b"my_dir/sub/b#c"}
    assert read_tree(download(refer("gs://bucket/my_dir"), tmp_path)) == expected


def test_bytes_that_were_damaged_on_the_way_are_not_put_in_place(gcs: GcsStandIn, tmp_path: Path) -> None:
    stored = gcs.put("bucket", "x", b"content")
    record = holdfast.ArtifactManifestEntry("x", stored.etag, ref="gs://bucket/x", size=7)
    stored.damaged[:] = [b"c0ntent"]
    assert Path(holdfast.GCSHandler().load_path(record, local=True)).read_bytes() == b"content"
    stored.damaged[:] = [b"c0ntent", b"cont3nt"]
    with pytest.raises(CommError, match="came damaged, twice and differently"):
        holdfast.GCSHandler().load_path(record, local=True)


def test_an_etag_that_only_looks_like_an_md5_is_believed(gcs: GcsStandIn) -> None:
    stored = gcs.put("bucket", "x", b"content", etag="0123456789abcdef0123456789abcdef")
    record = holdfast.ArtifactManifestEntry("x", stored.etag, ref="gs://bucket/x", size=7)
    assert Path(holdfast.GCSHandler().load_path(record, local=True)).read_bytes() == b"content"
    gcs.put("bucket", "x", b"other")
    with pytest.raises(ReferenceChangedError, match="was recorded with ETag 0123456789abcdef"):
        holdfast.GCSHandler().load_path(record, local=True)


def test_comet_pins_the_generations_of_a_prefix_and_brings_them_back(gcs: GcsStandIn, tmp_path: Path) -> None:
    first = gcs.put("bucket", "comet/x", b"first")
    gcs.put("bucket", "comet/sub/y", b"y")
    artifact = comet.Artifact(fresh_name(), "dataset")
    artifact.add_remote("gs://bucket/comet", "data", metadata={"k": 1})
    gcs.put("bucket", "comet/x", b"second")
    with comet.Experiment(project_name=PROJECT) as experiment:
        logged = experiment.log_artifact(artifact).wait()
    asset = logged.get_asset("data/x")
    assert asset.is_remote_and_synced()
    kept = {"k": 1, "synced": True, "file_size": 5, "checksum": first.etag, "version_id": str(first.generation)}
    assert asset.metadata == {**kept, "gs_path": "gs://bucket/comet/x"}
    for _ in range(2):
        logged.download(str(tmp_path))
    assert read_tree(tmp_path / "data") == {"x": b"first", "sub/y": b"y"}
    (tmp_path / "data" / "x").write_bytes(b"other")
    with pytest.raises(comet.exceptions.ArtifactDownloadException, match="data/x"):
        logged.download(str(tmp_path))
