"""One host for each module, as a user has it; each test with a project and a working folder of its own."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from support.sdk_host import SdkHost


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHost]:
    with SdkHost(tmp_path_factory.mktemp("host")).entered() as entered:
        yield entered


@pytest.fixture
def project(host: SdkHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The default project from now on, which nobody else uses."""
    name = f"p-{uuid.uuid4().hex[:10]}"
    monkeypatch.setenv("HOLDFAST_PROJECT", name)
    host_settings = {**host.environ, "HOLDFAST_PROJECT": name}
    monkeypatch.setattr(host, "environ", host_settings)
    host.use()
    yield name
    holdfast.finish()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the files that the documents' examples speak of."""
    monkeypatch.chdir(tmp_path)
    for path, text in {"mnist/a": "1", "my_dir/b": "2", "path/to/file.txt": "three", "model.h5": "w"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path
