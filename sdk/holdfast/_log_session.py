"""Carries one artifact's records to the daemon, in order, whatever happens to the connection or to the daemon.

Records are numbered from 1.  Each is kept until the daemon has acknowledged it, which means that it is on the daemon's disk:

  1. `append`: numbered and kept here           the daemon dies: sent again to the next one, under the same session id
  2. sent in a batch (1,000 records, 1 MiB or 20 ms)
  3. acknowledged: forgotten here               the daemon dies: the next one has it
  4. ingested: the file may be changed
  5. `finalize` returned: the daemon owns the job; this process may end

Two threads: one of ours takes the answers and reconnects, one of gRPC's takes the messages that `_next_message` makes.  Both are
daemon threads: an interpreter that ends does not wait for them, and need not, since what counts has been acknowledged.
"""

from __future__ import annotations

import copy
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, TypeVar

from google.protobuf.message import Message

from holdfast._daemon_client import backoff_s
from holdfast._rpc_errors import error_from_detail
from holdfast.errors import DaemonStartError, Error, InternalError, UnavailableError
from holdfast_contract.limits import (
    RECORDS_BATCH_BYTES_MAX,
    RECORDS_BATCH_MAX,
    RECORDS_LINGER_S,
    UNACKED_BYTES_MAX,
)
from holdfastpb.daemon.v1 import log_pb2

R = TypeVar("R", bound=Message)

LOG_ARTIFACT = "/holdfast.daemon.v1.LogService/LogArtifact"
CANCEL_ARTIFACT = "/holdfast.daemon.v1.LogService/CancelArtifact"

ATTEMPTS_WITHOUT_PROGRESS_MAX = 8
"""Of the stream: with waits of at most 0.1 … 12.8 s that is about 13 s on average, longer than any restart of a daemon."""

RETRACT_BYTES = 16
"""About the size of the record that takes another one back."""


class SessionTransport(Protocol):
    """What a session needs of the daemon's client."""

    @property
    def records_batch_max(self) -> int:
        """See `DaemonClient.records_batch_max`."""
        ...

    def bidi_stream(self, method: str, requests: Iterator[Message], response_type: type[R]) -> Iterator[R]:
        """See `DaemonClient.bidi_stream`."""
        ...

    def unary(self, method: str, request: Message, response_type: type[R]) -> R:
        """See `DaemonClient.unary`."""
        ...


class _Numbered(NamedTuple):
    seq: int
    record: log_pb2.Record
    size_bytes: int


