r"""Regular expressions whose time grows with the length of the text and of the pattern, and never faster.

Whoever may filter may write a pattern, and the usual engine goes back and forth over a hostile one for ever.  Here a pattern
becomes a set of states that walks over the text once.  Known: characters, `.`, classes, `\d \w \s` and their opposites, groups, `|`,
`* + ? {m,n}`, `^` and `$`, and `(?i)` at the beginning.  Matching means that the pattern is found anywhere in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache

PATTERN_CHARS_MAX = 256
"""Longer ones are no names of anything."""
STATES_MAX = 4000
"""`(x{50}){50}` is 2,500; each character of a text costs as much at worst."""
REPEAT_MAX = 255
"""As in PostgreSQL."""
GROUPS_DEEP_MAX = 20
"""The parser calls itself for each level."""
SETS_KEPT = 2000
"""State sets of one pattern whose followers are remembered; usually there are a few dozen."""

_CLASS_ESCAPES = frozenset("dDwWsS")
_CONTROL_ESCAPES = frozenset("tnrfv")
_CLASS_TRAPS = ("--", "&&", "~~", "||", "[")
_REPEAT = re.compile(r"\{(\d{1,4})(,?)(\d{0,4})\}")


class PatternError(ValueError):
    """A pattern is malformed, or uses what is not known here; the message says which."""


class _Kind(Enum):
    CHARACTER = auto()
    SPLIT = auto()
    START = auto()
    END = auto()
    MATCH = auto()


@dataclass(slots=True)
class _State:
    kind: _Kind
    follow: list[int] = field(default_factory=list)
    accepts: Callable[[str], object] | None = None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the machine: where it begins, and the states that lead on from it."""

    first: int
    ends: tuple[int, ...]


class Pattern:
    """A pattern that is ready; threads may share it."""

    def __init__(self, states: list[_State], first: int) -> None:
        self._states = states
        self._first = first
        self._followers: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def is_in(self, text: str) -> bool:
        """Tells whether the pattern is found anywhere in a text."""
        current = self._closure([self._first], at_start=True, at_end=not text)
        last = len(text) - 1
        for position, character in enumerate(text):
            if self._has_matched(current):
                return True
            current = self._step(current, character, at_end=position == last)
        return self._has_matched(current)

    def _has_matched(self, current: frozenset[int]) -> bool:
        return 0 in current

    def _step(self, current: frozenset[int], character: str, *, at_end: bool) -> frozenset[int]:
        key = (current, character)
        if not at_end and (known := self._followers.get(key)) is not None:
            return known
        reached = [self._first]
        for number in current:
            state = self._states[number]
            if state.accepts is not None and state.accepts(character):
                reached += state.follow
        followers = self._closure(reached, at_start=False, at_end=at_end)
        if not at_end:
            if len(self._followers) >= SETS_KEPT:
                self._followers.clear()
            self._followers[key] = followers
        return followers

    def _closure(self, reached: Iterable[int], *, at_start: bool, at_end: bool) -> frozenset[int]:
        found: set[int] = set()
        waiting = list(reached)
        while waiting:
            number = waiting.pop()
            if number in found:
                continue
            found.add(number)
            state = self._states[number]
            passes = {_Kind.SPLIT: True, _Kind.START: at_start, _Kind.END: at_end}.get(state.kind, False)
            if passes:
                waiting += state.follow
        return frozenset(found)


@lru_cache(maxsize=64)
def compile_pattern(text: str) -> Pattern:
    """Returns the machine of a pattern.

    Raises:
        PatternError: it is malformed, too long, or uses what is not known.
    """
    if len(text) > PATTERN_CHARS_MAX:
        raise PatternError(f"a pattern has at most {PATTERN_CHARS_MAX} characters, not {len(text)}")
    ignore_case = text.startswith("(?i)")
    parser = _Parser(text[4:] if ignore_case else text, re.IGNORECASE if ignore_case else re.NOFLAG)
    return parser.parse()


