"""How much a test does: small figures in `make test`, the full ones in `make test-long` (which sets SCALE=full)."""

import os

FULL = os.environ.get("SCALE") == "full"


def figure(small: int, full: int) -> int:
    """A number of runs, files, workers …: `small` for each change, `full` for the proof."""
    return full if FULL else small
