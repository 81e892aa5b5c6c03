"""A user's program: `python caller.py TASK` does one thing with the public API and prints what it took as JSON.

It is a process of its own so that its memory is the SDK's alone; it imports nothing of the benchmarks.
"""

import json
import sys
import time
from typing import Any

PROJECT = "benchmarks"
WARM_UP_FILES = 200


def log(task: dict[str, Any]) -> dict[str, Any]:
    """Logs a folder; times from `add_dir` to the return of `log_artifact`, and to the end of `wait()`."""
    before_bytes = _memory_bytes("VmRSS")
    import holdfast

    last: list[holdfast.Progress] = []
    with holdfast.init(project=PROJECT, job_type="benchmark") as run:
        # The connection has a figure of its own (`first_log`).
        _log_folder(run, "connection", task["little"]).wait()
        started = time.perf_counter()
        artifact = _log_folder(run, task["name"], task["folder"])
        blocked_s = time.perf_counter() - started
        artifact.wait(progress=lambda progress: last.__setitem__(slice(None), [progress]))
        done_s = time.perf_counter() - started
    return {
        "blocked_s": blocked_s,
        "done_s": done_s,
        "version": artifact.version,
        "bytes_sent": last[0].bytes_sent,
        "growth_bytes": _memory_bytes("VmHWM") - before_bytes,
    }


def new_draft(task: dict[str, Any]) -> dict[str, Any]:
    """Changes one file of the latest version; times from `new_draft` to the end of `wait()`."""
    import holdfast

    last: list[holdfast.Progress] = []
    with holdfast.init(project=PROJECT, job_type="benchmark") as run:
        base = holdfast.Api().artifact(f"{PROJECT}/{task['name']}:latest")
        started = time.perf_counter()
        draft = base.new_draft()
        if task["step"] == "remove":
            draft.remove(task["path"])
        else:
            draft.add_file(task["file"], task["path"], overwrite=True)
        run.log_artifact(draft)
        draft.wait(progress=lambda progress: last.__setitem__(slice(None), [progress]))
        done_s = time.perf_counter() - started
    return {"done_s": done_s, "bytes_sent": last[0].bytes_sent}


def download(task: dict[str, Any]) -> dict[str, Any]:
    """Downloads the latest version into a folder that does not exist."""
    before_bytes = _memory_bytes("VmRSS")
    import holdfast

    artifact = holdfast.Api().artifact(f"{PROJECT}/{task['name']}:latest")
    started = time.perf_counter()
    artifact.download(task["folder"])
    done_s = time.perf_counter() - started
    return {"done_s": done_s, "growth_bytes": _memory_bytes("VmHWM") - before_bytes}


def images(task: dict[str, Any]) -> dict[str, Any]:
    """Logs a table of images of random pixels; times from the arrays to the end of `wait()`, and the encoding alone before that."""
    import io

    import numpy
    import PIL.Image

    import holdfast

    side = int(task["side"])
    shape = (int(task["count"]), side, side, 3)
    pixels = numpy.random.default_rng(int(task["seed"])).integers(0, 256, shape, dtype=numpy.uint8)
    with holdfast.init(project=PROJECT, job_type="benchmark") as run:
        draft = holdfast.Artifact("connection", type="dataset")
        draft.add(holdfast.Table(columns=["image"], data=[[holdfast.Image(pixels[0])]]), "table")
        run.log_artifact(draft).wait()
        started = time.perf_counter()
        for one in pixels:
            PIL.Image.fromarray(one).save(io.BytesIO(), format="png")
        encode_s = time.perf_counter() - started
        started = time.perf_counter()
        table = holdfast.Table(columns=["image"], data=[[holdfast.Image(one)] for one in pixels])
        draft = holdfast.Artifact(task["name"], type="dataset")
        draft.add(table, "table")
        run.log_artifact(draft).wait()
        done_s = time.perf_counter() - started
    return {"encode_s": encode_s, "done_s": done_s}


def read_images(task: dict[str, Any]) -> dict[str, Any]:
    """Decodes all images of a table that was logged; before that the same files, downloaded, with PIL alone."""
    import pathlib

    import PIL.Image

    import holdfast

    artifact = holdfast.Api().artifact(f"{PROJECT}/{task['name']}:latest")
    table: Any = artifact["table"]
    files = sorted(pathlib.Path(artifact.download(task["folder"]), "media/images").iterdir())[: int(task["count"])]
    started = time.perf_counter()
    for path in files:
        PIL.Image.open(path).load()
    decode_s = time.perf_counter() - started
    started = time.perf_counter()
    for image in table.get_column("image")[: len(files)]:
        image.image  # noqa: B018 - decodes it
    done_s = time.perf_counter() - started
    return {"decode_s": decode_s, "done_s": done_s}


def first_log(task: dict[str, Any]) -> dict[str, Any]:
    """Times the first `log_artifact` of a process, connection and all, after `import holdfast`."""
    import holdfast

    started = time.perf_counter()
    run = holdfast.init(project=PROJECT, job_type="benchmark")
    draft = holdfast.Artifact(task["name"], type="dataset")
    draft.add_file(task["file"])
    run.log_artifact(draft)
    blocked_s = time.perf_counter() - started
    draft.wait()
    run.finish()
    return {"blocked_s": blocked_s}


def warm_up(task: dict[str, Any]) -> dict[str, Any]:
    """Goes once through all that will be measured, with a little data: code is loaded, workers have started."""
    import holdfast

    with holdfast.init(project=PROJECT, job_type="benchmark") as run:
        for _ in range(2):
            _log_folder(run, "warm-up", task["folder"]).wait().download(task["target"])
    return {}


def _log_folder(run: Any, name: str, folder: str) -> Any:
    import holdfast

    draft = holdfast.Artifact(name, type="dataset")
    draft.add_dir(folder, policy="immutable")
    run.log_artifact(draft)
    return draft


def _memory_bytes(field: str) -> int:
    """A figure of this process's memory as Linux has it; 0 where there is none."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))
    except FileNotFoundError:
        return 0


TASKS = {
    "log": log,
    "new_draft": new_draft,
    "download": download,
    "images": images,
    "read_images": read_images,
    "first_log": first_log,
    "warm_up": warm_up,
}

if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(TASKS[asked["do"]](asked)))
