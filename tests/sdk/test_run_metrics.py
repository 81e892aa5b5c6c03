"""What training scripts call beside artifacts: it runs, keeps the last values, and says so once."""

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest

import holdfast
from holdfast import _run_metrics
from holdfast._run_tables import run_table_name, tables_in
from holdfast.artifact import Artifact
from holdfast.errors import Error, UsageError
from holdfast.runs import Run
from support.fake_daemon import FakeDaemon

pytestmark = pytest.mark.usefixtures("places")


@pytest.fixture(autouse=True)
def told() -> Iterator[None]:
    """This process was told already."""
    _run_metrics._told.set()
    yield
    _run_metrics._told.clear()


def test_process_is_told_once() -> None:
    _run_metrics._told.clear()
    run = holdfast.init()
    with pytest.warns(UserWarning, match="Holdfast keeps artifacts, not metrics"):
        run.log({"loss": 1})
    run.log({"loss": 2})
    holdfast.init(reinit=True).watch(object())


def test_summary_and_history_keep_the_last_values() -> None:
    run = holdfast.init()
    run.log({"loss": 2.0, "accuracy": 0.1})
    holdfast.log({"loss": 1.0})
    assert dict(run.summary) == {"loss": 1.0, "accuracy": 0.1}
    assert (dict(run.history), run.history.row, run.history["loss"]) == ({"loss": 1.0}, {"loss": 1.0}, 1.0)
    run.summary["best"] = 3
    run.summary.update({"more": 4})
    holdfast.summary.last = 5
    assert (run.summary.best, run.summary["more"], run.summary.last) == (3, 4, 5)
    with pytest.raises(AttributeError, match="no key 'absent'"):
        run.summary.absent  # noqa: B018


def test_steps_are_counted() -> None:
    run = holdfast.init()
    assert (run.step, run.starting_step) == (0, 0)
    run.log({"a": 1})
    run.log({"a": 1}, commit=False)
    run.log({"b": 1})
    assert (run.step, dict(run.history)) == (2, {"a": 1, "b": 1})
    run.log({"a": 1}, step=7)
    run.log({"b": 1}, step=7)
    assert (run.step, dict(run.history)) == (7, {"a": 1, "b": 1})
    with pytest.warns(UserWarning, match="Step 3 is before step 7"):
        run.log({"a": 9}, step=3)
    assert run.summary.a == 1


