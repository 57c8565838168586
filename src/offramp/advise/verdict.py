"""What the figures mean, in words: build, may pay, don't; pays, a smaller model pays more, don't."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from offramp.advise.contender import INT8, INT8_EXITS
from offramp.advise.equal import MACS, Equal
from offramp.advise.expected import Expected

UNSURE = 0.10
"""A forecast is trusted to within this share of the cost."""

LITTLE = 0.03
"""Saving less is saving nothing: what the run-time fallback asks of a point, too (`run.tuning.MARGIN`)."""

BUILD, MAY_PAY, DONT = "build", "may pay", "don't"
"""Before a build."""

PAYS, SMALLER, ROUNDED, DEPENDS = "pays", "a smaller model pays more", "eight bits pay more", "depends"
"""After one, besides `DONT`."""

JUDGED = ("balanced", "chosen")
"""The point that is judged is the first of these that there is, else the first of all."""


@dataclass(frozen=True)
class Verdict:
    """An answer, and why.

    Attributes:
        word: one of those above.
        reasons: sentences.
    """

    word: str
    reasons: tuple[str, ...]


def before(chosen: Expected, certified: Expected | None, read: Expected, max_drop: float, certify: int) -> Verdict:
    """Whether to build, from what is expected of the point that would be certified, or else chosen.

    `build`: more than `UNSURE` is saved of the time at every batch size; `don't`: at none is it more than `LITTLE`;
    `may pay`: in between, or where nothing can be certified. Without times the MACs decide.

    Args:
        chosen: what is expected of the point that would be chosen.
        certified: of the one that would be certified; None: none would.
        read: the one of the two that counts, as probes do it.
        max_drop: the disagreement that was asked for.
        certify: samples of the certify part.
    """
    point = certified or chosen
    told = {f"time at batch {size}": share for size, share in point.time.items()} or {"MACs": point.cost}
    reasons = [_saved(name, share) for name, share in told.items()]
    reasons.append(f"with probes {100 * (read.early or 0.0):.0f} % of the samples leave early{_even(read)}")
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


def _even(read: Expected) -> str:
    known = [f"{100 * even:.0f} % at batch {size}" for size, even in read.break_even.items() if even is not None]
    return f"; to break even it takes {', '.join(known)}" if known else ""


def after(equal: Sequence[Equal], kinds: Mapping[str, str]) -> Verdict:
    """Whether exits pay, from what else costs as much or less at the same quality.

    For each measure: `don't` where the exits save no more than `LITTLE`; what else pays more where it costs less by
    more than `LITTLE`; else `pays`. Times decide where there are any, `depends` where they say different things. Exits
    on eight bits are exits.

    Args:
        equal: at the quality of each point of the exits.
        kinds: of the alternatives by name.
    """
    names = list(dict.fromkeys(one.way for one in equal))
    point = next((name for name in JUDGED if name in names), names[0])
    here = [one for one in equal if one.way == point]
    words = {one.measure: _judged(one, kinds) for one in here}
    deciding = {word for measure, word in words.items() if measure != MACS} or set(words.values())
    word = deciding.pop() if len(deciding) == 1 else DEPENDS
    return Verdict(word, tuple(f"{one.measure}: {words[one.measure]}; {_told(one)}" for one in here))


def _judged(one: Equal, kinds: Mapping[str, str]) -> str:
    others = {name: cost for name, cost in one.others.items() if cost is not None and kinds[name] != INT8_EXITS}
    ours = min([one.own, *(cost for name, cost in one.others.items() if cost and kinds[name] == INT8_EXITS)])
    best = min(others, key=lambda name: others[name], default=None)
    if best is not None and others[best] < min(ours, 1.0) - LITTLE:
        return ROUNDED if kinds[best] == INT8 else SMALLER
    return DONT if ours >= 1.0 - LITTLE else PAYS


def _told(one: Equal) -> str:
    costs = [
        f"{name} {'does not reach it' if cost is None else f'{100 * cost:.0f} %'}" for name, cost in one.others.items()
    ]
    return f"at {100 * one.quality:.2f} % the point {one.way} takes {100 * one.own:.0f} %" + "".join(
        f", {told}" for told in costs
    )
