"""A bundle as a file of this machine: made whole or not at all, and read without believing it.

Write order: a temporary name in the same folder → all of it → fsync → rename → fsync of the folder.  A crash leaves nothing under
the bundle's name, and perhaps a `.<name>.<random>.tmp` that nobody needs.
"""

import os
import stat
from collections.abc import Sequence
from itertools import pairwise, starmap
from operator import ge
from pathlib import Path

from google.protobuf.message import DecodeError

from holdfast_contract import os_layer
from holdfast_contract.bundle import BundleIndex, BundleWriter, read_bundle_index, read_bundled_pack
from holdfast_contract.digest import EMPTY_DIGEST
from holdfast_contract.errors import ContractError, PackDamagedError
from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import CHUNK_BYTES_MAX, DIGEST_BYTES
from holdfast_contract.pack import PACK_ID_BYTES, PackIndex, decode_frame
from holdfast_contract.reasons import Reason
from holdfast_daemon.codec import decompress
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.read_file import unreadable
from holdfastpb.common.v1.bundle_pb2 import CarriedVersion

Place = tuple[int, int, int, int]
"""Offset in the file, stored length, length, codec."""


def check_path(path: bytes) -> str:
    """Returns a path for the operating system.

    Raises:
        HoldfastError: INVALID_ARGUMENT: it is not absolute.
    """
    if not path.startswith(b"/") or b"\0" in path:
        raise HoldfastError(Reason.INVALID_ARGUMENT, f"the bundle's path {path!r} is not absolute")
    return os.fsdecode(path)


class NewBundle:
    """A bundle that is being written.  One thread at a time."""

    def __init__(self, path: str) -> None:
        """Begins the file.

        Raises:
            HoldfastError: ALREADY_EXISTS.
            OSError: its folder cannot be written.
        """
        self._path = Path(path)
        self._refuse_existing()
        self._temporary = self._path.with_name(f".{self._path.name}.{os.urandom(6).hex()}.tmp")
        self._descriptor = os_layer.create_new(self._temporary)
        self.writer = BundleWriter(self._append, os.urandom(PACK_ID_BYTES))

    def finish(self, versions: Sequence[bytes]) -> None:
        """Ends the file and gives it its name.

        Raises:
            FsyncError: the process must end.
            HoldfastError: ALREADY_EXISTS: somebody was faster.
        """
        self.writer.finish(versions)
        os_layer.fsync(self._descriptor)
        failpoint("bundle.before_name")
        self._refuse_existing()
        os_layer.rename(self._temporary, self._path)
        os_layer.fsync_folder(self._path.parent)
        failpoint("bundle.after_name")

    def close(self) -> None:
        """Lets go of the file; one that was not finished is removed."""
        os.close(self._descriptor)
        os_layer.unlink_if_exists(self._temporary)

    def _append(self, buffers: Sequence[bytes | memoryview]) -> None:
        os_layer.writev_all(self._descriptor, buffers)

    def _refuse_existing(self) -> None:
        if os.path.lexists(self._path):
            raise HoldfastError(
                Reason.ALREADY_EXISTS, f"{self._path} exists; choose another name", path=str(self._path)
            )


class BundleReader:
    """An existing bundle.  Not for the event loop; methods raise PackDamagedError when it is not whole."""

    def __init__(self, path: str) -> None:
        """Opens the file and checks its frame.

        Raises:
            HoldfastError: FILE_MISSING, FILE_UNREADABLE, FILE_NOT_REGULAR.
            PackDamagedError: it is no whole bundle.
        """
        self.path = path
        try:
            # Nothing but a regular file is opened for good: a pipe would hold us.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise unreadable(error, path) from error
        try:
            found = os.fstat(self._descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise HoldfastError(Reason.FILE_NOT_REGULAR, f"{path} is not a regular file, so no bundle", path=path)
            self.index: BundleIndex = read_bundle_index(self.pread, found.st_size)
        except BaseException:  # whatever it is, nobody else can close it
            os.close(self._descriptor)
            raise

    def __enter__(self) -> "BundleReader":
        """The reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self.close()

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)

    def pread(self, offset: int, length: int) -> bytes:
        """Bytes of the file."""
        try:
            return os.pread(self._descriptor, length, offset)
        except OverflowError:
            return b""  # no file has such an offset
        except OSError as error:
            raise unreadable(error, self.path) from error

    def version(self, number: int) -> CarriedVersion:
        """One of its versions."""
        if not 0 <= number < len(self.index.versions):
            text = f"{self.path} has {len(self.index.versions)} versions, and no number {number}"
            raise HoldfastError(Reason.INVALID_ARGUMENT, text)
        try:
            version = CarriedVersion.FromString(self.index.versions[number])
        except DecodeError as error:
            raise damaged(self.path, f"its version {number} cannot be decoded") from error
        for packs in (version.manifest_packs, version.content_packs):
            # Ascending: so there are no more of them than packs, and none is read twice.
            if any(starmap(ge, pairwise(packs))) or (packs and packs[-1] >= len(self.index.packs)):
                raise damaged(self.path, f"its version {number} names packs that cannot be")
        if len(version.manifest_root) != DIGEST_BYTES or version.manifest_root_bytes > CHUNK_BYTES_MAX:
            raise damaged(self.path, f"its version {number} has no manifest")
        if bool(version.manifest_root_bytes) == (version.manifest_root == EMPTY_DIGEST):
            raise damaged(self.path, f"its version {number} has no manifest")
        return version

    def pack_index(self, number: int) -> PackIndex:
        """The index of one pack."""
        return read_bundled_pack(self.pread, self.index.packs[number])

    def find(self, packs: Sequence[int], digests: Sequence[bytes]) -> dict[bytes, Place]:
        """Looks for a few chunks; one pack's index at a time is held."""
        wanted, found = set(digests), dict[bytes, Place]()
        for number in packs:
            if not wanted:
                break
            index = self.pack_index(number)
            column = bytes(index.digests)
            start = self.index.packs[number].offset
            offsets = index.offsets()
            for position in range(len(index)):
                digest = column[DIGEST_BYTES * position : DIGEST_BYTES * (position + 1)]
                if digest in wanted:
                    wanted.discard(digest)
                    stored, length = index.stored_lengths[position], index.lengths[position]
                    found[digest] = (start + offsets[position], stored, length, index.codecs[position])
        if wanted:
            raise damaged(self.path, f"{len(wanted)} chunks of a manifest are missing")
        return found

    def chunk(self, digest: bytes, place: Place) -> bytes:
        """A chunk, checked."""
        offset, stored_length, length, codec = place
        stored = self.pread(offset, stored_length)
        try:
            return bytes(decode_frame(stored, codec, length, digest, decompress))
        except ContractError as error:
            raise damaged(self.path, error.message) from error


def damaged(path: str, what: str) -> PackDamagedError:
    """What the user hears of a bundle that is not what it says."""
    return PackDamagedError(f"the bundle {path} is damaged: {what}; copy or export it again")
