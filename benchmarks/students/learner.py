"""A student while it is taught; on a GPU each step is a graph on a stream of its own, so that many learn at once."""

import copy
import math
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.cifar_resnet import CifarResNet
from benchmarks.students.network import Student
from benchmarks.students.pictures import Told

MOMENTUM, WARM_UP, INNER_LOSS = 0.9, 0.05, 0.3
"""Of SGD with Nesterov's momentum; share of the steps in which the rate rises; weight of the loss of a head inside."""

FIRST = 50
"""Steps before weights are averaged."""


class Learner:
    """A student, how it is taught, and how far it is.

    Args:
        name: what the run is called.
        told: the run's settings.
        backbone: what it is made of.
        steps: how many it takes.
    """

    def __init__(self, name: str, told: Mapping[str, Any], backbone: CifarResNet, steps: int) -> None:
        self.name, self.told, self.steps, self.step = name, told, steps, 0
        self.device = backbone.linear.weight.device
        made = Student(backbone, told["keep"], told.get("inner", False), told.get("copied", True))
        self.network = made.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.mean = copy.deepcopy(self.network) if "average" in told else None
        self._weights = list(self.network.parameters())
        self._decayed = [i for i, weight in enumerate(self._weights) if weight.ndim > 1]
        self._speed = [torch.zeros_like(weight) for weight in self._weights]
        self._rate = torch.zeros((), device=self.device)
        shapes = ((3, 32, 32), (10,), (64,))
        self._given = [torch.randn(told["batch_size"], *shape, device=self.device) for shape in shapes]
        self._given[0] = self._given[0].to(memory_format=torch.channels_last)
        on_gpu = self.device.type == "cuda"
        self.stream = torch.cuda.Stream() if on_gpu else None  # type: ignore[no-untyped-call]
        self._graph = None if self.stream is None else self._captured(self.stream)

    def feed(self, told: Told) -> None:
        """Steps on some views, as many as fit."""
        size = self.told["batch_size"]
        with nullcontext() if self.stream is None else torch.cuda.stream(self.stream):
            for first in range(0, min(len(told[0]), size * (self.steps - self.step)), size):
                for given, part in zip(self._given, told, strict=True):
                    given.copy_(part[first : first + size])
                self._rate.fill_(self._rate_now())
                if self._graph is None:
                    self._learn()
                else:
                    self._graph.replay()
                self.step += 1
                self._averaged()

    def _captured(self, stream: torch.cuda.Stream) -> torch.cuda.CUDAGraph:
        before, graph = copy.deepcopy(self.network.state_dict()), torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._learn()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, stream=stream):
            self._learn()
        self.network.load_state_dict(before)
        for speed in self._speed:
            speed.zero_()
        torch.cuda.synchronize()
        return graph

    def _learn(self) -> None:
        x, target, feature = self._given
        with torch.autocast(self.device.type, torch.bfloat16):
            logits, own, said = self.network(x)
        loss = self._divergence(logits, target)
        for inner in said:
            loss = loss + INNER_LOSS * self._divergence(inner, target)
        if "feature" in self.told:
            loss = loss + self.told["feature"] * F.mse_loss(own.float(), feature)
        slopes = list(torch.autograd.grad(loss, self._weights))
        with torch.no_grad():
            some = [self._weights[i] for i in self._decayed]
            torch._foreach_add_([slopes[i] for i in self._decayed], some, alpha=self.told["weight_decay"])
            torch._foreach_mul_(self._speed, MOMENTUM)
            torch._foreach_add_(self._speed, slopes)
            moves = torch._foreach_add(slopes, self._speed, alpha=MOMENTUM)
            torch._foreach_mul_(moves, self._rate)
            torch._foreach_sub_(self._weights, moves)

    def _divergence(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        softer = self.told["temperature"]
        own, wanted = (F.log_softmax(some.float() / softer, 1) for some in (logits, target))
        found: torch.Tensor = F.kl_div(own, wanted, reduction="batchmean", log_target=True) * softer**2
        return found

    def _rate_now(self) -> float:
        share, top = self.step / self.steps, float(self.told["rate"])
        if share < WARM_UP:
            return top * (share + 1 / self.steps) / WARM_UP
        left = (share - WARM_UP) / (1 - WARM_UP)
        return top * (0.5 * (1 + math.cos(math.pi * left)) if self.told.get("cosine", True) else 1 - left)

    def _averaged(self) -> None:
        if self.mean is None or self.step <= FIRST:
            return
        kept, now = (
            [value for value in network.state_dict().values() if value.is_floating_point()]
            for network in (self.mean, self.network)
        )
        torch._foreach_lerp_(kept, now, 1 - self.told["average"])
