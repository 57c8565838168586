import numpy as np

from offramp.calibrate.identity import Identity
from offramp.calibrate.vector import Vector
from offramp.deciding import losses, table
from offramp.gates.max_prob import MaxProb
from offramp.model.multi_exit import Recording
from offramp.tasks.classification import Classification
from offramp.types import CostProfile


def test_losses_are_those_of_the_class_that_calibration_makes_the_answer() -> None:
    outputs = np.array([[[1.0, 0.8], [3.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]], np.float32)
    recording, task, labels = Recording(outputs, "choose"), Classification(), np.array([1, 1])
    turned = Vector((1.0, 1.0), (0.0, 0.5))
    np.testing.assert_array_equal(losses(recording, task, (Identity(),)), [[1, 0], [0, 0]])
    np.testing.assert_array_equal(losses(recording, task, (turned,)), [[0, 0], [0, 0]])
    np.testing.assert_array_equal(losses(recording, task, (turned,), labels), [[0, 1], [0, 1]])
    cost = CostProfile("macs", np.array([1.0, 2.0]), np.zeros(2), np.zeros(2))
    found = table(recording, task, MaxProb(), (turned,), cost)
    np.testing.assert_array_equal(found.loss, [[0, 0], [0, 0]])
    assert found.risk == "disagreement"
    np.testing.assert_allclose(found.score[0], 1 / (1 + np.exp([-0.3, -2.5])), rtol=1e-6)
