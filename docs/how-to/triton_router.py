"""Triton's Python backend: sends each request's samples through the stages, those that leave no further.

Each stage is a model of its own with dynamic batching, so Triton puts together what comes from many requests.
"""

import asyncio
import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        told = json.loads((Path(args["model_repository"]) / args["model_version"] / "router.json").read_text())
        self.stages, self.points = told["stages"], told["points"]
        self.active, self.inputs = told["active"], told["inputs"]

    async def execute(self, requests):
        return await asyncio.gather(*map(self.answer, requests))

    async def answer(self, request):
        point = json.loads(request.parameters() or "{}").get("operating_point", self.active)
        if point not in self.points:
            known = ", ".join(self.points)
            return failed(f"expected an operating point among {known}, got {point!r}")
        state = [pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs]
        try:
            logits, exits, scores = await self.leave(self.points[point], state)
        except RuntimeError as error:
            return failed(str(error))
        found = {
            "logits": logits.astype(np.float32),
            "label": logits.argmax(1)[:, None],
            "exit_index": exits[:, None],
            "confidence": scores.astype(np.float32)[:, None],
        }
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in found.items()])

    async def leave(self, point, state):
        alive = np.arange(len(state[0]))
        logits, exits, scores = None, np.empty(len(alive), np.int64), np.empty(len(alive))
        for stage in self.stages:
            said = await run(stage, dict(zip(stage["inputs"], state, strict=True)))
            stay = np.ones(len(alive), bool)
            for exit_, answer, score in zip(stage["exits"], stage["logits"], stage["score"], strict=True):
                sure = said[score].reshape(-1).astype(float)
                on = stage["state"] and point["enabled"][exit_]
                go = stay & (sure >= point["threshold"][exit_]) if on else stay & (not stage["state"])
                logits = np.empty((len(exits), said[answer].shape[1])) if logits is None else logits
                logits[alive[go]], exits[alive[go]], scores[alive[go]] = said[answer][go], exit_, sure[go]
                stay &= ~go
            alive, state = alive[stay], [said[name][stay] for name in stage["state"]]
            if len(alive) == 0:
                break
        return logits, exits, scores


async def run(stage, given):
    names = [*stage["state"], *stage["logits"], *stage["score"]]
    inputs = [pb_utils.Tensor(name, np.ascontiguousarray(given[name])) for name in stage["used"]]
    asked = pb_utils.InferenceRequest(model_name=stage["model"], requested_output_names=names, inputs=inputs)
    reply = await asked.async_exec()
    if reply.has_error():
        raise RuntimeError(reply.error().message())
    return {name: pb_utils.get_output_tensor_by_name(reply, name).as_numpy() for name in names}


def failed(message):
    return pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(message))
