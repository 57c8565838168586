"""Prediction sets of operating points: how often they hold the target, and how large they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offramp.confidence import Said
from offramp.errors import DataError
from offramp.types import OperatingPoint
from offramp.uncertainty.conformal import CALIBRATIONS, Coverage, conformal, coverage

SEED = 0
"""Of the halves that other data are divided into."""


@dataclass(frozen=True, slots=True)
class PredictionSets:
    """Split conformal sets (LAC) of operating points.

    Attributes:
        alpha: share of targets that may be missed.
        calibrated_on: which samples gave the quantiles, in words.
        calibrated: how many they were.
        tested_on: which other samples the figures are of.
        tested: how many they were.
        points: per operating point and per calibration of `uncertainty.conformal`, what the sets did.
    """

    alpha: float
    calibrated_on: str
    calibrated: int
    tested_on: str
    tested: int
    points: dict[str, dict[str, Coverage]]


def prediction_sets(
    calibration: Said, test: Said, points: Sequence[OperatingPoint], alpha: float, words: tuple[str, str]
) -> PredictionSets:
    """Sets calibrated on some samples and tested on others, at each operating point in all four ways.

    Args:
        calibration: samples that trained and chose nothing.
        test: other samples.
        points: the operating points.
        alpha: share of targets that may be missed.
        words: what the two are called.
    """
    found: dict[str, dict[str, Coverage]] = {}
    for point in points:
        mine, other = (said.exit_index(point.configuration) for said in (calibration, test))
        found[point.name] = {}
        for kind in CALIBRATIONS:
            fitted = conformal(calibration.of_classes, calibration.target, alpha, mine, calibration=kind)
            sets = fitted.sets(test.of_classes, other)
            found[point.name][kind] = coverage(sets, test.target, other, test.table.exits)
    return PredictionSets(alpha, words[0], len(calibration.target), words[1], len(test.target), found)


def in_halves(said: Said) -> tuple[Said, Said]:
    """Two random halves of the samples.

    Raises:
        DataError: if there are not two.
    """
    samples = len(said.target)
    if samples < 2:
        raise DataError(
            f"expected at least two samples to calibrate and to test prediction sets, got {samples}; add data"
        )
    order = np.random.default_rng(SEED).permutation(samples)
    return said.only(np.sort(order[: samples // 2])), said.only(np.sort(order[samples // 2 :]))
