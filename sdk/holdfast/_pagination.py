"""Sequences that are fetched page by page, as W&B's: iterable, indexable, with a length and a cursor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Generic, TypeVar, overload

T = TypeVar("T")


class Paginator(ABC, Generic[T]):
    """Fetches its objects when they are needed, and keeps them."""

    def __init__(self, per_page: int = 50, start: str | None = None) -> None:
        """Makes a paginator.

        Args:
            per_page: objects of one request, from 1 to 1,000.
            start: `cursor` of an earlier paginator, to go on from there.

        Raises:
            ValueError: `per_page` is not positive.
        """
        if per_page < 1:
            raise ValueError(f"per_page must be at least 1, not {per_page}")
        self.per_page = per_page
        self._objects: list[T] = []
        self._cursor: str | None = start
        self._is_complete = False

    @abstractmethod
    def _fetch(self, cursor: str | None) -> tuple[list[T], str | None]:
        """Returns one page, and the cursor of the next one or None."""

    @property
    def cursor(self) -> str | None:
        """Where the next page begins; None at the end."""
        return self._cursor

    @property
    def more(self) -> bool:
        """Whether there may be another page."""
        return not self._is_complete

    def _load_page(self) -> bool:
        if self._is_complete:
            return False
        objects, self._cursor = self._fetch(self._cursor)
        self._objects += objects
        self._is_complete = self._cursor is None
        return True

    def __iter__(self) -> Iterator[T]:
        index = 0
        while True:
            while index >= len(self._objects):
                if not self._load_page():
                    return
            yield self._objects[index]
            index += 1

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        stop = index.stop if isinstance(index, slice) else index + 1
        # Only the end says where to count backwards from.
        everything = stop is None or stop <= 0
        while (everything or len(self._objects) < stop) and self._load_page():
            pass
        return self._objects[index]

    def __len__(self) -> int:
        while self._load_page():
            pass
        return len(self._objects)
