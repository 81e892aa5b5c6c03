"""A spool pack that several jobs share: nobody's bytes go before the registry has them for that job's entity."""

from collections.abc import Iterator

import pytest
from blake3 import blake3

from support.log_client import LogClient, LogSession, bytes_record
from support.processes import Host, running_host


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("shared")) as host:
        host.start()
        yield host


@pytest.fixture
def client(host: Host) -> Iterator[LogClient]:
    with LogClient(host.places) as client:
        yield client


def filled(client: LogClient, name: str) -> LogSession:
    """A draft with bytes that exist nowhere but in the spool."""
    session = LogSession(name)
    session.attach(client)
    session.send([bytes_record(f"{name}.txt", f"only here: {name}".encode() * 100)])
    session.until_ingested()
    return session


def committed_digest(client: LogClient, session: LogSession, entity: str) -> bytes:
    ended = client.wait(session.session_id)
    assert ended.HasField("version"), ended.error.message
    assert ended.version.entity == entity
    return client.entries(ended.version.version_id)[f"{session.collection}.txt"]


def test_jobs_of_three_entities_in_one_pack_are_all_committed(host: Host, client: LogClient) -> None:
    sessions = {entity: filled(client, f"into-{entity}") for entity in ("local", "team", "third")}
    for entity, session in sessions.items():  # one after the other: the others are drafts while the first is sent
        session.finalize(entity=entity)
        expected = blake3(f"only here: into-{entity}".encode() * 100).digest()
        assert committed_digest(client, session, entity) == expected
    assert host.fsck() == ""
    assert list(host.places.spool.iterdir()) == []


def test_a_draft_outlives_the_job_it_shared_a_pack_with_and_the_daemon(host: Host, client: LogClient) -> None:
    early, late = filled(client, "early"), filled(client, "late")
    early.finalize()
    committed_digest(client, early, "local")
    host.restart()
    with LogClient(host.places) as next_client:
        late.attach(next_client)
        late.finalize(entity="elsewhere")
        assert committed_digest(next_client, late, "elsewhere") == blake3(b"only here: late" * 100).digest()
    assert host.fsck() == ""
