"""`holdfast artifact …` against a daemon and a registry of its own: what a script sees and may rely on."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from holdfast.cli.exit_codes import ExitCode
from holdfast.cli.main import app
from support.sdk_host import SdkHost

pytestmark = pytest.mark.usefixtures("host")


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `get` puts things by default."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("alpha\n")
    (folder / "deep" / "b.bin").write_bytes(bytes(200_000))
    return folder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def done(*arguments: object) -> Result:
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def as_json(*arguments: object) -> Any:
    return json.loads(done(*arguments, "--json").stdout)


def test_put_prints_the_line_that_uses_the_version(data: Path) -> None:
    assert done("artifact", "put", data, "-n", "line/cats").stdout == (
        'artifact = run.use_artifact("local/line/cats:v0")\n'
    )


def test_versions_are_put_listed_and_got_by_their_semantic_version(data: Path, working_folder: Path) -> None:
    first = as_json("artifact", "put", data, "-n", "semver/cats", "--semantic-version", "1.4.0")
    (data / "a.txt").write_text("other\n")
    second = as_json("artifact", "put", data, "-n", "semver/cats", "--bump", "minor")
    assert (first["semantic_version"], second["semantic_version"]) == ("1.4.0", "1.5.0")
    assert [line.split()[3:] for line in done("artifact", "ls", "local/semver/cats").stdout.splitlines()] == [
        ["KiB", "cats:v1", "1.5.0", "latest"],
        ["KiB", "cats:v0", "1.4.0"],
    ]
    listed = as_json("artifact", "ls", "local/semver/cats")
    assert [version["semantic_version"] for version in listed] == ["1.5.0", "1.4.0"]
    assert done("artifact", "get", "semver/cats:~1.4").stdout.strip() == str(working_folder / "artifacts" / "cats:v0")
    assert call("artifact", "put", data, "-n", "semver/cats", "--semantic-version", "1.4").exit_code == ExitCode.USAGE


def test_put_and_get_give_the_same_folder_back(data: Path, working_folder: Path) -> None:
    put = as_json("artifact", "put", data, "-n", "round/cats", "-a", "clean", "-d", "two files", "-t", "pictures")
    assert (put["version"], put["type"], put["description"]) == ("v0", "pictures", "two files")
    assert put["aliases"] == ["clean", "latest"]
    assert (put["entry_count"], put["size_bytes"]) == (2, 200_006)
    root = Path(done("artifact", "get", "round/cats:clean").stdout.strip())
    assert root == working_folder / "artifacts" / "cats:v0"
    assert (root / "a.txt").read_text() == "alpha\n"
    assert (root / "deep" / "b.bin").read_bytes() == bytes(200_000)


@pytest.mark.parametrize("policy", ["mutable", "immutable"])
def test_unchanged_data_makes_no_new_version(policy: str, data: Path) -> None:
    versions = {
        as_json("artifact", "put", data, "-n", f"again/{policy}", "--policy", policy)["version"] for _ in range(2)
    }
    assert versions == {"v0"}


def test_a_file_and_a_reference_can_be_put(data: Path) -> None:
    assert as_json("artifact", "put", data / "a.txt", "-n", "kinds/file")["size_bytes"] == 6
    reference = as_json("artifact", "put", (data / "a.txt").as_uri(), "-n", "kinds/reference")
    assert reference["entry_count"] == 1
    assert as_json("artifact", "info", "kinds/reference", "--files")["files"][0]["reference"].startswith("file://")


def test_put_without_a_name_takes_the_paths(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    assert as_json("artifact", "put", ".")["qualified_name"] == "local/uncategorized/data:v0"


def test_put_names_the_run_that_logs_it(data: Path) -> None:
    done("artifact", "put", data, "-n", "runs/cats", "--id", "my-run")
    assert as_json("artifact", "info", "runs/cats")["logged_by"] == "my-run"


def test_options_of_wandb_without_a_meaning_here_are_taken(data: Path) -> None:
    for _ in range(2):
        done("artifact", "put", data, "-n", "options/cats", "--id", "my-run", "--resume", "--skip_cache")
    assert as_json("artifact", "info", "options/cats")["logged_by"] == "my-run"
    assert "Reclaimed" in done("artifact", "cache", "cleanup", "--remove-temp", "1GB").stdout


def test_ls_prints_collections_as_wandb_does_and_versions_with_aliases(data: Path) -> None:
    done("artifact", "put", data, "-n", "list/cats")
    (data / "a.txt").write_text("beta\n")
    done("artifact", "put", data, "-n", "list/cats", "-a", "clean")
    done("artifact", "put", data, "-n", "list/dogs", "-t", "model")
    lines = done("artifact", "ls", "list").stdout.splitlines()
    assert [(line[:15].strip(), line[46:].strip()) for line in lines] == [("dataset", "cats:v1"), ("model", "dogs:v0")]
    assert [c["name"] for c in as_json("artifact", "ls", "local/list", "-t", "model")] == ["dogs"]
    versions = as_json("artifact", "ls", "local/list/cats")
    assert [(v["version"], v["aliases"]) for v in versions] == [("v1", ["clean", "latest"]), ("v0", [])]
    assert as_json("artifact", "ls", "local/list", "-t", "nothing") == []
    assert call("artifact", "ls", "local/list/birds").exit_code == ExitCode.NOT_FOUND


def test_info_lists_the_files_with_their_digests(data: Path) -> None:
    put = as_json("artifact", "put", data, "-n", "info/cats")
    info = as_json("artifact", "info", "info/cats:v0", "--files")
    assert info["digest"] == put["digest"]
    assert [(f["path"], f["size_bytes"]) for f in info["files"]] == [("a.txt", 6), ("deep/b.bin", 200_000)]
    assert "deep/b.bin" in done("artifact", "info", "info/cats", "--files").stdout


def test_verify_exits_4_when_a_byte_differs_or_a_file_is_missing_or_foreign(data: Path) -> None:
    done("artifact", "put", data, "-n", "verify/cats")
    assert done("artifact", "verify", "verify/cats", "--root", data).stdout == ""
    foreign = data / "foreign.txt"
    foreign.write_text("x")
    assert _refused("verify/cats", data) == ExitCode.DAMAGED
    foreign.unlink()
    (data / "a.txt").write_text("alphb\n")
    assert _refused("verify/cats", data) == ExitCode.DAMAGED
    (data / "a.txt").unlink()
    assert _refused("verify/cats", data) == ExitCode.DAMAGED
    assert _refused("verify/cats", data / "absent") == ExitCode.NOT_FOUND


def _refused(name: str, root: Path) -> int:
    result = call("artifact", "verify", name, "--root", root)
    assert result.stderr.startswith("error: ")
    return result.exit_code


def test_rm_deletes_one_version_and_guards_aliases(data: Path) -> None:
    done("artifact", "put", data, "-n", "rm/cats")
    guarded = call("artifact", "rm", "rm/cats:v0")
    assert (guarded.exit_code, "--delete-aliases" in guarded.stderr) == (ExitCode.FAILED, True)
    done("artifact", "rm", "rm/cats:v0", "--delete-aliases")
    assert call("artifact", "info", "rm/cats:v0").exit_code == ExitCode.NOT_FOUND


@pytest.mark.parametrize("command", ["get", "info", "verify", "rm"])
def test_what_is_not_there_exits_3_in_one_line(command: str) -> None:
    result = call("artifact", command, "absent/nothing:v7")
    assert (result.exit_code, result.stdout) == (ExitCode.NOT_FOUND, "")
    assert len(result.stderr.splitlines()) == 1


def test_a_type_that_the_collection_does_not_hold_is_refused(data: Path) -> None:
    done("artifact", "put", data, "-n", "types/cats", "-t", "dataset")
    assert call("artifact", "put", data, "-n", "types/cats", "-t", "model").exit_code != 0
    assert call("artifact", "get", "types/cats", "--type", "model").exit_code != 0


def test_status_tells_of_the_jobs_and_the_cache_can_be_trimmed(data: Path, host: SdkHost) -> None:
    done("artifact", "put", data, "-n", "status/cats")
    status = as_json("status")
    assert status["daemon"]["pid"] == int(host.places.daemon_lock.read_text())
    assert status["jobs"][0]["qualified_name"] == "local/status/cats"
    assert (status["jobs"][0]["state"], status["jobs"][0]["version"]) == ("committed", "v0")
    assert "local/status/cats:v0" in done("status").stdout
    assert as_json("cache", "trim", "0")["cache_bytes"] == 0


def test_ls_of_a_project_that_the_registry_does_not_know_is_not_found() -> None:
    listed = call("artifact", "ls", "nosuch")
    assert listed.exit_code == ExitCode.NOT_FOUND
    assert "nosuch" in listed.stderr


def test_verify_names_everything_that_is_wrong(data: Path, working_folder: Path) -> None:
    for number in range(6):
        (data / f"more{number}").write_text(str(number))
    done("artifact", "put", data, "-n", "line/wrong")
    folder = working_folder / "wrong"
    done("artifact", "get", "line/wrong", "--root", folder)
    (folder / "a.txt").write_text("omega\n")
    (folder / "deep" / "b.bin").unlink()
    for number in range(6):
        (folder / f"more{number}").write_text("?")
    (folder / "stranger").write_text("?")
    verified = call("artifact", "verify", "line/wrong", "--root", folder)
    assert verified.exit_code == ExitCode.DAMAGED
    assert "Digest mismatch for 7 files (a.txt, more0, more1, more2, more3 and 2 more)" in verified.stderr
    assert "b.bin of wrong:v0 is not there" in verified.stderr
    assert "Found file stranger which is not a member of artifact wrong:v0" in verified.stderr
