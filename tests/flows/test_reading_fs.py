"""The fsspec file system: what is listed, what is read, what it costs, and that nothing is written."""

import errno
import faulthandler
import os
import pickle
import random
import tomllib
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import fsspec
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import dataset

import holdfast
from holdfast.fs import HoldfastFileSystem
from holdfast_contract.limits import KIB, MIB
from support.own_registry import OwnRegistry
from support.sdk_calls import PROJECT, fetched, log, log_folder, new_artifact
from support.sdk_host import SdkHost
from support.status import fetched_by
from support.trees import random_bytes, write_tree

TREE = {
    "top.txt": b"top",
    "data/a/1.bin": random_bytes(10, 1),
    "data/a/2.bin": random_bytes(300_000, 2),
    "data/b/3.bin": b"333",
    "data-2/4.bin": b"4444",
    "data/last": b"",
}
SOURCE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    own = OwnRegistry(tmp_path_factory.mktemp("registry"))
    own.start()
    yield own
    own.terminate()


@pytest.fixture(scope="module")
def host(registry: OwnRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHost]:
    """On a registry that is reached by TCP: whatever is read is transferred."""
    fsspec.register_implementation("holdfast", HoldfastFileSystem, clobber=True)
    with SdkHost(tmp_path_factory.mktemp("host"), registry.daemon_settings()).entered() as host:
        yield host


@pytest.fixture(scope="module")
def artifact(host: SdkHost, tmp_path_factory: pytest.TempPathFactory) -> holdfast.Artifact:
    return log_folder(write_tree(tmp_path_factory.mktemp("in"), TREE), "tree")


@pytest.fixture
def fs(artifact: holdfast.Artifact) -> HoldfastFileSystem:
    return HoldfastFileSystem(project=PROJECT, skip_instance_cache=True)


def test_fsspec_finds_it_by_its_entry_point() -> None:
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    module, _, name = project["entry-points"]["fsspec.specs"]["holdfast"].partition(":")
    assert getattr(import_module(module), name) is HoldfastFileSystem


@pytest.mark.parametrize("root", ["tree", "tree:latest", "tree:v0", f"{PROJECT}/tree:v0", f"local/{PROJECT}/tree:v0"])
def test_every_form_of_name_names_the_version(fs: HoldfastFileSystem, root: str) -> None:
    assert fs.ls(root, detail=False) == [f"{root}/data", f"{root}/data-2", f"{root}/top.txt"]
    assert fs.ls(f"holdfast://{root}/", detail=False) == fs.ls(root, detail=False)


def test_a_path_without_an_alias_needs_entity_and_project(fs: HoldfastFileSystem) -> None:
    assert fs.cat_file(f"local/{PROJECT}/tree/top.txt") == b"top"
    assert fs.cat_file("tree:latest/top.txt") == b"top"
    with pytest.raises(FileNotFoundError):
        fs.cat_file("tree/top.txt")


def test_listing_info_and_kinds(fs: HoldfastFileSystem, artifact: holdfast.Artifact) -> None:
    root = f"{PROJECT}/tree:v0"
    by_name = {info["name"]: (info["type"], info["size"]) for info in fs.ls(f"{root}/data")}
    assert by_name == {
        f"{root}/data/a": ("directory", 0),
        f"{root}/data/b": ("directory", 0),
        f"{root}/data/last": ("file", 0),
    }
    info = fs.info(f"{root}/data/a/2.bin")
    assert (info["size"], info["digest"]) == (300_000, artifact.get_entry("data/a/2.bin").digest)
    assert fs.ls(f"{root}/data/a/1.bin", detail=False) == [f"{root}/data/a/1.bin"]
    for path, is_file, is_dir in [("", False, True), ("/data", False, True), ("/top.txt", True, False)]:
        assert (fs.isfile(root + path), fs.isdir(root + path), fs.exists(root + path)) == (is_file, is_dir, True)
    for absent in (f"{root}/dat", f"{root}/data/a/3", f"{root}/top.txt/x", "tree:v7", "nothing:latest/x"):
        assert not fs.exists(absent)
        with pytest.raises(FileNotFoundError):
            fs.info(absent)
        with pytest.raises(FileNotFoundError):
            fs.ls(absent)


