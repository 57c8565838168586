"""What KServe's own client makes of a server: run by a Python that has it, tells what it saw as JSON.

Its dependencies (pandas, kubernetes, other loops and parsers for uvicorn) are not those of the tests.
"""

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

POINTS = ("full", "balanced", "fastest")


def request(x: np.ndarray, binary: bool, name: str = "", **parameters: Any) -> InferRequest:
    entry = InferInput("input0", list(x.shape), "FP32")
    entry.set_data_from_numpy(x, binary_data=binary)
    outputs = [RequestedOutput(one, {"binary_data": binary}) for one in ("logits", "label", "exit_index")]
    return InferRequest("toy", [entry], request_id=name or None, parameters=parameters or None, request_outputs=outputs)


def told(reply: Any) -> dict[str, Any]:
    found = {one.name: one.as_numpy().tolist() for one in reply.outputs}
    return {"id": reply.id, "parameters": reply.parameters, **found}


async def error(call: Any) -> dict[str, Any]:
    try:
        await call
    except httpx.HTTPStatusError as refused:
        return {"status": refused.response.status_code, "body": refused.response.json(), "message": str(refused)}
    raise AssertionError


async def seen(url: str, x: np.ndarray) -> dict[str, Any]:
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client, httpx.AsyncClient() as plain:

        async def infer(*args: Any, **parameters: Any) -> dict[str, Any]:
            return told(await client.infer(url, request(*args, **parameters), model_name="toy"))

        points = [POINTS[number % 3] for number in range(60)]
        rows = [x[number % len(x) : number % len(x) + 1] for number in range(60)]
        together = [
            infer(row, number % 2 == 0, str(number), operating_point=point)
            for number, (row, point) in enumerate(zip(rows, points, strict=True))
        ]
        return {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model": await client.is_model_ready(url, "toy"),
            "other": await client.is_model_ready(url, "other"),
            "metadata": (await plain.get(f"{url}/v2/models/toy")).json(),
            "json": await infer(x, False, "a"),
            "binary": await infer(x, True, "b", operating_point="full"),
            "nameless": (await infer(x[:1], True))["id"],
            "errors": [
                await error(client.infer(url, request(x, True), model_name="other")),
                await error(client.infer(url, request(x[:, :, 1:], True), model_name="toy")),
                await error(client.infer(url, request(x * np.float32("nan"), True), model_name="toy")),
                await error(client.infer(url, request(x, False, operating_point="guess"), model_name="toy")),
                await error(client.infer(url, {"inputs": []}, model_name="toy")),
            ],
            "together": await asyncio.gather(*together),
        }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(seen(sys.argv[1], np.load(sys.argv[2])))))
