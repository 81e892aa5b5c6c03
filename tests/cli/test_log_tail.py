"""The end of a log, and its growth, also when the file is replaced under us."""

from pathlib import Path

import pytest

from holdfast.cli.log_tail import follow, last_lines


def test_last_lines_are_the_last_ones(tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    log.write_text("".join(f"line {n}\n" for n in range(100)))
    assert last_lines(log, 3) == ["line 97", "line 98", "line 99"]
    assert last_lines(log, 0) == []


def test_lines_that_are_not_utf8_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    log.write_bytes(b"caf\xe9\n")
    assert last_lines(log, 1) == ["caf�"]


def test_follow_shows_what_is_appended_and_goes_on_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    log.write_text("old\n")
    events = iter([lambda: _append(log, "half"), lambda: _append(log, " whole\n"), lambda: _rotate(log, "new\n")])
    lines = follow(log, 10, pause=lambda _: next(events)())
    assert [next(lines) for _ in range(3)] == ["old", "half whole", "new"]


def test_a_log_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        last_lines(tmp_path / "daemon.log", 1)


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def _rotate(path: Path, text: str) -> None:
    path.rename(path.with_suffix(".1"))
    path.write_text(text)
