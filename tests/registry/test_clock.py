"""The clock of the database server, told on by this machine's."""

from holdfast_registry.clock import ServerClock


class Steady:
    """A machine whose date is nonsense and whose seconds the test counts."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now_ms(self) -> int:
        return -1

    def monotonic_s(self) -> float:
        return self.seconds


def test_time_goes_on_between_the_servers_answers_whatever_the_machines_date() -> None:
    steady = Steady()
    clock = ServerClock(steady, 5_000_000, asked_s=99.0, answered_s=101.0)
    assert clock.now_ms() == 5_000_000
    steady.seconds += 60
    assert clock.now_ms() == 5_060_000


def test_late_answer_moves_nothing_that_it_does_not_contradict() -> None:
    clock = ServerClock(Steady(), 5_000_000, asked_s=100.0, answered_s=100.0)
    clock.learn(5_000_900, asked_s=99.0, answered_s=101.0)
    assert clock.now_ms() == 5_000_000


def test_servers_clock_that_was_set_is_followed() -> None:
    clock = ServerClock(Steady(), 5_000_000, asked_s=100.0, answered_s=100.0)
    clock.learn(9_000_000, asked_s=99.9, answered_s=100.1)
    assert clock.now_ms() == 9_000_000
