"""Patterns as in .gitignore: which files of a tree, or entries of a version, are meant.

The syntax is pathspec's; which pattern decides follows git: the last one that matches a path itself, a deeper ignore file before a
higher one, and nothing below an excluded folder can come back.  pathspec lets a pattern match all below what it names, too, so each
line is compiled such that it can match nothing but the path.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from pathspec import GitIgnoreSpec
from pathspec.pattern import Pattern

from holdfast_contract.limits import KIB

IGNORE_FILE = ".artifactignore"
IGNORE_FILE_BYTES_MAX = 64 * KIB
"""A thousand patterns; each is tried on each file below."""
FOLDERS_REMEMBERED_MAX = 100_000
"""Of an entry filter, about 10 MiB; looking at a folder's ancestors again costs little."""
_END = "\x01"
"""No path of an artifact has it, and no name on a disk that can be added."""


@dataclass(frozen=True, slots=True)
class TreeFilter:
    """What of a tree is wanted, on its way to the workers."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    ignore_symlinks: bool = False


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """An ignore file that was found on the way down."""

    folder: str
    """Below the root; "" for the root."""
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: Pattern
    names_only: bool
    """The pattern is tried on the last component; else on the whole path, with `_END` as a component behind it."""
    folders_only: bool
    positive: bool

    def matches(self, path: str) -> bool:
        tried = path.rpartition("/")[2] if self.names_only else f"{path}/{_END}"
        return self.pattern.match_file(tried) is not None


class Patterns:
    """A list of patterns; make it with `compile_patterns`."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Compiles the lines; comments and lines that git ignores are dropped."""
        self._rules = [rule for rule in map(_compile, reversed(lines)) if rule is not None]

    def decide(self, path: str, *, is_folder: bool) -> bool | None:
        """What the last pattern that matches says: True, False if it is negated; None: no pattern matches."""
        for rule in self._rules:
            if (is_folder or not rule.folders_only) and rule.matches(path):
                return rule.positive
        return None


@lru_cache(maxsize=256)
def compile_patterns(lines: tuple[str, ...]) -> Patterns:
    """Compiles a list of patterns once a process."""
    return Patterns(lines)


def _compile(line: str) -> _Rule | None:
    line = line.removesuffix("\n").removesuffix("\r")
    while line.endswith(" ") and not _ends_escaped(line, " "):
        line = line[:-1]
    positive = not line.startswith("!")
    body = line if positive else line[1:]
    if not body or line.startswith("#"):
        return None
    folders_only = body.endswith("/")
    body = body.removesuffix("/")
    if not body or _ends_escaped(body + "\0", "\0"):
        return None  # git, too, lets a backslash without a character match nothing
    names_only = "/" not in body
    if not names_only:
        body = (body + "/*" if body.endswith("/**") else body) + "/" + _END
    elif body[0] in "#!":
        body = "\\" + body
    found = [pattern for pattern in GitIgnoreSpec.from_lines([body]).patterns if pattern.include is not None]
    return _Rule(found[0], names_only, folders_only, positive) if found else None


def _ends_escaped(text: str, last: str) -> bool:
    """Whether the last character has an odd number of backslashes before it."""
    before = text.removesuffix(last)
    return bool((len(before) - len(before.rstrip("\\"))) % 2)


def read_lines(data: bytes) -> tuple[str, ...]:
    """The lines of an ignore file."""
    return tuple(data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n"))


class FolderRules:
    """What is wanted of one folder of a tree, none of whose own parents is excluded."""

    def __init__(self, wanted: TreeFilter, ignore_files: Sequence[IgnoreFile], *, is_included: bool) -> None:
        """Takes the ignore files from the root down to the folder's own.

        Args:
            wanted: the patterns of the tree.
            ignore_files: in this order, the deepest last.
            is_included: whether the `include` patterns have chosen the folder or one above it.
        """
        self._include = compile_patterns(wanted.include) if wanted.include else None
        self._exclude = compile_patterns(wanted.exclude) if wanted.exclude else None
        self._ignores = [(file.folder, compile_patterns(file.lines)) for file in reversed(ignore_files)]
        self._is_included = is_included

    def leaves_out(self, path: str, *, is_folder: bool) -> bool:
        """Whether a file, or a folder with all that is in it, is excluded."""
        if self._exclude is not None and self._exclude.decide(path, is_folder=is_folder):
            return True
        for folder, patterns in self._ignores:
            decision = patterns.decide(path[len(folder) + 1 :] if folder else path, is_folder=is_folder)
            if decision is not None:
                return decision
        return False

    def includes(self, path: str, *, is_folder: bool) -> bool:
        """Whether the `include` patterns choose it, or have chosen a folder above it and say nothing of it."""
        if self._include is None:
            return True
        decision = self._include.decide(path, is_folder=is_folder)
        return self._is_included if decision is None else decision


@dataclass(slots=True)
class EntryFilter:
    """Chooses entries of a version by their paths."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    _folders: dict[str, FolderRules | None] = field(default_factory=dict)
    """Rules for the content of the folders met last; None: excluded."""

    @property
    def is_open(self) -> bool:
        """Whether everything passes."""
        return not (self.include or self.exclude)

    def admits(self, path: str) -> bool:
        """Whether an entry is wanted."""
        rules = self._rules_of(path.rpartition("/")[0])
        return (
            rules is not None and rules.includes(path, is_folder=False) and not rules.leaves_out(path, is_folder=False)
        )

    def _rules_of(self, folder: str) -> FolderRules | None:
        if folder in self._folders:
            return self._folders[folder]
        wanted = TreeFilter(self.include, self.exclude)
        if not folder:
            rules: FolderRules | None = FolderRules(wanted, (), is_included=False)
        else:
            above = self._rules_of(folder.rpartition("/")[0])
            rules = None
            if above is not None and not above.leaves_out(folder, is_folder=True):
                rules = FolderRules(wanted, (), is_included=above.includes(folder, is_folder=True))
        if len(self._folders) >= FOLDERS_REMEMBERED_MAX:
            self._folders.clear()
        self._folders[folder] = rules
        return rules
