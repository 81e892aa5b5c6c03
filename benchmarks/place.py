"""Where the benchmark works: a fresh folder, or an ext4 of its own in a file, both gone afterwards."""

import contextlib
import mmap
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.data_sets import GIB

IMAGE_BYTES = 48 * GIB
"""Of the file that holds the ext4; sparse.  The largest set needs 5 × 4 GiB at once."""

TOUCHED_BYTES_MAX = 10 * GIB
SET_COPIES = 3
"""At once: the set, its packs, a copy or download of it."""


@contextlib.contextmanager
def working_folder(data_root: Path | None, *, loop: bool) -> Iterator[Path]:
    """Gives an empty folder and removes it in the end.

    Args:
        data_root: where the folder (or the image) is made; the folder for temporary files when None.
        loop: mount a journalled ext4 of its own there (root only).  On a disk where many files were just deleted,
            creating files stays slow for minutes, and one set would pay for the clean-up after another.
    """
    if data_root is not None:
        data_root.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="holdfast-bench-", dir=data_root))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if not loop:
            yield folder
            return
        mount_point = stack.enter_context(_own_filesystem(folder))
        yield mount_point


@contextlib.contextmanager
def _own_filesystem(folder: Path) -> Iterator[Path]:
    image, mount_point = folder / "ext4.img", folder / "mounted"
    mount_point.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    # Everything is initialised now: ext4 would else go on doing so in the background, while we measure.
    options = "lazy_itable_init=0,lazy_journal_init=0"
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", options, str(image)], check=True)
    # Direct: else each byte would be in the page cache twice.
    losetup = ["losetup", "--find", "--show", "--direct-io=on", str(image)]
    device = subprocess.run(losetup, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    try:
        subprocess.run(["mount", device, str(mount_point)], check=True)
        try:
            yield mount_point
        finally:
            subprocess.run(["umount", str(mount_point)], check=True)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def memory_to_touch(largest_set_bytes: int) -> int:
    """Bytes worth touching: what the page cache will hold of the largest set and its copies, and at most half of what is free."""
    wanted = min(TOUCHED_BYTES_MAX, SET_COPIES * largest_set_bytes + GIB)
    return min(wanted, os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)


def touch_memory(size_bytes: int) -> None:
    """Touches memory once and gives it back.

    On a virtual machine the first touch of a page is paid by the host, at a fraction of the usual speed; the first set would pay
    it for the page cache of all.  Done in a child, which gives back everything by ending.
    """
    child = os.fork()
    if child == 0:
        _touch(size_bytes)
        os._exit(0)
    os.waitpid(child, 0)


def _touch(size_bytes: int) -> None:
    page = b"\1" * mmap.PAGESIZE
    with mmap.mmap(-1, size_bytes) as memory:
        for offset in range(0, size_bytes - mmap.PAGESIZE, mmap.PAGESIZE):
            memory[offset : offset + mmap.PAGESIZE] = page
