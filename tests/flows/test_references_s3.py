"""References to objects of S3, against a real server."""

import hashlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

import holdfast
import holdfast.comet as comet
from holdfast.errors import (
    CommError,
    MissingPackageError,
    PermissionDeniedError,
    ReferenceChangedError,
    ReferenceMissingError,
)
from holdfast.references import cloud
from support.own_registry import free_port
from support.sdk_calls import PROJECT, download, fresh_name, log, new_artifact
from support.sdk_host import SdkHost
from support.seaweedfs import SeaweedFS
from support.trees import read_tree


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here logs, and finds the server by settings alone."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in seaweedfs.environ.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(seaweedfs: SeaweedFS) -> Iterator[str]:
    name = f"plain-{uuid4().hex[:12]}"
    seaweedfs.make_bucket(name)
    yield name
    seaweedfs.drop_bucket(name)


@pytest.fixture
def versioned(seaweedfs: SeaweedFS) -> Iterator[str]:
    name = f"versioned-{uuid4().hex[:12]}"
    seaweedfs.make_bucket(name, versioned=True)
    yield name
    seaweedfs.drop_bucket(name)


def refer(uri: str, name: str | None = None, **arguments: bool | int) -> holdfast.Artifact:
    artifact = new_artifact()
    artifact.add_reference(uri, name, **arguments)  # type: ignore[arg-type]
    return log(artifact)


