"""What a registry keeps, on either pair of database and store: tests look at it, and damage it, behind the registry's back."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast_registry.blobstore.open_store import open_for_reading
from holdfast_registry.clock import SystemClock
from holdfast_registry.fsck import check_store
from holdfast_registry.fsck_report import FsckReport
from holdfast_registry.settings import RegistrySettings
from registry.processes import RegistryProcess
from support.postgres import Postgres
from support.seaweedfs import SeaweedFS

PLACES = ("sqlite+directory", "postgresql+s3")
BUCKET = "kept-by-registries"


class Kept:
    """The database and the packs of one registry.

    Attributes:
        settings: with which a process of the test opens them; credentials are in the environment.
        environment: that a registry process needs for the same.
    """

    def __init__(self, folder: Path, postgres: Postgres | None = None, seaweedfs: SeaweedFS | None = None) -> None:
        self.folder = folder
        self._postgres, self._s3 = postgres, seaweedfs
        self.settings = RegistrySettings(data_dir=str(folder / "data"))
        self.environment: dict[str, str] = {}
        if postgres is None or seaweedfs is None:
            return
        seaweedfs.make_bucket(BUCKET)
        self._prefix = uuid.uuid4().hex
        store_url = f"s3://{BUCKET}/{self._prefix}"
        self.settings = replace(self.settings, database_url=postgres.new_database(), store_url=store_url)
        self.environment = {**seaweedfs.environ, "HOLDFAST_REGISTRY_STORE_URL": store_url}

    @property
    def data_dir(self) -> Path:
        """Of the first registry."""
        return self.folder / "data"

    def process(self, name: str = "", environment: dict[str, str] | None = None) -> RegistryProcess:
        """A registry on it, not started; with a name: a further replica."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        more = self.environment | (environment or {})
        return RegistryProcess(folder, environment=more, database_url=self.settings.database_url)

    def fsck(self, *, deep: bool = True) -> FsckReport:
        """As the command; not for the thread of an event loop."""
        store = open_for_reading(self.settings, self.data_dir, SystemClock())
        try:
            return check_store(self.data_dir, store, deep=deep, database_url=self.settings.database_url)
        finally:
            store.close()

    # --- packs --------------------------------------------------------------------------------------------------------

    def packs(self) -> list[bytes]:
        """Ids of all packs that lie there."""
        store = open_for_reading(self.settings, self.data_dir, SystemClock())
        try:
            return sorted(store.list_names().packs)
        finally:
            store.close()

    def read(self, pack_id: bytes) -> bytes:
        """A pack's bytes."""
        if self._s3 is None:
            return self._path(pack_id).read_bytes()
        return self._s3.request("GET", BUCKET, self._key(pack_id)).body

    def write(self, pack_id: bytes, data: bytes) -> None:
        """Replaces a pack, as no registry would."""
        if self._s3 is None:
            self._path(pack_id).write_bytes(data)
        else:
            self._s3.put(BUCKET, self._key(pack_id), data)

    def remove(self, pack_id: bytes) -> None:
        """Removes a pack."""
        if self._s3 is None:
            self._path(pack_id).unlink()
        else:
            self._s3.delete(BUCKET, self._key(pack_id))

    def stored_bytes(self) -> int:
        """What all packs take."""
        return sum(len(self.read(pack_id)) for pack_id in self.packs())

    def _path(self, pack_id: bytes) -> Path:
        return self.data_dir / "packs" / pack_id.hex()[:2] / f"{pack_id.hex()}.pack"

    def _key(self, pack_id: bytes) -> str:
        return f"{self._prefix}/packs/{pack_id.hex()[:2]}/{pack_id.hex()}.pack"

    # --- database -----------------------------------------------------------------------------------------------------

    def execute(self, statement: str) -> list[str]:
        """Runs a statement on the database; returns its rows as text, columns separated by `|`.  Foreign keys are not minded."""
        if self._postgres is not None and self.settings.database_url is not None:
            return self._postgres.execute(
                self.settings.database_url, f"SET session_replication_role = replica; {statement}"
            )
        connection = sqlite3.connect(self.data_dir / "registry.sqlite3")
        try:
            rows = ["|".join(map(str, row)) for row in connection.execute(statement)]
            connection.commit()
            return rows
        finally:
            connection.close()

    def blob(self, value: bytes) -> str:
        """Bytes as this database writes them in a statement."""
        return f"x'{value.hex()}'" if self._postgres is None else f"'\\x{value.hex()}'::bytea"

    @contextmanager
    def without(self, table: str, where: str) -> Iterator[None]:
        """Takes rows away while the block runs."""
        self.execute(f"CREATE TABLE taken AS SELECT * FROM {table} WHERE {where}")
        try:
            self.execute(f"DELETE FROM {table} WHERE {where}")
            yield
        finally:
            self.execute(f"INSERT INTO {table} SELECT * FROM taken")
            self.execute("DROP TABLE taken")


def kept_at(request: pytest.FixtureRequest, folder: Path) -> Kept:
    """What a fixture with one of PLACES as its parameter gives."""
    if request.param == PLACES[0]:
        return Kept(folder)
    return Kept(folder, request.getfixturevalue("postgres"), request.getfixturevalue("seaweedfs"))


@contextmanager
def credentials(kept: Kept) -> Iterator[None]:
    """Lets this process open what a fixture of a module gives."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in kept.environment.items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        yield
