"""Asks the daemon to put a version's files below a folder, to compare them, or to read a part of one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from holdfast._daemon_client import ATTEMPTS_MAX, backoff_s
from holdfast._rpc_errors import may_repeat
from holdfast._warn_user import warn_user
from holdfast.errors import Error
from holdfastpb.daemon.v1 import fetch_pb2

if TYPE_CHECKING:
    from holdfast._daemon_client import DaemonClient

R = TypeVar("R", bound=Message)

_SERVICE = "/holdfast.daemon.v1.FetchService/"


class Fetcher:
    """Reads committed versions through the daemon."""

    def __init__(self, daemon: DaemonClient) -> None:
        """Makes a fetcher; nothing is asked yet."""
        self._daemon = daemon

    def download(  # noqa: PLR0913 - the fields of the request
        self,
        version_id: str,
        root: str,
        *,
        path_prefix: str = "",
        paths: Sequence[str] = (),
        exact: bool = False,
        allow_missing_references: bool = False,
        skip_cache: bool = False,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        overwrite: fetch_pb2.OverwritePolicy = fetch_pb2.OVERWRITE_POLICY_REPLACE,
    ) -> list[str]:
        """Puts files in place; see `FetchService.Download`.

        Returns:
            Paths of the references that the daemon cannot resolve.

        Raises:
            Error: a file cannot be had or written; those before it are in place.
        """
        request = fetch_pb2.DownloadRequest(
            version_id=version_id,
            root=os.fsencode(root),
            path_prefix=path_prefix,
            paths=paths,
            exact=exact,
            allow_missing_references=allow_missing_references,
            skip_cache=skip_cache,
            include=include,
            exclude=exclude,
            overwrite=overwrite,
        )
        return list(self.run(request).unresolved_references)

    def run(
        self, request: fetch_pb2.DownloadRequest, progress: Callable[[fetch_pb2.DownloadResponse], None] | None = None
    ) -> fetch_pb2.DownloadResponse:
        """Puts files in place as `download`; returns all that the daemon has to say of it in the end.

        Args:
            request: what is wanted.
            progress: called with each message, twice a second or more.
        """
        last = self._last(lambda: self._stream("Download", request, fetch_pb2.DownloadResponse), progress)
        for warning in last.warnings:
            warn_user(warning)
        return last

    def verify(self, version_id: str, root: str) -> fetch_pb2.VerifyResponse:
        """Compares a folder with a version; see `FetchService.Verify`."""
        request = fetch_pb2.VerifyRequest(version_id=version_id, root=os.fsencode(root))
        return self._last(lambda: self._stream("Verify", request, fetch_pb2.VerifyResponse))

    def read_small(self, version_id: str, paths: Sequence[str]) -> dict[str, bytes]:
        """Returns the contents of small files by their paths; see `FetchService.ReadEntries`.  Asked once: it may be done without."""
        request = fetch_pb2.ReadEntriesRequest(version_id=version_id, paths=paths)
        messages = self._stream("ReadEntries", request, fetch_pb2.ReadEntriesResponse)
        return {paths[entry.number]: entry.data for message in messages for entry in message.entries}

    def _stream(self, method: str, request: Message, response_type: type[R]) -> Iterator[R]:
        return self._daemon.server_stream(_SERVICE + method, request, response_type)

    def _last(self, start: Callable[[], Iterator[R]], progress: Callable[[R], None] | None = None) -> R:
        """Follows a stream to its last message; begins it again when the daemon was replaced (all of them are idempotent)."""
        lost = 0
        while True:
            last: R | None = None
            try:
                for message in start():
                    last = message
                    lost = 0
                    if progress is not None:
                        progress(message)
            except Error as error:
                lost += 1
                if lost >= ATTEMPTS_MAX or not may_repeat(error, fetch_pb2.VerifyRequest()):
                    raise
                self._daemon.pause(backoff_s(lost))
                continue
            assert last is not None, "the service promises a last message with `done`"
            return last