def md5_hex(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


# --- adding -----------------------------------------------------------------------------------------------------------


def test_an_object_is_recorded_with_its_etag_and_size(seaweedfs: SeaweedFS, bucket: str, tmp_path: Path) -> None:
    seaweedfs.put(bucket, "data/train.csv", b"a,b\n")
    artifact = new_artifact()
    (entry,) = artifact.add_reference(f"s3://{bucket}/data/train.csv")
    md5 = md5_hex(b"a,b\n")
    assert (entry.path, entry.digest, entry.size) == ("train.csv", md5, 4)
    assert (entry.ref, entry.extra) == (f"s3://{bucket}/data/train.csv", {"etag": md5})
    logged = log(artifact).get_entry("train.csv")
    assert (logged.path, logged.digest, logged.size, logged.ref, logged.extra) == (
        entry.path,
        entry.digest,
        entry.size,
        entry.ref,
        entry.extra,
    )
    assert read_tree(download(artifact, tmp_path / "out")) == {"train.csv": b"a,b\n"}


def test_a_folder_is_its_own_objects_and_no_markers(seaweedfs: SeaweedFS, bucket: str, tmp_path: Path) -> None:
    for key in ("my_dir/a", "my_dir/empty", "my_dir/sub/b", "my_dir2/other", "my_dir.txt"):
        seaweedfs.put(bucket, key, b"" if key.endswith("empty") else key.encode())
    for marker in ("my_dir/", "my_dir/sub/", "my_dir/nothing/"):
        seaweedfs.put(bucket, marker, b"")
    expected = {"a": b"my_dir/a", "empty": b"", "sub/b": b"my_dir/sub/b"}
    assert read_tree(download(refer(f"s3://{bucket}/my_dir"), tmp_path / "1")) == expected
    placed = refer(f"s3://{bucket}/my_dir/", "here/there")
    assert read_tree(download(placed, tmp_path / "2")) == {f"here/there/{k}": v for k, v in expected.items()}
    assert placed.get_entry("here/there/sub/b").ref == f"s3://{bucket}/my_dir/sub/b"


def test_a_whole_bucket_can_be_referred_to(seaweedfs: SeaweedFS, bucket: str) -> None:
    for key in ("top", "folder/inner"):
        seaweedfs.put(bucket, key, b"x")
    assert set(refer(f"s3://{bucket}").manifest.entries) == {"top", "folder/inner"}


def test_keys_mean_themselves(seaweedfs: SeaweedFS, bucket: str, tmp_path: Path) -> None:
    keys = ["with space", "per%41cent", "a#b", "ü/é.txt", "plus+and=more&"]
    for key in keys:
        seaweedfs.put(bucket, f"odd/{key}", key.encode())
    seaweedfs.put(bucket, "what?yes", b"q")
    assert [entry.digest for entry in new_artifact().add_reference(f"s3://{bucket}/what?yes")] == [md5_hex(b"q")]
    artifact = refer(f"s3://{bucket}/odd")
    assert read_tree(download(artifact, tmp_path / "all")) == {key: key.encode() for key in keys}
    for number, key in enumerate(keys):
        one = refer(f"s3://{bucket}/odd/{key}", "one")
        assert read_tree(download(one, tmp_path / str(number))) == {"one": key.encode()}


def test_the_version_is_pinned_where_the_bucket_keeps_versions(
    seaweedfs: SeaweedFS, versioned: str, tmp_path: Path
) -> None:
    first = seaweedfs.put(versioned, "d/x", b"first")
    folder = refer(f"s3://{versioned}/d", "folder")
    second = seaweedfs.put(versioned, "d/x", b"second!")
    latest = refer(f"s3://{versioned}/d/x", "latest")
    named = refer(f"s3://{versioned}/d/x?versionId={first.version_id}", "named")
    seaweedfs.put(versioned, "d/x", b"third")
    seaweedfs.delete(versioned, "d/x")
    assert folder.get_entry("folder/x").extra == {"etag": first.etag, "versionID": first.version_id}
    assert latest.get_entry("latest").extra["versionID"] == second.version_id
    assert named.get_entry("named").ref == f"s3://{versioned}/d/x"
    for artifact, expected in ((folder, b"first"), (latest, b"second!"), (named, b"first")):
        (content,) = read_tree(download(artifact, tmp_path / expected.decode() / artifact.name)).values()
        assert content == expected


def test_a_version_that_was_destroyed_is_missing(seaweedfs: SeaweedFS, versioned: str, tmp_path: Path) -> None:
    first = seaweedfs.put(versioned, "x", b"first")
    artifact = refer(f"s3://{versioned}/x")
    seaweedfs.put(versioned, "x", b"second")
    seaweedfs.request("DELETE", versioned, "x", query={"versionId": first.version_id or ""})
    with pytest.raises(ReferenceMissingError, match=f"version {first.version_id} of it does not exist any more"):
        artifact.download(str(tmp_path))
    with pytest.raises(ReferenceMissingError, match="Object does not exist"):
        refer(f"s3://{versioned}/x?versionId={first.version_id}")


def test_without_checksum_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    (entry,) = new_artifact().add_reference("s3://bucket/some/key?versionId=7", checksum=False)
    assert (entry.path, entry.digest, entry.ref) == ("some/key", "s3://bucket/some/key", "s3://bucket/some/key")
    assert entry.extra == {"versionID": "7"}


def test_a_reference_without_checksum_takes_what_is_there(seaweedfs: SeaweedFS, bucket: str, tmp_path: Path) -> None:
    artifact = refer(f"s3://{bucket}/x", checksum=False)
    seaweedfs.put(bucket, "x", b"anything")
    assert read_tree(download(artifact, tmp_path / "out")) == {"x": b"anything"}


def test_more_objects_than_allowed_are_refused_and_none_is_added(seaweedfs: SeaweedFS, bucket: str) -> None:
    for number in range(70):
        seaweedfs.put(bucket, f"d/{number}", b"x")
    artifact = new_artifact()
    for limit in (3, 69):
        with pytest.raises(ValueError, match=f"Exceeded {limit} objects tracked, pass max_objects to add_reference"):
            artifact.add_reference(f"s3://{bucket}/d", max_objects=limit)
    assert len(artifact.manifest) == 0
    assert len(artifact.add_reference(f"s3://{bucket}/d", max_objects=70)) == 70
    assert len(artifact.manifest) == 70


def test_many_objects_come_as_entries_and_again_change_nothing(
    seaweedfs: SeaweedFS, bucket: str, tmp_path: Path
) -> None:
    for number in range(80):
        seaweedfs.put(bucket, f"d/{number:03}", b"%d" % number)
    artifact = new_artifact()
    entries = artifact.add_reference(f"s3://{bucket}/d", "in")
    assert [entry.path for entry in entries] == [f"in/{number:03}" for number in range(80)]
    assert entries[7].digest == md5_hex(b"7")
    assert len(artifact.add_reference(f"s3://{bucket}/d", "in")) == 80
    seaweedfs.put(bucket, "d/042", b"changed")
    with pytest.raises(ValueError, match="Cannot add the same path twice: 'in/042'"):
        artifact.add_reference(f"s3://{bucket}/d", "in")
    with pytest.raises(ValueError, match="Cannot add the same path twice: 'in/042'"):
        artifact.add_reference(f"s3://{bucket}/d/042", "in/042")
    seaweedfs.put(bucket, "d/042", b"42")
    assert len(read_tree(download(log(artifact), tmp_path / "out"))) == 80


def test_the_same_object_under_one_path_is_one_entry(seaweedfs: SeaweedFS, bucket: str) -> None:
    seaweedfs.put(bucket, "x", b"1")
    artifact = new_artifact()
    for _ in range(2):
        artifact.add_reference(f"s3://{bucket}/x")
    seaweedfs.put(bucket, "x", b"2")
    with pytest.raises(ValueError, match="Cannot add the same path twice"):
        artifact.add_reference(f"s3://{bucket}/x")
    assert len(log(artifact).manifest) == 1


def test_a_key_that_no_artifact_can_hold_is_named(seaweedfs: SeaweedFS, bucket: str) -> None:
    for key in ("d/good", "d/C:drive"):
        seaweedfs.put(bucket, key, b"x")
    artifact = new_artifact()
    with pytest.raises(ValueError, match="begins with a drive letter"):
        artifact.add_reference(f"s3://{bucket}/d")
    with pytest.raises(ValueError, match="the key 'd//x' cannot be asked for"):
        artifact.add_reference(f"s3://{bucket}/d//x")
    assert len(artifact.manifest) == 0


# --- what cannot be had -----------------------------------------------------------------------------------------------


def test_nothing_there_is_said_with_the_uri(bucket: str) -> None:
    for uri in (f"s3://{bucket}/absent", f"s3://{bucket}/absent/"):
        with pytest.raises(ReferenceMissingError, match=f"Unable to find object at {uri}"):
            new_artifact().add_reference(uri)
    with pytest.raises(ValueError, match="names no bucket"):
        new_artifact().add_reference("s3:///x")


def test_a_bucket_that_does_not_exist_is_an_error_with_the_servers_word() -> None:
    with pytest.raises(CommError, match=r"s3://no-such-bucket cannot be asked .*NoSuchBucket"):
        new_artifact().add_reference("s3://no-such-bucket/folder")


def test_wrong_credentials_are_an_error_that_says_so(
    seaweedfs: SeaweedFS, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seaweedfs.put(bucket, "x", b"x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(PermissionDeniedError, match="check the credentials"):
        new_artifact().add_reference(f"s3://{bucket}/x")


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(CommError, match="check its name, the endpoint"):
        new_artifact().add_reference("s3://bucket/x")


def test_without_obstore_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore.store", None)
    with pytest.raises(
        MissingPackageError, match=r"^s3://new-bucket needs obstore: pip install 'holdfast\[references\]'$"
    ):
        new_artifact().add_reference("s3://new-bucket/x")


def test_an_object_that_changed_or_went_is_not_taken_for_the_old_one(
    seaweedfs: SeaweedFS, bucket: str, tmp_path: Path
) -> None:
    seaweedfs.put(bucket, "x", b"old")
    seaweedfs.put(bucket, "y", b"stays")
    artifact = new_artifact()
    artifact.add_reference(f"s3://{bucket}/x")
    artifact.add_reference(f"s3://{bucket}/y")
    log(artifact)
    new = seaweedfs.put(bucket, "x", b"newer")
    with pytest.raises(ReferenceChangedError) as changed:
        artifact.download(str(tmp_path / "1"), allow_missing_references=True)
    for part in (f"s3://{bucket}/x", md5_hex(b"old"), new.etag, "5 bytes"):
        assert part in str(changed.value)
    seaweedfs.delete(bucket, "x")
    with pytest.raises(FileNotFoundError, match="does not exist any more"):
        artifact.download(str(tmp_path / "2"))
    with pytest.warns(UserWarning, match=f"x was skipped: .*s3://{bucket}/x"):
        artifact.download(str(tmp_path / "3"), allow_missing_references=True)
    assert read_tree(tmp_path / "3") == {"y": b"stays"}
    assert "x" not in read_tree(tmp_path / "1")


# --- fetching ---------------------------------------------------------------------------------------------------------


def test_large_objects_come_in_parts(
    seaweedfs: SeaweedFS, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud, "PART_BYTES", 1 << 20)
    parts = [os.urandom(5 << 20), os.urandom((1 << 20) + 7)]
    info = seaweedfs.put_in_parts(bucket, "large", parts)
    assert info.etag.endswith("-2")
    artifact = refer(f"s3://{bucket}/large")
    unchecked = refer(f"s3://{bucket}/large", "again", checksum=False)
    assert read_tree(download(artifact, tmp_path / "1")) == {"large": b"".join(parts)}
    assert read_tree(download(unchecked, tmp_path / "2")) == {"again": b"".join(parts)}


def written(path: Path) -> tuple[int, int]:
    """Changes when a file is written, and not when it is read."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def test_a_file_that_is_right_is_not_fetched_again(seaweedfs: SeaweedFS, bucket: str, tmp_path: Path) -> None:
    seaweedfs.put(bucket, "x", b"content")
    artifact = refer(f"s3://{bucket}/x")
    download(artifact, tmp_path)
    before = written(tmp_path / "x")
    seaweedfs.delete(bucket, "x")
    download(artifact, tmp_path)
    assert written(tmp_path / "x") == before
    seaweedfs.put(bucket, "x", b"content")
    (tmp_path / "x").write_bytes(b"altered")
    download(artifact, tmp_path)
    assert (tmp_path / "x").read_bytes() == b"content"


def test_overwrite_counts_for_references_too(seaweedfs: SeaweedFS, bucket: str, tmp_path: Path) -> None:
    seaweedfs.put(bucket, "x", b"content")
    artifact = refer(f"s3://{bucket}/x")
    (tmp_path / "x").write_bytes(b"mine")
    artifact.download(str(tmp_path), overwrite="keep")
    with pytest.raises(ValueError, match="there already"):
        artifact.download(str(tmp_path), overwrite=False)
    assert read_tree(tmp_path) == {"x": b"mine"}


def test_links_are_not_followed_out_of_the_folder(seaweedfs: SeaweedFS, bucket: str, tmp_path: Path) -> None:
    seaweedfs.put(bucket, "d/x", b"content")
    artifact = refer(f"s3://{bucket}/d", "in")
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (root / "in").symlink_to(outside)
    with pytest.raises(ValueError, match="symbolic link"):
        artifact.download(str(root))
    assert list(outside.iterdir()) == []


def test_any_part_of_an_object_is_read_where_it_lies(seaweedfs: SeaweedFS, bucket: str) -> None:
    content = os.urandom(3 << 20)
    seaweedfs.put(bucket, "x", content)
    entry = refer(f"s3://{bucket}/x").get_entry("x")
    with entry.open() as file:
        file.seek(-7, os.SEEK_END)
        assert file.read() == content[-7:]
        file.seek(1_500_000)
        assert file.read(100) == content[1_500_000:1_500_100]
        file.seek(0)
        assert file.read() == content
    seaweedfs.put(bucket, "x", b"other")
    with pytest.raises(ReferenceChangedError):
        entry.open()
    seaweedfs.delete(bucket, "x")
    with pytest.raises(ReferenceMissingError):
        entry.open()


def test_an_entry_is_fetched_by_itself(seaweedfs: SeaweedFS, bucket: str, tmp_path: Path) -> None:
    seaweedfs.put(bucket, "d/x", b"one")
    seaweedfs.put(bucket, "d/y", b"two")
    entry = refer(f"s3://{bucket}/d").get_entry("y")
    assert entry.ref_target() == f"s3://{bucket}/d/y"
    assert entry.ref_url().startswith("holdfast-artifact://")
    assert Path(entry.download(str(tmp_path))) == tmp_path / "y"
    assert read_tree(tmp_path) == {"y": b"two"}


def test_a_checkout_holds_its_references_and_nothing_else(seaweedfs: SeaweedFS, bucket: str, tmp_path: Path) -> None:
    seaweedfs.put(bucket, "d/x", b"one")
    artifact = refer(f"s3://{bucket}/d")
    (tmp_path / "stranger").write_bytes(b"")
    artifact.checkout(str(tmp_path))
    assert read_tree(tmp_path) == {"x": b"one"}
    with pytest.warns(UserWarning, match="1 references .* were not verified"):
        assert artifact.verify(str(tmp_path))


# --- finding the way --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL"])
def test_each_name_of_the_endpoint_is_understood(
    name: str, seaweedfs: SeaweedFS, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seaweedfs.put(bucket, "x", b"x")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv(name, seaweedfs.endpoint)
    assert len(new_artifact().add_reference(f"s3://{bucket}/x")) == 1


def test_a_profile_brings_keys_endpoint_and_region(
    seaweedfs: SeaweedFS, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seaweedfs.put(bucket, "x", b"x")
    (tmp_path / "config").write_text(
        f"[profile lab]\nendpoint_url = {seaweedfs.endpoint}\nregion = us-east-1\n[profile broken]\nregion = x\n"
    )
    (tmp_path / "credentials").write_text(
        f"[lab]\naws_access_key_id = {seaweedfs.environ['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {seaweedfs.environ['AWS_SECRET_ACCESS_KEY']}\n"
    )
    for name in seaweedfs.environ:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert len(new_artifact().add_reference(f"s3://{bucket}/x")) == 1
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(CommError, match="'absent'"):
        new_artifact().add_reference(f"s3://{bucket}/x")


def test_a_profile_can_ask_a_program_for_keys(
    seaweedfs: SeaweedFS, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seaweedfs.put(bucket, "x", b"x")
    program = tmp_path / "keys.sh"
    program.write_text(
        "#!/bin/sh\n"
        f'echo \'{{"AccessKeyId": "{seaweedfs.environ["AWS_ACCESS_KEY_ID"]}",'
        f' "SecretAccessKey": "{seaweedfs.environ["AWS_SECRET_ACCESS_KEY"]}"}}\'\n'
    )
    (tmp_path / "config").write_text(f"[default]\ncredential_process = /bin/sh {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert len(new_artifact().add_reference(f"s3://{bucket}/x")) == 1
    program.write_text("exit 1\n")
    monkeypatch.setenv("AWS_REGION", "us-east-2")
    with pytest.raises(CommError, match="credential_process of AWS profile 'default' gave no credentials"):
        new_artifact().add_reference(f"s3://{bucket}/x")


def test_without_credentials_requests_are_not_signed(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    seaweedfs.make_bucket("public")
    seaweedfs.make_bucket("private")
    for bucket in ("public", "private"):
        seaweedfs.put(bucket, "x", b"x")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert len(new_artifact().add_reference("s3://public/x")) == 1
    with pytest.raises(PermissionDeniedError):
        new_artifact().add_reference("s3://private/x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unknown")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "true")
    assert len(new_artifact().add_reference("s3://public/x")) == 1


def test_a_forked_child_is_refused_instead_of_hanging(seaweedfs: SeaweedFS, bucket: str) -> None:
    seaweedfs.put(bucket, "x", b"x")
    handler = holdfast.S3Handler()
    handler.store_path(None, f"s3://{bucket}/x")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            handler.store_path(None, f"s3://{bucket}/x")
        except CommError as error:
            code = 0 if "'spawn' or 'forkserver'" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def test_a_handler_by_itself_answers_as_in_wandb(seaweedfs: SeaweedFS, bucket: str) -> None:
    seaweedfs.put(bucket, "d/x", b"content")
    handler = holdfast.S3Handler()
    (entry,) = handler.store_path(None, f"s3://{bucket}/d", name="n", checksum=True, max_objects=5)
    assert (entry.path, entry.ref, entry.size) == ("n/x", f"s3://{bucket}/d/x", 7)
    assert handler.load_path(entry) == entry.ref
    assert Path(handler.load_path(entry, local=True)).read_bytes() == b"content"


# --- in Comet's words -------------------------------------------------------------------------------------------------


def test_comet_pins_the_versions_of_a_prefix_and_brings_them_back(
    seaweedfs: SeaweedFS, versioned: str, tmp_path: Path
) -> None:
    first = seaweedfs.put(versioned, "data/train/x", b"first")
    seaweedfs.put(versioned, "data/train/sub/y", b"y")
    artifact = comet.Artifact(fresh_name(), "dataset")
    artifact.add_remote(f"s3://{versioned}/data/train", metadata={"k": 1})
    seaweedfs.put(versioned, "data/train/x", b"second")
    with comet.Experiment(project_name=PROJECT) as experiment:
        logged = experiment.log_artifact(artifact).wait()
        assert [asset.logical_path for asset in logged.assets] == ["train/sub/y", "train/x"]
        asset = logged.get_asset("train/x")
        uri = f"s3://{versioned}/data/train/x"
        assert asset.metadata == {
            "k": 1,
            "synced": True,
            "s3_platform": "aws",
            "s3_path": uri,
            "checksum": md5_hex(b"first"),
            "version_id": first.version_id,
            "file_size": 5,
        }
        assert artifact.assets[1].metadata == asset.metadata
        brought = logged.download(str(tmp_path))
        assert read_tree(tmp_path) == {"train/x": b"first", "train/sub/y": b"y"}
        logged.download(str(tmp_path))
        with asset.open_stream() as stream:
            assert stream.read() == b"first"
        again = experiment.log_artifact(brought).wait()
        assert [one.link for one in again.assets] == [one.link for one in logged.assets]
        (tmp_path / "train" / "x").write_bytes(b"other")
        with pytest.raises(comet.exceptions.ArtifactDownloadException, match="train/x"):
            logged.download(str(tmp_path))


@pytest.mark.parametrize("objects", [pytest.param(1_100, marks=pytest.mark.long), 30])
def test_comet_makes_an_asset_of_every_object(seaweedfs: SeaweedFS, bucket: str, objects: int) -> None:
    for number in range(objects):
        seaweedfs.put(bucket, f"d/{number:04}", b"x")
    artifact = comet.Artifact(fresh_name(), "dataset")
    artifact.add_remote(f"s3://{bucket}/d", max_synced_objects=objects)
    assert len(artifact.assets) == objects
    other = comet.Artifact(fresh_name(), "dataset")
    with pytest.warns(UserWarning, match=f"max_synced_objects={objects - 1:,}"):
        other.add_remote(f"s3://{bucket}/d", max_synced_objects=objects - 1)
    assert [asset.metadata["synced"] for asset in other.assets] == [False]
