"""The steps of the demo in their order; each is one promise, kept or not in front of the user."""

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import holdfast
from holdfast.cli.demo import sample_data
from holdfast.cli.demo.tour import Tour, log_and_wait
from holdfast.cli.output import human_duration, human_size

CALLER_BLOCKED_SHARE_MAX = 0.5
"""Of the time until the commit: a share, since the demo may run beside anything."""
CHANGE_SENT_SHARE_MAX = 0.1
"""Of the sample data about one part in a hundred changes; packs and manifest add to it."""


def make_data(tour: Tour) -> None:
    """Writes the sample data."""
    tour.report.step("Making data: a real tree of files, and one large file")
    tour.place.data.mkdir()
    sample_data.write_noise(tour.large_file, tour.large_file_bytes, sample_data.SEED)
    size = sample_data.copy_real_tree(tour.tree)
    tour.report.note(f"{size.files:,} files of installed packages, {human_size(size.size_bytes)}")
    tour.report.note(f"one file of noise, {human_size(tour.large_file_bytes)}")


def start_daemon(tour: Tour) -> None:
    """Starts the demo's daemon, which any first call would do, so that the steps measure what they name."""
    from holdfast.cli.daemon_link import DaemonLink

    started = time.perf_counter()
    status = DaemonLink.connect().status()
    tour.report.note(
        f"a daemon (process {status.pid}) with an embedded registry of its own started in"
        f" {human_duration(time.perf_counter() - started)}"
    )


def log_first(tour: Tour) -> None:
    """Logs everything once."""
    tour.report.step("Logging it")
    with holdfast.init(job_type="prepare") as run:
        logged = log_and_wait(run, tour.place.data)
    tour.versions.append(logged.artifact)
    rate = human_size(logged.progress.bytes_total / logged.total_s)
    tour.report.note(f"{logged.artifact.name} committed after {human_duration(logged.total_s)}: {rate}/s")
    tour.report.find(
        "the caller goes on at once",
        f"blocked for {1000 * logged.blocked_s:.0f} ms, committed after {human_duration(logged.total_s)}",
        kept=logged.blocked_s < CALLER_BLOCKED_SHARE_MAX * logged.total_s,
    )


def log_unchanged(tour: Tour) -> None:
    """Logs the same again."""
    tour.report.step("Logging the same again")
    with _without_notices(), holdfast.init(job_type="prepare") as run:
        logged = log_and_wait(run, tour.place.data)
    tour.report.find(
        "nothing is stored or sent twice",
        f"still {logged.artifact.version}, {human_size(logged.progress.bytes_sent)} sent,"
        f" {human_duration(logged.total_s)}",
        kept=logged.artifact.version == tour.latest.version and logged.progress.bytes_sent == 0,
    )


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Keeps the SDK from saying that the content is there already: here it is what the step shows."""
    logger = logging.getLogger("holdfast")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def log_changed(tour: Tour) -> None:
    """Changes a little and logs again."""
    tour.report.step("Changing some of it and logging again")
    change = sample_data.change_data(tour.tree, tour.large_file)
    tour.report.note(
        f"{change.files_edited} files edited, {change.files_renamed:,} moved by renaming a folder,"
        f" {change.files_removed} removed, {human_size(change.inserted_bytes)} inserted in the middle of the large file"
    )
    with holdfast.init(job_type="prepare") as run:
        logged = log_and_wait(run, tour.place.data)
    tour.versions.append(logged.artifact)
    sent, total = logged.progress.bytes_sent, logged.progress.bytes_total
    tour.report.find(
        "a version costs what is new in it",
        f"{logged.artifact.name}: {human_size(sent)} sent of {human_size(total)} ({100 * sent / total:.1f} %),"
        f" {human_duration(logged.total_s)}",
        kept=sent < CHANGE_SENT_SHARE_MAX * total,
    )


def download(tour: Tour) -> None:
    """Downloads the latest version and compares every byte with what was logged."""
    tour.report.step("Downloading it into an empty folder, and comparing every byte")
    target, started = tour.place.download, time.perf_counter()
    tour.latest.download(root=str(target))
    took_s = time.perf_counter() - started
    tour.report.note(f"{human_size(tour.latest.size)} in {human_duration(took_s)}")
    different = sample_data.different_files(tour.place.data, target)
    tour.report.find(
        "what comes back is what was logged",
        f"{tour.latest.file_count:,} files, {len(different)} of them different",
        kept=not different,
    )


def damage_and_heal(tour: Tour) -> None:
    """Flips one bit of the download; verify must see it, the next download repair it."""
    tour.report.step("Flipping one bit of a downloaded file")
    victim = tour.place.download / tour.large_file.name
    _flip_bit(victim, victim.stat().st_size // 3)
    seen = _difference(tour)
    tour.report.note(f"verify: {seen}")
    tour.latest.download(root=str(tour.place.download))
    healed = not sample_data.different_files(tour.place.data, tour.place.download) and _difference(tour) is None
    tour.report.find(
        "damage is found and repaired",
        f"verify {'named the file' if seen else 'saw nothing'}, the next download"
        f" {'repaired it' if healed else 'did not repair it'}",
        kept=bool(seen) and victim.name in str(seen) and healed,
    )


def _flip_bit(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def _difference(tour: Tour) -> str | None:
    try:
        tour.latest.verify(root=str(tour.place.download))
    except ValueError as difference:
        return str(difference)
    return None


def lineage(tour: Tour) -> None:
    """Uses the dataset in another run, logs a model there, and asks who made and who used what."""
    tour.report.step("Asking where things come from")
    with holdfast.init(job_type="train") as run:
        dataset = run.use_artifact(tour.latest.qualified_name)
        model = holdfast.Artifact("classifier", type="model")
        with model.new_file("weights.txt") as file:
            file.write("0.5 0.25 0.125\n")
        run.log_artifact(model, aliases=["candidate"]).wait()
    maker, users, trainer = dataset.logged_by(), dataset.used_by(), model.logged_by()
    made_by = maker.job_type if maker else "nobody"
    tour.report.note(f"{dataset.name} was logged by a run of type {made_by!r}")
    for user in users:
        tour.report.note(f"  and used by run {user.id}, of type {user.job_type!r},")
    tour.report.note(f"    which logged {model.name} (aliases: {', '.join(model.aliases)})")
    tour.report.find(
        "every version knows its makers and users",
        f"{made_by} → {dataset.name} → {', '.join(user.job_type for user in users)} → {model.name}",
        kept=made_by == "prepare"
        and [user.id for user in users] == [run.id]
        and trainer is not None
        and trainer.id == run.id,
    )
