"""Copies the files that `file://` references point to, if they still are what was logged."""

import os
import stat
from urllib.parse import unquote_to_bytes, urlsplit

from blake3 import blake3

from holdfast_contract.digest import digest_of
from holdfast_contract.limits import MIB
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.fetch_tasks import Target
from holdfast_daemon.pipeline.target_tree import TargetTree, write_error

READ_BYTES = 8 * MIB


def local_path_of(uri: str) -> bytes | None:
    """Path that a `file://` URI names on this machine; None for every other URI."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    path = unquote_to_bytes(parts.path)
    return path if path.startswith(b"/") and b"\0" not in path else None


def stands_in_place(target: Target, path: str, uri: str, digest: str) -> bool:
    """Whether copying a referenced file would replace something that is not surely equal to it."""
    with TargetTree(target) as tree:
        return _exists(tree, path) and not (_is_checked(uri, digest) and _is_right(tree, path, digest))


def place_reference(target: Target, path: str, uri: str, digest: str, *, keep_others: bool = False) -> tuple[int, bool]:
    """Copies one referenced file into place.

    Args:
        target: where to.
        path: of the entry.
        uri: what it refers to.
        digest: of what was logged.
        keep_others: a file that is there stays as it is, whatever it holds.

    Returns:
        Its bytes, and whether it was right in place already.

    Raises:
        HoldfastError: REFERENCE_MISSING, REFERENCE_CHANGED, or what writing runs into.
    """
    source = local_path_of(uri)
    assert source is not None, "only references to files come here"
    checked = _is_checked(uri, digest)
    with TargetTree(target) as tree:
        if keep_others and _exists(tree, path):
            return 0, True
        if checked and _is_right(tree, path, digest):
            return 0, True
        descriptor = _open_source(source, uri, path)
        try:
            return _copy(tree, path, descriptor, digest if checked else None, uri), False
        except OSError as error:
            raise write_error(error, tree.shown(path)) from error
        finally:
            os.close(descriptor)


def _open_source(source: bytes, uri: str, path: str) -> int:
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        text = f"{path} refers to {uri}, which cannot be opened ({error.strerror}); put it back, or allow missing references"
        raise HoldfastError(Reason.REFERENCE_MISSING, text, path=path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        text = f"{path} refers to {uri}, which is not a regular file any more"
        raise HoldfastError(Reason.REFERENCE_CHANGED, text, path=path)
    return descriptor


def _is_checked(uri: str, digest: str) -> bool:
    """Without a checksum the URI's own digest is recorded, which says nothing about the bytes."""
    return digest != digest_of(uri.encode()).hex()


def _exists(tree: TargetTree, path: str) -> bool:
    try:
        found = tree.stat(path)
    except (OSError, HoldfastError):
        return False  # the write that follows names what is in the way
    return found is not None and not stat.S_ISDIR(found.st_mode)


def _is_right(tree: TargetTree, path: str, digest: str) -> bool:
    try:
        found = tree.stat(path)
        if found is None or not stat.S_ISREG(found.st_mode):
            return False
        with os.fdopen(tree.open_file(path), "rb") as file:
            return _hash_all(file.fileno()) == digest
    except (OSError, HoldfastError):
        return False  # the write that follows names what is in the way


def _hash_all(descriptor: int) -> str:
    hasher = blake3(max_threads=blake3.AUTO)
    while data := os.read(descriptor, READ_BYTES):
        hasher.update(data)
    return hasher.hexdigest()


def _copy(tree: TargetTree, path: str, source: int, digest: str | None, uri: str) -> int:
    _, temporary, descriptor = tree.create(path)
    hasher = blake3(max_threads=blake3.AUTO)
    total = 0
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            while data := os.read(source, READ_BYTES):
                hasher.update(data)
                view = memoryview(data)
                while view:
                    view = view[file.write(view) or 0 :]
                total += len(data)
        if digest is not None and hasher.hexdigest() != digest:
            text = f"{path} refers to {uri}, which is not what was logged (its digest is another one)"
            raise HoldfastError(Reason.REFERENCE_CHANGED, text, path=path)
        tree.publish(temporary, path)
    except BaseException:  # whatever ends this, no temporary file stays
        tree.discard(temporary, path)
        raise
    return total
