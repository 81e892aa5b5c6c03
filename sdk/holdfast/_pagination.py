"""Sequences that are fetched page by page, as W&B's: iterable, indexable, with a cursor, and sized where the registry counts."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Self, TypeVar, overload

from holdfast._comm_errors import normalize_exceptions
from holdfast_contract.limits import PAGE_SIZE_MAX

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """What one request has brought."""

    objects: list[T]
    next_cursor: str | None
    """None: it was the last page."""
    total: int | None = None
    """Objects of the whole query, where the registry counts them."""


class Paginator(ABC, Generic[T]):
    """Fetches its objects when they are needed, and keeps them.  May be shared by threads."""

    def __init__(self, per_page: int = 50, start: str | None = None) -> None:
        """Makes a paginator; nothing is asked yet.

        Args:
            per_page: objects of one request, at least 1; more than 1,000 count as 1,000.
            start: `cursor` of an earlier paginator, to go on from there.

        Raises:
            ValueError: `per_page` is no positive number.
        """
        if not isinstance(per_page, int) or per_page < 1:
            raise ValueError(f"per_page must be a number of at least 1, not {per_page!r}")
        self.per_page = min(per_page, PAGE_SIZE_MAX)
        # Held for a few instructions, never during a request.
        self._lock = threading.Lock()
        self._objects: list[T] = []
        self._last_page: Page[T] | None = None
        self._cursor: str | None = start
        self._walk: Iterator[T] | None = None

    @abstractmethod
    def _fetch(self, cursor: str | None) -> Page[T]:
        """Asks for the page at a cursor; None is the first one.  Refusals reach the user as `CommError`."""

    @property
    def cursor(self) -> str | None:
        """Where the next page begins; None at the end."""
        return self._cursor

    @property
    def more(self) -> bool:
        """Whether there may be another page."""
        return self._last_page is None or self._last_page.next_cursor is not None

    @property
    def length(self) -> int | None:
        """How many objects the query has, or have been fetched where nobody counts; None before the first page."""
        page = self._last_page
        if page is None:
            return None
        return len(self._objects) if page.total is None else page.total

    def convert_objects(self) -> list[T]:
        """Returns the objects of the page that was fetched last."""
        return [] if self._last_page is None else list(self._last_page.objects)

    def _load_page(self) -> bool:
        """Fetches the next page; returns False at the end."""
        with self._lock:
            last, cursor = self._last_page, self._cursor
        if last is not None and last.next_cursor is None:
            return False
        page = normalize_exceptions(self._fetch)(cursor)
        with self._lock:
            # Another thread may have brought the same page meanwhile.
            if self._last_page is last:
                self._objects += page.objects
                self._last_page, self._cursor = page, page.next_cursor
        return True

    def __iter__(self) -> Iterator[T]:
        index = 0
        while True:
            while index >= len(self._objects):
                if not self._load_page():
                    return
            yield self._objects[index]
            index += 1

    def __next__(self) -> T:
        """Returns the object after the one that the last call returned."""
        if self._walk is None:
            self._walk = iter(self)
        return next(self._walk)

    def next(self) -> T:
        """Returns the object after the one that the last call returned.

        Raises:
            StopIteration: there is none.
        """
        return self.__next__()

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        needed = _needed_for(index)
        while (needed is None or len(self._objects) < needed) and self._load_page():
            pass
        return self._objects[index]


class SizedPaginator(Paginator[T]):
    """A paginator of a query whose objects the registry counts."""

    def __len__(self) -> int:
        """Returns how many objects the whole query has, also with `start`; asks for a page when none was fetched."""
        if self._last_page is None:
            self._load_page()
        page = self._last_page
        return 0 if page is None or page.total is None else page.total

    @property
    def length(self) -> int:
        """As `len()`."""
        return len(self)


class ChainedPaginator(Iterator[T]):
    """The objects of several paginators one after another; it can only be iterated, once."""

    def __init__(self, children: Iterator[Paginator[T]]) -> None:
        """Makes the chain; a child is asked for when those before it have ended."""
        self._children = children
        self._objects = (one for child in children for one in child)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        return next(self._objects)

    @property
    def cursor(self) -> str | None:
        """Not known: a chain has no single cursor.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{type(self).__name__} has no cursor: {_ONLY_ITERATED}")

    @property
    def length(self) -> int | None:
        """Not known: a chain is not counted.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{type(self).__name__} has no length: {_ONLY_ITERATED}")

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} has no len(): {_ONLY_ITERATED}")

    def __getitem__(self, index: int | slice) -> T:
        raise TypeError(f"{type(self).__name__} cannot be indexed: {_ONLY_ITERATED}")


_ONLY_ITERATED = "it follows the order of what it was made from; iterate it, or ask without order="


def _needed_for(index: int | slice) -> int | None:
    """Returns how many objects must be there for an index; None: all, since only the end says where to count from."""
    if not isinstance(index, slice):
        return index + 1 if index >= 0 else None
    bounds = (index.start or 0, -1 if index.stop is None else index.stop)
    if min(bounds) < 0 or (index.step or 1) < 0:
        return None
    return int(index.stop)
