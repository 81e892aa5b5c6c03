"""Loads the libraries that types of objects need, when an object needs them."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from holdfast.errors import MissingPackageError


def load_package(module: str, needed_for: str, package: str | None = None) -> Any:
    """Returns a module of a library that comes with the extra `media`.

    Args:
        module: name to import, such as "PIL.Image".
        needed_for: what the user wanted, such as "Image", for the message.
        package: its name where one installs it; default: the first part of `module`.

    Raises:
        MissingPackageError: (an ImportError) it is not installed; the message has the command.
    """
    found = sys.modules.get(module)
    # Each image asks several times, and an import of what is there costs microseconds.  A module that another thread is
    # importing is half made, so that one is waited for.
    if found is not None and not getattr(found.__spec__, "_initializing", True):
        return found
    try:
        return import_module(module)
    except ImportError as error:
        name = package or module.partition(".")[0]
        raise MissingPackageError(f"{needed_for} needs {name}: pip install 'holdfast[media]'") from error
