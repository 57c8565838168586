import numpy as np
import pytest
import torch

from offramp.bundle import Bundle
from offramp.errors import DataError, InputError, UnknownNameError
from offramp.evaluation import evaluate
from offramp.load.arrays import open_array
from offramp.sources import Source
from offramp.uncertainty.calibration_error import calibration_error
from offramp.uncertainty.scores import brier, negative_log_likelihood
from tests.builds import SAMPLES, bundle, images
from tests.sources import Drawn
from tests.toys import CNN, untouched

LABELS = np.arange(SAMPLES) % 5


def own(labels: np.ndarray | None = None) -> Source:
    return open_array(images(), labels, None, "Tensor")


def other(samples: int = 60, labels: np.ndarray | None = None) -> Source:
    return open_array(images(samples, seed=9), labels, None, "other")


def test_figures_are_those_of_running_sample_by_sample() -> None:
    data, truth = images(60, seed=9), np.arange(60) % 5
    found = evaluate(bundle(), other(60, truth), batch_sizes=())
    with torch.no_grad():
        plain = CNN.model()(data).argmax(1).numpy()
    assert (found.samples, found.part) == (60, "all")
    assert found.accuracy == pytest.approx((plain == truth).mean())
    assert [point.name for point in found.points] == [point.name for point in bundle().points]
    for point in found.points:
        fast = bundle().use(point.name)
        outcomes = [fast(data[i : i + 1]) for i in range(60)]
        exits = [int(outcome.exit_index[0]) for outcome in outcomes]
        answers = np.array([int(outcome.output[0].argmax()) for outcome in outcomes])
        assert point.exit_share == pytest.approx([exits.count(e) / 60 for e in range(7)])
        assert point.agreement == pytest.approx((answers == plain).mean())
        assert point.accuracy == pytest.approx((answers == truth).mean())
        assert point.accuracy_drop == pytest.approx(100 * ((plain == truth).mean() - (answers == truth).mean()))
        enabled = np.array(bundle().point(point.name).configuration.enabled)
        cost = bundle().cost.leaving(enabled)[exits].mean() / bundle().cost.backbone
        assert point.cost_ratio == pytest.approx(cost)
        assert point.bound == bundle().point(point.name).bound
        assert point.time_ratio == {}


def test_on_the_data_of_the_build_only_the_report_part_is_used() -> None:
    found = evaluate(bundle(), own(), batch_sizes=())
    assert (found.part, found.samples) == ("report", len(bundle().splits["report"]))
    for point, promised in zip(found.points, bundle().report, strict=True):
        assert point.cost_ratio == pytest.approx(promised.cost)
        assert point.agreement == pytest.approx(1.0 - promised.loss)
        assert point.exit_share == pytest.approx(promised.exit_share)
    assert evaluate(bundle(), own(), part="choose", batch_sizes=()).samples == len(bundle().splits["choose"])
    assert evaluate(bundle(), own(), part="all", batch_sizes=()).samples == SAMPLES


def test_the_oracle_leaves_at_the_first_exit_that_agrees() -> None:
    found = evaluate(bundle(), other(), batch_sizes=())
    assert 0.0 < found.oracle_cost <= 1.1
    assert found.points[0].name == "full"
    assert found.points[0].agreement == 1.0
    assert found.points[0].cost_ratio == pytest.approx(1.0)


def test_labels_are_read_as_asked() -> None:
    labelled = Drawn(images(40, seed=9), given=np.arange(40) % 5)
    assert evaluate(bundle(), labelled, labels=False, batch_sizes=()).accuracy is None
    assert labelled.label_reads == 0
    assert evaluate(bundle(), labelled, batch_sizes=()).accuracy is not None
    assert evaluate(bundle(), other(), batch_sizes=()).accuracy is None
    with pytest.raises(DataError, match="labels"):
        evaluate(bundle(), other(), labels=True, batch_sizes=())


