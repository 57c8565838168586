"""Every calibrator in a stage: what replay says in NumPy is what an exported or compiled stage says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from offramp.calibrate import NAMES
from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.identity import Identity
from offramp.calibrate.isotonic import Isotonic
from offramp.calibrate.parametric import Parametric
from offramp.calibrate.temperature import Temperature
from offramp.calibrate.vector import Vector
from offramp.gates.max_prob import MaxProb
from offramp.model.multi_exit import Recording
from offramp.run.calibration import Calibration
from offramp.run.loop import stops_of
from offramp.run.stage import Stage, stages
from offramp.run.stepped import Stepped
from offramp.testing.models import CNN, Toy, attached
from tests.toys import eager_of, logits_of, recording

TOY: Toy = CNN
BATCHES = (1, 7)


def fitted() -> Iterator[tuple[str, Calibrator]]:
    """Every calibrator, with parameters that matter for the toy's small logits."""
    said = torch.from_numpy(recording(TOY.name).outputs).flatten(0, 1).sort(1).values.numpy()
    odds = said[:, -1] - np.logaddexp.reduce(said[:, :-1], axis=1)
    knots = tuple(float(knot) for knot in np.quantile(odds, (0.1, 0.4, 0.6, 0.9)))
    bias = tuple(np.linspace(-0.5, 0.5, said.shape[1]).tolist())
    made: dict[str, Calibrator] = {
        "none": Identity(),
        "temperature": Temperature(0.3),
        "vector": Vector(tuple(np.linspace(0.5, 2.0, said.shape[1]).tolist()), bias),
        "isotonic": Isotonic(knots, (0.3, 0.5, 0.55, 0.9)),
    }
    assert made.keys() == NAMES.keys() - {"each-temperature", "spread"}  # of other tasks
    yield from sorted(made.items())


@pytest.fixture(scope="module")
def made() -> tuple[list[str], list[Stage], list[Calibrator]]:
    """The toy left at its first points, a calibrator at each."""
    names, calibrators = (list(each) for each in zip(*fitted(), strict=True))
    live = attached(TOY.model(), TOY.inputs(2), ("grid-linear",))
    count = min(len(live.exits), len(names))
    assert count == len(names) == 4
    rest = calibrators + [calibrators[0]] * (len(live.exits) - count)
    enabled = tuple(index < count for index in range(len(live.exits)))
    assert len(stops_of(enabled, live.point_of)) == count
    return names, stages(live, logits_of, MaxProb(), rest, enabled), calibrators


def check(found: list[np.ndarray], plain: torch.Tensor, calibrator: Calibrator) -> None:
    """Logits and score against the calibrator in NumPy and the gate."""
    expected = calibrator(plain.numpy())
    np.testing.assert_allclose(found[-2], expected, rtol=1e-3, atol=1e-3)
    score = Recording(expected[None], "choose").scores(MaxProb(), ())[0]
    np.testing.assert_allclose(found[-1], score, atol=1e-4)


def run_through(made: tuple[list[str], list[Stage], list[Calibrator]], says: list[object], batch: int) -> None:
    """Each way of running a stage, against the head's own logits calibrated in NumPy."""
    _, parts, calibrators = made
    state: tuple[torch.Tensor, ...] = (TOY.inputs(batch, 3),)  # type: ignore[assignment]
    with torch.no_grad():
        for part, say, calibrator in zip(parts, says, calibrators, strict=False):
            after = part.segment(*state)
            check(say(*state), part.heads[0](after[0], None), calibrator)  # type: ignore[operator]
            state = after


def test_calibrators_change_what_is_said() -> None:
    """Otherwise the tests here would compare logits with themselves."""
    logits = recording(TOY.name).outputs[1]
    for name, calibrator in fitted():
        assert bool(np.abs(calibrator(logits) - logits).max() > 0.1) is (name != "none")


@pytest.mark.parametrize("batch", BATCHES)
def test_in_a_stage(made: tuple[list[str], list[Stage], list[Calibrator]], batch: int) -> None:
    says = [lambda *state, part=part: [tensor.numpy() for tensor in part(*state)] for part in made[1]]
    run_through(made, list(says), batch)


def test_parameters_move_with_the_stage_and_are_not_made_anew(
    made: tuple[list[str], list[Stage], list[Calibrator]],
) -> None:
    for (name, _), part in zip(fitted(), made[1], strict=False):
        (calibration,) = part.calibrators
        assert isinstance(calibration, Calibration)
        expected = calibration.calibrator.arrays if isinstance(calibration.calibrator, Parametric) else ()
        assert len(list(calibration.buffers())) == len(expected) == {"isotonic": 4, "vector": 2}.get(name, 0)
        assert all(buffer.device.type == "meta" for buffer in Calibration(calibration.calibrator, META).buffers())


META = torch.device("meta")


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_exported_as_onnx(made: tuple[list[str], list[Stage], list[Calibrator]], runtime: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    vino = pytest.importorskip("openvino") if runtime == "openvino" else None
    from offramp.run import onnx_files

    names, parts, _ = made
    exits = [(index,) for index in range(len(names))] + [(len(names),)]
    files = onnx_files.export(parts, exits, TOY.model(), TOY.inputs(2), tmp_path, "stage")
    says = []
    for file in files[:-1]:
        if vino is None:
            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            session = ort.InferenceSession(tmp_path / file.file, options, providers=["CPUExecutionProvider"])
            run = lambda given, session=session, file=file: session.run(list(file.outputs), given)  # noqa: E731
        else:
            compiled = vino.Core().compile_model(tmp_path / file.file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            run = lambda given, c=compiled, file=file: [c(given)[name] for name in file.outputs]  # noqa: E731
        says.append(
            lambda *state, run=run, file=file: run(dict(zip(file.inputs, (t.numpy() for t in state), strict=True)))
        )
    for batch in BATCHES:
        run_through(made, list(says), batch)


def test_eager_executors_make_no_tensors_of_parameters_at_each_call() -> None:
    live = attached(TOY.model(), TOY.inputs(2), ("grid-linear",))
    calibrators = [calibrator for _, calibrator in fitted()]
    calibrators += [Identity()] * (len(live.exits) - len(calibrators))
    executor = Stepped.of(eager_of(live), live, MaxProb(), calibrators)
    kinds = [isinstance(one, Calibration) for one in executor.calibrators]
    assert kinds == [isinstance(one, Parametric) for one in calibrators]
    assert sum(kinds) == 2
    inputs = TOY.inputs(6, 3)
    said: list[Any] = []
    stops = stops_of((True,) * len(live.exits), live.point_of)
    executor.drive(inputs, lambda place, say: said.extend(say(exit_).logits for exit_ in stops[place]))
    with torch.no_grad():
        plain = live.outputs(inputs, logits_of)[:-1]
    for found, logits, calibrator in zip(said, plain, calibrators, strict=True):
        np.testing.assert_allclose(found, calibrator(logits.numpy()), rtol=1e-3, atol=1e-3)
