"""The grammar of paths inside an artifact: one function for intake, commit and download, on every system.

Two verdicts, judged under POSIX and Windows rules wherever the code runs:
  unsafe       refused always; writing such a path could leave the target folder or hit another entry
  unportable   stored as it is, warned about, refused only where the target system cannot hold it
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from itertools import repeat
from pathlib import PurePath

from holdfast_contract.errors import ManifestPathError
from holdfast_contract.limits import COMPONENT_BYTES_MAX, PATH_BYTES_MAX, PATH_DEPTH_MAX

PROBLEMS_SHOWN_MAX = 20
"""A warning with more lines than this is not read."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile("[A-Za-z]:")

# The same rules for paths joined by line feeds, safe as separators because no path may contain one.
_FORBIDDEN_BYTES = bytes([*range(0x0A), *range(0x0B, 0x20), 0x7F]) + b"\\"
_C1_BYTES = re.compile(rb"\xc2[\x80-\x9f]")
_DRIVE_BYTES = re.compile(rb"\n[A-Za-z]:")
_EMPTY_COMPONENTS = (b"\n/", b"/\n", b"//", b"\n\n")
# Looked for only after their first two bytes were found: names that begin with a dot are rare.
_DOT_COMPONENTS = {
    b"\n.": (b"\n./", b"\n../", b"\n.\n", b"\n..\n"),
    b"/.": (b"/./", b"/../", b"/.\n", b"/..\n"),
}

_WINDOWS_FORBIDDEN = '<>:"|?*'
_DEVICES = r"(?i:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]) *"
_RESERVED = re.compile(_DEVICES + r"(?:\..*)?", re.DOTALL)
_RESERVED_JOINED = re.compile(r"[/\n]" + _DEVICES + r"[./\n]")
_ENDS = ("./", " /", ".\n", " \n")
_BLOCK_PATHS = 1024


def _refusal(path: str, why: str) -> ManifestPathError:
    return ManifestPathError(f"Invalid artifact path: {path!r:.300} {why}; give the entry another name.")


def check_path(path: str) -> None:
    """Refuses a path that is unsafe on some operating system.

    Raises:
        ManifestPathError: names the path and the rule.
    """
    why = _unsafe(path)
    if why is not None:
        raise _refusal(path, why)


