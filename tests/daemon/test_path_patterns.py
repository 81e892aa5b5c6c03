"""Patterns choose what git would choose; over a version's entries they choose what they choose in a tree."""

import itertools
import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from holdfast_contract.paths import check_path
from holdfast_daemon.pipeline.ingest_folder import FolderSlice, FolderTask, ingest_folders
from holdfast_daemon.pipeline.path_patterns import IGNORE_FILE, EntryFilter, TreeFilter, compile_patterns
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment
from support.figures import figure
from support.trees import write_tree

# Git takes a name for bytes, so that a "?" matches half of a character; here each name has more than "?" could match.
NAMES = ["a", "b", "ab", "a.txt", "b.txt", "c d", "[x]", "éa", "#h", "!n", "x~"]
PIECES = ["a", "b", "ab", "*", "**", "?", "*.txt", "a*", "[ab]", "[!a]*", "c d", r"\[x\]", "éa", "[a-b]b", "x~", "*b*"]
LINES = ["", "# comment", "   ", r"\#h", r"\!n", "a ", "a\\ ", "*.txt\r", "/", "!", "!*.txt", "!/a/", "[", "a\\"]


def walked(root: Path, wanted: TreeFilter) -> set[str]:
    """Paths that a walk over the tree finds, folder by folder as the daemon hands them out."""
    found: set[str] = set()
    queue = [FolderSlice("")]
    while queue:
        task = FolderTask(os.fsencode(root), "", queue, None, wanted=wanted)
        result = ingest_folders(task)
        assert not result.problems, result.problem
        for encoded in result.brought.segments:
            found.update(ManifestSegment.FromString(encoded).paths)
        queue = result.folders
    return found


def unignored_by_git(root: Path, paths: Sequence[str], excluded: Sequence[str]) -> set[str]:
    """What git would not ignore; ignore files carry git's name for it."""
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    git = ["git", "-C", str(root), "-c", "core.ignoreCase=false", "-c", "core.precomposeUnicode=false"]
    subprocess.run([*git, "init", "-q"], check=True, env=environ)
    (root / ".git" / "info").mkdir(exist_ok=True)
    (root / ".git" / "info" / "exclude").write_text("\n".join(excluded), encoding="utf-8")
    said = subprocess.run(
        [*git, "check-ignore", "-z", "--stdin", "--no-index"],
        input="\0".join(paths).encode(),
        stdout=subprocess.PIPE,
        env=environ,
        check=False,
    )
    assert said.returncode in (0, 1)
    return set(paths) - set(said.stdout.decode().split("\0"))


def random_line(rng: random.Random) -> str:
    if rng.random() < 0.1:
        return rng.choice(LINES)
    body = "/".join(rng.choice(PIECES) for _ in range(rng.choice([1, 1, 1, 2, 2, 3])))
    return rng.choice(["", "", "!"]) + rng.choice(["", "", "/"]) + body + rng.choice(["", "", "/"])


def random_tree(rng: random.Random) -> dict[str, bytes]:
    files = {}
    for _ in range(40):
        path = "/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 4)))
        above = list(itertools.accumulate(path.split("/"), lambda one, other: f"{one}/{other}"))
        if not any(part in files for part in above) and not any(known.startswith(path + "/") for known in files):
            check_path(path)
            files[path] = path.encode()
    return files


def folders_of(files: dict[str, bytes]) -> Iterator[str]:
    yield ""
    yield from sorted({path[:at] for path in files for at, char in enumerate(path) if char == "/"})


@pytest.mark.parametrize("seed", range(figure(40, 1000)))
def test_a_walk_finds_what_git_does_not_ignore(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    files = random_tree(rng)
    ours, gits = write_tree(tmp_path / "ours", files), write_tree(tmp_path / "git", files)
    for folder in folders_of(files):
        if rng.random() < (0.8 if not folder else 0.3):
            lines = "\n".join(random_line(rng) for _ in range(rng.randint(1, 5)))
            (ours / folder / IGNORE_FILE).write_text(lines, encoding="utf-8")
            (gits / folder / ".gitignore").write_text(lines, encoding="utf-8")
    assert walked(ours, TreeFilter()) == unignored_by_git(gits, list(files), [])


@pytest.mark.parametrize("seed", range(figure(40, 1000)))
def test_exclude_and_a_download_choose_what_git_does_not_exclude(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed + 10_000)
    files = random_tree(rng)
    lines = tuple(random_line(rng) for _ in range(rng.randint(1, 5)))
    root = write_tree(tmp_path / "in", files)
    expected = unignored_by_git(write_tree(tmp_path / "git", files), list(files), lines)
    assert walked(root, TreeFilter(exclude=lines)) == expected
    entries = EntryFilter(exclude=lines)
    assert {path for path in files if entries.admits(path)} == expected


@pytest.mark.parametrize("seed", range(figure(20, 200)))
def test_a_tree_and_a_version_agree_on_include_and_exclude(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed + 20_000)
    files = random_tree(rng)
    include = tuple(random_line(rng) for _ in range(rng.randint(1, 4)))
    exclude = tuple(random_line(rng) for _ in range(rng.randint(0, 3)))
    entries = EntryFilter(include, exclude)
    root = write_tree(tmp_path / "in", files)
    assert walked(root, TreeFilter(include, exclude)) == {path for path in files if entries.admits(path)}


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.txt"], [], {"a.txt", "d/b.txt", "d/e/c.txt"}),
        (["d/"], [], {"d/b.txt", "d/e/c.txt", "d/e/c.bin"}),
        (["d/", "!*.bin"], [], {"d/b.txt", "d/e/c.txt"}),
        (["/*.txt"], [], {"a.txt"}),
        (["*.txt"], ["d/e/"], {"a.txt", "d/b.txt"}),
        ([], ["*", "!*.txt"], {"a.txt"}),
        ([], ["d/*", "!d/e/"], {"a.txt", "x", "d/e/c.txt", "d/e/c.bin"}),
        ([], ["d/**", "!d/b.txt"], {"a.txt", "x", "d/b.txt"}),
        (["nothing"], [], set()),
    ],
)
def test_include_and_exclude(include: list[str], exclude: list[str], expected: set[str]) -> None:
    paths = ["a.txt", "x", "d/b.txt", "d/e/c.txt", "d/e/c.bin"]
    entries = EntryFilter(tuple(include), tuple(exclude))
    assert {path for path in paths if entries.admits(path)} == expected


def test_an_excluded_folder_is_not_entered(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "in", {"keep/a": b"a", "drop/b": b"b", "keep/drop/c": b"c"})
    result = ingest_folders(
        FolderTask(os.fsencode(root), "", [FolderSlice("")], None, wanted=TreeFilter(exclude=("drop/",)))
    )
    assert [piece.relative for piece in result.folders] == ["keep"]
    assert walked(root, TreeFilter(exclude=("drop/",))) == {"keep/a"}


def test_patterns_are_compiled_once(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "in", {f"d{at}/f": b"f" for at in range(50)})
    compile_patterns.cache_clear()
    walked(root, TreeFilter(exclude=("*.tmp", "nothing/")))
    assert compile_patterns.cache_info().misses == 1
