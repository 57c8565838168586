"""The regimes that train the backbone, too, by name: each makes phases for a number of exits."""

from collections.abc import Callable
from dataclasses import replace

from offramp.errors import UnknownNameError
from offramp.train.exit_weights import Alternating, ByDepth, ExitWeights, Line, Mean, Only, Ramp
from offramp.train.parts import ALL, HEADS, PLAIN, UpTo
from offramp.train.phase import Phase, TrunkRegime

Make = Callable[[int, Phase], TrunkRegime]
"""Makes a regime for so many inner exits; the phase says what the regime leaves open: loss, length, optimizer, ..."""


def plain(exits: int, like: Phase) -> TrunkRegime:
    """The backbone alone, as it would be trained without exits."""
    return TrunkRegime((_plain(like),), "phase 1 of Kubaty et al. 2025")


def disjoint(exits: int, like: Phase) -> TrunkRegime:
    """The backbone alone, then the heads on what it has become."""
    heads = replace(like, name="heads", learns=HEADS, weights=Mean(final=False))
    return TrunkRegime((_plain(like), heads), "disjoint: phases 1 and 3 of Kubaty et al. 2025")


def joint(exits: int, like: Phase) -> TrunkRegime:
    """Everything at once."""
    return TrunkRegime((_all(like, Mean()),), "joint: phase 2 of Kubaty et al. 2025")


def mixed(exits: int, like: Phase) -> TrunkRegime:
    """The backbone alone, then everything at once."""
    return TrunkRegime((_plain(like), _all(like, Mean())), "mixed: phases 1 and 2 of Kubaty et al. 2025")


def branch_wise(exits: int, like: Phase) -> TrunkRegime:
    """The backbone up to the first exit with its head; then, that frozen, on to the next exit; and so to the end."""
    phases = tuple(
        replace(
            like,
            name=f"branch {index + 1} of {exits + 1}",
            learns=UpTo(index, after=index - 1),
            weights=Only(index),
        )
        for index in range(exits + 1)
    )
    return TrunkRegime(phases, "branch-wise (Rahmath et al., Strategies at a glance)")


def alternating(exits: int, like: Phase) -> TrunkRegime:
    """Odd steps for the last exit alone, even ones for all."""
    return TrunkRegime((_all(like, Alternating()),), "alternating, BERxiT (Xin et al. 2021)")


def branchynet(exits: int, like: Phase) -> TrunkRegime:
    """A trained backbone goes on with all exits, each counted once."""
    return TrunkRegime((_all(like, Line()),), "BranchyNet, weights of the released code (Teerapittayanon et al. 2016)")


def branchynet_falling(exits: int, like: Phase) -> TrunkRegime:
    """The same with early exits counted more: 1.0 for the first to 0.3 for the last."""
    return TrunkRegime(
        (_all(like, Line(1.0, 0.3)),), "BranchyNet, weights of its example (Teerapittayanon et al. 2016)"
    )


def sdn(exits: int, like: Phase) -> TrunkRegime:
    """Everything at once, inner exits counted more and more up to their share of the cost."""
    return TrunkRegime((_all(like, Ramp()),), "SDN training (Kaya et al. 2019)")


def pabee(exits: int, like: Phase) -> TrunkRegime:
    """Everything at once, deeper exits counted more."""
    return TrunkRegime((_all(like, ByDepth()),), "PABEE (Zhou et al. 2020)")


def _plain(like: Phase) -> Phase:
    return replace(like, name="backbone", learns=PLAIN, weights=Only(-1))


def _all(like: Phase, weights: ExitWeights) -> Phase:
    return replace(like, name="all", learns=ALL, weights=weights)


TRUNK: dict[str, Make] = {
    "alternating": alternating,
    "branch-wise": branch_wise,
    "branchynet": branchynet,
    "branchynet-falling": branchynet_falling,
    "disjoint": disjoint,
    "joint": joint,
    "mixed": mixed,
    "pabee": pabee,
    "plain": plain,
    "sdn": sdn,
}


def trunk_regime(name: str, exits: int, like: Phase | None = None) -> TrunkRegime:
    """The regime of that name for so many inner exits.

    Args:
        name: a key of `TRUNK`.
        exits: number of exits besides the backbone's own output.
        like: says what the regime leaves open; by default labels, 20 epochs a phase, AdamW and a cosine.

    Raises:
        UnknownNameError: listing the known ones.

    >>> [phase.name for phase in trunk_regime("mixed", exits=3).phases]
    ['backbone', 'all']
    """
    if name not in TRUNK:
        raise UnknownNameError.among("regime", name, TRUNK)
    return TRUNK[name](exits, like or Phase())
