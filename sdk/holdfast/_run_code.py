"""`log_code`: the files of a program as an artifact of type "code"."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator

from holdfast._run_models import RunModels
from holdfast.artifact import Artifact

CODE_TYPE = "code"

_OWN_FOLDERS = ("wandb", ".wandb", "holdfast", ".holdfast")
"""Where runs, downloads and the like of W&B and of ours lie in a working folder."""

PathFilter = Callable[[str, str], bool] | Callable[[str], bool]
"""Told the file's absolute path and, if it takes two arguments, the root."""


def is_program_file(path: str) -> bool:
    """Whether a file is Python code, a Dockerfile, or a list of requirements."""
    name = os.path.basename(path)
    return name.endswith(".py") or name.startswith("Dockerfile") or name == "requirements.txt"


def is_of_a_run(path: str, root: str) -> bool:
    """Whether a file lies in a folder in which runs leave files."""
    return os.path.relpath(path, root).split(os.sep, 1)[0] in _OWN_FOLDERS and os.sep in os.path.relpath(path, root)


class RunCode(RunModels):
    """Base of `Run`: code."""

    def log_code(
        self,
        root: str | None = ".",
        name: str | None = None,
        include_fn: PathFilter = is_program_file,
        exclude_fn: PathFilter = is_of_a_run,
    ) -> Artifact | None:
        """Logs the program's files as an artifact of type "code".

        Args:
            root: the folder that is looked through; None: the working folder.
            name: default: `source-<project>-<path of the program>`; characters that a name cannot have become "_".
            include_fn: files that are logged, by their path (and, if it takes two arguments, the root).
            exclude_fn: of those, files that are not.

        Returns:
            The artifact; None when there is no file to log, or the run is disabled.

        Raises:
            ValueError: no such folder.
            UsageError: the run is finished.
        """
        self._check_running("log_code")
        if self.disabled:
            return None
        folder = os.path.abspath(root or ".")
        if not os.path.isdir(folder):
            raise ValueError(f"root is not a directory: {root!r:.200}")
        artifact = Artifact._internal(name or f"source-{self.project}-{_program_path(folder)}", CODE_TYPE)
        is_included, is_excluded = _with_root(include_fn), _with_root(exclude_fn)
        count = 0
        for path in _files_below(folder):
            if is_included(path, folder) and not is_excluded(path, folder):
                artifact.add_file(path, name=os.path.relpath(path, folder))
                count += 1
        return self._log(artifact, [], [], use_after_commit=False) if count else None


def _files_below(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)
            if os.path.isfile(path):
                yield path


def _with_root(function: PathFilter) -> Callable[[str, str], bool]:
    """Returns a filter that takes two arguments, whatever the given one takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of some built-in functions nothing is known
        return lambda path, root: bool(function(path))  # type: ignore[call-arg]
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    takes_root = len(positional) > 1 or any(p.kind is p.VAR_POSITIONAL for p in positional)
    if takes_root:
        return lambda path, root: bool(function(path, root))  # type: ignore[call-arg]
    return lambda path, root: bool(function(path))  # type: ignore[call-arg]


def _program_path(folder: str) -> str:
    """The running program's path relative to the folder, or its name if it lies elsewhere; "notebook" when there is none."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main is None:
        return "notebook"
    path = os.path.abspath(main)
    return os.path.relpath(path, folder) if path.startswith(os.path.join(folder, "")) else os.path.basename(path)
