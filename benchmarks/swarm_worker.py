"""One of many worker processes: `python swarm_worker.py INDEX COUNT` logs that many small artifacts when told to.

Prints READY when connected, waits for a line, logs, prints the version numbers with the times (on the machine's monotonic clock)
at which all were logged and all were committed.
"""

import json
import sys
import time
from random import Random
from typing import Any

COLLECTION = "swarm"
FILES = 4
FILE_BYTES = 2048


def main(index: int, count: int) -> None:
    """Connects, waits for the start, logs, waits for the commits."""
    import holdfast

    with holdfast.init(project="benchmarks", group="swarm", name=f"worker {index}") as run:
        _log(run, "swarm-connection", Random(0)).wait()
        print("READY", flush=True)
        sys.stdin.readline()
        drafts = [_log(run, COLLECTION, Random(index * count + turn + 1)) for turn in range(count)]
        logged_at_s = time.monotonic()
        versions = [int(draft.wait().version.removeprefix("v")) for draft in drafts]
        committed_at_s = time.monotonic()
    print(json.dumps({"versions": versions, "logged_at_s": logged_at_s, "committed_at_s": committed_at_s}))


def _log(run: Any, collection: str, noise: Random) -> Any:
    import holdfast

    draft = holdfast.Artifact(collection, type="result")
    for number in range(FILES):
        with draft.new_file(f"{number}.bin", mode="wb") as file:
            file.write(noise.randbytes(FILE_BYTES))
    run.log_artifact(draft)
    return draft


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
