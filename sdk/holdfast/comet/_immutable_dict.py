"""`ImmutableDict`: the metadata of what is logged."""

from __future__ import annotations

from typing import Any, NoReturn


class ImmutableDict(dict[str, Any]):
    """A dict that refuses every change; take `dict(it)` to have one that can be changed."""

    def _refuse(self, *_arguments: Any, **_more: Any) -> NoReturn:
        raise TypeError("object is immutable")

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[type[ImmutableDict], tuple[dict[str, Any]]]:
        return type(self), (dict(self),)
