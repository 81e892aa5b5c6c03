"""Worker side of an export: cuts files again for chunks that are nowhere else, and keeps those that are wanted."""

from dataclasses import dataclass

from holdfast_contract.limits import DIGEST_BYTES
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.ingest_folder import SMALL_FILE_BYTES_MAX, SmallFilePacker
from holdfast_daemon.pipeline.ingest_large import LargeFileReader
from holdfast_daemon.pipeline.read_file import read_small
from holdfast_daemon.spool.pack_writer import PackTarget, PackWriter


@dataclass(frozen=True, slots=True)
class Source:
    """A file that an entry came from."""

    local_path: bytes
    path: str


@dataclass(frozen=True, slots=True)
class SourceTask:
    """Files to be cut again."""

    sources: list[Source]
    wanted: set[bytes]
    target: PackTarget


def read_sources(task: SourceTask) -> list[bytes]:
    """Returns the fragments of the packs with the wanted chunks; a file that is gone or has changed gives none.

    Raises:
        OSError: the packs cannot be written.
    """
    with PackWriter(task.target) as writer:
        packer = SmallFilePacker(writer)
        for source in task.sources:
            try:
                _, data = read_small(source.local_path, source.path, SMALL_FILE_BYTES_MAX)
                if data is not None:
                    packer.pack(data)
                else:
                    _read_large(source, task.wanted, writer)
            except HoldfastError:
                continue  # its chunks stay missing, which the caller says
        return writer.fragments()


def _read_large(source: Source, wanted: set[bytes], writer: PackWriter) -> None:
    reader = LargeFileReader(source.local_path)
    try:
        while (block := reader.next_block()) is not None:
            found = {block.digests[i : i + DIGEST_BYTES] for i in range(0, len(block.digests), DIGEST_BYTES)}
            reader.pack_block(block, found - wanted, writer)
            wanted -= found
    finally:
        reader.close()
