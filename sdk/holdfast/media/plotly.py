"""Plotly: a plot of Plotly, kept as its figure's JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from holdfast.media.content_errors import unreadable
from holdfast.media.given_files import given_path, known_extension
from holdfast.media.json_text import first_line, json_bytes, read_json
from holdfast.media.media_file import Media
from holdfast.media.optional_package import load_package
from holdfast.media.pixels import is_figure

if TYPE_CHECKING:
    from holdfast.media.image import Image

EXTENSION = "plotly.json"
MIME_TYPE = "application/vnd.plotly.v1+json"


class Plotly(Media):
    """A plot of Plotly.

    artifact["plot"] = holdfast.Plotly(figure)
    figure = run.use_artifact("plots:latest")["plot"].figure()
    """

    log_type: ClassVar[str] = "plotly-file"
    media_subdir: ClassVar[str] = "media/plotly"

    def __init__(self, val: Any) -> None:
        """Takes a plot.

        Args:
            val: a figure of Plotly; one of matplotlib that can be made into one; its JSON as a dict; or the path of a file that ends
                in `.plotly.json`.

        Raises:
            ValueError: something else, no such file, another name, or its content is no figure.
            MissingPackageError: a figure of matplotlib needs Plotly, which is not installed.
        """
        super().__init__()
        path = given_path(val)
        if path is not None:
            if known_extension(path, (EXTENSION,)) is None:
                raise ValueError(f"{path!r} does not end in .{EXTENSION}, as files of Plotly figures do")
            self._take_path(path)
            self.content  # noqa: B018 - tells a wrong file at once
        else:
            self._take_bytes(json_bytes(_as_json(val)), f".{EXTENSION}")

    @classmethod
    def make_plot_media(cls, val: Any) -> Self | Image:
        """Returns a plot, or an `Image` of a figure of matplotlib that has pictures in it.

        Args:
            val: a figure of Plotly or matplotlib.

        Raises:
            ValueError: something else.
            MissingPackageError: a library that it needs is not installed.
        """
        if is_figure(val) and _has_images(_matplotlib_figure(val)):
            from holdfast.media.image import Image

            return Image(val)
        return cls(val)

    @property
    def content(self) -> dict[str, Any]:
        """The figure's JSON; needs no Plotly.

        Raises:
            MalformedObjectError: the artifact's file holds no figure.
        """
        content = read_json(self)
        if not isinstance(content, dict) or "data" not in content:
            raise unreadable(self._content, "it is no figure of Plotly, which has 'data'")
        return content

    def figure(self) -> Any:
        """Returns a new `plotly.graph_objects.Figure`.

        Raises:
            MalformedObjectError: the artifact's file holds no figure.
            MissingPackageError: Plotly is not installed.
        """
        figures = load_package("plotly.graph_objects", "a plot as an object of Plotly")
        content = self.content
        try:
            return figures.Figure(content)
        except ValueError as error:
            raise unreadable(self._content, f"Plotly does not take it ({first_line(error)})") from error

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {MIME_TYPE: self.content, "text/plain": repr(self)}


def _as_json(val: Any) -> Any:
    if isinstance(val, Mapping):
        if "data" not in val:
            raise ValueError("JSON of a Plotly figure has 'data', and this has not")
        return dict(val)
    if is_figure(val):
        figure = _matplotlib_figure(val)
        if _has_images(figure):
            raise ValueError(
                "Plotly does not currently support converting matplotlib figures containing images; use Image(figure)."
            )
        val = load_package("plotly.tools", "Plotly of a figure of matplotlib").mpl_to_plotly(figure)
    if not hasattr(val, "to_plotly_json"):
        raise ValueError(
            f"Logged plots must be plotly figures, or matplotlib plots convertible to plotly via mpl_to_plotly, not"
            f" {type(val).__name__}"
        )
    # Always by the same encoder: the one that Plotly prefers depends on what else is installed.
    return json.loads(val.to_json(engine="json"))


def _matplotlib_figure(val: Any) -> Any:
    """Returns the figure of what people pass: the figure, something in it, or `pyplot` itself."""
    if isinstance(val, ModuleType):
        return val.gcf()
    return val if hasattr(val, "axes") and hasattr(val, "savefig") else val.figure


def _has_images(figure: Any) -> bool:
    return any(axes.images for axes in figure.axes)
