"""Assembling applies a draft's records in their order: what is left is what one record after another would have left."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_contract.digest import file_digest
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import BASE_SEQ, Journal
from holdfast_daemon.journal.rows import IngestYield, JobRow
from holdfast_daemon.pipeline.assemble import merged_entries
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfastpb.daemon.v1.log_pb2 import JOB_STATE_DRAFT, AddFile, Record, Remove, SetExtra

JOB_ID = "ab" * 16
PATHS = ["a", "a.b", "d/a", "d/b", "d/e/a", "d/e/b", "d/e.b", "de/a"]
FOLDERS = ["d", "d/e", "de", "absent"]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite")
    yield made
    made.close()


def run_of(entries: dict[str, bytes]) -> bytes:
    columns = EntryColumns()
    for path in sorted(entries):
        columns.add_file(path, file_digest(entries[path]), len(entries[path]), None)
    return columns.to_segment().SerializeToString()


async def write(journal: Journal, records: list[Record], runs: dict[int, bytes]) -> None:
    await journal.open_job(JobRow(JOB_ID, "c", b"", JOB_STATE_DRAFT, 0, 0))
    await journal.append_records(JOB_ID, 1, [record.SerializeToString() for record in records], {}, "e")
    for seq, run in runs.items():
        await journal.store_yield(JOB_ID, seq, IngestYield(segments=[run]), "e")


def merged(journal: Journal) -> dict[str, bytes]:
    columns = merged_entries(journal.path, JOB_ID)
    return {path: bytes(columns.digest_at(row)) for row, path in enumerate(columns.paths)}


@pytest.mark.parametrize("seed", range(40))
async def test_removals_and_additions_count_in_the_order_of_their_records(journal: Journal, seed: int) -> None:
    chosen = random.Random(seed)
    expected = dict.fromkeys(chosen.sample(PATHS, 5), b"base") if seed % 2 else {}
    runs = {BASE_SEQ: run_of(expected)} if expected else {}
    records = []
    for seq in range(1, 25):
        if chosen.random() < 0.4:
            gone = chosen.choice(PATHS + FOLDERS)
            records.append(Record(remove=Remove(path=gone)))
            expected = {p: c for p, c in expected.items() if p != gone and not p.startswith(f"{gone}/")}
        else:
            path, content = chosen.choice(PATHS), b"%d" % seq
            records.append(Record(add_file=AddFile(path=path, overwrite=True)))
            runs[seq] = run_of({path: content})
            expected[path] = content
    await write(journal, records, runs)
    assert merged(journal) == {path: file_digest(content) for path, content in expected.items()}


@pytest.mark.parametrize("gone", ["d/a", "d"])
async def test_a_path_is_free_again_after_its_removal_and_only_then(journal: Journal, gone: str) -> None:
    added = Record(add_file=AddFile(path="d/a"))
    runs = {1: run_of({"d/a": b"1"}), 3: run_of({"d/a": b"2"})}
    await write(journal, [added, Record(remove=Remove(path=gone)), added], runs)
    assert merged(journal) == {"d/a": file_digest(b"2")}
    await journal.append_records(JOB_ID, 4, [added.SerializeToString()], {}, "e")
    await journal.store_yield(JOB_ID, 4, IngestYield(segments=[run_of({"d/a": b"3"})]), "e")
    with pytest.raises(HoldfastError) as caught:
        merged(journal)
    assert caught.value.reason is Reason.ALREADY_EXISTS


def extras(journal: Journal) -> dict[str, bytes]:
    columns = merged_entries(journal.path, JOB_ID)
    return {columns.paths[row]: extra for row, extra in columns.extras.items()}


def said(path: str, keys: bytes) -> Record:
    return Record(set_extra=SetExtra(path=path, extra_json=keys))


async def test_extras_are_those_of_the_entries_that_were_there_when_they_were_said(journal: Journal) -> None:
    records = [
        said("d", b'{"of":"folder"}'),
        Record(add_file=AddFile(path="d/later")),
        said("d/e/a", b'{"more":1,"of":"file"}'),
        Record(remove=Remove(path="d/b")),
        Record(add_file=AddFile(path="d/b")),
        said("absent", b'{"no":"one"}'),
    ]
    base = dict.fromkeys(["d.txt", "d/a", "d/b", "d/e/a"], b"base")
    await write(journal, records, {BASE_SEQ: run_of(base), 2: run_of({"d/later": b"l"}), 5: run_of({"d/b": b"new"})})
    assert extras(journal) == {"d/a": b'{"of":"folder"}', "d/e/a": b'{"of":"file","more":1}'}


async def test_extras_that_together_are_too_large_are_refused(journal: Journal) -> None:
    keys = [b'{"%s":"%s"}' % (name, b"x" * 40_000) for name in (b"a", b"b")]
    await write(journal, [said("f", one) for one in keys], {BASE_SEQ: run_of({"f": b"f"})})
    with pytest.raises(HoldfastError) as caught:
        extras(journal)
    assert caught.value.reason is Reason.INVALID_METADATA
