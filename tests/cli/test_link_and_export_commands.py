"""`holdfast artifact link`, `unlink` and `export`, with a daemon and a registry."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from holdfast.cli.exit_codes import ExitCode
from holdfast.cli.main import app
from support.trees import read_tree, write_tree

TREE = {"a.txt": b"alpha", "deep/b.bin": bytes(200_000)}

pytestmark = pytest.mark.usefixtures("host")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def done(*arguments: object) -> Result:
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def info(name: str) -> Any:
    return json.loads(done("artifact", "info", name, "--json").stdout)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "data", TREE)


def test_a_version_is_linked_and_taken_out_again(data: Path) -> None:
    done("artifact", "put", data, "-n", "links/cats")
    linked = done("artifact", "link", "links/cats", "wandb-registry-pets/cats", "-a", "prod").stdout
    assert linked == "local/wandb-registry-pets/cats:v0\n"
    assert info("wandb-registry-pets/cats:prod")["aliases"] == ["latest", "prod"]
    done("artifact", "unlink", "wandb-registry-pets/cats:prod")
    assert call("artifact", "info", "wandb-registry-pets/cats:prod").exit_code == ExitCode.NOT_FOUND
    assert info("links/cats")["state"] == "COMMITTED"


def test_a_version_is_exported_as_a_folder_and_as_an_archive(data: Path, tmp_path: Path) -> None:
    done("artifact", "put", data, "-n", "exports/cats")
    done("artifact", "export", "exports/cats", "-o", tmp_path / "folder")
    assert read_tree(tmp_path / "folder") == TREE
    for name in ("cats.tar", "cats.tar.gz"):
        done("artifact", "export", "exports/cats", "-o", tmp_path / name)
        assert archived(io.BytesIO((tmp_path / name).read_bytes())) == TREE
    done("artifact", "export", "exports/cats", "-o", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "cats.tar").read_bytes()
    assert call("artifact", "export", "exports/cats", "-o", tmp_path / "cats.tar").exit_code == ExitCode.USAGE


def archived(file: io.BytesIO) -> dict[str, bytes]:
    with tarfile.open(fileobj=file) as archive:
        return {one.name: found.read() for one in archive.getmembers() if (found := archive.extractfile(one))}
