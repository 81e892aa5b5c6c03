"""Compares database, store and digests, and names every version that a damage hurts.

Changes nothing (but see `accept_restored`), and may run beside a server: the files are listed before the database's snapshot is
taken, so what comes in between is newer than both.  Order: database · packs (with `deep` each frame) · manifests · files of nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from holdfast_contract.digest import EMPTY_DIGEST
from holdfast_contract.errors import ContractError, PackError
from holdfast_contract.pack import PackIndex, decode_frame, read_index, verify_frames
from holdfast_contract.reasons import Reason
from holdfast_registry.blobstore.directory import INCOMING_FOLDER, PACKS_FOLDER, DirectoryStore
from holdfast_registry.blobstore.epoch import EPOCH_NAME, StoreEpoch
from holdfast_registry.blobstore.records import RECORDS_FOLDER
from holdfast_registry.blobstore.store import BlobStore, PackGoneError, StoredNames, StoreUnavailableError
from holdfast_registry.blobstore.zstd import decompress
from holdfast_registry.database.inspected import InspectedDatabase, inspected_database
from holdfast_registry.database.inspection import InspectedChunk, InspectedPack, InspectedVersion, Inspection
from holdfast_registry.database.read_only import MARKER_NAME
from holdfast_registry.database.sqlite import DATABASE_NAME
from holdfast_registry.domain.gc import epochs_agree
from holdfast_registry.domain.manifest import (
    CHUNKS_LISTED_MAX,
    LongList,
    ManifestCheck,
    SegmentContent,
    parse_chunk_list,
    parse_root,
    parse_segment,
    paths_of_chunks,
    split_digests,
)
from holdfast_registry.domain.records import PackState
from holdfast_registry.errors import DatabaseError, RegistryError
from holdfast_registry.fsck_report import MANIFEST_PATH, PATHS_SHOWN_MAX, Finding, FsckReport
from holdfast_registry.lifecycle import LOCK_NAME
from holdfastpb.common.v1.manifest_pb2 import ManifestRoot

_OWN_NAMES = {
    LOCK_NAME,
    DATABASE_NAME,
    f"{DATABASE_NAME}-wal",
    f"{DATABASE_NAME}-shm",
    PACKS_FOLDER,
    INCOMING_FOLDER,
    EPOCH_NAME,
    RECORDS_FOLDER,
    MARKER_NAME,
}


@dataclass(slots=True)
class _SegmentDamage:
    """Which damages touch one segment, with paths; the same for every version that has the segment."""

    hurts: list[tuple[Finding, list[str]]] = field(default_factory=list)


def check_store(
    data_dir: Path, store: BlobStore | None = None, *, deep: bool, database_url: str | None = None
) -> FsckReport:
    """Checks everything that a registry has.

    Args:
        data_dir: folder of its database.
        store: where its packs lie; None: in the same folder.
        deep: read every frame of every pack, too.
        database_url: of its database, where that is not in the folder.

    Raises:
        StartError: there is no registry, or one of another schema.
        RegistryError: UNAVAILABLE: store or database server do not answer, which says nothing of what they hold.
    """
    report = FsckReport(deep)
    store = store or DirectoryStore(data_dir)
    names = store.list_names()
    beside = sorted(data_dir.iterdir()) if data_dir.is_dir() else []
    names.foreign += [path.name for path in beside if path.name not in _OWN_NAMES]
    database = inspected_database(database_url, data_dir)
    try:
        database.look(lambda inspection: StoreCheck(inspection, store, report, database.name, deep=deep).run(names))
    except (RegistryError, DatabaseError) as error:
        if isinstance(error, RegistryError) and error.reason is Reason.UNAVAILABLE:
            raise
        report.add("database", database.name, f"cannot be read: {error}")
    return report


def accept_restored(database: InspectedDatabase, epoch: StoreEpoch) -> bool:
    """Lets garbage be collected again after a backup was put back, now that damage has been looked for.

    Args:
        database: of the registry.
        epoch: of its store.

    Returns:
        Whether it was off.

    Raises:
        StartError: there is no registry, or one of another schema.
        RegistryError: UNAVAILABLE.
    """
    before = epoch.read()
    known, announced = database.look(lambda inspection: inspection.epochs())
    # A cycle that runs beside this may write the store's word between the two looks; then both are of one time.
    if epochs_agree(before, known, announced) or epoch.read() != before:
        return False
    epoch.write(known)
    return True


class StoreCheck:
    """One run over one snapshot."""

    def __init__(
        self, inspection: Inspection, store: BlobStore, report: FsckReport, database_name: str, *, deep: bool
    ) -> None:
        self._inspection = inspection
        self._database_name = database_name
        self._store = store
        self._report = report
        self._deep = deep
        self._packs: dict[int, InspectedPack] = {}
        # What cannot be read any more: (entity, digest) → the damage that is to blame.
        self._lost: dict[tuple[int, bytes], Finding] = {}
        self._segments: dict[tuple[int, bytes], _SegmentDamage] = {}
        self._rowless: dict[tuple[int, bytes], Finding] = {}

    def run(self, files: StoredNames) -> None:
        """Checks everything."""
        for problem in self._inspection.integrity_problems():
            self._report.add("database", self._database_name, problem)
        for name, problem in (
            *self._inspection.collection_problems(),
            *self._inspection.portfolio_problems(),
            *self._inspection.stray_names(),
        ):
            self._report.add("collection", name, problem)
        self._packs = {pack.row: pack for pack in self._inspection.packs()}
        self._check_packs()
        for version in self._inspection.versions():
            self._report.versions_checked += 1
            self._check_version(version)
        self._note_files(files)

    # --- packs ---

    def _check_packs(self) -> None:
        counts = self._inspection.chunk_counts()
        unusable: dict[int, Finding] = {}
        for row, count in counts.items():
            pack = self._packs.get(row)
            if pack is None or pack.state is not PackState.LIVE:
                state = "no row" if pack is None else f"state {pack.state.name}"
                subject = str(row) if pack is None else pack.pack_id.hex()
                unusable[row] = self._report.add("pack", subject, f"{count} chunks lie in it, but it has {state}")
        for pack in self._packs.values():
            if pack.state is PackState.QUARANTINED:
                self._report.notes.append(f"pack {pack.pack_id.hex()} is in quarantine; see `scrub status`")
            if pack.state is PackState.LIVE:
                self._report.packs_checked += 1
                finding = self._check_pack(pack, counts.get(pack.row, 0))
                if finding is not None:
                    unusable[pack.row] = finding
        for row, entity_id, digest in self._inspection.chunks_of_packs(sorted(unusable)):
            self._lost.setdefault((entity_id, digest), unusable[row])

    def _check_pack(self, pack: InspectedPack, row_count: int) -> Finding | None:
        """Returns a damage that makes the whole pack useless; smaller ones are noted chunk by chunk."""
        subject = pack.pack_id.hex()
        try:
            opened = self._store.open_pack(pack.pack_id, whole=self._deep)
            if opened is None:
                return self._report.add("pack", subject, "its file is gone")
            with opened:
                if opened.size_bytes != pack.size_bytes:
                    problem = f"its file has {opened.size_bytes} bytes instead of {pack.size_bytes}"
                    return self._report.add("pack", subject, problem)
                index = read_index(opened.pread, opened.size_bytes, pack_id=pack.pack_id)
                self._compare_rows(pack, index, row_count)
                if self._deep:
                    self._report.bytes_read += opened.size_bytes
                    self._note_damaged(pack, index, verify_frames(index, opened.view, decompress))
        except StoreUnavailableError:
            raise
        except PackGoneError:
            return self._report.add("pack", subject, "its file is gone")
        except (PackError, RegistryError) as error:
            return self._report.add("pack", subject, error.message)
        except OSError as error:
            return self._report.add("pack", subject, f"its file cannot be read: {error.strerror}")
        return None

    def _compare_rows(self, pack: InspectedPack, index: PackIndex, row_count: int) -> None:
        digests = split_digests(bytes(index.digests))
        rows = self._inspection.chunks(pack.entity_id, digests)
        frames = zip(digests, index.offsets(), index.stored_lengths, index.lengths, index.codecs, strict=True)
        # Pairs: two writers of one job may have put the same chunk into the pack twice, and the row names either copy.
        expected = {(digest, InspectedChunk(pack.row, *frame)) for digest, *frame in frames}
        own = {digest: row for digest, row in rows.items() if row.pack_row == pack.row}
        wrong = [digest for digest, row in own.items() if (digest, row) not in expected]
        for digest in wrong:
            self._lose(pack, digest, "its row does not say where it lies in pack " + pack.pack_id.hex())
        if len(own) == row_count:
            return
        for _, entity_id, digest in self._inspection.chunks_of_packs([pack.row]):
            if digest not in own or entity_id != pack.entity_id:
                finding = self._report.add("chunk", digest.hex(), f"it is not in pack {pack.pack_id.hex()} of its row")
                self._lost.setdefault((entity_id, digest), finding)

    def _note_damaged(self, pack: InspectedPack, index: PackIndex, positions: list[int]) -> None:
        offsets = index.offsets()
        damaged = [(index.digest_at(position), offsets[position]) for position in positions]
        rows = self._inspection.chunks(pack.entity_id, [digest for digest, _ in damaged]) if damaged else {}
        for digest, offset in damaged:
            row = rows.get(digest)
            if row is not None and (row.pack_row, row.offset) == (pack.row, offset):
                self._lose(pack, digest, f"its bytes in pack {pack.pack_id.hex()} do not have its digest")
            else:
                problem = f"a copy of chunk {digest.hex()} is damaged; nothing reads that copy"
                self._report.add("pack", pack.pack_id.hex(), problem)

    def _lose(self, pack: InspectedPack, digest: bytes, problem: str) -> None:
        self._lost.setdefault((pack.entity_id, digest), self._report.add("chunk", digest.hex(), problem))

    # --- versions ---

    def _check_version(self, version: InspectedVersion) -> None:
        try:
            root = self._read_root(version)
        except ContractError as error:
            self._report.add("manifest", version.manifest_root.hex(), error.message).hurts(
                version.name, [MANIFEST_PATH]
            )
            return
        if root is None:
            self._blame(version.entity_id, version.manifest_root).hurts(version.name, [MANIFEST_PATH])
            return
        if (root.entry_count, root.size_bytes) != (version.entry_count, version.size_bytes):
            problem = "its manifest has other figures than its row"
            self._report.add("version", version.name, problem).hurts(version.name, [MANIFEST_PATH])
        for segment in root.segments:
            key = (version.entity_id, segment.digest)
            if key not in self._segments:
                self._segments[key] = self._check_segment(*key)
            for finding, paths in self._segments[key].hurts:
                finding.hurts(version.name, paths)
        if self._deep:
            self._check_artifact_digest(version, root)

    def _check_artifact_digest(self, version: InspectedVersion, root: ManifestRoot) -> None:
        """Computes the digest anew, unless a damage that is known already makes that impossible."""
        check = ManifestCheck(root)
        try:
            for segment in root.segments:
                encoded = self._read_chunk(version.entity_id, segment.digest)
                if encoded is None:
                    return
                check.check_segment(encoded)
        except ContractError as error:
            problem = f"its manifest breaks a rule: {error.message}"
            self._report.add("version", version.name, problem).hurts(version.name, [MANIFEST_PATH])
            return
        if check.finish().artifact_digest != version.digest:
            problem = "its manifest has another artifact digest than its row"
            self._report.add("version", version.name, problem).hurts(version.name, [MANIFEST_PATH])

    def _read_root(self, version: InspectedVersion) -> ManifestRoot | None:
        if version.manifest_root == EMPTY_DIGEST:
            return ManifestRoot()
        encoded = self._read_chunk(version.entity_id, version.manifest_root)
        return None if encoded is None else parse_root(encoded)

    def _check_segment(self, entity_id: int, digest: bytes) -> _SegmentDamage:
        damage = _SegmentDamage()
        encoded = self._read_chunk(entity_id, digest)
        if encoded is None:
            damage.hurts.append((self._blame(entity_id, digest), [MANIFEST_PATH]))
            return damage
        try:
            for path, chunk in self._chunks_by_path(entity_id, encoded):
                self._note_path(damage, self._blame(entity_id, chunk), path)
        except ContractError as error:
            finding = self._report.add("manifest", digest.hex(), error.message)
            damage.hurts.append((finding, [MANIFEST_PATH]))
        return damage

    def _chunks_by_path(self, entity_id: int, encoded: bytes) -> Iterator[tuple[str, bytes]]:
        """Yields (path, digest) of the chunks of a segment that cannot be read."""
        segment = parse_segment(encoded)
        content = SegmentContent.of(segment)
        bad = self._unreadable(entity_id, content.chunks)
        if bad:
            yield from ((path, digest) for path, digest in paths_of_chunks(segment) if digest in bad)
        for long_list in content.long_lists:
            for digest in self._unreadable(entity_id, self._chunks_of_long_list(entity_id, long_list)):
                yield long_list.path, digest

    def _chunks_of_long_list(self, entity_id: int, long_list: LongList) -> dict[bytes, int]:
        chunks: dict[bytes, int] = {}
        rest = long_list.chunk_count
        for part in long_list.part_digests:
            encoded = self._read_chunk(entity_id, part)
            count = min(rest, CHUNKS_LISTED_MAX)
            rest -= count
            if encoded is not None:
                chunks.update(zip(*parse_chunk_list(encoded, count), strict=True))
        return chunks

    def _unreadable(self, entity_id: int, chunks: dict[bytes, int]) -> set[bytes]:
        """Returns those without a row, with a row of another length, and those that are known to be lost."""
        rows = self._inspection.chunks(entity_id, list(chunks))
        bad = {digest for digest in chunks if (entity_id, digest) in self._lost} if self._lost else set()
        bad.update(chunks.keys() - rows.keys())
        bad.update(digest for digest, row in rows.items() if row.length != chunks[digest])
        return bad

    def _note_path(self, damage: _SegmentDamage, finding: Finding, path: str) -> None:
        for known, paths in damage.hurts:
            if known is finding:
                if len(paths) < PATHS_SHOWN_MAX:
                    paths.append(path)
                return
        damage.hurts.append((finding, [path]))

    def _blame(self, entity_id: int, digest: bytes) -> Finding:
        """Returns the damage that keeps a chunk from being read."""
        key = (entity_id, digest)
        if key in self._lost:
            return self._lost[key]
        if key not in self._rowless:
            problem = "it has no row, or one that contradicts the manifest"
            self._rowless[key] = self._report.add("chunk", digest.hex(), problem)
        return self._rowless[key]

    def _read_chunk(self, entity_id: int, digest: bytes) -> bytes | None:
        """Returns a chunk's bytes; None when that cannot be, after the damage was noted."""
        row = self._inspection.chunks(entity_id, [digest]).get(digest)
        pack = None if row is None else self._packs.get(row.pack_row)
        if row is None or pack is None:
            return None
        try:
            opened = self._store.open_pack(pack.pack_id)
            if opened is None:
                return None
            with opened:
                stored = opened.pread(row.offset, row.stored_length)
            return bytes(decode_frame(stored, row.codec, row.length, digest, decompress))
        except StoreUnavailableError:
            raise
        except PackGoneError:
            return None
        except (PackError, RegistryError, OSError) as error:
            if (entity_id, digest) not in self._lost:
                problem = error.message if isinstance(error, PackError | RegistryError) else str(error.strerror)
                self._lose(pack, digest, problem)
            return None

    # --- files ---

    def _note_files(self, files: StoredNames) -> None:
        states = {pack.pack_id: pack.state for pack in self._packs.values()}
        for pack_id in sorted(files.packs):
            if pack_id not in states:
                self._report.notes.append(f"{PACKS_FOLDER}: pack {pack_id.hex()} is in no row")
        for pack_id in sorted(files.incoming):
            if states.get(pack_id) is not PackState.UPLOADING:
                self._report.notes.append(f"{INCOMING_FOLDER}: {pack_id.hex()} is not being uploaded")
        self._report.notes.extend(f"{name} is not the registry's" for name in files.foreign)
