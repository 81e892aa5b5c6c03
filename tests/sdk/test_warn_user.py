"""Warnings show the user's line."""

from pathlib import Path

import pytest

import holdfast
from support.fake_daemon import FakeDaemon

HERE = Path(__file__).read_text(encoding="utf-8").splitlines()


def shown_lines(caught: pytest.WarningsRecorder) -> list[tuple[str, str]]:
    return [(one.filename, HERE[one.lineno - 1].strip()) for one in caught]


def test_a_warning_from_deep_inside_shows_the_users_line(daemon: FakeDaemon) -> None:
    artifact = holdfast.Artifact("a", "dataset")
    with pytest.warns(UserWarning, match="unsupported schemes") as caught:
        artifact.add_reference("odd://somewhere", name="there")
    assert shown_lines(caught) == [(__file__, 'artifact.add_reference("odd://somewhere", name="there")')]


def test_a_warning_from_close_by_shows_the_users_line(daemon: FakeDaemon) -> None:
    with pytest.warns(UserWarning, match="ignores nonsense") as caught:
        holdfast.init(nonsense=1).finish()
    assert shown_lines(caught) == [(__file__, "holdfast.init(nonsense=1).finish()")]
