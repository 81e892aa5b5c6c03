"""Two registries over one PostgreSQL and one folder of packs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from replicas.cluster import Cluster
from support.postgres import Postgres


@pytest.fixture
def cluster(tmp_path: Path, postgres: Postgres) -> Iterator[Cluster]:
    with Cluster(tmp_path, postgres) as two:
        yield two
