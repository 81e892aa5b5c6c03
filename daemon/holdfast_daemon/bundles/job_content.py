"""What a job that is not committed consists of: its manifest, made beside the spool, and where its chunks are.

Chunks are looked for in the job's packs, in the other packs of the spool, at the registry, and (none of these has what was known as
stored while nobody can be asked) in the files that they came from; these are only read, the job stays as it is.
"""

import os
import shutil
import tempfile
from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast_contract.digest import split_digests
from holdfast_contract.limits import FIND_MISSING_DIGESTS_MAX
from holdfast_contract.pack import PACK_ID_BYTES, PackIndex
from holdfast_contract.reasons import Reason
from holdfast_daemon.bundles.read_sources import Source, SourceTask, read_sources
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.pipeline.assemble import Assembled
from holdfast_daemon.pipeline.bring_packs import PackSource, Reader
from holdfast_daemon.pipeline.chunk_lists import decode_list
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.commit import Committer
from holdfast_daemon.pipeline.fetch_tasks import Located, PackFile, chunk_columns, trusted_entries
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.manifest_pages import Segment
from holdfast_daemon.pipeline.pack_chunks import PackChunks
from holdfast_daemon.spool.pack_writer import PackTarget, pack_path
from holdfast_daemon.spool.spool import EXPORT_PREFIX, Spool
from holdfast_daemon.workers import Workers
from holdfastpb.common.v1.bundle_pb2 import CarriedVersion
from holdfastpb.common.v1.manifest_pb2 import ManifestRoot
from holdfastpb.daemon.v1.log_pb2 import Record


@dataclass(slots=True)
class FilesHere:
    """Packs of this machine with the chunks in them."""

    files: list[PackFile] = field(default_factory=list)
    places: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    _indexes: list[PackIndex] = field(default_factory=list)
    _offsets: "list[array[int]]" = field(default_factory=list)

    def add(self, folder: str, index: PackIndex, only: set[bytes] | None = None) -> None:
        """Takes a pack in; with `only`, of its chunks those."""
        number = len(self.files)
        self.files.append(PackFile(str(pack_path(folder, index.pack_id)), index.pack_id))
        self._indexes.append(index)
        self._offsets.append(index.offsets())
        for position, digest in enumerate(split_digests(bytes(index.digests))):
            if only is None or digest in only:
                self.places.setdefault(digest, (number, position))

    def locate(self, digests: Sequence[bytes]) -> Located:
        """Where these chunks are, all of which have a place."""
        places = [self.places[digest] for digest in digests]
        return Located(
            array("I", [pack for pack, _ in places]),
            array("I", [self._offsets[pack][at] for pack, at in places]),
            array("I", [self._indexes[pack].stored_lengths[at] for pack, at in places]),
            array("I", [self._indexes[pack].lengths[at] for pack, at in places]),
            bytes(self._indexes[pack].codecs[at] for pack, at in places),
        )

    def read(self, digest: bytes) -> bytes:
        """One chunk, checked."""
        with PackChunks(self.files) as chunks:
            [(_, data)] = chunks.in_pack_order(self.locate([digest]), [digest], [0])
            return bytes(data)


