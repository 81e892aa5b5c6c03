"""What is shown of a job's progress, and where."""

import io
import sys

import pytest

from holdfast.progress import Progress, RateMeter, Standstill, figures, human_bytes, progress_view


def progress(**fields: int | str) -> Progress:
    defaults = dict.fromkeys(Progress.__dataclass_fields__, 0)
    return Progress(**{**defaults, "artifact_name": "a", "state": "upload", "waiting_for": "", **fields})  # type: ignore[arg-type]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rate_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    meter = RateMeter(window_s=10, monotonic=clock)
    assert (meter.bytes_per_s(), meter.eta_s(100)) == (0, None)
    for second in range(30):
        clock.now = float(second)
        meter.add(second * (100 if second < 15 else 200))
    assert meter.bytes_per_s() == 200
    assert meter.eta_s(1000) == 5


def test_figures_say_what_was_read_known_and_sent() -> None:
    clock = Clock()
    meter = RateMeter(monotonic=clock)
    meter.add(0)
    clock.now = 1.0
    shown = progress(bytes_total=4096, bytes_read=2048, bytes_deduplicated=512, bytes_sent=512)
    meter.add(shown.bytes_done)
    assert figures(shown, meter) == "2.0 KiB read of 4.0 KiB, 512 B known, 512 B sent, 1.0 KiB/s, 3 s left"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB"), (5 << 40, "5.0 TiB")]
)
def test_bytes_for_people(count: int, text: str) -> None:
    assert human_bytes(count) == text


def test_done_is_never_more_than_all() -> None:
    assert progress(bytes_total=10, bytes_sent=30).bytes_done == 10


def test_callback_wins() -> None:
    told: list[Progress] = []
    with progress_view(told.append, enabled=True) as show:
        show(progress())
    assert told == [progress()]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar_appears_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for stream, enabled, expected in (
        (io.StringIO(), True, False),
        (Terminal(), False, False),
        (Terminal(), True, True),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress_view(None, enabled=enabled) as show:
            show(progress(bytes_total=100, bytes_sent=50, waiting_for="the registry does not answer"))
        assert ("the registry does not answer" in stream.getvalue()) == expected


def test_program_without_a_terminal_is_told_once_in_a_while_why_a_job_stands_still(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    tell = Standstill(monotonic=clock)
    waits = progress(waiting_for="the registry does not answer; next try in 8 s")

    def told_at(*seconds: float, what: Progress = waits) -> list[str]:
        caplog.clear()
        for clock.now in seconds:
            tell(what)
        return [record.message for record in caplog.records]

    assert told_at(0, 5, 9) == []
    (said,) = told_at(10, 11, 300)
    assert said == (
        "Artifact a has been waiting for 10 s: the registry does not answer; next try in 8 s. "
        "The job goes on by itself; `holdfast jobs` shows it."
    )
    assert len(told_at(311, 320)) == 1
    assert told_at(321, what=progress()) == []
    assert told_at(322, 330) == [], "it has gone on meanwhile"
    assert len(told_at(333)) == 1
