"""`holdfast registry rebuild-index`: a database made anew from the store, when there is none and no backup either.

Names, numbers, aliases, tags and lineage come from the catalogue in the store; where chunks lie comes from the packs' footers.

Order: a working file beside the database · records of the catalogue · packs · what points at nothing taken out · into place, with the
epoch that keeps garbage from being collected until fsck has run.  The store is only read.  A crash leaves a working file, which the
next try replaces.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from holdfast_contract.errors import ContractError, PackError
from holdfast_contract.pack import PackIndex, decode_frame, read_index, verify_frames
from holdfast_registry.blobstore.open_store import file_threads
from holdfast_registry.blobstore.store import BlobStore, PackFile, PackGoneError
from holdfast_registry.blobstore.zstd import decompress
from holdfast_registry.catalogue_keeper import WHOLE_SUFFIX, wanted_records
from holdfast_registry.clock import Clock, SystemClock
from holdfast_registry.database.rebuilding import Rebuilding, open_for_rebuilding
from holdfast_registry.database.sqlite import SqliteDatabase, make_portable
from holdfast_registry.domain.manifest import parse_root
from holdfast_registry.errors import StartError
from holdfast_registry.moving.in_place import WORKING_NAME, put_in_place, refuse_registry, remove_working
from holdfast_registry.moving.places import StorePlace, open_store_at, own_database, own_store
from holdfast_registry.moving.progress import Progress
from holdfast_registry.server import open_data_folder
from holdfast_registry.settings import RegistrySettings

EXIT_CODE_INCOMPLETE = 1
SHOWN_MAX = 20


@dataclass(slots=True)
class RebuildReport:
    """What came back, and what did not."""

    records: int = 0
    packs: int = 0
    versions: int = 0
    problems: list[str] = field(default_factory=list)


async def rebuild_index(wish: argparse.Namespace, settings: RegistrySettings, data_dir: Path) -> int:
    """Runs the command; returns the exit code: 0, or 1 when something did not come back.

    Raises:
        StartError: the place has a database, or the store no catalogue.
    """
    clock = SystemClock()
    progress = Progress(sys.stderr, clock)
    place = own_database(settings, data_dir)
    lock = open_data_folder(data_dir)
    threads = file_threads(settings)
    try:
        refuse_registry(place)
        working = data_dir / WORKING_NAME
        async with open_store_at(own_store(settings, data_dir), settings, threads, clock) as store:
            report = await threads.run(_rebuild, store, working, clock, progress)
        await put_in_place(working, place, f"the store {own_store(settings, data_dir)}", clock, progress)
    finally:
        threads.close()
        lock.release()
    _print(report, progress)
    return EXIT_CODE_INCOMPLETE if report.problems else 0


def _print(report: RebuildReport, progress: Progress) -> None:
    for problem in report.problems[:SHOWN_MAX]:
        progress.say(f"NOT RECOVERED  {problem}")
    if len(report.problems) > SHOWN_MAX:
        progress.say(f"NOT RECOVERED  and {len(report.problems) - SHOWN_MAX} more")
    progress.say(
        f"{report.versions} versions from {report.records} records and {report.packs} packs. Open uploads, the audit log and the last "
        "hour's moves of aliases are not in the store. Next: `holdfast registry fsck`; before that no garbage is collected."
    )


def _rebuild(store: StorePlace, working: Path, clock: Clock, progress: Progress) -> RebuildReport:
    report = RebuildReport()
    names = wanted_records(store.records.names())
    if not any(name.endswith(WHOLE_SUFFIX) for name in names):
        raise StartError(
            f"The store {store.label} has no catalogue, so nobody knows what its versions are called; restore a backup."
        )
    remove_working(working)
    SqliteDatabase(working, 1).close()
    make_portable(working)
    with open_for_rebuilding(working) as rebuilding:
        for name in names:
            _take_record(rebuilding, store, name, report)
        _Packs(store.store, rebuilding, report, clock, progress).add_all()
        report.problems += rebuilding.finish(clock.now_ms())
        report.versions, lost = rebuilding.versions()
        report.problems += [f"{name}: its manifest is in no pack" for name in lost]
    return report


def _take_record(rebuilding: Rebuilding, store: StorePlace, name: str, report: RebuildReport) -> None:
    encoded = store.records.read(name)
    if encoded is None:
        report.problems.append(f"record {name}: it is gone")
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-rebuild-") as folder:
        path = Path(folder) / "record.sqlite3"
        try:
            with path.open("wb") as file, zstandard.ZstdDecompressor().stream_writer(file, closefd=False) as writer:
                writer.write(encoded)
        except zstandard.ZstdError as error:
            report.problems.append(f"record {name}: {error}")
            return
        # An older software's record is brought to this one's schema.
        SqliteDatabase(path, 1).close()
        make_portable(path)
        rebuilding.take_record(path)
    report.records += 1


class _Packs:
    """The packs of a store on their way into the file."""

    def __init__(
        self, store: BlobStore, rebuilding: Rebuilding, report: RebuildReport, clock: Clock, progress: Progress
    ) -> None:
        self._store = store
        self._rebuilding = rebuilding
        self._report = report
        self._clock = clock
        self._progress = progress
        self._known = rebuilding.known_packs()
        self._entities = rebuilding.entities()
        self._roots = rebuilding.manifest_roots()

    def add_all(self) -> None:
        present = sorted(self._store.list_names().packs)
        # Packs that are known first: what they have in common with others is read from them.
        for pack_id in sorted(present, key=lambda each: each not in self._known):
            try:
                self._add(pack_id)
            except (PackError, PackGoneError) as error:
                self._report.problems.append(f"pack {pack_id.hex()}: {error}")
            self._progress.tell(f"packs: {self._report.packs} of {len(present)}")
        for pack_id in sorted(self._known.keys() - set(present)):
            self._report.problems.append(f"pack {pack_id.hex()}: it is not in the store")

    def _add(self, pack_id: bytes) -> None:
        opened = self._store.open_pack(pack_id)
        if opened is None:
            raise PackGoneError("it is gone")
        with opened:
            index = read_index(opened.pread, opened.size_bytes, pack_id=pack_id)
            known = self._known.get(pack_id)
            if known is None:
                if len(self._entities) != 1:
                    self._report.problems.append(f"pack {pack_id.hex()}: no record says whose it is")
                    return
                known = self._rebuilding.add_pack(self._entities[0], index, self._clock.now_ms())
                self._report.problems += [
                    f"a manifest {root} that no record names" for root in _unnamed(opened, index, self._roots)
                ]
            damaged = [] if known.was_read else verify_frames(index, opened.view, decompress)
            self._report.problems += [
                f"chunk {index.digest_at(position).hex()}: its bytes in pack {pack_id.hex()}, which nobody had read, are others"
                for position in damaged
            ]
            self._rebuilding.add_chunks(known, index, frozenset(damaged))
            self._report.packs += 1


def _unnamed(opened: PackFile, index: PackIndex, roots: set[bytes]) -> Iterator[str]:
    """Yields what looks like a manifest that was committed after the last record: its digest and figures."""
    for position, offset in enumerate(index.offsets()):
        digest = index.digest_at(position)
        if digest in roots:
            continue
        stored = opened.pread(offset, index.stored_lengths[position])
        try:
            chunk = decode_frame(stored, index.codecs[position], index.lengths[position], digest, decompress)
            root = parse_root(bytes(chunk))
        except ContractError:
            continue
        if root.segments:
            yield f"{digest.hex()} ({root.entry_count} files, {root.size_bytes} bytes, from {root.segments[0].first_path!r})"
