"""One registry for the tests of a module that leave no damage behind; each test has a collection of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.client import Client
from registry.moving import Filled, fill
from registry.processes import RegistryProcess
from support.postgres import Postgres

DATABASES = ("sqlite", "postgresql")


def new_database(request: pytest.FixtureRequest) -> str | None:
    """Returns the address of a fresh database, None for SQLite, which a registry has in its folder."""
    if request.param == "sqlite":
        return None
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(scope="module", params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str | None:
    """Everything a client sees is the same on both databases; None: SQLite."""
    return new_database(request)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, database_url: str | None) -> Iterator[RegistryProcess]:
    with RegistryProcess(tmp_path_factory.mktemp("registry"), database_url=database_url) as process:
        yield process


@pytest.fixture(scope="module")
def client(registry: RegistryProcess) -> Iterator[Client]:
    with Client(registry.target) as connected:
        yield connected


@pytest.fixture
def collection() -> str:
    return f"c-{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=DATABASES)
def own_database_url(request: pytest.FixtureRequest) -> str | None:
    """As `database_url`, for one test."""
    return new_database(request)


@pytest.fixture
def any_registry(tmp_path: Path, own_database_url: str | None) -> Iterator[RegistryProcess]:
    """As `own_registry`, on either database."""
    process = RegistryProcess(tmp_path, database_url=own_database_url)
    yield process
    process.kill()


@pytest.fixture
def own_registry(tmp_path: Path) -> Iterator[RegistryProcess]:
    """A registry on SQLite that the test may kill or damage; not started yet."""
    process = RegistryProcess(tmp_path)
    yield process
    process.kill()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """The data folder of a registry with something of everything; tests work on copies."""
    return fill(tmp_path_factory.mktemp("filled"))
