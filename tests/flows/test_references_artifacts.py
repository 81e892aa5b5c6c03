"""References to entries of other artifacts, and handlers that users write."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

import pytest

import holdfast
from holdfast import ArtifactManifestEntry
from holdfast.errors import ReferenceMissingError, UnknownSchemeError
from holdfast.references import default_handler
from support.http_server import WebServer
from support.sdk_calls import PROJECT, download, fresh_name, log, new_artifact
from support.sdk_host import SdkHost
from support.trees import random_bytes, read_tree, write_tree


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


TREE = {"data/small": b"small", "data/large": random_bytes(3 << 20)}


@pytest.fixture
def logged(tmp_path: Path) -> holdfast.Artifact:
    artifact = new_artifact()
    artifact.add_dir(str(write_tree(tmp_path / "source", TREE)))
    return log(artifact)


def test_an_entry_of_a_logged_artifact_is_taken_over_with_its_bytes(logged: holdfast.Artifact, tmp_path: Path) -> None:
    source = logged.get_entry("data/large")
    artifact = new_artifact()
    (entry,) = artifact.add_reference(source)
    assert (entry.path, entry.digest, entry.size) == ("large", source.digest, 3 << 20)
    artifact.add_reference(logged.get_entry("data/small"), "renamed/small")
    log(artifact)
    assert artifact.get_entry("large").ref_target() == source.ref_url() == f"holdfast-artifact://{logged.id}/data/large"
    expected = {"large": TREE["data/large"], "renamed/small": b"small"}
    assert read_tree(download(artifact, tmp_path / "1")) == expected
    logged.delete(delete_aliases=True)
    assert read_tree(download(artifact, tmp_path / "2")) == expected


@pytest.mark.parametrize("scheme", ["holdfast-artifact", "wandb-artifact"])
def test_each_form_of_the_uri_names_the_entry(scheme: str, logged: holdfast.Artifact, tmp_path: Path) -> None:
    name = logged.source_name.partition(":")[0]
    artifact = new_artifact()
    for number, place in enumerate(
        [
            logged.id,
            f"_id/{logged.id}",
            f"{logged.entity}/{PROJECT}/{name}:v0",
            f"{logged.entity}/{PROJECT}/{name}:latest",
        ]
    ):
        (entry,) = artifact.add_reference(f"{scheme}://{place}/data/small", str(number))
        assert entry.digest == logged.get_entry("data/small").digest
    assert set(read_tree(download(log(artifact), tmp_path / "out")).values()) == {b"small"}


def test_an_entry_that_is_not_there_is_said_and_the_draft_goes_on(logged: holdfast.Artifact) -> None:
    artifact = new_artifact()
    for uri in (
        f"holdfast-artifact://{logged.id}/absent",
        f"holdfast-artifact://{'0' * 32}/data/small",
        f"holdfast-artifact://{logged.entity}/{PROJECT}/{fresh_name()}:v0/x",
    ):
        with pytest.raises(ReferenceMissingError, match=uri):
            artifact.add_reference(uri)
    for uri in ("holdfast-artifact://only/two", "holdfast-client-artifact://unknown/x"):
        with pytest.raises(ValueError, match="names no entry"):
            artifact.add_reference(uri)
    with pytest.raises(NotImplementedError):
        artifact.add_reference(ArtifactManifestEntry("x", "digest"))
    artifact.add_reference(logged.get_entry("data/small"))
    assert len(log(artifact).manifest) == 1


def test_an_entry_of_a_draft_is_committed_after_it(tmp_path: Path) -> None:
    write_tree(tmp_path / "source", TREE)
    first, second = new_artifact(), new_artifact()
    entry = first.add_file(str(tmp_path / "source" / "data" / "large"), "large")
    second.add_reference(entry, "taken")
    second.add_reference(entry.ref_url(), "again")
    with holdfast.init(project=PROJECT) as run:
        run.log_artifact(first)
        run.log_artifact(second)
        second.wait()
        first.wait()
    expected = TREE["data/large"]
    assert read_tree(download(second, tmp_path / "out")) == {"taken": expected, "again": expected}
    assert second.get_entry("taken").ref_target() == f"holdfast-artifact://{first.id}/large"


def test_an_entry_that_is_a_reference_leads_to_the_object_itself(web: WebServer, tmp_path: Path) -> None:
    url = web.put("/x", b"content", etag='"1"')
    first = new_artifact()
    first.add_reference(url)
    log(first)
    second = new_artifact()
    second.add_reference(first.get_entry("x"), "y")
    log(second)
    entry = second.get_entry("y")
    assert (entry.ref_target(), entry.digest, entry.size, entry.extra) == (url, "1", 7, {"etag": '"1"'})
    assert read_tree(download(second, tmp_path)) == {"y": b"content"}


def test_the_handler_by_itself_brings_the_entrys_file(
    logged: holdfast.Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    handler = holdfast.WBArtifactHandler()
    assert holdfast.ArtifactHandler is holdfast.WBArtifactHandler
    (entry,) = handler.store_path(new_artifact(), f"holdfast-artifact://{logged.id}/data/small", name="n")
    assert (entry.path, entry.digest) == ("n", logged.get_entry("data/small").digest)
    assert handler.load_path(entry) == f"holdfast-artifact://{logged.id}/data/small"
    assert Path(handler.load_path(entry, local=True)).read_bytes() == b"small"


# --- handlers of the user's -------------------------------------------------------------------------------------------


class TapeHandler(holdfast.StorageHandler):
    """As somebody wrote it for W&B."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def can_handle(self, parsed_url: SplitResult) -> bool:
        return parsed_url.scheme == "tape"

    def store_path(
        self,
        artifact: Any,
        path: str,
        name: str | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> Sequence[ArtifactManifestEntry]:
        stem = path.removeprefix("tape://")
        return [
            ArtifactManifestEntry(name or f"{stem}/{n}", f"d-{n}", ref=f"{path}/{n}", size=3, extra={"reel": n})
            for n in ("1", "2")
        ][: 1 if name else 2]

    def load_path(self, manifest_entry: ArtifactManifestEntry, local: bool = False) -> str:
        return str(self._folder / manifest_entry.path.rpartition("/")[2]) if local else manifest_entry.ref_target()


@pytest.fixture
def no_registered_handlers() -> Any:
    default_handler.cache_clear()
    yield
    default_handler.cache_clear()


@pytest.mark.usefixtures("no_registered_handlers")
def test_a_handler_of_the_users_is_asked_first(tmp_path: Path) -> None:
    write_tree(tmp_path / "tapes", {"1": b"one", "2": b"two"})
    holdfast.register_handler(TapeHandler(tmp_path / "tapes"))
    artifact = new_artifact()
    assert [entry.path for entry in artifact.add_reference("tape://vault")] == ["vault/1", "vault/2"]
    log(artifact)
    entry = artifact.get_entry("vault/2")
    assert (entry.digest, entry.ref, entry.size, entry.extra) == ("d-2", "tape://vault/2", 3, {"reel": "2"})
    assert read_tree(download(artifact, tmp_path / "1")) == {"vault/1": b"one", "vault/2": b"two"}
    with pytest.raises(ValueError, match="Exceeded 1 objects"):
        new_artifact().add_reference("tape://vault", max_objects=1)
    (tmp_path / "tapes" / "1").unlink()
    with pytest.raises(ReferenceMissingError):
        artifact.download(str(tmp_path / "2"))
    with pytest.raises(TypeError, match="is no StorageHandler"):
        holdfast.register_handler(object())  # type: ignore[arg-type]


def test_the_documented_order_decides() -> None:
    handler = default_handler()
    for uri, expected in {
        "s3://b/k": holdfast.S3Handler,
        "gs://b/k": holdfast.GCSHandler,
        "https://acc.blob.core.windows.net/c/b": holdfast.AzureHandler,
        "https://blob.core.windows.net.evil.example/c/b": holdfast.HTTPHandler,
        "http://acc.blob.core.windows.net/c/b": holdfast.HTTPHandler,
        "https://example.org/x": holdfast.HTTPHandler,
        "wandb-artifact://1/x": holdfast.WBArtifactHandler,
        "wandb-client-artifact://1/x": holdfast.WBLocalArtifactHandler,
        "file:///x": holdfast.LocalFileHandler,
        "hdfs://x/y": holdfast.TrackingHandler,
    }.items():
        assert type(handler.handler_of(uri)) is expected, uri
    with pytest.raises(ValueError, match='No storage handler registered for url "x://y"'):
        holdfast.MultiHandler([]).handler_of("x://y")


def test_a_reference_of_an_unknown_scheme_is_tracked(tmp_path: Path) -> None:
    artifact = new_artifact()
    with pytest.raises(ValueError, match='You must pass name="<entry_name>" when tracking references with unknown'):
        artifact.add_reference("hdfs://cluster/x")
    with pytest.warns(UserWarning, match="unsupported schemes cannot be checksummed: hdfs://cluster/x"):
        (entry,) = artifact.add_reference("hdfs://cluster/x", "x")
    assert (entry.digest, entry.ref) == ("hdfs://cluster/x", "hdfs://cluster/x")
    assert holdfast.TrackingHandler().load_path(entry) == "x"
    assert not holdfast.TrackingHandler("nfs").can_handle(SplitResult("hdfs", "c", "/x", "", ""))
    log(artifact)
    with pytest.raises(
        UnknownSchemeError, match="Cannot download file at path hdfs://cluster/x, scheme hdfs not recog"
    ):
        artifact.download(str(tmp_path))
    with pytest.warns(UserWarning, match="x was skipped"):
        artifact.download(str(tmp_path), allow_missing_references=True)
    assert read_tree(tmp_path) == {}
