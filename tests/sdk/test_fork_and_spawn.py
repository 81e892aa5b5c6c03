"""Children of a process that uses the SDK: forked and spawned ones log by themselves, and the parent goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_contract.places import Places

ROOT = Path(__file__).parents[2]
FAKE = ROOT / "tests" / "support" / "fake_daemon.py"

CHILDREN = 4
LOGS_EACH = 5

PRELUDE = f"""
import json, multiprocessing, os, sys, threading
import holdfast
from holdfast._process import this_process

def log_some(worker):
    client_id = this_process().client_id
    names = []
    with holdfast.init(project="p", reinit=True) as run:
        for number in range({LOGS_EACH}):
            artifact = holdfast.Artifact(f"{{worker}}-{{number}}", "dataset")
            with artifact.new_file("f") as file:
                file.write(f"{{worker}} {{number}}")
            names.append(run.log_artifact(artifact).wait(60).qualified_name)
        return {{"names": names, "client": client_id, "run": run.id, "pid": os.getpid()}}

def main(method):
    with holdfast.init(project="p") as run:
        busy = holdfast.Artifact("parent", "dataset")
        with busy.new_file("before") as file:
            file.write("x")
        len(busy.manifest)
        with multiprocessing.get_context(method).Pool({CHILDREN}) as pool:
            answers = pool.map_async(log_some, [f"w{{n}}" for n in range({CHILDREN})], chunksize=1)
            for number in range(20):
                with busy.new_file(f"during-{{number}}") as file:
                    file.write("x")
            found = answers.get(90)
        logged = run.log_artifact(busy).wait(60)
        print(json.dumps([*found, {{"names": [logged.qualified_name], "client": this_process().client_id,
            "run": run.id, "pid": os.getpid(), "entries": len(logged.manifest)}}]))
"""


@pytest.fixture
def fake_process(places: Places) -> Iterator[dict[str, str]]:
    """A fake daemon in a process of its own, and the environment in which it is found."""
    roots = [str(ROOT / name) for name in ("protos", "sdk", "tests")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(roots), "HOLDFAST_START_TIMEOUT_S": "5"}
    read_end, write_end = os.pipe()
    command = [sys.executable, str(FAKE), "serve", "--ready-fd", str(write_end)]
    process = subprocess.Popen(command, pass_fds=[write_end], env=environ)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        assert pipe.read() == b"READY\n"
    yield environ
    process.terminate()
    process.wait(20)


def run_script(environ: dict[str, str], script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "script.py"
    path.write_text(PRELUDE + script)
    return subprocess.run(
        [sys.executable, str(path)], env=environ, capture_output=True, text=True, timeout=110, cwd=folder
    )


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_and_parent_log_at_once(fake_process: dict[str, str], tmp_path: Path, method: str) -> None:
    done = run_script(fake_process, f"if __name__ == '__main__': main({method!r})", tmp_path)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    names = [name for answer in answers for name in answer["names"]]
    assert len(names) == len(set(names)) == CHILDREN * LOGS_EACH + 1
    assert answers[-1]["entries"] == 21
    # One id for each process, whatever it inherited.
    assert len({(answer["pid"], answer["client"]) for answer in answers}) == len({a["pid"] for a in answers})
    assert len({answer["client"] for answer in answers}) == len({answer["pid"] for answer in answers})
    assert done.stderr == ""


def test_forks_in_the_middle_of_other_threads_calls(fake_process: dict[str, str], tmp_path: Path) -> None:
    script = """
stop = threading.Event()
def keep_calling():
    while not stop.is_set():
        assert not holdfast.Api().artifact_exists("p/absent")
threads = [threading.Thread(target=keep_calling) for _ in range(3)]
for thread in threads: thread.start()
codes = []
for round in range(5):
    pids = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            import faulthandler
            faulthandler.dump_traceback_later(40, exit=True)
            log_some(f"r{round}c{child}")
            os._exit(0)
        pids.append(pid)
    codes += [os.waitpid(pid, 0)[1] for pid in pids]
stop.set()
for thread in threads: thread.join()
print(json.dumps(codes))
"""
    done = run_script(fake_process, script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [0] * 20, done.stderr
    assert done.stderr == ""  # gRPC says there when it was not at rest, which not every child survives


def test_run_is_inherited_and_ids_are_not(fake_process: dict[str, str], tmp_path: Path) -> None:
    script = """
run = holdfast.init(project="p", job_type="parent")
parent = this_process().client_id
read_end, write_end = os.pipe()
if os.fork() == 0:
    artifact = holdfast.Artifact("child", "dataset")
    with artifact.new_file("f") as file: file.write("x")
    logged = holdfast.log_artifact(artifact).wait(60)
    os.write(write_end, json.dumps([logged.logged_by().id, this_process().client_id]).encode())
    os._exit(0)
os.wait()
print(json.dumps([run.id, parent, *json.loads(os.read(read_end, 10_000))]))
"""
    done = run_script(fake_process, script, tmp_path)
    assert done.returncode == 0, done.stderr
    run_id, parent, logged_by, child = json.loads(done.stdout)
    assert run_id == logged_by
    assert parent != child


def test_draft_of_the_parent_cannot_be_filled_by_the_child(fake_process: dict[str, str], tmp_path: Path) -> None:
    script = """
artifact = holdfast.Artifact("a", "dataset")
with artifact.new_file("f") as file: file.write("x")
pid = os.fork()
if pid == 0:
    try:
        with artifact.new_file("g") as file: file.write("x")
    except ValueError as error:
        os._exit(7 if "make a new Artifact" in str(error) else 8)
    os._exit(9)
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
with artifact.new_file("h") as file: file.write("x")
print(json.dumps([code, list(artifact.manifest.entries)]))
"""
    done = run_script(fake_process, script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [7, ["f", "h"]]


def test_process_exit_does_not_wait_and_loses_nothing(fake_process: dict[str, str], tmp_path: Path) -> None:
    script = """
run = holdfast.init(project="p")
artifact = holdfast.Artifact("left-behind", "dataset")
with artifact.new_file("f") as file: file.write("x")
run.log_artifact(artifact)
print(json.dumps(artifact._job_id))
"""
    done = run_script(fake_process, script, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    look = f"""
from holdfast._waiting import JobWaiter
print(json.dumps(JobWaiter(this_process().daemon, {json.loads(done.stdout)!r}).wait(60, print).version.collection))
"""
    found = run_script(fake_process, look.replace("print)", "lambda progress: None)"), tmp_path)
    assert json.loads(found.stdout) == "left-behind", found.stderr
