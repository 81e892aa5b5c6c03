"""Html: a page, of a text or a file, that opens its links in new windows."""

from __future__ import annotations

import os
from html import escape
from typing import IO, ClassVar

from holdfast._warn_user import warn_user
from holdfast.media.content_errors import unreadable
from holdfast.media.given_files import read_given
from holdfast.media.media_file import Media

HEAD = '<base target="_blank"><link rel="stylesheet" type="text/css" href="https://app.wandb.ai/normalize.css" />'
"""What W&B puts into the heads of pages, so that both make equal files of equal pages."""
SHOWN_HEIGHT_PX = 400


class Html(Media):
    """A page.

    artifact["report"] = holdfast.Html("<h1>All is well</h1>")
    artifact["page"] = holdfast.Html("report.html", inject=False)
    """

    log_type: ClassVar[str] = "html-file"
    media_subdir: ClassVar[str] = "media/html"

    _html: str | None = None

    def __init__(
        self, data: str | os.PathLike[str] | IO[str] | IO[bytes], inject: bool = True, data_is_not_path: bool = False
    ) -> None:
        """Takes a page.

        Args:
            data: HTML; or the path of a file that ends in `.html`; or an opened file.
            inject: put a link to a style sheet into its head, and let its links open in new windows.
            data_is_not_path: a text is HTML even if there is a file of this name.

        Raises:
            ValueError: something else, no such file, or no UTF-8.
        """
        super().__init__()
        path = None if data_is_not_path else _path_of_page(data)
        if path is not None:
            self._take_path(path)
        elif isinstance(data, str):
            if data.endswith(".html") and "<" not in data and not data_is_not_path:
                warn_user(f"There is no file {data!r}, so this text is the page itself.")
            self._html = data
        elif hasattr(data, "read"):
            self._html = read_given(data).decode()
        else:
            raise ValueError(
                f"data must be a string or an io object, or the path of an existing .html file, not {data!r}."
            )
        if inject:
            self._html = with_head(self.html)
        if self._html is not None and (inject or path is None):
            self._take_bytes(self._html.encode(), ".html")

    @property
    def html(self) -> str:
        """The page as it is stored, with what was put into its head.

        Raises:
            MalformedObjectError: the artifact's file is no text in UTF-8.
        """
        if self._html is None:
            with self.open() as file:
                data = file.read()
            try:
                self._html = data.decode()
            except UnicodeDecodeError as error:
                raise unreadable(self._content, f"it is no text in UTF-8 ({error})") from error
        return self._html

    def _repr_html_(self) -> str:
        # Scripts run, as in W&B, but as those of a stranger: they see nothing of the notebook.
        page = escape(self.html)
        return f'<iframe sandbox="allow-scripts" srcdoc="{page}" width="100%" height="{SHOWN_HEIGHT_PX}"></iframe>'


def _path_of_page(data: object) -> str | None:
    if not isinstance(data, str | os.PathLike):
        return None
    path = os.fspath(data)
    return path if path.endswith(".html") and os.path.isfile(path) else None


def with_head(page: str) -> str:
    """Returns a page with W&B's lines at the beginning of its head, which is made if there is `<html>` without one."""
    if "<head>" in page:
        before, _, after = page.partition("<head>")
        joined = f"{before}<head>{HEAD}{after}"
    elif "<html>" in page:
        before, _, after = page.partition("<html>")
        joined = f"{before}<html><head>{HEAD}</head>{after}"
    else:
        joined = HEAD + page
    return joined.strip()
