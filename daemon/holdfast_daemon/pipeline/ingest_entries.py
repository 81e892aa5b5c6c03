"""Ingest of entries that are taken over from a version or from another draft: digest, size, chunks and extra, and no byte of a file.

The records of a batch that take from one source are done together, so that a manifest is read once for them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast_contract.artifact_uris import EntryUri
from holdfast_contract.errors import ManifestPathError
from holdfast_contract.paths import check_path
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.entry_sources import EntrySources
from holdfast_daemon.pipeline.fetch import common_prefix
from holdfast_daemon.pipeline.find_entries import FindTask, find_entries
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.manifest_pages import ManifestPages
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment
from holdfastpb.daemon.v1.log_pb2 import AddEntry

if TYPE_CHECKING:
    from holdfast_daemon.pipeline.ingest import Ingest
    from holdfast_daemon.pipeline.jobs import Jobs

Taken = tuple[int, AddEntry]


class IngestEntries:
    """Reads AddEntry records."""

    def __init__(self, ingest: "Ingest", jobs: "Jobs", sources: EntrySources, manifests: ManifestPages) -> None:
        self._ingest = ingest
        self._jobs = jobs
        self._sources = sources
        self._manifests = manifests

    async def ingest(self, job: Job, records: Sequence[Taken]) -> None:
        """Takes over the entries of records that name the same source; returns when each is done or has failed."""
        well_formed = []
        for seq, record in records:
            try:
                _check_record(record)
            except HoldfastError as error:
                await self._ingest.fail(job, seq, error)
            else:
                well_formed.append((seq, record))
        if not well_formed:
            return
        try:
            await self._take(job, well_formed)
        except HoldfastError as error:
            for seq, _ in well_formed:
                if not job.is_settled(seq):
                    await self._ingest.fail(job, seq, error)

    async def _take(self, job: Job, records: Sequence[Taken]) -> None:
        version_id, session_id = records[0][1].version_id, records[0][1].session_id
        if version_id:
            await self._take_from_version(job, records, version_id)
            return
        draft = await self._jobs.find(session_id)
        if not draft.has_ended and await self._take_from_draft(job, records, draft):
            return
        # It has ended, perhaps just now: its entries are those of the version that it became.
        result = draft.result
        if result is None or not result.version.version_id:
            error = HoldfastError.from_detail(result.error) if result is not None and result.HasField("error") else None
            text = f"the draft {draft.opened.artifact_name} was not committed: {error.message if error else 'it has no version'}"
            raise HoldfastError(error.reason if error else Reason.INVALID_ARGUMENT, text)
        await self._take_from_version(job, records, result.version.version_id)

    async def _take_from_version(self, job: Job, records: Sequence[Taken], version_id: str) -> None:
        wanted = frozenset(record.source_path for _, record in records)

        async def read() -> tuple[str, dict[str, EntryColumns]]:
            version = await self._manifests.ask_for_version(version_id)  # it may have been deleted since
            found: dict[str, EntryColumns] = {}
            async for segment in self._manifests.segments(version_id, common_prefix(wanted)):
                found.update(_singles(segment.entries, wanted))
                if len(found) == len(wanted):
                    break
            return version.entity, found

        entity, found = await self._ingest.patiently(job, read)
        await self._sources.add_version(job, [seq for seq, _ in records], version_id, entity)
        await self._store(job, records, found, EntryUri(False, version_id, ""), f"version {version_id}")

    async def _take_from_draft(self, job: Job, records: Sequence[Taken], draft: Job) -> bool:
        """Returns False when the draft ended before its entries could be read."""
        seqs = [seq for seq, _ in records]
        await self._sources.add_draft(job, seqs, draft)
        last_seq = draft.row.acked_seq
        while draft.ingested_seq < last_seq and not draft.has_ended:
            await draft.wait_changed()
        if draft.failed_records:
            cause = draft.failed_records[min(draft.failed_records)]
            text = f"the draft {draft.opened.artifact_name} has a record that failed: {cause.message}"
            raise HoldfastError(cause.reason, text, **cause.metadata)
        wanted = frozenset(record.source_path for _, record in records)
        task = FindTask(self._ingest.journal.path, draft.job_id, wanted)
        outcome = await self._ingest.workers.in_process(find_entries, task)
        if draft.has_ended:
            return False  # what was found may be what its end had left
        if outcome.problem is not None:
            raise HoldfastError.from_detail(ErrorDetail.FromString(outcome.problem))
        entries = EntryColumns()
        entries.extend(ManifestSegment.FromString(outcome.entries))
        await self._note_further(job, seqs, entries)
        name = f"the draft {draft.opened.artifact_name} ({draft.job_id})"
        await self._store(job, records, _singles(entries, wanted), EntryUri(True, draft.job_id, ""), name)
        return True

    async def _note_further(self, job: Job, seqs: Sequence[int], entries: EntryColumns) -> None:
        """An entry that the draft took from a third one itself keeps that origin, so the third one's version is needed, too."""
        uris = [EntryUri.parse(uri) for uri in set(entries.origins.values())]
        for session_id in sorted({uri.artifact_id for uri in uris if uri.is_draft}):
            await self._sources.add_draft(job, seqs, await self._jobs.find(session_id))

    async def _store(
        self, job: Job, records: Sequence[Taken], found: dict[str, EntryColumns], source: EntryUri, shown: str
    ) -> None:
        runs = []
        for seq, record in records:
            entry = found.get(record.source_path)
            if entry is None:
                text = f"{shown} has no entry {record.source_path!r}"
                await self._ingest.fail(job, seq, HoldfastError(Reason.NOT_FOUND, text, path=record.source_path))
                continue
            origin = str(EntryUri(source.is_draft, source.artifact_id, record.source_path))
            runs.append((seq, _under(entry, record.path, origin).SerializeToString()))
        await self._ingest.journal.store_taken(job.job_id, runs)
        job.entries_read += len(runs)
        for seq, _ in runs:
            job.mark_ingested(seq)


def _check_record(record: AddEntry) -> None:
    if bool(record.version_id) == bool(record.session_id):
        raise HoldfastError(
            Reason.INVALID_ARGUMENT, "an entry is taken over from a version or from a draft: name one of them"
        )
    try:
        check_path(record.path)
        check_path(record.source_path)
    except ManifestPathError as error:
        raise HoldfastError(Reason.INVALID_PATH, str(error), path=ascii(record.path)) from error


def _singles(entries: EntryColumns, wanted: frozenset[str]) -> dict[str, EntryColumns]:
    return {path: entries.single(row, path) for row, path in enumerate(entries.paths) if path in wanted}


def _under(entry: EntryColumns, path: str, origin: str) -> ManifestSegment:
    """The entry as this draft has it: a file with the origin it had, or else this one; a reference as it is."""
    taken = entry.single(0, path)
    if not taken.references:
        taken.origins.setdefault(0, origin)
    return taken.to_segment()
