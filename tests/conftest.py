"""Servers of other projects that several test folders use: started by the first test that asks, ended with the session."""

import os
from collections.abc import Iterator

import pytest

from support.azurite import Azurite
from support.gcs import GcsStandIn
from support.http_server import WebServer
from support.postgres import Postgres
from support.seaweedfs import SeaweedFS


@pytest.fixture(autouse=True)
def _umask_of_its_own() -> Iterator[None]:
    """A command that a test runs in its own process sets the umask for itself, not for the tests after it."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with SeaweedFS.started(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres.started() as server:
        yield server


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    problem = Azurite.install()
    if problem:
        pytest.skip(problem)
    with Azurite.started(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def gcs() -> Iterator[GcsStandIn]:
    with GcsStandIn() as server:
        yield server


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server