class JobContent:
    """The content of one job, between `async with` and its end."""

    def __init__(
        self, job: Job, journal: Journal, committer: Committer, spool: Spool, packs: PackSource, workers: Workers
    ) -> None:
        self._job = job
        self._journal = journal
        self._committer = committer
        self._spool = spool
        self._packs = packs
        self._workers = workers
        self._folder = ""
        self._assembled: Assembled
        self.here = FilesHere()
        self.reader = Reader(job.entity)

    async def __aenter__(self) -> "JobContent":
        """Makes the manifest and finds the chunks.

        Raises:
            HoldfastError: BLOBS_MISSING: some are nowhere; or why there is no manifest.
        """
        self._folder = await self._workers.in_thread(_make_folder, str(self._spool.folder))
        try:
            target = PackTarget(self._folder, os.urandom(PACK_ID_BYTES), 0, 0)
            self._assembled = await self._committer.assemble_into(self._job, target)
            for fragment in self._assembled.fragments:
                self.here.add(self._folder, PackIndex.decode_fragment(fragment))
            await self._find_chunks()
        except BaseException:  # a cancellation, too: the folder is nobody else's to remove
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Removes what was made for it."""
        await self._workers.in_thread(shutil.rmtree, self._folder, True)

    def carried(self) -> CarriedVersion:
        """What the bundle says of the version."""
        finalize = self._job.finalize
        assert finalize is not None, "only finalized jobs are exported"
        carried = CarriedVersion(
            entity=finalize.entity,
            project=finalize.project,
            collection=finalize.collection,
            type=finalize.type,
            digest=self._assembled.digest,
            size_bytes=self._assembled.size_bytes,
            entry_count=self._assembled.entry_count,
            description=finalize.description,
            has_description=finalize.has_description,
            metadata_json=finalize.metadata_json,
            aliases=[alias for alias in finalize.aliases if alias != "latest"],
            tags=finalize.tags,
            has_history_step=finalize.has_history_step,
            history_step=finalize.history_step,
            use_after_commit=finalize.use_after_commit,
            origin_id=finalize.origin_id or self._job.job_id,
            incremental=finalize.incremental,
        )
        if finalize.HasField("ttl"):
            carried.ttl.CopyFrom(finalize.ttl)
        if finalize.HasField("run"):
            carried.run.CopyFrom(finalize.run)
        if finalize.HasField("semantic_version"):
            carried.semantic_version.CopyFrom(finalize.semantic_version)
        return carried

    async def segments(self) -> AsyncIterator[Segment]:
        """Yields the manifest."""
        if not self._assembled.entry_count:
            return
        root = ManifestRoot.FromString(await self._workers.in_thread(self.here.read, self._assembled.root_digest))
        for reference in root.segments:
            encoded = await self._workers.in_thread(self.here.read, reference.digest)
            yield Segment(encoded, trusted_entries(encoded))

    async def _find_chunks(self) -> None:
        for pack in self._spool.packs_of(self._job.job_id):
            await self._workers.in_thread(self.here.add, str(self._spool.folder), _frozen(pack.index))
        absent: dict[bytes, int] = {}
        paths: dict[bytes, str] = {}
        async for segment in self.segments():
            for path, digest, length in await self._chunks_of(segment.entries):
                if digest not in self.here.places:
                    absent[digest] = length
                    paths.setdefault(digest, path)
        if absent:
            await self._find_elsewhere(absent, paths)

    async def _chunks_of(self, entries: EntryColumns) -> list[tuple[str, bytes, int]]:
        """(path, digest, length) of all chunks that some entries need."""
        found: list[tuple[str, bytes, int]] = []
        for row, path in enumerate(entries.paths):
            if row in entries.references:
                continue
            if (long := entries.long_chunks.get(row)) is None:
                digests, lengths = chunk_columns(entries, (row,))
                found += [(path, d, n) for d, n in zip(split_digests(digests), lengths, strict=True)]
                continue
            for part, length in zip(split_digests(long.list_digests), long.list_lengths, strict=True):
                found.append((path, part, length))
                if part in self.here.places:
                    encoded = await self._workers.in_thread(self.here.read, part)
                else:  # of another version, whose entry was taken over
                    [data] = await self._packs.read(self.reader, path, part, (length,))
                    encoded = bytes(data)
                digests, lengths = decode_list(encoded, path)
                found += [(path, d, n) for d, n in zip(split_digests(digests), lengths, strict=True)]
        return found

    async def _find_elsewhere(self, absent: dict[bytes, int], paths: Mapping[bytes, str]) -> None:
        for pack in list(self._spool.packs.values()):
            if self._job.job_id not in pack.jobs and pack.written:
                await self._workers.in_thread(self.here.add, str(self._spool.folder), _frozen(pack.index), set(absent))
        problem = await self._ask_registry([d for d in absent if d not in self.here.places], absent)
        if problem is None:
            return
        await self._read_sources({d: paths[d] for d in absent if d not in self.here.places})
        nowhere = [d for d in absent if d not in self.here.places]
        problem = await self._ask_registry(nowhere, absent) if nowhere else None
        if problem is not None:
            name = self._job.opened.artifact_name
            text = (
                f"{name} cannot be exported: {len(nowhere)} chunks of it, the first of {paths[nowhere[0]]!r}, were stored before and "
                f"are not on this machine ({problem.message}); export it when the registry can be reached"
            )
            raise HoldfastError(Reason.BLOBS_MISSING, text, path=paths[nowhere[0]])

    async def _ask_registry(self, digests: Sequence[bytes], lengths: Mapping[bytes, int]) -> HoldfastError | None:
        """Why the registry cannot give these chunks; None: it can."""
        for start in range(0, len(digests), FIND_MISSING_DIGESTS_MAX):
            part = digests[start : start + FIND_MISSING_DIGESTS_MAX]
            try:
                await self._packs.locate(self.reader, b"".join(part), [lengths[digest] for digest in part])
            except HoldfastError as error:
                if error.reason is Reason.STORE_DAMAGED or error.may_pass:
                    return error
                raise
        return None

    async def _read_sources(self, needed: Mapping[bytes, str]) -> None:
        """Reads those files again that have the chunks; what has changed gives others, which are not used."""
        records = [Record.FromString(row.payload) for row in await self._journal.load_records(self._job.job_id)]
        wanted = set(needed.values())
        sources = [Source(*found) for path in sorted(wanted) if (found := _source_of(path, records)) is not None]
        target = PackTarget(self._folder, os.urandom(PACK_ID_BYTES), 0, 0)
        fragments = await self._workers.in_process(read_sources, SourceTask(sources, set(needed), target))
        for fragment in fragments:
            self.here.add(self._folder, PackIndex.decode_fragment(fragment))


def _source_of(path: str, records: Sequence[Record]) -> tuple[bytes, str] | None:
    """The file that an entry came from, by the last record that gives its path."""
    for record in reversed(records):
        kind = record.WhichOneof("what")
        if kind == "add_file" and record.add_file.path == path:
            return record.add_file.local_path, path
        if kind == "add_tree":
            prefix = f"{record.add_tree.prefix}/" if record.add_tree.prefix else ""
            local = os.path.join(record.add_tree.local_path, os.fsencode(path.removeprefix(prefix)))
            if path.startswith(prefix) and os.path.isfile(local):
                return local, path
    return None


def _make_folder(spool: str) -> str:
    return tempfile.mkdtemp(prefix=EXPORT_PREFIX, dir=spool)


def _frozen(index: PackIndex) -> PackIndex:
    """A copy that stays as it is while the pack grows."""
    columns = bytes(index.digests), index.stored_lengths[:], index.lengths[:], bytes(index.codecs)
    return PackIndex(index.pack_id, *columns)