class _Parser:
    """Builds the machine from left to right; state 0 is the match."""

    def __init__(self, text: str, flags: re.RegexFlag) -> None:
        self._text = text
        self._flags = flags
        self._at = 0
        self._depth = 0
        self._states = [_State(_Kind.MATCH)]

    def parse(self) -> Pattern:
        piece = self._alternatives()
        if self._at < len(self._text):
            raise PatternError("a `)` has no `(`")
        self._connect(piece, 0)
        return Pattern(self._states, piece.first)

    def _new(self, kind: _Kind, accepts: Callable[[str], object] | None = None) -> int:
        if len(self._states) >= STATES_MAX:
            raise PatternError("the pattern's repetitions make it too large")
        self._states.append(_State(kind, accepts=accepts))
        return len(self._states) - 1

    def _connect(self, piece: _Piece, target: int) -> None:
        for number in piece.ends:
            self._states[number].follow.append(target)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _alternatives(self) -> _Piece:
        branches = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence())
        if len(branches) == 1:
            return branches[0]
        split = self._new(_Kind.SPLIT)
        self._states[split].follow += [branch.first for branch in branches]
        return _Piece(split, tuple(number for branch in branches for number in branch.ends))

    def _sequence(self) -> _Piece:
        start = self._new(_Kind.SPLIT)
        whole = _Piece(start, (start,))
        while self._peek() not in ("", "|", ")"):
            piece = self._repeated()
            self._connect(whole, piece.first)
            whole = _Piece(start, piece.ends)
        return whole

    def _repeated(self) -> _Piece:
        begin = self._at
        piece = self._atom()
        least, most = self._quantifier()
        if (least, most) == (1, 1):
            return piece
        if most == 0:
            return self._nothing()
        after = self._at
        repeated = self._repeat(begin, piece, least, most)
        self._at = after
        return repeated

    def _repeat(self, begin: int, piece: _Piece, least: int, most: int | None) -> _Piece:
        """Strings copies of a piece together; each is built from the text anew, so that none shares states with another."""
        whole, skips = self._nothing(), list[int]()
        first = whole.first
        for count in range(least + 1 if most is None else most):
            if count:
                self._at = begin
                piece = self._atom()
            if count < least:
                self._connect(whole, piece.first)
            else:
                gate = self._new(_Kind.SPLIT)
                self._connect(whole, gate)
                self._states[gate].follow.append(piece.first)
                skips.append(gate)
                if most is None:
                    self._connect(piece, gate)
                    return _Piece(first, (gate,))
            whole = _Piece(first, piece.ends)
        return _Piece(first, (*whole.ends, *skips))

    def _nothing(self) -> _Piece:
        empty = self._new(_Kind.SPLIT)
        return _Piece(empty, (empty,))

    def _quantifier(self) -> tuple[int, int | None]:
        character = self._peek()
        bounds: tuple[int, int | None] = (1, 1)
        if character in ("*", "+", "?"):
            self._at += 1
            bounds = {"*": (0, None), "+": (1, None), "?": (0, 1)}[character]
        elif character == "{":
            bounds = self._bounds()
        else:
            return bounds
        if self._peek() == "?":
            self._at += 1  # how little it takes makes no difference to whether it is found
        if self._peek() and self._peek() in "*+?{":
            raise PatternError("a repetition is repeated; put the inner one into a group")
        return bounds

    def _bounds(self) -> tuple[int, int | None]:
        found = _REPEAT.match(self._text, self._at)
        if found is None:
            raise PatternError("`{` begins a repetition such as {2,5}; write \\{ for the character")
        self._at = found.end()
        least = int(found[1])
        most = int(found[3]) if found[3] else (None if found[2] else least)
        if least > REPEAT_MAX or (most is not None and not least <= most <= REPEAT_MAX):
            raise PatternError(f"the bounds of {found[0]} are in the wrong order or above {REPEAT_MAX}")
        return least, most

    def _atom(self) -> _Piece:
        character = self._peek()
        if character == "(":
            return self._group()
        if character in ("^", "$"):
            self._at += 1
            state = self._new(_Kind.START if character == "^" else _Kind.END)
            return _Piece(state, (state,))
        if character in ("*", "+", "?", "{"):
            raise PatternError(f"`{character}` repeats nothing")
        state = self._new(_Kind.CHARACTER, self._character_test())
        return _Piece(state, (state,))

    def _group(self) -> _Piece:
        self._depth += 1
        if self._depth > GROUPS_DEEP_MAX:
            raise PatternError(f"groups are nested more than {GROUPS_DEEP_MAX} deep")
        self._at += 1
        if self._text.startswith("?", self._at):
            if not self._text.startswith("?:", self._at):
                raise PatternError("of the groups that begin with (? only (?: is known, and (?i) at the very beginning")
            self._at += 2
        piece = self._alternatives()
        if self._peek() != ")":
            raise PatternError("a `(` has no `)`")
        self._at += 1
        self._depth -= 1
        return piece

    def _character_test(self) -> Callable[[str], object]:
        begin = self._at
        character = self._peek()
        if character == "\\":
            self._escape(_CLASS_ESCAPES | _CONTROL_ESCAPES)
        elif character == "[":
            self._class()
        else:
            self._at += 1
        atom = self._text[begin : self._at]
        if character not in ("\\", "[", "."):
            atom = re.escape(atom)
        try:
            # One character at a time: nothing to go back and forth over.
            return re.compile(atom, self._flags | re.DOTALL).fullmatch
        except re.error as error:
            raise PatternError(f"{atom!r}: {error.msg}") from error

    def _escape(self, letters: frozenset[str]) -> None:
        escaped = self._text[self._at + 1 : self._at + 2]
        if not escaped:
            raise PatternError("the pattern ends with a backslash")
        if escaped.isalnum() and escaped not in letters:
            raise PatternError(f"\\{escaped} is not known")
        self._at += 2

    def _class(self) -> None:
        self._at += 1
        if self._peek() == "^":
            self._at += 1
        begin = self._at
        while self._peek() != "]" or self._at == begin:
            if not self._peek():
                raise PatternError("a `[` has no `]`")
            if any(self._text.startswith(trap, self._at) for trap in _CLASS_TRAPS):
                raise PatternError("inside of [ ] write \\[ for the character, and no -- && ~~ ||")
            if self._peek() == "\\":
                self._escape(_CLASS_ESCAPES | _CONTROL_ESCAPES)
            else:
                self._at += 1
        self._at += 1
