"""Filling a draft: files, folders, references, objects; and taking them out again."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, Literal, cast

from holdfast._artifact_objects import ObjectPlace, StoredObject, encode_object, require_object
from holdfast._draft import Draft
from holdfast._local_file import digest_of_file, find_file
from holdfast._status_checks import ensure_not_finalized
from holdfast._version_links import VersionLinks
from holdfast._version_reading import patterns
from holdfast._warn_user import warn_user
from holdfast.manifest import ArtifactManifestEntry
from holdfast.references.handlers import AddedReference, ReferenceRequest
from holdfast.references.registration import default_handler
from holdfast_contract.paths import logical_path
from holdfastpb.daemon.v1 import log_pb2

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

Policy = Literal["mutable", "immutable"]
StrPath = str | os.PathLike[str]

_ROOT_NAMES = ("", ".", "./", "/")
"""What people write for "the root of the artifact"."""


class ArtifactFilling(VersionLinks):
    """Base of `Artifact`: what can be done to a draft before it is logged."""

    _lock: threading.RLock
    _draft: Draft | None
    _added_objects: dict[int, tuple[StoredObject, ArtifactManifestEntry]]

    @ensure_not_finalized
    @contextlib.contextmanager
    def new_file(
        self, name: str, mode: str = "x", encoding: str | None = None, policy: Policy = "mutable"
    ) -> Generator[IO[Any], None, None]:
        """Opens a temporary file that is added when it is closed without an exception.

        Args:
            name: path in the artifact.
            mode: as of `open`; "x" refuses a name that was added before, "w" replaces it.
            encoding: as of `open`.
            policy: accepted for compatibility; the file is read before this returns.

        Raises:
            ArtifactFinalizedError: after `log_artifact`.
            ValueError: the name is not allowed or, with "x", taken.
        """
        path = logical_path(name)
        overwrite = "x" not in mode
        if not overwrite and self._contents.has_path(path):
            raise ValueError(f"File with name {name!r} already exists at {path!r}")
        import tempfile  # 4 ms that most programs need not spend

        with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
            temporary = os.path.join(folder, os.path.basename(path))
            with open(temporary, mode, encoding=encoding) as file:
                try:
                    yield file
                except UnicodeEncodeError as error:
                    error.add_note(f"Hint: new_file({name!r}, encoding='utf-8') can hold any text.")
                    raise
            self.add_file(temporary, name=path, overwrite=overwrite)

    @ensure_not_finalized
    def add_file(
        self,
        local_path: str,
        name: str | None = None,
        is_tmp: bool | None = False,
        skip_cache: bool | None = False,
        policy: Policy | None = "mutable",
        overwrite: bool = False,
    ) -> ArtifactManifestEntry:
        """Adds one file.

        Args:
            local_path: a regular file, or a link to one.
            name: path in the artifact, relative, with "/"; default: the file's own name.
            is_tmp: give it a name made of its digest, so that two do not collide.
            skip_cache: accepted for compatibility; nothing is staged.
            policy: "mutable": when this returns the file has been read and may be changed.  "immutable": returns at once,
                the file is left alone until `wait()`.
            overwrite: replace an entry of the same path.

        Returns:
            The entry; its digest is asked for when somebody looks.

        Raises:
            ArtifactFinalizedError: after `log_artifact`.
            ValueError: no file, a bad path, or a path that has another content already.
            FileUnreadableError, FileChangedError: the file cannot be read, or is being written to.
        """
        file = find_file(local_path)
        path = logical_path(os.path.basename(file.path) if name is None else name)
        if is_tmp:
            folder, _, own_name = path.rpartition("/")
            own_name = ".".join([digest_of_file(file)[:20], *own_name.split(".")[1:]])
            path = f"{folder}/{own_name}" if folder else own_name
        return self._contents.add_file(file, path, mutable=_is_mutable(policy), overwrite=overwrite)

    @ensure_not_finalized
    def add_dir(  # noqa: PLR0913 - W&B's signatures, and what users have asked for
        self,
        local_path: str,
        name: str | None = None,
        skip_cache: bool | None = False,
        policy: Policy | None = "mutable",
        merge: bool = False,
        *,
        include: str | Iterable[str] | None = None,
        exclude: str | Iterable[str] | None = None,
        follow_symlinks: bool = True,
        path: str | None = None,
    ) -> None:
        """Adds all regular files below a folder; the daemon walks it.

        A file `.artifactignore` in any of its folders leaves out what it names, as `.gitignore` does for git.

        Args:
            local_path: an existing folder; at most 5,000,000 files.
            name: folder in the artifact; default: its root.
            skip_cache: accepted for compatibility; nothing is staged.
            policy: as of `add_file`; with "immutable" this takes milliseconds, whatever the folder holds.
            merge: replace entries of the same path.
            include: only files that match one of these patterns, written as in .gitignore, relative to the folder.
            exclude: not what matches one of these.
            follow_symlinks: False leaves symbolic links out.
            path: as `name`, which an old document of W&B's calls so.

        Raises:
            ArtifactFinalizedError: after `log_artifact`.
            ValueError: no folder, a bad path, or a path that has another content already.
            ArtifactError: a file cannot be read ("immutable": raised by a later call, or by `wait()`).
        """
        folder = os.path.abspath(os.fspath(local_path))
        if not os.path.isdir(folder):
            raise ValueError(f"Path is not a directory: {os.fspath(local_path)!r}")
        name = path if name is None else name
        prefix = "" if name is None or name in _ROOT_NAMES else logical_path(name)
        tree = log_pb2.AddTree(
            local_path=os.fsencode(folder),
            prefix=prefix,
            overwrite=merge,
            mutable=_is_mutable(policy),
            include=patterns("include", include),
            exclude=patterns("exclude", exclude),
            ignore_symlinks=not follow_symlinks,
        )
        self._contents.add_tree(tree)

    @ensure_not_finalized
    def add_reference(
        self,
        uri: ArtifactManifestEntry | str,
        name: StrPath | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> Sequence[ArtifactManifestEntry]:
        """Adds entries whose bytes stay where they are.

        Args:
            uri: of a file or folder (`file`), of an object or all objects below a folder (`s3`, `gs`, Azure's `https`), of what a web
                server serves (`http`, `https`), or of another artifact's entry, which may also be given itself; of any other
                scheme the URI alone is recorded.
            name: path in the artifact; default: the file's name, and the artifact's root for a folder.
            checksum: False takes the URI for the digest and reads nothing.
            max_objects: a folder with more files is refused; default 10,000,000.

        Returns:
            The entries.

        Raises:
            ArtifactFinalizedError: after `log_artifact`.
            ValueError: no URI, nothing there (`ReferenceMissingError`), more than `max_objects`, or a name is needed.
            CommError: the object's server refuses, or cannot be asked.
            MissingPackageError: a cloud's objects need a package that is not installed.
        """
        path = None if name is None else logical_path(name)
        if isinstance(uri, ArtifactManifestEntry):
            from holdfast.references.artifact_entry import taken_over

            found: Iterable[AddedReference] = [taken_over(uri, path)]
        elif "://" in uri:
            request = ReferenceRequest(cast("Artifact", self), uri, path, checksum, max_objects)
            found = default_handler().references(request)
        else:
            raise ValueError("References must be URIs. To reference a local file, use file://")
        return self._contents.add_references(found)

    @ensure_not_finalized
    def add(self, obj: StoredObject, name: StrPath, overwrite: bool = False) -> ArtifactManifestEntry:
        """Adds an object, such as a table, as the file `<name>.<type>.json` with what belongs to it beside it.

        The same object again gives its first entry, with a warning if the name is another one.  An object that was got from another
        artifact becomes an entry that is taken over from there; none of its bytes is sent.

        Args:
            obj: of one of the types that artifacts can hold.
            name: path in the artifact; `get` finds the object under it.
            overwrite: replace an entry of the same path, which otherwise stays and is returned.

        Raises:
            ArtifactFinalizedError: after `log_artifact`.
            TypeError: artifacts cannot hold such an object, or the name is no path.
        """
        value = require_object(obj)
        if not isinstance(name, str | os.PathLike):
            raise TypeError(f"name argument of Artifact.add expects a path in the artifact, not {name!r:.80}")
        with self._lock:
            known = self._added_objects.get(id(value))
            if known is None or overwrite:
                known = value, self._add_object(value, value.file_name(logical_path(name)), overwrite=overwrite)
                self._added_objects[id(value)] = known
            else:
                _warn_of_second_name(known[1].path, value, name)
            return known[1]

    def _add_object(self, value: StoredObject, path: str, *, overwrite: bool) -> ArtifactManifestEntry:
        if not overwrite:
            existing = self._contents.entry_at(path)
            if existing is not None:
                return existing
        for place in (value._source, value._target):
            if place is not None and place.artifact is not self and place.artifact.is_final and value._is_still(place):
                entry = place.artifact.manifest.entries[place.path]
                return self.add_reference(entry, path)[0]
        try:
            text = encode_object(value, cast("Artifact", self), path)
        finally:
            # Files that the object has made may go with it, also when it could not be added.
            self._contents.wait_for_parts()
        import tempfile  # 4 ms that most programs need not spend

        with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
            temporary = os.path.join(folder, os.path.basename(path))
            with open(temporary, "w", encoding="utf-8") as file:
                file.write(text)
            # Tables that belong to other objects have no name of their own, so their content gives them one.
            is_tmp = path.startswith("media/tables/")
            entry = self.add_file(temporary, name=path, is_tmp=is_tmp, overwrite=overwrite)
        value._target = ObjectPlace(cast("Artifact", self), entry.path)
        return entry

    def _add_part(self, local_path: str, path: str, digest: str) -> str:
        """Adds a file of an object whose digest is known, unless it is there; `add` waits for all files of an object at once."""
        if not self._contents.has_part(path, digest):
            self._contents.add_part(find_file(local_path), path, digest)
        return path

    def _add_small_part(self, read: Callable[[], bytes], path: str, digest: str) -> str:
        """As `_add_part`, of at most 64 KiB, which are read if they are needed."""
        self._contents.add_small_part(read, path, digest)
        return path

    def _has_part(self, path: str, digest: str | None = None) -> bool:
        return self._contents.has_part(path, digest)

    def __setitem__(self, name: str, item: StoredObject) -> None:
        self.add(item, name)

    @ensure_not_finalized
    def remove(self, item: StrPath | ArtifactManifestEntry) -> None:
        """Removes an entry, or everything below a folder.

        Raises:
            ArtifactFinalizedError: after `log_artifact`.
            FileNotFoundError: there is no such entry or folder.
        """
        path = item.path if isinstance(item, ArtifactManifestEntry) else logical_path(item)
        self._contents.remove(path)

    def get_added_local_path_name(self, local_path: str) -> str | None:
        """Returns the path in the artifact of a local file that was added to this object, or None."""
        return self._draft.local_name(local_path) if self._draft is not None else None

    @property
    def _contents(self) -> Draft:
        assert self._draft is not None, "only called where ensure_not_finalized has passed"
        return self._draft


def _warn_of_second_name(first: str, value: StoredObject, name: StrPath) -> None:
    second = value.file_name(logical_path(name))
    # Names below "media/" are given by objects to those that belong to them.
    if second != first and not second.startswith("media/"):
        warn_user(
            f"This object is in the artifact as {first!r} already, so {second!r} was not added; add a copy of it."
        )


def _is_mutable(policy: str | None) -> bool:
    if policy not in (None, "mutable", "immutable"):
        raise ValueError(f"Invalid policy `{policy}` specified. Policy may only be `mutable` or `immutable`.")
    return policy != "immutable"