class LogSession:
    """The stream of one artifact object.  Thread-safe; belongs to the process that made it."""

    def __init__(
        self,
        transport: SessionTransport,
        opening: log_pb2.Open,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Makes a session; nothing is sent before the first record."""
        self.session_id = opening.session_id
        self._transport = transport
        self._opening = opening
        self._monotonic = monotonic
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        # Kept records: those of the running stream's messages, then those that were in none.
        self._sent: deque[_Numbered] = deque()
        self._unsent: deque[_Numbered] = deque()
        self._unsent_bytes = 0
        self._unsent_since = 0.0
        self._kept_bytes = 0
        self._last_seq = 0
        self._acked_seq = 0
        self._ingested_seq = 0
        self._callers_waiting = 0
        # Counts the streams: messages are made for the newest one only.
        self._stream_number = 0
        self._batch_max = RECORDS_BATCH_MAX
        # Copies are raised: a raised one would keep its traceback, and that the artifact, as long as this thread runs.
        self._failures: dict[int, Error] = {}
        self._reported: set[int] = set()
        # Told to their callers and taken back; a new stream may name them once more.
        self._retracted: set[int] = set()
        self._broken: Error | OSError | None = None
        self._finalize: log_pb2.Finalize | None = None
        self._finalize_sent = False
        self._finalized = False
        self._abandoned = False

    # --- for the artifact's callers -----------------------------------------------------------------------------------

    def append(self, record: log_pb2.Record, size_bytes: int) -> int:
        """Takes a record; blocks while 8 MiB are kept that the daemon has not acknowledged.

        Args:
            record: is not changed afterwards.
            size_bytes: about the size of its encoding.

        Returns:
            Its number.

        Raises:
            Error: the daemon cannot be reached, refused the session, or failed an earlier record.
        """
        with self._changed:
            self._raise_trouble()
            self._start_thread()
            if self._kept_bytes + size_bytes > UNACKED_BYTES_MAX:
                self._wait_until(lambda: not self._kept_bytes or self._kept_bytes + size_bytes <= UNACKED_BYTES_MAX)
            self._keep(record, size_bytes)
            return self._last_seq

    def wait_ingested(self, seq: int | None = None) -> None:
        """Returns when record `seq` (default: the last one) and all before it have been read.

        A record `seq` that has failed is taken back before its error is raised: whoever catches that may go on with the draft.

        Raises:
            Error: as `append`; the record's own error when it failed.
        """
        with self._changed:
            upto = self._last_seq if seq is None else seq
            self._start_thread()
            self._wait_until(lambda: self._ingested_seq >= upto or upto in self._failures)
            if seq is not None and seq in self._failures:
                error = self._failures[seq]
                self._retract(seq)
                raise copy.copy(error)
            self._raise_trouble()

    def _retract(self, seq: int) -> None:
        """Takes a failed record back; with the lock held."""
        del self._failures[seq]
        self._retracted.add(seq)
        self._keep(log_pb2.Record(retract=log_pb2.Retract(seq=seq)), RETRACT_BYTES)

    def _keep(self, record: log_pb2.Record, size_bytes: int) -> None:
        """Numbers a record and keeps it until it is acknowledged; with the lock held."""
        self._last_seq += 1
        if not self._unsent:
            self._unsent_since = self._monotonic()
        self._unsent.append(_Numbered(self._last_seq, record, size_bytes))
        self._unsent_bytes += size_bytes
        self._kept_bytes += size_bytes
        # The sender waits for the first one without a limit, later for the batch to fill or its time to run out.
        if len(self._unsent) == 1 or self._batch_is_full():
            self._changed.notify_all()

    def finalize(self, request: log_pb2.Finalize) -> str:
        """Hands the artifact over; on return the daemon will commit it, whatever dies.  May be repeated after an error.

        Returns:
            The job's id.

        Raises:
            Error: a record failed, or the daemon cannot be reached or refused.
        """
        with self._changed:
            if self._failures:
                raise copy.copy(self._failures[min(self._failures)])
            self._raise_trouble()
            if self._finalize is None:
                self._finalize = log_pb2.Finalize()
                self._finalize.CopyFrom(request)
                self._finalize.last_seq = self._last_seq
            self._start_thread()
            self._changed.notify_all()
            self._wait_until(lambda: self._finalized)
        return self.session_id

    @property
    def is_of_this_process(self) -> bool:
        """False in a forked child, which has neither the threads nor the right to go on with the numbers."""
        return self._pid == os.getpid()

    def abandon(self) -> None:
        """Gives the draft up, unless it was finalized: nobody has the artifact any more.  Returns at once."""
        if not self.is_of_this_process:
            return
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        """Waits, with what is kept sent at once; with the lock held."""
        self._callers_waiting += 1
        try:
            while not condition():
                self._raise_broken()
                self._start_thread()
                self._changed.notify_all()
                self._changed.wait()
        finally:
            self._callers_waiting -= 1

    def _raise_trouble(self) -> None:
        """Raises what the caller should know: a lost daemon, or a failed record that nobody was told of."""
        self._raise_broken()
        if not self._failures:
            return
        unreported = self._failures.keys() - self._reported
        if unreported:
            self._reported |= unreported
            raise copy.copy(self._failures[min(unreported)])

    def _raise_broken(self) -> None:
        error = self._broken
        if error is None:
            return
        if isinstance(error, UnavailableError | OSError):
            # Told once, since somebody may do something about it; the next call tries again with what is kept.
            self._broken = None
        raise error

    # --- the thread that takes the answers ----------------------------------------------------------------------------

    def _start_thread(self) -> None:
        if self._thread is None and not self._finalized:
            self._thread = threading.Thread(target=self._run, name="holdfast-log-session", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        ended = False
        try:
            self._stream_until_done()
            ended = True
        finally:
            if not ended:
                self._break(
                    InternalError("The SDK's own thread ended by a defect; its traceback is on standard error.")
                )
        if self._abandoned and self._finalize is None:
            self._cancel_job()

    def _stream_until_done(self) -> None:
        attempt = 0
        while True:
            number = self._begin_stream()
            progress_before = self._progress()
            error = self._stream_once(number)
            attempt = 0 if self._progress() != progress_before else attempt + 1
            if self._end_stream(error, attempt):
                return

    def _stream_once(self, number: int) -> Error | OSError | None:
        try:
            self._batch_max = self._transport.records_batch_max
            responses = self._transport.bidi_stream(LOG_ARTIFACT, self._messages(number), log_pb2.LogArtifactResponse)
            for response in responses:
                self._apply(response)
                if self._finalized:
                    return None
        except (Error, OSError) as error:
            return error
        return None

    def _progress(self) -> tuple[int, int, bool]:
        with self._changed:
            return self._acked_seq, self._ingested_seq, self._finalized

    def _begin_stream(self) -> int:
        """Makes all kept records unsent again."""
        with self._changed:
            self._unsent.extendleft(reversed(self._sent))
            self._sent.clear()
            self._unsent_bytes = self._kept_bytes
            self._finalize_sent = False
            self._stream_number += 1
            return self._stream_number

    def _end_stream(self, error: Error | OSError | None, attempt: int) -> bool:
        """Decides what follows on a stream's end; returns whether the thread ends."""
        with self._changed:
            self._stream_number += 1
            # Lets the sender of the stream that ended go.
            self._changed.notify_all()
            if self._finalized or self._abandoned:
                self._thread = None
                return True
            lasting = error is not None and not _is_passing(error)
            if lasting or attempt >= ATTEMPTS_WITHOUT_PROGRESS_MAX:
                self._break(error or UnavailableError("The Holdfast daemon ends the connection again and again."))
                return True
            if attempt:
                self._changed.wait_for(lambda: self._abandoned, backoff_s(attempt))
            return False

    def _break(self, error: Error | OSError) -> None:
        """Ends the thread's work; the error is for the callers."""
        with self._changed:
            self._broken = error
            self._thread = None
            self._changed.notify_all()

    def _apply(self, response: log_pb2.LogArtifactResponse) -> None:
        with self._changed:
            what = response.WhichOneof("what")
            if what == "opened":
                self._acknowledge(response.opened.acked_seq)
                self._ingested_seq = max(self._ingested_seq, response.opened.ingested_seq)
                self._finalized = self._finalized or response.opened.finalized
            elif what == "acked_seq":
                self._acknowledge(response.acked_seq)
            elif what == "ingested_seq":
                self._ingested_seq = max(self._ingested_seq, response.ingested_seq)
            elif what == "record_failed":
                failed = response.record_failed
                if failed.seq not in self._retracted:
                    self._failures.setdefault(failed.seq, error_from_detail(failed.error))
            elif what == "finalized":
                self._acknowledge(self._last_seq)
                self._finalized = True
            self._changed.notify_all()

    def _acknowledge(self, seq: int) -> None:
        self._acked_seq = max(self._acked_seq, seq)
        for records in (self._sent, self._unsent):
            while records and records[0].seq <= seq:
                record = records.popleft()
                self._kept_bytes -= record.size_bytes
                if records is self._unsent:
                    self._unsent_bytes -= record.size_bytes

    def _cancel_job(self) -> None:
        request = log_pb2.CancelArtifactRequest(job_id=self.session_id)
        try:
            self._transport.unary(CANCEL_ARTIFACT, request, log_pb2.CancelArtifactResponse)
        except (Error, OSError):
            return  # a draft that nobody finalizes expires by itself

    # --- gRPC's thread, which takes the messages ----------------------------------------------------------------------

    def _messages(self, number: int) -> Iterator[log_pb2.LogArtifactRequest]:
        yield log_pb2.LogArtifactRequest(open=self._opening)
        while (message := self._next_message(number)) is not None:
            yield message

    def _next_message(self, number: int) -> log_pb2.LogArtifactRequest | None:
        """Waits for the next batch, or the finalization; None ends the stream."""
        with self._changed:
            while True:
                if number != self._stream_number or self._finalized or self._abandoned:
                    return None
                if self._unsent:
                    wait_s = self._linger_s()
                    if wait_s <= 0:
                        return self._take_batch()
                    self._changed.wait(wait_s)
                elif self._finalize is not None and not self._finalize_sent:
                    self._finalize_sent = True
                    return log_pb2.LogArtifactRequest(finalize=self._finalize)
                else:
                    self._changed.wait()

    def _linger_s(self) -> float:
        """How long a batch that is not full still waits for company; not at all when somebody waits for it."""
        if self._callers_waiting or self._finalize is not None or self._batch_is_full():
            return 0.0
        return self._unsent_since + RECORDS_LINGER_S - self._monotonic()

    def _batch_is_full(self) -> bool:
        return len(self._unsent) >= self._batch_max or self._unsent_bytes >= RECORDS_BATCH_BYTES_MAX

    def _take_batch(self) -> log_pb2.LogArtifactRequest:
        message = log_pb2.LogArtifactRequest()
        message.batch.first_seq = self._unsent[0].seq
        size_bytes = 0
        records: list[log_pb2.Record] = []
        while self._unsent and len(records) < self._batch_max:
            if records and size_bytes + self._unsent[0].size_bytes > RECORDS_BATCH_BYTES_MAX:
                break
            numbered = self._unsent.popleft()
            size_bytes += numbered.size_bytes
            records.append(numbered.record)
            self._sent.append(numbered)
        self._unsent_bytes -= size_bytes
        self._unsent_since = self._monotonic()
        message.batch.records.extend(records)
        return message


def _is_passing(error: Error | OSError) -> bool:
    """Whether the next stream may do better: the daemon died, drains, or was cut off by a fork."""
    return isinstance(error, UnavailableError) and not isinstance(error, DaemonStartError)
