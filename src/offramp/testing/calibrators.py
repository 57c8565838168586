"""The tests every calibrator has to pass.

A calibrator's test file is `class TestMine(CalibratorSuite)` with one fixture `calibrator`, not yet fitted.
"""

import numpy as np
import torch

from offramp.calibrate.calibrator import Calibrator


class CalibratorSuite:
    """What holds for every calibrator; subclass it and give the fixture `calibrator`.

    Where outputs are no logits of classes, `case` and `unlikelihood` are others.
    """

    def case(self, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Logits of an exit that is surer than it should be by `scale`, and the classes to agree with."""
        generator = np.random.default_rng(0)
        logits = generator.normal(size=(400, 4)) * 2.0
        target = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
        return logits * scale, target

    def unlikelihood(self, logits: np.ndarray, target: np.ndarray) -> float:
        """Negative log likelihood of the targets, without what does not depend on the logits."""
        return torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(target)).item()

    def test_never_makes_the_fitted_data_less_likely(self, calibrator: Calibrator) -> None:
        """Whether the exit was too sure or not sure enough."""
        for scale in (0.3, 1.0, 3.0):
            logits, target = self.case(scale)
            after = self.unlikelihood(calibrator.fit(logits, target)(logits), target)
            assert after <= self.unlikelihood(logits, target) + 1e-6

    def test_arrays_and_tensors_get_the_same_answer(self, calibrator: Calibrator) -> None:
        """Of the type and shape they came in, since replay uses one and the runtime the other."""
        logits, target = self.case(3.0)
        fitted = calibrator.fit(logits, target)
        single = logits.astype(np.float32)
        tensor = fitted(torch.from_numpy(single))
        assert isinstance(tensor, torch.Tensor)
        assert tensor.shape == logits.shape
        torch.testing.assert_close(tensor, torch.from_numpy(np.asarray(fitted(single), dtype=np.float32)))

    def test_samples_do_not_influence_each_other(self, calibrator: Calibrator) -> None:
        """Calibrated logits of a batch are those of its samples one by one."""
        logits, target = self.case(3.0)
        fitted = calibrator.fit(logits, target)
        alone = np.concatenate([fitted(logits[i : i + 1]) for i in range(20)])
        np.testing.assert_allclose(fitted(logits[:20]), alone)

    def test_fitting_is_deterministic_and_leaves_no_trace(self, calibrator: Calibrator) -> None:
        """The same data, the same calibrator; the one that was asked to fit and the data stay as they were."""
        logits, target = self.case(3.0)
        before = calibrator(logits).copy()
        one, two = calibrator.fit(logits, target), calibrator.fit(logits, target)
        np.testing.assert_array_equal(one(logits), two(logits))
        np.testing.assert_array_equal(calibrator(logits), before)
        np.testing.assert_array_equal(logits, self.case(3.0)[0])

    def test_a_class_is_a_probability_of_one(self, calibrator: Calibrator) -> None:
        """Targets may be probabilities, where they are of classes; certain ones are those classes."""
        logits, target = self.case(3.0)
        if target.ndim > 1:
            return
        by_class, by_share = (calibrator.fit(logits, one)(logits) for one in (target, np.eye(4)[target]))
        np.testing.assert_allclose(by_share, by_class, rtol=1e-4, atol=1e-6)
