"""Intake: takes records from the SDK's streams into the journal, and the bytes of inline ones into the spool.

A record is acknowledged when it is in the journal (synchronous=FULL).  Finalize is acknowledged when, besides, every byte that the
caller may no longer have (inline ones, files of policy "mutable") is flushed in the spool.
"""

import uuid
from collections.abc import Sequence

from holdfast_contract.errors import ContractError
from holdfast_contract.limits import INLINE_BYTES_MAX, METADATA_BYTES_MAX, RECORDS_BATCH_MAX
from holdfast_contract.metadata import decode_metadata
from holdfast_contract.names import (
    check_artifact_name,
    check_entity,
    check_project,
    check_tags,
    check_type_name,
    check_user_aliases,
)
from holdfast_contract.paths import check_path
from holdfast_contract.reasons import Reason
from holdfast_contract.semantic_versions import check_semantic_version
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.journal.rows import IngestYield, JobRow
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.ingest import Ingest
from holdfast_daemon.pipeline.ingest_folder import SmallFilePacker
from holdfast_daemon.pipeline.job import Job, PendingRecord
from holdfast_daemon.pipeline.jobs import Jobs, is_volatile, now_ms
from holdfast_daemon.spool.pack_writer import PackTarget, PackWriter
from holdfast_daemon.spool.spool import Spool
from holdfast_daemon.workers import Workers
from holdfastpb.daemon.v1.log_pb2 import JOB_STATE_DRAFT, AddBytes, Finalize, Open, Record, RecordBatch

SESSION_ID_CHARS = 32


class Intake:
    """Everything that changes a draft."""

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        workers: Workers,
        ingest: Ingest,
        jobs: Jobs,
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._workers = workers
        self._ingest = ingest
        self._jobs = jobs

    async def open(self, opened: Open) -> Job:
        """Opens a session, or finds the one that was opened before.

        Raises:
            HoldfastError: INVALID_ARGUMENT: not a session id; CANCELLED.
        """
        session_id = opened.session_id
        if len(session_id) != SESSION_ID_CHARS or not all(c in "0123456789abcdef" for c in session_id):
            raise HoldfastError(Reason.INVALID_ARGUMENT, "a session id is 32 lower-case hex characters")
        job = self._jobs.by_id.get(session_id)
        if job is None:
            row = await self._journal.load_job(session_id)
            if row is None:
                row = JobRow(session_id, opened.client_id, opened.SerializeToString(), JOB_STATE_DRAFT, 0, now_ms())
                await self._journal.open_job(row)
                job = self._jobs.by_id.get(session_id)  # another stream may have been faster
                if job is None:
                    job = Job(row, opened)
                    self._jobs.start(job)
            else:
                job = await self._jobs.find(session_id)
        return job

    async def add_batch(self, job: Job, batch: RecordBatch) -> None:
        """Takes a batch of records; returns when they are in the journal.

        Raises:
            HoldfastError: INVALID_ARGUMENT: a gap in the numbers, too many or too large records, or a finalized session.
        """
        payloads, first_seq = self._new_records(job, batch)
        if not payloads:
            return
        job.must_flush = job.must_flush or any(map(is_volatile, payloads))
        stripped = [_without_data(record) for record in payloads]
        inline, errors = await self._store_records(job, first_seq, payloads, stripped)
        for seq, brought in inline.items():
            self._ingest.count(job, brought)
            job.mark_ingested(seq)
        for seq, error in errors.items():
            job.failed_records[seq] = error
            await self._journal.mark_ingested(job.job_id, seq, error.to_detail().SerializeToString())
            job.mark_ingested(seq)
        job.row.acked_seq = first_seq + len(payloads) - 1
        pending = [
            PendingRecord(first_seq + i, payload)
            for i, payload in enumerate(stripped)
            if first_seq + i not in inline and first_seq + i not in errors
        ]
        self._jobs.read(job, pending)
        job.changed()

    async def finalize(self, job: Job, finalize: Finalize) -> None:
        """Makes the draft a job; returns when it is on stable storage.  Repeating changes nothing.

        Raises:
            HoldfastError: INVALID_NAME, INVALID_METADATA; INVALID_ARGUMENT: records are missing.
        """
        if job.finalize is not None:
            return
        if finalize.last_seq != job.row.acked_seq:
            raise HoldfastError(
                Reason.INVALID_ARGUMENT, f"{finalize.last_seq} records were sent, {job.row.acked_seq} have arrived"
            )
        check_finalize(finalize)
        if job.must_flush:
            await self._spool.flush_job(job.job_id)
        encoded = finalize.SerializeToString()
        begin_id, commit_id = job.row.begin_request_id or uuid.uuid4().hex, uuid.uuid4().hex
        stamp = now_ms()
        order = await self._journal.finalize_job(job.job_id, encoded, begin_id, commit_id, stamp)
        row = job.row
        row.finalize, row.finalize_order, row.finalized_at_ms = encoded, order, stamp
        row.begin_request_id, row.commit_request_id = begin_id, commit_id
        job.finalize = finalize
        self._jobs.take_place(job)
        if not job.brings_part or job.is_held:
            job.changed()
            return
        job.is_announcing = True
        job.changed()
        try:
            await self._jobs.leases.announce(job)
        finally:
            job.is_announcing = False
            job.changed()

    def _new_records(self, job: Job, batch: RecordBatch) -> tuple[list[Record], int]:
        """Those records of a batch that are not journalled yet, and the number of the first."""
        if job.has_ended and job.result is not None and job.result.HasField("error"):
            raise HoldfastError.from_detail(job.result.error)
        if len(batch.records) > RECORDS_BATCH_MAX:
            raise HoldfastError(Reason.TOO_LARGE, f"a batch has at most {RECORDS_BATCH_MAX} records")
        expected = job.row.acked_seq + 1
        if batch.first_seq > expected or batch.first_seq < 1:
            raise HoldfastError(Reason.INVALID_ARGUMENT, f"record {expected} is missing before {batch.first_seq}")
        records = list(batch.records)[expected - batch.first_seq :]
        if records and job.finalize is not None:
            raise HoldfastError(Reason.INVALID_ARGUMENT, "the artifact is finalized; make a new draft of it")
        return records, expected

    async def _store_records(
        self, job: Job, first_seq: int, records: Sequence[Record], stripped: Sequence[bytes]
    ) -> tuple[dict[int, IngestYield], dict[int, HoldfastError]]:
        """Journals records, after the bytes of inline ones are in a pack; nobody else is lent that pack in between."""
        inline = [(first_seq + i, r.add_bytes) for i, r in enumerate(records) if r.WhichOneof("what") == "add_bytes"]
        if not inline:
            await self._journal.append_records(job.job_id, first_seq, stripped, {}, job.entity)
            return {}, {}

        async def step() -> tuple[dict[int, IngestYield], dict[int, HoldfastError]]:
            async with self._spool.borrow(job.entity, held=job.is_set_aside, priority=job.priority) as pack:
                brought, errors = await self._workers.in_thread(_pack_inline, inline, self._spool.target(pack))
                await self._journal.append_records(job.job_id, first_seq, stripped, brought, job.entity)
                for one in brought.values():
                    self._spool.adopt(one.fragments, job.entity, job.job_id)
                return brought, errors

        return await self._ingest.with_space(job, step)


