"""Who looks a name up finds what the same process has just logged, though logging does not wait."""

import pytest

import holdfast
from holdfast import _own_writes, errors
from holdfast._own_writes import OwnWrites
from holdfast._process import this_process
from holdfast.progress import Progress
from support.sdk_calls import PROJECT, fresh_name, new_artifact
from support.sdk_host import SdkHost


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


def log_without_waiting(run: holdfast.Run, name: str, text: str) -> None:
    artifact = new_artifact(name)
    with artifact.new_file("file") as file:
        file.write(text)
    run.log_artifact(artifact)


def test_a_name_means_what_was_just_logged() -> None:
    name = fresh_name()
    with holdfast.init(project=PROJECT) as run:
        for number in range(10):
            log_without_waiting(run, name, str(number))
            used = run.use_artifact(name) if number % 2 else holdfast.Api().artifact(f"{PROJECT}/{name}:latest")
            assert used.version == f"v{number}"


def test_a_version_that_is_on_its_way_is_waited_for() -> None:
    name = fresh_name()
    with holdfast.init(project=PROJECT) as run:
        for number in range(3):
            log_without_waiting(run, name, str(number))
    with holdfast.init(project=PROJECT) as run:
        assert run.use_artifact(f"{name}:v2").version == "v2"
        with pytest.raises(errors.NotFoundError):
            run.use_artifact(f"{name}:v3")


def test_what_waits_for_a_sync_is_not_waited_for() -> None:
    name = fresh_name()
    with holdfast.init(project=PROJECT, mode="offline") as run:
        log_without_waiting(run, name, "x")
    assert not holdfast.Api().artifact_exists(f"{PROJECT}/{name}")


def test_a_job_that_stands_still_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_own_writes, "STANDSTILL_S", -1.0)
    patience = _own_writes._Patience()
    waits = Progress("a", "upload", 0, 0, 0, 0, 0, 0, "the registry at … does not answer")
    moves = Progress("a", "upload", 0, 0, 0, 0, 0, 0, "")
    for progress in (waits, moves, moves, waits):
        patience(progress)
    with pytest.raises(_own_writes._StandsStillError):
        patience(waits)


def test_a_job_that_nobody_knows_is_forgotten() -> None:
    own, place = OwnWrites(), ("local", PROJECT, "gone")
    own.add(place, "0" * 32)
    assert own.settle(place, this_process().daemon)
    assert not own.settle(place, this_process().daemon)
