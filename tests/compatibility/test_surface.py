"""Every name of the W&B Artifacts API is there, with its parameters in their order and with their defaults."""

import inspect
import re

import pytest

import holdfast
import holdfast.apis.public
from compatibility.documents import documented

_METHOD = re.compile(r"(\w+)\((.*)\)")


def _class(name: str) -> type:
    """Looks where `import holdfast as wandb` would be looked: at the top, then in `apis.public`."""
    if name == "apis.public.Run":
        return holdfast.apis.public.Run
    found = getattr(holdfast, name, None) or getattr(holdfast.apis.public, name)
    assert isinstance(found, type)
    return found


@pytest.mark.parametrize(("owner", "row"), list(documented("wandb_surface.txt")))
def test_the_name_is_there_as_documented(owner: str, row: str) -> None:
    method = _METHOD.fullmatch(row)
    name = method[1] if method else row.removesuffix(" = …")
    found = inspect.getattr_static(_class(owner), name)
    if method is None:
        assert isinstance(found, property) or not callable(found)
        if row.endswith(" = …") and isinstance(found, property):
            assert found.fset is not None
        return
    _check_parameters(getattr(_class(owner), name), method[2])


def _check_parameters(function: object, wanted: str) -> None:
    assert callable(function)
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]
    theirs = [text for text in wanted.split(", ") if text]
    ours = [_written(parameter) for parameter in parameters[: len(theirs)]]
    assert ours == [text if not text.endswith("=…") else own for text, own in zip(theirs, ours, strict=True)]
    # What we have more than they must not be in the way of their calls.
    for more in parameters[len(theirs) :]:
        assert more.default is not more.empty or more.kind in (more.VAR_KEYWORD, more.VAR_POSITIONAL)


def _written(parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"*{parameter.name}"
    if parameter.default is parameter.empty:
        return parameter.name
    return f"{parameter.name}={parameter.default!r}"
