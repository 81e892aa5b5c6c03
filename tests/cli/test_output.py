"""What the command line prints: sizes, durations, and text of users that must not control the terminal."""

import pytest

from holdfast.cli import output


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("17", 17),
        ("17B", 17),
        ("1kB", 1000),
        ("1 KiB", 1024),
        ("2k", 2048),
        ("500MB", 500_000_000),
        ("1.5GiB", 3 << 29),
        ("1_000 kib", 1000 << 10),
        ("3t", 3 << 40),
    ],
)
def test_sizes_are_understood_as_people_write_them(text: str, size_bytes: int) -> None:
    assert output.parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "many", "-1", "nan", "inf", "1 parsec", "MiB", "1e99", "0x10", "5GiBs"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        output.parse_size(text)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 29, "2.5 GiB"), (1 << 70, "1048576.0 PiB")],
)
def test_sizes_are_shown_in_their_unit(size_bytes: int, text: str) -> None:
    assert output.human_size(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.004, "0.00 s"), (9.5, "9.50 s"), (42.4, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_durations_are_shown_in_their_unit(seconds: float, text: str) -> None:
    assert output.human_duration(seconds) == text


def test_control_characters_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_line("red\x1b[31m, bell\x07, [bold]markup[/bold] and 猫")
    assert capsys.readouterr().out == "red\\x1b[31m, bell\\x07, [bold]markup[/bold] and 猫\n"


def test_long_lines_reach_a_pipe_whole(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_line("x" * 5000)
    assert capsys.readouterr().out == "x" * 5000 + "\n"


def test_error_is_its_first_and_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_error("The daemon could not be started.\nLog: daemon.log\n  a line\n\n  the disk is full\n")
    assert capsys.readouterr() == ("", "error: The daemon could not be started.\nthe disk is full\n")


def test_fields_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_fields({"name": "cats:v0", "tags": [], "description": None, "size_bytes": 0})
    assert capsys.readouterr().out == "name        cats:v0\nsize_bytes  0\n"
