"""One stage: a segment of the backbone with all that its exits say at the end of it."""

from collections.abc import Sequence

import torch
from torch import nn

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.identity import Identity
from offramp.errors import InputError
from offramp.gates.gate import Gate
from offramp.heads.earlier import Earlier
from offramp.heads.head import Head
from offramp.inputs import MASK, Inputs, call, device_of, leaves, mask_of, rebuild
from offramp.model.multi_exit import MultiExit
from offramp.model.resized import Chains
from offramp.reading import LogitsOf, full_of
from offramp.run.calibration import Calibrates, Calibration
from offramp.run.loop import stops_of

State = tuple[torch.Tensor, ...]


class Stage(nn.Module):
    """From a state to the next one, and logits and score of each exit there.

    The state is the segment's, then the attention mask where there is one, which the heads read, then what the exits
    `before` said where heads hear it. The last stage has no heads: what the backbone itself says is its only answer,
    behind which comes what else it returns, by the names in `full`, and there is no next state. `exits` are the numbers
    of the exits, in the order of their heads; the backbone's own is the one behind all others. At the `entry` heads see
    all tensors of the state.
    """

    def __init__(
        self,
        segment: nn.Module,
        heads: Sequence[Head],
        calibrators: Sequence[Calibrator],
        gate: Gate,
        masked: bool,
        exits: Sequence[int],
        entry: bool = False,
        before: Sequence[int] = (),
        full: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.segment, self.heads = segment, nn.ModuleList(heads)
        pairs = zip(calibrators, heads, strict=True)
        self.calibrators = nn.ModuleList(Calibration(calibrator, device_of(head)) for calibrator, head in pairs)
        self.gate, self.masked, self.exits, self.entry, self.before = gate, masked, tuple(exits), entry, tuple(before)
        self.full = tuple(full)

    def forward(self, *state: torch.Tensor) -> State:
        """(state…) to (next state…, logits, score, logits, score, …)."""
        own = len(state) - len(self.before)
        inner, mask = (state[: own - 1], state[own - 1]) if self.masked else (state[:own], None)
        earlier: Earlier = tuple(zip(self.before, state[own:], strict=True))
        after: State = self.segment(*inner)
        if not len(self.heads):
            return (*self._said(Identity(), after[0], self.exits[0]), *after[1:])
        said: State = ()
        feature = after if self.entry and len(after) > 1 else after[0]
        for head, calibrator, exit_ in zip(self.heads, self.calibrators, self.exits, strict=True):
            assert isinstance(head, Head)
            logits, earlier = head.answer(exit_, head.reduce(feature, mask), earlier)
            said += self._said(calibrator, logits, exit_)
        return (*after, *(() if mask is None else (mask,)), *(heard for _, heard in earlier), *said)

    def _said(self, calibrator: Calibrates, raw: torch.Tensor, exit_: int) -> State:
        logits: torch.Tensor = calibrator(raw)
        return logits, self.gate.score(logits, exit_)


class Plain(nn.Module):
    """The backbone as one segment."""

    def __init__(self, model: nn.Module, like: Inputs, logits_of: LogitsOf, names: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.model, self.like, self.logits_of, self.names = model, like, logits_of, names

    def forward(self, *tensors: torch.Tensor) -> State:
        """The logits of a batch, and what else there is by these names."""
        output = call(self.model, rebuild(self.like, tensors))
        full = full_of(self.logits_of, output)
        return (self.logits_of(output), *(full[name] for name in self.names))


def stages(
    multi_exit: MultiExit, logits_of: LogitsOf, gate: Gate, calibrators: Sequence[Calibrator], enabled: Sequence[bool]
) -> list[Stage]:
    """The stages for a set of enabled exits, cut nowhere else.

    Raises:
        InputError: if the model has no graph.
    """
    backbone = multi_exit.backbone
    if backbone.graph is None:
        raise InputError(
            f"expected a captured model for stages, got {type(backbone.model).__name__}, left by hooks only"
        )
    stops = stops_of(enabled, multi_exit.point_of)
    names = [multi_exit.exits[exits[0]].point for exits in stops]
    chain = Chains(backbone, names, logits_of).fit_for(backbone.example)
    masked = mask_of(backbone.example) is not None
    multi_exit.heads.eval()

    def stage(segment: nn.Module, exits: Sequence[int], before: Sequence[int]) -> Stage:
        heads, calibrated = [multi_exit.head(e) for e in exits], [calibrators[e] for e in exits]
        entry = chain.entry and segment is chain.segments[0]
        here, full = (exits, ()) if exits else ((len(multi_exit.exits),), chain.full)
        return Stage(segment, heads, calibrated, gate, masked, here, entry, before, full).eval()

    before = [
        [e for here in stops[:place] for e in here] if multi_exit.together else [] for place in range(len(stops) + 1)
    ]

    return [stage(*one) for one in zip(chain.segments, (*stops, ()), before, strict=True)]


def uncut_stage(multi_exit: MultiExit, logits_of: LogitsOf, gate: Gate) -> Stage:
    """The plain backbone as its own only stage."""
    backbone = multi_exit.backbone
    plain = Plain(backbone.model, backbone.example, logits_of, backbone.full_names)
    return Stage(plain, [], [], gate, masked=False, exits=(len(multi_exit.exits),), full=plain.names).eval()


def first_state(inputs: Inputs, masked: bool) -> State:
    """What the first stage takes: the inputs, and the mask once more where heads read it."""
    mask = mask_of(inputs) if masked else None
    return (*leaves(inputs), *(() if mask is None else (mask,)))


def first_names(inputs: Inputs, masked: bool) -> tuple[str, ...]:
    """What the tensors of the first state are called."""
    names = tuple(inputs) if isinstance(inputs, dict) else tuple(f"input{i}" for i in range(len(leaves(inputs))))
    return (*names, *((f"{MASK}_of_heads",) if masked else ()))
