"""A registry with something of everything, to be moved and saved."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast_registry.commands import main
from holdfastpb.registry.v1.version_pb2 import Version
from registry.client import Client, Content, content_of
from registry.processes import RegistryProcess, command_environment
from support import preloaded

TIMEOUT_S = 100
FILES = {f"{number:03}": os.urandom(3000) for number in range(40)}


@dataclass(frozen=True)
class Filled:
    """The data folder of a registry that has ended, and what it had."""

    data_dir: Path
    waiting: Content
    """Of a job that has begun and brought its packs, and not committed."""
    version_id: str
    lease_id: str

    def copied_to(self, folder: Path) -> Path:
        """A data folder of the test's own."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copytree(self.data_dir, folder / "data")
        return folder / "data"


def fill(folder: Path) -> Filled:
    """Two collections, a portfolio, aliases, tags, a deleted version, one that waits for its commit."""
    with RegistryProcess(folder) as process, Client(process.target) as client:
        first = client.log_files("cats", FILES, aliases=["prod"], tags=["checked"])
        client.log_files("cats", FILES | {"more": os.urandom(60_000)}, metadata_json=b'{"accuracy": 0.5}')
        client.link(first.version_id, "show", aliases=["best"])
        client.delete(client.log_files("dogs", {"a": b"dog"}).version_id, delete_aliases=True)
        client.log_files("dogs", {"a": b"other dog"}, description="the second")
        waiting = content_of({"late": b"late" * 100})
        begun = client.begin("cats")
        client.bring(begun.lease.lease_id, waiting.chunks)
        process.stop()
    return Filled(process.data_dir, waiting, begun.version_id, begun.lease.lease_id)


def seen(client: Client) -> dict[str, list[Version]]:
    """What a client sees of it."""
    return {name: list(client.list_versions(name).versions) for name in ("cats", "dogs", "show")}


def command(*arguments: str) -> int:
    """Runs one command of the registry in this process; returns its exit code."""
    umask = os.umask(0o077)
    try:
        return main(arguments)
    finally:
        os.umask(umask)


def run_command(
    *arguments: str, environment: Mapping[str, str] | None = None, failpoints: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs one command of the registry to its end, or to where it dies."""
    armed = {"HOLDFAST_FAILPOINTS": failpoints} if failpoints else {}
    return preloaded.run(
        "holdfast_registry", arguments, command_environment({**(environment or {}), **armed}), TIMEOUT_S
    )


def rows_of(database: Path, table: str) -> list[tuple[object, ...]]:
    """All rows of a table of a SQLite database, sorted."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return sorted(connection.execute(f'SELECT * FROM "{table}"').fetchall(), key=repr)
    finally:
        connection.close()
