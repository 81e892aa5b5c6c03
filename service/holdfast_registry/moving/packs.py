"""Copies packs from one store into another; what is there already is not copied again.

Write order of a pack: read whole and checked · put into the target · read there and compared · published.  A crash leaves it absent, or
brought and not published; both are done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

from holdfast_contract.errors import PackError
from holdfast_contract.failpoints import failpoint
from holdfast_contract.pack import PackIndex, read_index, verify_frames
from holdfast_registry.blobstore.store import BlobStore, PackFile, PackGoneError, StoreUnavailableError
from holdfast_registry.blobstore.zstd import decompress
from holdfast_registry.database.copying import CopiedPack
from holdfast_registry.errors import RegistryError
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.moving.places import StorePlace
from holdfast_registry.moving.progress import Progress, mebibytes

PACKS_AT_ONCE = 4
"""Each takes up to 128 MiB of memory while it is compared."""


@dataclass(slots=True)
class PackReport:
    """What came of the packs."""

    copied: int = 0
    present: int = 0
    bytes_copied: int = 0
    problems: list[str] = field(default_factory=list)


class PackCopier:
    """Copies packs that serve."""

    def __init__(
        self, source: BlobStore, target: StorePlace, threads: FileThreads, progress: Progress, *, deep: bool
    ) -> None:
        """Puts it together.

        Args:
            source: has the packs.
            target: gets them.
            threads: to read and write in.
            progress: hears how far it is.
            deep: check the digest of every chunk, in the source and as it lies in the target, also of packs that are there already.
        """
        self._source = source
        self._target = target
        self._threads = threads
        self._progress = progress
        self._deep = deep
        self._report = PackReport()

    async def copy(self, packs: Sequence[CopiedPack]) -> PackReport:
        """Copies those that are not there; a pack that is damaged is named in the report, and not copied.

        Raises:
            StoreUnavailableError: a store does not answer; what was copied stays.
        """
        present = (await self._threads.run(self._target.store.list_names)).packs
        turns = asyncio.Semaphore(PACKS_AT_ONCE)
        total_bytes = sum(pack.size_bytes for pack in packs)
        done_bytes = 0

        async def one(pack: CopiedPack) -> None:
            nonlocal done_bytes
            async with turns:
                await self._note(pack, self._threads.run(self._copy_one, pack, pack.pack_id in present))
            done_bytes += pack.size_bytes
            self._progress.tell(f"packs: {mebibytes(done_bytes)} of {mebibytes(total_bytes)}")

        tasks = [asyncio.create_task(one(pack)) for pack in packs]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return self._report

    async def _note(self, pack: CopiedPack, work: Awaitable[bool]) -> None:
        name = pack.pack_id.hex()
        try:
            is_copied = await work
        except StoreUnavailableError:
            raise
        except PackGoneError:
            self._report.problems.append(f"pack {name}: it is gone from the source")
        except (PackError, RegistryError) as error:
            self._report.problems.append(f"pack {name}: {error.message}")
        else:
            self._report.copied += is_copied
            self._report.present += not is_copied
            self._report.bytes_copied += pack.size_bytes if is_copied else 0

    def _copy_one(self, pack: CopiedPack, listed: bool) -> bool:
        """Returns whether it was not there yet."""
        if listed and self._is_there(pack):
            return False
        self._write(pack, self._read(pack))
        failpoint("copy.after_pack")
        return True

    def _is_there(self, pack: CopiedPack) -> bool:
        opened = self._target.store.open_pack(pack.pack_id, whole=self._deep)
        if opened is None:
            return False
        with opened:
            if opened.size_bytes != pack.size_bytes:
                return False
            try:
                self._check(opened, pack)
            except PackError:
                return False  # it is copied anew, over what is there
        return True

    def _read(self, pack: CopiedPack) -> bytes:
        opened = self._source.open_pack(pack.pack_id, whole=True)
        if opened is None:
            raise PackGoneError(pack.pack_id.hex())
        with opened:
            self._check(opened, pack)
            return read_whole(opened)

    def _check(self, opened: PackFile, pack: CopiedPack) -> PackIndex:
        """Checks a pack's own checksum, and with `deep` every chunk.

        Raises:
            PackError: it is damaged.
        """
        index = read_index(opened.pread, opened.size_bytes, pack_id=pack.pack_id)
        if opened.size_bytes != pack.size_bytes:
            raise PackError(f"it has {opened.size_bytes} bytes instead of {pack.size_bytes}")
        if self._deep and (damaged := verify_frames(index, opened.view, decompress)):
            raise PackError(f"{len(damaged)} of its chunks do not have their digests")
        return index

    def _write(self, pack: CopiedPack, data: bytes) -> None:
        store = self._target.store
        store.discard(pack.pack_id)  # what an earlier try has left
        store.put(pack.pack_id, data)
        incoming = store.open_incoming(pack.pack_id)
        if incoming is None:
            raise PackError("it was written to the target and is not there")
        with incoming:
            self._check(incoming, pack)
            if self._target.reads_back and read_whole(incoming) != data:
                raise PackError("the target has other bytes than were written")
            incoming.publish()


def read_whole(opened: PackFile) -> bytes:
    """Returns all bytes of a pack."""
    parts: list[bytes] = []
    offset = 0
    while offset < opened.size_bytes and (part := opened.pread(offset, opened.size_bytes - offset)):
        parts.append(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
