"""What the figures mean, in words: build, may pay, don't; pays, a smaller model pays more, don't."""

from collections.abc import Mapping
from dataclasses import dataclass

from offramp.advise.expected import Expected

UNSURE = 0.10
"""A forecast is trusted to within this share of the cost."""

LITTLE = 0.03
"""Saving less is saving nothing: what the run-time fallback asks of a point, too (`run.tuning.MARGIN`)."""

BUILD, MAY_PAY, DONT = "build", "may pay", "don't"
PAYS, SMALLER, DEPENDS = "pays", "a smaller model pays more", "depends"


@dataclass(frozen=True)
class Verdict:
    """An answer, and why.

    Attributes:
        word: one of `BUILD`, `MAY_PAY`, `DONT` before a build.
        reasons: sentences.
    """

    word: str
    reasons: tuple[str, ...]


def before(chosen: Expected, certified: Expected | None, max_drop: float, certify: int) -> Verdict:
    """Whether to build, from what is expected of the point that would be certified, or else chosen.

    `build`: more than `UNSURE` is saved of the time at every batch size; `don't`: at none is it more than `LITTLE`;
    `may pay`: in between, or where nothing can be certified. Without times the MACs decide.
    """
    point = certified or chosen
    told = {f"time at batch {size}": share for size, share in point.time.items()} or {"MACs": point.cost}
    reasons = [f"{_saved(name, share)}{_even(point, name)}" for name, share in told.items()]
    reasons.append(f"{100 * point.early:.0f} % of the samples leave early")
    if certified is None:
        reasons.append(
            f"{certify} samples cannot certify {100 * max_drop:g} % of disagreement; give more data, or a larger "
            "--max-drop"
        )
    saved = [1.0 - share for share in told.values()]
    word = MAY_PAY
    if max(saved) <= LITTLE:
        word = DONT
    elif min(saved) > UNSURE and certified is not None:
        word = BUILD
    return Verdict(word, tuple(reasons))


def _saved(name: str, share: float) -> str:
    saved = 1.0 - share
    return f"{100 * abs(saved):.0f} % {'less' if saved >= 0 else 'more'} {name}"


def _even(point: Expected, name: str) -> str:
    size = int(name.rpartition(" ")[2]) if point.time else 0
    even: Mapping[int, float | None] = point.break_even
    if even.get(size) is None:
        return ""
    return f" ({100 * (even[size] or 0.0):.0f} % have to leave early to break even)"
