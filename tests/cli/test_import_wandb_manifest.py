"""`holdfast import wandb-manifest`: checked files become a version; nothing that is damaged does."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import holdfast
from holdfast.cli.exit_codes import ExitCode
from holdfast.cli.main import app

pytestmark = pytest.mark.usefixtures("host")

FILES = {"train/a.txt": b"alpha\n", "train/b.bin": bytes(range(256)) * 1000, "empty": b""}


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """What `download()` of W&B leaves, with the manifest beside it."""
    root = tmp_path / "cats:v3"
    contents: dict[str, Any] = {}
    for path, data in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        contents[path] = {"digest": md5(data), "size": len(data), "birthArtifactID": "QXJ0", "local_path": "/not/here"}
    contents["remote"] = {"digest": "etag-1", "ref": "s3://bucket/key", "size": 7, "extra": {"etag": "etag-1"}}
    contents["other"] = {"digest": md5(b"other"), "ref": "wandb-artifact://0123/x", "size": 5}
    (root / "other").write_bytes(b"other")
    write_manifest(root, contents)
    return root


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def write_manifest(root: Path, contents: dict[str, Any], **changes: Any) -> None:
    config = {"storageLayout": "V2"}
    manifest = {"version": 1, "storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": config}
    (root / "wandb_manifest.json").write_text(json.dumps({**manifest, "contents": contents, **changes}))


def run_import(root: Path, *options: object, name: str = "from/cats") -> Result:
    arguments = ["import", "wandb-manifest", str(root / "wandb_manifest.json"), "-n", name, *map(str, options)]
    return CliRunner().invoke(app, arguments)


def test_the_version_has_the_files_the_references_and_the_names(download: Path, tmp_path: Path) -> None:
    result = run_import(
        download, "-t", "pictures", "-a", "prod", "-m", '{"rows": 3}', "-d", "from afar", "--tag", "raw"
    )
    assert result.exit_code == 0, result.stderr
    artifact = holdfast.Api().artifact("from/cats:prod")
    assert (artifact.type, artifact.metadata, artifact.description) == ("pictures", {"rows": 3}, "from afar")
    assert artifact.tags == ["raw"]
    assert sorted(artifact.manifest.entries) == sorted([*FILES, "remote", "other"])
    remote = artifact.manifest.entries["remote"]
    assert (remote.ref, remote.digest, remote.size, remote.extra) == (
        "s3://bucket/key",
        "etag-1",
        7,
        {"etag": "etag-1"},
    )
    assert artifact.manifest.entries["other"].ref is None
    entry = artifact.get_entry("train/b.bin")
    assert Path(entry.download(str(tmp_path / "out"))).read_bytes() == FILES["train/b.bin"]


def test_a_damaged_file_is_named_and_nothing_is_logged(download: Path) -> None:
    (download / "train" / "a.txt").write_bytes(b"alphA\n")
    result = run_import(download, name="from/damaged")
    assert result.exit_code == ExitCode.DAMAGED
    assert "train/a.txt is not what the manifest says" in result.stderr
    assert not holdfast.Api().artifact_exists("from/damaged:v0")


def test_missing_files_are_named_and_nothing_is_logged(download: Path) -> None:
    (download / "train" / "a.txt").unlink()
    (download / "empty").unlink()
    result = run_import(download, name="from/missing")
    assert result.exit_code == ExitCode.NOT_FOUND
    assert "empty" in result.stderr
    assert "train/a.txt" in result.stderr
    assert not holdfast.Api().artifact_exists("from/missing:v0")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "Must contain version field"),
        ('{"version": 2, "contents": {}}', "Invalid manifest version 2"),
        ('{"version": 1, "contents": []}', "Invalid manifest version"),
        ('{"version": 1, "contents": {"../up": {"digest": "x"}}}', "../up"),
        ('{"version": 1, "contents": {"a": {"size": 1}}}', "has no digest"),
        ("{", "not JSON"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "wandb_manifest.json").write_text(text)
    result = run_import(tmp_path)
    assert result.exit_code == ExitCode.USAGE
    assert said in result.stderr


def test_missing_and_damaged_files_are_named_together(download: Path) -> None:
    (download / "train" / "a.txt").write_bytes(b"alphA\n")
    (download / "empty").unlink()
    result = run_import(download, name="from/both")
    assert result.exit_code == ExitCode.DAMAGED
    assert "empty of the manifest is not below" in result.stderr
    assert "train/a.txt is not what the manifest says" in result.stderr
