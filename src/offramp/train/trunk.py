"""The training loop that reaches the backbone: raw inputs through a copy of the user's model and its heads."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from offramp.errors import InputError
from offramp.inputs import Inputs, batch_size, call, on
from offramp.model.augment import Augment
from offramp.model.fingerprint import model_fingerprint
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit
from offramp.model.quantiser import rounds
from offramp.progress import Progress, silent
from offramp.reading import LogitsOf
from offramp.sources import Labels, Source
from offramp.train.devices import Alone, Devices
from offramp.train.exit_losses import Said
from offramp.train.exit_weights import taking_part
from offramp.train.exiting import Exiting
from offramp.train.layout import Layout, layout_of
from offramp.train.lesson import Batch, Lesson, drawing, lesson
from offramp.train.phase import Phase, TrunkRegime
from offramp.train.spent import step_macs
from offramp.train.trained import Trained
from offramp.train.trunk_state import TrunkState


@dataclass(frozen=True, slots=True)
class Step:
    """What one step was.

    Attributes:
        phase: name of the phase.
        step: number of the step in its phase, from 0.
        steps: steps of the phase.
        weights: of the exits, the backbone's own output last.
        losses: of the exits that counted, by number.
        rate: learning rate, of the backbone where it and heads have different ones.
    """

    phase: str
    step: int
    steps: int
    weights: tuple[float, ...]
    losses: Mapping[int, float]
    rate: float


Watch = Callable[[Step], None]
"""Told of every step after it was taken."""


def unwatched(step: Step) -> None:
    """Notes nothing."""


@dataclass(frozen=True, eq=False)
class Trunk:
    """A model with heads, to be trained together; both are copied, and the user's own stay as they are.

    Attributes:
        multi_exit: the user's model with heads to start from.
        regime: phases.
        logits_of: picks the logits out of the model's output.
        batch_size: samples of a step, over all processes.
        held: share of the samples on which early stopping looks; 0: none, and the last weights are kept.
        every: steps between two checks of the held part, at most; an epoch where that is shorter. The checkpoint is
            written then, too.
        augment: random changes of images in training; they keep their labels, so without `mix` where labels are used.
        seed: of the held part, the order, augmentation and dropout.
        checkpoint: file from which an interrupted training goes on, bit for bit; None: not resumable.
        devices: the processes that train together.
    """

    multi_exit: MultiExit
    regime: TrunkRegime
    logits_of: LogitsOf
    batch_size: int = 128
    held: float = 0.1
    every: int = 300
    augment: Augment | None = None
    seed: int = 0
    checkpoint: Path | None = None
    devices: Devices = field(default_factory=Alone)

    def run(
        self, source: Source, labels: Labels | None = None, progress: Progress = silent, watch: Watch = unwatched
    ) -> Trained:
        """The trained copy.

        Args:
            source: raw inputs.
            labels: one per sample, where the regime needs them; not looked at where it does not.
            progress: told about every check.
            watch: told about every step.

        Raises:
            DataError: if labels are needed and missing or wrong, or there are too few samples.
            InputError: if nothing learns in a phase, a loss is not finite, the checkpoint belongs to something else, or
                the model is rounded to eight bits.
        """
        if rounds(self.multi_exit.backbone.model.state_dict()):
            raise InputError(
                "expected a model with gradients, got one rounded to eight bits; train it, then quantise it"
            )
        taught = self._lesson(source, labels)
        network = Exiting(self.multi_exit, self.logits_of)
        device = self.devices.place(network)
        layout = layout_of(network, self.multi_exit.backbone.example)
        state = TrunkState(network, self.identity(source, labels) if self.checkpoint else "", self.checkpoint)
        for number in range(state.phase, len(self.regime.phases)):
            loop = _Loop(self, network, layout, taught, state, device, self.regime.phases[number], number)
            loop.run(progress, watch)
        _give_back(network, self.multi_exit.backbone.model)
        spent, exits = tuple(state.spent[:-1]), self.multi_exit.exits
        return Trained(self.multi_exit.backbone, network.model, exits, network.heads, spent, tuple(state.held))

    def _lesson(self, source: Source, labels: Labels | None) -> Lesson:
        if not self.held and any(phase.patience for phase in self.regime.phases):
            raise InputError("expected a held part for early stopping, got held=0; hold a share, or set patience=None")
        found = lesson(
            source,
            labels,
            self.multi_exit.backbone.classes,
            needs_labels=self.regime.needs_labels,
            held=self.held,
            size=self.batch_size,
            augment=self.augment,
            seed=self.seed,
        )
        if found.size % self.devices.ranks:
            raise InputError(
                f"expected batches that {self.devices.ranks} processes can share evenly, got {found.size} samples; "
                f"choose a multiple of {self.devices.ranks}"
            )
        return found

    def identity(self, source: Source, labels: Labels | None = None) -> str:
        """Names all that decides what comes out, so that only the same training goes on from a checkpoint."""
        taught = self._lesson(source, labels)
        settings = (self.regime, self.multi_exit.exits, self.batch_size, self.held, self.every, self.augment, self.seed)
        digest = hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", repr(settings)).encode())
        digest.update(model_fingerprint(self.multi_exit.backbone.model).encode())
        digest.update(model_fingerprint(self.multi_exit.heads).encode())
        digest.update(taught.source.fingerprint().encode())
        if taught.labels is not None:
            digest.update(taught.labels.numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class _Loop:
    """One phase."""

    trunk: Trunk
    network: Exiting
    layout: Layout
    taught: Lesson
    state: TrunkState
    device: torch.device
    phase: Phase
    number: int

    @property
    def shares(self) -> tuple[float, ...]:
        """What the backbone costs up to each exit, as a share of the whole."""
        backbone = self.trunk.multi_exit.backbone
        return (*(backbone.point(exit_.point).depth for exit_ in self.trunk.multi_exit.exits), 1.0)

    @property
    def upto(self) -> tuple[float, ...]:
        """The same in MACs per sample."""
        return tuple(share * self.trunk.multi_exit.backbone.macs for share in self.shares)

    def run(self, progress: Progress, watch: Watch) -> None:
        """Trains for the length of the phase, and ends it with its best weights."""
        phase, state, taught = self.phase, self.state, self.taught
        steps = phase.length.steps_of(len(taught.training), taught.size)
        learning = self.layout.apply(phase.learns, self.network, phase.norms)
        heads = set(self.network.heads.parameters())
        state.begin(phase, [p for p in learning if p not in heads], [p for p in learning if p in heads], steps)
        every = min(taught.per_epoch, self.trunk.every)
        while state.step < steps and not state.stopping.over(phase.patience):
            watch(self._step(steps, learning))
            state.step += 1
            if state.step % every == 0 or state.step == steps:
                self._check(steps)
                self._save()
                progress(f"training {phase.name}", state.step, steps)
        state.end()
        self._save()

    def _step(self, steps: int, learning: list[nn.Parameter]) -> Step:
        phase, state, devices = self.phase, self.state, self.trunk.devices
        assert state.optimizer is not None
        batch = self.taught.at(self.number, state.step, devices.rank, devices.ranks)
        weights = phase.weights.at(state.step, steps, self.shares)
        counted = tuple(index for index, weight in enumerate(weights) if weight)
        with drawing(self.device, self.trunk.seed, self.number, state.step, devices.rank):
            losses = self._losses(batch, counted)
        state.optimizer.zero_grad(set_to_none=True)
        total = torch.stack([weights[index] * losses[index] for index in counted]).sum()
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]
        seen = torch.stack([losses[index].detach() for index in counted])
        devices.mean([*(p.grad for p in learning if p.grad is not None), seen])
        found = dict(zip(counted, seen.tolist(), strict=True))
        self._refuse_infinite(found)
        if phase.clip is not None:
            nn.utils.clip_grad_norm_(learning, phase.clip)
        rate = state.optimizer.param_groups[0]["lr"]
        state.optimizer.step()
        if state.schedule is not None:
            state.schedule.step()
        self._count(batch_size(batch[0]) * devices.ranks, counted)
        return Step(phase.name, state.step, steps, weights, found, float(rate))

    def _losses(self, batch: Batch, counted: tuple[int, ...]) -> dict[int, torch.Tensor]:
        """The loss of each exit that counts."""
        inputs, labels = on(batch[0], self.device), batch[1]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.phase.precision == "bfloat16"):
            by_exit = self.network(inputs, self._wanted(counted))
        original = self._original(inputs) if self.phase.loss.needs_original else None
        said = Said(by_exit, self.network.last, original, None if labels is None else labels.to(self.device))
        return {index: self.phase.loss.of(index, said) for index in counted}

    def _wanted(self, counted: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(range(self.network.last + 1)) if self.phase.loss.needs_later else counted

    def _original(self, inputs: Inputs) -> torch.Tensor:
        with frozen(self.trunk.multi_exit.backbone.model) as model:
            return self.trunk.logits_of(call(model, inputs)).float().to(self.device)

    def _count(self, samples: int, counted: tuple[int, ...]) -> None:
        first = self.layout.first_stage(self.phase.learns)
        deepest, original = max(self._wanted(counted)), self.phase.loss.needs_original
        self.state.spent[-1] += step_macs(samples, self.upto, deepest, max(counted), first, original)

    def _check(self, steps: int) -> None:
        """Looks at the held part, with the weights as they are."""
        learning = (module for module in self.network.modules() if module.training)
        buffers = [buffer for module in learning for buffer in module.buffers(recurse=False)]
        self.trunk.devices.mean([buffer for buffer in buffers if buffer.is_floating_point()])
        if not len(self.taught.held):
            return
        counted = taking_part(self.phase.weights, steps, self.shares)
        upto = self.upto[max(self._wanted(counted))] + self.upto[-1] * self.phase.loss.needs_original
        sums = torch.zeros(len(counted), dtype=torch.float64)
        self.network.eval()
        with torch.no_grad():
            for batch in self.taught.checks():
                losses = self._losses(batch, counted)
                sums += batch_size(batch[0]) * torch.stack([losses[index] for index in counted]).double().cpu()
        self.layout.apply(self.phase.learns, self.network, self.phase.norms)
        found = dict(zip(counted, (sums / len(self.taught.held)).tolist(), strict=True))
        self._refuse_infinite(found)
        self.state.spent[-1] = self.state.spent[-1].checked(len(self.taught.held), upto)
        self.state.stopping.note(found, self.network)

    def _save(self) -> None:
        if self.trunk.devices.rank == 0:
            self.state.save()
        self.trunk.devices.wait()

    def _refuse_infinite(self, losses: Mapping[int, float]) -> None:
        bad = {index: loss for index, loss in losses.items() if not abs(loss) < float("inf")}
        if bad:
            names = [*(exit_.name for exit_ in self.trunk.multi_exit.exits), "the backbone's own output"]
            told = ", ".join(f"{loss} at {names[index]}" for index, loss in bad.items())
            raise InputError(
                f"expected finite losses, got {told} in step {self.state.step} of phase {self.phase.name!r}; lower the "
                "learning rate, clip the gradient, or look for NaN in the inputs"
            )


def _give_back(network: Exiting, user: nn.Module) -> None:
    """Eval mode, no gradients, and the gradient flags of the user's model."""
    network.eval()
    for mine, theirs in zip(network.model.parameters(), user.parameters(), strict=True):
        mine.requires_grad_(theirs.requires_grad)
        mine.grad = None
    for parameter in network.heads.parameters():
        parameter.requires_grad_(True)
        parameter.grad = None
