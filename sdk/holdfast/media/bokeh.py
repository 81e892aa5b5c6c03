"""Bokeh: a plot of Bokeh, kept as its document's JSON."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from holdfast.media.content_errors import unreadable
from holdfast.media.given_files import given_path, known_extension
from holdfast.media.json_text import first_line, json_bytes, read_json
from holdfast.media.media_file import Media
from holdfast.media.optional_package import load_package

EXTENSION = "bokeh.json"


class Bokeh(Media):
    """A plot of Bokeh.

    artifact["plot"] = holdfast.Bokeh(figure)
    document = run.use_artifact("plots:latest")["plot"].b_obj
    """

    log_type: ClassVar[str] = "bokeh-file"
    media_subdir: ClassVar[str] = "media/bokeh"

    _document: Any = None

    def __init__(self, data_or_path: Any) -> None:
        """Takes a plot.

        Args:
            data_or_path: a figure or another model of Bokeh, a document, or the path of a file that ends in `.bokeh.json`.

        Raises:
            TypeError: something else.
            ValueError: no such file, another name, or its content is no document.
        """
        super().__init__()
        path = given_path(data_or_path)
        if path is not None:
            if known_extension(path, (EXTENSION,)) is None:
                raise ValueError(f"{path!r} does not end in .{EXTENSION}, as files of Bokeh documents do")
            self._take_path(path)
            self.content  # noqa: B018 - tells a wrong file at once
        else:
            self._document = _as_document(data_or_path)
            content = self._document.to_json(deferred=False)
            # Bokeh wants to read each part before the first reference to it.
            self._take_bytes(json_bytes(content, sort_keys=False), f".{EXTENSION}")

    @property
    def content(self) -> dict[str, Any]:
        """The document's JSON; needs no Bokeh.

        Raises:
            MalformedObjectError: the artifact's file holds no document.
        """
        content = read_json(self)
        if not isinstance(content, dict) or "roots" not in content:
            raise unreadable(self._content, "it is no document of Bokeh, which has 'roots'")
        return content

    @property
    def b_obj(self) -> Any:
        """The `bokeh.document.Document`, which is made when first asked for.

        Raises:
            MalformedObjectError: the artifact's file holds no document.
            MissingPackageError: Bokeh is not installed.
        """
        if self._document is None:
            documents = load_package("bokeh.document", "a plot as an object of Bokeh")
            content = self.content
            try:
                self._document = documents.Document.from_json(content)
            except Exception as error:  # Bokeh raises whatever comes up in JSON that it does not know
                raise unreadable(self._content, f"Bokeh does not take it ({first_line(error)})") from error
        return self._document


def _as_document(value: Any) -> Any:
    # Whoever has a figure has imported its library; whoever has something else need not.
    if "bokeh" in sys.modules:
        document, model = load_package("bokeh.document", "Bokeh"), load_package("bokeh.model", "Bokeh")
        if isinstance(value, document.Document):
            return value
        if isinstance(value, model.Model):
            if value.document is not None and value.document.roots == [value]:
                return value.document  # which it was given when it was logged before
            made = document.Document()
            made.add_root(value)
            return made
    raise TypeError(
        f"Bokeh constructor accepts Bokeh document/model or path to Bokeh json file, not {type(value).__name__}"
    )