def test_find_walk_and_glob(fs: HoldfastFileSystem) -> None:
    root = f"{PROJECT}/tree:v0"
    assert fs.find(root) == sorted(f"{root}/{path}" for path in TREE)
    assert fs.find(f"{root}/data/a/1.bin") == [f"{root}/data/a/1.bin"]
    assert fs.find(f"{root}/absent") == []
    assert fs.find(root, maxdepth=2) == [f"{root}/{path}" for path in ("data-2/4.bin", "data/last", "top.txt")]
    folders = [name for name, info in fs.find(root, withdirs=True, detail=True).items() if info["type"] == "directory"]
    assert folders == [root, *(f"{root}/{path}" for path in ("data", "data-2", "data/a", "data/b"))]
    assert [(folder, sorted(files)) for folder, _, files in fs.walk(f"{root}/data")] == [
        (f"{root}/data", ["last"]),
        (f"{root}/data/a", ["1.bin", "2.bin"]),
        (f"{root}/data/b", ["3.bin"]),
    ]
    assert fs.glob(f"{root}/data/*/*.bin") == [f"{root}/data/{path}" for path in ("a/1.bin", "a/2.bin", "b/3.bin")]
    assert fs.glob(f"{root}/**/4.bin") == [f"{root}/data-2/4.bin"]
    assert fs.du(root) == sum(map(len, TREE.values()))


