"""What is logged comes back byte by byte, whatever its size, its name and its place."""

import os
import unicodedata
import warnings
from pathlib import Path

import pytest

from holdfast_contract.digest import digest_of, hasher
from holdfast_contract.limits import (
    CHUNK_BYTES_AVG,
    CHUNK_BYTES_MAX,
    CHUNK_BYTES_MIN,
    GIB,
    INLINE_BYTES_MAX,
    KIB,
    MIB,
    PACK_BYTES_MAX,
    SINGLE_CHUNK_FILE_BYTES_MAX,
)
from support.figures import figure
from support.sdk_calls import download, log, log_folder, new_artifact
from support.sdk_host import SdkHost
from support.trees import random_bytes, read_tree, write_tree

LIMITS = {CHUNK_BYTES_MIN, CHUNK_BYTES_AVG, CHUNK_BYTES_MAX, INLINE_BYTES_MAX, SINGLE_CHUNK_FILE_BYTES_MAX}
SIZES = sorted({0, 1, 2, 5 * MIB + 1, 9 * MIB, *(limit + by for limit in LIMITS for by in (-1, 0, 1))})

NAMES = [
    unicodedata.normalize("NFC", "é/naïve.txt"),
    unicodedata.normalize("NFD", "é/naïve.txt"),
    "2026-01-01T10:00.json",
    "layer:0/weights",
    "trailing.",
    "trailing space ",
    " leading space",
    "with  two spaces",
    "emoji 🦜/🏳️‍🌈.png",
    "quo\"te's `and` $more",
    "-leading-dash",
    "--help",
    "..hidden",
    "...",
    "~",
    "#%?&=+;@!*|<>",
    "日本語/ファイル",
    "con",
    "a" * 255,
    "Case",
    "case",
    "\u202eright-to-left",
]

DEEP = "/".join(f"level{n}" for n in range(60)) + "/file"


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


def round_trip(source: Path, target: Path) -> None:
    """Logs a folder, downloads it, compares, and verifies."""
    with warnings.catch_warnings():
        # Some names cannot be held by other systems, of which the user is told.
        warnings.simplefilter("ignore", UserWarning)
        artifact = log_folder(source)
        download(artifact, target)
    expected = read_tree(source)
    assert read_tree(target) == expected
    assert artifact.size == sum(map(len, expected.values()))
    assert artifact.file_count == len(expected)
    for path, entry in artifact.manifest.entries.items():
        assert entry.digest == digest_of(expected[path]).hex(), path
    artifact.verify(str(target))


def test_files_of_every_size_around_the_limits_come_back(tmp_path: Path) -> None:
    tree = {f"{size}.bin": random_bytes(size) for size in SIZES}
    round_trip(write_tree(tmp_path / "in", tree), tmp_path / "out")


def test_files_added_one_by_one_come_back(tmp_path: Path) -> None:
    tree = {f"{size}.bin": random_bytes(size, seed=1) for size in SIZES}
    write_tree(tmp_path / "in", tree)
    artifact = new_artifact()
    for name in tree:
        artifact.add_file(str(tmp_path / "in" / name), f"sub/{name}")
    log(artifact)
    assert read_tree(download(artifact, tmp_path / "out") / "sub") == tree


def test_compressible_files_come_back(tmp_path: Path) -> None:
    tree = {f"{size}.txt": (b"all work and no play " * (size // 20 + 1))[:size] for size in SIZES}
    tree["zeros"] = bytes(7 * MIB)
    round_trip(write_tree(tmp_path / "in", tree), tmp_path / "out")


def test_a_file_larger_than_a_pack_comes_back(tmp_path: Path) -> None:
    round_trip(write_tree(tmp_path / "in", {"large": random_bytes(PACK_BYTES_MAX + 3 * MIB)}), tmp_path / "out")


def test_names_of_every_kind_come_back_as_they_are(tmp_path: Path) -> None:
    tree = {name: name.encode() for name in NAMES}
    round_trip(write_tree(tmp_path / "in", tree), tmp_path / "out")


def test_a_tree_of_60_levels_comes_back(tmp_path: Path) -> None:
    tree = {DEEP: b"down here", "level0/up": b"up here"}
    round_trip(write_tree(tmp_path / "in", tree), tmp_path / "out")


def test_linked_files_and_folders_come_back_with_their_content(tmp_path: Path) -> None:
    tree = {"real/one": b"1", "real/two": random_bytes(100 * KIB)}
    source = write_tree(tmp_path / "in", tree)
    write_tree(tmp_path / "elsewhere", {"far": b"outside the tree"})
    (source / "file-link").symlink_to("real/one")
    (source / "folder-link").symlink_to("real")
    (source / "outside-link").symlink_to(tmp_path / "elsewhere")
    artifact = log_folder(source)
    linked = {"file-link": b"1", "folder-link/one": b"1", "folder-link/two": tree["real/two"]}
    expected = {**tree, **linked, "outside-link/far": b"outside the tree"}
    target = download(artifact, tmp_path / "out")
    assert read_tree(target) == expected
    assert not any(path.is_symlink() for path in target.rglob("*"))


def test_hard_links_come_back_as_two_files(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"one": random_bytes(3 * KIB)})
    os.link(source / "one", source / "two")
    target = download(log_folder(source), tmp_path / "out")
    assert read_tree(target) == read_tree(source)
    (target / "one").write_bytes(b"changed")
    assert (target / "two").read_bytes() == random_bytes(3 * KIB)


def test_empty_folders_are_no_entries_and_an_empty_artifact_can_be_logged(tmp_path: Path) -> None:
    (tmp_path / "in" / "empty").mkdir(parents=True)
    artifact = log_folder(tmp_path / "in")
    assert artifact.file_count == 0
    assert read_tree(download(artifact, tmp_path / "out")) == {}


def test_many_small_files_come_back(tmp_path: Path) -> None:
    count = figure(4_000, 100_000)
    tree = {f"{n % 100:02}/{n}": random_bytes(256, n) for n in range(count)}
    round_trip(write_tree(tmp_path / "in", tree), tmp_path / "out")


@pytest.mark.long
def test_a_file_of_5_gib_comes_back(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    written = hasher()
    with (source / "huge").open("wb") as file:
        for number in range(5 * GIB // (16 * MIB)):
            block = random_bytes(16 * MIB, number)
            file.write(block)
            written.update(block)
    artifact = log_folder(source)
    assert artifact.get_entry("huge").digest == written.hexdigest()
    read = hasher()
    with (download(artifact, tmp_path / "out") / "huge").open("rb") as file:
        while block := file.read(16 * MIB):
            read.update(block)
    assert read.hexdigest() == written.hexdigest()
