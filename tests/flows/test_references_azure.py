"""References to blobs of Azure, against Azurite.  It keeps no versions: pinning them is tested with the other stores."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

import holdfast
import holdfast.comet as comet
from holdfast.errors import CommError, PermissionDeniedError, ReferenceChangedError, ReferenceMissingError
from holdfast.references import azure
from support.azurite import Azurite
from support.sdk_calls import PROJECT, download, fresh_name, log, new_artifact
from support.sdk_host import SdkHost
from support.trees import read_tree


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here logs, and finds the server by settings alone."""
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(azure, "metadata_service_answers", lambda: False)
    for name, value in azurite.environ.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def container(azurite: Azurite) -> Iterator[str]:
    name = f"c-{uuid4().hex[:12]}"
    azurite.make_container(name)
    yield name
    azurite.request("DELETE", name, query={"restype": "container"})


def refer(uri: str, name: str | None = None) -> holdfast.Artifact:
    artifact = new_artifact()
    artifact.add_reference(uri, name)
    return log(artifact)


def test_a_blob_is_recorded_with_its_etag(azurite: Azurite, container: str, tmp_path: Path) -> None:
    etag = azurite.put(container, "data/ü b%41#.csv", b"a,b\n")
    url = azurite.url(container, "data/ü b%41#.csv")
    artifact = new_artifact()
    (entry,) = artifact.add_reference(url)
    assert (entry.path, entry.digest, entry.size, entry.ref) == ("ü b%41#.csv", etag, 4, url)
    assert entry.extra == {"etag": etag}
    assert read_tree(download(log(artifact), tmp_path)) == {"ü b%41#.csv": b"a,b\n"}


def test_a_folder_is_its_own_blobs_without_stubs(azurite: Azurite, container: str, tmp_path: Path) -> None:
    for blob in ("my_dir/a", "my_dir/empty", "my_dir/sub/b", "my_dir2/other"):
        azurite.put(container, blob, b"" if blob.endswith("empty") else blob.encode())
    for stub in ("my_dir", "my_dir/sub"):
        azurite.put(container, stub, b"", {"hdi_isfolder": "true"})
    expected = {"a": b"my_dir/a", "empty": b"", "sub/b": b"my_dir/sub/b"}
    for number, uri in enumerate([azurite.url(container, "my_dir"), azurite.url(container, "my_dir") + "/"]):
        assert read_tree(download(refer(uri), tmp_path / str(number))) == expected
    whole = refer(azurite.url(container), "all")
    assert set(whole.manifest.entries) == {"all/my_dir/a", "all/my_dir/empty", "all/my_dir/sub/b", "all/my_dir2/other"}


def test_a_blob_that_changed_or_went_is_not_taken_for_the_old_one(
    azurite: Azurite, container: str, tmp_path: Path
) -> None:
    azurite.put(container, "x", b"old")
    artifact = refer(azurite.url(container, "x"))
    etag = azurite.put(container, "x", b"newer")
    with pytest.raises(ReferenceChangedError, match=f"has ETag {etag} and 5 bytes now"):
        artifact.download(str(tmp_path))
    azurite.delete(container, "x")
    with pytest.raises(ReferenceMissingError, match="does not exist any more"):
        artifact.download(str(tmp_path))
    with pytest.raises(ReferenceMissingError, match="Unable to find object"):
        refer(azurite.url(container, "x"))


def test_without_checksum_the_url_is_the_digest(azurite: Azurite, container: str, tmp_path: Path) -> None:
    url = azurite.url(container, "x")
    artifact = new_artifact()
    (entry,) = artifact.add_reference(url, checksum=False)
    assert (entry.path, entry.digest) == ("x", url)
    azurite.put(container, "x", b"anything")
    assert read_tree(download(log(artifact), tmp_path)) == {"x": b"anything"}


def test_without_credentials_only_public_containers_are_open(
    azurite: Azurite, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = f"public-{uuid4().hex[:12]}"
    azurite.make_container(public, public=True)
    for one in (public, container):
        azurite.put(one, "x", b"x")
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azurite.endpoint)
    assert len(new_artifact().add_reference(azurite.url(public, "x"))) == 1
    with pytest.raises((PermissionDeniedError, ReferenceMissingError)):
        new_artifact().add_reference(azurite.url(container, "x"))


def test_a_signature_in_the_url_opens_and_is_not_recorded(
    azurite: Azurite, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    azurite.put(container, "x", b"x")
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_ENDPOINT", azurite.endpoint)
    url = azurite.url(container, "x")
    (entry,) = new_artifact().add_reference(f"{url}?{azurite.signature(container)}")
    assert entry.ref == url


def test_a_handler_for_an_endpoint_can_be_registered(
    azurite: Azurite, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    azurite.put(container, "x", b"x")
    handler = holdfast.AzureHandler(azurite.endpoint)
    (entry,) = handler.store_path(None, azurite.url(container, "x"))
    assert Path(handler.load_path(entry, local=True)).read_bytes() == b"x"


def test_a_wrong_key_and_an_absent_container_are_errors(
    azurite: Azurite, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    azurite.put(container, "x", b"x")
    with pytest.raises((CommError, ReferenceMissingError), match="no-such"):
        new_artifact().add_reference(azurite.url("no-such", "folder"))
    with pytest.raises(ValueError, match="names no container"):
        new_artifact().add_reference(azurite.endpoint + "/")
    text = azurite.environ["AZURE_STORAGE_CONNECTION_STRING"]
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text.replace("AccountKey=Eby8", "AccountKey=AAAA"))
    with pytest.raises(PermissionDeniedError, match="check the credentials"):
        new_artifact().add_reference(azurite.url(container, "x"))


def test_comet_brings_the_blobs_of_a_folder_as_long_as_they_are_the_same(
    azurite: Azurite, container: str, tmp_path: Path
) -> None:
    etag = azurite.put(container, "d/my blob%", b"first")
    azurite.put(container, "d/sub/y", b"y")
    artifact = comet.Artifact(fresh_name(), "dataset")
    artifact.add_remote(azurite.url(container, "d"))
    with comet.Experiment(project_name=PROJECT) as experiment:
        logged = experiment.log_artifact(artifact).wait()
    asset = logged.get_asset("d/my blob%")
    assert (asset.link, asset.size) == (azurite.url(container, "d/my blob%"), 5)
    assert asset.metadata == {"synced": True, "file_size": 5, "checksum": etag}
    for _ in range(2):
        logged.download(str(tmp_path / "out"))
    assert read_tree(tmp_path / "out" / "d") == {"my blob%": b"first", "sub/y": b"y"}
    azurite.put(container, "d/my blob%", b"other")
    with pytest.raises(comet.exceptions.ArtifactDownloadException, match="d/my blob%"):
        logged.download(str(tmp_path / "new"))