def test_files_are_read_whole_in_ranges_and_as_text(fs: HoldfastFileSystem, tmp_path: Path) -> None:
    root = f"{PROJECT}/tree:v0"
    data = TREE["data/a/2.bin"]
    path = f"{root}/data/a/2.bin"
    assert fs.cat([f"{root}/{name}" for name in TREE]) == {f"{root}/{name}": data for name, data in TREE.items()}
    assert (fs.cat_file(path, 5, 10), fs.cat_file(path, -10), fs.cat_file(path, 5, -5)) == (
        data[5:10],
        data[-10:],
        data[5:-5],
    )
    assert fs.cat_file(path, 10, 5) == b""
    starts = list(range(0, 300_000, 30_000))
    assert fs.cat_ranges([path] * 10, starts, [at + 100 for at in starts]) == [data[at : at + 100] for at in starts]
    assert fs.cat_ranges([path, path], 0, 3) == [data[:3]] * 2
    [error] = fs.cat_ranges([f"{root}/absent"], 0, 3)
    assert isinstance(error, FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges([f"{root}/absent"], 0, 3, on_error="raise")
    with fs.open(path) as file:
        assert (file.read(10), file.size) == (data[:10], len(data))
    with fsspec.open(f"holdfast://{root}/top.txt", "rt") as file:
        assert file.read() == "top"
    with pytest.raises(IsADirectoryError):
        fs.open(f"{root}/data")


def test_files_are_got_as_the_caller_names_them(fs: HoldfastFileSystem, tmp_path: Path) -> None:
    root = f"{PROJECT}/tree:v0"
    fs.get_file(f"{root}/data/a/2.bin", str(tmp_path / "deep/own name"))
    assert (tmp_path / "deep/own name").read_bytes() == TREE["data/a/2.bin"]
    assert os.listdir(tmp_path / "deep") == ["own name"]
    fs.get(f"{root}/data", str(tmp_path / "all"), recursive=True)
    assert (tmp_path / "all/b/3.bin").read_bytes() == b"333"
    assert (tmp_path / "all/last").read_bytes() == b""


def test_keys_change_with_the_content_and_times_are_the_versions(
    fs: HoldfastFileSystem, artifact: holdfast.Artifact
) -> None:
    root = f"{PROJECT}/tree:v0"
    assert fs.ukey(f"{root}/top.txt") == artifact.get_entry("top.txt").digest
    assert fs.checksum(f"{root}/top.txt") != fs.checksum(f"{root}/data/last")
    assert fs.created(f"{root}/top.txt") == fs.modified(root)
    assert abs(fs.created(root) - datetime.now(UTC)) < timedelta(hours=1)


def test_writing_is_refused_with_the_way_to_do_it(fs: HoldfastFileSystem, tmp_path: Path) -> None:
    root = f"{PROJECT}/tree:v0"
    write_tree(tmp_path, {"local": b"x"})
    for attempt in (
        lambda: fs.open(f"{root}/new", "wb"),
        lambda: fs.open(f"{root}/top.txt", "ab"),
        lambda: fs.pipe_file(f"{root}/new", b"x"),
        lambda: fs.put_file(str(tmp_path / "local"), f"{root}/new"),
        lambda: fs.rm(f"{root}/top.txt"),
        lambda: fs.mkdir(f"{root}/folder"),
        lambda: fs.mv(f"{root}/top.txt", f"{root}/new"),
        lambda: fs.touch(f"{root}/new"),
    ):
        with pytest.raises(OSError, match="log_artifact") as told:
            attempt()
        assert told.value.errno == errno.EROFS


def test_one_object_sees_one_version_of_an_alias_for_a_while(host: SdkHost, tmp_path: Path) -> None:
    log_folder(write_tree(tmp_path / "in", {"file": b"first"}), "moving")
    slow = HoldfastFileSystem(project=PROJECT, alias_ttl_s=3600.0, skip_instance_cache=True)
    quick = HoldfastFileSystem(project=PROJECT, alias_ttl_s=0.0, skip_instance_cache=True)
    assert slow.cat_file("moving:latest/file") == quick.cat_file("moving:latest/file") == b"first"
    log_folder(write_tree(tmp_path / "in", {"file": b"second", "more": b"+"}), "moving")
    assert slow.cat_file("moving:latest/file") == b"first"
    assert slow.find("moving:latest") == ["moving:latest/file"]
    assert slow.cat_file("moving:v1/file") == quick.cat_file("moving:latest/file") == b"second"


def test_references_are_listed_and_read_where_they_lie(host: SdkHost, tmp_path: Path) -> None:
    write_tree(tmp_path, {"there": b"0123456789"})
    draft = new_artifact("referring")
    draft.add_reference(f"file://{tmp_path / 'there'}", "here")
    log(draft)
    fs = HoldfastFileSystem(project=PROJECT, skip_instance_cache=True)
    assert fs.info("referring:v0/here")["ref"] == f"file://{tmp_path / 'there'}"
    assert (fs.cat_file("referring:v0/here"), fs.cat_file("referring:v0/here", 2, 5)) == (b"0123456789", b"234")
    fs.get_file("referring:v0/here", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == b"0123456789"


def test_it_is_pickled_and_shared_by_threads(fs: HoldfastFileSystem) -> None:
    copy = pickle.loads(pickle.dumps(fs))
    paths = [f"{PROJECT}/tree:v0/{path}" for path in TREE] * 10
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(copy.cat_file, paths)) == list(TREE.values()) * 10


def test_a_forked_child_reads_whatever_the_parents_threads_were_doing(fs: HoldfastFileSystem) -> None:
    equal = HoldfastFileSystem(project=PROJECT, skip_instance_cache=True)
    with fs._lock, equal._lock:
        child = os.fork()
        if not child:
            faulthandler.dump_traceback_later(40, exit=True)
            found = [one.cat_file("tree:latest/top.txt") for one in (fs, equal)]
            os._exit(0 if found == [b"top", b"top"] else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_versions_of_many_names_are_not_kept_for_ever(
    fs: HoldfastFileSystem, monkeypatch: pytest.MonkeyPatch, artifact: holdfast.Artifact
) -> None:
    monkeypatch.setattr("holdfast.fs.VERSIONS_MAX", 2)
    for alias in ("latest", "v0", artifact.digest):
        assert fs.isfile(f"tree:{alias}/top.txt")
    assert len(fs._versions) == 2


def test_a_folder_of_a_large_version_is_listed_without_the_rest(host: SdkHost, tmp_path: Path) -> None:
    many = {f"{number // 100:03}/{number:06}": b"" for number in range(12_000)}
    log_folder(write_tree(tmp_path / "in", many), "many")
    fs = HoldfastFileSystem(project=PROJECT, skip_instance_cache=True)
    whole = fetched_by(lambda: holdfast.Api().artifact(f"{PROJECT}/many:v0").manifest)
    part = fetched_by(lambda: fs.ls("many:v0/017"))
    assert 0 < part < whole / 2
    assert len(fs.ls("many:v0/017")) == 100
    assert fetched_by(lambda: [fs.info(path) for path in fs.ls("many:v0/017", detail=False)]) == 0


def test_one_mib_at_a_random_place_costs_at_most_three(host: SdkHost, tmp_path: Path) -> None:
    data = random_bytes(64 * MIB, 9)
    log_folder(write_tree(tmp_path / "in", {"large": data}), "large")
    fs = HoldfastFileSystem(project=PROJECT, skip_instance_cache=True)
    rng = random.Random(5)

    def seek_and_read() -> None:
        offset = rng.randrange(len(data) - MIB)
        with fs.open("large:v0/large") as file:
            file.seek(offset)
            assert file.read(MIB) == data[offset : offset + MIB]

    def range_of_it() -> None:
        offset = rng.randrange(len(data) - MIB)
        assert fs.cat_file("large:v0/large", offset, offset + MIB) == data[offset : offset + MIB]

    assert MIB < fetched_by(seek_and_read) <= 3 * MIB
    assert fetched_by(range_of_it) <= 3 * MIB


def test_two_of_fifty_columns_cost_two_columns(host: SdkHost, tmp_path: Path) -> None:
    rows, columns = 1 << 18, 50
    noise = random_bytes(rows * columns * 8, 11)
    table = pa.table(
        {
            f"c{number:02}": pa.Array.from_buffers(
                pa.int64(), rows, [None, pa.py_buffer(noise[rows * 8 * number : rows * 8 * (number + 1)])]
            )
            for number in range(columns)
        }
    )
    (tmp_path / "in").mkdir()
    pq.write_table(table, tmp_path / "in/wide.parquet", compression="none", use_dictionary=False)
    log_folder(tmp_path / "in", "wide")
    group = pq.ParquetFile(tmp_path / "in/wide.parquet").metadata.row_group(0)
    size = sum(group.column(number).total_compressed_size for number in (7, 31))
    assert size > 4 * MIB
    url = f"holdfast://{PROJECT}/wide:v0/wide.parquet"
    wanted = table.select(["c07", "c31"]).to_pandas()

    def read() -> None:
        pandas.testing.assert_frame_equal(pandas.read_parquet(url, columns=["c07", "c31"]), wanted)

    assert size <= fetched_by(read) <= 1.5 * size
    with HoldfastFileSystem(skip_instance_cache=True).open(url) as file:
        assert pq.ParquetFile(file).read_row_group(0, ["c49"]).column(0) == table["c49"]
    assert fetched_by(lambda: fetched(holdfast.Api().artifact(f"{PROJECT}/wide:v0"))) < 64 * KIB


def test_other_libraries_read_through_it(host: SdkHost, tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    (tmp_path / "in").mkdir()
    pq.write_table(table, tmp_path / "in/t.parquet")
    (tmp_path / "in/t.csv").write_text("a,b\n1,x\n2,y\n")
    with zipfile.ZipFile(tmp_path / "in/t.zip", "w") as archive:
        archive.writestr("inner", b"zipped" * 100_000)
    log_folder(tmp_path / "in", "mixed")
    fs = HoldfastFileSystem(project=PROJECT, skip_instance_cache=True)
    assert pq.read_table("mixed:v0/t.parquet", filesystem=fs) == table
    assert dataset.dataset("mixed:v0/t.parquet", filesystem=fs).to_table(columns=["b"]) == table.select(["b"])
    assert pandas.read_csv(f"holdfast://{PROJECT}/mixed:v0/t.csv")["b"].tolist() == ["x", "y"]
    # What torch.load does: a zip archive in a file that can be sought in.
    with fs.open("mixed:v0/t.zip") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("inner") == b"zipped" * 100_000


def test_polars_reads_through_it(host: SdkHost, tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    (tmp_path / "in").mkdir()
    frame.write_parquet(tmp_path / "in/t.parquet")
    log_folder(tmp_path / "in", "polar")
    fs = HoldfastFileSystem(project=PROJECT, skip_instance_cache=True)
    with fs.open("polar:v0/t.parquet") as file:
        assert polars.read_parquet(file, columns=["b"]).equals(frame.select("b"))


@pytest.mark.parametrize("path", ["", "holdfast://", "no name!/x"])
def test_what_names_no_artifact_is_not_found(path: str) -> None:
    with pytest.raises(FileNotFoundError):
        HoldfastFileSystem().ls(path)
