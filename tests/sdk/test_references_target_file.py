"""Where fetched objects are written: below one folder, whole or not at all."""

from pathlib import Path

import pytest

from holdfast.references.target_file import LEFTOVER_SUFFIX, TargetFile, temporary_target


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = TargetFile(str(tmp_path / "root"), "a/b/c")
    with target.writing() as file:
        file.write(b"half")
        assert not target.exists()
        file.write(b"whole")
    assert (tmp_path / "root" / "a" / "b" / "c").read_bytes() == b"halfwhole"


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")

    def write_half() -> None:
        with TargetFile(str(tmp_path), "x").writing() as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert (tmp_path / "x").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(LEFTOVER_SUFFIX)] == []


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "", "C:x", "a\\b"])
def test_a_path_that_leaves_the_folder_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Invalid artifact path"):
        TargetFile(str(tmp_path), path)


def test_a_link_on_the_way_is_not_followed_and_one_in_the_place_is_replaced(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "kept").write_bytes(b"kept")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "kept")
    with pytest.raises(ValueError, match="symbolic link"), TargetFile(str(root), "folder/kept").writing():
        pytest.fail("nobody may write there")
    with TargetFile(str(root), "file").writing() as file:
        file.write(b"new")
    assert (outside / "kept").read_bytes() == b"kept"
    assert not (root / "file").is_symlink()


def test_a_folder_in_the_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with (
        pytest.raises(ValueError, match="is a folder where the version has a file"),
        TargetFile(str(tmp_path), "x").writing() as file,
    ):
        file.write(b"x")
    assert list((tmp_path / "x").iterdir()) == []


def test_only_the_same_bytes_count_as_the_same(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    md5 = "9dd4e461268c8034f5c8564e155c67a6"
    assert TargetFile(str(tmp_path), "x").holds(1, md5)
    assert not TargetFile(str(tmp_path), "x").holds(2, md5)
    assert not TargetFile(str(tmp_path), "x").holds(1, "0" * 32)
    assert not TargetFile(str(tmp_path), "link").holds(1, md5)
    assert not TargetFile(str(tmp_path), "absent").holds(1, md5)


def test_a_temporary_place_goes_when_nothing_was_brought() -> None:
    seen: list[Path] = []

    def bring() -> None:
        with temporary_target("x") as target:
            seen.append(Path(target.path).parent)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bring()
    (folder,) = seen
    assert not folder.exists()