def test_what_is_no_dict_of_texts_is_refused() -> None:
    run = holdfast.init()
    with pytest.raises(TypeError, match="must be passed a dictionary"):
        run.log([1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be strings"):
        run.log({1: 2})  # type: ignore[dict-item]


def test_history_step_of_an_artifact_is_the_last_step_that_has_values(daemon: FakeDaemon) -> None:
    run = holdfast.init(project="p")
    assert run.log_artifact(Artifact("a", "t")).wait().history_step is None
    for number in range(3):
        run.log({"loss": number})
    run.log_artifact(Artifact("b", "t")).wait()
    [_, session] = daemon.state.sessions.values()
    assert session.finalize is not None
    assert (session.finalize.has_history_step, session.finalize.history_step) == (True, 2)


def test_what_has_no_meaning_here_does_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = holdfast.init(project="p", config={"lr": 1})
        assert run.define_metric("loss", summary="min").name == "loss"
        run.watch(object(), log="all")
        run.unwatch()
        run.mark_preempting()
        assert (run.save("*.pt"), run.restore("model.pt"), run.display(), run.to_html()) == ([], None, False, "")
        assert run.status().sync_items_pending == 0
        assert (run.sweep_id, run.sweep_url, run.get_sweep_url(), run.resumed) == (None, None, None, False)
        assert (run.project_name(), run.config_static.lr) == ("p", 1)
        assert holdfast.define_metric("x").name == "x"
        holdfast.watch(object())
        holdfast.unwatch()
        holdfast.mark_preempting()
        assert holdfast.save() == []
        assert holdfast.login(key="secret") is True
        holdfast.require("core")
        holdfast.setup()
        holdfast.teardown()
    assert run.is_finished
    holdfast.init(project="p")
    with pytest.warns(UserWarning, match="Alert of run .*: late: the loss is NaN"):
        holdfast.alert("late", "the loss is NaN")


@pytest.mark.parametrize(
    "call",
    [
        lambda: holdfast.log({}),
        lambda: holdfast.log_model("x"),
        lambda: holdfast.use_model("x"),
        lambda: holdfast.link_model("x", "y"),
        lambda: holdfast.define_metric("x"),
        lambda: holdfast.watch(None),
        lambda: holdfast.save(),
        lambda: holdfast.alert("x"),
        lambda: holdfast.config.lr,
        lambda: holdfast.summary["x"],
        lambda: setattr(holdfast.config, "lr", 1),
        lambda: holdfast.config.update({}),
    ],
)
def test_nothing_of_a_run_works_before_init(call: object) -> None:
    assert callable(call)
    with pytest.raises(Error, match=r"You must call holdfast\.init\(\) before holdfast\."):
        call()


def test_config_and_summary_of_the_module_are_the_active_runs() -> None:
    with holdfast.init(config={"lr": 1}) as run:
        assert holdfast.config is run.config
        assert holdfast.summary is run.summary
    with pytest.raises(Error, match=r"holdfast\.config\.lr"):
        holdfast.config.lr  # noqa: B018


@pytest.mark.parametrize("method", ["log", "log_model", "use_model", "link_model", "link_artifact", "log_code"])
def test_finished_run_says_so(method: str) -> None:
    run: Run = holdfast.init()
    run.finish()
    arguments: dict[str, list[Any]] = {
        "log": [{}],
        "link_model": ["x", "y"],
        "link_artifact": [Artifact("a", "t"), "x"],
        "log_code": [],
    }
    with pytest.raises(UsageError, match=rf"Run \({run.id}\) is finished. The call to `{method}` will be ignored"):
        getattr(run, method)(*arguments.get(method, ["x"]))


def test_charts_and_histograms_are_taken() -> None:
    run = holdfast.init()
    table = holdfast.Table(columns=["x", "y"], data=[[1, 2]])
    plot = holdfast.plot
    charts = [
        *[make(table, "x", "y", title="t") for make in (plot.bar, plot.line, plot.scatter)],
        plot.histogram(table, "x", title="t"),
        plot.line_series(xs=[0, 1], ys=[[1, 2]], keys=["a"]),
        *[make([0, 1], [[0.1, 0.9], [0.7, 0.3]], labels=["a", "b"]) for make in (plot.pr_curve, plot.roc_curve)],
        plot.confusion_matrix(y_true=[0, 1], preds=[1, 1], class_names=["a", "b"]),
        holdfast.plot_table("wandb/line/v0", table, {"x": "x"}),
    ]
    counted = holdfast.Histogram([1, 2, 2, 5], num_bins=4)
    run.log({"charts": charts, "weights": counted, "given": holdfast.Histogram(np_histogram=([1, 2], [0, 1, 2]))})
    assert run.summary["charts"] == charts
    assert (counted.histogram, counted.bins) == ([1, 2, 0, 1], [1.0, 2.0, 3.0, 4.0, 5.0])
    for wrong in ({}, {"np_histogram": ([1, 2], [0, 1])}, {"sequence": [1], "num_bins": 600}):
        with pytest.raises(ValueError, match=r"Histogram|histogram|counts"):
            holdfast.Histogram(**wrong)


@pytest.mark.parametrize(
    ("key", "name"),
    [("t_1.x-y", "run-r-t_1.x-y"), ("eval/preds", "run-r-evalpreds-G3Temw"), ("a b", "run-r-ab-EjAA1A")],
)
def test_names_of_logged_tables_are_those_of_wandb(key: str, name: str) -> None:
    assert run_table_name("r", key) == name


def test_tables_are_found_wherever_log_takes_them() -> None:
    table = holdfast.Table(columns=["a"], data=[[1]])
    frame = pandas.DataFrame({"a": [1]})
    values = {
        "loss": 0.5,
        "t": table,
        "eval": {"deep": {"u": table}},
        "many": [table, table],
        "mixed": [table, 1],
        "f": frame,
    }
    assert [key for key, _ in tables_in(values)] == ["t", "u", "many", "many", "f"]
    assert [found for _, found in tables_in(values)] == [table] * 5


def test_a_key_that_no_file_can_have_is_changed_in_the_file(daemon: FakeDaemon) -> None:
    run = holdfast.init()
    for key in ("../up", "line\n", "x" * 300):
        run.log({key: holdfast.Table(columns=["a"])})
    assert [session.finalize is not None for session in daemon.state.sessions.values()] == [True] * 3


def test_disabled_run_logs_no_tables(daemon: FakeDaemon) -> None:
    holdfast.init(mode="disabled").log({"t": holdfast.Table(columns=["a"])})
    assert not daemon.state.sessions


def test_immutable_tables_are_logged_once_and_changes_are_warned_of(daemon: FakeDaemon) -> None:
    run = holdfast.init()
    table, free = (holdfast.Table(columns=["a"], data=[[1]], log_mode=mode) for mode in ("IMMUTABLE", "MUTABLE"))
    for _ in range(2):
        run.log({"t": table, "free": free})
    with pytest.warns(UserWarning, match="log will not take it again"):
        table.add_data(2)
    free.add_data(2)
    run.log({"t": table, "free": free, "again": copy.copy(table)})
    logged = [session.finalize for session in daemon.state.sessions.values()]
    assert [(one.collection, one.type) for one in logged if one is not None] == [
        (f"run-{run.id}-{key}", "run_table") for key in ("t", "free", "free", "again")
    ]


def test_columns_are_not_added_to_rows_that_were_logged_step_by_step(daemon: FakeDaemon) -> None:
    table = holdfast.Table(columns=["a"], data=[[1]], log_mode="INCREMENTAL")
    holdfast.init().log({"t": table})
    with pytest.raises(ValueError, match="logged step by step"):
        table.add_column("b", [2])
    assert table.columns == ["a"]
