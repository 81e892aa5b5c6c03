"""`Html`: pages of texts, files and opened files, with W&B's lines in their heads."""

import io
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.errors import InvalidInputError

HEAD = '<base target="_blank"><link rel="stylesheet" type="text/css" href="https://app.wandb.ai/normalize.css" />'


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<h1>é</h1>", f"{HEAD}<h1>é</h1>"),
        ("<html><body>a</body></html>", f"<html><head>{HEAD}</head><body>a</body></html>"),
        ("<html><head><title>t</title></head></html>", f"<html><head>{HEAD}<title>t</title></head></html>"),
        ("  <head></head><head></head> ", f"<head>{HEAD}</head><head></head>"),
        ("", HEAD),
    ],
    ids=["fragment", "no head", "head", "two heads", "empty"],
)
def test_the_head_gets_its_lines(page: str, expected: str) -> None:
    html = holdfast.Html(page)
    assert html.html == expected
    assert Path(html.path).read_text(encoding="utf-8") == expected
    assert holdfast.Html(page, inject=False).html == page


def test_a_name_of_no_file_is_a_page_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"no file 'report.html'"):
        assert holdfast.Html("report.html", inject=False).html == "report.html"
    assert holdfast.Html("report.html", inject=False, data_is_not_path=True).html == "report.html"


def test_a_file_is_read_or_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("<p>ü</p>", encoding="utf-8")
    for given in (path, str(path)):
        assert holdfast.Html(given).html == f"{HEAD}<p>ü</p>"
        kept = holdfast.Html(given, inject=False)
        assert (kept.html, kept.path) == ("<p>ü</p>", str(path))
    assert holdfast.Html(str(path), inject=False, data_is_not_path=True).html == str(path)


def test_opened_files_are_read_from_their_beginning(tmp_path: Path) -> None:
    text, data = io.StringIO("<p>ü</p>"), io.BytesIO("<p>ü</p>".encode())
    text.read()
    assert (
        holdfast.Html(text, inject=False)
        == holdfast.Html(data, inject=False)
        == holdfast.Html("<p>ü</p>", inject=False)
    )


def test_equal_pages_are_equal() -> None:
    assert holdfast.Html("a") == holdfast.Html("a")
    assert holdfast.Html("a") != holdfast.Html("b")
    assert holdfast.Html("a") != "a"


@pytest.mark.parametrize("given", [5, None, Path("absent.html")])
def test_other_things_are_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="data must be a string or an io object"):
        holdfast.Html(given)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInputError, match=r"a\.html cannot be read: it is no text in UTF-8"):
        holdfast.Html(path)


def test_notebooks_show_the_page_as_a_stranger() -> None:
    shown = holdfast.Html('<p class="a">b & c</p>', inject=False)._repr_html_()
    page = "&lt;p class=&quot;a&quot;&gt;b &amp; c&lt;/p&gt;"
    assert shown == f'<iframe sandbox="allow-scripts" srcdoc="{page}" width="100%" height="400"></iframe>'
