"""Every documented exception comes as its documented type, and says what is wrong with what, and what to do."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast import errors
from holdfast._job_calls import JobCalls
from holdfast._process import this_process
from holdfast.references.handlers import MultiHandler
from support.sdk_host import SdkHost

ArtifactManifest, Entry = holdfast.ArtifactManifest, holdfast.ArtifactManifestEntry


@dataclass
class World:
    """What the cases need."""

    run: holdfast.Run
    version: holdfast.Artifact
    """Two files: a, b; with the alias "best"."""
    link: holdfast.Artifact
    references: holdfast.Artifact
    """Of a file that is gone, and of a scheme that nobody knows."""
    folder: Path

    @property
    def draft(self) -> holdfast.Artifact:
        return holdfast.Artifact("draft", "dataset")

    @property
    def closed(self) -> holdfast.Artifact:
        artifact = self.draft
        artifact.finalize()
        return artifact

    def offline(self) -> holdfast.Run:
        return holdfast.init(mode="offline", project="exceptions", reinit="create_new")

    def held(self) -> holdfast.Artifact:
        return self.offline().log_artifact(self.draft)

    @contextmanager
    def paused(self) -> Iterator[holdfast.Artifact]:
        """Logged, and not to be committed before the end of the block."""
        artifact = holdfast.Artifact("paused", "dataset")
        artifact.add_file(str(self.folder / "a"))
        assert artifact.digest, "so the daemon knows of its job"
        jobs = JobCalls(this_process().daemon)
        jobs.pause()
        try:
            yield self.run.log_artifact(artifact)
        finally:
            jobs.resume()

    def wait_for_paused(self) -> None:
        with self.paused() as artifact:
            artifact.wait(timeout=0)

    def public_run(self) -> Any:
        return holdfast.Api().run(f"exceptions/{self.run.id}")

    def elsewhere(self) -> Any:
        """A stored run of another project."""
        with holdfast.init(project="elsewhere", reinit="create_new") as run:
            run.log_artifact(str(self.folder / "a"), name="x", type="dataset").wait()
        return holdfast.Api().run(f"elsewhere/{run.id}")


@pytest.fixture(scope="module")
def world(host: SdkHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("files")
    os.environ["HOLDFAST_ARTIFACT_DIR"] = str(folder / "artifacts")
    os.environ["HOLDFAST_PROJECT"] = "exceptions"
    for name in ("a", "b", "gone"):
        (folder / name).write_text(name)
    with holdfast.init(project="exceptions") as run:
        version = holdfast.Artifact("data", "dataset")
        version.add_file(str(folder / "a"))
        version.add_file(str(folder / "b"))
        run.log_artifact(version, aliases=["best"]).wait()
        link = version.link("exceptions/portfolio")
        references = holdfast.Artifact("references", "dataset")
        references.add_reference(f"file://{folder}/gone")
        with pytest.warns(UserWarning, match="cannot be checksummed"):
            references.add_reference("tape://vault/7", name="seven")
        run.log_artifact(references).wait()
        (folder / "gone").unlink()
        yield World(run, version, link, references, folder)


def consume(context: Any) -> None:
    with context:
        pass


def assign(target: object, name: str, value: object) -> None:
    setattr(target, name, value)


LOGGED_ONLY = [
    "entity",
    "project",
    "qualified_name",
    "version",
    "collection",
    "source_entity",
    "source_project",
    "source_qualified_name",
    "source_version",
    "source_collection",
    "linked_artifacts",
    "source_artifact",
    "url",
    "aliases",
    "tags",
    "commit_hash",
    "file_count",
    "created_at",
    "updated_at",
    "history_step",
    "ttl",
    "new_draft()",
    "download()",
    "checkout()",
    "verify()",
    "file()",
    "files()",
    "delete()",
    "used_by()",
    "logged_by()",
    "json_encode()",
    "unlink()",
    "wait()",
    "get_entry('x')",
    "get_path('x')",
    "get('x')",
    "aliases=[]",
    "tags=[]",
]
ASKED_FIRST = {"get_path": "get_entry", "qualified_name": "entity", "source_qualified_name": "source_entity"}
"""What needs it through something else."""


@pytest.mark.parametrize("use", LOGGED_ONLY)
def test_what_needs_a_logged_artifact_says_so(use: str) -> None:
    draft = holdfast.Artifact("draft", "dataset")
    name = use.partition("(")[0].partition("=")[0]
    name_in_message = ASKED_FIRST.get(name, name)
    with pytest.raises(errors.ArtifactNotLoggedError, match=r"Call Artifact\.wait\(\) before accessing") as caught:
        exec(f"draft.{use}", {"draft": draft})
    assert f"'Artifact.{name_in_message}' used prior to logging artifact" in str(caught.value)
    assert isinstance(caught.value, errors.ArtifactStatusError)
    assert isinstance(caught.value, AttributeError)
    assert (caught.value.name, caught.value.obj) == (name_in_message, draft)


CHANGES: list[Callable[[holdfast.Artifact], object]] = [
    lambda artifact: artifact.add_file("x"),
    lambda artifact: artifact.add_dir("x"),
    lambda artifact: artifact.add_reference("file://x"),
    lambda artifact: artifact.add(None, "x"),  # type: ignore[arg-type]
    lambda artifact: artifact.remove("x"),
    lambda artifact: consume(artifact.new_file("x")),
    lambda artifact: artifact.__setitem__("x", None),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(
    "change", CHANGES, ids=["add_file", "add_dir", "add_reference", "add", "remove", "new_file", "[]"]
)
def test_a_finalized_artifact_is_not_changed(change: Callable[[holdfast.Artifact], object], world: World) -> None:
    for artifact in (world.closed, world.version):
        with pytest.raises(errors.ArtifactFinalizedError, match="used on logged artifact") as caught:
            change(artifact)
        assert isinstance(caught.value, errors.ArtifactStatusError)
        assert isinstance(caught.value, AttributeError)


Call = Callable[[World], object]
Case = tuple[str, type[BaseException] | tuple[type[BaseException], ...], tuple[str, ...], Call]

MAKING: list[Case] = [
    ("name", ValueError, ("alphanumeric", "a/b"), lambda w: holdfast.Artifact("a/b", "t")),
    ("long name", ValueError, ("longer than 128",), lambda w: holdfast.Artifact("a" * 129, "t")),
    ("folder name", ValueError, ("Invalid artifact name", ".."), lambda w: holdfast.Artifact("..", "t")),
    ("type", ValueError, ("type", "a/b"), lambda w: holdfast.Artifact("a", "a/b")),
    ("reserved type", ValueError, ("'job'", "reserved", "different"), lambda w: holdfast.Artifact("a", "job")),
    ("internal type", ValueError, ("wandb-x", "reserved"), lambda w: holdfast.Artifact("a", "wandb-x")),
    ("keys", ValueError, ("100",), lambda w: holdfast.Artifact("a", "t", metadata=dict.fromkeys(map(str, range(101))))),
    ("infinity", ValueError, ("metadata",), lambda w: holdfast.Artifact("a", "t", metadata={"x": float("inf")})),
    ("list", TypeError, ("dict", "list"), lambda w: holdfast.Artifact("a", "t", metadata=[1])),  # type: ignore[arg-type]
    ("set", TypeError, ("set",), lambda w: holdfast.Artifact("a", "t", metadata={"x": {1}})),
    ("region", ValueError, ("storage_region",), lambda w: holdfast.Artifact("a", "t", storage_region=" ")),
    ("ttl", ValueError, ("positive",), lambda w: assign(w.draft, "ttl", timedelta(0))),
    ("ttl of a link", ValueError, ("link", "source_artifact"), lambda w: assign(w.link, "ttl", None)),
    ("alias", ValueError, ("'/', ':'", "a/b"), lambda w: assign(w.version, "aliases", ["a/b"])),
    ("logged alias", ValueError, ("'/', ':'", "a:b"), lambda w: w.run.log_artifact(w.draft, aliases=["a:b"])),
    ("tag", ValueError, ("Invalid tag(s)", "a/b"), lambda w: assign(w.version, "tags", ["a/b"])),
    ("tags", ValueError, ("20", "21"), lambda w: w.run.log_artifact(w.draft, tags=[f"t{n}" for n in range(21)])),
]

FILLING: list[Case] = [
    ("no file", ValueError, ("Path is not a file", "absent"), lambda w: w.draft.add_file("absent")),
    ("policy", ValueError, ("`mutable` or `immutable`",), lambda w: w.draft.add_file(str(w.folder / "a"), policy="x")),  # type: ignore[arg-type]
    ("same path", ValueError, ("same path twice", "'p'"), lambda w: add_twice(w)),
    ("no folder", ValueError, ("Path is not a directory", "absent"), lambda w: w.draft.add_dir("absent")),
    ("new file", ValueError, ("'f' already exists",), lambda w: new_file_twice(w)),
    ("object", TypeError, ("Found object of type", "int"), lambda w: w.draft.add(5, "x")),  # type: ignore[arg-type]
    ("no uri", ValueError, ("References must be URIs", "file://"), lambda w: w.draft.add_reference("/data")),
    ("no name", ValueError, ("You must pass name=", "tape://v/7"), lambda w: w.draft.add_reference("tape://v/7")),
    ("absent", ValueError, ("valid file or directory path",), lambda w: w.draft.add_reference("file:///absent/x")),
    (
        "objects",
        ValueError,
        ("Exceeded 1 obj", "max_objects"),
        lambda w: w.draft.add_reference(f"file://{w.folder}", max_objects=1),
    ),
    ("leaving path", ValueError, ("Invalid artifact path", "../x"), lambda w: w.draft.add_file(__file__, name="../x")),
    ("absolute", ValueError, ("Invalid artifact path", "/x"), lambda w: w.draft.add_file(__file__, name="/x")),
    ("removal", FileNotFoundError, ("absent",), lambda w: w.draft.remove("absent")),
    ("text", UnicodeEncodeError, (), lambda w: write_umlaut(w)),
]

READING: list[Case] = [
    ("entry", KeyError, ("Path not contained in artifact: absent",), lambda w: w.version.get_entry("absent")),
    ("old name", KeyError, ("Path not contained in artifact: absent",), lambda w: w.version.get_path("absent")),
    ("one file", ValueError, ("more than one file", ".download()"), lambda w: w.version.file()),
    (
        "extra file",
        ValueError,
        ("extra", "not a member of artifact data:v0"),
        lambda w: w.version.verify(changed(w, "extra", "x")),
    ),
    ("other bytes", ValueError, ("Digest mismatch for file: a",), lambda w: w.version.verify(changed(w, "a", "x"))),
    (
        "no bytes",
        (ValueError, FileNotFoundError),
        ("/a of data:v0 is not there",),
        lambda w: w.version.verify(changed(w, "a", None)),
    ),
    ("gone", (ValueError, FileNotFoundError), ("gone",), lambda w: w.references.get_entry("gone").download()),
    ("scheme", ValueError, ("tape://vault/7", "scheme"), lambda w: w.references.get_entry("seven").download()),
    (
        "target",
        ValueError,
        ("Only reference entries support ref_target()",),
        lambda w: w.version.get_entry("a").ref_target(),
    ),
    ("unlink", ValueError, ("is not a linked artifact", "delete instead"), lambda w: w.version.unlink()),
    ("link target", ValueError, ("target_path", "portfolio"), lambda w: w.version.link("a/b/c/d")),
    ("delete", errors.CommError, ("alias", "delete_aliases=True"), lambda w: w.version.delete()),
    (
        "timeout",
        (errors.WaitTimeoutError, errors.Error),
        ("timed out",),
        lambda w: w.wait_for_paused(),
    ),
    ("held", (errors.ArtifactNotLoggedError, AttributeError), ("'draft'", "holdfast sync"), lambda w: w.held().wait()),
    ("overwrite", ValueError, ("overwrite", "keep"), lambda w: w.version.download(overwrite="x")),  # type: ignore[arg-type]
]

MANIFESTS: list[Case] = [
    ("no version", ValueError, ("Must contain version field",), lambda w: ArtifactManifest.from_manifest_json({})),
    (
        "version",
        ValueError,
        ("Invalid manifest version",),
        lambda w: ArtifactManifest.from_manifest_json({"version": 9}),
    ),
    (
        "policy",
        ValueError,
        ("Failed to find storage policy 'x'",),
        lambda w: ArtifactManifest.from_manifest_json({"version": 1, "storagePolicy": "x"}),
    ),
    ("add_entry", ValueError, ("same path twice", "a"), lambda w: w.version.manifest.add_entry(Entry("a", "other"))),
    ("remove_entry", FileNotFoundError, ("'x'",), lambda w: w.version.manifest.remove_entry(Entry("x", "d"))),
    ("local path", OSError, ("absent",), lambda w: Entry("x", "d", local_path="absent")),
    ("parent", NotImplementedError, ("'x'",), lambda w: Entry("x", "d").parent_artifact()),
    (
        "tracking",
        ValueError,
        ("tape://v/7", "scheme"),
        lambda w: holdfast.TrackingHandler().load_path(Entry("x", "d", ref="tape://v/7"), local=True),
    ),
    (
        "no handler",
        ValueError,
        ("No storage handler registered", "tape://v/7"),
        lambda w: MultiHandler([]).load_path(Entry("x", "d", ref="tape://v/7")),
    ),
]

RUNS: list[Case] = [
    (
        "no path",
        ValueError,
        ("path must be a file, directory or external reference", "absent"),
        lambda w: w.run.log_artifact("absent"),
    ),
    ("no artifact", TypeError, ("Artifact or a path", "5"), lambda w: w.run.log_artifact(5)),  # type: ignore[arg-type]
    (
        "other type",
        ValueError,
        ("already exists with type 'dataset'", "'model'"),
        lambda w: w.run.log_artifact(holdfast.Artifact("data", "model")).wait(),
    ),
    (
        "other project",
        ValueError,
        ("exists in project 'exceptions'",),
        lambda w: run_of(project="other").log_artifact(w.version),
    ),
    (
        "other entity",
        ValueError,
        ("owned by entity 'local'",),
        lambda w: run_of(entity="other").log_artifact(w.version),
    ),
    (
        "offline use",
        TypeError,
        ("Cannot use artifact when in offline mode",),
        lambda w: w.offline().use_artifact("data"),
    ),
    (
        "offline link",
        NotImplementedError,
        ("offline mode", "holdfast sync"),
        lambda w: w.offline().link_artifact(w.version, "p"),
    ),
    ("offline model", RuntimeError, ("offline mode",), lambda w: w.offline().use_model("data")),
    (
        "wrong type",
        ValueError,
        ("type model does not match type dataset", "data:v0"),
        lambda w: w.run.use_artifact("data", type="model"),
    ),
    ("no name", ValueError, ("artifact name", "5"), lambda w: w.run.use_artifact(5)),  # type: ignore[arg-type]
    ("absent", errors.CommError, ("absent",), lambda w: w.run.use_artifact("absent")),
    ("upsert", TypeError, ("group", "distributed_id"), lambda w: w.run.upsert_artifact(w.draft)),
    ("finish", TypeError, ("group", "distributed_id"), lambda w: w.run.finish_artifact(w.draft)),
    ("no model", AssertionError, ("'model' artifacts",), lambda w: w.run.use_model("data")),
    (
        "model path",
        AssertionError,
        ("name of the registered model", "a/b"),
        lambda w: w.run.link_model(__file__, "a/b"),
    ),
    ("code", ValueError, ("not a directory", "absent"), lambda w: w.run.log_code("absent")),
    ("finished", errors.UsageError, ("is finished", "new run"), lambda w: finished_run().log_artifact(w.draft)),
]

API: list[Case] = [
    ("no name", (errors.CommError, ValueError), ("You must specify name=",), lambda w: holdfast.Api().artifact(None)),  # type: ignore[arg-type]
    (
        "parts",
        (errors.CommError, ValueError),
        ("Invalid artifact path", "a/b/c/d"),
        lambda w: holdfast.Api().artifact("a/b/c/d"),
    ),
    ("absent", errors.CommError, ("absent",), lambda w: holdfast.Api().artifact("exceptions/absent")),
    (
        "type",
        (errors.CommError, ValueError),
        ("'model'", "'dataset'"),
        lambda w: holdfast.Api().artifact("exceptions/data", type="model"),
    ),
    (
        "artifact type",
        errors.CommError,
        ("'absent'",),
        lambda w: holdfast.Api().artifact_type("absent", "exceptions").load(),
    ),
    (
        "collection",
        errors.CommError,
        ("absent",),
        lambda w: holdfast.Api().artifact_collection("dataset", "exceptions/absent"),
    ),
    ("run", errors.CommError, ("absent",), lambda w: holdfast.Api().run("exceptions/absent")),
    ("registry", errors.CommError, ("absent",), lambda w: holdfast.Api().registry("absent").load()),
    ("visibility", ValueError, ("visibility", "organization"), lambda w: holdfast.Api().create_registry("x", "all")),  # type: ignore[arg-type]
    (
        "order",
        (errors.CommError, ValueError),
        ("mood",),
        lambda w: holdfast.Api().artifacts("dataset", "exceptions/data", order="mood")[0],
    ),
    (
        "filter",
        (errors.CommError, ValueError),
        ("mood", "name"),
        lambda w: holdfast.Api().runs("exceptions", {"mood": 1})[0],
    ),
    ("name", ValueError, ("a/b",), lambda w: assign(w.version.collection, "name", "a/b")),
    ("reserved", ValueError, ("reserved",), lambda w: assign(w.version.collection, "type", "job")),
    (
        "portfolio",
        ValueError,
        ("Type can only be changed", "portfolio"),
        lambda w: assign(w.link.collection, "type", "model"),
    ),
    ("file", (errors.CommError, ValueError), ("a", "replace=True", "exist_ok=True"), lambda w: twice(w)),
    ("file deletion", errors.CommError, ("a",), lambda w: w.version.files()[0].delete()),
    (
        "draft used",
        errors.CommError,
        ("Only existing artifacts", "artifact put"),
        lambda w: w.public_run().use_artifact(w.draft),
    ),
    ("draft logged", errors.CommError, ("Only existing artifacts",), lambda w: w.public_run().log_artifact(w.draft)),
    ("text used", errors.CommError, ("'data'",), lambda w: w.public_run().use_artifact("data")),
    ("foreign", errors.CommError, ("different project",), lambda w: w.elsewhere().log_artifact(w.version)),
    ("pages", ValueError, ("per_page",), lambda w: holdfast.Api().artifacts("dataset", "exceptions/data", per_page=0)),
]


def add_twice(world: World) -> None:
    draft = world.draft
    draft.add_file(str(world.folder / "a"), name="p")
    draft.add_file(str(world.folder / "b"), name="p")


def new_file_twice(world: World) -> None:
    draft = world.draft
    consume(draft.new_file("f"))
    consume(draft.new_file("f"))


def write_umlaut(world: World) -> None:
    with world.draft.new_file("f", encoding="ascii") as file:
        file.write("ü")


def changed(world: World, name: str, text: str | None) -> str:
    """The version's folder with one file changed or removed."""
    root = Path(world.version.checkout(str(world.folder / "changed")))
    if text is None:
        (root / name).unlink()
    else:
        (root / name).write_text(text)
    return str(root)


