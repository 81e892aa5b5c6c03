"""Whether what several clients were answered could have come from one registry that did one thing after another.

All orders are tried that agree with the times at which calls began and ended; histories of up to some forty operations take no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

State = tuple[tuple[str, frozenset[str]], ...]
"""Of each version: its etag (`!x`: any other than x) and its aliases."""
ANY = "!"
"""An etag of which nothing is known."""


class Step(Protocol):
    """What was done and answered."""

    def after(self, state: State) -> State | None:
        """The state afterwards; None: in this state it would have been answered otherwise."""


@dataclass(frozen=True)
class Seen:
    """A version was read."""

    version: int
    etag: str
    aliases: frozenset[str]

    def after(self, state: State) -> State | None:
        etag, aliases = state[self.version]
        known = self.etag != etag[1:] if etag.startswith(ANY) else self.etag == etag
        if aliases != self.aliases or not known:
            return None
        return _with(state, self.version, self.etag, aliases)


@dataclass(frozen=True)
class Moved:
    """Aliases were given to a version, which had `expected` as its etag (empty: whatever it had), and was answered as it is then."""

    version: int
    added: frozenset[str]
    expected: str
    answer: Seen

    def after(self, state: State) -> State | None:
        etag, aliases = state[self.version]
        if self.expected and etag != self.expected:
            return None
        taken = tuple((_other(old), held - self.added) if held & self.added else (old, held) for old, held in state)
        return self.answer.after(_with(taken, self.version, ANY, aliases | self.added))


@dataclass(frozen=True)
class Refused:
    """Nothing was done, since the version had another etag."""

    version: int
    expected: str

    def after(self, state: State) -> State | None:
        return None if state[self.version][0] == self.expected else state


@dataclass(frozen=True)
class Operation:
    """A step with the times between which it must have happened."""

    start_s: float
    end_s: float
    step: Step


def is_linearizable(initial: State, history: Sequence[Operation]) -> bool:
    """Whether some order explains all answers."""
    dead_ends: set[tuple[int, State]] = set()

    def explain(done: int, state: State) -> bool:
        if done == (1 << len(history)) - 1:
            return True
        if (done, state) in dead_ends:
            return False
        left = [at for at in range(len(history)) if not done >> at & 1]
        first_end_s = min(history[at].end_s for at in left)
        for at in left:
            if history[at].start_s > first_end_s:
                continue  # another one had ended before it began
            following = history[at].step.after(state)
            if following is not None and explain(done | 1 << at, following):
                return True
        dead_ends.add((done, state))
        return False

    return explain(0, initial)


def _other(etag: str) -> str:
    return etag if etag.startswith(ANY) else ANY + etag


def _with(state: State, version: int, etag: str, aliases: frozenset[str]) -> State:
    return (*state[:version], (etag, aliases), *state[version + 1 :])
