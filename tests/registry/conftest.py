"""One registry for the tests of a module that leave no damage behind; each test has a collection of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.client import Client
from registry.processes import RegistryProcess


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryProcess]:
    with RegistryProcess(tmp_path_factory.mktemp("registry")) as process:
        yield process


@pytest.fixture(scope="module")
def client(registry: RegistryProcess) -> Iterator[Client]:
    with Client(registry.target) as connected:
        yield connected


@pytest.fixture
def collection() -> str:
    return f"c-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def own_registry(tmp_path: Path) -> Iterator[RegistryProcess]:
    """A registry that the test may kill or damage; not started yet."""
    process = RegistryProcess(tmp_path)
    yield process
    process.kill()