def run_of(**place: Any) -> holdfast.Run:
    return holdfast.init(reinit="create_new", **place)


def finished_run() -> holdfast.Run:
    run = run_of(project="exceptions")
    run.finish()
    return run


def twice(world: World) -> None:
    file = world.version.files()[0]
    file.download(str(world.folder / "twice"))
    file.download(str(world.folder / "twice"))


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{group}: {case[0]}")
        for group, cases in {
            "making": MAKING,
            "filling": FILLING,
            "reading": READING,
            "manifests": MANIFESTS,
            "runs": RUNS,
            "api": API,
        }.items()
        for case in cases
    ],
)
def test_a_wrong_call_raises_the_documented_exception(case: Case, world: World) -> None:
    _, types, words, call = case
    wanted = types if isinstance(types, tuple) else (types,)
    with pytest.raises(wanted[0]) as caught:
        call(world)
    assert all(isinstance(caught.value, kind) for kind in wanted)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


@pytest.mark.parametrize("name", ["log_artifact", "use_artifact", "log_model", "use_model", "link_model", "log"])
def test_functions_of_the_module_need_a_run(host: SdkHost, name: str) -> None:
    holdfast.finish()
    with pytest.raises(errors.Error, match=rf"You must call holdfast\.init\(\) before holdfast\.{name}\(\)"):
        getattr(holdfast, name)("x", "y") if name == "link_model" else getattr(holdfast, name)("x")


def test_exceptions_are_found_where_scripts_look(host: SdkHost) -> None:
    code = "import holdfast as w; print(w.errors.CommError.__bases__ == (w.errors.Error,), w.errors.Error is w.Error)"
    assert host.run(code).stdout.split() == ["True", "True"]
