"""The demo's own folder and environment, so that it never meets the user's daemon, settings or data."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast._process import reset_process
from holdfast.cli.exit_codes import CommandError, ExitCode
from holdfast.cli.output import human_size
from holdfast_contract.places import Places, find_places

_MARKER = ".made-by-holdfast-demo"
_MARKER_TEXT = "This folder was made by `holdfast demo`; the next demo deletes it.\n"

ENTITY = "demo"
PROJECT = "tour"


@dataclass(frozen=True, slots=True)
class DemoPlace:
    """Folders of one demo; everything it writes lies below `root`, but for sockets."""

    root: Path
    runtime_dir: Path

    @property
    def data(self) -> Path:
        """What is logged."""
        return self.root / "data"

    @property
    def download(self) -> Path:
        """Where it is downloaded to."""
        return self.root / "download"

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the demo's processes."""
        return {
            "HOLDFAST_DATA_DIR": str(self.root / "holdfast"),
            "HOLDFAST_RUNTIME_DIR": str(self.runtime_dir),
            "HOLDFAST_CONFIG": str(self.root / "no-settings.toml"),
            "HOLDFAST_ENTITY": ENTITY,
            "HOLDFAST_PROJECT": PROJECT,
        }

    @property
    def places(self) -> Places:
        """Where the demo's daemon and registry keep their things."""
        return find_places(self.environment)


@contextmanager
def demo_place(root: Path, *, bytes_needed: int, keep: bool) -> Iterator[DemoPlace]:
    """Makes the demo's folder, points this process (and its children) at it, and removes it at the end unless `keep`.

    Raises:
        CommandError: the folder exists and is not a demo's, or the disk is too full.
    """
    root = root.absolute()
    _make_fresh(root)
    _check_space(root, bytes_needed)
    # Not below the root: the path of a Unix socket may not be longer than about 100 bytes.
    runtime_dir = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    place = DemoPlace(root, runtime_dir)
    before = dict(os.environ)
    try:
        _replace_environment(before, place.environment)
        reset_process()
        yield place
    finally:
        os.environ.clear()
        os.environ.update(before)
        reset_process()
        shutil.rmtree(runtime_dir, ignore_errors=True)
        if not keep:
            shutil.rmtree(root, ignore_errors=True)


def _make_fresh(root: Path) -> None:
    if root.exists() and not (root / _MARKER).is_file():
        raise CommandError(
            f"{root} exists and was not made by the demo; name another folder with --dir", ExitCode.USAGE
        )
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / _MARKER).write_text(_MARKER_TEXT, encoding="utf-8")


def _check_space(root: Path, bytes_needed: int) -> None:
    free = shutil.disk_usage(root).free
    if free < bytes_needed:
        raise CommandError(
            f"the demo needs {human_size(bytes_needed)} below {root}, where {human_size(free)} are free;"
            " name another folder with --dir or a smaller file with --size"
        )


def _replace_environment(before: Mapping[str, str], ours: Mapping[str, str]) -> None:
    """Takes the user's own settings away, then adds the demo's; the rest of the environment stays."""
    for name in before:
        if name.startswith("HOLDFAST_"):
            del os.environ[name]
    os.environ.update(ours)