def _unsafe(path: str) -> str | None:
    if not isinstance(path, str):
        return "is not text"
    if not path:
        return "is empty"
    try:
        size_bytes = len(path.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if size_bytes > PATH_BYTES_MAX:
        return f"is longer than {PATH_BYTES_MAX} bytes"
    if _CONTROL.search(path):
        return "contains a control character"
    if "\\" in path:
        return "contains a backslash"
    if path[0] == "/":
        return "is absolute"
    if _DRIVE.match(path):
        return "begins with a drive letter"
    return _unsafe_components(path.split("/"))


def _unsafe_components(components: list[str]) -> str | None:
    if len(components) > PATH_DEPTH_MAX:
        return f"is deeper than {PATH_DEPTH_MAX} levels"
    for component in components:
        if component in ("", ".", ".."):
            return f"has the component {component!r}"
        if len(component.encode()) > COMPONENT_BYTES_MAX:
            return f"has a component longer than {COMPONENT_BYTES_MAX} bytes"
    return None


def check_paths(paths: Sequence[str]) -> None:
    """Refuses the first unsafe path of many; equal to `check_path` for each, at a third of the cost.

    Raises:
        ManifestPathError: names the path and the rule.
    """
    if paths and not _all_surely_safe(paths):
        for path in paths:
            check_path(path)


def _all_surely_safe(paths: Sequence[str]) -> bool:
    try:
        framed = b"\n" + "\n".join(paths).encode() + b"\n"
    except (TypeError, UnicodeEncodeError):
        return False
    if framed.count(b"\n") != len(paths) + 1 or len(framed.translate(None, _FORBIDDEN_BYTES)) != len(framed):
        return False
    if any(needle in framed for needle in _EMPTY_COMPONENTS) or _has_dot_component(framed):
        return False
    if not framed.isascii() and _C1_BYTES.search(framed):
        return False
    if b":" in framed and _DRIVE_BYTES.search(framed):
        return False
    return _lengths_are_safe(paths, framed)


def _has_dot_component(framed: bytes) -> bool:
    found = [needles for start, needles in _DOT_COMPONENTS.items() if start in framed]
    return any(needle in framed for needles in found for needle in needles)


def _lengths_are_safe(paths: Sequence[str], framed: bytes) -> bool:
    sizes = map(len, paths) if framed.isascii() else map(len, framed[1:-1].split(b"\n"))
    longest = max(sizes)
    if longest > PATH_BYTES_MAX:
        return False
    # Components of one byte and their slashes: n levels need at least 2n-1 bytes.
    if longest > 2 * PATH_DEPTH_MAX and max(map(str.count, paths, repeat("/"))) >= PATH_DEPTH_MAX:
        return False
    if longest <= COMPONENT_BYTES_MAX:
        return True
    return max(map(len, framed.replace(b"\n", b"/").split(b"/"))) <= COMPONENT_BYTES_MAX


def logical_path(name: str | os.PathLike[str]) -> str:
    """Returns the path inside the artifact for what a user gave as a name.

    Backslashes of a Windows path object become slashes; one leading "./" and one trailing "/" are dropped.

    Raises:
        ManifestPathError: what remains is unsafe.
    """
    path = name.as_posix() if isinstance(name, PurePath) else os.fspath(name)
    if isinstance(path, str):
        path = path.removeprefix("./").removesuffix("/")
    check_path(path)
    return path


def portability_problem(path: str) -> str | None:
    """Returns why some operating system cannot hold a safe path, or None."""
    for character in _WINDOWS_FORBIDDEN:
        if character in path:
            return f"contains {character!r}"
    for component in path.split("/"):
        if component.endswith((".", " ")):
            return f"has the component {component!r:.100}, which ends in a dot or a space"
        if _RESERVED.fullmatch(component):
            return f"has the component {component!r:.100}, which Windows reserves for a device"
    return None


def _may_be_unportable(paths: Sequence[str]) -> bool:
    framed = "\n" + "\n".join(paths) + "\n"
    return (
        any(character in framed for character in _WINDOWS_FORBIDDEN)
        or any(end in framed for end in _ENDS)
        or _RESERVED_JOINED.search(framed) is not None
    )


def portability_problems(paths: Sequence[str]) -> list[tuple[str, str]]:
    """Returns the first 20 paths that some operating system cannot hold, each with the reason."""
    problems: list[tuple[str, str]] = []
    for start in range(0, len(paths), _BLOCK_PATHS):
        block = paths[start : start + _BLOCK_PATHS]
        if not _may_be_unportable(block):
            continue
        for path in block:
            problem = portability_problem(path)
            if problem is not None:
                problems.append((path, problem))
                if len(problems) == PROBLEMS_SHOWN_MAX:
                    return problems
    return problems


def _folded(path: str) -> str:
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def case_collisions(paths: Sequence[str]) -> list[tuple[str, str]]:
    """Returns the first 20 pairs of paths that are one name where case or composition does not count.

    A pair is two such entries, or an entry and one below a folder of its name. All paths are needed at once.
    """
    if not paths:
        return []
    folded = "\n".join(paths).lower().split("\n") if "".join(paths).isascii() else list(map(_folded, paths))
    first_by_name: dict[str, str] = dict(zip(reversed(folded), reversed(paths), strict=True))
    pairs = []
    if len(first_by_name) < len(folded):
        firsts = map(first_by_name.__getitem__, folded)
        pairs = [(first, path) for first, path in zip(firsts, paths, strict=True) if first != path]
    if len(pairs) < PROBLEMS_SHOWN_MAX:
        pairs.extend(_folder_collisions(folded, paths, first_by_name))
    return pairs[:PROBLEMS_SHOWN_MAX]


def _folder_collisions(
    folded: Sequence[str], paths: Sequence[str], first_by_name: dict[str, str]
) -> list[tuple[str, str]]:
    folders = [name.rpartition("/")[0] for name in folded]
    below = dict(zip(reversed(folders), reversed(paths), strict=True))
    below.pop("", None)
    pairs = []
    seen: set[str] = set()
    for folder, path in below.items():
        while folder and folder not in seen:
            seen.add(folder)
            if folder in first_by_name:
                pairs.append((first_by_name[folder], path))
            folder = folder.rpartition("/")[0]
    return pairs
