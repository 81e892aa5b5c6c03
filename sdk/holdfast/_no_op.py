"""What methods of a disabled run return where there is nothing to return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class NoOp:
    """Takes every call, attribute and item, and answers with itself; is false and empty."""

    def __call__(self, *arguments: Any, **more: Any) -> NoOp:
        return self

    def __getattr__(self, name: str) -> NoOp:
        if name.startswith("__"):  # pickle, copy and the like ask for what is not there
            raise AttributeError(name)
        return self

    def __getitem__(self, key: object) -> NoOp:
        return self

    def __iter__(self) -> Iterator[NoOp]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __enter__(self) -> NoOp:
        return self

    def __exit__(self, *error: object) -> None:
        """Does nothing."""

    def __repr__(self) -> str:
        return "<nothing, since the run is disabled>"
