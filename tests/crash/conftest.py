"""A host for each test, gone with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import Host, running_host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A data folder, a runtime folder, a daemon and a registry of its own; nothing runs yet."""
    with running_host(tmp_path / "host") as made:
        yield made
