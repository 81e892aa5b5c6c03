"""What training scripts call beside artifacts."""

import pytest

from holdfast.comet import Experiment, _metrics

pytestmark = pytest.mark.usefixtures("places")


def test_metrics_are_taken_and_files_are_never_dropped() -> None:
    experiment = Experiment(disabled=True)
    _metrics._told.clear()
    with pytest.warns(UserWarning, match="keeps artifacts, not metrics"):
        experiment.log_metric("loss", 1.0, step=1)
    with experiment.train() as context:
        assert context is experiment
        experiment.log_metrics({"loss": 1.0}, epoch=1)
    with experiment.validate(), experiment.test():
        experiment.log_other("seed", 7)
        experiment.log_others({"seed": 7})
        experiment.log_text("hello", step=1)
    experiment.set_step(1)
    experiment.set_epoch(1)
    experiment.log_epoch_end(1)
    for name in ("log_asset", "log_model", "log_image"):
        with pytest.raises(AttributeError, match="add the file to an Artifact"):
            getattr(experiment, name)
    with pytest.raises(AttributeError, match=r"no attribute 'absent'$"):
        experiment.absent  # noqa: B018
