"""References to what web servers serve."""

from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.errors import CommError, PermissionDeniedError, ReferenceChangedError, ReferenceMissingError
from holdfast.references.network import NetworkLimits
from holdfast.references.target_file import TargetFile
from support.http_server import WebFile, WebServer
from support.own_registry import free_port
from support.sdk_calls import download, log, new_artifact
from support.sdk_host import SdkHost
from support.trees import random_bytes, read_tree

QUICK = NetworkLimits(read_timeout_s=5, retries_max=2, retry_delay_max_s=0.01)


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


def refer(url: str, name: str | None = None) -> holdfast.Artifact:
    artifact = new_artifact()
    artifact.add_reference(url, name)
    return log(artifact)


def test_the_etag_is_the_digest(web: WebServer, tmp_path: Path) -> None:
    url = web.put("/data/train.csv", b"a,b\n", etag='"v1"')
    artifact = new_artifact()
    (entry,) = artifact.add_reference(f"{url}?token=x")
    assert (entry.path, entry.digest, entry.size) == ("train.csv", "v1", 4)
    assert (entry.ref, entry.extra) == (f"{url}?token=x", {"etag": '"v1"'})
    assert read_tree(download(log(artifact), tmp_path)) == {"train.csv": b"a,b\n"}


def test_weak_etags_are_kept_as_they_are_and_without_one_the_url_is_the_digest(web: WebServer) -> None:
    handler = holdfast.HTTPHandler()
    (weak,) = handler.store_path(None, web.put("/weak", b"x", etag='W/"1"'))
    assert weak.digest == 'W/"1"'
    (none,) = handler.store_path(None, web.put("/none", b"xyz"), name="there")
    assert (none.path, none.digest, none.size, none.extra) == ("there", web.url + "/none", 3, {})


def test_without_checksum_nobody_is_asked(web: WebServer) -> None:
    (entry,) = new_artifact().add_reference(f"{web.url}/x", checksum=False)
    assert (entry.digest, entry.ref, web.requests) == (entry.ref, f"{web.url}/x", [])


def test_a_url_without_a_file_name_needs_a_name(web: WebServer) -> None:
    web.put("/", b"page")
    with pytest.raises(ValueError, match="has no file name; pass name="):
        new_artifact().add_reference(f"{web.url}/")
    assert refer(f"{web.url}/", "page.html").get_entry("page.html").size == 4


def test_servers_without_head_and_redirections_are_understood(web: WebServer, tmp_path: Path) -> None:
    web.put("/real", b"content", etag='"1"')
    web.files["/real"].refuses_head = True
    web.files["/moved"] = WebFile(redirect_to="/real")
    artifact = refer(f"{web.url}/moved", "x")
    assert artifact.get_entry("x").digest == "1"
    assert read_tree(download(artifact, tmp_path)) == {"x": b"content"}


def test_a_redirection_to_a_local_file_is_not_followed(web: WebServer) -> None:
    web.files["/evil"] = WebFile(redirect_to="file:///etc/passwd")
    with pytest.raises(CommError, match="302"):
        new_artifact().add_reference(f"{web.url}/evil")


def test_refusals_are_told_apart(web: WebServer) -> None:
    with pytest.raises(ReferenceMissingError, match="404 Not Found"):
        new_artifact().add_reference(f"{web.url}/absent")
    web.files["/closed"] = WebFile(statuses=[403, 403])
    with pytest.raises(PermissionDeniedError, match=r"403 Forbidden.*session"):
        new_artifact().add_reference(f"{web.url}/closed")
    handler = holdfast.HTTPHandler(limits=QUICK)
    with pytest.raises(CommError, match="cannot be asked"):
        handler.store_path(None, f"http://127.0.0.1:{free_port()}/x")


