"""A table of 10,000 images: made, added, logged, beside encoding them alone; and looked into, beside decoding files."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.host import Host, running_host
from benchmarks.results import Baseline, Row, Target, Unit

IMAGES = 10_000
IMAGES_READ = 1_000
SIDES = (32, 64)
"""In pixels: the smaller the image, the dearer all that is not encoding."""
TIME_TARGET = Target(2.0, of_ratio=True)
"""At least half the rate of encoding alone."""


def measure_images(folder: Path, repeat: int, say: Callable[[str], None]) -> list[Row]:
    """Goes through the sizes, from arrays to the end of `wait()`.

    Raises:
        BenchmarkError: a step failed.
    """
    folder.mkdir()
    rows = []
    with running_host(folder / "host") as host:
        host.warm_up()
        for side in SIDES:
            answers = []
            for turn in range(repeat):
                name = f"images-{side}-{turn}"
                answers.append(host.call("images", name=name, count=str(IMAGES), side=str(side), seed=str(turn)))
                say(f"images: {side}×{side}: {answers[-1]['done_s']:.2f} s, encoding {answers[-1]['encode_s']:.2f} s")
            baseline = Baseline("encoding them as PNG", [answer["encode_s"] for answer in answers])
            times = [answer["done_s"] for answer in answers]
            step = f"table of {IMAGES:,} images of {side}×{side}"
            rows.append(Row("images", step, Unit.SECONDS, times, baseline, TIME_TARGET))
            rows.append(_reading_row(host, f"images-{side}-0", side, repeat, say))
    return rows


def _reading_row(host: Host, name: str, side: int, repeat: int, say: Callable[[str], None]) -> Row:
    answers = []
    for turn in range(repeat):
        folder = str(host.folder / f"downloaded-{side}-{turn}")
        answers.append(host.call("read_images", name=name, count=str(IMAGES_READ), folder=folder))
        say(f"images: {side}×{side} read: {answers[-1]['done_s']:.2f} s, decoding {answers[-1]['decode_s']:.2f} s")
    baseline = Baseline("decoding the downloaded files with PIL", [answer["decode_s"] for answer in answers])
    step = f"{IMAGES_READ:,} images of {side}×{side} of a stored table, one after another"
    return Row("images", step, Unit.SECONDS, [answer["done_s"] for answer in answers], baseline)
