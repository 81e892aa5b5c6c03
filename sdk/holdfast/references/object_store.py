"""The one place that talks to `obstore`, which is loaded when the first object of a cloud is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from holdfast.errors import (
    ArtifactError,
    CommError,
    InvalidInputError,
    MissingPackageError,
    PermissionDeniedError,
    ReferenceChangedError,
    ReferenceMissingError,
)
from holdfast.references.network import NetworkLimits

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

LIST_PAGE_OBJECTS = 1000
"""What the stores themselves send at a time."""
MESSAGE_CHARS_MAX = 300
"""Of what a store says, in our messages."""

_first_user_pid: int | None = None


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says of an object."""

    key: str
    size: int
    etag: str | None
    """Without quotes."""
    version: str | None
    """Version, or generation; None where the store keeps none, and in listings."""
    attributes: Mapping[str, str]
    """User metadata and content type; not in listings."""


class ObjectStore:
    """One bucket or container."""

    def __init__(self, open_store: Callable[[], Any], place: str) -> None:
        """Opens a store of obstore's; nobody is asked yet.

        Args:
            open_store: makes it.
            place: its name in messages.

        Raises:
            CommError: its settings cannot be understood.
            MissingPackageError: obstore is not installed.
        """
        self._place = place
        load_obstore(place)
        import obstore

        try:
            self._store = open_store()
        except obstore.exceptions.BaseError as error:
            raise CommError(f"{place} cannot be opened with these settings: {_first_line(error)}") from error

    def head(self, key: str, version: str | None = None) -> ObjectInfo | None:
        """Returns what is known of an object, or None if there is none.

        Raises:
            CommError: the store refuses, or cannot be asked.
        """
        options = {"head": True, **({"version": version} if version else {})}
        try:
            with self._speaking_of(key):
                return _info(self._store.get(key, options=options))
        except ReferenceMissingError:
            return None

    def pages(self, prefix: str) -> Iterator[list[ObjectInfo]]:
        """Yields all objects below a folder, page by page; markers of folders come without their slash.

        Raises:
            CommError: the store refuses, or cannot be asked.
        """
        with self._speaking_of(prefix):
            for page in self._store.list(prefix or None, chunk_size=LIST_PAGE_OBJECTS):
                yield [
                    ObjectInfo(one["path"], one["size"], _unquoted(one["e_tag"]), _version(one["version"]), {})
                    for one in page
                ]

    def read(
        self,
        key: str,
        write: Callable[[bytes], object],
        *,
        version: str | None = None,
        etag: str | None = None,
        span: tuple[int, int] | None = None,
    ) -> ObjectInfo:
        """Streams an object, or a span of it, to `write`.

        Args:
            key: the object.
            write: gets the bytes in order, about 1 MiB at a time.
            version: which version.
            etag: the object must have this one.
            span: first byte, and the one after the last.

        Raises:
            ReferenceMissingError: there is no such object, or not this version of it.
            ReferenceChangedError: it has another ETag.
            CommError: the store refuses, or cannot be asked.
        """
        options: dict[str, Any] = {"version": version} if version else {}
        if etag:
            options["if_match"] = f'"{etag}"'
        if span:
            options["range"] = span
        with self._speaking_of(key):
            result = self._store.get(key, options=options)
            info = _info(result)
            # Not every store minds the condition.
            if etag and info.etag and info.etag != etag:
                raise ReferenceChangedError(f"{key} has the ETag {info.etag} now")
            for data in result.stream(min_chunk_size=1 << 20):
                write(data)
        return info

    @contextmanager
    def _speaking_of(self, key: str) -> Iterator[None]:
        import obstore

        errors = obstore.exceptions
        try:
            yield
        except ArtifactError:
            raise
        except ValueError as error:
            text = f"{self._place}: the key {key!r} cannot be asked for; give the object another one"
            raise InvalidInputError(f"{text}: {_first_line(error)}") from error
        except FileNotFoundError as error:
            raise ReferenceMissingError(f"{self._place}: {_first_line(error)}") from error
        except errors.PreconditionError as error:
            raise ReferenceChangedError(f"{self._place}: {_first_line(error)}") from error
        except (errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
            text = f"{self._place} does not let us at {key!r}; check the credentials (docs/references.md lists the settings)"
            raise PermissionDeniedError(f"{text}: {_first_line(error)}") from error
        except errors.BaseError as error:
            text = f"{self._place} cannot be asked for {key!r}; check its name, the endpoint, the region and the credentials"
            raise CommError(f"{text}: {_first_line(error)}") from error


def load_obstore(purpose: str) -> None:
    """Loads the package, or says how to get it.

    Raises:
        MissingPackageError: it is not installed.
        CommError: this process was forked from one that has used it, and would hang.
    """
    global _first_user_pid
    if _first_user_pid not in (None, os.getpid()):
        raise CommError(
            f"{purpose}: this process was forked from one that has used cloud references, which cannot work here;"
            " start it with the multiprocessing method 'spawn' or 'forkserver'."
        )
    try:
        import obstore.store  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(f"{purpose} needs obstore: pip install 'holdfast[references]'") from error
    _first_user_pid = os.getpid()


def client_options(limits: NetworkLimits, *, allow_http: bool) -> ClientConfig:
    """Returns obstore's form of the limits of one request."""
    return {
        "allow_http": allow_http,
        "connect_timeout": timedelta(seconds=limits.connect_timeout_s),
        "read_timeout": timedelta(seconds=limits.read_timeout_s),
        "timeout": timedelta(seconds=limits.request_timeout_s),
        "user_agent": "holdfast",
    }


def retry_config(limits: NetworkLimits) -> RetryConfig:
    """Returns obstore's form of the limits of repetition."""
    return {
        "max_retries": limits.retries_max,
        "retry_timeout": timedelta(seconds=limits.retry_total_s),
        "backoff": {
            "init_backoff": timedelta(milliseconds=100),
            "max_backoff": timedelta(seconds=limits.retry_delay_max_s),
            "base": 2,
        },
    }


def _info(result: Any) -> ObjectInfo:
    meta = result.meta
    return ObjectInfo(
        meta["path"], meta["size"], _unquoted(meta["e_tag"]), _version(meta["version"]), dict(result.attributes)
    )


def _unquoted(etag: str | None) -> str | None:
    return etag.strip('"') if etag else None


def _version(version: str | None) -> str | None:
    # "null": an object of S3 from before its bucket kept versions.
    return None if version in (None, "", "null") else version


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).partition("\n\nDebug source")[0].split())[:MESSAGE_CHARS_MAX]