def test_a_server_that_is_busy_for_a_moment_is_asked_again(web: WebServer, tmp_path: Path) -> None:
    web.put("/x", b"content", etag='"1"')
    web.files["/x"].statuses = [503, 429]
    artifact = refer(f"{web.url}/x")
    web.files["/x"].statuses = [502]
    assert read_tree(download(artifact, tmp_path)) == {"x": b"content"}
    web.files["/x"].statuses = [500] * 10
    with pytest.raises(CommError, match="500 Internal Server Error"):
        holdfast.HTTPHandler(limits=QUICK).store_path(None, f"{web.url}/x")


def test_a_download_that_breaks_off_goes_on_where_it_was(web: WebServer, tmp_path: Path) -> None:
    content = random_bytes(3 << 20)
    artifact = refer(web.put("/x", content, etag='"1"'))
    web.files["/x"].break_after = 2 << 20
    web.requests.clear()
    assert read_tree(download(artifact, tmp_path)) == {"x": content}
    assert [span for _, _, span in web.requests] == [None, f"bytes={2 << 20}-"]


def test_a_download_that_breaks_off_without_an_etag_begins_again(web: WebServer, tmp_path: Path) -> None:
    artifact = refer(web.put("/x", b"0123456789"))
    web.files["/x"].break_after = 5
    assert read_tree(download(artifact, tmp_path)) == {"x": b"0123456789"}


def test_a_part_is_not_taken_for_the_whole_where_the_server_tells_no_size(web: WebServer, tmp_path: Path) -> None:
    artifact = refer(web.put("/x", b"0123456789"))
    web.files["/x"].tells_size = False
    web.files["/x"].break_after = 5
    assert read_tree(download(artifact, tmp_path / "whole")) == {"x": b"0123456789"}
    web.files["/x"].body += b"and more"
    with pytest.raises(CommError, match="does not end"):
        holdfast.HTTPHandler(limits=QUICK).fetch(artifact.get_entry("x"), TargetFile(str(tmp_path / "more"), "x"))
    assert not read_tree(tmp_path / "more")


def test_a_file_that_changed_or_went_is_not_taken_for_the_old_one(web: WebServer, tmp_path: Path) -> None:
    artifact = refer(web.put("/x", b"old", etag='"1"'))
    plain = refer(web.put("/plain", b"old"))
    web.put("/x", b"new", etag='"2"')
    web.put("/plain", b"longer")
    with pytest.raises(ReferenceChangedError, match=r'recorded with ETag "1", 3 bytes, and has ETag "2"'):
        artifact.download(str(tmp_path))
    with pytest.raises(ReferenceChangedError, match="recorded with 3 bytes, and has ETag None and 6 bytes"):
        plain.download(str(tmp_path))
    web.files.clear()
    with pytest.raises(ReferenceMissingError, match="does not exist any more"):
        artifact.download(str(tmp_path))
    with pytest.warns(UserWarning, match="x was skipped"):
        artifact.download(str(tmp_path), allow_missing_references=True)
    assert read_tree(tmp_path) == {}


def test_a_session_of_the_users_sends_the_requests(web: WebServer) -> None:
    web.put("/x", b"content", etag='"1"')
    session = _Session(web)
    handler = holdfast.HTTPHandler(session, "http")
    (entry,) = handler.store_path(None, f"{web.url}/x")
    assert Path(handler.load_path(entry, local=True)).read_bytes() == b"content"
    assert session.urls == [f"{web.url}/x"] * 2


class _Session:
    """What `requests.Session` has of it that counts."""

    def __init__(self, web: WebServer) -> None:
        self.urls: list[str] = []

    def get(self, url: str, *, stream: bool, headers: dict[str, str], timeout: tuple[float, float]) -> Any:
        import urllib.request

        self.urls.append(url)
        opened = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout[1])
        return _Response(opened)


class _Response:
    def __init__(self, opened: Any) -> None:
        self.raw, self.headers, self.status_code, self.close = opened, opened.headers, opened.status, opened.close
