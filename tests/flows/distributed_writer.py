"""A writer of a distributed version, as one rank of a training job is; run as a process of its own on some host.

Arguments: name, distributed id, writer's number, number of entries, and whether to wait.  Says "upserted" when the part is durable.
"""

import sys
from pathlib import Path

import holdfast


def main(name: str, distributed_id: str, writer: str, entries: str, wait: str) -> None:
    folder = Path(f"writer-{writer}")
    folder.mkdir(exist_ok=True)
    for number in range(int(entries)):
        (folder / f"{number:05}.txt").write_text(f"writer {writer} entry {number}")
    artifact = holdfast.Artifact(name, "dataset")
    artifact.add_dir(str(folder), name=f"writer-{writer}")
    with holdfast.init(project="distributed", id=f"rank-{writer}", group="unused") as run:
        run.upsert_artifact(artifact, distributed_id=distributed_id)
        print("upserted", flush=True)
        if wait == "wait":
            artifact.wait()
            print(artifact.state, artifact.is_draft(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
