"""Fills a registry with versions: chunks and manifests by its own calls, checked as any; the versions' rows straight into its database.

A commit for each of 100,000 versions would take the better part of an hour; what they leave behind is one row each, an alias and
a place in a collection.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from benchmarks.registry_steps import Writer, channel_to
from benchmarks.servers import RunningRegistry
from holdfast_contract.digest import digest_of, from_hex
from holdfast_contract.limits import FIND_MISSING_DIGESTS_MAX
from holdfast_registry.bench.content import Content, new_content
from holdfast_registry.database.database import OpenDatabase
from holdfast_registry.database.schema import alias, collection, project, version
from holdfast_registry.domain.records import CollectionKind, VersionState

FILES = 100
"""Of a version, so that 100,000 versions have ten million chunks."""
CHUNKS = FILES + 2
"""Of a version: its files, a segment and a root."""
FILE_BYTES = 32
VERSIONS_OF_A_PACK = 600
"""61,200 chunks, of 65,536."""
VERSIONS_OF_A_COLLECTION = 100
PACKS_AT_ONCE = 4
AGE_MS = 86_400_000
"""Of what is made here, so that no grace protects it."""


@dataclass(frozen=True, slots=True)
class Made:
    """A version that is to have a row."""

    digest: bytes
    root: bytes


@dataclass(frozen=True, slots=True)
class Filled:
    """What a store was filled with."""

    made: list[Made]
    some_digests: list[bytes]
    """Of chunks, from all packs alike: as many as one find-missing may ask for, or all if there are fewer."""


async def fill_store(registry: RunningRegistry, versions: int, say: Callable[[str], None]) -> Filled:
    """Brings all chunks."""
    made: list[Made] = []
    some: list[bytes] = []
    chance, share = random.Random(versions), FIND_MISSING_DIGESTS_MAX / (versions * CHUNKS)
    started_s = time.monotonic()
    async with channel_to(registry) as channel:
        writer = Writer(channel, registry)
        lease_id = await writer.begin("filled")
        running: set[asyncio.Task[bytes]] = set()
        for number, contents in enumerate(_packs(versions)):
            made += [Made(from_hex(content.artifact_digest), content.root_digest) for content in contents]
            chunks = list(dict.fromkeys(chunk for content in contents for chunk in content.chunks))
            some += map(digest_of, chance.sample(chunks, min(len(chunks), round(len(chunks) * share))))
            if len(running) == PACKS_AT_ONCE:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            running.add(asyncio.create_task(writer.bring(lease_id, chunks)))
            if number % 10 == 0:
                left_s = (time.monotonic() - started_s) / (number + 1) * (versions - len(made)) / VERSIONS_OF_A_PACK
                say(f"scale: {len(made):,} of {versions:,} versions brought, some {left_s:.0f} s more")
        await asyncio.gather(*running)
    return Filled(made, some[:FIND_MISSING_DIGESTS_MAX])


def _packs(versions: int) -> Iterator[list[Content]]:
    for first in range(0, versions, VERSIONS_OF_A_PACK):
        chance = random.Random(first)
        count = min(VERSIONS_OF_A_PACK, versions - first)
        yield [new_content(chance, FILES, FILE_BYTES) for _ in range(count)]


async def enter_versions(database: OpenDatabase, made: list[Made], now_ms: int) -> None:
    """Gives rows to versions, a hundred to a collection."""
    at_ms = now_ms - AGE_MS
    project_id = await database.read(lambda connection: connection.execute(select(project.c.id)).scalars().first())
    for first in range(0, len(made), VERSIONS_OF_A_COLLECTION):
        some = made[first : first + VERSIONS_OF_A_COLLECTION]
        name = f"collection-{first // VERSIONS_OF_A_COLLECTION}"

        def unit(connection: Connection, name: str = name, some: list[Made] = some) -> None:
            _enter_collection(connection, int(project_id or 0), name, some, at_ms)

        await database.write(unit)


def _enter_collection(connection: Connection, project_id: int, name: str, made: list[Made], at_ms: int) -> None:
    row = connection.execute(
        insert(collection).returning(collection.c.id),
        {
            "public_id": uuid.uuid4().hex,
            "project_id": project_id,
            "name": name,
            "kind": CollectionKind.SEQUENCE.value,
            "type": "dataset",
            "description": "",
            "next_version_index": len(made),
            "created_at_ms": at_ms,
            "updated_at_ms": at_ms,
        },
    ).scalar_one()
    rows = [_version_row(row, index, one, at_ms) for index, one in enumerate(made)]
    connection.execute(insert(version), rows)
    latest = rows[-1]["id"]
    connection.execute(insert(alias), [{"collection_id": row, "name": "latest", "version_id": latest}])
    connection.execute(update(collection).where(collection.c.id == row).values(latest_version_id=latest))


def _version_row(collection_id: int, index: int, made: Made, at_ms: int) -> dict[str, object]:
    return {
        "id": uuid.uuid4().hex,
        "collection_id": collection_id,
        "state": VersionState.COMMITTED.value,
        "version_index": index,
        "digest": made.digest,
        "manifest_root": made.root,
        "size_bytes": FILES * FILE_BYTES,
        "entry_count": FILES,
        "metadata_json": b"{}",
        "created_at_ms": at_ms,
        "updated_at_ms": at_ms,
        "commit_hash": uuid.uuid4().hex,
        "etag": uuid.uuid4().hex,
    }
