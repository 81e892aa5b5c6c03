"""Children that are forked or spawned log as their parent does, at the same time (P19)."""

from support.figures import figure
from support.sdk_calls import fresh_name
from support.sdk_host import SdkHost

CHILDREN = figure(2, 8)
EACH = figure(10, 100)
TIME_LIMIT_S = figure(60, 300)

PARENT = """
import multiprocessing, os, sys, threading
import holdfast

def log_some(who, name, count):
    artifacts = []
    with holdfast.init(project="races") as run:
        for number in range(count):
            artifact = holdfast.Artifact(name, "dataset")
            with artifact.new_file("file") as file:
                file.write(f"{who} {number}")
            artifacts.append(run.log_artifact(artifact))
    for artifact in artifacts:
        artifact.wait(120)

def main():
    how, name, children, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    # The parent has a connection, a thread that logs, and a draft that it has begun.
    log_some("warm-up", name + "-first", 1)
    begun = holdfast.Artifact(name + "-begun", "dataset")
    with begun.new_file("before") as file:
        file.write("before the fork")
    thread = threading.Thread(target=log_some, args=("parent", name, count))
    thread.start()
    context = multiprocessing.get_context(how)
    processes = [context.Process(target=log_some, args=(f"child {n}", name, count)) for n in range(children)]
    for process in processes:
        process.start()
    if how == "fork":
        pid = os.fork()
        if pid == 0:
            try:
                with begun.new_file("child") as file:
                    file.write("refused")
            except holdfast.ArtifactError:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0, "a child went on with the parent's draft"
    for process in processes:
        process.join()
        assert process.exitcode == 0, process
    thread.join()
    with begun.new_file("after") as file:
        file.write("after the fork")
    with holdfast.init(project="races") as run:
        run.log_artifact(begun).wait(120)
    print(sorted(begun.manifest.entries))
    print(sorted(int(a.version[1:]) for a in holdfast.Api().artifacts("dataset", f"races/{name}", per_page=1000)))

if __name__ == "__main__":
    main()
"""


def run_parent(host: SdkHost, how: str) -> None:
    script = host.folder / f"parent_{how}.py"
    script.write_text(PARENT)
    # Run as a file, since a spawned child imports it.
    code = "import runpy, sys; sys.argv = sys.argv[1:]; sys.path.insert(0, '.'); runpy.run_path(sys.argv[0], run_name='__main__')"
    done = host.run(code, script, how, fresh_name(), CHILDREN, EACH, timeout_s=TIME_LIMIT_S)
    assert done.returncode == 0, done.stderr
    entries, numbers = done.stdout.splitlines()
    assert entries == "['after', 'before']"
    assert numbers == str(list(range((CHILDREN + 1) * EACH)))


def test_forked_children_and_their_parent_log_at_the_same_time(host: SdkHost) -> None:
    run_parent(host, "fork")


def test_spawned_children_and_their_parent_log_at_the_same_time(host: SdkHost) -> None:
    run_parent(host, "spawn")
