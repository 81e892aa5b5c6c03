"""One worker process of the demo: `python -m holdfast.cli.demo.worker INDEX COUNT SHARED_FILE` prints its version numbers."""

import json
import random
import sys

import holdfast
from holdfast.cli.demo.workers import COLLECTION, OWN_BYTES


def log_versions(index: int, count: int, shared: str) -> list[int]:
    """Logs versions of a file that all workers have and one that is its own; waits for all of them at the end."""
    drafts = []
    with holdfast.init(job_type="worker", group="workers", name=f"worker {index}") as run:
        for turn in range(count):
            draft = holdfast.Artifact(COLLECTION, type="result")
            draft.add_file(shared, name="shared.bin", policy="immutable")
            with draft.new_file("own.bin", mode="wb") as file:
                file.write(random.Random(index * count + turn).randbytes(OWN_BYTES))
            run.log_artifact(draft)
            drafts.append(draft)
        return [int(draft.wait().version.removeprefix("v")) for draft in drafts]


def main(index: str, count: str, shared: str) -> int:
    """Prints the numbers as JSON; an error is one line."""
    try:
        print(json.dumps(log_versions(int(index), int(count), shared)))
    except holdfast.Error as error:
        print(f"worker {index}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
