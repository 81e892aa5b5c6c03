"""kill -9 at every place of a distributed version's way: the calls are repeated, and one whole version comes of it."""

from __future__ import annotations

import pytest

from holdfast_registry.failpoint_names import FAILPOINTS
from holdfast_registry.fsck import check_store
from registry.client import content_of, new_request_id
from registry.processes import RegistryProcess
from registry.test_crashes import StubbornWriter

PARTS = [{f"{writer}/{name}": f"{writer} {name}".encode() for name in "ab"} for writer in range(2)]


@pytest.mark.parametrize("place", [name for name in FAILPOINTS if name.startswith(("part.", "finish."))])
def test_version_is_whole_after_a_kill(any_registry: RegistryProcess, place: str) -> None:
    any_registry.set_environment({"HOLDFAST_FAILPOINTS": f"{place}=kill"})
    any_registry.start()
    writer = StubbornWriter(any_registry)
    for number, files in enumerate(PARTS):
        content, begin_id, part_id = content_of(files), new_request_id(), new_request_id()
        begun = writer.insist(lambda client, n=number, i=begin_id: client.begin_part("c", "d", f"w{n}", id=i))
        writer.insist(lambda client, b=begun, c=content: client.bring(b.lease.lease_id, c.chunks))
        writer.insist(lambda client, b=begun, c=content, i=part_id: client.add_part(b, c, id=i))
    request_id = new_request_id()
    finished = writer.insist(lambda client: client.finish("c", "d", id=request_id))
    assert writer.restarts == 1, "the place was not passed"
    whole = {path: data for files in PARTS for path, data in files.items()}
    assert (finished.created, finished.version.digest) == (True, content_of(whole).artifact_digest)
    writer.insist(lambda client: client.log_files("c", {"next": b"1"}))
    if any_registry.database_url is None:
        report = check_store(any_registry.data_dir, deep=True)
        assert report.is_clean, report.findings
