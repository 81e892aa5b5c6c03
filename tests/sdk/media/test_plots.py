"""`Plotly` and `Bokeh`: figures become JSON that they are made of again; JSON is read without their libraries."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import holdfast
from holdfast.errors import InvalidInputError

FIGURE = {"data": [{"type": "scatter", "x": [1, 2], "y": [3, 4]}], "layout": {"title": {"text": "é"}}}


def plotly_figure() -> Any:
    from plotly import graph_objects

    return graph_objects.Figure(graph_objects.Scatter(x=[1, 2], y=np.array([0.25, 4.0])))


def bokeh_figure() -> Any:
    from bokeh.plotting import figure

    plot = figure(title="a plot")
    plot.scatter([1, 2], np.array([0.25, 4.0]))
    return plot


# --- Plotly -----------------------------------------------------------------------------------------------------------


def test_a_figure_of_plotly_comes_back() -> None:
    plot = holdfast.Plotly(plotly_figure())
    assert plot.path.endswith(".plotly.json")
    (trace,) = plot.figure().data
    assert (trace.type, list(trace.x)) == ("scatter", [1, 2])
    again = holdfast.Plotly(plot.figure())
    assert again == plot
    assert plot == holdfast.Plotly(plotly_figure())


def test_json_of_a_figure_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.plotly.json"
    path.write_text(json.dumps(FIGURE))
    for plot in (holdfast.Plotly(FIGURE), holdfast.Plotly(path), holdfast.Plotly(str(path))):
        assert plot.content == FIGURE
        assert plot.figure().layout.title.text == "é"
        assert plot._repr_mimebundle_() == {"application/vnd.plotly.v1+json": FIGURE, "text/plain": repr(plot)}


@pytest.mark.filterwarnings("ignore:The converter attribute was deprecated")  # in Plotly
def test_a_figure_of_matplotlib_becomes_one_of_plotly() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2], [3, 4])
    for given in (figure, axes):
        plot = holdfast.Plotly.make_plot_media(given)
        assert isinstance(plot, holdfast.Plotly)
        assert list(plot.figure().data[0].y) == [3, 4]
    axes.imshow(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="containing images"):
        holdfast.Plotly(figure)


@pytest.mark.parametrize("given", [5, None, [1], object()])
def test_other_things_are_no_plotly(given: Any) -> None:
    with pytest.raises(ValueError, match="Logged plots must be plotly figures"):
        holdfast.Plotly(given)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", json.dumps(FIGURE), r"does not end in \.plotly\.json"),
        ("a.plotly.json", "no json", r"a\.plotly\.json cannot be read: it is no JSON"),
        ("a.plotly.json", "[]", r"a\.plotly\.json cannot be read: it is no figure of Plotly"),
    ],
)
def test_files_that_hold_no_figure_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        holdfast.Plotly(tmp_path / name)
    with pytest.raises(ValueError, match="has 'data', and this has not"):
        holdfast.Plotly({"layout": {}})


def test_json_that_plotly_does_not_take_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.plotly.json"
    path.write_text('{"data": [{"type": "no such trace"}]}')
    with pytest.raises(InvalidInputError, match=r"a\.plotly\.json cannot be read: Plotly does not take it"):
        holdfast.Plotly(path).figure()


# --- Bokeh ------------------------------------------------------------------------------------------------------------


def test_a_figure_of_bokeh_comes_back(tmp_path: Path) -> None:
    given = bokeh_figure()
    plot = holdfast.Bokeh(given)
    assert plot.path.endswith(".bokeh.json")
    path = tmp_path / "a.bokeh.json"
    path.write_bytes(Path(plot.path).read_bytes())
    by_path = holdfast.Bokeh(path)
    assert by_path == plot
    (root,) = by_path.b_obj.roots
    assert root.title.text == "a plot"
    source = root.renderers[0].data_source
    np.testing.assert_array_equal(source.data["y"], [0.25, 4.0])
    assert by_path.b_obj is by_path.b_obj


def test_a_figure_of_bokeh_is_taken_as_often_as_it_is_logged() -> None:
    figure = bokeh_figure()
    first, second = holdfast.Bokeh(figure), holdfast.Bokeh(figure)
    assert first == second
    assert first.content == second.content


def test_a_document_of_bokeh_is_taken() -> None:
    from bokeh.document import Document

    document = Document()
    document.add_root(bokeh_figure())
    plot = holdfast.Bokeh(document)
    assert plot.b_obj is document
    assert len(plot.content["roots"]) == 1


def test_a_document_that_bokeh_does_not_take_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.bokeh.json"
    path.write_text('{"roots": [{"type": "object", "name": "NoSuchModel", "id": "p1"}]}')
    with pytest.raises(InvalidInputError, match=r"a\.bokeh\.json cannot be read: Bokeh does not take it \("):
        _ = holdfast.Bokeh(path).b_obj


@pytest.mark.parametrize("given", [5, None, {"roots": []}, object()])
def test_other_things_are_no_bokeh(given: Any) -> None:
    with pytest.raises(TypeError, match="Bokeh constructor accepts Bokeh document/model or path"):
        holdfast.Bokeh(given)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"roots":[]}', r"does not end in \.bokeh\.json"),
        ("a.bokeh.json", "no json", r"a\.bokeh\.json cannot be read: it is no JSON"),
        ("a.bokeh.json", "{}", r"a\.bokeh\.json cannot be read: it is no document of Bokeh"),
    ],
)
def test_files_that_hold_no_document_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        holdfast.Bokeh(tmp_path / name)