def _without_data(record: Record) -> bytes:
    if record.WhichOneof("what") != "add_bytes":
        return record.SerializeToString()
    inline = record.add_bytes
    kept = AddBytes(path=inline.path, overwrite=inline.overwrite, local_path=inline.local_path)
    return Record(add_bytes=kept).SerializeToString()


def _pack_inline(
    inline: list[tuple[int, AddBytes]], target: PackTarget
) -> tuple[dict[int, IngestYield], dict[int, HoldfastError]]:
    """Thread side: hashes and packs bytes that came with their records."""
    brought: dict[int, IngestYield] = {}
    errors: dict[int, HoldfastError] = {}
    with PackWriter(target) as writer:
        packer = SmallFilePacker(writer)
        for seq, record in inline:
            try:
                check_path(record.path)
            except ContractError as error:
                errors[seq] = HoldfastError(error.reason, str(error), path=ascii(record.path))
                continue
            if len(record.data) > INLINE_BYTES_MAX:
                errors[seq] = HoldfastError(Reason.TOO_LARGE, f"{record.path}: too large for an inline record")
                continue
            columns = EntryColumns()
            digest, chunks = packer.pack(record.data)
            columns.add_file(record.path, digest, len(record.data), chunks)
            segments = [columns.to_segment().SerializeToString()]
            size = len(record.data)
            brought[seq] = IngestYield(segments, entries=1, bytes_total=size, bytes_read=size)
        fragments = writer.fragments()
    if brought:
        # The frames of all records become durable with the last of them; one transaction holds them all.
        brought[max(brought)].fragments = fragments
    return brought, errors


def check_finalize(finalize: Finalize) -> None:
    """Refuses what the registry would refuse later, while the caller still listens.

    Raises:
        HoldfastError: INVALID_NAME or INVALID_METADATA.
    """
    try:
        check_entity(finalize.entity)
        check_project(finalize.project)
        check_artifact_name(finalize.collection)
        check_type_name(finalize.type, finalize.collection, internal=True)
        check_user_aliases([alias for alias in finalize.aliases if alias != "latest"])
        check_tags(list(finalize.tags))
        if finalize.semantic_version.exact:
            check_semantic_version(finalize.semantic_version.exact)
        if finalize.incremental and finalize.distributed_id:
            raise HoldfastError(
                Reason.INVALID_ARGUMENT, "an incremental artifact cannot be a part of a distributed version"
            )
        if len(finalize.metadata_json) > METADATA_BYTES_MAX:
            raise HoldfastError(Reason.INVALID_METADATA, f"metadata is at most {METADATA_BYTES_MAX} bytes of JSON")
        decode_metadata(finalize.metadata_json)
    except ContractError as error:
        raise HoldfastError(error.reason, str(error)) from error
