"""Surrounds what users wait for with a span when traces are wanted; costs next to nothing otherwise."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from holdfast._process import this_process

_NOTHING: AbstractContextManager[None] = nullcontext()


def span(name: str, **attributes: str) -> AbstractContextManager[None]:
    """Returns what surrounds one operation.

    Args:
        name: of the span.
        attributes: what it was done to.
    """
    tracer = this_process().tracer
    return tracer.span(name, **attributes) if tracer is not None else _NOTHING