def answers_of(name: str, data: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities of running, and where samples left."""
    outcome = bundle().use(name)(data)
    return outcome.output.softmax(1).numpy(), outcome.exit_index.numpy()


@pytest.mark.parametrize("labelled", [True, False])
def test_calibration_is_that_of_what_the_run_loop_answers(labelled: bool) -> None:
    data, truth = images(60, seed=9), np.arange(60) % 5
    found = evaluate(bundle(), other(60, truth if labelled else None), batch_sizes=())
    assert found.against == ("labels" if labelled else "backbone")
    with torch.no_grad():
        plain = CNN.model()(data)
    target = truth if labelled else plain.argmax(1).numpy()
    for point in found.points:
        said, _ = answers_of(point.name, data)
        assert point.ece == pytest.approx(calibration_error(said, target).expected, abs=1e-4)
        assert point.brier == pytest.approx(brier(said, target), abs=1e-4)
        assert point.nll == pytest.approx(negative_log_likelihood(said, target), abs=1e-4)
        assert point.reliability is not None
        assert sum(point.reliability.count) == 60
    assert len(found.exits) == len(bundle().manifest.exits) + 1
    own = calibration_error(plain.softmax(1).numpy(), target).expected
    assert found.exits[-1].error == pytest.approx(own, abs=1e-4)


def test_prediction_sets_are_those_of_the_run_loops_answers() -> None:
    """General, by hand: the k-th smallest score on the certify part, and who is below it on the report part."""
    found = evaluate(bundle(), own(), points=["fastest"], batch_sizes=(), conformal=0.2)
    assert found.sets is not None
    assert (found.sets.calibrated, found.sets.tested) == tuple(len(bundle().splits[p]) for p in ("certify", "report"))
    score = {}
    for part in ("certify", "report"):
        data = images()[bundle().splits[part]]
        said, exits = answers_of("fastest", data)
        with torch.no_grad():
            plain = CNN.model()(data).argmax(1).numpy()
        score[part] = 1 - said, plain, exits
    scores, plain, _ = score["certify"]
    own_scores = np.sort(scores[np.arange(len(plain)), plain])
    limit = own_scores[int(np.ceil((len(plain) + 1) * 0.8)) - 1]
    scores, plain, exits = score["report"]
    inside = scores <= limit + 1e-6
    general = found.sets.points["fastest"]["general"]
    assert general.coverage == pytest.approx(inside[np.arange(len(plain)), plain].mean())
    assert general.size == pytest.approx(inside.sum(axis=1).mean())
    assert general.count == tuple(np.bincount(exits, minlength=7).tolist())


def test_one_sample_cannot_be_halved() -> None:
    with pytest.raises(DataError, match="at least two samples to calibrate and to test"):
        evaluate(bundle(), other(1), batch_sizes=(), conformal=0.1)
    with pytest.raises(InputError, match="alpha as a share"):
        evaluate(bundle(), other(), conformal=2.0)


def test_only_the_points_asked_for() -> None:
    found = evaluate(bundle(), other(), points=["fastest", "full"], batch_sizes=())
    assert [point.name for point in found.points] == ["fastest", "full"]
    with pytest.raises(UnknownNameError, match="'slow'"):
        evaluate(bundle(), other(), points=["slow"])


def test_time_is_measured_against_the_plain_model_at_each_batch_size() -> None:
    told: list[str] = []
    found = evaluate(
        bundle(),
        other(),
        points=["full", "fastest"],
        batch_sizes=(1, 8),
        timing_samples=8,
        progress=lambda stage, *_: told.append(stage),
    )
    for point in found.points:
        assert list(point.time_ratio) == ["1", "8"]
        assert all(0.01 < ratio < 100.0 for ratio in point.time_ratio.values())
    assert told.count("measuring time") >= 2


def test_what_cannot_be_evaluated_is_refused() -> None:
    loose = Bundle(bundle().manifest, bundle().heads, bundle().splits)
    with pytest.raises(InputError, match="attached to its backbone"):
        evaluate(loose, other())
    with pytest.raises(InputError, match="expected a part among all, train, choose, certify, report; got 'test'"):
        evaluate(bundle(), own(), part="test")
    with pytest.raises(DataError, match="expected the 320 samples of the build, got 60"):
        evaluate(bundle(), other(), part="report")
    with pytest.raises(DataError, match="expected inputs"):
        evaluate(bundle(), open_array(torch.zeros(4, 8), None, None, "zeros"))
    bad = images(10, seed=2)
    bad[4, 0, 0, 0] = float("nan")
    with pytest.raises(DataError, match="sample 4"):
        evaluate(bundle(), Drawn(bad), batch_sizes=())


def test_the_model_is_left_alone() -> None:
    model = CNN.model().train()
    live = bundle().attach(model)
    with untouched(model):
        evaluate(live, other(), points=["full", "fastest"], batch_sizes=(4,), timing_samples=8)
    broken = Drawn(images(40, seed=9))
    broken.fail_after = 1
    with untouched(model), pytest.raises(InterruptedError):
        evaluate(live, broken, batch_sizes=())
