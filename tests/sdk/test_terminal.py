"""What scripts written for W&B call beside the API: lines on the terminal, fresh ids, levels of alerts."""

import pytest

import holdfast


def test_lines_go_to_standard_error_with_their_level(capsys: pytest.CaptureFixture[str]) -> None:
    holdfast.termlog("begun")
    holdfast.termwarn("slow", newline=False)
    holdfast.termerror("gone", prefix=False)
    assert capsys.readouterr() == ("", "holdfast: begun\nholdfast: WARNING slowERROR gone\n")


def test_a_line_that_is_not_to_be_repeated_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        holdfast.termlog("only once", repeat=False)
    assert capsys.readouterr().err == "holdfast: only once\n"


@pytest.mark.parametrize("length", [1, 8, 64])
def test_generated_ids_have_their_length_and_are_good_for_runs(length: int) -> None:
    ids = {holdfast.util.generate_id(length) for _ in range(100)}
    assert {len(one) for one in ids} == {length}
    assert all(character in "0123456789abcdefghijklmnopqrstuvwxyz" for one in ids for character in one)
    assert len(ids) == 100 or length == 1


def test_an_id_has_a_length() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        holdfast.util.generate_id(0)


def test_levels_of_alerts_have_their_names() -> None:
    assert [level.value for level in holdfast.AlertLevel] == ["INFO", "WARN", "ERROR"]
